/* The life of a request: its turn, transfers one after the other, one end. */
#include "services/internal.h"

/* --- the end --- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct http_op *o = container_of((uv_timer_t *)(void *)handle, struct http_op, timer);
    if (o->why)
        op_fail(&o->op, o->status, "%s", o->why);
    else
        op_end(&o->op, o->status);
}

static void count_end(struct http_op *o, mf_status status)
{
    HTTP_COUNT(o, answers, o->code && (status == MF_OK || status == MF_ELIMIT));
    HTTP_COUNT(o, errors, status != MF_OK && status != MF_ECANCELED);
    HTTP_COUNT(o, denied, status == MF_EDENIED);
    HTTP_COUNT(o, timeouts, status == MF_ETIMEDOUT);
    HTTP_COUNT(o, limits, status == MF_ELIMIT);
}

/* libcurl has left the name server to answer to nobody. */
static void lose_name(struct http_op *o)
{
    struct http_instance *own = http_own(o);
    uint32_t oldest = 0;
    if (!o->naming)
        return;
    for (uint32_t i = 1; i < HTTP_NAMES_LOST; i++)
        oldest = own->name_lost[i] < own->name_lost[oldest] ? i : oldest;
    own->name_lost[oldest] = clock_ns() + HTTP_NAME_LOST_NS;
    o->naming = false;
}

void http_op_finish(struct http_op *o, mf_status status)
{
    if (o->step == HTTP_STEP_ENDED)
        return;
    if (o->transfer) {
        o->http->module->cancel(o->transfer);
        o->transfer = NULL;
        http_net_ended(&o->http->net[o->grant->private_ranges]);
        lose_name(o);
    }
    count_end(o, status);
    http_queue_leave(o);
    list_remove(&o->in_lane);
    o->step = HTTP_STEP_ENDED;
    o->status = status;
    uv_close((uv_handle_t *)&o->timer, on_timer_closed);
    http_queue_pump(o->http);
}

void http_op_fail(struct http_op *o, mf_status status, const char *fmt, ...)
{
    struct err e;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e.text, sizeof(e.text), fmt, ap);
    va_end(ap);
    if (o->step == HTTP_STEP_ENDED)
        return;
    o->why = strdup(e.text); /* without memory the status has to do */
    http_op_finish(o, status);
}

const char *http_op_shown(const struct http_op *o, char out[HTTP_SHOWN])
{
    const char *url = o->url.text ? o->url.text : o->rq.url;
    snprintf(out, HTTP_SHOWN, "%s %.160s%s", o->method, url, strlen(url) > 160 ? "..." : "");
    return out;
}

/* --- time --- */

static void on_time(uv_timer_t *timer);

void http_op_arm(struct http_op *o)
{
    uint64_t now = clock_ns(), at = o->deadline;
    if (o->step == HTTP_STEP_BACKOFF && o->again < at)
        at = o->again;
    uv_update_time(o->timer.loop);
    uv_timer_start(&o->timer, on_time, at > now ? (at - now + HTTP_MS - 1) / HTTP_MS : 0, 0);
}

static void on_time(uv_timer_t *timer)
{
    struct http_op *o = container_of(timer, struct http_op, timer);
    uint64_t now = clock_ns();
    char url[HTTP_SHOWN];
    if (now >= o->deadline)
        http_op_fail(o, MF_ETIMEDOUT, "%s: %s in time", http_op_shown(o, url),
                     o->head_came                   ? "the answer did not end"
                     : o->step == HTTP_STEP_WAITING ? "its turn did not come"
                                                    : "no answer came");
    else if (o->step == HTTP_STEP_BACKOFF && now >= o->again)
        http_op_go(o, true);
    else
        http_op_arm(o);
}

/* --- the beginning --- */

void http_op_go(struct http_op *o, bool front)
{
    char url[HTTP_SHOWN];
    uint64_t wait;
    if (!http_queue_enter(o, front)) {
        http_op_fail(o, MF_ENOMEM, "%s: out of memory", http_op_shown(o, url));
        return;
    }
    if (!http_peer_admits(o->lane->peer, clock_ns(), &wait)) {
        HTTP_COUNT(o, refused, 1);
        http_op_fail(o, MF_EIO,
                     "%s: not tried, since %u connections to that host in a row have failed; "
                     "again in %.1f s",
                     http_op_shown(o, url), o->lane->peer->failures, (double)wait / 1e9);
        return;
    }
    http_op_arm(o);
    http_queue_pump(o->http);
}

void http_op_loaded(struct http_op *o)
{
    char why[HTTP_WHY];
    const struct http_module *m = o->http->module;
    if (!m) {
        http_op_fail(o, MF_ENOTSUP, "this host can't make http requests: %s", o->http->why);
        return;
    }
    if (m->url_read(NULL, o->rq.url, &o->url, why) ||
        m->url_read(NULL, o->rq.url, &o->first, why)) {
        http_op_fail(o, MF_EINVAL, "%s: %.160s", why, o->rq.url);
        return;
    }
    if (http_op_take_right(o))
        http_op_go(o, false);
}

static uint64_t first_deadline(const struct http_op *o)
{
    uint64_t now = clock_ns();
    uint64_t most = o->rq.timeout ? o->rq.timeout : o->op.call ? UINT64_MAX / 2 : HTTP_TIMEOUT;
    uint64_t at = most < UINT64_MAX / 2 - now ? now + most : UINT64_MAX / 2;
    return at < o->op.deadline ? at : o->op.deadline;
}

static void http_start(struct op *op)
{
    struct http_op *o = http_op_of(op);
    struct http *h = o->http;
    uv_timer_init(h->loop, &o->timer);
    o->deadline = first_deadline(o);
    memcpy(o->method, o->rq.method, sizeof(o->method));
    HTTP_COUNT(o, requests, 1);
    if (!http_op_has_any_right(o))
        return;
    http_load(h);
    if (h->load != HTTP_LOADING) {
        http_op_loaded(o);
        return;
    }
    list_append(&h->loading, &o->in_lane);
    http_op_arm(o);
}

/* --- a transfer --- */

static struct http_transfer *start_transfer(struct http_op *o, struct http_net *n)
{
    struct http_lines l = {.inject = BUF_INIT(HTTP_HEADER_BYTES)};
    struct http_transfer *t = NULL;
    if (http_lines_make(o, &l)) {
        const struct http_transfer_spec spec = {
            .url = &o->url,
            .method = o->method,
            .line = l.line,
            .body = o->rq.body,
            .body_len = o->bodyless ? 0 : o->rq.body_len,
            .resend = (o->rq.flags & MF_HTTP_RETRY) || strcmp(o->method, "GET") == 0 ||
                      strcmp(o->method, "HEAD") == 0 || strcmp(o->method, "OPTIONS") == 0,
            .alone = o->stream,
        };
        t = o->http->module->start(n->pool, &spec, o);
    }
    http_lines_release(&l);
    return t;
}

/* Threads that wait for name servers are libcurl's, so they are counted here. */
static bool may_name(struct http_op *o)
{
    const struct http_instance *own = http_own(o);
    uint64_t now = clock_ns();
    for (uint32_t i = 0; i < HTTP_NAMES_LOST; i++) {
        if (own->name_lost[i] <= now)
            return true;
    }
    return false;
}

void http_op_begin(struct http_op *o)
{
    struct http_peer *p = o->lane->peer;
    char url[HTTP_SHOWN];
    uint64_t wait;
    if (!may_name(o)) {
        http_op_fail(o, MF_EIO, "%s: %d names that this plugin has asked for got no answer",
                     http_op_shown(o, url), HTTP_NAMES_LOST);
        return;
    }
    if (!http_peer_admits(p, clock_ns(), &wait)) {
        HTTP_COUNT(o, refused, 1);
        http_op_fail(o, MF_EIO, "%s: connections to that host have just failed",
                     http_op_shown(o, url));
        return;
    }
    if (p->failures >= HTTP_FAILURES)
        p->trial = o->trial = true;
    p->retry_tokens += p->retry_tokens < HTTP_RETRY_TOKENS;
    o->tries++;
    o->dialled[0] = 0;
    o->dialled_any = o->head_came = false;
    struct http_net *n = http_net_get(o->http, o->grant->private_ranges);
    o->transfer = n ? start_transfer(o, n) : NULL;
    if (!o->transfer) {
        http_op_fail(o, MF_ENOMEM, "%s: out of memory", http_op_shown(o, url));
        return;
    }
    http_net_began(n);
    HTTP_COUNT(o, sent, o->bodyless ? 0 : o->rq.body_len);
}

/* --- as an operation --- */

static void http_abort(struct op *op)
{
    http_op_finish(http_op_of(op), MF_ECANCELED);
}

static void http_deliver(struct op *op)
{
    struct http_op *o = http_op_of(op);
    mf_http_answer a;
    http_op_fill_answer(o, &a);
    if (o->end)
        o->end(o->arg, &a);
}

static void http_release(struct op *op)
{
    struct http_op *o = http_op_of(op);
    if (o->url.handle)
        o->http->module->url_free(&o->url);
    if (o->first.handle)
        o->http->module->url_free(&o->first);
    if (o->leads_to.handle)
        o->http->module->url_free(&o->leads_to);
    http_request_release(op->instance, &o->rq);
    buf_release(&o->text);
    buf_release(&o->body);
    free(o->header);
    free(o->location);
    free(o->why);
    free(o);
}

const struct op_kind http_request_kind = {"http.request", http_start, http_abort, http_deliver,
                                          http_release};
const struct op_kind http_stream_kind = {"http.stream", http_start, http_abort, http_deliver,
                                         http_release};
