/* host/base/histogram.h - how long things took: a log-linear histogram of nanoseconds.
 *
 * Each power of two is cut into 512 equal parts, so any value is known to within
 * one part in 1,024: three digits.  Below 1,024 ns and for the largest value it
 * is exact.  Values from 2^40 ns (18 minutes) on count as 2^40 - 1.  (The layout is that of
 * HdrHistogram, http://hdrhistogram.org.)
 *
 * Memory is 280 bytes and 4 KiB for each power of two that has occurred, at most
 * 128 KiB.  One thread at a time. */
#ifndef MANIFOLD_BASE_HISTOGRAM_H
#define MANIFOLD_BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_BITS = 40, HISTOGRAM_PARTS = 512, HISTOGRAM_OCTAVES = HISTOGRAM_BITS - 9 + 1 };

/* All zero: empty. */
struct histogram {
    uint64_t *octave[HISTOGRAM_OCTAVES]; /* owned; of HISTOGRAM_PARTS; NULL: nothing there */
    uint64_t count, max;
    uint64_t lost; /* not recorded, for want of memory */
};

void histogram_record(struct histogram *h, uint64_t value);
/* The value that the part q (0 to 1) of all values is not over; 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double q);
/* Adds all of `from`. */
void histogram_merge(struct histogram *h, const struct histogram *from);
/* Gives the memory back; empty afterwards. */
void histogram_release(struct histogram *h);

#endif
