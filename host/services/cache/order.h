/* host/services/cache/order.h - private to the memory tier: the numbered invalidations.
 *
 * Bounded, whatever is invalidated: of keys only the last number of each of ORDER_KEYS classes of
 * hashes is known, of prefixes the last ORDER_PREFIXES; what is older than all of those counts as
 * invalidated.  So the answer errs on one side only. */
#ifndef MANIFOLD_SERVICES_CACHE_ORDER_H
#define MANIFOLD_SERVICES_CACHE_ORDER_H

#include "services/cache/memory.h"

enum { ORDER_KEYS = 4096, ORDER_PREFIXES = 64 };

struct order_prefix {
    uint64_t number;
    uint32_t space;
    uint16_t len;
    char bytes[MEMORY_KEY_MAX];
};

struct order {
    uint64_t last;   /* number of the last invalidation */
    uint64_t floor;  /* whatever has seen less than this is dead */
    uint64_t newest; /* of the prefixes and of floor: who has seen this is not dead by them */
    uint32_t next;   /* where the next prefix goes */
    struct order_prefix prefix[ORDER_PREFIXES]; /* a ring */
    uint64_t key[ORDER_KEYS];                   /* by hash */
};

void order_add_key(struct order *o, uint64_t hash);
void order_add_prefix(struct order *o, uint32_t space, struct str prefix);
void order_add_all(struct order *o);
/* Has a prefix (or everything) been invalidated that concerns the key, since `seen`? */
bool order_has_prefix(const struct order *o, uint32_t space, struct str key, uint64_t seen);
static inline bool order_has_key(const struct order *o, uint64_t hash, uint64_t seen)
{
    return o->key[hash % ORDER_KEYS] > seen;
}

#endif
