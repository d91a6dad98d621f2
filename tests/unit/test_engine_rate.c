/* The token bucket and the breaker under a clock that the test moves. */
#include <check.h>
#include <stdlib.h>
#include "engine/breaker.h"
#include "engine/rate.h"

#define S  UINT64_C(1000000000)
#define MS UINT64_C(1000000)

/* Any time but zero. */
static const uint64_t start = 12345678901234567;

static bool takes(struct rate_bucket *b, struct rate limit, uint64_t now)
{
    if (rate_wait(b, limit, now))
        return false;
    rate_spend(b, limit);
    return true;
}

START_TEST(a_burst_then_the_rate)
{
    struct rate limit = {50, 100};
    struct rate_bucket b = {0};
    unsigned taken = 0;
    while (takes(&b, limit, start))
        taken++;
    ck_assert_uint_eq(taken, 100);
    for (uint64_t t = start; t < start + 10 * S; t += 100000)
        taken += takes(&b, limit, t);
    ck_assert_uint_eq(taken, 100 + 499);
    /* Idle for long: the burst again, no more. */
    for (taken = 0; takes(&b, limit, start + 3600 * S);)
        taken++;
    ck_assert_uint_eq(taken, 100);
}
END_TEST

START_TEST(the_wait_is_exact)
{
    static const uint32_t rates[] = {1, 3, 7, 50, 999, 1000, 30011, 1000000};
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct rate limit = {rates[i], 1};
        struct rate_bucket b = {0};
        ck_assert(takes(&b, limit, start));
        uint64_t wait = rate_wait(&b, limit, start);
        ck_assert_uint_eq(wait, (S + rates[i] - 1) / rates[i]);
        ck_assert_uint_eq(rate_wait(&b, limit, start + wait - 1), 1);
        ck_assert(takes(&b, limit, start + wait));
    }
}
END_TEST

/* However the time is cut up, no part of a token is lost: 3/s over 1,000 s is 3,000 tokens. */
START_TEST(no_fraction_is_lost)
{
    struct rate limit = {3, 2};
    struct rate_bucket b = {0};
    uint64_t now = start, taken = 0;
    unsigned seed = 7;
    while (now < start + 1000 * S) {
        taken += takes(&b, limit, now);
        now += (uint64_t)rand_r(&seed) % 1000000;
    }
    ck_assert_uint_ge(taken, 3000);
    ck_assert_uint_le(taken, 3002);
}
END_TEST

START_TEST(none_admits_all_and_a_clock_that_stands_none)
{
    struct rate_bucket b = {0};
    for (int i = 0; i < 1000; i++)
        ck_assert(takes(&b, (struct rate){0, 0}, start));
    struct rate_bucket c = {0};
    ck_assert(takes(&c, (struct rate){1, 1}, start));
    ck_assert(!takes(&c, (struct rate){1, 1}, start));
    ck_assert(!takes(&c, (struct rate){1, 1}, start - S)); /* backwards brings nothing */
}
END_TEST

static const struct breaker_spec spec = {.failures = 3, .within = 16 * S, .cooldown = 2 * S};

static bool passes(struct breaker *b, uint64_t now)
{
    uint64_t wait = 0;
    return breaker_admits(b, &spec, now, &wait);
}

static struct breaker opened_at(uint64_t now)
{
    struct breaker b = {0};
    ck_assert(!breaker_failed(&b, &spec, now, 0));
    ck_assert(!breaker_failed(&b, &spec, now, 0));
    ck_assert_uint_eq(breaker_failures(&b, &spec, now), 2);
    ck_assert(breaker_failed(&b, &spec, now, 0));
    ck_assert_int_eq(b.state, BREAKER_OPEN);
    return b;
}

START_TEST(failures_within_the_window_open_it)
{
    struct breaker b = opened_at(start);
    uint64_t wait = 0;
    ck_assert(!breaker_admits(&b, &spec, start, &wait));
    ck_assert_uint_eq(wait, 2 * S);
    ck_assert(!breaker_admits(&b, &spec, start + 2 * S - 1, &wait));
    ck_assert_uint_eq(wait, 1);
    ck_assert_uint_eq(b.opened, 1);
}
END_TEST

START_TEST(failures_that_are_old_do_not)
{
    struct breaker b = {0};
    for (int i = 0; i < 50; i++)
        ck_assert(!breaker_failed(&b, &spec, start + (uint64_t)i * 8 * S + 1, 0));
    ck_assert_int_eq(b.state, BREAKER_CLOSED);
    /* Two of them are younger than the window: one more is the third. */
    ck_assert(breaker_failed(&b, &spec, start + 49 * 8 * S + 2 * S, 0));
}
END_TEST

START_TEST(one_trial_closes_or_opens)
{
    struct breaker b = opened_at(start);
    uint64_t now = start + 2 * S;
    ck_assert(passes(&b, now));
    ck_assert_int_eq(b.state, BREAKER_HALF_OPEN);
    ck_assert(passes(&b, now)); /* asking is not taking */
    uint64_t first = breaker_take(&b);
    ck_assert_uint_ne(first, 0);
    ck_assert(!passes(&b, now));
    ck_assert(!passes(&b, now + 100 * S));
    ck_assert(breaker_failed(&b, &spec, now, first));
    ck_assert(!passes(&b, now + 2 * S - 1));
    now += 2 * S;
    ck_assert(passes(&b, now));
    uint64_t second = breaker_take(&b);
    ck_assert(!breaker_succeeded(&b, first)); /* a trial of before tells nothing */
    ck_assert(!breaker_succeeded(&b, 0));     /* nor does a call from before it opened */
    ck_assert(!breaker_failed(&b, &spec, now, 0));
    ck_assert(!passes(&b, now));
    ck_assert(breaker_succeeded(&b, second));
    ck_assert(passes(&b, now));
    ck_assert_uint_eq(breaker_take(&b), 0);
    ck_assert_uint_eq(b.opened, 2);
}
END_TEST

START_TEST(a_cancelled_trial_leaves_its_place)
{
    struct breaker b = opened_at(start);
    ck_assert(passes(&b, start + 2 * S));
    breaker_undecided(&b, breaker_take(&b));
    ck_assert_int_eq(b.state, BREAKER_HALF_OPEN);
    ck_assert(passes(&b, start + 2 * S));
    ck_assert(breaker_succeeded(&b, breaker_take(&b)));
}
END_TEST

START_TEST(holding_the_loop_three_times_opens_it)
{
    struct breaker b = {0};
    ck_assert(!breaker_held(&b, &spec, start));
    ck_assert(!breaker_held(&b, &spec, start + S));
    ck_assert(!breaker_held(&b, &spec, start + 18 * S)); /* the others are too old */
    ck_assert(!breaker_held(&b, &spec, start + 18 * S));
    ck_assert(breaker_held(&b, &spec, start + 18 * S));
    ck_assert_int_eq(b.state, BREAKER_OPEN);
}
END_TEST

START_TEST(zero_failures_turn_it_off)
{
    static const struct breaker_spec off = {.failures = 0, .within = S, .cooldown = S};
    struct breaker b = {0};
    for (int i = 0; i < 100; i++) {
        ck_assert(!breaker_failed(&b, &off, start, 0));
        ck_assert(!breaker_held(&b, &off, start));
    }
    ck_assert(passes(&b, start));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("rate and breaker");
    TCase *c = tcase_create("clock");
    tcase_add_test(c, a_burst_then_the_rate);
    tcase_add_test(c, the_wait_is_exact);
    tcase_add_test(c, no_fraction_is_lost);
    tcase_add_test(c, none_admits_all_and_a_clock_that_stands_none);
    tcase_add_test(c, failures_within_the_window_open_it);
    tcase_add_test(c, failures_that_are_old_do_not);
    tcase_add_test(c, one_trial_closes_or_opens);
    tcase_add_test(c, a_cancelled_trial_leaves_its_place);
    tcase_add_test(c, holding_the_loop_three_times_opens_it);
    tcase_add_test(c, zero_failures_turn_it_off);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
