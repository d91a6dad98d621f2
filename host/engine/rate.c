#include "engine/rate.h"

#define TOKEN UINT64_C(1000000000)

/* One nanosecond brings per_second billionths of a token: no division, nothing is lost. */
static void refill(struct rate_bucket *b, struct rate limit, uint64_t now)
{
    uint64_t full = limit.burst * TOKEN;
    uint64_t passed = now > b->at ? now - b->at : 0;
    if (!b->used || passed > full / limit.per_second)
        b->level = full;
    else
        b->level += passed * limit.per_second;
    if (b->level > full)
        b->level = full;
    if (!b->used || passed)
        b->at = now;
    b->used = true;
}

uint64_t rate_wait(struct rate_bucket *b, struct rate limit, uint64_t now)
{
    if (!limit.per_second)
        return 0;
    refill(b, limit, now);
    if (b->level >= TOKEN)
        return 0;
    return (TOKEN - b->level + limit.per_second - 1) / limit.per_second;
}

void rate_spend(struct rate_bucket *b, struct rate limit)
{
    if (limit.per_second)
        b->level -= TOKEN;
}
