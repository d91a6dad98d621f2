#include "base/histogram.h"

#include <stdlib.h>
#include "base/bug.h"

uint64_t histogram_value(uint32_t part)
{
    unsigned shift = part < 2 * HISTOGRAM_PARTS ? 0 : part / HISTOGRAM_PARTS - 1;
    uint64_t low = (uint64_t)(part - shift * HISTOGRAM_PARTS) << shift;
    return low + ((UINT64_C(1) << shift) - 1) / 2;
}

uint64_t *histogram_grow(struct histogram *h, uint32_t part)
{
    uint32_t octave = part / HISTOGRAM_PARTS;
    h->octave[octave] = calloc(HISTOGRAM_PARTS, sizeof(uint64_t));
    return h->octave[octave];
}

/* How many values a quantile is not over. */
static uint64_t rank_of(const struct histogram *h, double q)
{
    double wanted = q * (double)h->count;
    uint64_t rank = (uint64_t)wanted;
    return (double)rank < wanted || rank == 0 ? rank + 1 : rank;
}

static uint64_t between_ends(const struct histogram *h, uint64_t value)
{
    uint64_t min = histogram_min(h);
    return value > h->max ? h->max : value < min ? min : value;
}

void histogram_quantiles(const struct histogram *h, const double *q, unsigned n, uint64_t *ret)
{
    uint64_t seen = 0;
    unsigned done = 0;
    for (unsigned o = 0; o < HISTOGRAM_OCTAVES; o++) {
        for (unsigned i = 0; h->octave[o] && i < HISTOGRAM_PARTS; i++) {
            seen += h->octave[o][i];
            for (; done < n && seen >= rank_of(h, q[done]); done++)
                ret[done] = rank_of(h, q[done]) >= h->count
                                ? h->max
                                : between_ends(h, histogram_value(o * HISTOGRAM_PARTS + i));
        }
    }
    if (done < n && h->count)
        BUG("a histogram's parts add up to %llu of %llu", (unsigned long long)seen,
            (unsigned long long)h->count);
    while (done < n)
        ret[done++] = 0;
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
    uint64_t ret;
    histogram_quantiles(h, &q, 1, &ret);
    return ret;
}

void histogram_cumulate(const struct histogram *h, const uint64_t *bound, unsigned bounds,
                        uint64_t *ret)
{
    uint64_t n = 0;
    unsigned done = 0;
    for (unsigned o = 0; o < HISTOGRAM_OCTAVES; o++) {
        for (unsigned i = 0; h->octave[o] && i < HISTOGRAM_PARTS; i++) {
            uint64_t here = h->octave[o][i];
            while (here && done < bounds && histogram_value(o * HISTOGRAM_PARTS + i) > bound[done])
                ret[done++] = n;
            n += here;
        }
    }
    while (done < bounds)
        ret[done++] = n;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    for (unsigned o = 0; o < HISTOGRAM_OCTAVES; o++) {
        const uint64_t *add = from->octave[o];
        uint64_t *parts = !add           ? NULL
                          : h->octave[o] ? h->octave[o]
                                         : histogram_grow(h, o * HISTOGRAM_PARTS);
        for (unsigned i = 0; add && i < HISTOGRAM_PARTS; i++) {
            if (parts)
                parts[i] += add[i];
            *(parts ? &h->count : &h->lost) += add[i];
        }
    }
    h->sum += from->sum;
    h->lost += from->lost;
    if (from->max > h->max)
        h->max = from->max;
    if (from->low > h->low)
        h->low = from->low;
}

void histogram_release(struct histogram *h)
{
    for (unsigned o = 0; o < HISTOGRAM_OCTAVES; o++)
        free(h->octave[o]);
    *h = (struct histogram){0};
}
