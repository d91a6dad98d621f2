/* How a call ends: what its client is told, and what comes back with the plugin's last word. */
#include "engine/internal.h"

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

void call_answer_refusal(struct call *c, enum refusal_reason reason, const char *text)
{
    struct refusal r;
    refusal_fill(&r, reason, c->instance, c->spec, 0);
    if (text)
        snprintf(r.text, sizeof(r.text), "%s", text);
    count_refusal(call_count(c), reason);
    answer(c, &(struct outcome){.end = CALL_REFUSED, .refusal = &r});
}

struct call *call_refuse_after(const struct call_request *rq, enum refusal_reason reason,
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

void call_refuse(const struct call_request *rq, enum refusal_reason reason)
{
    rq->instance->engine->now = clock_ns();
    call_refuse_after(rq, reason, 0);
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
    call_answer_refusal(c, REFUSED_FAULT, NULL);
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
        call_count(c)->errors++;
        o.end = CALL_BAD_PARAMS;
        o.message = detail;
        answer(c, &o);
        return;
    case MF_NOT_FOUND:
        call_count(c)->errors++;
        o.end = CALL_NOT_FOUND;
        answer(c, &o);
        return;
    case MF_NEED_INPUT:
        fault(c, "finished with MF_NEED_INPUT, which this build can't pass on to a client");
        return;
    case MF_FAULT:
        if (r->over || r->no_memory) { /* it gave up because its result was not taken */
            call_answer_refusal(c, r->over ? REFUSED_RESULT : REFUSED_MEMORY, NULL);
            return;
        }
        log_line(LOG_ERROR, c->instance->name, "%.*s failed: %.*s", STR_FMT(c->spec->name),
                 STR_FMT(detail));
        call_answer_refusal(c, REFUSED_FAULT, NULL);
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
        call_answer_refusal(c, memory ? REFUSED_MEMORY : REFUSED_RESULT, NULL);
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
        call_count(c)->errors++;
    o.end = error ? CALL_TOOL_ERROR : CALL_DONE;
    o.items = buf_view(&r->items);
    if (r->structured.len && !r->structured_bad)
        o.structured = buf_view(&r->structured);
    answer(c, &o);
}

void call_give_back(struct call *c)
{
    struct instance *in = c->instance;
    deadline_clear(c->engine, c);
    in->running--;
    call_entry(c)->running--;
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
        call_count(c)->late++;
    else
        answer_result(c);
    if (!c->blocking || c->thread_done)
        call_give_back(c);
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
        call_give_back(c);
}

void call_posts_init(struct call *c)
{
    c->ended.run = on_ended;
    c->returned.run = on_returned;
}
