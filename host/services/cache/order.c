#include "services/cache/order.h"

void order_add_key(struct order *o, uint64_t hash)
{
    o->key[hash % ORDER_KEYS] = ++o->last;
}

void order_add_prefix(struct order *o, uint32_t space, struct str prefix)
{
    if (prefix.n > MEMORY_KEY_MAX) /* no key begins with it */
        return;
    struct order_prefix *p = &o->prefix[o->next];
    o->next = (o->next + 1) % ORDER_PREFIXES;
    if (p->number > o->floor) /* it is forgotten, so it is said of all keys */
        o->floor = p->number;
    p->number = o->newest = ++o->last;
    p->space = space;
    p->len = (uint16_t)prefix.n;
    if (prefix.n)
        memcpy(p->bytes, prefix.p, prefix.n);
}

void order_add_all(struct order *o)
{
    o->floor = o->newest = ++o->last;
}

bool order_has_prefix(const struct order *o, uint32_t space, struct str key, uint64_t seen)
{
    if (seen >= o->newest)
        return false;
    if (seen < o->floor)
        return true;
    /* The newest first: what has been checked before has seen all but a few. */
    for (uint32_t i = 1; i <= ORDER_PREFIXES; i++) {
        const struct order_prefix *p = &o->prefix[(o->next - i) % ORDER_PREFIXES];
        if (p->number <= seen)
            return false;
        if (p->space == space && str_starts(key, (struct str){p->bytes, p->len}))
            return true;
    }
    return false;
}
