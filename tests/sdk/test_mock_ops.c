/* tests/sdk/test_mock_ops.c - operations of the mock's services keep what op.h promises. */
#include <manifold/mock.h>
#include <manifold/timer.h>
#include <manifold/work.h>

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MS = 1000000, LONG = 10000 /* ms of real time that a test may take when all is lost */ };

/* ---- a plugin whose tools do nothing; the test does it for them ------------- */

struct fixture {
    const mf_host *host;
};

/* What the callbacks of a test have told. */
struct seen {
    atomic_int ends, ticks, steps;
    mf_status status;
    mf_op op;
    pthread_t thread;
    const mf_host *host;
    mf_op abort_in_tick;
};
static struct seen *of_open; /* what operations begun in open() tell */
static int closes, refuse_open, begin_in_quiesce;

static void ended(void *arg, const mf_end *end)
{
    struct seen *s = arg;
    ck_assert_uint_eq(end->size, sizeof(*end));
    s->ends++;
    s->status = end->status;
    s->op = end->op;
    s->thread = pthread_self();
}

static void ticked(void *arg)
{
    struct seen *s = arg;
    s->ticks++;
    if (s->abort_in_tick) {
        const mf_timer *t = s->host->extension(s->host, MF_EXT_TIMER);
        ck_assert_int_eq(t->abort(s->host, s->abort_in_tick), MF_OK);
    }
}

static void worked(void *arg)
{
    ((struct seen *)arg)->steps++;
}

static mf_status fixture_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct fixture *f = calloc(1, sizeof(*f));
    (void)config;
    f->host = host;
    if (of_open != NULL) {
        const mf_timer *t = host->extension(host, MF_EXT_TIMER);
        const mf_work *w = host->extension(host, MF_EXT_WORK);
        ck_assert_uint_ne(t->after(host, 0, MS, ended, of_open), 0);
        ck_assert_uint_ne(w->run(host, 0, worked, ended, of_open), 0);
    }
    *ret_self = f;
    if (refuse_open)
        free(f);
    return refuse_open ? MF_EIO : MF_OK;
}

/* A BLOCKING tool: begins work from its own thread; its end finishes the call. */
struct job {
    const mf_host *host;
    mf_call call;
};

static void job_step(void *arg, uint64_t i)
{
    struct job *j = arg;
    j->host->progress(j->host, j->call, (double)i, 0, MF_LIT(""));
}

static void job_ended(void *arg, const mf_end *end)
{
    struct job *j = arg;
    ck_assert_int_eq(end->status, MF_OK);
    j->host->finish(j->host, j->call, MF_DONE, MF_LIT(""));
    free(j);
}

static void fixture_call(void *self, const mf_request *r)
{
    struct fixture *f = self;
    if (r->index != 1)
        return; /* "keep": the test finishes it */
    struct job *j = calloc(1, sizeof(*j));
    const mf_work *w = f->host->extension(f->host, MF_EXT_WORK);
    j->host = f->host;
    j->call = r->call;
    ck_assert_uint_ne(w->each(f->host, r->call, 1, job_step, job_ended, j), 0);
}

static void fixture_quiesce(void *self)
{
    struct fixture *f = self;
    if (begin_in_quiesce) {
        const mf_timer *t = f->host->extension(f->host, MF_EXT_TIMER);
        ck_assert_uint_ne(t->after(f->host, 0, MS, ended, of_open), 0);
    }
}

static void fixture_close(void *self)
{
    closes++;
    free(self);
}

#define ENTRY(text, flag)            \
    &(const mf_entry)                \
    {                                \
        sizeof(mf_entry), flag, text \
    }
static const mf_entry *const tools[] = {ENTRY("keep", 0), ENTRY("work", MF_TOOL_BLOCKING), NULL};
static const mf_plugin plugin = {
    .size = sizeof(mf_plugin),
    .abi_minor = MF_ABI_MINOR,
    .id = "org.example.ops",
    .version = "1.0.0",
    .tools = tools,
    .open = fixture_open,
    .call = fixture_call,
    .quiesce = fixture_quiesce,
    .close = fixture_close,
};

struct mock {
    mf_mock *m;
    const mf_host *h;
    const mf_timer *timer;
    const mf_work *work;
};

static void setup(void)
{
    of_open = NULL;
    closes = refuse_open = begin_in_quiesce = 0;
}

static struct mock opened(void)
{
    struct mock x = {.m = mf_mock_new(&plugin)};
    ck_assert_int_eq(mf_mock_open(x.m, NULL), MF_OK);
    x.h = mf_mock_host(x.m);
    x.timer = x.h->extension(x.h, MF_EXT_TIMER);
    x.work = x.h->extension(x.h, MF_EXT_WORK);
    ck_assert(x.timer != NULL && x.work != NULL);
    return x;
}

/* Closes and frees; the plugin has made `mistakes` mistakes. */
static void done(struct mock x, size_t mistakes)
{
    const char *const *list;
    ck_assert_int_eq(mf_mock_close(x.m, LONG), MF_OK);
    size_t count = mf_mock_mistakes(x.m, &list);
    for (size_t i = 0; i < count && count != mistakes; i++)
        fprintf(stderr, "%s\n", list[i]);
    ck_assert_uint_eq(count, mistakes);
    mf_mock_free(x.m);
}

static int mistaken(mf_mock *m, const char *words)
{
    const char *const *list;
    size_t count = mf_mock_mistakes(m, &list);
    for (size_t i = 0; i < count; i++)
        if (strstr(list[i], words) != NULL)
            return 1;
    return 0;
}

/* ---- timers ----------------------------------------------------------------- */

START_TEST(a_timer_ends_when_its_time_has_come)
{
    struct mock x = opened();
    struct seen now = {0}, later = {0};
    mf_op op = x.timer->after(x.h, 0, 0, ended, &now);
    mf_op other = x.timer->after(x.h, 0, 5, ended, &later);
    ck_assert(op != 0 && other != 0 && op != other);
    ck_assert_int_eq(now.ends, 0); /* never inside the function that began it */
    ck_assert_uint_eq(mf_mock_run(x.m), 1);
    ck_assert(now.ends == 1 && now.status == MF_OK && now.op == op);
    mf_mock_advance(x.m, 4);
    ck_assert_int_eq(later.ends, 0);
    mf_mock_advance(x.m, 1);
    ck_assert(later.ends == 1 && later.status == MF_OK && later.op == other);
    ck_assert_int_eq(x.timer->abort(x.h, op), MF_ESTALE);
    mf_mock_advance(x.m, UINT64_MAX);
    ck_assert(now.ends == 1 && later.ends == 1);
    done(x, 0);
}
END_TEST

struct chain {
    struct mock *x;
    uint64_t at[4];
    int ends;
};

static void chain_ended(void *arg, const mf_end *end)
{
    struct chain *c = arg;
    ck_assert_int_eq(end->status, MF_OK);
    c->at[c->ends++] = c->x->h->now(c->x->h);
    if (c->ends < 4)
        ck_assert_uint_ne(c->x->timer->after(c->x->h, 0, 10, chain_ended, c), 0);
}

START_TEST(advance_goes_from_event_to_event)
{
    struct mock x = opened();
    struct chain c = {.x = &x};
    uint64_t begin = x.h->now(x.h);
    x.timer->after(x.h, 0, 10, chain_ended, &c);
    mf_mock_advance(x.m, 1000);
    ck_assert_int_eq(c.ends, 4);
    for (uint64_t i = 0; i < 4; i++)
        ck_assert_uint_eq(c.at[i], begin + 10 * (i + 1));
    ck_assert_uint_eq(x.h->now(x.h), begin + 1000);
    done(x, 0);
}
END_TEST

START_TEST(ticks)
{
    struct mock x = opened();
    struct seen s = {.host = x.h}, own = {.host = x.h};
    mf_op op = x.timer->every(x.h, 0, 2 * MS, ticked, ended, &s);
    own.abort_in_tick = x.timer->every(x.h, 0, MS, ticked, ended, &own);
    mf_mock_advance(x.m, 10 * MS);
    ck_assert_int_eq(s.ticks, 5);
    ck_assert(own.ticks == 1 && own.ends == 1 && own.status == MF_ECANCELED);
    ck_assert_int_eq(x.timer->abort(x.h, op), MF_OK);
    ck_assert_int_eq(s.ends, 0);
    mf_mock_advance(x.m, 10 * MS);
    ck_assert(s.ticks == 5 && s.ends == 1 && s.status == MF_ECANCELED);
    ck_assert_int_eq(x.timer->abort(x.h, op), MF_ESTALE);
    done(x, 0);
}
END_TEST

/* ---- calls ------------------------------------------------------------------ */

START_TEST(operations_follow_their_call)
{
    struct mock x = opened();
    struct seen s[3] = {{0}}, free_one = {0}, late = {0};
    mf_mock_request q = {.kind = MF_TOOL, .name = "keep", .timeout_ns = 100};
    mf_call call[3] = {mf_mock_tool(x.m, "keep", NULL), mf_mock_tool(x.m, "keep", NULL),
                       mf_mock_start(x.m, &q)};
    for (int i = 0; i < 3; i++)
        ck_assert_uint_ne(x.timer->after(x.h, call[i], 1000, ended, &s[i]), 0);
    x.timer->after(x.h, 0, 1000, ended, &free_one);
    x.h->finish(x.h, call[0], MF_DONE, MF_LIT(""));
    mf_mock_cancel(x.m, call[1]);
    ck_assert(s[0].ends == 0 && s[1].ends == 0);
    ck_assert_uint_eq(mf_mock_run(x.m), 2);
    ck_assert(s[0].ends == 1 && s[0].status == MF_ECANCELED);
    ck_assert(s[1].ends == 1 && s[1].status == MF_ECANCELED);
    mf_mock_advance(x.m, 100);
    ck_assert(s[2].ends == 1 && s[2].status == MF_ECANCELED);
    ck_assert_int_eq(free_one.ends, 0);
    /* For a call that nobody waits for, and for one that is finished. */
    ck_assert_uint_ne(x.timer->after(x.h, call[2], 0, ended, &late), 0);
    mf_mock_run(x.m);
    ck_assert(late.ends == 1 && late.status == MF_ETIMEDOUT);
    ck_assert_uint_eq(x.timer->after(x.h, call[0], 0, ended, &late), 0);
    ck_assert(mistaken(x.m, "timer.after(): no call"));
    x.h->finish(x.h, call[1], MF_DONE, MF_LIT(""));
    x.h->finish(x.h, call[2], MF_DONE, MF_LIT(""));
    done(x, 1);
    ck_assert(free_one.ends == 1 && free_one.status == MF_ECANCELED && late.ends == 1);
}
END_TEST

START_TEST(a_blocking_tool_begins_work_from_its_thread)
{
    struct mock x = opened();
    for (int i = 0; i < 50; i++) {
        const mf_mock_result *r = mf_mock_wait(x.m, mf_mock_tool(x.m, "work", NULL), LONG);
        ck_assert_ptr_nonnull(r);
        ck_assert(r->how == MF_DONE && r->progress_count == 1);
    }
    done(x, 0);
}
END_TEST

/* ---- work ------------------------------------------------------------------- */

START_TEST(work_runs_on_a_thread)
{
    struct mock x = opened();
    struct seen s = {0}, aborted = {0};
    struct seen none = {0};
    mf_op op = x.work->run(x.h, 0, worked, ended, &s);
    mf_op other = x.work->run(x.h, 0, worked, ended, &aborted);
    ck_assert_int_eq(x.work->abort(x.h, other), MF_OK); /* before it began */
    ck_assert_uint_eq(x.work->each(x.h, 0, 0, NULL, ended, &none), 0);
    ck_assert_uint_eq(mf_mock_wait_ops(x.m, 0, LONG), 0);
    ck_assert(s.ends == 1 && s.steps == 1 && s.status == MF_OK && s.op == op);
    ck_assert(pthread_equal(s.thread, pthread_self())); /* of the end */
    ck_assert(aborted.ends == 1 && aborted.steps == 0 && aborted.status == MF_ECANCELED);
    ck_assert_int_eq(x.work->abort(x.h, op), MF_ESTALE);
    done(x, 1); /* each() without a function */
}
END_TEST

struct batch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int times[1000], inside, most, hold;
    pthread_t loop;
    struct seen seen;
};

static void batch_step(void *arg, uint64_t i)
{
    struct batch *b = arg;
    pthread_mutex_lock(&b->lock);
    ck_assert(!pthread_equal(pthread_self(), b->loop));
    b->times[i]++;
    b->inside++;
    if (b->inside > b->most)
        b->most = b->inside;
    pthread_cond_broadcast(&b->changed);
    while (b->inside < b->hold && b->most < b->hold)
        pthread_cond_wait(&b->changed, &b->lock);
    b->inside--;
    pthread_mutex_unlock(&b->lock);
}

static void batch_ended(void *arg, const mf_end *end)
{
    ended(&((struct batch *)arg)->seen, end);
}

START_TEST(each_does_every_step_once_on_several_threads)
{
    struct mock x = opened();
    struct batch b = {.lock = PTHREAD_MUTEX_INITIALIZER,
                      .changed = PTHREAD_COND_INITIALIZER,
                      .loop = pthread_self(),
                      .hold = 4};
    ck_assert_uint_ne(x.work->each(x.h, 0, 1000, batch_step, batch_ended, &b), 0);
    ck_assert_uint_eq(mf_mock_wait_ops(x.m, 0, LONG), 0);
    ck_assert(b.seen.ends == 1 && b.seen.status == MF_OK && b.most == 4);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(b.times[i], 1);
    struct seen none = {0};
    ck_assert_uint_ne(x.work->each(x.h, 0, 0, batch_step, ended, &none), 0);
    ck_assert_uint_eq(mf_mock_wait_ops(x.m, 0, LONG), 0);
    ck_assert(none.ends == 1 && none.status == MF_OK);
    done(x, 0);
}
END_TEST

/* A step that waits for the test, or is never let go. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int entered, open;
    struct seen seen;
};

static void gate_step(void *arg, uint64_t i)
{
    struct gate *g = arg;
    (void)i;
    pthread_mutex_lock(&g->lock);
    g->entered++;
    pthread_cond_broadcast(&g->changed);
    while (!g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void gate_ended(void *arg, const mf_end *end)
{
    ended(&((struct gate *)arg)->seen, end);
}

static void gate_wait_entered(struct gate *g, mf_mock *m)
{
    mf_mock_run(m);
    pthread_mutex_lock(&g->lock);
    while (g->entered == 0)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = 1;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

START_TEST(abort_stops_further_steps)
{
    struct mock x = opened();
    struct gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    mf_op op = x.work->each(x.h, 0, 1000000, gate_step, gate_ended, &g);
    gate_wait_entered(&g, x.m);
    ck_assert_int_eq(x.work->abort(x.h, op), MF_OK);
    ck_assert_uint_eq(mf_mock_run(x.m), 1);
    ck_assert_int_eq(g.seen.ends, 0); /* a function that is running is not interrupted */
    gate_open(&g);
    ck_assert_uint_eq(mf_mock_wait_ops(x.m, 0, LONG), 0);
    ck_assert(g.seen.ends == 1 && g.seen.status == MF_ECANCELED);
    ck_assert_int_le(g.entered, 4);
    done(x, 0);
}
END_TEST

START_TEST(close_waits_for_work)
{
    struct mock x = opened();
    struct gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    x.work->each(x.h, 0, 1, gate_step, gate_ended, &g);
    gate_wait_entered(&g, x.m);
    ck_assert_int_eq(mf_mock_close(x.m, 0), MF_ETIMEDOUT);
    ck_assert_int_eq(closes, 0);
    ck_assert(mistaken(x.m, "(work.each) had not ended when it was time to close"));
    gate_open(&g);
    done(x, 1);
    ck_assert(closes == 1 && g.seen.ends == 1 && g.seen.status == MF_ECANCELED);
}
END_TEST

/* ---- the instance ------------------------------------------------------------ */

START_TEST(operations_of_no_call_end_with_the_instance)
{
    struct seen s = {0};
    of_open = &s;
    begin_in_quiesce = 1;
    struct mock x = opened();
    ck_assert_uint_eq(mf_mock_wait_ops(x.m, 1, LONG), 1);
    ck_assert(s.ends == 1 && s.steps == 1 && s.status == MF_OK);
    done(x, 0); /* the timer of open(), and one that quiesce() begins */
    ck_assert(s.ends == 3 && s.status == MF_ECANCELED && closes == 1);
}
END_TEST

START_TEST(nobody_is_called_back_after_open_has_failed)
{
    struct seen s = {0};
    of_open = &s;
    refuse_open = 1;
    mf_mock *m = mf_mock_new(&plugin);
    ck_assert_int_eq(mf_mock_open(m, NULL), MF_EIO);
    ck_assert_uint_eq(mf_mock_run(m), 0);
    ck_assert_int_eq(s.ends, 0);
    refuse_open = 0;
    ck_assert_int_eq(mf_mock_open(m, NULL), MF_OK);
    mf_mock_advance(m, MS);
    ck_assert_uint_eq(mf_mock_wait_ops(m, 0, LONG), 0);
    ck_assert_int_eq(s.ends, 2);
    mf_mock_free(m);
}
END_TEST

START_TEST(an_instance_has_so_many_operations)
{
    struct mock x = opened();
    struct seen s = {0};
    for (int i = 0; i < MF_OPS_MAX; i++)
        ck_assert_uint_ne(x.timer->after(x.h, 0, 1, ended, &s), 0);
    ck_assert_uint_eq(x.timer->after(x.h, 0, 1, ended, &s), 0);
    mf_mock_advance(x.m, 1);
    ck_assert_int_eq(s.ends, MF_OPS_MAX);
    ck_assert_uint_ne(x.timer->after(x.h, 0, 1, ended, &s), 0);
    done(x, 0);
    ck_assert_int_eq(s.ends, MF_OPS_MAX + 1);
}
END_TEST

static void again(void *arg, const mf_end *end)
{
    struct mock *x = arg;
    if (end->status == MF_OK)
        x->timer->after(x->h, 0, 0, again, x);
}

START_TEST(what_is_wrong_is_noted)
{
    struct mock x = opened();
    struct seen s = {0};
    ck_assert_uint_eq(x.timer->every(x.h, 0, MS, NULL, ended, &s), 0);
    ck_assert_uint_eq(x.timer->every(x.h, 0, MS - 1, ticked, ended, &s), 0);
    ck_assert(mistaken(x.m, "timer.every(): expected a function and at least 1 ms"));
    ck_assert_uint_eq(x.work->run(x.h, 0, NULL, ended, &s), 0);
    ck_assert(mistaken(x.m, "work.run(): expected a function"));
    ck_assert_uint_eq(x.work->run(x.h, 77, worked, ended, &s), 0);
    ck_assert(mistaken(x.m, "work.run(): no call 0x4d"));
    mf_op op = x.timer->after(x.h, 0, 1, NULL, NULL);
    ck_assert_int_eq(x.timer->abort(x.h, (uint32_t)op), MF_ESTALE); /* kept in 32 bits */
    ck_assert(mistaken(x.m, "abort(): there never was an operation"));
    ck_assert_int_eq(x.timer->abort(x.h, op), MF_OK);
    ck_assert_int_eq(x.timer->abort(x.h, 0), MF_ESTALE);
    ck_assert_uint_eq(mf_mock_run(x.m), 0);
    x.timer->after(x.h, 0, 0, again, &x);
    mf_mock_run(x.m);
    ck_assert(mistaken(x.m, "timer.after(): operations begin each other without an end"));
    ck_assert_int_eq(mf_mock_close(x.m, LONG), MF_OK);
    ck_assert_uint_eq(x.timer->after(x.h, 0, 1, ended, &s), 0);
    ck_assert(mistaken(x.m, "timer.after(): used after close()"));
    ck_assert_int_eq(s.ends, 0);
    mf_mock_free(x.m);
}
END_TEST

START_TEST(services_may_be_taken_away)
{
    static const int other = 1;
    mf_mock *m = mf_mock_new(&plugin);
    const mf_host *h = mf_mock_host(m);
    ck_assert_ptr_nonnull(h->extension(h, MF_EXT_TIMER));
    mf_mock_set_extension(m, MF_EXT_TIMER, NULL);
    mf_mock_set_extension(m, MF_EXT_WORK, &other);
    ck_assert_ptr_null(h->extension(h, MF_EXT_TIMER));
    ck_assert_ptr_eq(h->extension(h, MF_EXT_WORK), &other);
    mf_mock_free(m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mock_ops");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, a_timer_ends_when_its_time_has_come);
    tcase_add_test(c, advance_goes_from_event_to_event);
    tcase_add_test(c, ticks);
    tcase_add_test(c, operations_follow_their_call);
    tcase_add_test(c, a_blocking_tool_begins_work_from_its_thread);
    tcase_add_test(c, work_runs_on_a_thread);
    tcase_add_test(c, each_does_every_step_once_on_several_threads);
    tcase_add_test(c, abort_stops_further_steps);
    tcase_add_test(c, close_waits_for_work);
    tcase_add_test(c, operations_of_no_call_end_with_the_instance);
    tcase_add_test(c, nobody_is_called_back_after_open_has_failed);
    tcase_add_test(c, an_instance_has_so_many_operations);
    tcase_add_test(c, what_is_wrong_is_noted);
    tcase_add_test(c, services_may_be_taken_away);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
