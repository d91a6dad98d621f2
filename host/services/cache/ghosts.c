#include "services/cache/ghosts.h"

#include <stdlib.h>
#include "base/bug.h"

enum { WAYS = 4 };

bool ghosts_init(struct ghosts *g, uint64_t slots)
{
    *g = (struct ghosts){.at = calloc(slots, sizeof(*g->at)), .slots = slots};
    return g->at;
}

void ghosts_release(struct ghosts *g)
{
    free(g->at);
}

uint64_t ghosts_bytes(const struct ghosts *g)
{
    return g->slots * sizeof(*g->at);
}

static struct ghost *bucket(const struct ghosts *g, uint64_t hash)
{
    return &g->at[((hash >> 20) & (g->slots / WAYS - 1)) * WAYS];
}

static uint32_t print_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32) | 1;
}

static bool is_alive(const struct ghosts *g, const struct ghost *at, uint64_t alive)
{
    return at->print && g->added - at->time <= alive;
}

void ghosts_add(struct ghosts *g, uint64_t hash, uint64_t alive)
{
    struct ghost *at = bucket(g, hash), *oldest = at;
    for (int i = 0; i < WAYS; i++) {
        if (!is_alive(g, &at[i], alive)) {
            oldest = &at[i];
            break;
        }
        if (g->added - at[i].time > g->added - oldest->time)
            oldest = &at[i];
    }
    *oldest = (struct ghost){print_of(hash), g->added++};
}

bool ghosts_take(struct ghosts *g, uint64_t hash, uint64_t alive)
{
    struct ghost *at = bucket(g, hash);
    for (int i = 0; i < WAYS; i++) {
        if (at[i].print == print_of(hash) && is_alive(g, &at[i], alive)) {
            at[i].print = 0;
            return true;
        }
    }
    return false;
}
