/* Requests that a plugin works on: made from a pool, known by their id while they are pending. */
#include "mcp/internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum { POOL_MAX = 256, KEEP = 4096 };

/* NULL: no memory. */
static struct request *request_take(struct session *s)
{
    struct list *it = list_pop(&s->pool);
    if (it) {
        s->pooled--;
        return container_of(it, struct request, link);
    }
    struct request *r = calloc(1, sizeof(*r));
    if (r)
        r->session = s;
    return r;
}

static void request_give(struct request *r)
{
    struct session *s = r->session;
    if (s->pooled >= POOL_MAX) {
        buf_release(&r->keep);
        free(r);
        return;
    }
    buf_clear(&r->keep, KEEP);
    s->pooled++;
    list_append(&s->pool, &r->link);
}

/* Its end has come: the pool gets it, and perhaps nobody is left in flight.  The session may be
 * gone afterwards. */
static void request_end(struct request *r, bool send)
{
    struct session *s = r->session;
    struct batch *batch = r->batch;
    bool pending = ticket_waits(r->ticket);
    if (pending) {
        map_remove(&s->in_flight, &r->node);
        list_remove(&r->link);
        s->calls--;
        if (batch)
            batch_drop(batch, send);
    }
    request_give(r);
    if (!pending || s->calls)
        return;
    s->idle_due = true;
    if (!s->entered)
        session_leave(s);
}

void request_cancel(struct request *r, bool listening)
{
    results_cancel(r->ticket);
    request_end(r, listening);
}

/* --- what the engine tells --- */

static void on_done(void *user, const struct outcome *o)
{
    struct request *r = user;
    r->finish(r, o);
    request_end(r, true);
}

static struct buf *notification_begin(struct request *r, struct str method)
{
    struct buf *b = r->notify->begin(r->notify);
    buf_lit(b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/");
    buf_str(b, method);
    buf_lit(b, "\",\"params\":{");
    return b;
}

static void on_progress(void *user, double done, double total, struct str text)
{
    struct request *r = user;
    if (r->notify->congested(r->notify))
        return;
    struct buf *b = notification_begin(r, STR("progress"));
    buf_lit(b, "\"progressToken\":");
    buf_str(b, r->token);
    buf_lit(b, ",\"progress\":");
    json_write_double(b, done);
    if (total > 0) {
        buf_lit(b, ",\"total\":");
        json_write_double(b, total);
    }
    if (text.n && r->answer.revision >= R_2025_03_26) {
        buf_lit(b, ",\"message\":");
        json_write_string(b, text);
    }
    buf_lit(b, "}}");
    r->notify->end(r->notify);
}

static void on_log(void *user, int level, struct str logger, struct str text)
{
    struct request *r = user;
    if (r->notify->congested(r->notify))
        return;
    struct buf *b = notification_begin(r, STR("message"));
    buf_lit(b, "\"level\":\"");
    buf_str(b, log_level_name(level));
    buf_lit(b, "\",\"logger\":");
    json_write_string(b, logger);
    buf_lit(b, ",\"data\":");
    json_write_string(b, text);
    buf_lit(b, "}}");
    r->notify->end(r->notify);
}

static const struct call_sink sink = {.done = on_done, .progress = on_progress, .log = on_log};

/* --- starting --- */

static bool token_usable(const struct json_doc *d, json_ref n)
{
    return n && d->node[n].len <= ID_MAX &&
           (json_is(d, n, JSON_STRING) ||
            (json_is(d, n, JSON_NUMBER) && (d->node[n].flags & JSON_INTEGER)));
}

/* One buffer for all that has to outlive the message; it does not move once it is filled. */
static bool keep_slices(struct request *r, struct str id, struct str token, struct str uri)
{
    r->keep.max = id.n + token.n + uri.n;
    r->keep.len = 0;
    if (buf_reserve(&r->keep, r->keep.max))
        return false;
    buf_str(&r->keep, id);
    buf_str(&r->keep, token);
    buf_str(&r->keep, uri);
    r->answer.id = (struct str){r->keep.data, id.n};
    r->token = (struct str){r->keep.data + id.n, token.n};
    r->uri = (struct str){r->keep.data + id.n + token.n, uri.n};
    return true;
}

static void refuse_for_memory(const struct message *m)
{
    reply_error(&m->answer, ERROR_INTERNAL, STR_NONE, "the host is out of memory for this call");
}

bool call_answer_kept(struct session *s, const struct message *m, const struct entry *en,
                      struct call_request *rq, finish_fn *finish)
{
    struct results_hit hit;
    json_ref args = rq->kind == MF_TOOL ? m->param[PARAM_ARGUMENTS] : 0;
    rq->instance = en->instance;
    rq->entry = en->index;
    if (!results_find(s->host->services, rq, &s->doc, args, &hit))
        return false;
    struct request r = {.session = s, .answer = m->answer, .spec = en->spec, .uri = rq->uri};
    finish(&r, &hit.outcome);
    results_release(&hit);
    return true;
}

void call_begin(struct session *s, const struct message *m, const struct entry *en,
                struct call_request *rq, finish_fn *finish)
{
    const struct json_doc *d = &s->doc;
    struct request *r = request_take(s);
    if (!r) {
        refuse_for_memory(m);
        return;
    }
    json_ref token = m->meta[META_PROGRESS_TOKEN], meta = m->param[PARAM_META];
    rq->progress = token_usable(d, token);
    r->answer = m->answer;
    r->notify = m->out;
    r->batch = m->batch;
    r->ticket = (struct ticket){0};
    r->spec = en->spec;
    r->finish = finish;
    if (!keep_slices(r, m->answer.id, rq->progress ? json_raw(d, token) : STR_NONE, rq->uri)) {
        request_give(r);
        refuse_for_memory(m);
        return;
    }
    rq->instance = en->instance;
    rq->entry = en->index;
    rq->meta = meta ? json_raw(d, meta) : STR_NONE;
    rq->sink = &sink;
    rq->user = r;
    rq->log_level = m->log_level;
    struct ticket t = results_start(s->host->services, rq);
    if (!ticket_waits(t))
        return;
    r->ticket = t;
    map_add(&s->in_flight, &r->node, r->answer.id);
    list_append(&s->pending, &r->link);
    s->calls++;
    if (r->batch)
        batch_hold(r->batch);
}

/* --- ends that all methods share --- */

bool finish_failed(const struct request *r, const struct outcome *o)
{
    switch (o->end) {
    case CALL_BAD_PARAMS:
        reply_error(&r->answer, ERROR_PARAMS, STR_NONE, "%.*s", STR_FMT(o->message));
        return true;
    case CALL_NOT_FOUND:
        if (r->uri.n)
            reply_not_found(&r->answer, r->uri);
        else
            reply_error(&r->answer, ERROR_PARAMS, STR_NONE,
                        "the plugin found nothing of that name");
        return true;
    case CALL_REFUSED:
        reply_refusal(&r->answer, o->refusal);
        return true;
    case CALL_DONE:
    case CALL_TOOL_ERROR:
        break;
    }
    return false;
}
