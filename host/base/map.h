/* host/base/map.h - intrusive hash map with string keys, seeded per process.
 *
 * The caller owns the nodes and the bytes of their keys, which must not change
 * while the node is in the map.  Thread: the owner's. */
#ifndef MANIFOLD_BASE_MAP_H
#define MANIFOLD_BASE_MAP_H

#include "base/str.h"

struct map_node {
    struct map_node *next;
    struct str key;
    uint64_t hash;
};

struct map {
    struct map_node **slot; /* owned; NULL until the first is added */
    struct map_node *chain; /* of all, where there is no memory for a table */
    size_t slots, count;    /* slots: a power of two, or 0 */
};

/* Keyed by a random seed of this process, so that nobody can choose collisions. */
uint64_t str_hash(struct str s);

/* A zeroed struct map is an empty one.  Releases the table, not the nodes. */
void map_release(struct map *m);
struct map_node *map_find(const struct map *m, struct str key);
/* False, and nothing done, when the key is there already.  Needs no memory: without, finding takes
 * longer. */
bool map_add(struct map *m, struct map_node *node, struct str key);
/* The node must be in the map. */
void map_remove(struct map *m, struct map_node *node);

#endif
