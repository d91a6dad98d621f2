/* The end of a generation: when it is closed, when its calls are cut, what is said of one that does
 * not end, and in which order an heir takes over. */
#include <check.h>
#include "fake_library.h"

static const char manifest_text[] =
    "manifold: 1\n"
    "id: org.example.fake\n"
    "name: fake\n"
    "limits: { concurrency: 1, queue: 4, queue_wait: 1m, timeout: 2m, drain: 60ms }\n"
    "tools: [{ name: act, description: d }]\n";

enum { GENERATIONS = 4, MS = 1000000 };

/* One generation of the plugin, and one call of it at most at a time. */
struct side {
    int number; /* from 1: in t.events */
    struct instance *in;
    struct library library;
    mf_call held;
    bool fails, state_fails;
};

/* One call as its client sees it. */
struct client {
    int number;
    unsigned ends;
    enum call_end end;
    char text[512];
};

static struct {
    uv_loop_t loop;
    struct settings *settings;
    struct manifest *manifest;
    struct engine *engine;
    struct side side[GENERATIONS];
    struct client client[GENERATIONS];
    char events[512];
    bool stopped;
} t;

static void note(int number, const char *what)
{
    size_t at = strlen(t.events);
    snprintf(t.events + at, sizeof(t.events) - at, "%s%d.%s", at ? " " : "", number, what);
}

/* What has happened since it was asked last. */
static const char *happened(void)
{
    static char events[sizeof(t.events)];
    memcpy(events, t.events, sizeof(events));
    t.events[0] = 0;
    return events;
}
#define HAPPENED(what) ck_assert_str_eq(happened(), what)

/* --- the plugin --- */

static mf_status plugin_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    (void)config;
    /* The newest first: an older one may be gone, and its memory this one's. */
    for (int i = GENERATIONS; i-- > 0;) {
        struct side *s = &t.side[i];
        if (s->in != (const struct instance *)(const void *)host)
            continue;
        note(s->number, "open");
        *ret_self = s;
        return s->fails ? MF_EIO : MF_OK;
    }
    return MF_EINVAL;
}

static void plugin_call(void *self, const mf_request *rq)
{
    struct side *s = self;
    note(s->number, "call");
    s->held = rq->call;
}

static void plugin_cancel(void *self, mf_call call)
{
    (void)call;
    note(((struct side *)self)->number, "cancel");
}

static void plugin_quiesce(void *self)
{
    note(((struct side *)self)->number, "quiesce");
}

static void plugin_close(void *self)
{
    note(((struct side *)self)->number, "close");
}

static mf_status save(void *self, mf_status (*write)(void *arg, mf_bytes bytes), void *arg)
{
    struct side *s = self;
    note(s->number, "save");
    char text[16];
    int n = snprintf(text, sizeof(text), "of %d", s->number);
    write(arg, (mf_bytes){text, (size_t)n});
    return s->state_fails ? MF_EIO : MF_OK;
}

static mf_status restore(void *self, mf_bytes bytes)
{
    struct side *s = self;
    char text[64];
    snprintf(text, sizeof(text), "restore(%.*s)", (int)bytes.len, bytes.data);
    note(s->number, text);
    return s->state_fails ? MF_EIO : MF_OK;
}

static const void *plugin_extension(void *self, const char *id)
{
    static const mf_state state = {sizeof(state), 0, save, restore};
    (void)self;
    return strcmp(id, MF_EXT_STATE) == 0 ? &state : NULL;
}

static const mf_plugin fake = {.size = sizeof(mf_plugin),
                               .open = plugin_open,
                               .call = plugin_call,
                               .cancel = plugin_cancel,
                               .quiesce = plugin_quiesce,
                               .close = plugin_close,
                               .extension = plugin_extension};

static void finish(struct side *s)
{
    const mf_host *h = &s->in->host;
    h->finish(h, s->held, MF_DONE, (mf_bytes){NULL, 0});
}

/* --- the client --- */

static void on_done(void *user, const struct outcome *o)
{
    struct client *c = user;
    c->ends++;
    c->end = o->end;
    if (o->refusal)
        snprintf(c->text, sizeof(c->text), "%s", o->refusal->text);
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

static struct client *call(struct side *s, int number)
{
    struct client *c = &t.client[number];
    *c = (struct client){.number = number};
    call_start(t.engine,
               &(struct call_request){
                   .instance = s->in, .kind = MF_TOOL, .sink = &sink, .user = c, .log_level = -1});
    return c;
}

/* --- the host --- */

static void on_prepared(void *arg, struct instance *in, const char *error)
{
    struct side *s = arg;
    ck_assert_ptr_eq(s->in, in);
    note(s->number, error ? "refused" : "ready");
}

static void on_gone(void *arg, const char *name)
{
    (void)arg;
    ck_assert_str_eq(name, "fake");
    note(0, "gone");
}

static struct side *prepare(int number, bool handover, enum library_state state, bool fails)
{
    struct side *s = &t.side[number];
    *s = (struct side){.number = number, .library = {&fake, state}, .fails = fails};
    s->in = instance_new(t.engine, fake_manifest(t.manifest, "fake"));
    instance_prepare(s->in, &s->library, handover, on_prepared, s);
    return s;
}

static struct side *generation(int number, bool handover)
{
    return prepare(number, handover, LIBRARY_LOADED, false);
}

/* Two: what ends in the first may be looked at in the second. */
static void turn(void)
{
    uv_run(&t.loop, UV_RUN_NOWAIT);
    uv_run(&t.loop, UV_RUN_NOWAIT);
}

static bool is_alive(const struct side *s)
{
    list_each (it, &t.engine->instances) {
        if (container_of(it, struct instance, in_engine) == s->in)
            return true;
    }
    return false;
}

/* The time for the next step of its end has come. */
static void due(struct side *s)
{
    s->in->drain->due = 0;
    drain_look(t.engine);
    turn();
}

static void setup(void)
{
    struct err e;
    memset(&t, 0, sizeof(t));
    const char *dirs[] = {"/nonexistent"};
    struct settings_args args = {.plugins = dirs, .plugins_count = 1};
    struct source source = {.path = (char *)"/nonexistent", .trust = true};
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    ck_assert_int_eq(uv_loop_init(&t.loop), 0);
    ck_assert_int_eq(settings_read(&args, &t.settings, &e), 0);
    ck_assert_int_eq(
        manifest_parse(t.settings, &source, str_of(manifest_text), "fake.yaml", &t.manifest, &e),
        0);
    ck_assert_int_eq(engine_open(&t.loop, &(struct engine_options){.calls = 100}, &t.engine, &e),
                     0);
    engine_on_gone(t.engine, on_gone, NULL);
}

static void on_stopped(void *arg)
{
    (void)arg;
    t.stopped = true;
}

static void teardown(void)
{
    engine_stop(t.engine, 1000, on_stopped, NULL);
    while (!t.stopped)
        uv_run(&t.loop, UV_RUN_ONCE);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    /* Those that were never retired have a manifest of their own still. */
    struct manifest *left[GENERATIONS];
    unsigned n = 0;
    list_each (it, &t.engine->instances) {
        struct instance *in = container_of(it, struct instance, in_engine);
        if (!in->drain)
            left[n++] = (struct manifest *)(uintptr_t)in->manifest;
    }
    ck_assert(engine_free(t.engine));
    while (n)
        manifest_free(left[--n]);
    manifest_free(t.manifest);
    settings_free(t.settings);
    ck_assert_int_eq(uv_loop_close(&t.loop), 0);
}

/* --- tests --- */

START_TEST(idle_ends_in_the_next_turn)
{
    struct side *old = generation(1, false);
    HAPPENED("1.open 1.ready");
    ck_assert_ptr_null(engine_retired(t.engine, "fake"));
    instance_retire(old->in, NULL);
    HAPPENED(""); /* not on the stack of whoever retires it */
    ck_assert_ptr_eq(engine_retired(t.engine, "fake"), old->in);
    ck_assert_ptr_eq(engine_next_retired(t.engine, NULL), old->in);
    turn();
    HAPPENED("1.quiesce 1.close 0.gone");
    ck_assert(!is_alive(old));
    ck_assert_ptr_null(engine_retired(t.engine, "fake"));
    ck_assert_ptr_null(engine_next_retired(t.engine, NULL));
}
END_TEST

START_TEST(never_loaded_ends_without_code)
{
    struct side *old = &t.side[1];
    *old = (struct side){.number = 1};
    old->in = instance_new(t.engine, fake_manifest(t.manifest, "fake"));
    instance_retire(old->in, NULL);
    turn();
    HAPPENED("0.gone");
    ck_assert(!is_alive(old));
}
END_TEST

/* What was begun ends where it began, queue and all; quiesce() comes when nothing is to begin any
 * more, close() when nothing is left. */
START_TEST(calls_end_where_they_began)
{
    struct side *old = generation(1, false);
    struct client *first = call(old, 1), *second = call(old, 2);
    struct side *next = generation(2, false);
    happened();
    instance_retire(old->in, NULL);
    turn();
    HAPPENED("");
    call(next, 3);
    HAPPENED("2.call");
    finish(old);
    turn();
    ck_assert_uint_eq(first->ends, 1);
    HAPPENED("1.call 1.quiesce");
    ck_assert(is_alive(old));
    finish(old);
    turn();
    ck_assert_uint_eq(second->ends, 1);
    ck_assert_int_eq(second->end, CALL_DONE);
    HAPPENED("1.close 0.gone");
    ck_assert_uint_eq(t.client[3].ends, 0);
    finish(next);
    turn();
    ck_assert_uint_eq(t.client[3].ends, 1);
}
END_TEST

START_TEST(limit_cuts_calls_and_tells_their_clients)
{
    struct side *old = generation(1, false);
    struct client *running = call(old, 1), *waiting = call(old, 2);
    happened();
    uint64_t begin = clock_ns();
    instance_retire(old->in, NULL);
    while (!running->ends) /* by the engine's own timer */
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_uint_ge(clock_ns() - begin, 60 * MS);
    for (int i = 1; i <= 2; i++) {
        ck_assert_uint_eq(t.client[i].ends, 1);
        ck_assert_int_eq(t.client[i].end, CALL_REFUSED);
        ck_assert_ptr_nonnull(strstr(t.client[i].text, "limits.drain"));
        ck_assert_ptr_nonnull(strstr(t.client[i].text, "60ms"));
    }
    turn();
    HAPPENED("1.cancel 1.quiesce");
    ck_assert(!instance_is_stuck(old->in));
    /* Within the grace it ends like any other. */
    finish(old);
    turn();
    HAPPENED("1.close 0.gone");
    ck_assert_uint_eq(running->ends + waiting->ends, 2);
}
END_TEST

START_TEST(stuck_is_kept_and_closed_after_all)
{
    struct side *old = generation(1, false);
    call(old, 1);
    struct side *next = generation(2, false);
    instance_retire(old->in, NULL);
    happened();
    due(old);
    HAPPENED("1.quiesce 1.cancel");
    ck_assert(!instance_is_stuck(old->in));
    /* It gets a second from here on. */
    uint64_t grace = old->in->drain->due - clock_ns();
    ck_assert(grace > 500u * MS && grace <= 1000u * MS);
    due(old);
    HAPPENED("");
    ck_assert(instance_is_stuck(old->in));
    ck_assert_ptr_eq(engine_retired(t.engine, "fake"), old->in);
    /* Nobody else notices, and no timer runs for it. */
    call(next, 3);
    finish(next);
    turn();
    ck_assert_uint_eq(t.client[3].ends, 1);
    HAPPENED("2.call");
    ck_assert(!uv_is_active((uv_handle_t *)&t.engine->drain_timer));
    finish(old);
    turn();
    HAPPENED("1.close 0.gone");
    ck_assert(!is_alive(old));
    ck_assert_uint_eq(t.client[1].ends, 1);
}
END_TEST

START_TEST(heir_opens_when_all_has_ended_with_its_state)
{
    struct side *old = generation(1, false);
    call(old, 1);
    struct side *heir = generation(2, true);
    HAPPENED("1.open 1.ready 1.call 2.ready");
    instance_retire(old->in, heir->in);
    struct client *early = call(heir, 2);
    turn();
    HAPPENED("1.quiesce"); /* what is new waits */
    finish(old);
    turn();
    HAPPENED("1.save 1.close 2.open 2.restore(of 1) 2.call 0.gone");
    finish(heir);
    turn();
    ck_assert_uint_eq(early->ends, 1);
    ck_assert_int_eq(early->end, CALL_DONE);
}
END_TEST

START_TEST(heir_of_one_that_is_stuck_opens_without)
{
    struct side *old = generation(1, false);
    call(old, 1);
    struct side *heir = generation(2, true);
    instance_retire(old->in, heir->in);
    call(heir, 2);
    happened();
    due(old);
    HAPPENED("1.quiesce 1.cancel"); /* it may still end */
    due(old);
    HAPPENED("2.open 2.call");
    finish(heir);
    finish(old);
    turn();
    HAPPENED("1.close 0.gone"); /* its state comes too late */
    ck_assert_uint_eq(t.client[2].ends, 1);
}
END_TEST

START_TEST(state_that_fails_is_not_handed_over)
{
    struct side *old = generation(1, false), *heir = generation(2, true);
    old->state_fails = true;
    happened();
    instance_retire(old->in, heir->in);
    turn();
    HAPPENED("1.quiesce 1.save 1.close 2.open 0.gone");
    /* Nor does an heir that can't read it fail. */
    struct side *third = generation(3, true);
    third->state_fails = true;
    happened();
    instance_retire(heir->in, third->in);
    turn();
    HAPPENED("2.quiesce 2.save 2.close 3.open 3.restore(of 2) 0.gone");
    call(third, 3);
    HAPPENED("3.call");
    finish(third);
    turn();
}
END_TEST

START_TEST(heir_that_does_not_open_refuses_its_calls)
{
    struct side *old = generation(1, false);
    struct side *heir = prepare(2, true, LIBRARY_LOADED, true);
    instance_retire(old->in, heir->in);
    struct client *c = call(heir, 1);
    happened();
    turn();
    HAPPENED("1.quiesce 1.save 1.close 2.open 0.gone");
    ck_assert_uint_eq(c->ends, 1);
    ck_assert_int_eq(c->end, CALL_REFUSED);
    ck_assert_ptr_nonnull(strstr(c->text, "open() of fake.so failed"));
    ck_assert_int_eq(heir->in->state, INSTANCE_FAILED);
}
END_TEST

/* Nobody is told, and what serves does not notice. */
START_TEST(discarded_goes_quietly)
{
    struct side *old = generation(1, false);
    struct side *opened = generation(2, false), *failed = prepare(3, false, LIBRARY_LOADED, true);
    HAPPENED("1.open 1.ready 2.open 2.ready 3.open 3.refused");
    instance_discard(opened->in);
    instance_discard(failed->in);
    ck_assert_ptr_null(engine_retired(t.engine, "fake"));
    ck_assert_ptr_null(engine_next_retired(t.engine, NULL));
    turn();
    HAPPENED("2.quiesce 2.close");
    ck_assert(is_alive(old) && !is_alive(opened) && !is_alive(failed));
    struct side *heir = generation(2, true);
    instance_discard(heir->in);
    turn();
    HAPPENED("2.ready");
    ck_assert(!is_alive(heir));
    call(old, 1);
    finish(old);
    turn();
    ck_assert_uint_eq(t.client[1].ends, 1);
}
END_TEST

/* The probe may still call back: it is kept until then, or the probe forgets it at the end. */
START_TEST(discarded_while_it_is_probed)
{
    struct side *s = prepare(1, true, LIBRARY_STAGED, false);
    ck_assert_ptr_eq(fake_probe.arg, s->in);
    instance_discard(s->in);
    turn();
    ck_assert(is_alive(s));
    library_probe_cb done = fake_probe.done;
    memset(&fake_probe, 0, sizeof(fake_probe));
    s->library.state = LIBRARY_PROBED;
    done(s->in, &s->library, 0, NULL);
    turn();
    ck_assert(!is_alive(s));
    struct side *last = prepare(2, false, LIBRARY_STAGED, false);
    instance_discard(last->in);
    teardown();
    ck_assert_ptr_null(fake_probe.arg);
    setup();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("drain");
    TCase *c = tcase_create("drain");
    tcase_add_checked_fixture(c, setup, teardown);
    const TTest *const all[] = {idle_ends_in_the_next_turn,
                                never_loaded_ends_without_code,
                                calls_end_where_they_began,
                                limit_cuts_calls_and_tells_their_clients,
                                stuck_is_kept_and_closed_after_all,
                                heir_opens_when_all_has_ended_with_its_state,
                                heir_of_one_that_is_stuck_opens_without,
                                state_that_fails_is_not_handed_over,
                                heir_that_does_not_open_refuses_its_calls,
                                discarded_goes_quietly,
                                discarded_while_it_is_probed};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        tcase_add_test(c, all[i]);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
