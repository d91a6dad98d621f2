/* Operations of services: from their begin to their one end, for a plugin whose code is here.
 *
 * "Now" is a turn of the loop: what the engine promises for later is looked for by running the loop
 * until it has come, and what it promises never to do by running it until something else has. */
#include <check.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "engine/internal.h"
#include "manifold/timer.h"
#include "manifold/work.h"
#include "services/services.h"

#define MS      UINT64_C(1000000)
#define FOREVER (3600000 * MS)

static const char manifest_text[] =
    "manifold: 1\n"
    "id: org.example.fake\n"
    "name: fake\n"
    "limits: { concurrency: 8, queue: 8, timeout: 10s, drain: 10s }\n"
    "worker: { threads: 3 }\n"
    "breaker: { failures: 0 }\n"
    "tools:\n"
    "  - { name: act, description: d }\n"
    "  - { name: block, description: d }\n"
    "  - { name: brief, description: d, limits: { timeout: 20ms } }\n";

enum { ACT, BLOCK, BRIEF };

static struct {
    uv_loop_t loop;
    uv_timer_t
        turn; /* so that UV_RUN_ONCE, which may run timers before it waits, never waits long */
    struct settings *settings;
    struct source source;
    struct manifest *manifest;
    struct services *services;
    struct engine *engine;
    struct instance *in;
    const mf_host *host;
    const mf_timer *timer;
    const mf_work *work;
    /* what the plugin saw */
    mf_call held[16];
    unsigned helds, closes, quiesces;
    _Atomic uint64_t ends_at_close, ends;
    void (*in_call)(const mf_request *rq);
    void (*in_close)(void);
    void (*in_quiesce)(void);
    void (*in_cancel)(mf_call call);
    pthread_t loop_thread;
    unsigned done; /* answers to the client */
    bool stopped, services_closed;
} t;

/* What became of one operation. */
struct end {
    mf_op op;
    unsigned ends, ticks;
    atomic_uint runs;
    mf_status status;
    uint64_t at;
    char why[64];
    void (*at_end)(struct end *e), (*at_tick)(struct end *e);
};

static void on_end(void *arg, const mf_end *end)
{
    struct end *e = arg;
    ck_assert(pthread_equal(pthread_self(), t.loop_thread));
    ck_assert_uint_eq(end->size, sizeof(*end));
    ck_assert_uint_eq(e->ends, 0); /* exactly once */
    ck_assert(e->op == 0 || e->op == end->op);
    ck_assert_uint_eq(t.closes, 0);
    e->ends++;
    e->status = end->status;
    e->at = clock_ns();
    snprintf(e->why, sizeof(e->why), "%.*s", (int)end->why.len, end->why.len ? end->why.data : "");
    t.ends++;
    if (e->at_end)
        e->at_end(e);
}

static void on_tick(void *arg)
{
    struct end *e = arg;
    ck_assert(pthread_equal(pthread_self(), t.loop_thread));
    ck_assert_uint_eq(e->ends, 0);
    e->ticks++;
    if (e->at_tick)
        e->at_tick(e);
}

static void on_thread(void *arg)
{
    struct end *e = arg;
    ck_assert(!pthread_equal(pthread_self(), t.loop_thread));
    atomic_fetch_add(&e->runs, 1);
}

static mf_bytes nothing(void)
{
    return (mf_bytes){NULL, 0};
}

static mf_status finish(mf_call call)
{
    return t.host->finish(t.host, call, MF_DONE, nothing());
}

/* --- the plugin --- */

static void plugin_call(void *self, const mf_request *rq)
{
    (void)self;
    if (t.in_call)
        t.in_call(rq);
    else
        t.held[t.helds++ % 16] = rq->call;
}

static void plugin_cancel(void *self, mf_call call)
{
    (void)self;
    if (t.in_cancel)
        t.in_cancel(call);
}

static void plugin_quiesce(void *self)
{
    (void)self;
    t.quiesces++;
    if (t.in_quiesce)
        t.in_quiesce();
}

static void plugin_close(void *self)
{
    (void)self;
    t.ends_at_close = t.ends;
    if (t.in_close)
        t.in_close();
    t.closes++;
}

static const mf_plugin fake = {.size = sizeof(mf_plugin),
                               .call = plugin_call,
                               .cancel = plugin_cancel,
                               .quiesce = plugin_quiesce,
                               .close = plugin_close};

/* --- the client --- */

static void on_done(void *user, const struct outcome *o)
{
    (void)user, (void)o;
    t.done++;
}

static void on_progress(void *user, double done, double total, struct str text)
{
    (void)user, (void)done, (void)total, (void)text;
}

static void on_log(void *user, int level, struct str logger, struct str text)
{
    (void)user, (void)level, (void)logger, (void)text;
}

static const struct call_sink sink = {on_done, on_progress, on_log};

static struct call *start(uint32_t entry)
{
    return call_start(
        t.engine,
        &(struct call_request){
            .instance = t.in, .entry = entry, .kind = MF_TOOL, .sink = &sink, .log_level = -1});
}

/* A call that the plugin keeps; its handle. */
static mf_call hold(uint32_t entry, struct call **ret)
{
    struct call *c = start(entry);
    ck_assert_ptr_nonnull(c);
    if (ret)
        *ret = c;
    return t.held[(t.helds - 1) % 16];
}

static void run_until(const struct end *e)
{
    while (!e->ends)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_ptr_null(engine_check(t.engine));
}

/* --- the frame --- */

static struct instance *make(struct manifest *m)
{
    struct instance *in = instance_new(t.engine, m);
    in->plugin = &fake;
    in->state = INSTANCE_READY;
    in->entry[BLOCK].binding.flags = MF_TOOL_BLOCKING;
    return in;
}

static struct manifest *manifest(void)
{
    struct manifest *m;
    struct err e;
    ck_assert_msg(
        manifest_parse(t.settings, &t.source, str_of(manifest_text), "fake.yaml", &m, &e) == 0,
        "%s", e.text);
    return m;
}

static void use(struct instance *in)
{
    t.in = in;
    t.host = &in->host;
    t.timer = t.host->extension(t.host, MF_EXT_TIMER);
    t.work = t.host->extension(t.host, MF_EXT_WORK);
    ck_assert(t.timer != NULL && t.work != NULL);
}

static void on_turn(uv_timer_t *timer)
{
    (void)timer;
}

static void setup(void)
{
    struct err e;
    memset(&t, 0, sizeof(t));
    t.loop_thread = pthread_self();
    ck_assert_int_eq(uv_loop_init(&t.loop), 0);
    uv_timer_init(&t.loop, &t.turn);
    uv_timer_start(&t.turn, on_turn, 1, 1);
    const char *dirs[] = {"/nonexistent"};
    struct settings_args args = {.plugins = dirs, .plugins_count = 1};
    ck_assert_msg(settings_read(&args, &t.settings, &e) == 0, "%s", e.text);
    t.source.path = (char *)"/nonexistent";
    t.source.trust = true;
    t.manifest = manifest();
    ck_assert_int_eq(services_open(&t.loop, t.settings, &t.services, &e), 0);
    struct engine_options o = {.calls = 64, .services = services_for_engine(t.services)};
    ck_assert_int_eq(engine_open(&t.loop, &o, &t.engine, &e), 0);
    use(make(t.manifest));
}

static void on_services_closed(void *arg)
{
    (void)arg;
    t.services_closed = true;
}

static void on_stopped(void *arg)
{
    (void)arg;
    t.stopped = true;
    services_close(t.services, on_services_closed, NULL);
}

static void stop(unsigned grace_ms)
{
    engine_stop(t.engine, grace_ms, on_stopped, NULL);
    while (!t.stopped || !t.services_closed)
        uv_run(&t.loop, UV_RUN_ONCE);
}

static void release(void)
{
    uv_close((uv_handle_t *)&t.turn, NULL);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    ck_assert(engine_free(t.engine));
    services_free(t.services);
    manifest_free(t.manifest);
    settings_free(t.settings);
    ck_assert_int_eq(uv_loop_close(&t.loop), 0);
}

static void teardown(void)
{
    if (!t.stopped) {
        ck_assert_ptr_null(engine_check(t.engine));
        stop(10000);
    }
    release();
}

/* --- timers --- */

START_TEST(a_timer_ends_in_time_and_once)
{
    static const uint64_t ns[] = {0, 1, MS / 2, MS, 3 * MS, 20 * MS + 1};
    for (size_t i = 0; i < sizeof(ns) / sizeof(ns[0]); i++) {
        struct end e = {0};
        uint64_t begin = clock_ns();
        e.op = t.timer->after(t.host, 0, ns[i], on_end, &e);
        ck_assert_uint_ne(e.op, 0);
        ck_assert_uint_eq(e.ends, 0);
        run_until(&e);
        ck_assert_int_eq(e.status, MF_OK);
        ck_assert_uint_ge(e.at - begin, ns[i]); /* never early; how late is the machine's affair */
        ck_assert_int_eq(t.timer->abort(t.host, e.op), MF_ESTALE);
    }
    ck_assert_uint_eq(instance_ops(t.in), 0);
}
END_TEST

/* Plus what a machine takes that does something else: so the best of 50, each at another point of
 * a millisecond. */
START_TEST(a_timer_is_at_most_a_millisecond_late)
{
    uint64_t least = UINT64_MAX;
    for (uint64_t i = 0; i < 50; i++) {
        struct end e = {0};
        uint64_t ns = MS + i * MS / 50, due = clock_ns() + ns;
        t.timer->after(t.host, 0, ns, on_end, &e);
        run_until(&e);
        uint64_t late = e.at - due;
        least = late < least ? late : least;
    }
    ck_assert_uint_le(least, MS);
}
END_TEST

static void abort_self(struct end *e)
{
    if (e->ticks == 3)
        ck_assert_int_eq(t.timer->abort(t.host, e->op), MF_OK);
}

START_TEST(ticks_until_it_is_aborted)
{
    struct end e = {.at_tick = abort_self};
    uint64_t begin = clock_ns();
    e.op = t.timer->every(t.host, 0, 2 * MS, on_tick, on_end, &e);
    run_until(&e);
    ck_assert(e.ticks == 3 && e.status == MF_ECANCELED);
    ck_assert_uint_ge(e.at - begin, 6 * MS);
}
END_TEST

static void be_busy(struct end *e)
{
    uint64_t until = clock_ns() + 10 * MS;
    while (e->ticks == 1 && clock_ns() < until)
        ;
    if (e->ticks == 3)
        ck_assert_int_eq(t.timer->abort(t.host, e->op), MF_OK);
}

START_TEST(missed_ticks_are_not_made_up_for)
{
    struct end e = {.at_tick = be_busy};
    uint64_t begin = clock_ns();
    e.op = t.timer->every(t.host, 0, 2 * MS, on_tick, on_end, &e);
    run_until(&e);
    /* The first holds the loop for five of them: of these, one comes late, and then the rhythm. */
    ck_assert_uint_ge(e.at - begin, 14 * MS);
}
END_TEST

START_TEST(wrong_arguments_begin_nothing)
{
    struct end e = {0};
    ck_assert_uint_eq(t.timer->every(t.host, 0, MS, NULL, on_end, &e), 0);
    ck_assert_uint_eq(t.timer->every(t.host, 0, MS - 1, on_tick, on_end, &e), 0);
    ck_assert_uint_eq(t.work->run(t.host, 0, NULL, on_end, &e), 0);
    ck_assert_uint_eq(t.work->each(t.host, 0, 3, NULL, on_end, &e), 0);
    ck_assert_uint_eq(t.timer->after(t.host, 77, MS, on_end, &e), 0);
    ck_assert_int_eq(t.timer->abort(t.host, 0), MF_ESTALE);
    ck_assert_int_eq(t.timer->abort(t.host, UINT64_MAX), MF_ESTALE);
    ck_assert_uint_eq(instance_ops(t.in), 0);
    ck_assert_uint_ne(t.timer->after(t.host, 0, 0, NULL, NULL), 0); /* nobody wants to know */
    while (instance_ops(t.in))
        uv_run(&t.loop, UV_RUN_ONCE);
}
END_TEST

/* --- work --- */

START_TEST(work_runs_once_on_a_thread)
{
    struct end e = {0}, none = {0};
    e.op = t.work->run(t.host, 0, on_thread, on_end, &e);
    run_until(&e);
    ck_assert(e.status == MF_OK && e.runs == 1);
    none.op = t.work->each(t.host, 0, 0, (void (*)(void *, uint64_t))abort, on_end, &none);
    ck_assert_uint_ne(none.op, 0);
    run_until(&none);
    ck_assert_int_eq(none.status, MF_OK);
}
END_TEST

/* Steps that meet: each waits until `wanted` of them are inside, or until the gate is open. */
struct gate {
    struct end end; /* first */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned inside, most, wanted, entered; /* under lock */
    bool open;                              /* under lock */
    uint8_t times[4096];                    /* under lock */
};

static void gate_init(struct gate *g, unsigned wanted)
{
    memset(g, 0, sizeof(*g));
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    g->wanted = wanted;
}

static void gate_release(struct gate *g)
{
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->changed);
}

static void gate_step(void *arg, uint64_t i)
{
    struct gate *g = arg;
    pthread_mutex_lock(&g->lock);
    g->times[i % sizeof(g->times)]++;
    g->entered++;
    if (++g->inside > g->most)
        g->most = g->inside;
    pthread_cond_broadcast(&g->changed);
    while (g->most < g->wanted && !g->open)
        pthread_cond_wait(&g->changed, &g->lock);
    g->inside--;
    pthread_mutex_unlock(&g->lock);
}

static void gate_run(void *arg)
{
    gate_step(arg, 0);
}

static void gate_wait(struct gate *g, unsigned entered)
{
    pthread_mutex_lock(&g->lock);
    while (g->entered < entered)
        pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void gate_open(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

START_TEST(each_does_every_step_once_on_several_threads)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct gate g;
    gate_init(&g, cpus < 3 ? (unsigned)cpus : 3); /* worker.threads */
    t.work->each(t.host, 0, sizeof(g.times), gate_step, on_end, &g);
    run_until(&g.end);
    ck_assert_int_eq(g.end.status, MF_OK);
    ck_assert_uint_eq(g.most, g.wanted);
    for (size_t i = 0; i < sizeof(g.times); i++)
        ck_assert_uint_eq(g.times[i], 1);
    gate_release(&g);
}
END_TEST

START_TEST(what_finds_no_thread_waits)
{
    struct gate g[3];
    struct end last = {0}, never = {0};
    for (int i = 0; i < 3; i++) {
        gate_init(&g[i], 2);
        t.work->run(t.host, 0, gate_run, on_end, &g[i]);
    }
    for (int i = 0; i < 3; i++)
        gate_wait(&g[i], 1);
    last.op = t.work->run(t.host, 0, on_thread, on_end, &last);
    never.op = t.work->run(t.host, 0, on_thread, on_end, &never);
    ck_assert_int_eq(t.work->abort(t.host, never.op), MF_OK);
    run_until(&never);
    ck_assert(never.status == MF_ECANCELED && never.runs == 0);
    ck_assert(last.ends == 0 && last.runs == 0);
    gate_open(&g[1]);
    run_until(&last);
    ck_assert(last.status == MF_OK && last.runs == 1);
    gate_open(&g[0]);
    gate_open(&g[2]);
    for (int i = 0; i < 3; i++) {
        run_until(&g[i].end);
        gate_release(&g[i]);
    }
}
END_TEST

START_TEST(abort_lets_what_runs_return_and_begins_no_more)
{
    struct gate g;
    gate_init(&g, 1000);
    g.end.op = t.work->each(t.host, 0, 1000000, gate_step, on_end, &g);
    gate_wait(&g, 1);
    ck_assert_int_eq(t.work->abort(t.host, g.end.op), MF_OK);
    struct end later = {0};
    t.timer->after(t.host, 0, 2 * MS, on_end, &later);
    run_until(&later);
    ck_assert_uint_eq(g.end.ends, 0);
    gate_open(&g);
    run_until(&g.end);
    ck_assert_int_eq(g.end.status, MF_ECANCELED);
    ck_assert_uint_le(g.entered, 3);
    ck_assert_int_eq(t.work->abort(t.host, g.end.op), MF_ESTALE);
    gate_release(&g);
}
END_TEST

/* --- calls --- */

START_TEST(an_operation_follows_its_call)
{
    struct call *c;
    struct end finished = {0}, cancelled = {0}, late = {0}, own = {0};
    mf_call call = hold(ACT, NULL);
    t.timer->after(t.host, call, FOREVER, on_end, &finished);
    own.op = t.timer->after(t.host, 0, FOREVER, on_end, &own);
    finish(call);
    run_until(&finished);
    ck_assert_int_eq(finished.status, MF_ECANCELED);
    ck_assert_uint_eq(t.timer->after(t.host, call, 0, on_end, &late), 0);

    call = hold(ACT, &c);
    t.timer->after(t.host, call, FOREVER, on_end, &cancelled);
    call_cancel(c);
    run_until(&cancelled);
    ck_assert_int_eq(cancelled.status, MF_ECANCELED);
    t.timer->after(t.host, call, FOREVER, on_end, &late); /* the plugin still has it */
    run_until(&late);
    ck_assert_int_eq(late.status, MF_ECANCELED);
    finish(call);

    struct end timed_out = {0}, after = {0};
    call = hold(BRIEF, NULL);
    t.timer->after(t.host, call, FOREVER, on_end, &timed_out);
    run_until(&timed_out);
    ck_assert_int_eq(timed_out.status, MF_ECANCELED);
    t.timer->after(t.host, call, FOREVER, on_end, &after);
    run_until(&after);
    ck_assert_int_eq(after.status, MF_ETIMEDOUT);
    finish(call);
    ck_assert_uint_eq(own.ends, 0);
    ck_assert_int_eq(t.timer->abort(t.host, own.op), MF_OK);
    run_until(&own);
}
END_TEST

static struct end in_call_end;

static void begin_and_finish(const mf_request *rq)
{
    in_call_end.op = t.timer->after(t.host, rq->call, 0, on_end, &in_call_end);
    ck_assert_uint_ne(in_call_end.op, 0);
    finish(rq->call);
    ck_assert_uint_eq(t.timer->after(t.host, rq->call, 0, on_end, NULL), 0);
}

START_TEST(a_call_that_ends_inside_takes_its_operations_along)
{
    in_call_end = (struct end){0};
    t.in_call = begin_and_finish;
    ck_assert_ptr_null(start(ACT));
    ck_assert_uint_eq(t.done, 1);
    ck_assert_uint_eq(in_call_end.ends, 0);
    run_until(&in_call_end);
    ck_assert_int_eq(in_call_end.status, MF_ECANCELED);
}
END_TEST

static void begin_in_cancel(mf_call call)
{
    in_call_end.op = t.work->run(t.host, call, on_thread, on_end, &in_call_end);
}

START_TEST(nothing_new_runs_for_a_call_that_is_cancelled)
{
    struct call *c;
    in_call_end = (struct end){0};
    t.in_cancel = begin_in_cancel;
    mf_call call = hold(ACT, &c);
    call_cancel(c);
    run_until(&in_call_end);
    ck_assert(in_call_end.status == MF_ECANCELED && in_call_end.runs == 0);
    finish(call);
}
END_TEST

/* A BLOCKING call() begins work on its own thread and returns; the work's end finishes it. */
static void finish_it(struct end *e)
{
    ck_assert_int_eq(e->status, MF_OK);
    ck_assert_int_eq(finish(t.held[0]), MF_OK);
}

static void begin_on_thread(const mf_request *rq)
{
    ck_assert(!pthread_equal(pthread_self(), t.loop_thread));
    t.held[0] = rq->call;
    in_call_end = (struct end){.at_end = finish_it};
    ck_assert_uint_ne(t.work->run(t.host, rq->call, on_thread, on_end, &in_call_end), 0);
}

START_TEST(a_blocking_call_may_begin_operations)
{
    t.in_call = begin_on_thread;
    ck_assert_ptr_nonnull(start(BLOCK));
    while (!t.done || t.in->running)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_uint_eq(in_call_end.runs, 1);
}
END_TEST

/* --- abort from a thread, and begin --- */

static void *begin_and_abort(void *arg)
{
    struct end *e = arg;
    e->op = t.timer->after(t.host, 0, FOREVER, on_end, e);
    ck_assert_uint_ne(e->op, 0);
    ck_assert_int_eq(t.timer->abort(t.host, e->op), MF_OK);
    return NULL;
}

START_TEST(threads_begin_and_abort)
{
    struct end e = {0};
    pthread_t id;
    ck_assert_int_eq(pthread_create(&id, NULL, begin_and_abort, &e), 0);
    pthread_join(id, NULL);
    ck_assert_uint_eq(instance_ops(t.in), 1);
    ck_assert_ptr_null(engine_check(t.engine));
    run_until(&e);
    ck_assert_int_eq(e.status, MF_ECANCELED);
    while (instance_ops(t.in))
        uv_run(&t.loop, UV_RUN_ONCE);
}
END_TEST

static void end_again(struct end *e)
{
    ck_assert_int_eq(t.timer->abort(t.host, e->op), MF_ESTALE);
}

START_TEST(abort_in_the_callback_is_stale)
{
    struct end e = {.at_end = end_again};
    e.op = t.timer->after(t.host, 0, 0, on_end, &e);
    run_until(&e);
    ck_assert_int_eq(e.status, MF_OK);
}
END_TEST

START_TEST(an_operation_of_another_instance_is_none)
{
    struct manifest *m = manifest();
    struct instance *other = make(m);
    struct end e = {0};
    e.op = t.timer->after(t.host, 0, FOREVER, on_end, &e);
    ck_assert_int_eq(t.timer->abort(&other->host, e.op), MF_ESTALE);
    mf_call call = hold(ACT, NULL);
    ck_assert_uint_eq(t.timer->after(&other->host, call, 0, on_end, &e), 0);
    finish(call);
    ck_assert_uint_eq(e.ends, 0);
    t.timer->abort(t.host, e.op);
    run_until(&e);
    instance_discard(other);
    while (t.closes == 0)
        uv_run(&t.loop, UV_RUN_ONCE);
    t.closes = 0;
}
END_TEST

static struct end next_end;

static void begin_next(struct end *e)
{
    (void)e;
    ck_assert_uint_ne(t.timer->after(t.host, 0, 0, on_end, &next_end), 0);
}

START_TEST(an_instance_has_at_most_so_many)
{
    static struct end e[MF_OPS_MAX + 1];
    memset(e, 0, sizeof(e));
    for (int i = 0; i < MF_OPS_MAX; i++)
        ck_assert_uint_ne(e[i].op = t.timer->after(t.host, 0, FOREVER, on_end, &e[i]), 0);
    ck_assert_uint_eq(t.timer->after(t.host, 0, 0, on_end, &e[MF_OPS_MAX]), 0);
    ck_assert_uint_eq(instance_ops(t.in), MF_OPS_MAX);
    /* One that ends makes room, in its callback already. */
    next_end = (struct end){0};
    e[0].at_end = begin_next;
    ck_assert_int_eq(t.timer->abort(t.host, e[0].op), MF_OK);
    run_until(&next_end);
    /* A number that is used again is another operation. */
    ck_assert_int_eq(t.timer->abort(t.host, e[0].op), MF_ESTALE);
}
END_TEST

/* --- the end of an instance --- */

static struct end at_end;

static void begin_at_end(void)
{
    at_end.op = t.timer->after(t.host, 0, 0, on_end, &at_end);
}

START_TEST(retiring_aborts_and_waits)
{
    struct manifest *m = manifest();
    struct instance *old = make(m);
    struct gate g;
    struct end e = {0};
    gate_init(&g, 2);
    use(old);
    at_end = (struct end){0};
    t.in_close = begin_at_end;
    t.timer->after(t.host, 0, FOREVER, on_end, &e);
    t.work->run(t.host, 0, gate_run, on_end, &g);
    gate_wait(&g, 1);
    instance_retire(old, NULL);
    run_until(&e);
    ck_assert_int_eq(e.status, MF_ECANCELED);
    ck_assert(t.quiesces == 1 && t.closes == 0);
    struct end refused = {0};
    t.timer->after(t.host, 0, 0, on_end, &refused); /* of no call, after quiesce() */
    run_until(&refused);
    ck_assert_int_eq(refused.status, MF_ECANCELED);
    gate_open(&g);
    while (t.closes == 0)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert(g.end.ends == 1 && g.end.status == MF_ECANCELED);
    ck_assert_uint_eq(t.ends_at_close, 3);
    ck_assert_uint_eq(at_end.op, 0); /* close() can't begin any */
    gate_release(&g);
    t.closes = 0;
    use(container_of(t.engine->instances.next, struct instance, in_engine));
}
END_TEST

/* limits.drain is over: a call that never ends is cut, and its operations with it. */
START_TEST(a_cut_call_takes_its_operations_along)
{
    struct manifest *m = manifest();
    m->instance.limits.drain = 20 * MS;
    struct instance *old = make(m);
    struct end e = {0};
    use(old);
    mf_call call = hold(ACT, NULL);
    t.timer->after(t.host, call, FOREVER, on_end, &e);
    instance_retire(old, NULL);
    run_until(&e);
    ck_assert(e.status == MF_ECANCELED && t.done == 1 && t.closes == 0);
    finish(call);
    while (t.closes == 0)
        uv_run(&t.loop, UV_RUN_ONCE);
    t.closes = 0;
    use(container_of(t.engine->instances.next, struct instance, in_engine));
}
END_TEST

static struct gate stop_gate;

START_TEST(the_engine_stops_when_the_last_has_ended)
{
    struct end e = {0}, tick = {0};
    gate_init(&stop_gate, 2);
    at_end = (struct end){0};
    t.in_quiesce = begin_at_end;
    t.timer->after(t.host, 0, FOREVER, on_end, &e);
    t.timer->every(t.host, 0, MS, on_tick, on_end, &tick);
    t.work->run(t.host, 0, gate_run, on_end, &stop_gate);
    gate_wait(&stop_gate, 1);
    engine_stop(t.engine, 10000, on_stopped, NULL);
    run_until(&at_end); /* begun in quiesce() */
    run_until(&tick);
    ck_assert(at_end.status == MF_ECANCELED && tick.status == MF_ECANCELED && !t.stopped);
    gate_open(&stop_gate);
    while (!t.services_closed)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert(e.ends == 1 && stop_gate.end.ends == 1 && t.closes == 1);
    ck_assert_uint_eq(t.ends_at_close, 4);
    gate_release(&stop_gate);
}
END_TEST

/* Its open() fails after it has begun operations, one of them from a thread: nobody is called. */
START_TEST(a_failed_open_is_never_called_back)
{
    struct manifest *m = manifest();
    struct instance *failed = make(m);
    struct end e[3] = {{0}};
    pthread_t id;
    use(failed);
    failed->plugin = NULL;
    failed->state = INSTANCE_FAILED;
    t.timer->after(t.host, 0, FOREVER, on_end, &e[0]);
    t.work->run(t.host, 0, on_thread, on_end, &e[1]);
    ck_assert_int_eq(pthread_create(&id, NULL, begin_and_abort, &e[2]), 0);
    pthread_join(id, NULL);
    instance_mute_ops(failed);
    ck_assert_uint_eq(t.timer->after(t.host, 0, 0, on_end, &e[0]), 0);
    while (instance_ops(failed))
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_uint_eq(e[0].ends + e[1].ends + e[2].ends, 0);
    instance_discard(failed);
    use(container_of(t.engine->instances.next, struct instance, in_engine));
}
END_TEST

/* A thread-local of the plugin, whose destructor must have run before close(). */
static pthread_key_t key;
static atomic_int key_destructors;

static void count_destructor(void *value)
{
    (void)value;
    atomic_fetch_add(&key_destructors, 1);
}

static void set_key(void *arg, uint64_t i)
{
    (void)arg, (void)i;
    pthread_setspecific(key, &key);
}

static int destructors_at_close;

static void note_destructors(void)
{
    destructors_at_close = atomic_load(&key_destructors);
}

START_TEST(threads_are_joined_before_close)
{
    struct end e = {0};
    ck_assert_int_eq(pthread_key_create(&key, count_destructor), 0);
    atomic_store(&key_destructors, 0);
    t.in_close = note_destructors;
    t.work->each(t.host, 0, 100, set_key, on_end, &e);
    run_until(&e);
    stop(10000);
    ck_assert_int_gt(destructors_at_close, 0);
    ck_assert_int_eq(destructors_at_close, atomic_load(&key_destructors));
    pthread_key_delete(key);
}
END_TEST

/* --- random orders --- */

enum { SLOTS = 64, BEGINNERS = 3 };

static struct {
    pthread_mutex_t lock;
    struct random_op {
        struct end end; /* first */
        bool live;      /* under lock: begun, not ended */
        mf_op op;       /* under lock */
    } slot[SLOTS];
    _Atomic uint64_t begun, refused, ended, ok, stale;
    atomic_bool stop;
    mf_call calls[8]; /* under lock; 0: none yet */
} r;

static void on_random_end(void *arg, const mf_end *end)
{
    struct random_op *o = arg;
    ck_assert(pthread_equal(pthread_self(), t.loop_thread));
    pthread_mutex_lock(&r.lock);
    ck_assert(o->live);
    o->live = false;
    pthread_mutex_unlock(&r.lock);
    atomic_fetch_add(&r.ended, 1);
    atomic_fetch_add(&r.ok, end->status == MF_OK);
    ck_assert(end->status == MF_OK || end->status == MF_ECANCELED || end->status == MF_ETIMEDOUT);
}

static void random_step(void *arg, uint64_t i)
{
    (void)arg, (void)i;
}

static void random_run(void *arg)
{
    (void)arg;
}

static mf_op random_begin(struct random_op *o, mf_call call, unsigned what)
{
    switch (what) {
    case 0:
        return t.timer->after(t.host, call, what % 3 * MS / 4, on_random_end, o);
    case 1:
        return t.timer->after(t.host, call, FOREVER, on_random_end, o);
    case 2:
        return t.timer->every(t.host, call, MS, random_run, on_random_end, o);
    case 3:
        return t.work->run(t.host, call, random_run, on_random_end, o);
    default:
        return t.work->each(t.host, call, what, random_step, on_random_end, o);
    }
}

/* Begins or aborts one; from any thread. */
static void random_turn(unsigned *seed)
{
    struct random_op *o = &r.slot[(unsigned)rand_r(seed) % SLOTS];
    pthread_mutex_lock(&r.lock);
    bool live = o->live;
    mf_op op = o->op;
    mf_call call = r.calls[(unsigned)rand_r(seed) % 8];
    if (!live) {
        o->live = true;
        o->op = 0;
    }
    pthread_mutex_unlock(&r.lock);
    if (live) {
        mf_status s = t.timer->abort(t.host, op);
        atomic_fetch_add(&r.stale, s == MF_ESTALE);
        ck_assert(s == MF_OK || s == MF_ESTALE);
        return;
    }
    op = random_begin(o, rand_r(seed) % 2 ? call : 0, (unsigned)rand_r(seed) % 8);
    pthread_mutex_lock(&r.lock);
    if (op == 0)
        o->live = false;
    else if (o->live)
        o->op = op; /* perhaps of one that has ended and begun again: abort() is stale then */
    pthread_mutex_unlock(&r.lock);
    atomic_fetch_add(op ? &r.begun : &r.refused, 1);
}

static void *beginner(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&r.stop)) {
        for (int i = 0; i < 16; i++)
            random_turn(&seed);
        sched_yield();
    }
    return NULL;
}

static struct call *random_call[8]; /* NULL: r.calls has the handle of one that is finished */

static void random_calls(unsigned *seed)
{
    unsigned k = (unsigned)rand_r(seed) % 8;
    if (random_call[k]) {
        if (rand_r(seed) % 2)
            call_cancel(random_call[k]);
        finish(r.calls[k]);
        random_call[k] = NULL;
        return;
    }
    while (t.in->running == 8)
        uv_run(&t.loop, UV_RUN_ONCE);
    mf_call now = hold(ACT, &random_call[k]);
    pthread_mutex_lock(&r.lock);
    r.calls[k] = now;
    pthread_mutex_unlock(&r.lock);
}

START_TEST(random_orders)
{
    unsigned seed = (unsigned)clock_ns();
    fprintf(stderr, "random_orders: seed %u\n", seed);
    memset(&r, 0, sizeof(r));
    memset(random_call, 0, sizeof(random_call));
    pthread_mutex_init(&r.lock, NULL);
    pthread_t id[BEGINNERS];
    for (uintptr_t i = 0; i < BEGINNERS; i++)
        ck_assert_int_eq(pthread_create(&id[i], NULL, beginner, (void *)(seed + i + 1)), 0);
    for (int step = 0; step < 20000; step++) {
        unsigned what = (unsigned)rand_r(&seed) % 8;
        if (what < 4)
            random_turn(&seed);
        else if (what < 5)
            random_calls(&seed);
        else
            uv_run(&t.loop, UV_RUN_NOWAIT);
        if (step % 16 == 0)
            ck_assert_ptr_null(engine_check(t.engine));
    }
    atomic_store(&r.stop, true);
    for (int i = 0; i < BEGINNERS; i++)
        pthread_join(id[i], NULL);
    for (unsigned k = 0; k < 8; k++) {
        if (random_call[k])
            finish(r.calls[k]);
    }
    stop(60000);
    ck_assert_uint_eq(r.begun, r.ended);
    ck_assert_uint_eq(t.closes, 1);
    fprintf(stderr, "%" PRIu64 " begun, %" PRIu64 " refused, %" PRIu64 " ok, %" PRIu64 " stale\n",
            r.begun, r.refused, r.ok, r.stale);
    ck_assert(r.ok > 0 && r.refused > 0 && r.ended > r.ok);
    pthread_mutex_destroy(&r.lock);
}
END_TEST

int main(void)
{
    log_configure(LOG_ERROR, LOG_TEXT);
    Suite *s = suite_create("services ops");
    TCase *c = tcase_create("ops");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_timer_ends_in_time_and_once);
    tcase_add_test(c, a_timer_is_at_most_a_millisecond_late);
    tcase_add_test(c, ticks_until_it_is_aborted);
    tcase_add_test(c, missed_ticks_are_not_made_up_for);
    tcase_add_test(c, wrong_arguments_begin_nothing);
    tcase_add_test(c, work_runs_once_on_a_thread);
    tcase_add_test(c, each_does_every_step_once_on_several_threads);
    tcase_add_test(c, what_finds_no_thread_waits);
    tcase_add_test(c, abort_lets_what_runs_return_and_begins_no_more);
    tcase_add_test(c, an_operation_follows_its_call);
    tcase_add_test(c, a_call_that_ends_inside_takes_its_operations_along);
    tcase_add_test(c, nothing_new_runs_for_a_call_that_is_cancelled);
    tcase_add_test(c, a_blocking_call_may_begin_operations);
    tcase_add_test(c, threads_begin_and_abort);
    tcase_add_test(c, abort_in_the_callback_is_stale);
    tcase_add_test(c, an_operation_of_another_instance_is_none);
    tcase_add_test(c, an_instance_has_at_most_so_many);
    tcase_add_test(c, retiring_aborts_and_waits);
    tcase_add_test(c, a_cut_call_takes_its_operations_along);
    tcase_add_test(c, the_engine_stops_when_the_last_has_ended);
    tcase_add_test(c, a_failed_open_is_never_called_back);
    tcase_add_test(c, threads_are_joined_before_close);
    tcase_add_test(c, random_orders);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
