/* host/config/units.h - durations, sizes and rates as manifests write them.
 * (docs/authors.md, The manifest) */
#ifndef MANIFOLD_CONFIG_UNITS_H
#define MANIFOLD_CONFIG_UNITS_H

#include "base/err.h"

enum { UNITS_SHOWN = 40 };
#define UNITS_DURATION_MAX 36000000000000000u /* ns: 10,000 h */
#define UNITS_SIZE_MAX     (UINT64_C(1) << 40)

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
/* The text that reads back as the same value (whole milliseconds), for sentences; returns out. */
const char *units_show_duration(uint64_t ns, char out[UNITS_SHOWN]);
const char *units_show_size(uint64_t bytes, char out[UNITS_SHOWN]);
const char *units_show_rate(struct rate r, char out[UNITS_SHOWN]);

#endif
