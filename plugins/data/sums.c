#include "sums.h"

#include <math.h>

static void add_double(struct sums *s, double value)
{
    double sum = s->sum + value;
    if (fabs(s->sum) >= fabs(value))
        s->carried += s->sum - sum + value;
    else
        s->carried += value - sum + s->sum;
    s->sum = sum;
    s->inexact = 1;
}

static void add_integer(struct sums *s, int64_t value)
{
    if (__builtin_add_overflow(s->integers, value, &s->integers)) {
        /* It has wrapped: take the addition back. */
        s->integers = (int64_t)((uint64_t)s->integers - (uint64_t)value);
        add_double(s, (double)value);
    }
}

void sums_add(struct sums *s, mfj_value item)
{
    mfj_value value = mfj_get(item, "value");
    int64_t integer;
    double number;
    s->count++;
    if (mfj_int(value, &integer) == MF_OK)
        add_integer(s, integer);
    else if (mfj_double(value, &number) == MF_OK)
        add_double(s, number);
    else if (mfj_kind(value) == MFJ_NUMBER) /* 1e999 */
        add_double(s, INFINITY);
}

void sums_merge(struct sums *s, const struct sums *other)
{
    s->count += other->count;
    add_integer(s, other->integers);
    if (other->inexact) {
        add_double(s, other->sum);
        s->carried += other->carried;
    }
}

int sums_put(const struct sums *s, mfj_writer *w)
{
    double sum = s->sum + s->carried + (double)s->integers;
    if (!isfinite(sum))
        return 0;
    mfj_put_object(w);
    mfj_put_key(w, "count");
    mfj_put_int(w, s->count);
    mfj_put_key(w, "sum");
    if (s->inexact)
        mfj_put_double(w, sum);
    else
        mfj_put_int(w, s->integers);
    mfj_put_end(w);
    return 1;
}
