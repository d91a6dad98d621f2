/* The window under a clock that the test moves, against all events kept in a list. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "engine/window.h"

#define S  UINT64_C(1000000000)
#define MS UINT64_C(1000000)

enum { EVENTS = 20000 };

static const uint64_t start = 12345678901234567;
static struct window w;
static uint64_t level[WINDOW_LEVELS];
static struct event {
    uint64_t at, took;
    bool failed;
} event[EVENTS];
static unsigned events, all, all_failed;

static void levels(void *arg, uint64_t ret[WINDOW_LEVELS])
{
    ck_assert_ptr_eq(arg, &w);
    memcpy(ret, level, sizeof(level));
}

static void setup(void)
{
    w = (struct window){.levels = levels, .arg = &w};
    memset(level, 0, sizeof(level));
    events = all = all_failed = 0;
    window_open(&w, 16 * S, start);
}

static void teardown(void)
{
    window_release(&w);
}

static void answer(uint64_t now, uint64_t took, bool failed)
{
    window_count(&w, now, failed);
    window_time(&w, histogram_part(took));
    all++;
    all_failed += failed;
    event[events++] = (struct event){now, took, failed};
}

static int by_took(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void near(uint64_t found, uint64_t exact)
{
    uint64_t off = found > exact ? found - exact : exact - found;
    ck_assert_msg(off <= exact / 60 + WINDOW_COARSE, "%llu, exactly %llu",
                  (unsigned long long)found, (unsigned long long)exact);
}

/* What the window says must be what the list says of the time it claims to be of. */
static struct window_view compare(uint64_t now)
{
    static uint64_t took[EVENTS];
    struct window_view v;
    uint64_t calls = 0, failed = 0;
    window_read(&w, now, &v);
    for (unsigned i = 0; i < events; i++) {
        if (event[i].at < now - v.ns || event[i].at > now)
            continue;
        took[calls++] = event[i].took;
        failed += event[i].failed;
    }
    ck_assert_uint_eq(v.calls, calls);
    ck_assert_uint_eq(v.failed, failed);
    ck_assert_uint_eq(v.timed, calls);
    ck_assert_uint_eq(v.all_calls, all);
    ck_assert_uint_eq(v.all_failed, all_failed);
    qsort(took, calls, sizeof(took[0]), by_took);
    if (calls) {
        double sum = 0;
        for (uint64_t i = 0; i < calls; i++)
            sum += (double)took[i];
        near(v.mean, (uint64_t)(sum / (double)calls));
        near(v.p50, took[(calls - 1) / 2]);
        near(v.p95, took[(calls * 95 + 99) / 100 - 1]);
        near(v.p99, took[(calls * 99 + 99) / 100 - 1]);
    }
    return v;
}

START_TEST(nothing_yet)
{
    struct window_view v = compare(start);
    ck_assert_uint_eq(v.ns + v.calls + v.p95 + v.level_ns, 0);
    level[0] = 7;
    v = compare(start + 2 * S);
    ck_assert_uint_eq(v.ns, 2 * S);
    ck_assert_uint_eq(v.level_ns, 2 * S);
    ck_assert_uint_eq(v.grown[0], 7);
}
END_TEST

START_TEST(what_is_old_is_forgotten)
{
    for (int i = 0; i < 100; i++)
        answer(start + S, 5 * MS, i % 4 == 0);
    struct window_view v = compare(start + 5 * S);
    ck_assert_uint_eq(v.calls, 100);
    ck_assert_uint_eq(v.failed, 25);
    v = compare(start + 15 * S);
    ck_assert_uint_eq(v.calls, 100);
    v = compare(start + 17 * S + S / 2);
    ck_assert_uint_eq(v.calls, 0);
    ck_assert(v.ns > 15 * S && v.ns <= 16 * S);
    answer(start + 3600 * S, MS, false);
    v = compare(start + 3600 * S);
    ck_assert_uint_eq(v.calls, 1);
}
END_TEST

START_TEST(any_traffic_is_counted_exactly)
{
    uint64_t now = start;
    srand(4);
    while (events < EVENTS) {
        unsigned step = (unsigned)rand();
        now += step % 50 == 0 ? step % (20 * S) : step % (20 * MS);
        answer(now, (uint64_t)rand() << (step % 9), step % 7 == 0);
        if (events % 97 == 0)
            compare(now + (uint64_t)rand() % (4 * S));
    }
}
END_TEST

/* What happened while nothing was answered is not put down to the last moment. */
START_TEST(levels_grow_over_the_time_they_are_of)
{
    for (uint64_t t = 0; t < 100; t++) {
        level[0] = t * 10;
        answer(start + t * S, MS, false);
    }
    struct window_view v = compare(start + 99 * S);
    ck_assert(v.level_ns > 14 * S && v.level_ns <= 16 * S);
    ck_assert_uint_eq(v.grown[0], v.level_ns / S * 10);
    /* Idle for 900 s, in which it grows by 300. */
    level[0] += 300;
    v = compare(start + 999 * S);
    ck_assert_uint_eq(v.level_ns, 900 * S);
    ck_assert_uint_eq(v.grown[0], 300);
    answer(start + 999 * S, MS, false);
    v = compare(start + 1000 * S);
    ck_assert_uint_ge(v.level_ns, 900 * S);
}
END_TEST

START_TEST(another_width_begins_anew)
{
    answer(start, MS, false);
    window_open(&w, 160 * S, start + S);
    events = 0;
    struct window_view v = compare(start + 2 * S);
    ck_assert_uint_eq(v.calls, 0);
    ck_assert_uint_eq(v.ns, S);
    answer(start + 3 * S, 9 * MS, true);
    v = compare(start + 150 * S);
    ck_assert_uint_eq(v.calls, 1);
    ck_assert_uint_eq(v.failed, 1);
    near(v.p95, 9 * MS);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("window");
    TCase *c = tcase_create("window");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, nothing_yet);
    tcase_add_test(c, what_is_old_is_forgotten);
    tcase_add_test(c, any_traffic_is_counted_exactly);
    tcase_add_test(c, levels_grow_over_the_time_they_are_of);
    tcase_add_test(c, another_width_begins_anew);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
