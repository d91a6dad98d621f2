/* Admission against a model: random starts, finishes from the loop and from threads, late, double
 * and forged ones, cancels, timeouts, lost clients, calls that block a thread, and reloads with
 * calls under way, of two plugins at once.
 *
 *   test_engine_model [--steps N] [--seed N]
 *
 * After each step the engine's own invariants hold (engine_check()) and every
 * counter is the model's: permits are exact, each call has one end, a tool's
 * calls run in the order in which they came, what one plugin admits does
 * not depend on the other, a generation that was replaced ends when nothing of it is left and no
 * earlier, and an heir opens after that, with its predecessor's state.  The clock plays no part:
 * limits are too long to be reached, deadlines and drain limits are called by hand.  It prints its
 * seed; only the order in which threads run is not in it. */
#include "engine_model_threads.h"

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

/* --- the plugin --- */

static void finish_stale(struct generation *g, mf_call handle)
{
    MUST(finish(g->in, handle, MF_DONE) == MF_ESTALE);
    g->misuse++;
    t.stale++;
}

static void runs(struct record *r)
{
    check_order(r);
    r->state = RUNNING;
    r->of->ran++;
    t.ran++;
}

/* Which blocking calls have a thread now: nobody says so on the loop. */
static void notice(void)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *r = &t.record[i];
        if (r->tool != BLOCKS || r->state != QUEUED)
            continue;
        pthread_mutex_lock(&r->call->lock);
        bool running = r->call->state == SLOT_RUNNING;
        pthread_mutex_unlock(&r->call->lock);
        if (!running)
            continue;
        r->state = RUNNING;
        r->handle = call_handle(r->call);
        r->of->ran++;
        t.ran++;
    }
    for (unsigned i = 0; i < RECORDS; i++) {
        if (t.record[i].tool == BLOCKS && t.record[i].state == RUNNING)
            check_order(&t.record[i]);
    }
}

static mf_status plugin_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct generation *g = generation_of((const struct instance *)(const void *)host);
    struct generation *before = retired_of(g->plugin);
    (void)config;
    MUST(!g->open && !g->closed);
    MUST(!g->heir || (before && (before->closed || instance_is_stuck(before->in))));
    if (g->fails)
        return MF_EIO;
    g->open = true;
    for (unsigned i = 0; i < RECORDS; i++) {
        if (t.record[i].of == g && t.record[i].state == QUEUED)
            t.record[i].in_load = false;
    }
    *ret_self = g;
    return MF_OK;
}

static void plugin_call(void *self, const mf_request *rq)
{
    struct generation *g = self;
    if (rq->index == BLOCKS) {
        block(g->in, rq->call);
        return;
    }
    uint64_t number = strtoull(rq->args.data + strlen("{\"n\":"), NULL, 10);
    struct record *r = NULL;
    notice();
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *other = &t.record[i];
        if (other->state != GONE && other->number == number)
            r = other;
        MUST(other->state == GONE || other->handle != rq->call);
    }
    MUST(r && (r->state == STARTING || r->state == QUEUED));
    MUST(r->of == g && (uint32_t)r->tool == rq->index);
    MUST(g->open && !g->closed && has_permit(g, r->tool));
    runs(r);
    r->handle = rq->call;
    if (r->inside < 0)
        return;
    MUST(finish(g->in, r->handle, r->inside) == MF_OK);
    r->state = FINISHING;
    if (any(4) == 0)
        finish_stale(g, r->handle);
}

static mf_status status_of(const struct record *r)
{
    return !r->orphan ? MF_OK : r->leaked ? MF_ETIMEDOUT : MF_ECANCELED;
}

static void finish_running(struct record *r)
{
    /* Of a blocking call now and then by its own thread, which returns then. */
    mf_status s = r->tool == BLOCKS && !r->returned && any(2)
                      ? let_go(r, MF_DONE)
                      : finish(r->of->in, r->handle, MF_DONE);
    MUST(s == status_of(r));
    r->state = FINISHING;
    t.late += r->orphan;
}

static void plugin_cancel(void *self, mf_call handle)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *r = &t.record[i];
        if (r->state != RUNNING || r->handle != handle)
            continue;
        MUST(r->of == self && r->orphan);
        if (r->finish_in_cancel)
            finish_running(r);
        return;
    }
    MUST(!"a call that the plugin has was cancelled");
}

static void plugin_quiesce(void *self)
{
    struct generation *g = self;
    g->quiesced++;
    MUST(g->open && (g->retired || g->discarded || t.stopping));
}

static void plugin_close(void *self)
{
    struct generation *g = self;
    MUST(g->open && !g->closed && g->quiesced == 1);
    MUST(t.stopping || is_idle(g));
    g->closed = true;
    t.closed++;
}

static mf_status plugin_save(void *self, mf_status (*write)(void *arg, mf_bytes bytes), void *arg)
{
    struct generation *g = self;
    MUST(is_idle(g) && !g->closed && t.now[g->plugin]->heir);
    t.saved[g->plugin] = g->ran;
    for (size_t i = 0; i < sizeof(g->ran); i++)
        MUST(write(arg, (mf_bytes){(const char *)&g->ran + i, 1}) == MF_OK);
    return MF_OK;
}

static mf_status plugin_restore(void *self, mf_bytes bytes)
{
    struct generation *g = self;
    MUST(g->heir && g->open && !g->ran && !g->restored && bytes.len == sizeof(g->ran));
    MUST(memcmp(bytes.data, &t.saved[g->plugin], bytes.len) == 0);
    g->restored = true;
    t.restored++;
    return MF_OK;
}

static const void *plugin_extension(void *self, const char *id)
{
    static const mf_state state = {sizeof(state), 0, plugin_save, plugin_restore};
    (void)self;
    return strcmp(id, MF_EXT_STATE) == 0 ? &state : NULL;
}

static const mf_entry tool[TOOLS] = {{sizeof(mf_entry), 0, "any"},
                                     {sizeof(mf_entry), 0, "single"},
                                     {sizeof(mf_entry), MF_TOOL_BLOCKING, "blocks"}};
static const mf_entry *const tools[] = {&tool[ANY], &tool[SINGLE], &tool[BLOCKS], NULL};
static const mf_plugin fake = {.size = sizeof(mf_plugin),
                               .tools = tools,
                               .open = plugin_open,
                               .call = plugin_call,
                               .cancel = plugin_cancel,
                               .quiesce = plugin_quiesce,
                               .close = plugin_close,
                               .extension = plugin_extension};

/* --- the client --- */

/* Answered by what the plugin made of it. */
static void finished(struct record *r, const struct outcome *o)
{
    MUST(r->state == FINISHING);
    r->of->misuse += o->end == CALL_REFUSED; /* an unknown way to end */
    t.done++;
    if (r->tool == BLOCKS)
        r->state = HELD;
    else
        end(r);
}

static void on_done(void *user, const struct outcome *o)
{
    struct record *r = user;
    notice();
    MUST(r->state != GONE && r->state != HELD && r->waits); /* one end each */
    r->waits = false;
    if (o->end != CALL_REFUSED || o->refusal->reason == REFUSED_FAULT) {
        finished(r, o);
    } else if (r->state == RUNNING) {
        MUST(o->refusal->reason == REFUSED_TIMEOUT);
        r->orphan = r->leaked = true;
        t.timeouts++;
        t.cut += r->of->cutting;
    } else if (r->state == QUEUED) {
        bool timeout = r->of->cutting || r->in_load;
        MUST(o->refusal->reason == (timeout ? REFUSED_TIMEOUT : REFUSED_QUEUE_WAIT));
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

/* --- steps: calls --- */

static void start(void)
{
    static const int ways[] = {-1, -1, -1, MF_DONE, MF_TOOL_ERROR, MF_BAD_PARAMS, MF_NOT_FOUND, 99};
    struct record *r = pick(is_gone);
    if (!r)
        return;
    struct generation *g = t.now[any(PLUGINS)];
    *r = (struct record){.state = STARTING,
                         .of = g,
                         .tool = any(40) == 0 ? BLOCKS : (int)any(BLOCKS),
                         .number = ++t.numbers,
                         .waits = true,
                         .in_load = !g->open,
                         .finish_in_cancel = any(3) == 0,
                         .inside = ways[any(8)]};
    struct counts all = count(g, -1), own = count(g, r->tool);
    bool permit = g->open && has_permit(g, r->tool);
    bool place = all.queued < queue + (g->open ? 0 : concurrency) &&
                 own.queued < tool_queue[r->tool] + (g->open ? 0 : tool_concurrency[r->tool]);
    unsigned used = 0;
    for (unsigned i = 0; i < RECORDS; i++)
        used += t.record[i].state > STARTING;
    uint64_t ran = t.ran, queue_full = t.refused_queue, calls_full = t.refused_calls;
    char args[32];
    snprintf(args, sizeof(args), "{\"n\":%" PRIu64 "}", r->number);
    struct call *c = call_start(t.engine, &(struct call_request){.instance = g->in,
                                                                 .entry = (uint32_t)r->tool,
                                                                 .kind = MF_TOOL,
                                                                 .args = str_of(args),
                                                                 .sink = &sink,
                                                                 .user = r,
                                                                 .log_level = -1});
    r->call = c;
    if ((!permit || all.queued) && !place) {
        MUST(t.refused_queue == queue_full + 1 && !c && r->state == GONE);
        return;
    }
    if (used == CALLS) {
        MUST(t.refused_calls == calls_full + 1 && !c && r->state == GONE);
        return;
    }
    if (r->tool == BLOCKS || !permit) {
        MUST(c && r->state == STARTING);
        r->state = QUEUED;
        notice();
        MUST((r->state == RUNNING) == permit);
        t.blocked += r->tool == BLOCKS;
    }
    if (permit)
        MUST(t.ran == ran + 1);
    else
        t.queued++;
    if (permit && r->tool != BLOCKS)
        MUST(r->inside < 0 ? c && r->state == RUNNING : !c && r->state == GONE);
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

static void forge(void)
{
    struct record *r = pick(is_running);
    if (!r)
        return;
    struct generation *g = r->of;
    finish_stale(t.now[!g->plugin], r->handle);
    if (t.now[g->plugin] != g) /* nor is it its heir's */
        finish_stale(t.now[g->plugin], r->handle);
    finish_stale(g, r->handle ^ (UINT64_C(1) << (32 + any(32))));
    finish_stale(g, r->handle | (UINT64_C(1) << (16 + any(16))));
    finish_stale(g, any(UINT32_MAX));
}

static void stale(void)
{
    struct record *r = pick(is_finishing);
    if (r)
        finish_stale(r->of, r->handle);
    mf_call old = t.old[any(OLD)];
    struct generation *g = t.now[any(PLUGINS)];
    const mf_host *h = &g->in->host;
    MUST(h->text(h, old, (mf_bytes){"x", 1}) == MF_ESTALE);
    finish_stale(g, old);
}

/* Two threads finish the same calls while the loop cancels one of them. */
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
    for (unsigned i = 0; i < n; i++)
        r[i]->finish_in_cancel = false;
    finishers_go(r, n);
    struct record *victim = any(2) ? r[any(n)] : NULL;
    if (victim && victim->waits) {
        /* plugin_cancel() must find it, if it comes to that. */
        cancel(victim);
    } else {
        victim = NULL;
    }
    finishers_wait();
    for (unsigned i = 0; i < n; i++) {
        const struct job *j = &f.job[i];
        MUST((j->status[0] == MF_ESTALE) + (j->status[1] == MF_ESTALE) == 1);
        mf_status s = j->status[j->status[0] == MF_ESTALE];
        MUST(s == status_of(r[i]) || (r[i] == victim && s == MF_OK));
        r[i]->state = FINISHING;
        r[i]->of->misuse++;
        t.raced++;
    }
}

/* --- steps: generations --- */

static void on_prepared(void *arg, struct instance *in, const char *error)
{
    struct generation *g = arg;
    MUST(g->in == in);
    g->error = error;
}

static void on_gone(void *arg, const char *name)
{
    (void)arg;
    for (int i = 0; i < PLUGINS; i++)
        t.gone[i] += strcmp(name, name_of[i]) == 0;
}

static struct generation *generation_new(int plugin, bool handover, bool fails)
{
    struct generation *g = place();
    if (!g)
        return NULL;
    *g = (struct generation){
        .plugin = plugin, .library = {&fake, LIBRARY_LOADED}, .heir = handover, .fails = fails};
    g->in = instance_new(t.engine, fake_manifest(t.manifest, name_of[plugin]));
    instance_prepare(g->in, &g->library, handover, on_prepared, g);
    MUST(g->open == (!handover && !fails) && !g->error == !fails);
    return g;
}

/* As runtime/reload_swap.c does it; a plugin with an older generation waits. */
static void reload(void)
{
    int plugin = (int)any(PLUGINS);
    struct generation *old = t.now[plugin];
    MUST(!engine_retired(t.engine, name_of[plugin]) == !retired_of(plugin));
    if (retired_of(plugin))
        return;
    bool handover = any(2), fails = !handover && any(8) == 0;
    struct generation *g = generation_new(plugin, handover, fails);
    if (!g)
        return;
    if (fails) {
        instance_discard(g->in);
        g->discarded = true;
        t.refused_reloads++;
        return;
    }
    t.now[plugin] = g;
    old->retired = true;
    instance_retire(old->in, handover ? g->in : NULL);
    t.reloads++;
    t.handovers += handover;
}

static bool is_alive(const struct generation *g)
{
    list_each (it, &t.engine->instances) {
        if (container_of(it, struct instance, in_engine) == g->in)
            return true;
    }
    return false;
}

/* After a turn of the loop.  Bits of those that had nothing left, or nothing left to begin, before
 * it. */
static void look_at_generations(unsigned was_idle, unsigned was_last)
{
    unsigned gone[PLUGINS] = {0};
    for (unsigned i = 0; i < GENERATIONS; i++) {
        struct generation *g = &t.generation[i];
        MUST(!(was_last & 1u << i) || g->quiesced == 1);
        if (!g->in || is_alive(g)) {
            MUST(!g->in || !(was_idle & 1u << i)); /* its end is overdue */
            continue;
        }
        MUST((g->retired || g->discarded) && g->closed == g->open);
        MUST(!count(g, -1).running && !count(g, -1).queued);
        gone[g->plugin] += g->retired;
        t.unstuck += g->stuck;
        g->in = NULL;
    }
    /* Of one plugin a retired and a discarded one may end in the same turn. */
    for (unsigned i = 0; i < PLUGINS; i++) {
        MUST(t.gone[i] == gone[i]);
        t.gone[i] = 0;
    }
}

static void turn(void)
{
    unsigned idle = 0, last = 0;
    for (unsigned i = 0; i < GENERATIONS; i++) {
        idle |= is_idle(&t.generation[i]) ? 1u << i : 0;
        last |= is_last(&t.generation[i]) ? 1u << i : 0;
    }
    t.draining = true;
    uv_run(&t.loop, UV_RUN_NOWAIT);
    t.draining = false;
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *r = &t.record[i];
        if (r->state != FINISHING && r->state != HELD)
            continue;
        MUST(!r->waits); /* else its answer is overdue */
        bool held = r->tool == BLOCKS && !r->returned;
        t.held += held && r->state == FINISHING;
        if (held)
            r->state = HELD;
        else
            end(r);
    }
    look_at_generations(idle, last);
}

/* limits.drain, and then the grace after it, are over. */
static void drain_is_over(void)
{
    struct generation *g = retired_of((int)any(PLUGINS));
    if (!g || g->stuck || is_idle(g))
        return;
    bool cut = g->in->drain->cut;
    g->in->drain->due = 0;
    drain_look(t.engine);
    g->cutting = true;
    turn();
    g->cutting = false;
    if (!g->in)
        return;
    for (unsigned i = 0; i < RECORDS; i++)
        MUST(t.record[i].of != g || t.record[i].state == GONE || !t.record[i].waits);
    MUST(instance_is_stuck(g->in) == cut);
    g->stuck = cut;
    t.stuck += cut;
    MUST(!cut || t.now[g->plugin]->open);
}

/* --- after each step --- */

static unsigned compare_generation(const struct generation *g)
{
    struct instance *in = g->in;
    struct counts n = count(g, -1);
    MUST(in->running == n.running);
    MUST(in->queued == n.queued);
    MUST(in->orphans == n.orphans);
    MUST(in->leaked == n.leaked);
    MUST(in->misuse == g->misuse);
    unsigned used = n.running + n.queued;
    for (int k = 0; k < TOOLS; k++) {
        n = count(g, k);
        MUST(in->entry[k].running == n.running);
        MUST(in->entry[k].queued == n.queued);
        MUST(!n.queued || !g->open || !has_permit(g, k)); /* nobody waits where there is a permit */
    }
    return used;
}

static void compare(void)
{
    notice();
    const char *broken = engine_check(t.engine);
    if (broken)
        fail_at(__LINE__, broken);
    unsigned used = 0;
    for (unsigned i = 0; i < GENERATIONS; i++) {
        if (t.generation[i].in)
            used += compare_generation(&t.generation[i]);
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
    } else if (what < 670) {
        if ((r = pick(has_client)))
            cancel(r);
    } else if (what < 680) {
        if ((r = pick(is_in_thread)))
            let_go(r, -1);
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
    } else if (what < 800) {
        reload();
    } else if (what < 810) {
        drain_is_over();
    } else {
        turn();
    }
}

/* --- the frame --- */

static void on_stopped(void *arg)
{
    (void)arg;
    t.stopped = true;
}

/* So that nothing is left when it stops.  The end of one may let others run, an heir's too. */
static void finish_all(void)
{
    for (int idle = 0; idle < 2;) {
        struct record *r = pick(is_running);
        if (!r)
            r = pick(is_in_thread);
        if (r && r->state == RUNNING)
            finish_running(r);
        else if (r)
            let_go(r, -1);
        idle = r ? 0 : idle + 1;
        turn();
        compare();
    }
    MUST(!retired_of(0) && !retired_of(1) && !t.engine->calls.used);
}

static void run(void)
{
    struct err e;
    MUST(engine_open(&t.loop, &(struct engine_options){.calls = CALLS}, &t.engine, &e) == 0);
    engine_on_gone(t.engine, on_gone, NULL);
    for (int i = 0; i < PLUGINS; i++)
        t.now[i] = generation_new(i, false, false);
    finishers_start();
    for (t.step = 0; t.step < t.steps; t.step++) {
        step();
        compare();
    }
    finishers_stop();
    finish_all();
    t.stopping = true;
    engine_stop(t.engine, 1000, on_stopped, NULL);
    while (!t.stopped)
        uv_run(&t.loop, UV_RUN_ONCE);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    struct manifest *last[PLUGINS];
    for (int i = 0; i < PLUGINS; i++) {
        MUST(t.now[i]->closed);
        last[i] = (struct manifest *)(uintptr_t)t.now[i]->in->manifest;
    }
    MUST(engine_free(t.engine));
    for (int i = 0; i < PLUGINS; i++)
        manifest_free(last[i]);
}

static void show(uint64_t began)
{
    const struct {
        const char *what;
        uint64_t count;
    } all[] = {
        {"ran", t.ran},
        {"waited", t.queued},
        {"done", t.done},
        {"late", t.late},
        {"cancelled", t.cancelled},
        {"timed out", t.timeouts},
        {"waited too long", t.waits_over},
        {"met a full queue", t.refused_queue},
        {"a full host", t.refused_calls},
        {"raced", t.raced},
        {"stale handles", t.stale},
        {"lost clients", t.disconnects},
        {"blocked", t.blocked},
        {"held their thread longer", t.held},
        {"reloads", t.reloads},
        {"handovers", t.handovers},
        {"with state", t.restored},
        {"refused reloads", t.refused_reloads},
        {"calls cut", t.cut},
        {"generations stuck", t.stuck},
        {"and ended after all", t.unstuck},
        {"closed", t.closed},
    };
    printf("%.1f s: %" PRIu64 " calls", (double)(clock_ns() - began) / 1e9, t.numbers);
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        printf(", %" PRIu64 " %s", all[i].count, all[i].what);
    printf("\n");
    for (size_t i = 0; t.steps >= 50000 && i < sizeof(all) / sizeof(*all); i++)
        MUST(all[i].count);
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
    log_configure(LOG_ERROR + 1, LOG_TEXT); /* stuck generations are errors, and meant here */
    struct err e;
    struct settings *settings;
    const char *dirs[] = {"/nonexistent"};
    struct settings_args args = {.plugins = dirs, .plugins_count = 1};
    struct source source = {.path = (char *)"/nonexistent", .trust = true};
    MUST(uv_loop_init(&t.loop) == 0);
    MUST(settings_read(&args, &settings, &e) == 0);
    MUST(manifest_parse(settings, &source, str_of(manifest_text), "fake.yaml", &t.manifest, &e) ==
         0);
    uint64_t begin = clock_ns();
    run();
    manifest_free(t.manifest);
    settings_free(settings);
    MUST(uv_loop_close(&t.loop) == 0);
    show(begin);
    return 0;
}
