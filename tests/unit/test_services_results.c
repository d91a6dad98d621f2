/* Results that are kept and runs that are shared, for a plugin whose code is here.  The cache is
 * the memory tier; what Redis would answer is answered by the test (cache_ask() is wrapped). */
#include <check.h>
#include <stdlib.h>
#include "engine/internal.h"
#include "services/cache/memory.h"
#include "services/results/internal.h"

#define MS UINT64_C(1000000)

static const char manifest_text[] =
    "manifold: 1\n"
    "id: org.example.fake\n"
    "name: fake\n"
    "limits: { concurrency: 2, queue: 2, timeout: 10s, result: 4MiB }\n"
    "breaker: { failures: 0 }\n"
    "tools:\n"
    "  - { name: kept, description: d, cache: { ttl: 60s } }\n"
    "  - { name: public, description: d, cache: { ttl: 60s, scope: public } }\n"
    "  - { name: brief, description: d, cache: { ttl: 60s }, limits: { timeout: 30ms } }\n"
    "  - { name: plain, description: d }\n"
    "  - { name: short, description: d, cache: { ttl: 20ms } }\n"
    "  - { name: rated, description: d, cache: { ttl: 60s }, limits: { rate: 1/s burst 1 } }\n"
    "resources:\n"
    "  - { name: res, uri: \"x://y\", cache: { ttl: 60s } }\n"
    "  - { name: each, uriTemplate: \"x://y/{id}\", cache: { ttl: 60s } }\n";

enum { KEPT, PUBLIC, BRIEF, PLAIN, SHORT, RATED, RES, EACH };

static struct {
    uv_loop_t loop;
    uv_timer_t
        turn; /* so that UV_RUN_ONCE, which may run timers before it waits, never waits long */
    struct settings *settings;
    struct source source;
    struct manifest *manifest;
    struct services *services;
    struct results *results;
    struct engine *engine;
    struct instance *in;
    struct buf message;
    struct json_doc doc;
    /* what the plugin saw */
    mf_call held[16];
    unsigned helds, runs, cancels, closes;
    bool stopped, closed;
    /* Redis */
    bool redis;
    struct cache_read *asked[16];
    unsigned asks, asks_cancelled;
    bool vouched; /* for the last value of Redis */
} t;

/* --- Redis, as far as results.c sees it --- */

enum cache_answer __real_cache_ask(struct cache_space *s, struct str key, struct cache_read *r);
enum cache_answer __wrap_cache_ask(struct cache_space *s, struct str key, struct cache_read *r);
void __real_cache_cancel(struct cache_read *r);
void __wrap_cache_cancel(struct cache_read *r);

enum cache_answer __wrap_cache_ask(struct cache_space *s, struct str key, struct cache_read *r)
{
    enum cache_answer a = __real_cache_ask(s, key, r);
    if (!t.redis || a != CACHE_MISS)
        return a;
    t.asked[t.asks++ % 16] = r;
    return CACHE_ASKED;
}

void __wrap_cache_cancel(struct cache_read *r)
{
    for (unsigned i = 0; i < 16; i++) {
        if (t.asked[i] != r)
            continue;
        t.asked[i] = NULL;
        t.asks_cancelled++;
        return;
    }
    __real_cache_cancel(r);
}

/* The last one that was asked gets its answer; bytes NULL: a miss. */
static void redis_answers(struct str bytes)
{
    struct cache_read *r = t.asked[(t.asks - 1) % 16];
    struct memory_entry e = {.foreign = true};
    struct cache_value v = {.bytes = bytes, .left = 60000 * MS, .foreign = true, .entry = &e};
    ck_assert_ptr_nonnull(r);
    t.asked[(t.asks - 1) % 16] = NULL;
    r->done(r, bytes.p ? &v : NULL);
    t.vouched = !e.foreign;
}

/* --- the plugin --- */

static const mf_host *host(void)
{
    return &t.in->host;
}

static mf_bytes lit(const char *s)
{
    return (mf_bytes){s, strlen(s)};
}

static bool asked_for(const mf_request *rq, const char *what)
{
    return memmem(rq->args.data, rq->args.len, what, strlen(what)) != NULL;
}

static void answer_with_number(mf_call call, unsigned number)
{
    char text[32];
    snprintf(text, sizeof(text), "run %u", number);
    host()->text(host(), call, lit(text));
    host()->finish(host(), call, MF_DONE, lit(""));
}

static void plugin_call(void *self, const mf_request *rq)
{
    (void)self;
    t.runs++;
    if (asked_for(rq, "hold")) {
        t.held[t.helds++ % 16] = rq->call;
    } else if (asked_for(rq, "big")) {
        static char big[RESULTS_VALUE_MAX + 1];
        memset(big, 'x', sizeof(big));
        host()->text(host(), rq->call, (mf_bytes){big, sizeof(big)});
        host()->finish(host(), rq->call, MF_DONE, lit(""));
    } else if (asked_for(rq, "iserror")) {
        host()->text(host(), rq->call, lit("no"));
        host()->finish(host(), rq->call, MF_TOOL_ERROR, lit(""));
    } else if (asked_for(rq, "fault")) {
        host()->finish(host(), rq->call, MF_FAULT, lit("f"));
    } else if (asked_for(rq, "params")) {
        host()->finish(host(), rq->call, MF_BAD_PARAMS, lit("p"));
    } else {
        if (asked_for(rq, "structured"))
            host()->structured(host(), rq->call, lit("{\"a\":1}"));
        answer_with_number(rq->call, t.runs);
    }
}

static void plugin_cancel(void *self, mf_call call)
{
    (void)self;
    ck_assert_int_eq(host()->is_cancelled(host(), call), 1);
    t.cancels++;
}

static void plugin_close(void *self)
{
    (void)self;
    t.closes++;
}

static const mf_plugin fake = {
    .size = sizeof(mf_plugin), .call = plugin_call, .cancel = plugin_cancel, .close = plugin_close};

/* --- clients --- */

struct client {
    struct ticket ticket;
    unsigned done, progress, logs;
    enum call_end end;
    enum refusal_reason reason;
    char text[64], structured[64];
    struct outcome_kept kept;
    bool has_kept;
    void (*at_end)(struct client *c);
};

static void on_done(void *user, const struct outcome *o)
{
    struct client *c = user;
    c->done++;
    c->ticket = (struct ticket){0};
    c->end = o->end;
    c->reason = o->refusal ? o->refusal->reason : REFUSED_REASONS;
    snprintf(c->text, sizeof(c->text), "%.*s", STR_FMT(o->items));
    snprintf(c->structured, sizeof(c->structured), "%.*s", STR_FMT(o->structured));
    c->has_kept = o->kept != NULL;
    if (o->kept)
        c->kept = *o->kept;
    if (c->at_end)
        c->at_end(c);
}

static void on_progress(void *user, double done, double total, struct str text)
{
    (void)done, (void)total, (void)text;
    ((struct client *)user)->progress++;
}

static void on_log(void *user, int level, struct str logger, struct str text)
{
    (void)level, (void)logger, (void)text;
    ((struct client *)user)->logs++;
}

static const struct call_sink sink = {on_done, on_progress, on_log};

static void ask_as(struct client *c, uint32_t entry, const char *what, const char *principal,
                   bool progress, int log_level)
{
    struct json_error e;
    bool resource = entry >= RES;
    /* Arguments are never the root. */
    buf_clear(&t.message, SIZE_MAX);
    buf_printf(&t.message, "[%s]", resource ? "{}" : what);
    ck_assert_int_eq(json_read(&t.doc, buf_view(&t.message), &json_limits_default, &e), 0);
    void (*at_end)(struct client *) = c->at_end;
    *c = (struct client){.at_end = at_end};
    struct call_request rq = {.instance = t.in,
                              .entry = entry,
                              .kind = resource ? MF_RESOURCE : MF_TOOL,
                              .args = resource ? STR_NONE : str_of(what),
                              .uri = resource ? str_of(what) : STR_NONE,
                              .sink = &sink,
                              .user = c,
                              .progress = progress,
                              .log_level = log_level,
                              .principal = str_of(principal)};
    struct results_hit hit;
    struct ticket ticket = {0};
    if (results_find(t.services, &rq, &t.doc, 1, &hit)) {
        sink.done(c, &hit.outcome);
        results_release(&hit);
    } else {
        ticket = results_start(t.services, &rq);
    }
    ck_assert(c->done == 0 || !ticket_waits(ticket));
    c->ticket = ticket;
    ck_assert_ptr_null(results_check(t.results));
    ck_assert_ptr_null(engine_check(t.engine));
}

static void ask(struct client *c, uint32_t entry, const char *what)
{
    ask_as(c, entry, what, "", false, -1);
}

static void leave(struct client *c)
{
    ck_assert(ticket_waits(c->ticket));
    results_cancel(c->ticket);
    c->ticket = (struct ticket){0};
    ck_assert_ptr_null(results_check(t.results));
}

static void run_until_done(struct client *c)
{
    while (!c->done)
        uv_run(&t.loop, UV_RUN_ONCE);
}

/* The call that was held last ends, and who waits for it is told. */
static void finish_held(unsigned which)
{
    answer_with_number(t.held[which], which);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    ck_assert_ptr_null(results_check(t.results));
}

static struct results_counters count(void)
{
    struct results_counters c;
    results_count(t.services, &c);
    return c;
}

static const struct instance_counters *count_of(uint32_t entry)
{
    return &t.in->entry[entry].metrics->count;
}

#define TEXT(s) "{\"type\":\"text\",\"text\":\"" s "\"}"

/* --- the frame --- */

static void on_turn(uv_timer_t *timer)
{
    (void)timer;
}

static struct manifest *manifest(const char *text)
{
    struct manifest *m;
    struct err e;
    ck_assert_msg(manifest_parse(t.settings, &t.source, str_of(text), "fake.yaml", &m, &e) == 0,
                  "%s", e.text);
    memset(m->library_sha256, 'a', 64);
    return m;
}

static struct instance *make(struct manifest *m)
{
    struct instance *in = instance_new(t.engine, m);
    in->plugin = &fake;
    in->state = INSTANCE_READY;
    return in;
}

static void setup(void)
{
    struct err e;
    memset(&t, 0, sizeof(t));
    buf_init(&t.message, 1 << 20);
    ck_assert_int_eq(uv_loop_init(&t.loop), 0);
    uv_timer_init(&t.loop, &t.turn);
    uv_timer_start(&t.turn, on_turn, 1, 1);
    const char *dirs[] = {"/nonexistent"};
    struct settings_args args = {.plugins = dirs, .plugins_count = 1};
    ck_assert_msg(settings_read(&args, &t.settings, &e) == 0, "%s", e.text);
    t.settings->calls = 32;
    t.source.path = (char *)"/nonexistent";
    t.source.trust = true;
    t.manifest = manifest(manifest_text);
    ck_assert_int_eq(services_open(&t.loop, t.settings, &t.services, &e), 0);
    t.results = services_results(t.services);
    struct engine_options o = {.calls = 32, .services = services_for_engine(t.services)};
    ck_assert_int_eq(engine_open(&t.loop, &o, &t.engine, &e), 0);
    t.in = make(t.manifest);
}

static void on_closed(void *arg)
{
    (void)arg;
    t.closed = true;
}

static void on_stopped(void *arg)
{
    (void)arg;
    t.stopped = true;
    services_close(t.services, on_closed, NULL);
}

static void teardown(void)
{
    struct results_counters c = count();
    ck_assert(c.runs == 0 && c.waits == 0);
    ck_assert_ptr_null(results_check(t.results));
    engine_stop(t.engine, 10000, on_stopped, NULL);
    while (!t.closed)
        uv_run(&t.loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&t.turn, NULL);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    ck_assert(engine_free(t.engine));
    services_free(t.services);
    manifest_free(t.manifest);
    settings_free(t.settings);
    json_doc_release(&t.doc);
    buf_release(&t.message);
    ck_assert_int_eq(uv_loop_close(&t.loop), 0);
}

/* --- keeping --- */

START_TEST(the_second_is_a_hit)
{
    struct client a = {0}, b = {0};
    ask(&a, KEPT, "{\"x\":1,\"structured\":true}");
    ck_assert(a.done == 1 && a.has_kept && !a.kept.hit && !a.kept.shared);
    ck_assert_str_eq(a.text, TEXT("run 1"));
    ask(&b, KEPT, "{ \"structured\" : true, \"\\u0078\": 1.0 }");
    ck_assert(b.done == 1 && b.end == CALL_DONE && b.kept.hit && !b.kept.shared);
    ck_assert_str_eq(b.text, TEXT("run 1"));
    ck_assert_str_eq(b.structured, "{\"a\":1}");
    ck_assert(b.kept.age < 10000 && b.kept.age + b.kept.ttl == 60000);
    ck_assert_uint_eq(t.runs, 1);
    ck_assert(count().hits == 1 && count().misses == 1);
    ck_assert(count_of(KEPT)->hits == 1 && count_of(KEPT)->misses == 1);
    ck_assert_uint_eq(count_of(KEPT)->calls, 1);
}
END_TEST

START_TEST(what_differs_is_another_request)
{
    static const struct {
        uint32_t entry;
        const char *what, *principal;
    } requests[] = {{KEPT, "{\"x\":1}", ""},
                    {KEPT, "{\"x\":2}", ""},
                    {KEPT, "{\"x\":\"1\"}", ""},
                    {KEPT, "{}", ""},
                    {KEPT, "{\"x\":1}", "alice"},
                    {KEPT, "{\"x\":1}", "bob"},
                    {PUBLIC, "{\"x\":1}", "alice"},
                    {BRIEF, "{\"x\":1}", ""},
                    {RES, "x://y", ""},
                    {EACH, "x://y/1", ""},
                    {EACH, "x://y/2", ""},
                    {KEPT, "{\"x\":9007199254740993}", ""},
                    {KEPT, "{\"x\":9007199254740992}", ""}};
    struct client c = {0};
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
            ask_as(&c, requests[i].entry, requests[i].what, requests[i].principal, false, -1);
            ck_assert(c.done == 1 && c.kept.hit == (turn == 1));
        }
    }
    ask_as(&c, PUBLIC, "{\"x\":1}", "bob", false, -1);
    ck_assert(c.kept.hit);
}
END_TEST

START_TEST(what_is_not_kept)
{
    static const char *const what[] = {"{\"iserror\":1}", "{\"fault\":1}", "{\"params\":1}",
                                       "{\"big\":1}"};
    struct client c = {0};
    for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
        unsigned runs = t.runs;
        for (int turn = 0; turn < 2; turn++) {
            ask(&c, KEPT, what[i]);
            ck_assert(c.done == 1 && !c.kept.hit);
        }
        ck_assert_uint_eq(t.runs, runs + 2);
    }
    ask(&c, PLAIN, "{}");
    ask(&c, PLAIN, "{}");
    ck_assert(!c.has_kept);
    ck_assert_str_eq(c.text, TEXT("run 10"));
    ask(&c, SHORT, "{}");
    ck_assert(!c.kept.hit);
    for (uint64_t until = clock_ns() + 21 * MS; clock_ns() < until;)
        uv_run(&t.loop, UV_RUN_ONCE);
    ask(&c, SHORT, "{}");
    ck_assert(!c.kept.hit);
}
END_TEST

/* Arguments that make a key too long: hashed; over all bounds: not kept, and answered all the same.
 */
START_TEST(long_arguments)
{
    static const size_t sizes[] = {700, 900, 60000, RESULTS_ARGS_MAX + 1000};
    for (size_t i = 0; i < 4; i++) {
        char *what = malloc(sizes[i] + 20);
        int n = snprintf(what, 20, "{\"x\":\"");
        memset(what + n, 'y', sizes[i]);
        memcpy(what + (size_t)n + sizes[i], "\"}", 3);
        struct client a = {0}, b = {0}, c = {0};
        ask(&a, KEPT, what);
        ask(&b, KEPT, what);
        what[n + 1] = 'z';
        ask(&c, KEPT, what);
        ck_assert(a.done == 1 && b.done == 1 && c.done == 1);
        ck_assert_int_eq(b.kept.hit, i < 3);
        ck_assert(!a.kept.hit && !c.kept.hit);
        free(what);
    }
    struct client a = {0};
    char principal[300];
    memset(principal, 'p', sizeof(principal));
    principal[299] = 0;
    ask_as(&a, KEPT, "{}", principal, false, -1);
    ask_as(&a, KEPT, "{}", principal, false, -1);
    ck_assert(a.kept.hit);
    principal[298] = 'q';
    ask_as(&a, KEPT, "{}", principal, false, -1);
    ck_assert(!a.kept.hit);
}
END_TEST

/* The same name, another plugin: its library, its manifest, its config, what it was granted. */
START_TEST(a_changed_plugin_has_other_results)
{
    struct client c = {0};
    ask(&c, KEPT, "{}");
    char *text = malloc(sizeof(manifest_text) + 100);
    struct manifest *same = manifest(manifest_text), *library = manifest(manifest_text), *other,
                    *config, *granted;
    library->library_sha256[3] = 'b';
    snprintf(text, sizeof(manifest_text) + 100, "%stitle: Other\n", manifest_text);
    other = manifest(text);
    config = manifest(manifest_text);
    buf_clear(&config->config, SIZE_MAX);
    buf_lit(&config->config, "{\"units\":\"imperial\"}");
    granted = manifest(manifest_text);
    struct grant_ask asked = {.kind = GRANT_ENV, .name = STR("LANG"), .given = STR("LANG")};
    granted->grants.ask = &asked;
    granted->grants.ask_count = 1;
    struct manifest *const list[] = {same, library, other, config, granted};
    struct instance *first = t.in;
    for (size_t i = 0; i < 5; i++) {
        t.in = make(list[i]);
        ask(&c, KEPT, "{}");
        ck_assert_int_eq(c.kept.hit, i == 0);
        ask(&c, KEPT, "{}");
        ck_assert(c.kept.hit);
        if (list[i] == granted)
            granted->grants.ask_count = 0;
        instance_discard(t.in);
    }
    granted->grants.ask = NULL;
    t.in = first;
    ask(&c, KEPT, "{}");
    ck_assert(c.kept.hit);
    while (t.closes < 5)
        uv_run(&t.loop, UV_RUN_ONCE);
    free(text);
}
END_TEST

/* Before the library has been read nobody knows whether what is kept is of this plugin; what comes
 * of the call that loads it is kept. */
START_TEST(the_call_that_loads_the_plugin_is_kept)
{
    struct client c = {0};
    memset(t.manifest->library_sha256, 0, sizeof(t.manifest->library_sha256));
    ask(&c, KEPT, "{\"hold\":1}");
    memset(t.manifest->library_sha256, 'a', 64);
    finish_held(0);
    ck_assert(c.done == 1 && !c.kept.hit);
    ask(&c, KEPT, "{\"hold\":1}");
    ck_assert(c.done == 1 && c.kept.hit);
}
END_TEST

/* --- sharing --- */

START_TEST(equal_requests_share_a_run)
{
    struct client c[5] = {{.done = 0}};
    for (int i = 0; i < 5; i++)
        ask(&c[i], KEPT, i % 2 ? "{\"hold\":1,\"a\":2}" : "{\"a\":2.0,\"hold\":1}");
    ck_assert(t.runs == 1 && t.in->running == 1 && count().waits == 5 && count().runs == 1);
    finish_held(0);
    for (int i = 0; i < 5; i++) {
        ck_assert(c[i].done == 1 && c[i].end == CALL_DONE && !c[i].kept.hit);
        ck_assert_int_eq(c[i].kept.shared, i > 0);
        ck_assert_str_eq(c[i].text, TEXT("run 0"));
    }
    ck_assert(count_of(KEPT)->shared == 4 && count_of(KEPT)->calls == 1);
    ask(&c[0], KEPT, "{\"hold\":1,\"a\":2}");
    ck_assert(c[0].kept.hit);
}
END_TEST

START_TEST(principals_do_not_share)
{
    struct client a = {0}, b = {0}, c = {0};
    ask_as(&a, KEPT, "{\"hold\":1}", "alice", false, -1);
    ask_as(&b, KEPT, "{\"hold\":1}", "bob", false, -1);
    ask_as(&c, KEPT, "{\"hold\":1}", "alice", false, -1);
    ck_assert_uint_eq(t.runs, 2);
    finish_held(0);
    ck_assert(a.done == 1 && b.done == 0 && c.done == 1);
    finish_held(1);
    ck_assert_str_eq(b.text, TEXT("run 1"));
}
END_TEST

START_TEST(a_run_that_fails_fails_for_all_and_is_not_kept)
{
    struct client c[3] = {{.done = 0}};
    for (int i = 0; i < 3; i++)
        ask(&c[i], KEPT, "{\"hold\":1}");
    host()->finish(host(), t.held[0], MF_FAULT, lit("f"));
    uv_run(&t.loop, UV_RUN_NOWAIT);
    for (int i = 0; i < 3; i++)
        ck_assert(c[i].done == 1 && c[i].reason == REFUSED_FAULT);
    ask(&c[0], KEPT, "{\"hold\":1}");
    ck_assert(c[0].done == 0 && t.runs == 2);
    finish_held(1);
}
END_TEST

START_TEST(the_run_ends_with_the_last_who_waits)
{
    struct client c[3] = {{.done = 0}};
    for (int i = 0; i < 3; i++)
        ask(&c[i], KEPT, "{\"hold\":1}");
    leave(&c[0]); /* the one that began it */
    leave(&c[2]);
    ck_assert_uint_eq(t.cancels, 0);
    finish_held(0);
    ck_assert(c[1].done == 1 && c[0].done == 0 && c[2].done == 0);
    ask(&c[0], KEPT, "{\"hold\":1,\"b\":1}");
    ask(&c[1], KEPT, "{\"hold\":1,\"b\":1}");
    leave(&c[1]);
    leave(&c[0]);
    ck_assert_uint_eq(t.cancels, 1);
    /* What comes after that is nobody's, and is not kept; the next one does not wait for it. */
    ask(&c[2], KEPT, "{\"hold\":1,\"b\":1}");
    ck_assert_uint_eq(t.runs, 3);
    answer_with_number(t.held[1], 1);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(c[2].done, 0);
    finish_held(2);
    ck_assert_str_eq(c[2].text, TEXT("run 2"));
}
END_TEST

static struct client *to_leave;

static void leave_another(struct client *c)
{
    (void)c;
    if (to_leave && ticket_waits(to_leave->ticket))
        leave(to_leave);
    to_leave = NULL;
}

/* A client that is told may take others with it: a session that ends. */
START_TEST(leaving_while_others_are_told)
{
    struct client c[3] = {{.done = 0}};
    for (int i = 0; i < 3; i++)
        ask(&c[i], KEPT, "{\"hold\":1}");
    to_leave = &c[1];
    c[0].at_end = leave_another;
    finish_held(0);
    ck_assert(c[0].done == 1 && c[1].done == 0 && c[2].done == 1);
    for (int i = 0; i < 2; i++) {
        c[i].at_end = NULL;
        ask(&c[i], KEPT, "{\"hold\":1,\"b\":1}");
    }
    to_leave = &c[1];
    c[0].at_end = leave_another;
    finish_held(1);
    ck_assert(c[0].done == 1 && c[1].done == 0);
}
END_TEST

START_TEST(progress_and_log_go_to_who_asked)
{
    struct client quiet = {0}, progress = {0}, log = {0};
    ask_as(&quiet, KEPT, "{\"hold\":1}", "", false, -1);
    ask_as(&progress, KEPT, "{\"hold\":1}", "", true, MF_LOG_ERROR);
    ask_as(&log, KEPT, "{\"hold\":1}", "", false, MF_LOG_DEBUG);
    host()->progress(host(), t.held[0], 1, 2, lit(""));
    host()->log(host(), MF_LOG_INFO, t.held[0], lit("line"));
    ck_assert(quiet.progress == 0 && progress.progress == 1 && log.progress == 0);
    ck_assert(quiet.logs == 0 && progress.logs == 0 && log.logs == 1);
    finish_held(0);
}
END_TEST

START_TEST(a_hit_and_a_share_take_no_permit_and_no_token)
{
    struct client c[8] = {{.done = 0}};
    ask(&c[0], RATED, "{}");
    ask(&c[1], RATED, "{}");
    ck_assert(c[1].kept.hit);
    ask(&c[2], RATED, "{\"x\":1}");
    ck_assert_int_eq(c[2].reason, REFUSED_RATE);
    /* Two run, two wait in the queue, and it is full; equal ones find their place all the same. */
    for (int i = 0; i < 4; i++) {
        char what[40];
        snprintf(what, sizeof(what), "{\"hold\":%d}", i);
        ask(&c[i], KEPT, what);
    }
    ask(&c[4], KEPT, "{\"hold\":4}");
    ck_assert_int_eq(c[4].reason, REFUSED_QUEUE);
    ask(&c[4], KEPT, "{\"hold\":0}");
    ask(&c[5], KEPT, "{\"hold\":3}");
    ck_assert(c[4].done == 0 && c[5].done == 0 && t.in->running == 2 && t.in->queued == 2);
    ask(&c[6], RATED, "{}");
    ck_assert(c[6].kept.hit);
    leave(&c[3]);
    for (unsigned i = 0; i < 4; i++)
        finish_held(i);
    ck_assert(c[0].done && c[1].done && c[2].done && c[4].done && c[5].done);
}
END_TEST

START_TEST(waits_are_bounded)
{
    struct client c[33] = {{.done = 0}};
    for (int i = 0; i < 33; i++)
        ask(&c[i], KEPT, "{\"hold\":1}");
    ck_assert(c[31].done == 0 && c[32].done == 1 && c[32].reason == REFUSED_CALLS);
    finish_held(0);
}
END_TEST

/* --- deadlines --- */

START_TEST(a_run_that_takes_too_long_ends_for_all)
{
    struct client c[2] = {{.done = 0}};
    ask(&c[0], BRIEF, "{\"hold\":1}");
    ask(&c[1], BRIEF, "{\"hold\":1}");
    run_until_done(&c[0]);
    ck_assert(c[0].reason == REFUSED_TIMEOUT && c[1].done == 1 && c[1].reason == REFUSED_TIMEOUT);
    ck_assert(t.cancels == 1 && t.in->orphans == 1);
    answer_with_number(t.held[0], 0);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    ask(&c[0], BRIEF, "{\"hold\":1}");
    ck_assert_uint_eq(c[0].done, 0); /* not kept */
    finish_held(1);
}
END_TEST

START_TEST(who_joins_late_ends_by_his_own_deadline)
{
    struct client first = {0}, late = {0};
    ask(&first, KEPT, "{\"hold\":1}");
    t.manifest->entry[KEPT].limits.timeout = 20 * MS;
    uint64_t begin = clock_ns();
    ask(&late, KEPT, "{\"hold\":1}");
    run_until_done(&late);
    ck_assert_uint_ge(clock_ns() - begin, 20 * MS);
    ck_assert(late.reason == REFUSED_TIMEOUT && first.done == 0 && t.cancels == 0);
    ck_assert_uint_eq(count_of(KEPT)->timeouts, 1);
    finish_held(0);
    ck_assert_str_eq(first.text, TEXT("run 0"));
    /* The last one that waits: its run goes with it. */
    t.manifest->entry[KEPT].limits.timeout = 10000 * MS;
    ask(&first, KEPT, "{\"hold\":2}");
    t.manifest->entry[KEPT].limits.timeout = 20 * MS;
    ask(&late, KEPT, "{\"hold\":2}");
    leave(&first);
    run_until_done(&late);
    ck_assert(late.reason == REFUSED_TIMEOUT && t.cancels == 1 && count().runs == 0);
    answer_with_number(t.held[1], 0);
    while (t.in->orphans)
        uv_run(&t.loop, UV_RUN_ONCE);
}
END_TEST

/* --- a resource that changes --- */

START_TEST(what_is_dropped_is_not_given_out)
{
    struct client a = {0}, b = {0};
    ask(&a, RES, "x://y");
    ask(&a, EACH, "x://y/1");
    ask(&a, EACH, "x://y/11");
    results_drop(t.services, t.in, STR("x://y/1"));
    ask(&a, RES, "x://y");
    ck_assert(a.kept.hit);
    ask(&a, EACH, "x://y/11");
    ck_assert(a.kept.hit);
    ask(&a, EACH, "x://y/1");
    ck_assert(!a.kept.hit);
    /* A run that began before the change: its own client gets it, nobody else does. */
    t.manifest->entry[EACH].cache_scope = CACHE_PRIVATE;
    char hold[] = "x://y/hold";
    ask(&a, EACH, hold);
    ck_assert_uint_eq(a.done, 1); /* args are not given here, so it does not hold */
    results_drop(t.services, t.in, STR("x://y/hold"));
    ask(&b, EACH, hold);
    ck_assert(!b.kept.hit);
}
END_TEST

static void hold_resource(void *self, const mf_request *rq)
{
    (void)self;
    t.runs++;
    t.held[t.helds++ % 16] = rq->call;
}

static const mf_plugin holder = {.size = sizeof(mf_plugin),
                                 .call = hold_resource,
                                 .cancel = plugin_cancel,
                                 .close = plugin_close};

START_TEST(a_run_from_before_the_change_is_neither_shared_nor_kept)
{
    struct client before = {0}, after = {0};
    t.in->plugin = &holder;
    ask(&before, RES, "x://y");
    results_drop(t.services, t.in, STR("x://y"));
    ck_assert_ptr_null(results_check(t.results));
    ask(&after, RES, "x://y");
    ck_assert_uint_eq(t.runs, 2);
    finish_held(0);
    ck_assert(before.done == 1 && after.done == 0);
    struct client third = {0};
    ask(&third, RES, "x://y");
    ck_assert(third.done == 0 && t.runs == 2); /* shares the second */
    finish_held(1);
    ck_assert(strstr(after.text, "run 1") && strstr(third.text, "run 1"));
    ask(&before, RES, "x://y");
    ck_assert(before.kept.hit && strstr(before.text, "run 1"));
}
END_TEST

/* --- behind the memory: Redis --- */

/* What another host has kept, or says so. */
static struct str foreign(char space[200], const char *items, const char *structured)
{
    size_t n = strlen(items), m = strlen(structured);
    memset(space, 0, VALUE_HEAD);
    memcpy(space, "mfr2", 4);
    space[4] = (char)n;
    space[8] = (char)m;
    space[12] = '[';
    int len = snprintf(space + VALUE_HEAD, 200 - VALUE_HEAD, "%s]%s", items, structured);
    return (struct str){space, VALUE_HEAD + (size_t)len};
}

START_TEST(a_hit_of_another_host)
{
    struct client c[3] = {{.done = 0}};
    char space[200];
    t.redis = true;
    for (int i = 0; i < 3; i++)
        ask(&c[i], KEPT, "{\"x\":1}");
    ck_assert(t.asks == 1 && t.runs == 0 && t.in->held == 1 && c[0].done == 0);
    leave(&c[1]);
    redis_answers(foreign(space, TEXT("theirs"), "{\"b\":2}"));
    ck_assert(c[0].done == 1 && c[1].done == 0 && c[2].done == 1 && t.runs == 0);
    ck_assert(c[0].kept.hit && c[2].kept.hit && !c[2].kept.shared);
    ck_assert(t.vouched);
    ck_assert_str_eq(c[2].text, TEXT("theirs"));
    ck_assert_str_eq(c[2].structured, "{\"b\":2}");
    ck_assert(count().hits == 2 && count_of(KEPT)->hits == 2 && t.in->held == 0);
}
END_TEST

START_TEST(a_miss_in_redis_begins_the_run)
{
    struct client a = {0}, b = {0}, c = {0};
    t.redis = true;
    ask(&a, KEPT, "{\"hold\":1}");
    ask(&b, KEPT, "{\"hold\":1}");
    redis_answers(STR_NONE);
    ck_assert(t.runs == 1 && t.in->held == 0 && t.in->running == 1);
    ask(&c, KEPT, "{\"hold\":1}");
    ck_assert_uint_eq(t.runs, 1);
    finish_held(0);
    ck_assert(a.done == 1 && b.done == 1 && c.done == 1 && b.kept.shared && !a.kept.shared);
    ask(&a, KEPT, "{\"hold\":1}");
    ck_assert(a.kept.hit && t.asks == 1);
    /* The plugin's own copy of the arguments, and an end inside call(). */
    ask(&a, KEPT, "{\"x\":1}");
    redis_answers(STR_NONE);
    ck_assert(a.done == 1 && !a.kept.hit && t.runs == 2);
}
END_TEST

START_TEST(garbage_from_redis_is_a_miss)
{
    char space[200];
    static const char *const items[] = {"{\"a\":1}\n", "{\"a\":", "{},", "\xff", "{}]"};
    struct client c = {0};
    t.redis = true;
    for (size_t i = 0; i < 5 + 4; i++) {
        struct str bad = foreign(space, i < 5 ? items[i] : "{}", i == 5 ? "{" : "");
        bad.n -= i == 6;
        space[0] = i == 7 ? 'x' : space[0];
        bad.n = i == 8 ? 3 : bad.n;
        ask(&c, KEPT, "{\"x\":1}");
        ck_assert_uint_eq(c.done, 0);
        redis_answers(bad);
        ck_assert(c.done == 1 && c.end == CALL_DONE && !c.kept.hit && !t.vouched);
        struct instance_results *own = results_of(t.results, t.in);
        cache_delete_prefix(own->space, STR_NONE);
    }
    ck_assert_uint_eq(t.runs, 9);
}
END_TEST

START_TEST(leaving_while_redis_is_asked)
{
    struct client a = {0}, b = {0};
    t.redis = true;
    ask(&a, KEPT, "{\"x\":1}");
    ask(&b, KEPT, "{\"x\":1}");
    leave(&a);
    leave(&b);
    ck_assert(t.asks_cancelled == 1 && t.in->held == 0 && count().runs == 0 && t.runs == 0);
    t.manifest->entry[BRIEF].limits.timeout = 10 * MS;
    ask(&a, BRIEF, "{}");
    run_until_done(&a);
    ck_assert(a.reason == REFUSED_TIMEOUT && t.asks_cancelled == 2 && t.runs == 0);
}
END_TEST

/* The deadline of a run that Redis has delayed is that of who waits for it. */
START_TEST(the_run_has_what_is_left_of_the_time)
{
    struct client a = {0};
    t.redis = true;
    t.manifest->entry[KEPT].limits.timeout = 40 * MS;
    uint64_t begin = clock_ns();
    ask(&a, KEPT, "{\"hold\":1}");
    while (clock_ns() < begin + 20 * MS)
        uv_run(&t.loop, UV_RUN_ONCE);
    redis_answers(STR_NONE);
    run_until_done(&a);
    uint64_t took = clock_ns() - begin;
    ck_assert(a.reason == REFUSED_TIMEOUT && took >= 40 * MS);
    ck_assert_uint_eq(t.in->orphans, 1); /* the engine's own timeout: the breaker heard of it */
    answer_with_number(t.held[0], 0);
    while (t.in->orphans)
        uv_run(&t.loop, UV_RUN_ONCE);
}
END_TEST

/* A generation that is replaced meanwhile is there until its request has been answered. */
START_TEST(a_retired_instance_waits_for_who_asks)
{
    struct client a = {0};
    struct instance *first = t.in;
    struct manifest *m = manifest(manifest_text);
    t.in = make(m);
    t.redis = true;
    ask(&a, KEPT, "{\"x\":1}");
    instance_retire(t.in, NULL);
    for (int i = 0; i < 20; i++)
        uv_run(&t.loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(t.closes, 0);
    redis_answers(STR_NONE);
    ck_assert(a.done == 1 && t.runs == 1);
    while (t.closes == 0)
        uv_run(&t.loop, UV_RUN_ONCE);
    t.in = make(m = manifest(manifest_text));
    m->instance.limits.drain = 0;
    ask(&a, KEPT, "{\"x\":2}");
    instance_retire(t.in, NULL);
    while (!instance_is_cut(t.in))
        uv_run(&t.loop, UV_RUN_ONCE);
    redis_answers(STR_NONE); /* too late to begin */
    ck_assert(a.done == 1 && a.reason == REFUSED_TIMEOUT && t.runs == 1);
    while (t.closes == 1)
        uv_run(&t.loop, UV_RUN_ONCE);
    t.in = first;
}
END_TEST

int main(void)
{
    log_configure(LOG_ERROR, LOG_TEXT);
    Suite *s = suite_create("services results");
    TCase *c = tcase_create("results");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, the_second_is_a_hit);
    tcase_add_test(c, what_differs_is_another_request);
    tcase_add_test(c, what_is_not_kept);
    tcase_add_test(c, long_arguments);
    tcase_add_test(c, a_changed_plugin_has_other_results);
    tcase_add_test(c, the_call_that_loads_the_plugin_is_kept);
    tcase_add_test(c, equal_requests_share_a_run);
    tcase_add_test(c, principals_do_not_share);
    tcase_add_test(c, a_run_that_fails_fails_for_all_and_is_not_kept);
    tcase_add_test(c, the_run_ends_with_the_last_who_waits);
    tcase_add_test(c, leaving_while_others_are_told);
    tcase_add_test(c, progress_and_log_go_to_who_asked);
    tcase_add_test(c, a_hit_and_a_share_take_no_permit_and_no_token);
    tcase_add_test(c, waits_are_bounded);
    tcase_add_test(c, a_run_that_takes_too_long_ends_for_all);
    tcase_add_test(c, who_joins_late_ends_by_his_own_deadline);
    tcase_add_test(c, what_is_dropped_is_not_given_out);
    tcase_add_test(c, a_run_from_before_the_change_is_neither_shared_nor_kept);
    tcase_add_test(c, a_hit_of_another_host);
    tcase_add_test(c, a_miss_in_redis_begins_the_run);
    tcase_add_test(c, garbage_from_redis_is_a_miss);
    tcase_add_test(c, leaving_while_redis_is_asked);
    tcase_add_test(c, the_run_has_what_is_left_of_the_time);
    tcase_add_test(c, a_retired_instance_waits_for_who_asks);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
