/* host/base/histogram.h - how long things took: a log-linear histogram of nanoseconds.
 *
 * Each power of two is cut into 512 equal parts, so any value is known to within
 * one part in 1,024: three digits.  Below 1,024 ns it is exact, as are count, sum, smallest and
 * largest.  Values from 2^40 ns (18 minutes) on count as 2^40 - 1.  (The layout is that of
 * HdrHistogram, http://hdrhistogram.org.)
 *
 * Memory is 296 bytes and 4 KiB for each power of two that has occurred, at most
 * 128 KiB.  One thread at a time. */
#ifndef MANIFOLD_BASE_HISTOGRAM_H
#define MANIFOLD_BASE_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_BITS = 40,
    HISTOGRAM_PARTS = 512,
    HISTOGRAM_OCTAVES = HISTOGRAM_BITS - 9 + 1,
    HISTOGRAM_ALL = HISTOGRAM_OCTAVES * HISTOGRAM_PARTS
};
#define HISTOGRAM_MAX ((UINT64_C(1) << HISTOGRAM_BITS) - 1)

/* All zero: empty. */
struct histogram {
    uint64_t *octave[HISTOGRAM_OCTAVES]; /* owned; of HISTOGRAM_PARTS; NULL: nothing there */
    uint64_t count, sum, max;
    uint64_t low;  /* UINT64_MAX - the smallest */
    uint64_t lost; /* not recorded, for want of memory */
};

/* Which of the HISTOGRAM_ALL parts a value falls into: larger values, larger numbers. */
static inline uint32_t histogram_part(uint64_t value)
{
    if (value > HISTOGRAM_MAX)
        value = HISTOGRAM_MAX;
    /* Parts 0 to 1,023 are 1 wide, the next 512 are 2 wide, then 4, and so on. */
    unsigned shift = 54 - (unsigned)__builtin_clzll(value | HISTOGRAM_PARTS);
    return shift * HISTOGRAM_PARTS + (uint32_t)(value >> shift);
}
/* The middle of a part. */
uint64_t histogram_value(uint32_t part);

/* Makes the octave of a part; NULL: no memory. */
uint64_t *histogram_grow(struct histogram *h, uint32_t part);

static inline void histogram_record(struct histogram *h, uint64_t value)
{
    uint32_t part = histogram_part(value);
    uint64_t *parts = h->octave[part / HISTOGRAM_PARTS];
    if (!parts && !(parts = histogram_grow(h, part))) {
        h->lost++;
        return;
    }
    if (value > HISTOGRAM_MAX)
        value = HISTOGRAM_MAX;
    parts[part % HISTOGRAM_PARTS]++;
    h->count++;
    h->sum += value;
    if (value > h->max)
        h->max = value;
    if (UINT64_MAX - value > h->low)
        h->low = UINT64_MAX - value;
}
/* The smallest; 0 when empty. */
static inline uint64_t histogram_min(const struct histogram *h)
{
    return h->count ? UINT64_MAX - h->low : 0;
}
/* How many are not over each of the rising bounds; a part counts whole or not at all, by its
 * middle. */
void histogram_cumulate(const struct histogram *h, const uint64_t *bound, unsigned bounds,
                        uint64_t *ret);
/* The same as the next for each of the rising q, in one go. */
void histogram_quantiles(const struct histogram *h, const double *q, unsigned n, uint64_t *ret);
/* The value that the part q (0 to 1) of all values is not over; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double q);
/* Adds all of `from`. */
void histogram_merge(struct histogram *h, const struct histogram *from);
/* Gives the memory back; empty afterwards. */
void histogram_release(struct histogram *h);

#endif
