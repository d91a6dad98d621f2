/* Kept results and shared runs against a model: random requests of two principals for a few keys,
 * spelled in several ways; answers of Redis, ends, cancels, timeouts and changes in every order.
 *
 *   test_services_results_model [--steps N] [--seed N]
 *
 * After each step results_check() and engine_check() hold, and what waits, runs and is counted is
 * the model's.  Every answer is looked at: it is that of the run which the model says the request
 * waits for, or of the last one that was kept for its key, and never one from before a change.
 * What the cache is given to keep, and whether it takes it, is the model's too. */
#include <inttypes.h>
#include <stdlib.h>
#include "engine/internal.h"
#include "services/cache/internal.h"
#include "services/cache/order.h"
#include "services/cache/memory.h"
#include "services/results/internal.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STEPS 300000
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define STEPS 300000
#endif
#endif
#ifndef STEPS
#define STEPS 3000000
#endif

static const char manifest_text[] =
    "manifold: 1\n"
    "id: org.example.fake\n"
    "name: fake\n"
    "limits: { concurrency: 64, queue: 1, timeout: 10m, result: 4MiB }\n"
    "breaker: { failures: 0 }\n"
    "tools:\n"
    "  - { name: private, description: d, cache: { ttl: 1h } }\n"
    "  - { name: public, description: d, cache: { ttl: 1h, scope: public } }\n"
    "resources:\n"
    "  - { name: each, uriTemplate: \"x://y/{id}\", cache: { ttl: 1h } }\n";

enum { PRIVATE, PUBLIC, EACH, ENTRIES, ARGS = 3, PRINCIPALS = 2, REQUESTS = 24, RUNS = 48 };

enum state { NONE, ASKING, RUNNING, FINISHING, ORPHAN };

struct run {
    enum state state;
    int key;
    uint64_t number, began_at;
    mf_call handle;
    struct cache_read *read; /* ASKING */
    struct cache_space *space;
    struct call *call; /* RUNNING, FINISHING */
    unsigned waits;
    bool sharable, dropped, gone; /* gone: finishing, and nobody waits */
    int how;                      /* FINISHING */
    bool big;
};

struct request {
    bool live;
    int key;
    struct run *run;
    struct ticket ticket;
};

static struct {
    uv_loop_t loop;
    struct services *services;
    struct results *results;
    struct engine *engine;
    struct instance *in;
    struct json_doc doc;
    struct buf message;
    struct run run[RUNS];
    struct request request[REQUESTS];
    uint64_t kept[ENTRIES * ARGS * PRINCIPALS];     /* number of the run; 0: nothing */
    uint64_t kept_at[ENTRIES * ARGS * PRINCIPALS];  /* changes before that run began */
    uint64_t class_of[ENTRIES * ARGS * PRINCIPALS]; /* of those in which the cache counts deletes */
    uint64_t numbers, step, steps, seed, random;
    /* the step under way */
    struct run *starting;  /* whose call() may come */
    struct request *asker; /* inside results_start() */
    uint64_t expect;       /* what done() must bring: a number, or 0: */
    enum call_end end;     /* this end; CALL_REFUSED is for a timeout */
    bool redis;
    struct run *asked; /* by wrapped cache_get() */
    unsigned sets;     /* by wrapped cache_set(), until they are settled */
    int set;           /* what it said */
    unsigned answers;
    bool stopped, closed;
    struct results_counters count;
    uint64_t inside, redis_hits, garbage, cancels, abandoned, timeouts, own_deadlines, drops,
        errors, late, forgotten, refused;
} t;

static void fail_at(int line, const char *what)
{
    fprintf(stderr,
            "test_services_results_model: line %d, step %" PRIu64 ", seed %" PRIu64 ": %s\n", line,
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

static struct run *pick_run(enum state state)
{
    uint64_t from = any(RUNS);
    for (unsigned i = 0; i < RUNS; i++) {
        struct run *r = &t.run[(from + i) % RUNS];
        if (r->state == state)
            return r;
    }
    return NULL;
}

static struct request *pick_request(bool live)
{
    uint64_t from = any(REQUESTS);
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct request *q = &t.request[(from + i) % REQUESTS];
        if (q->live == live)
            return q;
    }
    return NULL;
}

static int entry_of_key(int key)
{
    return key / (ARGS * PRINCIPALS);
}
static int arg_of(int key)
{
    return key / PRINCIPALS % ARGS;
}

/* --- Redis --- */

enum cache_answer __real_cache_ask(struct cache_space *s, struct str key, struct cache_read *r);
enum cache_answer __wrap_cache_ask(struct cache_space *s, struct str key, struct cache_read *r);
int __real_cache_set(struct cache_space *s, struct str key, const struct str *piece,
                     unsigned pieces, uint64_t ttl, const struct cache_stamp *since);
int __wrap_cache_set(struct cache_space *s, struct str key, const struct str *piece,
                     unsigned pieces, uint64_t ttl, const struct cache_stamp *since);
void __real_cache_cancel(struct cache_read *r);
void __wrap_cache_cancel(struct cache_read *r);

enum cache_answer __wrap_cache_ask(struct cache_space *s, struct str key, struct cache_read *r)
{
    enum cache_answer a = __real_cache_ask(s, key, r);
    MUST(t.starting);
    t.class_of[t.starting->key] = memory_key(s->id, key).hash % ORDER_KEYS;
    if (!t.redis || a != CACHE_MISS)
        return a;
    t.asked = t.starting;
    t.asked->read = r;
    t.asked->space = s;
    return CACHE_ASKED;
}

int __wrap_cache_set(struct cache_space *s, struct str key, const struct str *piece,
                     unsigned pieces, uint64_t ttl, const struct cache_stamp *since)
{
    t.sets++;
    return t.set = __real_cache_set(s, key, piece, pieces, ttl, since);
}

void __wrap_cache_cancel(struct cache_read *r)
{
    for (unsigned i = 0; i < RUNS; i++) {
        if (t.run[i].read != r)
            continue;
        t.run[i].read = NULL;
        return;
    }
    __real_cache_cancel(r);
}

/* --- the plugin --- */

static const mf_host *host(void)
{
    return &t.in->host;
}

static mf_status answer(struct run *r, int how)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64, r->number);
    host()->text(host(), r->handle, (mf_bytes){text, strlen(text)});
    if (r->big) {
        static char big[RESULTS_VALUE_MAX];
        memset(big, ' ', sizeof(big));
        host()->text(host(), r->handle, (mf_bytes){big, sizeof(big)});
    }
    return host()->finish(host(), r->handle, how, (mf_bytes){NULL, 0});
}

/* What the waits of a run are told that has ended in this way. */
static void expect(const struct run *r)
{
    static const enum call_end ends[] = {[MF_DONE] = CALL_DONE,
                                         [MF_TOOL_ERROR] = CALL_TOOL_ERROR,
                                         [MF_BAD_PARAMS] = CALL_BAD_PARAMS,
                                         [MF_NOT_FOUND] = CALL_NOT_FOUND};
    t.end = ends[r->how];
    t.expect = t.end == CALL_DONE || t.end == CALL_TOOL_ERROR ? r->number : 0;
    t.errors += t.end != CALL_DONE;
}

static void plan(struct run *r)
{
    static const int tool[] = {MF_DONE, MF_DONE, MF_DONE, MF_TOOL_ERROR, MF_BAD_PARAMS};
    static const int resource[] = {MF_DONE, MF_DONE, MF_DONE, MF_NOT_FOUND, MF_BAD_PARAMS};
    r->how = (entry_of_key(r->key) == EACH ? resource : tool)[any(5)];
    r->big = any(500) == 0;
}

static void plugin_call(void *self, const mf_request *rq)
{
    (void)self;
    struct run *r = t.starting;
    MUST(r && r->state != RUNNING);
    r->state = RUNNING;
    r->handle = rq->call;
    r->number = ++t.numbers;
    r->began_at = t.drops;
    if (any(3))
        return;
    plan(r);
    expect(r);
    r->state = FINISHING;
    MUST(answer(r, r->how) == MF_OK);
    t.inside++;
}

static void plugin_cancel(void *self, mf_call call)
{
    (void)self;
    for (unsigned i = 0; i < RUNS; i++) {
        if (t.run[i].state == ORPHAN && t.run[i].handle == call)
            return;
    }
    MUST(!"a call is cancelled that somebody waits for");
}

static void plugin_close(void *self)
{
    (void)self;
}

static const mf_plugin fake = {
    .size = sizeof(mf_plugin), .call = plugin_call, .cancel = plugin_cancel, .close = plugin_close};

/* --- the client --- */

static uint64_t number_in(struct str items)
{
    const char *at = memmem(items.p, items.n, "\"text\":\"", 8);
    MUST(at != NULL);
    return strtoull(at + 8, NULL, 10);
}

static void on_done(void *user, const struct outcome *o)
{
    struct request *q = user;
    MUST(q->live);
    MUST(o->end == t.end);
    MUST(o->end != CALL_REFUSED || o->refusal->reason == REFUSED_TIMEOUT);
    MUST(!t.expect || number_in(o->items) == t.expect);
    MUST(o->kept || o->end == CALL_REFUSED);
    q->live = false;
    t.answers++;
    if (q->run)
        q->run->waits--;
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

static struct run *find_sharable(int key)
{
    for (unsigned i = 0; i < RUNS; i++) {
        struct run *r = &t.run[i];
        if (r->state != NONE && r->sharable && r->key == key)
            return r;
    }
    return NULL;
}

/* The cache remembers the last 64 changes, and drops what is older than that. */
static bool in_doubt(uint64_t since)
{
    return t.drops - since >= 60;
}

/* It has ended; what the model knows of its key from then on. */
static void settle(struct run *r)
{
    bool given = r->how == MF_DONE && !r->big && !r->gone;
    MUST(r->waits == 0);
    MUST(t.sets == given);
    t.sets = 0;
    r->state = NONE;
    if (!given)
        return;
    if (r->dropped || t.set) {
        MUST(t.set == -ESTALE);
        MUST(r->dropped || in_doubt(r->began_at));
        t.refused++;
        return;
    }
    t.kept[r->key] = r->number;
    t.kept_at[r->key] = r->began_at;
}

/* After a begin: the run goes on, or has ended inside. */
static void began(struct run *r)
{
    t.count.misses++;
    if (r->state == FINISHING)
        settle(r);
    r->dropped = false;
}

/* Each is the beginning of the next. */
static void write_uri(char uri[32], int arg)
{
    snprintf(uri, 32, "x://y/%.*s", 1 + arg, "1111");
}

static struct ticket ask(struct request *q)
{
    static const char *const spelled[] = {"[{\"n\":%d,\"a\":\"/\"}]",
                                          "[ { \"a\" : \"\\/\" , \"\\u006e\" : %d.0 } ]",
                                          "[{\"a\":\"\\u002f\",\"n\":%d0e-1}]"};
    struct json_error e;
    char uri[32];
    int entry = entry_of_key(q->key);
    buf_clear(&t.message, SIZE_MAX);
    buf_printf(&t.message, spelled[any(3)], 1 + arg_of(q->key));
    MUST(json_read(&t.doc, buf_view(&t.message), &json_limits_default, &e) == 0);
    write_uri(uri, arg_of(q->key));
    bool resource = entry == EACH;
    struct call_request rq = {.instance = t.in,
                              .entry = (uint32_t)entry,
                              .kind = resource ? MF_RESOURCE : MF_TOOL,
                              .args = resource ? STR_NONE : json_raw(&t.doc, 1),
                              .uri = resource ? str_of(uri) : STR_NONE,
                              .sink = &sink,
                              .user = q,
                              .log_level = -1,
                              .principal = q->key % PRINCIPALS ? STR("alice") : STR("bob")};
    struct results_hit hit;
    if (!results_find(t.services, &rq, &t.doc, resource ? 0 : 1, &hit))
        return results_start(t.services, &rq);
    sink.done(q, &hit.outcome);
    results_release(&hit);
    return (struct ticket){0};
}

static void start(void)
{
    struct request *q = pick_request(false);
    struct run *r = pick_run(NONE);
    if (!q || !r)
        return;
    *q = (struct request){.live = true, .key = (int)any(ENTRIES * ARGS * PRINCIPALS)};
    int key = q->key;
    if (entry_of_key(key) == PUBLIC) /* that of everybody */
        key -= key % PRINCIPALS;
    struct run *shared = find_sharable(key);
    *r = (struct run){.key = key};
    t.starting = r;
    t.redis = any(3) == 0;
    t.asked = NULL;
    t.answers = 0;
    q->run = t.kept[key] ? NULL : shared ? shared : r;
    if (q->run)
        q->run->waits++;
    if (t.kept[key]) {
        t.expect = t.kept[key];
        t.end = CALL_DONE;
    }
    q->ticket = ask(q);
    t.starting = NULL;
    if (t.kept[key] && (t.asked || r->state != NONE || q->live)) {
        MUST(in_doubt(t.kept_at[key]));
        t.kept[key] = 0;
        q->run = !q->live ? NULL : shared ? shared : r;
        if (q->run)
            q->run->waits++;
        t.forgotten++;
    }
    if (t.kept[key]) {
        MUST(!ticket_waits(q->ticket) && t.answers == 1 && r->state == NONE);
        t.count.hits++;
    } else if (shared) {
        MUST(q->ticket.wait && t.answers == 0 && r->state == NONE && !t.asked);
        t.count.shared++;
    } else if (t.redis) {
        MUST(q->ticket.wait && t.asked == r && r->state == NONE && r->read);
        r->state = ASKING;
        r->sharable = true;
    } else {
        MUST(ticket_waits(q->ticket) == (r->state == RUNNING) && t.answers == !q->ticket.wait);
        r->sharable = r->state == RUNNING;
        r->call = r->sharable ? q->ticket.wait->flight->call : NULL;
        began(r);
    }
}

/* A value as another host would have written it; borrowed until the next one. */
static struct str foreign(uint64_t number)
{
    static char space[200];
    memset(space, 0, VALUE_HEAD);
    memcpy(space, "mfr2", 4);
    space[12] = '[';
    int n = snprintf(space + VALUE_HEAD, sizeof(space) - VALUE_HEAD,
                     "{\"type\":\"text\",\"text\":\"%" PRIu64 "\"}]", number);
    space[4] = (char)(n - 1);
    return (struct str){space, VALUE_HEAD + (size_t)n};
}

/* Whatever is there for the key of `but` is deleted; and what was begun before it, by others whose
 * result had been dropped or was not to be shared, is not kept.  Of deletes the cache knows only
 * the class of the key. */
static void delete_key(const struct run *but)
{
    t.kept[but->key] = 0;
    for (unsigned i = 0; i < RUNS; i++) {
        struct run *r = &t.run[i];
        if (r != but && (r->state == RUNNING || r->state == FINISHING) &&
            t.class_of[r->key] == t.class_of[but->key])
            r->dropped = true;
    }
}

static void redis_answers(void)
{
    struct run *r = pick_run(ASKING);
    if (!r)
        return;
    struct cache_read *read = r->read;
    struct flight *f = container_of(read, struct flight, read);
    struct memory_entry e;
    uint64_t what = r->dropped ? 2 : any(3); /* the cache gives nothing out that was dropped */
    unsigned waits = r->waits;
    r->read = NULL;
    t.answers = 0;
    if (what == 0) {
        struct cache_value v = {
            .bytes = foreign(t.expect = ++t.numbers), .foreign = true, .entry = &e};
        t.end = CALL_DONE;
        read->done(read, &v);
        MUST(t.answers == waits && r->waits == 0);
        t.count.hits += waits;
        t.redis_hits++;
        r->state = NONE;
        return;
    }
    t.starting = r;
    if (what == 1) {
        struct cache_value v = {.bytes = foreign(1), .foreign = true, .entry = &e};
        v.bytes.n -= 1;
        delete_key(r);
        t.garbage++;
        read->done(read, &v);
    } else {
        read->stamp = cache_stamp_now(r->space);
        read->done(read, NULL);
    }
    t.starting = NULL;
    MUST(r->state == RUNNING || (r->state == FINISHING && t.answers == waits));
    r->dropped = false; /* it is newer than the change */
    r->call = r->state == RUNNING ? f->call : NULL;
    began(r);
}

static void finish(void)
{
    struct run *r = pick_run(RUNNING);
    if (!r)
        return;
    plan(r);
    r->state = FINISHING;
    MUST(answer(r, r->how) == MF_OK);
}

static void finish_orphan(void)
{
    struct run *r = pick_run(ORPHAN);
    if (!r)
        return;
    mf_status s = answer(r, MF_DONE);
    MUST(s == MF_ECANCELED || s == MF_ETIMEDOUT);
    r->state = NONE;
    t.late++;
}

static void leave(struct request *q)
{
    struct run *r = q->run;
    q->live = false;
    bool last = --r->waits == 0;
    if (last) {
        r->sharable = false;
        t.abandoned++;
        if (r->state == RUNNING)
            r->state = ORPHAN;
        else if (r->state == FINISHING)
            r->gone = true;
    }
    results_cancel(q->ticket);
    if (last && r->state == ASKING) {
        MUST(!r->read); /* it has been cancelled */
        r->state = NONE;
    }
    t.cancels++;
}

/* As the engine does when limits.timeout is over. */
static void time_out(void)
{
    struct run *r = pick_run(RUNNING);
    if (!r)
        return;
    unsigned waits = r->waits;
    t.answers = 0;
    t.expect = 0;
    t.end = CALL_REFUSED;
    r->state = ORPHAN;
    r->sharable = false;
    deadline_clear(t.engine, r->call);
    call_due(r->call);
    MUST(t.answers == waits && r->waits == 0);
    t.timeouts++;
}

static void own_deadline(void)
{
    struct request *q = pick_request(true);
    if (!q)
        return;
    struct run *r = q->run;
    struct result_wait *w = q->ticket.wait;
    if (r->waits == 1) {
        r->sharable = false;
        r->gone = true;
        if (r->state == RUNNING)
            r->state = ORPHAN;
    }
    t.answers = 0;
    t.expect = 0;
    t.end = CALL_REFUSED;
    list_remove(&w->in_deadlines);
    w->deadline = 1;
    wait_limit(w);
    waits_due(t.results);
    MUST(t.answers == 1 && !q->live);
    if (!r->waits && r->state == ASKING) {
        MUST(!r->read);
        r->state = NONE;
    }
    t.own_deadlines++;
}

static void drop(void)
{
    int arg = (int)any(ARGS);
    char uri[32];
    write_uri(uri, arg);
    for (int p = 0; p < PRINCIPALS; p++)
        t.kept[(EACH * ARGS + arg) * PRINCIPALS + p] = 0;
    for (unsigned i = 0; i < RUNS; i++) {
        struct run *r = &t.run[i];
        if (r->state != NONE && r->state != ORPHAN && entry_of_key(r->key) == EACH &&
            arg_of(r->key) == arg) {
            r->dropped = true;
            r->sharable = false;
        }
    }
    results_drop(t.services, t.in, str_of(uri));
    t.drops++;
}

/* As if all of it had been evicted, or its time were over: what runs is shared on, but not kept. */
static void forget(void)
{
    for (unsigned i = 0; i < RUNS; i++) {
        if (t.run[i].state == RUNNING || t.run[i].state == FINISHING)
            t.run[i].dropped = true;
    }
    memset(t.kept, 0, sizeof(t.kept));
    MUST(cache_delete_prefix(results_of(t.results, t.in)->space, STR_NONE) == 0);
}

/* --- after each step --- */

static void compare(void)
{
    const char *broken = results_check(t.results);
    if (!broken)
        broken = engine_check(t.engine);
    if (broken)
        fail_at(__LINE__, broken);
    unsigned runs = 0, waits = 0, held = 0;
    for (unsigned i = 0; i < RUNS; i++) {
        const struct run *r = &t.run[i];
        bool counts =
            r->state == ASKING || r->state == RUNNING || (r->state == FINISHING && !r->gone);
        runs += counts;
        held += r->state == ASKING;
        MUST(!counts || r->waits);
    }
    for (unsigned i = 0; i < REQUESTS; i++)
        waits += t.request[i].live;
    struct results_counters c;
    results_count(t.services, &c);
    MUST(c.runs == runs);
    MUST(c.waits == waits);
    MUST(t.in->held == held);
    MUST(c.hits == t.count.hits);
    MUST(c.misses == t.count.misses);
    MUST(c.shared == t.count.shared);
}

/* The loop's next turn: the run that was finished last, if any, tells its end. */
static void end_finished(void)
{
    struct run *r = pick_run(FINISHING);
    unsigned waits = r && !r->gone ? r->waits : 0;
    t.answers = 0;
    if (waits)
        expect(r);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    MUST(t.answers == waits);
    if (r)
        settle(r);
}

static void step(void)
{
    struct request *q;
    uint64_t what = any(1000);
    if (what < 400) {
        start();
    } else if (what < 500) {
        redis_answers();
    } else if (what < 640) {
        /* Its end is told in the next turn; in half of the cases something comes between. */
        end_finished();
        finish();
        if (any(2))
            end_finished();
    } else if (what < 720) {
        finish_orphan();
    } else if (what < 800) {
        if ((q = pick_request(true)))
            leave(q);
    } else if (what < 830) {
        time_out();
    } else if (what < 860) {
        own_deadline();
    } else if (what < 880) {
        drop();
    } else if (what < 900) {
        forget();
    } else if (what < 902) {
        while ((q = pick_request(true)))
            leave(q);
    } else {
        end_finished();
    }
}

static void on_closed(void *arg)
{
    (void)arg;
    t.closed = true;
}

static void on_stopped(void *arg)
{
    (void)arg;
    services_close(t.services, on_closed, NULL);
}

static void run(struct manifest *m, const struct settings *settings)
{
    struct err e;
    MUST(services_open(&t.loop, settings, &t.services, &e) == 0);
    t.results = services_results(t.services);
    struct engine_options o = {.calls = 1000, .services = services_for_engine(t.services)};
    MUST(engine_open(&t.loop, &o, &t.engine, &e) == 0);
    t.in = instance_new(t.engine, m);
    t.in->plugin = &fake;
    t.in->state = INSTANCE_READY;
    for (t.step = 0; t.step < t.steps; t.step++) {
        step();
        compare();
    }
    end_finished();
    for (struct request *q; (q = pick_request(true));)
        leave(q);
    end_finished();
    while (pick_run(ORPHAN))
        finish_orphan();
    compare();
    engine_stop(t.engine, 10000, on_stopped, NULL);
    while (!t.closed)
        uv_run(&t.loop, UV_RUN_ONCE);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    engine_free(t.engine);
    services_free(t.services);
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
    buf_init(&t.message, 1000);
    printf("test_services_results_model: %" PRIu64 " steps, --seed %" PRIu64 "\n", t.steps, t.seed);
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
    memset(m->library_sha256, 'a', 64);
    uint64_t begin = clock_ns();
    run(m, settings);
    manifest_free(m);
    settings_free(settings);
    json_doc_release(&t.doc);
    buf_release(&t.message);
    MUST(uv_loop_close(&t.loop) == 0);
    printf("%.1f s: %" PRIu64 " misses, %" PRIu64 " hits, %" PRIu64 " shared, %" PRIu64
           " ended inside, %" PRIu64 " hits of Redis, %" PRIu64 " garbage, %" PRIu64
           " left, %" PRIu64 " abandoned, %" PRIu64 " timeouts, %" PRIu64 " own deadlines, %" PRIu64
           " drops, %" PRIu64 " errors, %" PRIu64 " late, %" PRIu64 " not kept\n",
           (double)(clock_ns() - begin) / 1e9, t.count.misses, t.count.hits, t.count.shared,
           t.inside, t.redis_hits, t.garbage, t.cancels, t.abandoned, t.timeouts, t.own_deadlines,
           t.drops, t.errors, t.late, t.refused);
    if (t.steps >= 10000)
        MUST(t.count.misses && t.count.hits && t.count.shared && t.inside && t.redis_hits &&
             t.garbage && t.cancels && t.abandoned && t.timeouts && t.own_deadlines && t.drops &&
             t.errors && t.late && t.refused);
    return 0;
}
