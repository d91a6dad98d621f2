/* host/config/units.h - durations, sizes and rates as manifest.md writes them. */
#ifndef MANIFOLD_CONFIG_UNITS_H
#define MANIFOLD_CONFIG_UNITS_H

#include "base/err.h"

struct rate {
    uint32_t per_second; /* 0: none */
    uint32_t burst;      /* default: per_second */
};

/* "250ms 30s 5m 1h" -> nanoseconds; at most 10,000 h. */
int units_duration(struct str s, uint64_t *ret_ns, struct err *e);
/* "16B 4KiB 4MiB 1GiB" -> bytes; at most 1 TiB. */
int units_size(struct str s, uint64_t *ret_bytes, struct err *e);
/* "50/s", "50/s burst 100", "none". */
int units_rate(struct str s, struct rate *ret, struct err *e);

#endif
