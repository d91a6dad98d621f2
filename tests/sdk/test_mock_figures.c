/* tests/sdk/test_mock_figures.c - the mock's metrics/1 and notify/1: what a plugin counts and tells
 * can be read, and what the host would refuse is a mistake. */
#include <manifold/metrics.h>
#include <manifold/mock.h>
#include <manifold/notify.h>

#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, EACH = 5000 };

static mf_status fixture_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    (void)host, (void)config;
    *ret_self = NULL;
    return MF_OK;
}

static void fixture_call(void *self, const mf_request *request)
{
    (void)self, (void)request;
}

static void fixture_close(void *self)
{
    (void)self;
}

static const mf_plugin fixture = {.size = sizeof(mf_plugin),
                                  .abi_minor = MF_ABI_MINOR,
                                  .id = "org.example.fixture",
                                  .version = "1",
                                  .open = fixture_open,
                                  .call = fixture_call,
                                  .close = fixture_close};

static mf_mock *m;
static const mf_host *host;
static const mf_metrics *metrics;
static const mf_notify *notify;

static void setup(void)
{
    m = mf_mock_new(&fixture);
    ck_assert_int_eq(mf_mock_open(m, NULL), MF_OK);
    host = mf_mock_host(m);
    metrics = host->extension(host, MF_EXT_METRICS);
    notify = host->extension(host, MF_EXT_NOTIFY);
    ck_assert(metrics != NULL && notify != NULL);
}

static void teardown(void)
{
    mf_mock_free(m);
}

static mf_metric ask(uint32_t kind, const char *name, const char *unit, const mf_label *labels,
                     size_t count)
{
    mf_series s = {sizeof(s), kind, {name, strlen(name)}, MF_LIT("Help"), {unit, strlen(unit)},
                   labels,    count};
    return metrics->series(host, &s);
}

START_TEST(series_can_be_read)
{
    mf_label ab[] = {{MF_LIT("a"), MF_LIT("1")}, {MF_LIT("b"), MF_LIT("x y")}};
    mf_label ba[] = {ab[1], ab[0]};
    mf_mock_metric f;
    ck_assert_int_eq(mf_mock_metric_read(m, "jobs", NULL, &f), 0);
    mf_metric jobs = ask(MF_COUNTER, "jobs", "", ab, 2),
              plain = ask(MF_COUNTER, "jobs", "", NULL, 0);
    ck_assert(jobs != 0 && plain != 0 && plain != jobs);
    ck_assert_uint_eq(ask(MF_COUNTER, "jobs", "", ba, 2), jobs);
    metrics->add(host, jobs, 2);
    metrics->add(host, jobs, 0.5);
    ck_assert_int_eq(mf_mock_metric_read(m, "jobs", "b=x y,a=1", &f), 1);
    ck_assert(f.kind == MF_COUNTER && f.value == 2.5);
    ck_assert_int_eq(mf_mock_metric_read(m, "jobs", "", &f), 1);
    ck_assert(f.value == 0);
    ck_assert_int_eq(mf_mock_metric_read(m, "jobs", "a=1", &f), 0);
    mf_metric load = ask(MF_GAUGE, "load", "", NULL, 0);
    metrics->set(host, load, 7);
    metrics->add(host, load, -9);
    ck_assert_int_eq(mf_mock_metric_read(m, "load", NULL, &f), 1);
    ck_assert(f.kind == MF_GAUGE && f.value == -2);
    mf_metric took = ask(MF_HISTOGRAM, "took", "seconds", NULL, 0);
    ck_assert_int_eq(mf_mock_metric_read(m, "took", NULL, &f), 1);
    ck_assert(f.count == 0 && f.min == 0 && f.max == 0);
    for (int i = 1; i <= 3; i++)
        metrics->observe(host, took, i);
    ck_assert_int_eq(mf_mock_metric_read(m, "took", NULL, &f), 1);
    ck_assert(f.count == 3 && f.value == 6 && f.min == 1 && f.max == 3);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 0);
}
END_TEST

START_TEST(what_the_host_refuses_is_a_mistake)
{
    mf_label plugin = {MF_LIT("plugin"), MF_LIT("x")}, bad = {MF_LIT("a"), MF_LIT("\xff")};
    mf_label twice[] = {{MF_LIT("a"), MF_LIT("1")}, {MF_LIT("a"), MF_LIT("2")}};
    mf_metric c = ask(MF_COUNTER, "c", "", NULL, 0), g = ask(MF_GAUGE, "g", "", NULL, 0);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 0);
    ck_assert_uint_eq(ask(7, "x", "", NULL, 0), 0);
    ck_assert_uint_eq(ask(MF_COUNTER, "Bad", "", NULL, 0), 0);
    ck_assert_uint_eq(ask(MF_GAUGE, "x_total", "", NULL, 0), 0);
    ck_assert_uint_eq(ask(MF_COUNTER, "x", "miles", NULL, 0), 0);
    ck_assert_uint_eq(ask(MF_COUNTER, "x", "", &plugin, 1), 0);
    ck_assert_uint_eq(ask(MF_COUNTER, "x", "", &bad, 1), 0);
    ck_assert_uint_eq(ask(MF_COUNTER, "x", "", twice, 2), 0);
    ck_assert_uint_eq(ask(MF_GAUGE, "c", "", NULL, 0), 0);
    ck_assert_uint_eq(ask(MF_COUNTER, "c", "bytes", twice, 1), 0);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 9);
    metrics->add(host, c, -1);
    metrics->add(host, c, NAN);
    metrics->set(host, c, 1);
    metrics->observe(host, g, 1);
    metrics->set(host, g, INFINITY);
    metrics->add(host, 99, 1);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 15);
    metrics->add(host, 0, 1); /* a series that was refused may be used */
    metrics->set(host, 0, 1);
    metrics->observe(host, 0, 1);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 15);
    mf_mock_metric f;
    ck_assert(mf_mock_metric_read(m, "c", NULL, &f) && f.value == 0);
}
END_TEST

START_TEST(too_many_series_are_refused)
{
    mf_mock_set_series_limit(m, 2);
    ck_assert(ask(MF_COUNTER, "a", "", NULL, 0) != 0 && ask(MF_COUNTER, "b", "", NULL, 0) != 0);
    ck_assert_uint_eq(ask(MF_COUNTER, "c", "", NULL, 0), 0);
    ck_assert(ask(MF_COUNTER, "a", "", NULL, 0) != 0);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 0); /* it happens to the best */
}
END_TEST

static void *count_up(void *arg)
{
    mf_metric c = *(mf_metric *)arg;
    for (int i = 0; i < EACH; i++)
        metrics->add(host, c, 1);
    notify->resource_updated(host, MF_LIT("x://thread"));
    return NULL;
}

START_TEST(threads_lose_nothing)
{
    pthread_t thread[THREADS];
    mf_metric c = ask(MF_COUNTER, "c", "", NULL, 0);
    mf_mock_metric f;
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, count_up, &c), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    ck_assert(mf_mock_metric_read(m, "c", NULL, &f) && f.value == THREADS * EACH);
    ck_assert_uint_eq(mf_mock_notices(m, NULL), THREADS);
}
END_TEST

START_TEST(notices_are_kept_in_order)
{
    const mf_mock_notice *n;
    ck_assert_uint_eq(mf_mock_notices(m, &n), 0);
    ck_assert_int_eq(notify->resource_updated(host, MF_LIT("x://a")), MF_OK);
    ck_assert_int_eq(notify->list_changed(host, MF_PROMPT), MF_OK);
    ck_assert_int_eq(notify->resource_updated(host, MF_LIT("x://a")), MF_OK);
    ck_assert_uint_eq(mf_mock_notices(m, &n), 3);
    ck_assert(n[0].kind == 0 && strcmp(n[0].uri.data, "x://a") == 0 && n[0].uri.len == 5);
    ck_assert(n[1].kind == MF_PROMPT && n[1].uri.len == 0);
    ck_assert(n[2].kind == 0 && strcmp(n[2].uri.data, "x://a") == 0);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 0);
    static char longest[MF_NOTIFY_URI_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    ck_assert_int_eq(notify->resource_updated(host, (mf_bytes){longest, sizeof(longest)}),
                     MF_EINVAL);
    ck_assert_int_eq(notify->resource_updated(host, MF_LIT("")), MF_EINVAL);
    ck_assert_int_eq(notify->list_changed(host, MF_COMPLETION), MF_EINVAL);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 3);
    ck_assert_uint_eq(mf_mock_notices(m, NULL), 3);
}
END_TEST

START_TEST(they_can_be_taken_away)
{
    mf_mock_set_extension(m, MF_EXT_METRICS, NULL);
    mf_mock_set_extension(m, MF_EXT_NOTIFY, NULL);
    ck_assert_ptr_null(host->extension(host, MF_EXT_METRICS));
    ck_assert_ptr_null(host->extension(host, MF_EXT_NOTIFY));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mock: metrics and notify");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, series_can_be_read);
    tcase_add_test(t, what_the_host_refuses_is_a_mistake);
    tcase_add_test(t, too_many_series_are_refused);
    tcase_add_test(t, threads_lose_nothing);
    tcase_add_test(t, notices_are_kept_in_order);
    tcase_add_test(t, they_can_be_taken_away);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
