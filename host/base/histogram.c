#include "base/histogram.h"

#include <stdlib.h>
#include "base/bug.h"

#define VALUE_MAX ((UINT64_C(1) << HISTOGRAM_BITS) - 1)

/* Octave 0 and 1 are exact; in octave k a part is 2^(k-1) wide. */
static unsigned octave_of(uint64_t value)
{
    return value < HISTOGRAM_PARTS ? 0 : 55 - (unsigned)__builtin_clzll(value);
}

static unsigned part_of(unsigned octave, uint64_t value)
{
    return octave ? (unsigned)(value >> (octave - 1)) - HISTOGRAM_PARTS : (unsigned)value;
}

/* The middle of the part. */
static uint64_t value_of(unsigned octave, unsigned part)
{
    if (octave < 2)
        return octave * HISTOGRAM_PARTS + part;
    uint64_t low = (uint64_t)(HISTOGRAM_PARTS + part) << (octave - 1);
    return low + ((UINT64_C(1) << (octave - 1)) - 1) / 2;
}

static uint64_t *octave_make(struct histogram *h, unsigned octave)
{
    h->octave[octave] = calloc(HISTOGRAM_PARTS, sizeof(uint64_t));
    return h->octave[octave];
}

void histogram_record(struct histogram *h, uint64_t value)
{
    if (value > VALUE_MAX)
        value = VALUE_MAX;
    unsigned octave = octave_of(value);
    uint64_t *parts = h->octave[octave];
    if (!parts && !(parts = octave_make(h, octave))) {
        h->lost++;
        return;
    }
    parts[part_of(octave, value)]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
    double wanted = q * (double)h->count;
    uint64_t rank = (uint64_t)wanted, seen = 0;
    if ((double)rank < wanted || rank == 0)
        rank++;
    if (rank >= h->count)
        return h->max;
    for (unsigned o = 0; o < HISTOGRAM_OCTAVES; o++) {
        for (unsigned i = 0; h->octave[o] && i < HISTOGRAM_PARTS; i++) {
            seen += h->octave[o][i];
            if (seen >= rank) {
                uint64_t v = value_of(o, i);
                return v < h->max ? v : h->max;
            }
        }
    }
    BUG("a histogram's parts add up to %llu of %llu", (unsigned long long)seen,
        (unsigned long long)h->count);
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    for (unsigned o = 0; o < HISTOGRAM_OCTAVES; o++) {
        const uint64_t *add = from->octave[o];
        uint64_t *parts = !add ? NULL : h->octave[o] ? h->octave[o] : octave_make(h, o);
        for (unsigned i = 0; add && i < HISTOGRAM_PARTS; i++) {
            if (parts)
                parts[i] += add[i];
            *(parts ? &h->count : &h->lost) += add[i];
        }
    }
    h->lost += from->lost;
    if (from->max > h->max)
        h->max = from->max;
}

void histogram_release(struct histogram *h)
{
    for (unsigned o = 0; o < HISTOGRAM_OCTAVES; o++)
        free(h->octave[o]);
    *h = (struct histogram){0};
}
