/* The histogram's answers against those of the sorted values themselves. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/histogram.h"

enum { VALUES = 100000 };
static uint64_t value[VALUES];
static uint64_t state = 88172645463325252u;

static uint64_t any(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The value at rank ceil(q n) of the sorted ones, to three digits: within one part in 1,024. */
static void compare(const struct histogram *h, size_t n)
{
    static const double q[] = {0, 0.001, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1};
    uint64_t all[9];
    ck_assert_uint_eq(h->count, n);
    histogram_quantiles(h, q, 9, all);
    for (size_t i = 0; i < sizeof(q) / sizeof(q[0]); i++) {
        double wanted = q[i] * (double)n;
        size_t rank = (size_t)wanted;
        if ((double)rank < wanted || rank == 0)
            rank++;
        uint64_t exact = value[rank - 1], found = histogram_quantile(h, q[i]);
        ck_assert_uint_eq(all[i], found);
        uint64_t off = exact > found ? exact - found : found - exact;
        ck_assert_msg(off * 1024 <= exact && (exact >= 1024 || !off), "q %g: %llu, exactly %llu",
                      q[i], (unsigned long long)found, (unsigned long long)exact);
    }
    ck_assert_uint_eq(histogram_quantile(h, 1), value[n - 1]);
    ck_assert_uint_eq(histogram_min(h), value[0]);
    ck_assert_uint_eq(h->max, value[n - 1]);
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += value[i];
    ck_assert_uint_eq(h->sum, sum);
}

START_TEST(quantiles_are_those_of_the_sorted_values)
{
    for (int shape = 0; shape < 4; shape++) {
        struct histogram h = {0};
        for (size_t i = 0; i < VALUES; i++) {
            uint64_t v = any();
            value[i] = shape == 0   ? v % 1024                      /* exact */
                       : shape == 1 ? v % 1000000                   /* even */
                       : shape == 2 ? v >> (24 + any() % 40)        /* every power of two */
                                    : 5000 + (v % 1000) * (v % 97); /* a hump with a tail */
            histogram_record(&h, value[i]);
        }
        qsort(value, VALUES, sizeof(value[0]), by_value);
        compare(&h, VALUES);
        histogram_release(&h);
    }
}
END_TEST

START_TEST(few_values)
{
    struct histogram h = {0};
    ck_assert_uint_eq(histogram_quantile(&h, 0.5), 0);
    value[0] = 123456789;
    histogram_record(&h, value[0]);
    compare(&h, 1);
    value[1] = UINT64_C(1) << 39;
    histogram_record(&h, value[1]);
    compare(&h, 2);
    /* The bounds of parts and octaves. */
    histogram_release(&h);
    size_t n = 0;
    for (unsigned bit = 0; bit < HISTOGRAM_BITS; bit++) {
        for (int d = -1; d <= 1; d++) {
            value[n] = (UINT64_C(1) << bit) + (uint64_t)d;
            histogram_record(&h, value[n++]);
        }
    }
    qsort(value, n, sizeof(value[0]), by_value);
    compare(&h, n);
    histogram_release(&h);
}
END_TEST

/* Parts rise without a gap, and a value is in the part whose middle is nearest. */
START_TEST(parts_are_in_order)
{
    for (uint32_t p = 0; p < HISTOGRAM_ALL; p++) {
        ck_assert_uint_eq(histogram_part(histogram_value(p)), p);
        ck_assert(p == 0 || histogram_value(p) > histogram_value(p - 1));
    }
    for (int i = 0; i < VALUES; i++) {
        uint64_t v = any() >> (any() % 64);
        ck_assert_uint_lt(histogram_part(v), HISTOGRAM_ALL);
        ck_assert_uint_le(histogram_part(v), histogram_part(v + v / 512 + 1));
    }
}
END_TEST

START_TEST(counts_up_to_bounds)
{
    static const uint64_t bound[] = {10, 1000, 100000, 10000000, 1000000000};
    uint64_t found[5];
    struct histogram h = {0};
    histogram_cumulate(&h, bound, 5, found);
    ck_assert_uint_eq(found[0] + found[4], 0);
    for (size_t i = 0; i < VALUES; i++) {
        value[i] = any() >> (24 + any() % 40);
        histogram_record(&h, value[i]);
    }
    histogram_cumulate(&h, bound, 5, found);
    for (int b = 0; b < 5; b++) {
        uint64_t low = 0, high = 0;
        for (size_t i = 0; i < VALUES; i++) {
            low += value[i] + value[i] / 1024 <= bound[b];
            high += value[i] - value[i] / 1024 <= bound[b];
        }
        ck_assert(found[b] >= low && found[b] <= high);
        ck_assert(bound[b] > 1000 || low == high);
    }
    histogram_release(&h);
}
END_TEST

START_TEST(what_is_too_long_counts_as_the_longest)
{
    struct histogram h = {0};
    histogram_record(&h, UINT64_MAX);
    ck_assert_uint_eq(histogram_quantile(&h, 1), (UINT64_C(1) << HISTOGRAM_BITS) - 1);
    histogram_release(&h);
}
END_TEST

START_TEST(merged_is_as_if_recorded_in_one)
{
    struct histogram a = {0}, b = {0}, one = {0};
    for (size_t i = 0; i < VALUES; i++) {
        uint64_t v = any() >> (24 + i % 40);
        histogram_record(i % 3 ? &a : &b, v);
        histogram_record(&one, v);
    }
    histogram_merge(&a, &b);
    ck_assert_uint_eq(a.count, one.count);
    ck_assert_uint_eq(a.max, one.max);
    ck_assert_uint_eq(a.sum, one.sum);
    ck_assert_uint_eq(histogram_min(&a), histogram_min(&one));
    for (unsigned o = 0; o < HISTOGRAM_OCTAVES; o++) {
        ck_assert_int_eq(!a.octave[o], !one.octave[o]);
        ck_assert(!a.octave[o] ||
                  memcmp(a.octave[o], one.octave[o], HISTOGRAM_PARTS * sizeof(uint64_t)) == 0);
    }
    histogram_release(&a);
    histogram_release(&b);
    histogram_release(&one);
}
END_TEST

/* Prints what one recording costs; a figure, so it decides nothing. */
START_TEST(recording_is_measured)
{
    struct histogram h = {0};
    for (size_t i = 0; i < VALUES; i++)
        value[i] = 2000 + any() % 100000;
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < 9; round++) {
        uint64_t begin = clock_ns();
        for (size_t i = 0; i < VALUES; i++)
            histogram_record(&h, value[i]);
        uint64_t took = clock_ns() - begin;
        best = took < best ? took : best;
    }
    printf("histogram: %.2f ns a recording, best of 9\n", (double)best / VALUES);
    histogram_release(&h);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("histogram");
    TCase *c = tcase_create("histogram");
    tcase_add_test(c, quantiles_are_those_of_the_sorted_values);
    tcase_add_test(c, few_values);
    tcase_add_test(c, parts_are_in_order);
    tcase_add_test(c, counts_up_to_bounds);
    tcase_add_test(c, what_is_too_long_counts_as_the_longest);
    tcase_add_test(c, merged_is_as_if_recorded_in_one);
    tcase_add_test(c, recording_is_measured);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
