/* The values of series: written by any thread without a lock, read as they stand. */
#include "services/metrics/series.h"

#include <math.h>

#define DECADE(x) (x), 2.5 * (x), 5 * (x)

const struct series_bounds series_seconds = {25,
                                             {DECADE(1e-6), DECADE(1e-5), DECADE(1e-4),
                                              DECADE(1e-3), DECADE(1e-2), DECADE(1e-1), DECADE(1e0),
                                              DECADE(1e1), 1e2}};

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static double load(const _Atomic uint64_t *bits)
{
    return double_of(atomic_load_explicit(bits, memory_order_relaxed));
}

static void add_double(_Atomic uint64_t *bits, double amount)
{
    uint64_t old = atomic_load_explicit(bits, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(bits, &old, bits_of(double_of(old) + amount),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

static void raise_to(_Atomic uint64_t *bits, double value)
{
    uint64_t old = atomic_load_explicit(bits, memory_order_relaxed);
    while (double_of(old) < value &&
           !atomic_compare_exchange_weak_explicit(bits, &old, bits_of(value), memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

void series_add(struct series *one, double amount)
{
    /* One instruction for what nearly all counters do, and exact beyond 2^53. */
    bool counter = atomic_load_explicit(&one->kind, memory_order_relaxed) == MF_COUNTER;
    if (counter && amount < 0x1p53 && amount == (double)(uint64_t)amount)
        atomic_fetch_add_explicit(&one->whole, (uint64_t)amount, memory_order_relaxed);
    else
        add_double(&one->bits, amount);
}

void series_put(struct series *one, double value)
{
    atomic_store_explicit(&one->bits, bits_of(value), memory_order_relaxed);
}

void series_observe(struct series *one, double value)
{
    struct series_histogram *h = atomic_load_explicit(&one->histogram, memory_order_acquire);
    const struct series_bounds *b = h->bounds;
    uint32_t low = 0, high = b->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (value <= b->bound[middle])
            high = middle;
        else
            low = middle + 1;
    }
    atomic_fetch_add_explicit(&h->bucket[low], 1, memory_order_relaxed);
    add_double(&one->bits, value);
    raise_to(&h->max, value);
}

void series_read(const struct series *one, struct series_value *ret)
{
    const struct series_histogram *h = atomic_load_explicit(&one->histogram, memory_order_acquire);
    *ret = (struct series_value){.value = load(&one->bits)};
    ret->value += (double)atomic_load_explicit(&one->whole, memory_order_relaxed);
    if (!h)
        return;
    /* The count is what the buckets add up to, so that they agree whoever adds meanwhile. */
    ret->bounds = h->bounds;
    ret->max = load(&h->max);
    for (uint32_t i = 0; i <= h->bounds->count; i++) {
        ret->count += atomic_load_explicit(&h->bucket[i], memory_order_relaxed);
        if (i < h->bounds->count)
            ret->cumulative[i] = ret->count;
    }
}

double series_quantile(const struct series_value *v, double q)
{
    double rank = q * (double)v->count, below = 0;
    for (uint32_t i = 0; v->count && i < v->bounds->count; i++) {
        double to = (double)v->cumulative[i];
        if (to >= rank && to > below) {
            double low = i ? v->bounds->bound[i - 1] : 0, high = v->bounds->bound[i];
            double at = low + (high - low) * (rank - below) / (to - below);
            return fmin(at, v->max);
        }
        below = to;
    }
    return v->max;
}
