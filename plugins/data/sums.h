/* sums.h - what one batch adds up to, and all batches together.
 *
 * Integers are added exactly as long as they fit in 64 bits; everything else as double with the
 * lost low bits carried along (Neumaier), so that the sum hardly depends on how the items were cut
 * into batches.  No state, any thread. */
#ifndef DATA_SUMS_H
#define DATA_SUMS_H

#include <manifold/json.h>

struct sums {
    int64_t count;       /* items */
    int64_t integers;    /* sum of the values that are integers */
    double sum, carried; /* of all others, and of integers that did not fit */
    int inexact;         /* there were others */
};

/* Adds one item: an object whose "value" is a number, or is absent and counts as 0. */
void sums_add(struct sums *s, mfj_value item);
/* Adds what another batch added up to. */
void sums_merge(struct sums *s, const struct sums *other);
/* {"count":..,"sum":..}; 0 when the sum is over all doubles, and nothing is written. */
int sums_put(const struct sums *s, mfj_writer *w);

#endif
