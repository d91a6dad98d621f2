/* host/services/cache/ghosts.h - private to the memory tier: keys that were evicted a while ago.
 *
 * A table of fingerprints in buckets of four, where the oldest gives way.  It may forget a key, and
 * take one key for another once in a billion times; neither matters but for a little eviction. */
#ifndef MANIFOLD_SERVICES_CACHE_GHOSTS_H
#define MANIFOLD_SERVICES_CACHE_GHOSTS_H

#include <stdbool.h>
#include <stdint.h>

struct ghosts {
    struct ghost {
        uint32_t print; /* of the hash; 0: none */
        uint32_t time;  /* `added` when it came */
    } * at;             /* owned */
    uint64_t slots;     /* a power of two */
    uint32_t added;
};

/* False: no memory. */
bool ghosts_init(struct ghosts *g, uint64_t slots);
void ghosts_release(struct ghosts *g);
uint64_t ghosts_bytes(const struct ghosts *g);
/* `alive`: how many of the last ones count. */
void ghosts_add(struct ghosts *g, uint64_t hash, uint64_t alive);
/* Was it one of them?  It is none any more. */
bool ghosts_take(struct ghosts *g, uint64_t hash, uint64_t alive);

#endif
