/* The life of a call on the loop: admitted, queued or refused; run; ended once. */
#include "engine/internal.h"

#include <limits.h>
#include <stdlib.h>

static struct instance_entry *entry_of(const struct call *c)
{
    return &c->instance->entry[c->entry];
}

static struct instance_counters *count_of(const struct call *c)
{
    return &metrics_of(c->instance, c->entry)->count;
}

/* --- answering --- */

static void answer(struct call *c, struct outcome *o)
{
    c->settled = true;
    metrics_answered(c, o);
    c->sink->done(c->user, o);
    gate_tell(c, o);
}

static void count_refusal(struct instance_counters *count, enum refusal_reason reason)
{
    count->refused[reason]++;
    if (reason == REFUSED_TIMEOUT)
        count->timeouts++;
    else if (reason == REFUSED_FAULT)
        count->errors++;
    else
        count->refusals++;
}

static void answer_refusal(struct call *c, enum refusal_reason reason, const char *text)
{
    struct refusal r;
    refusal_fill(&r, reason, c->instance, c->spec, 0);
    if (text)
        snprintf(r.text, sizeof(r.text), "%s", text);
    count_refusal(count_of(c), reason);
    answer(c, &(struct outcome){.end = CALL_REFUSED, .refusal = &r});
}

/* Refused before it has a slot; `wait` as in refusal_fill(). */
static struct call *refuse_after(const struct call_request *rq, enum refusal_reason reason,
                                 uint64_t wait)
{
    struct instance *in = rq->instance;
    struct refusal r;
    refusal_fill(&r, reason, in, &in->manifest->entry[rq->entry], wait);
    count_refusal(&metrics_of(in, rq->entry)->count, reason);
    metrics_refused(in->engine);
    rq->sink->done(rq->user, &(struct outcome){.end = CALL_REFUSED, .refusal = &r});
    return NULL;
}

static struct call *refuse_request(const struct call_request *rq, enum refusal_reason reason)
{
    return refuse_after(rq, reason, 0);
}

void call_refuse(const struct call_request *rq, enum refusal_reason reason)
{
    rq->instance->engine->now = clock_ns();
    refuse_request(rq, reason);
}

static void count_before_start(struct instance *in, uint32_t entry)
{
    in->engine->now = clock_ns();
    metrics_of(in, entry)->count.calls++;
    metrics_refused(in->engine);
}

bool call_request_fits(struct instance *in, uint32_t entry, size_t bytes, struct refusal *ret)
{
    const struct entry_spec *spec = &in->manifest->entry[entry];
    if (bytes <= spec->limits.request)
        return true;
    refusal_fill(ret, REFUSED_REQUEST, in, spec, 0);
    count_before_start(in, entry);
    count_refusal(&metrics_of(in, entry)->count, REFUSED_REQUEST);
    return false;
}

void call_count_misfit(struct instance *in, uint32_t entry)
{
    count_before_start(in, entry);
    metrics_of(in, entry)->count.errors++;
}

/* --- ending --- */

static void fault(struct call *c, const char *why)
{
    log_line(LOG_WARN, c->instance->name, "%.*s: %s", STR_FMT(c->spec->name), why);
    answer_refusal(c, REFUSED_FAULT, NULL);
}

/* What the plugin made of the call, as the client may see it. */
static void answer_result(struct call *c)
{
    struct result *r = &c->result;
    struct outcome o = {.end = CALL_DONE};
    struct str detail = {c->detail, c->detail_len};
    switch (c->how) {
    case MF_DONE:
    case MF_TOOL_ERROR:
        break;
    case MF_BAD_PARAMS:
        count_of(c)->errors++;
        o.end = CALL_BAD_PARAMS;
        o.message = detail;
        answer(c, &o);
        return;
    case MF_NOT_FOUND:
        count_of(c)->errors++;
        o.end = CALL_NOT_FOUND;
        answer(c, &o);
        return;
    case MF_NEED_INPUT:
        fault(c, "finished with MF_NEED_INPUT, which this build can't pass on to a client");
        return;
    case MF_FAULT:
        if (r->over || r->no_memory) { /* it gave up because its result was not taken */
            answer_refusal(c, r->over ? REFUSED_RESULT : REFUSED_MEMORY, NULL);
            return;
        }
        log_line(LOG_ERROR, c->instance->name, "%.*s failed: %.*s", STR_FMT(c->spec->name),
                 STR_FMT(detail));
        answer_refusal(c, REFUSED_FAULT, NULL);
        return;
    default:
        c->instance->misuse++;
        fault(c, "finished with an unknown kind of end");
        return;
    }
    /* A client that does not know structuredContent still gets the value (2026-07-28, tools). */
    if (c->kind == MF_TOOL && r->structured.len && !r->items.len && !r->structured_bad)
        result_text(c, (mf_bytes){r->structured.data, r->structured.len});
    result_close(c);
    if (r->over || r->no_memory || r->items.failed || r->structured.failed) {
        bool memory = r->no_memory || r->items.failed == -ENOMEM || r->structured.failed == -ENOMEM;
        answer_refusal(c, memory ? REFUSED_MEMORY : REFUSED_RESULT, NULL);
        return;
    }
    bool error = c->how == MF_TOOL_ERROR;
    if (!error && c->kind == MF_TOOL && c->spec->output &&
        (r->structured_bad || !r->structured.len)) {
        fault(c, r->structured_bad ? "its structured result does not fit its outputSchema"
                                   : "has an outputSchema but gave no structured result");
        return;
    }
    if (error)
        count_of(c)->errors++;
    o.end = error ? CALL_TOOL_ERROR : CALL_DONE;
    o.items = buf_view(&r->items);
    if (r->structured.len && !r->structured_bad)
        o.structured = buf_view(&r->structured);
    answer(c, &o);
}

static void give_back(struct call *c)
{
    struct instance *in = c->instance;
    deadline_clear(c->engine, c);
    in->running--;
    entry_of(c)->running--;
    if (c->client != CLIENT_WAITS)
        in->orphans--;
    if (c->client == CLIENT_TIMED_OUT)
        in->leaked--;
    table_give(c->engine, c);
    if (in->queued)
        instance_dispatch(in);
    if (in->drain)
        drain_look(in->engine);
    if (c->engine->stopping)
        engine_check_stopped(c->engine);
}

void call_settle(struct call *c)
{
    c->end_seen = true;
    call_abort_ops(c);
    if (c->client != CLIENT_WAITS)
        count_of(c)->late++;
    else
        answer_result(c);
    if (!c->blocking || c->thread_done)
        give_back(c);
}

static void on_ended(struct post *p)
{
    call_settle(container_of(p, struct call, ended));
}

/* A BLOCKING call() has returned; it may have been finished before, or may be later. */
static void on_returned(struct post *p)
{
    struct call *c = container_of(p, struct call, returned);
    c->thread_done = true;
    if (c->end_seen)
        give_back(c);
}

/* --- running --- */

static void keep_input(struct call *c)
{
    struct str part[3] = {c->args, c->uri, c->meta};
    if (c->input.len)
        return;
    c->input.max = part[0].n + part[1].n + part[2].n;
    if (buf_reserve(&c->input, c->input.max))
        return;
    for (int i = 0; i < 3; i++)
        buf_str(&c->input, part[i]);
    c->args.p = c->input.data;
    c->uri.p = c->input.data + part[0].n;
    c->meta.p = c->input.data + part[0].n + part[1].n;
}

/* The plugin has it now: until limits.timeout. */
static void deadline_run(struct call *c)
{
    if (!protection_off("timeout"))
        deadline_set(c->engine, c, c->deadline);
}

/* mf_request.ref_kind */
static uint32_t call_ref_kind(const struct call *c)
{
    if (c->kind != MF_COMPLETION)
        return 0;
    return c->spec->kind == ENTRY_PROMPT ? MF_PROMPT : MF_RESOURCE;
}

/* On the loop, or on a thread of the plugin's. */
static void call_enter(struct call *c)
{
    struct instance *in = c->instance;
    in->plugin->call(in->self, &(mf_request){
                                   .size = sizeof(mf_request),
                                   .kind = c->kind,
                                   .index = entry_of(c)->binding.index,
                                   .ref_kind = call_ref_kind(c),
                                   .call = call_handle(c),
                                   .deadline_ns = c->deadline,
                                   .args = {c->args.p, c->args.n},
                                   .uri = {c->uri.p, c->uri.n},
                                   .meta = {c->meta.p, c->meta.n},
                               });
}

static void on_thread(struct pool_job *job)
{
    struct call *c = container_of(job, struct call, job);
    call_enter(c);
    post_send(&c->engine->posts, &c->returned);
}

/* 0, or why there is no thread for it. */
static int call_to_thread(struct call *c)
{
    struct instance *in = c->instance;
    /* Its permits keep it from having more. */
    if (!in->threads)
        in->threads = pool_new(UINT_MAX);
    c->job.run = on_thread;
    return in->threads ? pool_submit(in->threads, &c->job) : -ENOMEM;
}

void call_run(struct call *c)
{
    struct instance *in = c->instance;
    struct engine *en = c->engine;
    deadline_clear(en, c);
    in->running++;
    entry_of(c)->running++;
    c->ran = true;
    c->blocking = (entry_of(c)->binding.flags & MF_TOOL_BLOCKING) && !protection_off("threads");
    c->thread_done = false;
    pthread_mutex_lock(&c->lock);
    c->state = SLOT_RUNNING;
    pthread_mutex_unlock(&c->lock);
    if (c->blocking) {
        keep_input(c);
        int r = c->input.failed ? -ENOMEM : call_to_thread(c);
        if (r) {
            answer_refusal(c, REFUSED_MEMORY, NULL);
            give_back(c);
            return;
        }
        deadline_run(c);
        return;
    }
    c->in_call = true;
    watchdog_enter(en, in, IN_CALL, c->spec);
    call_enter(c);
    watchdog_leave(en);
    c->in_call = false;
    if (c->ended_inside) {
        call_settle(c);
        return;
    }
    pthread_mutex_lock(&c->lock);
    bool running = c->state == SLOT_RUNNING;
    pthread_mutex_unlock(&c->lock);
    if (running) /* else another thread has finished it and the post is on its way */
        deadline_run(c);
}

/* --- admission --- */

static bool has_permit(const struct instance *in, uint32_t entry)
{
    if (protection_off("permits"))
        return true;
    return in->running < in->manifest->instance.limits.concurrency &&
           in->entry[entry].running < in->manifest->entry[entry].limits.concurrency;
}

/* Is there a place in the queue?  While the library loads those wait too that would run otherwise.
 */
static bool has_place(const struct instance *in, uint32_t entry)
{
    const struct limits *all = &in->manifest->instance.limits;
    const struct limits *own = &in->manifest->entry[entry].limits;
    bool ready = in->state == INSTANCE_READY;
    if (protection_off("queue"))
        return true;
    return in->queued < all->queue + (ready ? 0 : all->concurrency) &&
           in->entry[entry].queued < own->queue + (ready ? 0 : own->concurrency);
}

static void leave_queue(struct call *c)
{
    list_remove(&c->waiting);
    c->instance->queued--;
    entry_of(c)->queued--;
    if (c->instance->drain)
        drain_look(c->engine);
}

void instance_dispatch(struct instance *in)
{
    /* A call that ends inside call() lets the next one in from here, not from its own stack. */
    if (in->dispatching || in->state != INSTANCE_READY)
        return;
    in->dispatching = true;
    bool ran = true;
    while (ran && in->running < in->manifest->instance.limits.concurrency) {
        ran = false;
        list_each (it, &in->waiting) {
            struct call *c = container_of(it, struct call, waiting);
            if (!has_permit(in, c->entry))
                continue;
            leave_queue(c);
            in->engine->now = clock_ns();
            metrics_waited(c);
            call_run(c);
            ran = true;
            break;
        }
    }
    in->dispatching = false;
#ifndef NDEBUG
    const char *broken = instance_check(in);
    if (broken)
        BUG("%s: %s", in->name, broken);
#endif
}

void instance_restart_waits(struct instance *in)
{
    uint64_t until = clock_ns();
    list_each (it, &in->waiting) {
        struct call *c = container_of(it, struct call, waiting);
        uint64_t due = until + c->spec->limits.queue_wait;
        if (!protection_off("clock"))
            deadline_set(in->engine, c, due < c->deadline ? due : c->deadline);
    }
}

void instance_refuse_waiting(struct instance *in, enum refusal_reason reason, const char *text)
{
    while (!list_empty(&in->waiting)) {
        struct call *c = container_of(in->waiting.next, struct call, waiting);
        leave_queue(c);
        deadline_clear(c->engine, c);
        answer_refusal(c, reason, text);
        table_give(c->engine, c);
    }
}

static void enqueue(struct call *c)
{
    struct instance *in = c->instance;
    pthread_mutex_lock(&c->lock);
    c->state = SLOT_QUEUED;
    pthread_mutex_unlock(&c->lock);
    list_append(&in->waiting, &c->waiting);
    in->queued++;
    entry_of(c)->queued++;
    uint64_t due = c->arrival + c->spec->limits.queue_wait;
    /* While the library loads it is not the plugin's queue that makes the call wait. */
    if (in->state != INSTANCE_READY || due > c->deadline || protection_off("queue_wait"))
        due = c->deadline;
    if (!protection_off("clock"))
        deadline_set(c->engine, c, due);
}

/* Without memory it goes on without: it is for people who look on. */
static void keep_trace(struct call *c)
{
    const struct instance *in = c->instance;
    struct trace t;
    /* Only services pass it on; one that is not loaded yet may still ask for some. */
    if (in->state == INSTANCE_READY && !in->services)
        return;
    if (!trace_read(c->meta, &t))
        return;
    c->trace = malloc(sizeof(*c->trace));
    if (c->trace)
        *c->trace = t;
}

static void call_init(struct call *c, const struct call_request *rq, uint64_t arrival)
{
    const struct entry_spec *spec = &rq->instance->manifest->entry[rq->entry];
    c->instance = rq->instance;
    c->spec = spec;
    c->entry = rq->entry;
    c->kind = rq->kind;
    c->sink = rq->sink;
    c->user = rq->user;
    c->wants_progress = rq->progress;
    c->log_level = rq->log_level;
    c->arrival = arrival;
    c->deadline = rq->deadline ? rq->deadline : arrival + spec->limits.timeout;
    c->trial = c->waited = 0;
    c->ran = c->in_call = c->ended_inside = c->blocking = c->thread_done = c->end_seen =
        c->settled = false;
    c->client = CLIENT_WAITS;
    c->progress = -1;
    c->events = 0;
    c->how = MF_DONE;
    c->detail_len = 0;
    c->args = rq->args.n ? rq->args : STR("{}");
    c->uri = rq->uri;
    c->meta = rq->meta;
    c->result.limit = spec->limits.result;
    c->result.items.max = c->result.structured.max = spec->limits.result;
    keep_trace(c);
}

struct call *call_start(struct engine *en, const struct call_request *rq)
{
    struct instance *in = rq->instance;
    uint64_t arrival = en->now = protection_off("clock") ? 0 : clock_ns();
    uint64_t wait;
    enum refusal_reason why;
    metrics_of(in, rq->entry)->count.calls++;
    if (en->stopping)
        return refuse_request(rq, REFUSED_STOPPING);
    if (in->state == INSTANCE_FAILED || in->state == INSTANCE_CLOSED ||
        (in->state == INSTANCE_READY && !in->plugin))
        return refuse_request(rq, REFUSED_LOAD);
    bool gated = !gate_is_open(in, rq->entry);
    if (gated && !gate_admits(in, rq->entry, &why, &wait))
        return refuse_after(rq, why, wait);
    bool now = in->state == INSTANCE_READY && !in->queued && has_permit(in, rq->entry);
    if (!now && !has_place(in, rq->entry))
        return refuse_request(rq, REFUSED_QUEUE);
    struct call *c = table_take(en);
    if (!c)
        return refuse_request(rq, REFUSED_CALLS);
    call_init(c, rq, arrival);
    uint32_t generation = c->generation;
    if (!now || rq->kind == MF_RESOURCE)
        keep_input(c);
    if (c->input.failed) {
        table_give(en, c);
        return refuse_request(rq, REFUSED_MEMORY);
    }
    if (gated)
        gate_take(c);
    if (now) {
        call_run(c);
    } else {
        enqueue(c);
        if (in->state == INSTANCE_UNLOADED)
            instance_load(in);
        else
            instance_dispatch(in);
    }
    /* It may have ended already, and its slot may even have been taken again by nobody: done() must
     * not start calls.  An orphan's slot is not for the caller either. */
    return c->generation == generation && !c->settled ? c : NULL;
}

/* --- nobody waits any more --- */

/* Tells the plugin, which finishes the call when it likes. */
static void orphan(struct call *c, enum client_state why)
{
    struct instance *in = c->instance;
    pthread_mutex_lock(&c->lock);
    bool running = c->state == SLOT_RUNNING;
    c->client = why;
    pthread_mutex_unlock(&c->lock);
    in->orphans++;
    in->leaked += why == CLIENT_TIMED_OUT;
    deadline_clear(c->engine, c);
    call_abort_ops(c);
    if (!running || !in->plugin->cancel)
        return;
    watchdog_enter(c->engine, in, IN_CANCEL, c->spec);
    in->plugin->cancel(in->self, call_handle(c));
    watchdog_leave(c->engine);
}

void call_due(struct call *c)
{
    pthread_mutex_lock(&c->lock);
    enum call_state state = c->state;
    pthread_mutex_unlock(&c->lock);
    if (state == SLOT_QUEUED) {
        leave_queue(c);
        answer_refusal(c, c->due >= c->deadline ? REFUSED_TIMEOUT : REFUSED_QUEUE_WAIT, NULL);
        table_give(c->engine, c);
    } else if (state == SLOT_RUNNING) {
        answer_refusal(c, REFUSED_TIMEOUT, NULL);
        orphan(c, CLIENT_TIMED_OUT);
    }
    /* SLOT_ENDED: the answer is in the post queue already. */
}

void instance_cut_calls(struct instance *in, const char *text)
{
    struct engine *en = in->engine;
    for (uint32_t i = 0; i < en->calls.slots; i++) {
        struct call *c = &en->calls.chunk[i / CHUNK][i % CHUNK];
        if (c->instance != in || c->settled)
            continue;
        pthread_mutex_lock(&c->lock);
        bool waited_for = c->state == SLOT_RUNNING && c->client == CLIENT_WAITS;
        pthread_mutex_unlock(&c->lock);
        if (!waited_for)
            continue;
        answer_refusal(c, REFUSED_TIMEOUT, text);
        orphan(c, CLIENT_TIMED_OUT);
    }
}

void call_cancel(struct call *c)
{
    count_of(c)->cancelled++;
    c->engine->now = clock_ns();
    gate_tell(c, NULL);
    pthread_mutex_lock(&c->lock);
    enum call_state state = c->state;
    pthread_mutex_unlock(&c->lock);
    if (state == SLOT_QUEUED) {
        leave_queue(c);
        deadline_clear(c->engine, c);
        table_give(c->engine, c);
    } else {
        orphan(c, CLIENT_CANCELLED);
    }
}

void call_posts_init(struct call *c)
{
    c->ended.run = on_ended;
    c->returned.run = on_returned;
}
