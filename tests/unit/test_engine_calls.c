/* The engine with a plugin that does as its arguments say: one end for every
 * call, permits given back exactly once, whatever the plugin does and from
 * whichever thread. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "engine/engine.h"
#include "engine/internal.h"

static const char manifest_text[] =
    "manifold: 1\n"
    "id: org.example.fake\n"
    "name: fake\n"
    "limits: { concurrency: 2, queue: 2, queue_wait: 80ms, timeout: 150ms, result: 1KiB }\n"
    "tools:\n"
    "  - { name: act, description: d }\n"
    "  - { name: block, description: d }\n"
    "  - { name: shaped, description: d, outputSchema: { type: object, required: [a] } }\n"
    "  - { name: single, description: d, slow: 20ms, limits: { concurrency: 1 } }\n"
    "resources:\n"
    "  - { name: res, uri: \"x://y\", mimeType: text/plain }\n"
    "prompts:\n"
    "  - { name: pro }\n";

enum { ACT, BLOCK, SHAPED, SINGLE, RES, PRO };

static struct {
    uv_loop_t loop;
    struct settings *settings;
    struct source source;
    struct manifest *manifest;
    struct engine *engine;
    struct instance *in, *other;
    /* what the plugin saw */
    mf_call last;
    mf_call held[64];
    unsigned helds, cancels;
    mf_status finished_with;
    /* what the client saw */
    unsigned done;
    enum call_end end;
    enum refusal_reason reason;
    enum refusal_reason reasons[4]; /* of the first ends, in order */
    int64_t retry_ms;
    char items[4096], structured[256], message[256];
    unsigned progress, logs;
    double progress_last;
    uint32_t ref_kind;
    bool stopped;
} t;

/* --- the plugin --- */

static mf_bytes lit(const char *s)
{
    return (mf_bytes){s, strlen(s)};
}

static const mf_host *host(void)
{
    return &t.in->host;
}

static void *finish_later(void *arg)
{
    mf_call call = (mf_call)(uintptr_t)arg;
    host()->progress(host(), call, 1, 2, lit("half"));
    host()->log(host(), MF_LOG_INFO, call, lit("from a thread"));
    host()->text(host(), call, lit("threaded"));
    host()->finish(host(), call, MF_DONE, lit(""));
    return NULL;
}

static void plugin_call(void *self, const mf_request *rq)
{
    (void)self;
    char what[32] = "";
    size_t n = rq->args.len < sizeof(what) - 1 ? rq->args.len : sizeof(what) - 1;
    memcpy(what, rq->args.data, n);
    if (!strstr(what, "slowly") && rq->kind != MF_COMPLETION) /* which run on threads */
        t.last = rq->call;
    if (strstr(what, "hold")) {
        t.held[t.helds++ % 64] = rq->call;
    } else if (strstr(what, "thread")) {
        pthread_t id;
        ck_assert_int_eq(pthread_create(&id, NULL, finish_later, (void *)(uintptr_t)rq->call), 0);
        pthread_detach(id);
    } else if (strstr(what, "big")) {
        char big[2000];
        memset(big, 'x', sizeof(big));
        ck_assert_int_eq(host()->text(host(), rq->call, (mf_bytes){big, sizeof(big)}), MF_ELIMIT);
        host()->finish(host(), rq->call, MF_DONE, lit(""));
    } else if (strstr(what, "params")) {
        host()->finish(host(), rq->call, MF_BAD_PARAMS, lit("no such place"));
    } else if (strstr(what, "fault")) {
        host()->finish(host(), rq->call, MF_FAULT, lit("secret detail"));
    } else if (strstr(what, "odd")) {
        host()->finish(host(), rq->call, 99, lit(""));
    } else if (strstr(what, "slowly")) {
        usleep(20000);
        host()->text(host(), rq->call, lit("slow"));
        host()->finish(host(), rq->call, MF_DONE, lit(""));
        usleep(20000); /* the arguments must outlive the answer */
        ck_assert(rq->args.len > 0 && rq->args.data[0] == '{');
    } else if (strstr(what, "shape")) {
        bool good = strstr(what, "good");
        ck_assert_int_eq(
            host()->structured(host(), rq->call, lit(good ? "{\"a\":\n1}" : "{\"b\":1}")),
            good ? MF_OK : MF_EINVAL);
        host()->finish(host(), rq->call, MF_DONE, lit(""));
    } else if (rq->kind == MF_COMPLETION) {
        t.ref_kind = rq->ref_kind;
        host()->structured(host(), rq->call, lit("{\"values\":[]}"));
        host()->finish(host(), rq->call, MF_DONE, lit(""));
    } else if (rq->kind == MF_RESOURCE) {
        ck_assert_int_eq(host()->blob(host(), rq->call, lit("a")), MF_OK);
        ck_assert_int_eq(host()->blob(host(), rq->call, lit("bcde")), MF_OK);
        ck_assert_int_eq(host()->blob(host(), rq->call, lit("fg")), MF_OK);
        host()->finish(host(), rq->call, MF_DONE, lit(""));
    } else {
        ck_assert_int_eq(host()->text(host(), rq->call, lit("one \"quoted\"")), MF_OK);
        ck_assert_int_eq(host()->text(host(), rq->call, lit(" more")), MF_OK);
        if (rq->kind == MF_TOOL)
            ck_assert_int_eq(host()->block(host(), rq->call, lit("{ \"type\":\n\"image\" }")),
                             MF_OK);
        ck_assert_int_eq(host()->block(host(), rq->call, lit("[]")), MF_EINVAL);
        ck_assert_int_eq(host()->block(host(), rq->call, lit("{")), MF_EINVAL);
        ck_assert_int_eq(host()->text(host(), rq->call, lit("\xff")), MF_EINVAL);
        t.finished_with = host()->finish(host(), rq->call, MF_DONE, lit(""));
        ck_assert_int_eq(host()->finish(host(), rq->call, MF_DONE, lit("")), MF_ESTALE);
    }
}

static void plugin_cancel(void *self, mf_call call)
{
    (void)self;
    t.cancels++;
    ck_assert_int_eq(host()->is_cancelled(host(), call), 1);
}

static void plugin_close(void *self)
{
    (void)self;
}

static const mf_plugin fake = {
    .size = sizeof(mf_plugin), .call = plugin_call, .cancel = plugin_cancel, .close = plugin_close};

/* --- the client --- */

static void keep(char *to, size_t room, struct str s)
{
    snprintf(to, room, "%.*s", STR_FMT(s));
}

static void on_done(void *user, const struct outcome *o)
{
    if (user)
        *(struct call **)user = NULL;
    enum refusal_reason why = o->refusal ? o->refusal->reason : REFUSED_REASONS;
    if (t.done < 4)
        t.reasons[t.done] = why;
    t.done++;
    t.end = o->end;
    t.retry_ms = o->refusal ? o->refusal->retry_after_ms : -2;
    t.reason = why;
    keep(t.items, sizeof(t.items), o->items);
    keep(t.structured, sizeof(t.structured), o->structured);
    keep(t.message, sizeof(t.message), o->refusal ? str_of(o->refusal->text) : o->message);
}

static void on_progress(void *user, double done, double total, struct str text)
{
    (void)user;
    ck_assert(total == 2 && str_eq(text, STR("half")));
    ck_assert_uint_eq(t.done, 0);
    t.progress++;
    t.progress_last = done;
}

static void on_log(void *user, int level, struct str logger, struct str text)
{
    (void)user;
    ck_assert_int_eq(level, MF_LOG_INFO);
    ck_assert(str_eq(logger, STR("fake")) && str_eq(text, STR("from a thread")));
    t.logs++;
}

static const struct call_sink sink = {on_done, on_progress, on_log};

/* *live, unless NULL, is the call as long as it is the client's to cancel. */
static struct call *start_as(uint32_t entry, const char *args, struct call **live)
{
    static const uint32_t kinds[] = {MF_TOOL, MF_TOOL, MF_TOOL, MF_TOOL, MF_RESOURCE, MF_PROMPT};
    return call_start(t.engine, &(struct call_request){.instance = t.in,
                                                       .entry = entry,
                                                       .kind = kinds[entry],
                                                       .args = str_of(args),
                                                       .uri = STR("x://y"),
                                                       .sink = &sink,
                                                       .user = live,
                                                       .progress = true,
                                                       .log_level = MF_LOG_INFO});
}

static struct call *start(uint32_t entry, const char *args)
{
    return start_as(entry, args, NULL);
}

static void run_until_done(unsigned count)
{
    while (t.done < count)
        uv_run(&t.loop, UV_RUN_ONCE);
}

/* For tests in which no time is to run out, however busy the machine is. */
static void take_your_time(void)
{
    for (uint32_t i = 0; i < t.manifest->entries; i++)
        t.manifest->entry[i].limits.timeout = t.manifest->entry[i].limits.queue_wait =
            UINT64_C(600000000000);
}

static struct instance *make(void)
{
    struct instance *in = instance_new(t.engine, t.manifest);
    in->plugin = &fake;
    in->state = INSTANCE_READY;
    in->entry[BLOCK].binding.flags = MF_TOOL_BLOCKING;
    return in;
}

static void setup(void)
{
    struct err e;
    memset(&t, 0, sizeof(t));
    ck_assert_int_eq(uv_loop_init(&t.loop), 0);
    struct settings_args args = {0};
    const char *dirs[] = {"/nonexistent"};
    args.plugins = dirs;
    args.plugins_count = 1;
    ck_assert_msg(settings_read(&args, &t.settings, &e) == 0, "%s", e.text);
    t.source.path = (char *)"/nonexistent";
    t.source.trust = true;
    ck_assert_msg(manifest_parse(t.settings, &t.source, str_of(manifest_text), "fake.yaml",
                                 &t.manifest, &e) == 0,
                  "%s", e.text);
    struct engine_options o = {.calls = 16};
    ck_assert_int_eq(engine_open(&t.loop, &o, &t.engine, &e), 0);
    t.in = make();
    t.other = make();
}

static void on_stopped(void *arg)
{
    (void)arg;
    t.stopped = true;
}

static void teardown(void)
{
    for (unsigned i = 0; i < t.helds && i < 64; i++)
        host()->finish(host(), t.held[i], MF_DONE, lit(""));
    engine_stop(t.engine, 1000, on_stopped, NULL);
    while (!t.stopped)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_uint_eq(t.in->running, 0);
    ck_assert_uint_eq(t.in->queued, 0);
    ck_assert_uint_eq(t.in->orphans, 0);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    engine_free(t.engine);
    manifest_free(t.manifest);
    settings_free(t.settings);
    ck_assert_int_eq(uv_loop_close(&t.loop), 0);
}

START_TEST(sync_call_ends_inside_start)
{
    ck_assert_ptr_null(start(ACT, "{}"));
    ck_assert_uint_eq(t.done, 1);
    ck_assert_int_eq(t.end, CALL_DONE);
    ck_assert_str_eq(
        t.items, "{\"type\":\"text\",\"text\":\"one \\\"quoted\\\" more\"},{\"type\":\"image\"}");
    ck_assert_int_eq(t.finished_with, MF_OK);
    ck_assert_uint_eq(t.in->misuse, 1);
    ck_assert_uint_eq(t.in->entry[ACT].metrics->count.calls, 1);
}
END_TEST

START_TEST(each_kind_has_its_shape)
{
    start(RES, "{}");
    ck_assert_str_eq(t.items,
                     "{\"uri\":\"x://y\",\"mimeType\":\"text/plain\",\"blob\":\"YWJjZGVmZw==\"}");
    start(PRO, "{}");
    ck_assert_str_eq(t.items, "{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":"
                              "\"one \\\"quoted\\\" more\"}}");
}
END_TEST

START_TEST(ends_that_are_errors)
{
    start(ACT, "{\"params\":1}");
    ck_assert_int_eq(t.end, CALL_BAD_PARAMS);
    ck_assert_str_eq(t.message, "no such place");
    start(ACT, "{\"fault\":1}");
    ck_assert_int_eq(t.reason, REFUSED_FAULT);
    ck_assert_ptr_null(strstr(t.message, "secret"));
    start(ACT, "{\"odd\":1}");
    ck_assert_int_eq(t.reason, REFUSED_FAULT);
    start(ACT, "{\"big\":1}");
    ck_assert_int_eq(t.reason, REFUSED_RESULT);
    ck_assert_ptr_nonnull(strstr(t.message, "limits.result"));
    ck_assert_uint_eq(t.in->entry[ACT].metrics->count.errors, 3);
}
END_TEST

START_TEST(structured_is_held_against_its_schema)
{
    start(SHAPED, "{\"shape\":\"good\"}");
    ck_assert_int_eq(t.end, CALL_DONE);
    ck_assert_str_eq(t.structured, "{\"a\":1}");
    ck_assert_str_eq(t.items, "{\"type\":\"text\",\"text\":\"{\\\"a\\\":1}\"}");
    start(SHAPED, "{\"shape\":\"bad\"}");
    ck_assert_int_eq(t.reason, REFUSED_FAULT);
    start(SHAPED, "{}");
    ck_assert_int_eq(t.reason, REFUSED_FAULT);
}
END_TEST

START_TEST(queue_is_bounded_and_fair)
{
    for (int i = 0; i < 4; i++)
        ck_assert_ptr_nonnull(start(ACT, "{\"hold\":1}"));
    ck_assert_uint_eq(t.in->running, 2);
    ck_assert_uint_eq(t.in->queued, 2);
    ck_assert_ptr_null(start(ACT, "{}"));
    ck_assert_int_eq(t.reason, REFUSED_QUEUE);
    t.done = 0;
    host()->finish(host(), t.held[0], MF_DONE, lit(""));
    run_until_done(1);
    ck_assert_uint_eq(t.helds, 3);
    ck_assert_uint_eq(t.in->running, 2);
    ck_assert_uint_eq(t.in->queued, 1);
}
END_TEST

START_TEST(a_tools_own_limit_delays_no_other_tool)
{
    ck_assert_ptr_nonnull(start(SINGLE, "{\"hold\":1}"));
    ck_assert_ptr_nonnull(start(SINGLE, "{\"hold\":1}"));
    ck_assert_uint_eq(t.in->entry[SINGLE].running, 1);
    ck_assert_uint_eq(t.in->entry[SINGLE].queued, 1);
    ck_assert_ptr_nonnull(start(ACT, "{\"hold\":1}"));
    ck_assert_uint_eq(t.in->entry[ACT].running, 1);
}
END_TEST

START_TEST(waiting_ends_at_queue_wait_running_at_timeout)
{
    uint64_t begin = clock_ns();
    for (int i = 0; i < 3; i++)
        start(ACT, "{\"hold\":1}");
    run_until_done(1);
    ck_assert_uint_ge(clock_ns() - begin, 80 * 1000000u);
    run_until_done(3); /* where the machine was busy all three came in one turn */
    ck_assert_int_eq(t.reasons[0], REFUSED_QUEUE_WAIT);
    ck_assert_int_eq(t.reasons[1], REFUSED_TIMEOUT);
    ck_assert_int_eq(t.reasons[2], REFUSED_TIMEOUT);
    ck_assert_uint_ge(clock_ns() - begin, 150 * 1000000u);
    ck_assert_uint_eq(t.cancels, 2);
    ck_assert_uint_eq(t.in->orphans, 2);
    ck_assert_uint_eq(t.in->running, 2);
    ck_assert_int_eq(host()->text(host(), t.held[0], lit("late")), MF_ETIMEDOUT);
    ck_assert_int_eq(host()->finish(host(), t.held[0], MF_DONE, lit("")), MF_ETIMEDOUT);
    ck_assert_int_eq(host()->finish(host(), t.held[1], MF_DONE, lit("")), MF_ETIMEDOUT);
    while (t.in->running)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_uint_eq(t.in->entry[ACT].metrics->count.late, 2);
    ck_assert_uint_eq(t.done, 3);
}
END_TEST

START_TEST(cancel_ends_a_call_quietly)
{
    struct call *running = start(ACT, "{\"hold\":1}");
    start(ACT, "{\"hold\":1}");
    struct call *waiting = start(ACT, "{\"hold\":1}");
    call_cancel(waiting);
    ck_assert_uint_eq(t.in->queued, 0);
    call_cancel(running);
    ck_assert_uint_eq(t.cancels, 1);
    ck_assert_int_eq(host()->finish(host(), t.held[0], MF_DONE, lit("")), MF_ECANCELED);
    while (t.in->running == 2)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_uint_eq(t.done, 0);
    ck_assert_uint_eq(t.in->orphans, 0);
}
END_TEST

START_TEST(handles_of_others_are_stale)
{
    start(ACT, "{\"hold\":1}");
    const mf_host *other = &t.other->host;
    const mf_call forged[] = {0, 1, t.last + 1, t.last ^ (1ull << 40), UINT64_MAX};
    ck_assert_int_eq(other->finish(other, t.last, MF_DONE, lit("")), MF_ESTALE);
    for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        ck_assert_int_eq(host()->text(host(), forged[i], lit("x")), MF_ESTALE);
        ck_assert_int_eq(host()->finish(host(), forged[i], MF_DONE, lit("")), MF_ESTALE);
    }
    ck_assert_uint_eq(t.other->misuse, 1);
    ck_assert_uint_eq(t.in->misuse, 5);
    ck_assert_uint_eq(t.in->running, 1);
}
END_TEST

START_TEST(finish_from_a_thread_comes_after_its_progress)
{
    take_your_time();
    start(ACT, "{\"thread\":1}");
    run_until_done(1);
    ck_assert_uint_eq(t.progress, 1);
    ck_assert_uint_eq(t.logs, 1);
    ck_assert_str_eq(t.items, "{\"type\":\"text\",\"text\":\"threaded\"}");
}
END_TEST

START_TEST(progress_must_increase)
{
    start(ACT, "{\"hold\":1}");
    ck_assert_int_eq(host()->progress(host(), t.last, 1, 2, lit("half")), MF_OK);
    ck_assert_int_eq(host()->progress(host(), t.last, 1, 2, lit("half")), MF_EINVAL);
    ck_assert_int_eq(host()->progress(host(), t.last, 0.0 / 0.0, 2, lit("half")), MF_EINVAL);
    ck_assert_uint_eq(t.progress, 1);
}
END_TEST

START_TEST(blocking_calls_run_beside_the_loop)
{
    take_your_time();
    ck_assert_ptr_nonnull(start(BLOCK, "{\"slowly\":1}"));
    ck_assert_ptr_nonnull(start(BLOCK, "{\"slowly\":2}"));
    /* Neither was waited for: each takes 40 ms. */
    ck_assert_uint_eq(t.done, 0);
    run_until_done(2);
    ck_assert_str_eq(t.items, "{\"type\":\"text\",\"text\":\"slow\"}");
    /* The slots come back only when call() has returned. */
    while (t.in->running)
        uv_run(&t.loop, UV_RUN_ONCE);
}
END_TEST

START_TEST(completion_knows_its_kind_on_a_thread_too)
{
    take_your_time();
    for (unsigned flags = 0; flags <= MF_TOOL_BLOCKING; flags++) {
        t.in->entry[PRO].binding.flags = t.in->entry[RES].binding.flags = flags;
        for (uint32_t entry = RES; entry <= PRO; entry++) {
            t.done = 0;
            call_start(t.engine, &(struct call_request){.instance = t.in,
                                                        .entry = entry,
                                                        .kind = MF_COMPLETION,
                                                        .sink = &sink,
                                                        .log_level = -1});
            run_until_done(1);
            ck_assert_uint_eq(t.ref_kind, entry == PRO ? MF_PROMPT : MF_RESOURCE);
        }
    }
    while (t.in->running)
        uv_run(&t.loop, UV_RUN_ONCE);
}
END_TEST

START_TEST(the_host_wide_limit_refuses)
{
    t.manifest->instance.limits.concurrency = 100;
    t.manifest->entry[ACT].limits.concurrency = 100;
    for (int i = 0; i < 16; i++)
        ck_assert_ptr_nonnull(start(ACT, "{\"hold\":1}"));
    ck_assert_ptr_null(start(ACT, "{}"));
    ck_assert_int_eq(t.reason, REFUSED_CALLS);
}
END_TEST

START_TEST(a_rate_refuses_until_its_next_token)
{
    t.manifest->instance.limits.rate = (struct rate){20, 2};
    start(ACT, "{}");
    start(SINGLE, "{}");
    ck_assert_int_eq(t.end, CALL_DONE);
    uint64_t before = clock_ns();
    start(ACT, "{}");
    ck_assert_int_eq(t.reason, REFUSED_RATE);
    ck_assert(t.retry_ms > 0 && t.retry_ms <= 50);
    ck_assert_uint_eq(t.in->entry[ACT].metrics->count.refused[REFUSED_RATE], 1);
    while (clock_ns() < before + (uint64_t)t.retry_ms * 1000000)
        uv_run(&t.loop, UV_RUN_NOWAIT);
    start(ACT, "{}");
    ck_assert_int_eq(t.end, CALL_DONE);
}
END_TEST

START_TEST(a_tools_own_rate_binds_no_other_tool)
{
    t.manifest->entry[ACT].limits.rate = (struct rate){1, 1};
    start(ACT, "{}");
    start(ACT, "{}");
    ck_assert_int_eq(t.reason, REFUSED_RATE);
    start(SINGLE, "{}");
    ck_assert_int_eq(t.end, CALL_DONE);
}
END_TEST

/* Three faults open it, what waits is refused; then one trial at a time, until one succeeds. */
START_TEST(the_breaker_opens_and_tries_once)
{
    t.manifest->instance.breaker =
        (struct breaker_spec){.failures = 3, .within = 60000000000u, .cooldown = 20000000};
    for (int i = 0; i < 3; i++) {
        start(ACT, "{\"params\":1}"); /* not a failure of the plugin */
        ck_assert_int_eq(t.end, CALL_BAD_PARAMS);
    }
    start(ACT, "{\"fault\":1}");
    start(ACT, "{\"odd\":1}");
    start(SINGLE, "{\"hold\":1}");
    start(SINGLE, "{\"hold\":1}");
    ck_assert_uint_eq(t.in->queued, 1);
    start(ACT, "{\"fault\":1}");
    ck_assert_int_eq(t.reason, REFUSED_BREAKER); /* the one that waited */
    ck_assert_uint_eq(t.in->queued, 0);
    ck_assert_int_eq(t.in->breaker.state, BREAKER_OPEN);
    start(ACT, "{}");
    ck_assert_int_eq(t.reason, REFUSED_BREAKER);
    ck_assert(t.retry_ms > 0 && t.retry_ms <= 20);
    while (clock_ns() < t.in->breaker.until)
        uv_run(&t.loop, UV_RUN_NOWAIT);
    struct call *trial = start(ACT, "{\"hold\":1}");
    ck_assert_ptr_nonnull(trial);
    start(ACT, "{}");
    ck_assert_int_eq(t.reason, REFUSED_BREAKER);
    ck_assert_ptr_null(engine_check(t.engine));
    call_cancel(trial); /* says nothing: the next one is the trial */
    host()->finish(host(), t.last, MF_DONE, lit(""));
    while (t.in->orphans)
        uv_run(&t.loop, UV_RUN_ONCE);
    start(ACT, "{\"fault\":1}");
    ck_assert_int_eq(t.reason, REFUSED_FAULT);
    ck_assert_int_eq(t.in->breaker.state, BREAKER_OPEN);
    while (clock_ns() < t.in->breaker.until)
        uv_run(&t.loop, UV_RUN_NOWAIT);
    start(ACT, "{}");
    ck_assert_int_eq(t.end, CALL_DONE);
    ck_assert_int_eq(t.in->breaker.state, BREAKER_CLOSED);
    ck_assert_int_eq(t.other->breaker.state, BREAKER_CLOSED);
    ck_assert_uint_eq(t.in->breaker.opened, 2);
}
END_TEST

START_TEST(who_holds_the_loop_is_counted_and_rests)
{
    t.manifest->instance.limits.loop_block = 1000000;
    t.manifest->entry[ACT].limits.loop_block = 1000000;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(t.in->breaker.state, BREAKER_CLOSED);
        start(ACT, "{\"slowly\":1}");
        ck_assert_int_eq(t.end, CALL_DONE);
    }
    ck_assert_uint_eq(t.in->loop_blocks, 3);
    ck_assert_uint_ge(t.in->loop_time, 3 * 40000000u);
    ck_assert_int_eq(t.in->breaker.state, BREAKER_OPEN);
    start(ACT, "{}");
    ck_assert_int_eq(t.reason, REFUSED_BREAKER);
}
END_TEST

START_TEST(what_calls_took_is_recorded)
{
    struct window_view v;
    ck_assert_ptr_null(t.in->entry[ACT].metrics);
    start(ACT, "{\"slowly\":1}");
    const struct entry_metrics *m = t.in->entry[ACT].metrics;
    ck_assert_uint_eq(m->duration.count, 1);
    ck_assert_uint_ge(m->duration.max, 40000000);
    engine_window(t.engine, &v);
    ck_assert(v.calls == 1 && v.failed == 0 && v.timed == 1 && v.p95 >= 39000000);
    ck_assert_uint_eq(m->queue_wait.count, 0);
    for (int i = 0; i < 3; i++)
        start(ACT, "{\"hold\":1}");
    host()->finish(host(), t.held[0], MF_DONE, lit(""));
    run_until_done(2);
    ck_assert_uint_eq(m->queue_wait.count, 1);
    ck_assert_uint_eq(m->duration.count, 2);
    /* A timeout took as long as it was let, a refusal nothing. */
    run_until_done(4);
    ck_assert_uint_eq(m->duration.count, 4);
    ck_assert_uint_ge(m->duration.max, 150000000);
    ck_assert_uint_eq(t.in->leaked, 2);
    engine_window(t.engine, &v);
    ck_assert(v.calls == 4 && v.failed == 2 && v.timed == 4 && v.p99 >= 148000000);
    ck_assert_uint_eq(m->count.slow, 0);
}
END_TEST

START_TEST(slow_calls_are_counted)
{
    take_your_time();
    uint64_t slow = t.manifest->entry[SINGLE].slow;
    start(SINGLE, "{\"slowly\":1}");
    t.manifest->entry[SINGLE].slow = UINT64_MAX; /* nor is it slow on a busy machine */
    start(SINGLE, "{}");
    t.manifest->entry[SINGLE].slow = slow;
    ck_assert_uint_eq(t.in->entry[SINGLE].metrics->count.slow, 1);
    /* Waiting counts too: this one runs for no time, behind one that runs for 30 ms. */
    start(SINGLE, "{\"hold\":1}");
    ck_assert_ptr_nonnull(start(SINGLE, "{}"));
    usleep(30000);
    host()->finish(host(), t.held[0], MF_DONE, lit(""));
    run_until_done(4);
    ck_assert_uint_eq(t.in->entry[SINGLE].metrics->count.slow, 3);
}
END_TEST

START_TEST(what_never_ran_counts_in_the_window)
{
    struct window_view v;
    call_count_misfit(t.in, ACT);
    t.in->state = INSTANCE_FAILED;
    start(ACT, "{}");
    ck_assert_int_eq(t.reason, REFUSED_LOAD);
    engine_window(t.engine, &v);
    ck_assert(v.calls == 2 && v.failed == 2 && v.timed == 0 && v.p95 == 0);
    t.in->state = INSTANCE_READY;
}
END_TEST

START_TEST(generations_count_together)
{
    take_your_time();
    start(ACT, "{}");
    start(RES, "{}");
    start(BLOCK, "{\"slowly\":1}"); /* runs on in the old one */
    struct instance *next = make();
    instance_follow(next, t.in);
    ck_assert_ptr_eq(next->entry[ACT].metrics, t.in->entry[ACT].metrics);
    ck_assert_ptr_eq(next->entry[RES].metrics, t.in->entry[RES].metrics);
    ck_assert_ptr_null(next->entry[PRO].metrics);
    struct entry_metrics *m = next->entry[BLOCK].metrics;
    run_until_done(3);
    ck_assert_uint_eq(m->duration.count, 1);
    while (t.in->running) /* its thread uses t.in */
        uv_run(&t.loop, UV_RUN_ONCE);
    struct instance *old = t.in;
    t.in = next;
    start(ACT, "{}");
    start(PRO, "{}");
    ck_assert_uint_eq(old->entry[ACT].metrics->count.calls, 2);
    ck_assert_ptr_null(old->entry[PRO].metrics);
    ck_assert_uint_eq(m->generations, 2);
}
END_TEST

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

/* Random orders of start, finish from either side, double finish, cancel and passing time: every
 * call has exactly one end and the permits come back. */
START_TEST(random_orders_keep_the_permits)
{
    unsigned seed = 20261122, started = 0, cancelled = 0;
    struct call *live[64] = {0};
    /* So that UV_RUN_ONCE, which runs timers before it waits, never waits for what has been. */
    uv_timer_t tick;
    uv_timer_init(&t.loop, &tick);
    uv_timer_start(&tick, on_tick, 1, 1);
    t.manifest->instance.breaker.failures = 0;
    t.manifest->instance.limits.queue_wait = t.manifest->entry[ACT].limits.queue_wait = 2000000;
    t.manifest->entry[ACT].limits.timeout = 3000000;
    for (int step = 0; step < 20000; step++) {
        int k = rand_r(&seed) % 64;
        switch (rand_r(&seed) % 6) {
        case 0:
        case 1:
            if (!live[k]) {
                started++;
                live[k] = start_as(ACT, "{\"hold\":1}", &live[k]);
            }
            break;
        case 2:
        case 3:
            host()->finish(host(), t.held[k], MF_DONE, lit(""));
            break;
        case 4:
            for (int i = k; i < k + 64 && rand_r(&seed) % 4; i++) {
                if (live[i % 64]) {
                    call_cancel(live[i % 64]);
                    live[i % 64] = NULL;
                    cancelled++;
                    break;
                }
            }
            break;
        default:
            /* Now and then long enough for queue_wait and timeout to come. */
            uv_run(&t.loop, UV_RUN_NOWAIT);
            for (int ticks = rand_r(&seed) % 32 ? 0 : 6; ticks > 0; ticks--)
                uv_run(&t.loop, UV_RUN_ONCE);
        }
        ck_assert_uint_le(t.in->running, 2);
        ck_assert_uint_le(t.in->queued, 2);
        /* Orphans that nobody finishes would hold the permits for ever: sweep now and then. */
        for (int i = 0; step % 50 == 0 && i < 64; i++)
            host()->finish(host(), t.held[i], MF_DONE, lit(""));
    }
    while (t.in->running || t.in->queued) {
        for (int i = 0; i < 64; i++)
            host()->finish(host(), t.held[i], MF_DONE, lit(""));
        uv_run(&t.loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(t.done + cancelled, started);
    ck_assert_uint_gt(t.in->entry[ACT].metrics->count.timeouts, 0);
    ck_assert_uint_gt(t.in->entry[ACT].metrics->count.refusals, 0);
    ck_assert_uint_gt(cancelled, 0);
}
END_TEST

int main(void)
{
    log_configure(LOG_ERROR, LOG_TEXT);
    Suite *s = suite_create("engine calls");
    TCase *c = tcase_create("calls");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, sync_call_ends_inside_start);
    tcase_add_test(c, each_kind_has_its_shape);
    tcase_add_test(c, ends_that_are_errors);
    tcase_add_test(c, structured_is_held_against_its_schema);
    tcase_add_test(c, queue_is_bounded_and_fair);
    tcase_add_test(c, a_tools_own_limit_delays_no_other_tool);
    tcase_add_test(c, waiting_ends_at_queue_wait_running_at_timeout);
    tcase_add_test(c, cancel_ends_a_call_quietly);
    tcase_add_test(c, handles_of_others_are_stale);
    tcase_add_test(c, finish_from_a_thread_comes_after_its_progress);
    tcase_add_test(c, progress_must_increase);
    tcase_add_test(c, blocking_calls_run_beside_the_loop);
    tcase_add_test(c, completion_knows_its_kind_on_a_thread_too);
    tcase_add_test(c, the_host_wide_limit_refuses);
    tcase_add_test(c, a_rate_refuses_until_its_next_token);
    tcase_add_test(c, a_tools_own_rate_binds_no_other_tool);
    tcase_add_test(c, the_breaker_opens_and_tries_once);
    tcase_add_test(c, who_holds_the_loop_is_counted_and_rests);
    tcase_add_test(c, what_calls_took_is_recorded);
    tcase_add_test(c, slow_calls_are_counted);
    tcase_add_test(c, what_never_ran_counts_in_the_window);
    tcase_add_test(c, generations_count_together);
    tcase_add_test(c, random_orders_keep_the_permits);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
