/* host/services/cache/slots.h - private to the memory tier: its entries by hash.
 *
 * Open addressing, linear probing.  A word is an entry's address with 16 bits of its hash above it,
 * so that a look touches one line of the table and then, but for one case in 65,536, only the entry
 * that is wanted: where there are many entries each one that is touched costs as much as all the
 * rest of a look.  Addresses have 48 bits on every machine this runs on; slots_add() checks it.
 *
 * Allocated once and never moved; the owner adds at most slots_max() nodes. */
#ifndef MANIFOLD_SERVICES_CACHE_SLOTS_H
#define MANIFOLD_SERVICES_CACHE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

/* Embedded in an entry; `hash` is the owner's to set. */
struct slots_node {
    uint64_t hash;
};

struct slots {
    uint64_t *word; /* owned; 0: free */
    uint64_t size;  /* a power of two */
    uint64_t count;
};

enum { SLOTS_TAG_SHIFT = 48 };

/* `size`: a power of two, at least 8.  False: no memory. */
bool slots_init(struct slots *t, uint64_t size);
void slots_release(struct slots *t);

static inline uint64_t slots_bytes(const struct slots *t)
{
    return t->size * sizeof(*t->word);
}
static inline uint64_t slots_max(const struct slots *t)
{
    return t->size - t->size / 8;
}

/* slots_next() will come. */
static inline void slots_expect(const struct slots *t, uint64_t hash)
{
    __builtin_prefetch(&t->word[hash & (t->size - 1)]);
}

/* The next node whose hash is perhaps this one; NULL: there is none more.  *at: set to `hash`
 * before the first; the table must not change in between. */
static inline struct slots_node *slots_next(const struct slots *t, uint64_t hash, uint64_t *at)
{
    for (uint64_t word; (word = t->word[*at & (t->size - 1)]);) {
        ++*at;
        if (word >> SLOTS_TAG_SHIFT == hash >> SLOTS_TAG_SHIFT)
            return (struct slots_node *)(uintptr_t)(word & ((UINT64_C(1) << SLOTS_TAG_SHIFT) - 1));
    }
    return 0;
}

void slots_add(struct slots *t, struct slots_node *n);
void slots_remove(struct slots *t, const struct slots_node *n);
/* Is each node where slots_next() finds it, and are they as many as are counted?  Slow; for tests.
 */
bool slots_check(const struct slots *t);

#endif
