/* Plugins' own figures: names, the bound and who gets how much of it, and exact sums from many
 * threads. */
#include <check.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include "services/internal.h"
#include "services/metrics/series.h"

enum { THREADS = 8, EACH = 20000 };

static struct services *services;
static struct series_set *set;
static struct instance one, other;
static uv_loop_t loop;

static const mf_metrics *ask(struct instance *in)
{
    struct engine_services s = services_for_engine(services);
    return s.extension(s.arg, in, MF_EXT_METRICS);
}

static void setup_of(uint32_t limit)
{
    struct settings settings = {.metrics_series = limit, .data = (char *)"/nonexistent"};
    struct err e;
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    memset(&one, 0, sizeof(one));
    memset(&other, 0, sizeof(other));
    one.name = (char *)"one";
    other.name = (char *)"other";
    ck_assert_int_eq(services_open(&loop, &settings, &services, &e), 0);
    ck_assert_ptr_null(services_series(services));
    ck_assert_ptr_nonnull(ask(&one));
    ck_assert_ptr_eq(ask(&one), ask(&other));
    set = services_series(services);
}

static void setup(void)
{
    setup_of(1000);
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void teardown(void)
{
    bool closed = false;
    struct engine_services s = services_for_engine(services);
    s.release(s.arg, &one);
    s.release(s.arg, &other);
    services_close(services, on_closed, &closed);
    while (!closed)
        uv_run(&loop, UV_RUN_ONCE);
    uv_run(&loop, UV_RUN_DEFAULT);
    services_free(services);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static mf_bytes text(const char *s)
{
    return (mf_bytes){s, strlen(s)};
}

static mf_metric make(struct instance *in, uint32_t kind, const char *name, const char *unit,
                      const char *label, const char *value)
{
    mf_label l = {text(label), text(value)};
    mf_series s = {.size = sizeof(s),
                   .kind = kind,
                   .name = text(name),
                   .help = text("Help"),
                   .unit = text(unit),
                   .labels = &l,
                   .label_count = *label ? 1 : 0};
    return ask(in)->series(&in->host, &s);
}

static mf_metric plain(struct instance *in, uint32_t kind, const char *name)
{
    return make(in, kind, name, "", "", "");
}

static const struct series *find(struct instance *in, mf_metric m)
{
    return series_find(in->services->series, m, ~0u);
}

static double value_of(struct instance *in, mf_metric m)
{
    struct series_value v;
    ck_assert_ptr_nonnull(find(in, m));
    series_read(find(in, m), &v);
    return v.value;
}

static uint32_t used(void)
{
    struct series_usage u;
    series_usage(set, &u);
    return u.count;
}

START_TEST(the_same_is_the_same)
{
    mf_label ab[] = {{MF_LIT("a"), MF_LIT("1")}, {MF_LIT("b"), MF_LIT("2")}};
    mf_label ba[] = {ab[1], ab[0]};
    mf_series s = {
        .size = sizeof(s), .kind = MF_COUNTER, .name = MF_LIT("n"), .labels = ab, .label_count = 2};
    mf_metric first = ask(&one)->series(&one.host, &s);
    s.labels = ba;
    ck_assert(first != 0);
    ck_assert_uint_eq(ask(&one)->series(&one.host, &s), first);
    s.label_count = 1;
    ck_assert_uint_ne(ask(&one)->series(&one.host, &s), first);
    ck_assert_uint_ne(ask(&other)->series(&other.host, &s), first);
    const struct series *p = find(&one, first);
    ck_assert(p->labels == 2 && str_eq(p->label[0].name, STR("a")) &&
              str_eq(p->label[1].value, STR("2")));
    /* What goes out under one name is one series. */
    mf_metric seconds = make(&one, MF_COUNTER, "t", "seconds", "", "");
    ck_assert_uint_eq(make(&one, MF_COUNTER, "t_seconds", "seconds", "", ""), seconds);
    ck_assert_uint_eq(make(&one, MF_COUNTER, "t_seconds_total", "", "", ""), seconds);
    ck_assert_str_eq(find(&one, seconds)->family->name, "manifold_plugin_t_seconds_total");
    ck_assert_str_eq(find(&one, plain(&one, MF_GAUGE, "x_bytes_seconds"))->family->name,
                     "manifold_plugin_x_bytes_seconds");
}
END_TEST

START_TEST(what_is_wrong_is_refused)
{
    static const char *const names[] = {"",        "A",     "1a", "a-b",      "a.b",
                                        "a_count", "a_sum", "_a", "a_bucket", "a\xc3\xa4"};
    char longest[70];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ck_assert_msg(plain(&one, MF_HISTOGRAM, names[i]) == 0, "%s", names[i]);
    memset(longest, 'a', sizeof(longest));
    longest[65] = 0;
    ck_assert_uint_eq(plain(&one, MF_COUNTER, longest), 0);
    longest[64] = 0;
    ck_assert(plain(&one, MF_COUNTER, longest) != 0);
    ck_assert_uint_eq(plain(&one, MF_GAUGE, "a_total"), 0);
    ck_assert_uint_eq(plain(&one, 0, "a"), 0);
    ck_assert_uint_eq(plain(&one, 4, "a"), 0);
    ck_assert_uint_eq(make(&one, MF_GAUGE, "a", "miles", "", ""), 0);
    ck_assert_uint_eq(make(&one, MF_GAUGE, "a", "", "plugin", "x"), 0);
    ck_assert_uint_eq(make(&one, MF_GAUGE, "a", "", "le", "x"), 0);
    ck_assert_uint_eq(make(&one, MF_GAUGE, "a", "", "B", "x"), 0);
    ck_assert_uint_eq(make(&one, MF_GAUGE, "a", "", "b", "\xff"), 0);
    struct series_usage u;
    series_usage_of(set, "one", &u);
    ck_assert(u.count == 1 && u.refused == 19);
    /* Another kind or unit of what is there. */
    ck_assert(plain(&one, MF_GAUGE, "g") != 0);
    ck_assert_uint_eq(plain(&one, MF_HISTOGRAM, "g"), 0);
    ck_assert_uint_eq(make(&one, MF_GAUGE, "g", "bytes", "x", "y"), 0);
    ck_assert(make(&one, MF_GAUGE, "g", "", "x", "y") != 0);
}
END_TEST

START_TEST(long_values_are_cut_between_characters)
{
    char value[121];
    for (int i = 0; i < 40; i++)
        memcpy(value + 3 * i, "\xc3\xa4z", 4);
    const struct series *p = find(&one, make(&one, MF_GAUGE, "g", "", "l", value));
    ck_assert_uint_eq(p->label[0].value.n, 63); /* the next has its bytes 63 and 64 */
    ck_assert(memcmp(p->label[0].value.p, value, 63) == 0);
    memset(value, 'v', 120);
    p = find(&one, make(&one, MF_GAUGE, "g", "", "l", value));
    ck_assert_uint_eq(p->label[0].value.n, 64);
}
END_TEST

START_TEST(plugins_do_not_share_names)
{
    mf_metric a = plain(&one, MF_GAUGE, "same"), b = plain(&other, MF_GAUGE, "same");
    mf_metric c = plain(&other, MF_HISTOGRAM, "other"), d = plain(&one, MF_GAUGE, "other");
    ck_assert_ptr_eq(find(&one, a)->family, find(&other, b)->family);
    ck_assert_str_eq(find(&other, c)->family->name, "manifold_plugin_other");
    ck_assert_str_eq(find(&one, d)->family->name, "manifold_plugin_other_GAUGE");
    ask(&one)->set(&one.host, a, 3);
    ask(&one)->set(&one.host, b, 4); /* not its own */
    ck_assert(value_of(&one, a) == 3 && value_of(&other, b) == 0);
    ck_assert_uint_eq(one.misuse, 1);
}
END_TEST

START_TEST(what_is_no_figure_is_left_out)
{
    const mf_metrics *m = ask(&one);
    mf_metric c = plain(&one, MF_COUNTER, "c"), g = plain(&one, MF_GAUGE, "g");
    mf_metric h = plain(&one, MF_HISTOGRAM, "h");
    m->add(&one.host, c, -1);
    m->add(&one.host, c, NAN);
    m->add(&one.host, g, INFINITY);
    m->set(&one.host, c, 1);
    m->set(&one.host, g, -INFINITY);
    m->observe(&one.host, h, -1);
    m->observe(&one.host, g, 1);
    m->add(&one.host, h, 1);
    m->add(&one.host, c + 50, 1);
    m->add(&one.host, c + (UINT64_C(1) << 32), 1);
    m->add(&one.host, UINT64_MAX, 1);
    m->add(&one.host, 900000, 1);
    ck_assert_uint_eq(one.misuse, 12);
    m->add(&one.host, 0, 1);
    m->set(&one.host, 0, 1);
    m->observe(&one.host, 0, 1);
    ck_assert_uint_eq(one.misuse, 12);
    ck_assert(value_of(&one, c) == 0 && value_of(&one, h) == 0);
    m->add(&one.host, g, -2.5);
    m->add(&one.host, c, 0x1p52);
    m->add(&one.host, c, 0.25);
    m->add(&one.host, c, 0x1p60);
    ck_assert(value_of(&one, g) == -2.5);
    ck_assert(value_of(&one, c) == 0x1p60 + 0x1p52 + 0.25);
}
END_TEST

START_TEST(buckets)
{
    const mf_metrics *m = ask(&one);
    mf_metric h = make(&one, MF_HISTOGRAM, "h", "seconds", "", "");
    struct series_value v;
    series_read(find(&one, h), &v);
    ck_assert(v.count == 0 && series_quantile(&v, 0.5) == 0);
    for (int i = 1; i <= 1000; i++)
        m->observe(&one.host, h, i / 1000.0);
    m->observe(&one.host, h, 1000);
    m->observe(&one.host, h, 0);
    series_read(find(&one, h), &v);
    ck_assert_uint_eq(v.count, 1002);
    ck_assert(fabs(v.value - 1500.5) < 1e-6 && v.max == 1000);
    for (uint32_t i = 0; i < v.bounds->count; i++) {
        uint64_t exact = 1;
        for (int k = 1; k <= 1000; k++)
            exact += k / 1000.0 <= v.bounds->bound[i];
        ck_assert_uint_eq(v.cumulative[i], exact);
        ck_assert(i == 0 || v.bounds->bound[i] > v.bounds->bound[i - 1]);
    }
    ck_assert(fabs(series_quantile(&v, 0.5) - 0.5) < 0.002);
    ck_assert(series_quantile(&v, 1) == 1000);
}
END_TEST

START_TEST(the_bound_is_shared_fairly)
{
    teardown();
    setup_of(100);
    char value[16];
    unsigned got[2] = {0};
    struct instance *in[] = {&one, &other};
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 1000; i++) {
            snprintf(value, sizeof(value), "%d", i);
            got[k] += make(in[k], MF_COUNTER, "c", "", "user", value) != 0;
        }
    }
    ck_assert_uint_eq(got[0], 50);
    ck_assert_uint_eq(got[1], 25);
    ck_assert(make(&one, MF_COUNTER, "c", "", "user", "7") != 0); /* it is there */
    struct series_usage u;
    series_usage(set, &u);
    ck_assert(u.count == 75 && u.limit == 100 && u.refused == 950 + 975);
    series_usage_of(set, "other", &u);
    ck_assert(u.count == 25 && u.refused == 975);
    services_settings(services, &(struct settings){.metrics_series = 1000});
    ck_assert(make(&one, MF_COUNTER, "c", "", "user", "900") != 0);
    services_settings(services, &(struct settings){.metrics_series = 1});
    ck_assert_uint_eq(make(&one, MF_COUNTER, "c", "", "user", "901"), 0);
    ck_assert_uint_eq(used(), 76);
}
END_TEST

START_TEST(a_plugin_that_goes_gives_all_back)
{
    struct engine_services s = services_for_engine(services);
    mf_metric kept = plain(&other, MF_COUNTER, "c"), gone = 0;
    for (int round = 0; round < 3; round++) {
        mf_metric m = plain(&one, MF_COUNTER, "c");
        make(&one, MF_HISTOGRAM, "h", "bytes", "a", "b");
        ck_assert(m != 0 && m != gone && m != kept);
        ask(&one)->add(&one.host, m, 5);
        /* The next generation of the plugin goes on with it. */
        s.release(s.arg, &one);
        ck_assert_uint_eq(plain(&one, MF_COUNTER, "c"), m);
        ck_assert(value_of(&one, m) == 5);
        ck_assert_uint_eq(used(), 3);
        s.release(s.arg, &one);
        s.gone(s.arg, "one");
        ck_assert_uint_eq(used(), 1);
        ask(&one);
        ck_assert_ptr_null(find(&one, m));
        gone = m;
    }
    ask(&other)->add(&other.host, kept, 1);
    ck_assert(value_of(&other, kept) == 1);
}
END_TEST

enum { FAMILIES = 10, VALUES = 10 };

struct seen {
    unsigned of_one[FAMILIES][VALUES];
    char family[64]; /* the one it is in */
    unsigned families, steps;
};

static void note(void *arg, const struct series_family *f, const struct series *s, bool first)
{
    struct seen *seen = arg;
    ck_assert_int_eq(first, strcmp(seen->family, f->name) != 0);
    snprintf(seen->family, sizeof(seen->family), "%s", f->name);
    seen->families += first;
    unsigned family;
    if (strcmp(series_instance(s), "one") != 0)
        return;
    ck_assert_int_eq(sscanf(f->name, "manifold_plugin_f%u", &family), 1);
    ck_assert(family < FAMILIES && s->label[0].value.n == 1);
    seen->of_one[family][s->label[0].value.p[0] - '0']++;
}

static void make_some(struct instance *in, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        char name[16], value[16];
        snprintf(name, sizeof(name), "f%u", i / VALUES);
        snprintf(value, sizeof(value), "%u", i % VALUES);
        ck_assert(make(in, MF_GAUGE, name, "", "by", value) != 0);
    }
}

/* With all its generations. */
static void leave(struct instance *in)
{
    struct engine_services s = services_for_engine(services);
    s.release(s.arg, in);
    s.gone(s.arg, in->name);
    ask(in); /* the next with this name */
}

/* What is there all the time is seen once, whatever comes and goes between the steps. */
START_TEST(a_walk_in_steps)
{
    srand(1);
    for (int round = 0; round < 200; round++) {
        struct series_cursor c, unfinished;
        struct seen seen = {.families = 0}, begun = {.families = 0};
        make_some(&other, (unsigned)rand() % 50, 50 + (unsigned)rand() % 60); /* f10: it alone */
        make_some(&one, 0, FAMILIES * VALUES);
        series_look(set, &c);
        series_look(set, &unfinished);
        while (series_next(set, &c, 1 + (unsigned)rand() % 30, note, &seen)) {
            series_next(set, &unfinished, 1, note, &begun);
            if (rand() % 4 == 0)
                leave(&other);
            else if (rand() % 4 == 0)
                make_some(&other, 100, 110);
        }
        for (unsigned i = 0; i < FAMILIES * VALUES; i++)
            ck_assert_uint_eq(seen.of_one[i / VALUES][i % VALUES], 1);
        ck_assert_uint_ge(seen.families, FAMILIES);
        series_look_end(set, &unfinished);
        leave(round % 2 ? &one : &other);
    }
}
END_TEST

static mf_metric shared[3];

static void *count_up(void *arg)
{
    const mf_metrics *m = ask(&one);
    char value[16];
    for (int i = 0; i < EACH; i++) {
        m->add(&one.host, shared[0], i % 2 ? 1 : 0.5);
        m->add(&one.host, shared[1], i % 2 ? 2 : -1);
        m->observe(&one.host, shared[2], i % 1000);
        if (i % 100 == 0) {
            snprintf(value, sizeof(value), "%d", i / 100 % 50);
            m->add(&one.host, make(&one, MF_COUNTER, "made", "", "by", value), 1);
        }
    }
    return arg;
}

static void *read_all(void *arg)
{
    atomic_bool *stop = arg;
    struct series_value v;
    while (!atomic_load(stop)) {
        const struct list *families = series_walk(set);
        list_each (it, families) {
            const struct series_family *f = container_of(it, struct series_family, in_set);
            list_each (k, &f->series) {
                const struct series *s = container_of(k, struct series, in_family);
                series_read(s, &v);
                ck_assert_str_eq(series_instance(s), "one");
            }
        }
        series_walk_end(set);
    }
    return NULL;
}

START_TEST(many_threads_lose_nothing)
{
    pthread_t thread[THREADS], reader;
    atomic_bool stop = false;
    struct series_value v;
    shared[0] = plain(&one, MF_COUNTER, "c");
    shared[1] = plain(&one, MF_GAUGE, "g");
    shared[2] = plain(&one, MF_HISTOGRAM, "h");
    ck_assert_int_eq(pthread_create(&reader, NULL, read_all, &stop), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, count_up, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    atomic_store(&stop, true);
    pthread_join(reader, NULL);
    ck_assert(value_of(&one, shared[0]) == THREADS * EACH * 0.75);
    ck_assert(value_of(&one, shared[1]) == THREADS * EACH * 0.5);
    series_read(find(&one, shared[2]), &v);
    ck_assert(v.count == THREADS * EACH && v.max == 999 && v.value == THREADS * EACH * 499.5);
    ck_assert_uint_eq(used(), 53);
    ck_assert_uint_eq(one.misuse, 0);
    double made = 0;
    char value[16];
    for (int i = 0; i < 50; i++) {
        snprintf(value, sizeof(value), "%d", i);
        made += value_of(&one, make(&one, MF_COUNTER, "made", "", "by", value));
    }
    ck_assert(made == THREADS * EACH / 100);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("services: metrics");
    TCase *c = tcase_create("metrics");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, the_same_is_the_same);
    tcase_add_test(c, what_is_wrong_is_refused);
    tcase_add_test(c, long_values_are_cut_between_characters);
    tcase_add_test(c, plugins_do_not_share_names);
    tcase_add_test(c, what_is_no_figure_is_left_out);
    tcase_add_test(c, buckets);
    tcase_add_test(c, the_bound_is_shared_fairly);
    tcase_add_test(c, a_plugin_that_goes_gives_all_back);
    tcase_add_test(c, a_walk_in_steps);
    tcase_add_test(c, many_threads_lose_nothing);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
