/* host/services/cache/memory.h - the memory tier: bounded in bytes, S3-FIFO, invalidated by order.
 *
 * Everything is counted against the bound: tables, entries with what malloc() adds to them, values
 * that are only held by a pin.  It allocates the two tables once, so that no call moves them.
 *
 * Order.  Invalidations are numbered.  An entry and whatever was read before it carry the number of
 * the last invalidation they have seen; what has been invalidated since is dead, at once, wherever
 * it still is.  memory_sweep() only gives its memory back.
 *
 * All functions: one thread, the owner's. */
#ifndef MANIFOLD_SERVICES_CACHE_MEMORY_H
#define MANIFOLD_SERVICES_CACHE_MEMORY_H

#include "base/list.h"
#include "base/str.h"
#include "services/cache/slots.h"

enum { MEMORY_MIN = 1 << 20, MEMORY_KEY_MAX = 1024 };

struct memory;

struct memory_entry {
    struct slots_node node;
    struct list queue;
    uint64_t expires; /* ns, monotonic */
    uint64_t order;   /* no prefix up to this number concerns it */
    uint32_t space, value_len, pins;
    uint16_t key_len;
    uint8_t where : 4; /* enum memory_queue */
    uint8_t hits : 4;  /* since it came into its queue, at most 3 */
    uint8_t foreign;   /* other hosts may have written it, and nobody here has looked at it yet */
    char bytes[];      /* key, value */
};

/* A key with its hash, so that it is made once. */
struct memory_key {
    uint32_t space;
    struct str key; /* borrowed */
    uint64_t hash;
};

struct memory_counters {
    uint64_t entries, bytes, evictions, expired, invalidated, refused;
};

/* `bytes`: the bound, at least MEMORY_MIN.  NULL: no memory. */
struct memory *memory_open(uint64_t bytes);
/* What is pinned stays, and is never given back. */
void memory_close(struct memory *m);

struct memory_key memory_key(uint32_t space, struct str key);
static inline struct str memory_value(const struct memory_entry *e)
{
    return (struct str){e->bytes + e->key_len, e->value_len};
}

/* memory_find() will come: the line it looks at first is on its way while the caller does something
 * else. */
void memory_expect(const struct memory *m, const struct memory_key *k);
/* The living entry, or NULL.  Borrowed until anything is made, put, deleted or swept: pin it to
 * keep it longer. */
struct memory_entry *memory_find(struct memory *m, const struct memory_key *k, uint64_t now);
void memory_pin(struct memory_entry *e);
void memory_unpin(struct memory *m, struct memory_entry *e);

/* An entry of its own, pinned once, that nobody finds before memory_put(); the value's bytes are
 * the caller's to fill in.  Other entries may be evicted for it.  NULL: too large (over an eighth
 * of the bound), or no room or memory; counted as refused. */
struct memory_entry *memory_make(struct memory *m, const struct memory_key *k, size_t value,
                                 uint64_t expires, uint64_t now);
/* In place of what is there under its key.  `order`: of what it was made from, see memory_number().
 * False: its key has been invalidated since, or others took the room that memory_make() found; then
 * it is not found and lives by its pin alone. */
bool memory_put(struct memory *m, struct memory_entry *e, uint64_t order);

void memory_delete(struct memory *m, const struct memory_key *k);
/* Every key of the space that begins with it; at most MEMORY_KEY_MAX bytes. */
void memory_delete_prefix(struct memory *m, uint32_t space, struct str prefix);
void memory_delete_all(struct memory *m);
/* Looks at the next `entries` for dead ones.  True: there may be more. */
bool memory_sweep(struct memory *m, uint32_t entries, uint64_t now);

/* The number of the last invalidation. */
uint64_t memory_number(const struct memory *m);
/* Has the key been invalidated since that number?  It may say so without need, never the reverse.
 */
bool memory_is_stale(const struct memory *m, const struct memory_key *k, uint64_t order);

void memory_count(const struct memory *m, struct memory_counters *ret);
/* The first invariant that does not hold, as a sentence; NULL: all do.  Slow; for tests. */
const char *memory_check(const struct memory *m);

#endif
