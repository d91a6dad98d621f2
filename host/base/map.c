#include "base/map.h"

#include <stdlib.h>
#include <sys/random.h>
#include <pthread.h>
#include "base/bug.h"

static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_init(void)
{
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed))
        seed = (uint64_t)(uintptr_t)&seed ^ 0x9e3779b97f4a7c15u;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/* Multiply-and-fold over eight bytes at a time (the wyhash construction). */
uint64_t str_hash(struct str s)
{
    pthread_once(&seed_once, seed_init);
    uint64_t h = seed ^ s.n;
    while (s.n >= 8) {
        uint64_t w;
        memcpy(&w, s.p, 8);
        h = mix(h ^ w, 0xa0761d6478bd642fu);
        s.p += 8;
        s.n -= 8;
    }
    uint64_t w = 0;
    if (s.n)
        memcpy(&w, s.p, s.n);
    return mix(h ^ w, 0xe7037ed1a0b428dbu);
}

static struct map_node **chain_of(struct map *m, uint64_t hash)
{
    return m->slots ? &m->slot[hash & (m->slots - 1)] : &m->chain;
}

void map_release(struct map *m)
{
    free(m->slot);
    *m = (struct map){0};
}

struct map_node *map_find(const struct map *m, struct str key)
{
    if (!m->count)
        return NULL;
    uint64_t h = str_hash(key);
    struct map_node *n = *chain_of((struct map *)(uintptr_t)m, h);
    while (n && !(n->hash == h && str_eq(n->key, key)))
        n = n->next;
    return n;
}

static void map_grow(struct map *m)
{
    size_t slots = m->slots ? m->slots * 2 : 16;
    struct map_node **slot = calloc(slots, sizeof(*slot));
    if (!slot)
        return; /* the chains get longer, that is all */
    for (size_t i = 0; i < (m->slots ? m->slots : 1); i++) {
        for (struct map_node *n = *chain_of(m, i), *next; n; n = next) {
            next = n->next;
            n->next = slot[n->hash & (slots - 1)];
            slot[n->hash & (slots - 1)] = n;
        }
    }
    free(m->slot);
    m->chain = NULL;
    m->slot = slot;
    m->slots = slots;
}

bool map_add(struct map *m, struct map_node *node, struct str key)
{
    if (map_find(m, key))
        return false;
    if (m->count >= m->slots)
        map_grow(m);
    node->key = key;
    node->hash = str_hash(key);
    struct map_node **slot = chain_of(m, node->hash);
    node->next = *slot;
    *slot = node;
    m->count++;
    return true;
}

void map_remove(struct map *m, struct map_node *node)
{
    struct map_node **at = chain_of(m, node->hash);
    while (*at && *at != node)
        at = &(*at)->next;
    BUG_ON(!*at);
    *at = node->next;
    m->count--;
}
