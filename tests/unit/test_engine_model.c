/* Admission against a model: random starts, finishes from the loop and from threads, late, double
 * and forged ones, cancels, timeouts and lost clients, on two instances at once.
 *
 *   test_engine_model [--steps N] [--seed N]
 *
 * After each step the engine's own invariants hold (engine_check()) and every
 * counter is the model's: permits are exact, each call has one end, a tool's
 * calls run in the order in which they came, and what one instance admits does
 * not depend on the other.  The clock plays no part: limits are too long to be
 * reached, deadlines are called by hand.  It prints its seed; only the order in
 * which threads run is not in it. */
#include <inttypes.h>
#include <stdlib.h>
#include "engine/internal.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STEPS 500000
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define STEPS 500000
#endif
#endif
#ifndef STEPS
#define STEPS 5000000
#endif

static const char manifest_text[] =
    "manifold: 1\n"
    "id: org.example.fake\n"
    "name: fake\n"
    "limits: { concurrency: 3, queue: 4, queue_wait: 5m, timeout: 10m }\n"
    "breaker: { failures: 0 }\n"
    "tools:\n"
    "  - { name: any, description: d }\n"
    "  - { name: single, description: d, limits: { concurrency: 1, queue: 2 } }\n";

enum { INSTANCES = 2, TOOLS = 2, CALLS = 12, RECORDS = 32, OLD = 64, JOBS = 4, FINISHERS = 2 };
static const unsigned concurrency = 3, queue = 4;
static const unsigned tool_concurrency[TOOLS] = {3, 1}, tool_queue[TOOLS] = {4, 2};

enum state { GONE, STARTING, QUEUED, RUNNING, FINISHING };

/* A call as the model knows it. */
struct record {
    enum state state;
    int instance, tool;
    uint64_t number; /* rises from call to call */
    struct call *call;
    mf_call handle;
    bool waits; /* a client does */
    bool orphan, leaked;
    bool finish_in_cancel;
    int inside; /* how call() ends it itself, -1: not */
};

static struct {
    uv_loop_t loop;
    struct engine *engine;
    struct instance *in[INSTANCES];
    struct record record[RECORDS];
    mf_call old[OLD];
    uint64_t numbers, misuse[INSTANCES], step, steps, seed, random;
    bool draining, stopped;
    /* what has happened, so that no kind of it is missing unseen */
    uint64_t ran, queued, refused_queue, refused_calls, done, late, cancelled, timeouts, waits_over,
        raced, stale, disconnects;
} t;

static void fail_at(int line, const char *what)
{
    fprintf(stderr, "test_engine_model: line %d, step %" PRIu64 ", seed %" PRIu64 ": %s\n", line,
            t.step, t.seed, what);
    exit(1);
}
#define MUST(cond) ((cond) ? (void)0 : fail_at(__LINE__, #cond))

static uint64_t any(uint64_t below)
{
    t.random ^= t.random << 13;
    t.random ^= t.random >> 7;
    t.random ^= t.random << 17;
    return (t.random >> 11) % below;
}

static struct record *pick(bool (*fits)(const struct record *r))
{
    uint64_t from = any(RECORDS);
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *r = &t.record[(from + i) % RECORDS];
        if (fits(r))
            return r;
    }
    return NULL;
}

static bool is_gone(const struct record *r)
{
    return r->state == GONE;
}
static bool is_running(const struct record *r)
{
    return r->state == RUNNING;
}
static bool is_finishing(const struct record *r)
{
    return r->state == FINISHING;
}
static bool has_client(const struct record *r)
{
    return r->state != GONE && r->waits;
}

/* tool -1: of the whole instance. */
struct counts {
    unsigned running, queued, orphans, leaked;
};

static struct counts count(int instance, int tool)
{
    struct counts n = {0};
    for (unsigned i = 0; i < RECORDS; i++) {
        const struct record *r = &t.record[i];
        if (r->instance != instance || (tool >= 0 && r->tool != tool))
            continue;
        /* While posts are drained an orphan that was finished may have given its permit back. */
        bool holds = r->state == RUNNING || (r->state == FINISHING && !(t.draining && r->orphan));
        n.running += holds;
        n.queued += r->state == QUEUED;
        n.orphans += holds && r->orphan;
        n.leaked += holds && r->leaked;
    }
    return n;
}

static bool has_permit(int instance, int tool)
{
    return count(instance, -1).running < concurrency &&
           count(instance, tool).running < tool_concurrency[tool];
}

static void end(struct record *r)
{
    if (r->handle)
        t.old[any(OLD)] = r->handle;
    r->state = GONE;
}

/* --- the plugin --- */

static mf_status finish(int instance, mf_call handle, int how)
{
    const mf_host *h = &t.in[instance]->host;
    return h->finish(h, handle, how, (mf_bytes){NULL, 0});
}

static void finish_stale(int instance, mf_call handle)
{
    MUST(finish(instance, handle, MF_DONE) == MF_ESTALE);
    t.misuse[instance]++;
    t.stale++;
}

static void plugin_call(void *self, const mf_request *rq)
{
    int instance = *(int *)self;
    uint64_t number = strtoull(rq->args.data + strlen("{\"n\":"), NULL, 10);
    struct record *r = NULL;
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *other = &t.record[i];
        if (other->state != GONE && other->number == number)
            r = other;
        MUST(other->state == GONE || other->handle != rq->call);
    }
    MUST(r && (r->state == STARTING || r->state == QUEUED));
    MUST(r->instance == instance && (uint32_t)r->tool == rq->index);
    for (unsigned i = 0; i < RECORDS; i++) { /* first come, first served */
        const struct record *other = &t.record[i];
        MUST(other->state != QUEUED || other->instance != instance || other->tool != r->tool ||
             other->number >= number);
    }
    MUST(has_permit(instance, r->tool));
    r->state = RUNNING;
    r->handle = rq->call;
    t.ran++;
    if (r->inside < 0)
        return;
    MUST(finish(instance, r->handle, r->inside) == MF_OK);
    r->state = FINISHING;
    if (any(4) == 0)
        finish_stale(instance, r->handle);
}

static void finish_running(struct record *r)
{
    mf_status want = !r->orphan ? MF_OK : r->leaked ? MF_ETIMEDOUT : MF_ECANCELED;
    MUST(finish(r->instance, r->handle, MF_DONE) == want);
    r->state = FINISHING;
    t.late += r->orphan;
}

static void plugin_cancel(void *self, mf_call handle)
{
    int instance = *(int *)self;
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *r = &t.record[i];
        if (r->state != RUNNING || r->handle != handle)
            continue;
        MUST(r->instance == instance && r->orphan);
        if (r->finish_in_cancel)
            finish_running(r);
        return;
    }
    MUST(!"a call that the plugin has was cancelled");
}

static void plugin_close(void *self)
{
    (void)self;
}

static const mf_plugin fake = {
    .size = sizeof(mf_plugin), .call = plugin_call, .cancel = plugin_cancel, .close = plugin_close};

/* --- the client --- */

static void on_done(void *user, const struct outcome *o)
{
    struct record *r = user;
    MUST(r->state != GONE && r->waits); /* one end each */
    r->waits = false;
    if (o->end != CALL_REFUSED || o->refusal->reason == REFUSED_FAULT) {
        MUST(r->state == FINISHING);
        t.misuse[r->instance] += o->end == CALL_REFUSED; /* an unknown way to end */
        t.done++;
        end(r);
    } else if (r->state == RUNNING) {
        MUST(o->refusal->reason == REFUSED_TIMEOUT);
        r->orphan = r->leaked = true;
        t.timeouts++;
    } else if (r->state == QUEUED) {
        MUST(o->refusal->reason == REFUSED_QUEUE_WAIT);
        t.waits_over++;
        end(r);
    } else {
        MUST(r->state == STARTING);
        t.refused_queue += o->refusal->reason == REFUSED_QUEUE;
        t.refused_calls += o->refusal->reason == REFUSED_CALLS;
        end(r);
    }
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

/* --- steps --- */

static void start(void)
{
    static const int ways[] = {-1, -1, -1, MF_DONE, MF_TOOL_ERROR, MF_BAD_PARAMS, MF_NOT_FOUND, 99};
    struct record *r = pick(is_gone);
    if (!r)
        return;
    *r = (struct record){.state = STARTING,
                         .instance = (int)any(INSTANCES),
                         .tool = (int)any(TOOLS),
                         .number = ++t.numbers,
                         .waits = true,
                         .finish_in_cancel = any(3) == 0,
                         .inside = ways[any(8)]};
    struct counts all = count(r->instance, -1), own = count(r->instance, r->tool);
    bool permit = has_permit(r->instance, r->tool);
    bool place = all.queued < queue && own.queued < tool_queue[r->tool];
    unsigned used = 0;
    for (unsigned i = 0; i < RECORDS; i++)
        used += t.record[i].state > STARTING;
    uint64_t ran = t.ran, queue_full = t.refused_queue, calls_full = t.refused_calls;
    char args[32];
    snprintf(args, sizeof(args), "{\"n\":%" PRIu64 "}", r->number);
    struct call *c = call_start(t.engine, &(struct call_request){.instance = t.in[r->instance],
                                                                 .entry = (uint32_t)r->tool,
                                                                 .kind = MF_TOOL,
                                                                 .args = str_of(args),
                                                                 .sink = &sink,
                                                                 .user = r,
                                                                 .log_level = -1});
    if ((!permit || all.queued) && !place) {
        MUST(t.refused_queue == queue_full + 1 && !c && r->state == GONE);
    } else if (used == CALLS) {
        MUST(t.refused_calls == calls_full + 1 && !c && r->state == GONE);
    } else if (permit) {
        MUST(t.ran == ran + 1);
        MUST(r->inside < 0 ? c && r->state == RUNNING : !c && r->state == GONE);
    } else {
        MUST(c && r->state == STARTING);
        r->state = QUEUED;
        t.queued++;
    }
    r->call = c;
}

static void cancel(struct record *r)
{
    bool queued = r->state == QUEUED;
    r->waits = false;
    r->orphan = !queued;
    struct call *c = r->call;
    if (queued)
        end(r);
    call_cancel(c);
    t.cancelled++;
}

/* As deadline.c does when the time has come. */
static void time_out(struct record *r)
{
    struct call *c = r->call;
    deadline_clear(t.engine, c);
    call_due(c);
}

static void drain(void)
{
    t.draining = true;
    uv_run(&t.loop, UV_RUN_NOWAIT);
    t.draining = false;
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *r = &t.record[i];
        if (r->state != FINISHING)
            continue;
        MUST(!r->waits); /* else its answer is overdue */
        end(r);
    }
}

static void forge(void)
{
    struct record *r = pick(is_running);
    if (!r)
        return;
    int instance = r->instance;
    finish_stale(!instance, r->handle);
    finish_stale(instance, r->handle ^ (UINT64_C(1) << (32 + any(32))));
    finish_stale(instance, r->handle | (UINT64_C(1) << (16 + any(16))));
    finish_stale(instance, any(UINT32_MAX));
}

static void stale(void)
{
    struct record *r = pick(is_finishing);
    if (r)
        finish_stale(r->instance, r->handle);
    mf_call old = t.old[any(OLD)];
    int instance = (int)any(INSTANCES);
    const mf_host *h = &t.in[instance]->host;
    MUST(h->text(h, old, (mf_bytes){"x", 1}) == MF_ESTALE);
    finish_stale(instance, old);
}

/* --- threads --- */

struct job {
    int instance;
    mf_call handle;
    mf_status status[FINISHERS];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job job[JOBS];
    unsigned jobs, round, ready; /* under lock */
    bool stop;
    pthread_t thread[FINISHERS];
} f = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *finisher(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg, round = 0;
    pthread_mutex_lock(&f.lock);
    for (;;) {
        while (f.round == round && !f.stop)
            pthread_cond_wait(&f.changed, &f.lock);
        if (f.stop)
            break;
        round = f.round;
        unsigned jobs = f.jobs;
        pthread_mutex_unlock(&f.lock);
        for (unsigned i = 0; i < jobs; i++) {
            struct job *j = &f.job[me ? jobs - 1 - i : i];
            j->status[me] = finish(j->instance, j->handle, MF_DONE);
        }
        pthread_mutex_lock(&f.lock);
        f.ready++;
        pthread_cond_broadcast(&f.changed);
    }
    pthread_mutex_unlock(&f.lock);
    return NULL;
}

/* Two threads finish the same calls in opposite orders while the loop cancels one of them. */
static void race(void)
{
    struct record *r[JOBS];
    unsigned n = 0;
    for (unsigned i = 0; i < RECORDS && n < JOBS; i++) {
        if (t.record[i].state == RUNNING)
            r[n++] = &t.record[i];
    }
    if (!n)
        return;
    pthread_mutex_lock(&f.lock);
    for (unsigned i = 0; i < n; i++) {
        f.job[i] = (struct job){.instance = r[i]->instance, .handle = r[i]->handle};
        r[i]->finish_in_cancel = false;
    }
    f.jobs = n;
    f.ready = 0;
    f.round++;
    pthread_cond_broadcast(&f.changed);
    pthread_mutex_unlock(&f.lock);
    struct record *victim = any(2) ? r[any(n)] : NULL;
    if (victim && victim->waits) {
        /* plugin_cancel() must find it, if it comes to that. */
        cancel(victim);
    } else {
        victim = NULL;
    }
    pthread_mutex_lock(&f.lock);
    while (f.ready < FINISHERS)
        pthread_cond_wait(&f.changed, &f.lock);
    pthread_mutex_unlock(&f.lock);
    for (unsigned i = 0; i < n; i++) {
        const struct job *j = &f.job[i];
        MUST((j->status[0] == MF_ESTALE) + (j->status[1] == MF_ESTALE) == 1);
        mf_status s = j->status[j->status[0] == MF_ESTALE];
        mf_status want = !r[i]->orphan ? MF_OK : r[i]->leaked ? MF_ETIMEDOUT : MF_ECANCELED;
        MUST(s == want || (r[i] == victim && s == MF_OK));
        r[i]->state = FINISHING;
        t.misuse[r[i]->instance]++;
        t.raced++;
    }
}

/* --- after each step --- */

static void compare(void)
{
    const char *broken = engine_check(t.engine);
    if (broken)
        fail_at(__LINE__, broken);
    unsigned used = 0;
    for (int i = 0; i < INSTANCES; i++) {
        struct instance *in = t.in[i];
        struct counts n = count(i, -1);
        MUST(in->running == n.running);
        MUST(in->queued == n.queued);
        MUST(in->orphans == n.orphans);
        MUST(in->leaked == n.leaked);
        MUST(in->misuse == t.misuse[i]);
        used += n.running + n.queued;
        for (int k = 0; k < TOOLS; k++) {
            n = count(i, k);
            MUST(in->entry[k].running == n.running);
            MUST(in->entry[k].queued == n.queued);
            MUST(!n.queued || !has_permit(i, k)); /* nobody waits where there is a permit */
        }
    }
    MUST(t.engine->calls.used == used);
}

static void step(void)
{
    struct record *r;
    uint64_t what = any(1000);
    if (what < 400) {
        start();
    } else if (what < 600) {
        if ((r = pick(is_running)))
            finish_running(r);
    } else if (what < 680) {
        if ((r = pick(has_client)))
            cancel(r);
    } else if (what < 730) {
        if ((r = pick(has_client)) && r->state != FINISHING)
            time_out(r);
    } else if (what < 760) {
        stale();
    } else if (what < 780) {
        forge();
    } else if (what < 790) {
        race();
    } else if (what < 792) {
        t.disconnects++;
        for (unsigned i = 0; i < RECORDS; i++) {
            if (has_client(&t.record[i]) && t.record[i].number % 2 == what % 2)
                cancel(&t.record[i]);
        }
    } else {
        drain();
    }
}

/* --- the frame --- */

static int self_of[INSTANCES] = {0, 1};

static void on_stopped(void *arg)
{
    (void)arg;
    t.stopped = true;
}

static void run(struct manifest *m)
{
    struct err e;
    MUST(engine_open(&t.loop, &(struct engine_options){.calls = CALLS}, &t.engine, &e) == 0);
    for (int i = 0; i < INSTANCES; i++) {
        t.in[i] = instance_new(t.engine, m);
        t.in[i]->plugin = &fake;
        t.in[i]->self = &self_of[i];
        t.in[i]->state = INSTANCE_READY;
        for (uint32_t k = 0; k < TOOLS; k++)
            t.in[i]->entry[k].binding.index = k;
    }
    for (uintptr_t i = 0; i < FINISHERS; i++)
        MUST(pthread_create(&f.thread[i], NULL, finisher, (void *)i) == 0);
    for (t.step = 0; t.step < t.steps; t.step++) {
        step();
        compare();
    }
    pthread_mutex_lock(&f.lock);
    f.stop = true;
    pthread_cond_broadcast(&f.changed);
    pthread_mutex_unlock(&f.lock);
    for (int i = 0; i < FINISHERS; i++)
        pthread_join(f.thread[i], NULL);
    for (struct record *r; drain(), (r = pick(is_running));) {
        finish_running(r);
        compare();
    }
    compare();
    engine_stop(t.engine, 1000, on_stopped, NULL);
    while (!t.stopped)
        uv_run(&t.loop, UV_RUN_ONCE);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    engine_free(t.engine);
}

int main(int argc, char **argv)
{
    t.steps = STEPS;
    t.seed = clock_ns();
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t *to = strcmp(argv[i], "--steps") == 0 ? &t.steps : &t.seed;
        *to = strtoull(argv[i + 1], NULL, 10);
    }
    t.random = t.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    printf("test_engine_model: %" PRIu64 " steps, --seed %" PRIu64 "\n", t.steps, t.seed);
    fflush(stdout);
    log_configure(LOG_ERROR, LOG_TEXT);
    struct err e;
    struct settings *settings;
    struct manifest *m;
    const char *dirs[] = {"/nonexistent"};
    struct settings_args args = {.plugins = dirs, .plugins_count = 1};
    struct source source = {.path = (char *)"/nonexistent", .trust = true};
    MUST(uv_loop_init(&t.loop) == 0);
    MUST(settings_read(&args, &settings, &e) == 0);
    MUST(manifest_parse(settings, &source, str_of(manifest_text), "fake.yaml", &m, &e) == 0);
    uint64_t begin = clock_ns();
    run(m);
    manifest_free(m);
    settings_free(settings);
    MUST(uv_loop_close(&t.loop) == 0);
    printf("%.1f s: %" PRIu64 " calls, %" PRIu64 " ran, %" PRIu64 " waited, %" PRIu64
           " done, %" PRIu64 " late, %" PRIu64 " cancelled, %" PRIu64 " timed out, %" PRIu64
           " waited too long, %" PRIu64 " met a full queue, %" PRIu64 " a full host, %" PRIu64
           " raced, %" PRIu64 " stale handles, %" PRIu64 " lost clients\n",
           (double)(clock_ns() - begin) / 1e9, t.numbers, t.ran, t.queued, t.done, t.late,
           t.cancelled, t.timeouts, t.waits_over, t.refused_queue, t.refused_calls, t.raced,
           t.stale, t.disconnects);
    if (t.steps >= 10000)
        MUST(t.ran && t.queued && t.done && t.late && t.cancelled && t.timeouts && t.waits_over &&
             t.refused_queue && t.refused_calls && t.raced && t.stale && t.disconnects);
    return 0;
}
