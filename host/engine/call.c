/* The life of a call on the loop until it ends: admitted, queued or refused; run; nobody waits any
 * more. */
#include "engine/internal.h"

#include <limits.h>
#include <stdlib.h>

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
                                   .index = call_entry(c)->binding.index,
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
    call_entry(c)->running++;
    c->ran = true;
    c->blocking = (call_entry(c)->binding.flags & MF_TOOL_BLOCKING) && !protection_off("threads");
    c->thread_done = false;
    pthread_mutex_lock(&c->lock);
    c->state = SLOT_RUNNING;
    pthread_mutex_unlock(&c->lock);
    if (c->blocking) {
        keep_input(c);
        int r = c->input.failed ? -ENOMEM : call_to_thread(c);
        if (r) {
            call_answer_refusal(c, REFUSED_MEMORY, NULL);
            call_give_back(c);
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
    call_entry(c)->queued--;
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
        call_answer_refusal(c, reason, text);
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
    call_entry(c)->queued++;
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
        return call_refuse_after(rq, REFUSED_STOPPING, 0);
    if (in->state == INSTANCE_FAILED || in->state == INSTANCE_CLOSED ||
        (in->state == INSTANCE_READY && !in->plugin))
        return call_refuse_after(rq, REFUSED_LOAD, 0);
    bool gated = !gate_is_open(in, rq->entry);
    if (gated && !gate_admits(in, rq->entry, &why, &wait))
        return call_refuse_after(rq, why, wait);
    bool now = in->state == INSTANCE_READY && !in->queued && has_permit(in, rq->entry);
    if (!now && !has_place(in, rq->entry))
        return call_refuse_after(rq, REFUSED_QUEUE, 0);
    struct call *c = table_take(en);
    if (!c)
        return call_refuse_after(rq, REFUSED_CALLS, 0);
    call_init(c, rq, arrival);
    uint32_t generation = c->generation;
    if (!now || rq->kind == MF_RESOURCE)
        keep_input(c);
    if (c->input.failed) {
        table_give(en, c);
        return call_refuse_after(rq, REFUSED_MEMORY, 0);
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
        call_answer_refusal(c, c->due >= c->deadline ? REFUSED_TIMEOUT : REFUSED_QUEUE_WAIT, NULL);
        table_give(c->engine, c);
    } else if (state == SLOT_RUNNING) {
        call_answer_refusal(c, REFUSED_TIMEOUT, NULL);
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
        call_answer_refusal(c, REFUSED_TIMEOUT, text);
        orphan(c, CLIENT_TIMED_OUT);
    }
}

void call_cancel(struct call *c)
{
    call_count(c)->cancelled++;
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
