/* host/engine/rate.h - a token bucket, exact in integers (limits.rate: "50/s burst 100").
 *
 * It is told the time and keeps none itself, so tests give any clock they like.
 * A bucket that is all zero is full at its first use. */
#ifndef MANIFOLD_ENGINE_RATE_H
#define MANIFOLD_ENGINE_RATE_H

#include <stdbool.h>
#include "config/units.h"

struct rate_bucket {
    uint64_t level; /* 1e9 is one token */
    uint64_t at;    /* ns: when `level` was right */
    bool used;
};

/* Nanoseconds until the bucket has a token, 0: it has one.  Rounded up, so that a caller who waits
 * exactly so long gets it, if nobody else does.  `limit` without per_second: always 0. */
uint64_t rate_wait(struct rate_bucket *b, struct rate limit, uint64_t now);
/* Takes the token; only after rate_wait() has returned 0 for the same `now`. */
void rate_spend(struct rate_bucket *b, struct rate limit);

#endif
