/* The life of a request: its right, its turn, transfers one after the other, one end. */
#include "services/internal.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <sys/random.h>
#include "services/address.h"

static struct http_op *http_op_of(struct op *op)
{
    return container_of(op, struct http_op, op);
}

static struct http_instance *own_of(struct http_op *o)
{
    return &o->op.instance->services->http;
}

/* Host, instance, and peer where it is known. */
#define COUNT(o, field, n)                       \
    do {                                         \
        (o)->http->count.field += (n);           \
        own_of(o)->count.field += (n);           \
        if ((o)->lane)                           \
            (o)->lane->peer->count.field += (n); \
    } while (0)

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
    COUNT(o, answers, o->code && (status == MF_OK || status == MF_ELIMIT));
    COUNT(o, errors, status != MF_OK && status != MF_ECANCELED);
    COUNT(o, denied, status == MF_EDENIED);
    COUNT(o, timeouts, status == MF_ETIMEDOUT);
    COUNT(o, limits, status == MF_ELIMIT);
}

/* libcurl has left the name server to answer to nobody. */
static void lose_name(struct http_op *o)
{
    struct http_instance *own = own_of(o);
    uint32_t oldest = 0;
    if (!o->naming)
        return;
    for (uint32_t i = 1; i < HTTP_NAMES_LOST; i++)
        oldest = own->name_lost[i] < own->name_lost[oldest] ? i : oldest;
    own->name_lost[oldest] = clock_ns() + HTTP_NAME_LOST_NS;
    o->naming = false;
}

static void finish(struct http_op *o, mf_status status)
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
    finish(o, status);
}

/* "GET http://a.example/x", not too long for a sentence. */
static const char *shown(const struct http_op *o, char out[200])
{
    const char *url = o->url.text ? o->url.text : o->rq.url;
    snprintf(out, 200, "%s %.160s%s", o->method, url, strlen(url) > 160 ? "..." : "");
    return out;
}

/* --- rights --- */

static const struct grants *grants_of(const struct http_op *o)
{
    return &o->op.instance->manifest->grants;
}

static struct str plugin_of(const struct http_op *o)
{
    return o->op.instance->manifest->name;
}

/* The right that is told of where none was named: the first that is asked for. */
static struct str some_right(const struct http_op *o)
{
    const struct grants *g = grants_of(o);
    if (o->rq.grant[0])
        return str_of(o->rq.grant);
    for (uint32_t i = 0; i < g->ask_count; i++) {
        if (g->ask[i].kind == GRANT_HTTP)
            return g->ask[i].name;
    }
    return STR("NAME");
}

/* True: it has some right, perhaps not this one. */
static bool has_any_right(struct http_op *o)
{
    const struct grants *g = grants_of(o);
    struct err e;
    if (o->rq.grant[0] ? grants_http(g, str_of(o->rq.grant)) != NULL : g->http_count > 0)
        return true;
    grants_denied(g, plugin_of(o), GRANT_HTTP, some_right(o), &e);
    http_op_fail(o, MF_EDENIED, "%s", e.text);
    return false;
}

/* Of several rights the one that covers the host says best what is missing. */
static const struct http_grant *nearest(const struct http_op *o)
{
    const struct grants *g = grants_of(o);
    for (uint32_t i = 0; i < g->http_count; i++) {
        if (host_pattern_covers(g->http[i].host, str_of(o->url.host)))
            return &g->http[i];
    }
    return &g->http[0];
}

static const struct http_grant *find_right(struct http_op *o, struct err *e)
{
    struct str host = str_of(o->url.host), method = str_of(o->method);
    const struct http_grant *h = o->rq.grant[0] ? grants_http(grants_of(o), str_of(o->rq.grant))
                                                : grants_http_for(grants_of(o), host, o->url.port,
                                                                  o->url.default_port, method);
    if (!h)
        h = nearest(o);
    return http_grant_check(h, plugin_of(o), host, o->url.port, o->url.default_port, method, e)
               ? NULL
               : h;
}

/* False: it has ended. */
static bool take_right(struct http_op *o)
{
    struct err e;
    char url[200];
    const struct http_grant *h = find_right(o, &e);
    if (!h) {
        if (o->redirects)
            err_prefix(&e, "redirected to %s", shown(o, url));
        http_op_fail(o, MF_EDENIED, "%s", e.text);
        return false;
    }
    o->grant = h;
    uint64_t most = clock_ns() + h->timeout;
    if (!o->redirects && most < o->deadline)
        o->deadline = most;
    o->body_max = o->rq.body_max && o->rq.body_max < h->response ? o->rq.body_max : h->response;
    o->body.max = o->body_max;
    return true;
}

/* --- time --- */

static void on_time(uv_timer_t *timer);

static void arm(struct http_op *o)
{
    uint64_t now = clock_ns(), at = o->deadline;
    if (o->step == HTTP_STEP_BACKOFF && o->again < at)
        at = o->again;
    uv_update_time(o->timer.loop);
    uv_timer_start(&o->timer, on_time, at > now ? (at - now + HTTP_MS - 1) / HTTP_MS : 0, 0);
}

static void go(struct http_op *o, bool front);

static void on_time(uv_timer_t *timer)
{
    struct http_op *o = container_of(timer, struct http_op, timer);
    uint64_t now = clock_ns();
    char url[200];
    if (now >= o->deadline)
        http_op_fail(o, MF_ETIMEDOUT, "%s: %s in time", shown(o, url),
                     o->head_came                   ? "the answer did not end"
                     : o->step == HTTP_STEP_WAITING ? "its turn did not come"
                                                    : "no answer came");
    else if (o->step == HTTP_STEP_BACKOFF && now >= o->again)
        go(o, true);
    else
        arm(o);
}

/* --- the beginning --- */

/* Queues it. */
static void go(struct http_op *o, bool front)
{
    char url[200];
    uint64_t wait;
    if (!http_queue_enter(o, front)) {
        http_op_fail(o, MF_ENOMEM, "%s: out of memory", shown(o, url));
        return;
    }
    if (!http_peer_admits(o->lane->peer, clock_ns(), &wait)) {
        COUNT(o, refused, 1);
        http_op_fail(o, MF_EIO,
                     "%s: not tried, since %u connections to that host in a row have failed; "
                     "again in %.1f s",
                     shown(o, url), o->lane->peer->failures, (double)wait / 1e9);
        return;
    }
    arm(o);
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
    if (take_right(o))
        go(o, false);
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
    COUNT(o, requests, 1);
    if (!has_any_right(o))
        return;
    http_load(h);
    if (h->load != HTTP_LOADING) {
        http_op_loaded(o);
        return;
    }
    list_append(&h->loading, &o->in_lane);
    arm(o);
}

/* --- a transfer --- */

enum { LINES = HTTP_HEADERS_MAX + 8 };

struct lines {
    const char *line[LINES + 1];
    unsigned count;
    struct buf inject; /* "Name: secret" */
    struct trace trace;
    char parent[80], state[TRACE_STATE_MAX + 20];
};

static bool is_same_origin(const struct http_url *a, const struct http_url *b)
{
    return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* What the plugin wrote for one host may be meant for no other. */
static bool may_stray(const char *line)
{
    static const char *const names[] = {"accept", "accept-language", "content-type", "user-agent"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (http_line_is(line, names[i]))
            return true;
    }
    return false;
}

static void add_own(struct http_op *o, struct lines *l)
{
    bool agent = false, type = false, injects = o->grant->inject && !o->strayed;
    char name[128] = "";
    if (injects)
        snprintf(name, sizeof(name), "%.*s", STR_FMT(o->grant->inject_header));
    for (size_t i = 0; o->rq.line[i]; i++) {
        const char *line = o->rq.line[i];
        if ((o->strayed && !may_stray(line)) || (injects && http_line_is(line, name)) ||
            (o->bodyless && http_line_is(line, "content-type")))
            continue;
        agent |= http_line_is(line, "user-agent");
        type |= http_line_is(line, "content-type");
        l->line[l->count++] = line;
    }
    if (!agent)
        l->line[l->count++] = "User-Agent: manifold/" MANIFOLD_VERSION;
    if (!type)
        l->line[l->count++] = "Content-Type:"; /* libcurl would make one up */
}

/* Fills the lines; they live until the transfer has been started. */
static bool make_lines(struct http_op *o, struct lines *l)
{
    const struct http_grant *g = o->grant;
    add_own(o, l);
    l->line[l->count++] = "Accept-Encoding: gzip, deflate, br, zstd";
    l->line[l->count++] = "Expect:";
    if (g->inject && !o->strayed) {
        buf_str(&l->inject, g->inject_header);
        buf_lit(&l->inject, ": ");
        buf_str(&l->inject, secret_value(g->inject));
        l->line[l->count] = buf_cstr(&l->inject);
        if (!l->line[l->count++])
            return false;
    }
    if (op_trace(&o->op, &l->trace)) {
        snprintf(l->parent, sizeof(l->parent), "traceparent: %s", l->trace.parent);
        snprintf(l->state, sizeof(l->state), "tracestate: %s", l->trace.state);
        l->line[l->count++] = l->parent;
        if (l->trace.state[0])
            l->line[l->count++] = l->state;
    }
    l->line[l->count] = NULL;
    return true;
}

static struct http_transfer *start_transfer(struct http_op *o, struct http_net *n)
{
    struct lines l = {.inject = BUF_INIT(HTTP_HEADER_BYTES)};
    struct http_transfer *t = NULL;
    if (make_lines(o, &l)) {
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
    if (l.inject.data)
        explicit_bzero(l.inject.data, l.inject.len);
    buf_release(&l.inject);
    return t;
}

/* Threads that wait for name servers are libcurl's, so they are counted here. */
static bool may_name(struct http_op *o)
{
    const struct http_instance *own = own_of(o);
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
    char url[200];
    uint64_t wait;
    if (!may_name(o)) {
        http_op_fail(o, MF_EIO, "%s: %d names that this plugin has asked for got no answer",
                     shown(o, url), HTTP_NAMES_LOST);
        return;
    }
    if (!http_peer_admits(p, clock_ns(), &wait)) {
        COUNT(o, refused, 1);
        http_op_fail(o, MF_EIO, "%s: connections to that host have just failed", shown(o, url));
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
        http_op_fail(o, MF_ENOMEM, "%s: out of memory", shown(o, url));
        return;
    }
    http_net_began(n);
    COUNT(o, sent, o->bodyless ? 0 : o->rq.body_len);
}

/* --- what the module tells: inside libcurl --- */

static void module_naming(void *user, bool busy)
{
    struct http_op *o = user;
    o->naming = busy;
}

static void keep_address(struct http_op *o, const struct sockaddr *sa)
{
    const void *a = sa->sa_family == AF_INET6
                        ? (const void *)&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr
                        : (const void *)&((const struct sockaddr_in *)(const void *)sa)->sin_addr;
    if (!inet_ntop(sa->sa_family, a, o->dialled, sizeof(o->dialled)))
        snprintf(o->dialled, sizeof(o->dialled), "family %d", sa->sa_family);
}

static bool module_may_dial(void *user, const struct sockaddr *sa, size_t len)
{
    struct http_op *o = user;
    const char *kind;
    enum address_class is = address_classify(sa, len, &kind);
    if (is == ADDRESS_PRIVATE && (o->grant->private_ranges || protection_off("private")))
        is = ADDRESS_PUBLIC;
    if (is == ADDRESS_PUBLIC) {
        o->dialled_any = true;
        COUNT(o, connections, 1);
        return true;
    }
    keep_address(o, sa);
    o->dialled_kind = kind;
    return false;
}

/* --- what it tells outside of libcurl --- */

static bool is_redirect(uint32_t code)
{
    return code == 301 || code == 302 || code == 303 || code == 307 || code == 308;
}

static bool keep_headers(struct http_op *o, const mf_header *header, size_t count)
{
    buf_clear(&o->text, SIZE_MAX);
    o->text.max = HTTP_ANSWER_HEADER_BYTES;
    free(o->header);
    o->headers = 0;
    o->header = calloc(count + 1, sizeof(*o->header));
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += header[i].name.len + header[i].value.len;
    if (!o->header || buf_reserve(&o->text, total))
        return false;
    for (size_t i = 0; i < count; i++) {
        const mf_header *h = &header[i];
        o->header[i].name = (mf_bytes){o->text.data + o->text.len, h->name.len};
        buf_append(&o->text, h->name.data, h->name.len);
        o->header[i].value = (mf_bytes){o->text.data + o->text.len, h->value.len};
        buf_append(&o->text, h->value.data, h->value.len);
    }
    o->headers = (uint32_t)count;
    return true;
}

static char *find_location(const struct http_op *o)
{
    for (uint32_t i = 0; i < o->headers; i++) {
        const mf_header *h = &o->header[i];
        if (h->name.len == 8 && memcmp(h->name.data, "location", 8) == 0 && h->value.len)
            return strndup(h->value.data, h->value.len);
    }
    return NULL;
}

static void fill_answer(struct http_op *o, mf_http_answer *a)
{
    bool any = o->code && (o->op.status == MF_OK || o->op.status == MF_ELIMIT);
    *a = (mf_http_answer){.redirects = o->redirects};
    op_end_fill(&o->op, &a->end, sizeof(*a));
    if (o->url.text)
        a->url = (mf_bytes){o->url.text, strlen(o->url.text)};
    if (any) {
        a->code = o->code;
        a->headers = o->header;
        a->header_count = o->headers;
        a->body = (mf_bytes){o->body.data, o->body.len};
    }
}

static enum http_go module_head(void *user, uint32_t code, const mf_header *header, size_t count)
{
    struct http_op *o = user;
    char url[200];
    o->head_came = true;
    http_peer_told(o, true);
    o->code = code;
    if (!keep_headers(o, header, count)) {
        http_op_fail(o, MF_ENOMEM, "%s: out of memory", shown(o, url));
        return HTTP_STOP;
    }
    if (is_redirect(code) && !(o->rq.flags & MF_HTTP_NO_REDIRECT))
        o->location = find_location(o);
    if (o->stream && !o->location) {
        mf_http_answer a;
        fill_answer(o, &a);
        op_enter(&o->op);
        o->head(o->arg, &a);
        op_leave(&o->op);
    }
    return HTTP_MORE;
}

static enum http_go give_chunk(struct http_op *o, const char *data, size_t len)
{
    op_enter(&o->op);
    bool more = o->chunk(o->arg, o->op.id, (mf_bytes){data, len}) != 0;
    op_leave(&o->op);
    o->paused = !more;
    return more ? HTTP_MORE : HTTP_PAUSE;
}

static enum http_go module_body(void *user, const char *data, size_t len)
{
    struct http_op *o = user;
    char url[200];
    uint64_t room = o->body_max - o->received;
    if (o->location) { /* only so that the connection can be used again */
        o->received += len < room ? len : room;
        return o->received > HTTP_REDIRECT_BODY || len > room ? HTTP_STOP : HTTP_MORE;
    }
    size_t fits = len < room ? len : (size_t)room;
    COUNT(o, received, fits);
    o->received += fits;
    enum http_go go_on = HTTP_MORE;
    if (!o->stream && buf_append(&o->body, data, fits)) {
        http_op_fail(o, MF_ENOMEM, "%s: out of memory for the answer", shown(o, url));
        return HTTP_STOP;
    }
    if (o->stream && fits)
        go_on = give_chunk(o, data, fits);
    if (fits < len && o->step != HTTP_STEP_ENDED) {
        http_op_fail(o, MF_ELIMIT, "%s: the answer is longer than %llu bytes", shown(o, url),
                     (unsigned long long)o->body_max);
        return HTTP_STOP;
    }
    return go_on;
}

void http_op_resume(struct op *op)
{
    struct http_op *o = http_op_of(op);
    if (!o->paused || !o->transfer)
        return;
    o->paused = false;
    o->http->module->resume(o->transfer);
}

/* --- redirects --- */

/* RFC 9110 15.4, as browsers do it. */
static void change_method(struct http_op *o)
{
    bool head = strcmp(o->method, "HEAD") == 0, post = strcmp(o->method, "POST") == 0;
    if ((o->code == 303 && !head) || ((o->code == 301 || o->code == 302) && post)) {
        snprintf(o->method, sizeof(o->method), "GET");
        o->bodyless = true;
    }
}

static void follow(struct http_op *o)
{
    struct http_url next;
    char why[HTTP_WHY], url[200];
    if (o->redirects >= o->grant->redirects) {
        http_op_fail(o, MF_ELIMIT, "%s: redirected to %.160s: more than %u redirects",
                     shown(o, url), o->location, o->grant->redirects);
        return;
    }
    if (o->http->module->url_read(&o->url, o->location, &next, why)) {
        http_op_fail(o, MF_EIO, "%s: redirected: %s: %.160s", shown(o, url), why, o->location);
        return;
    }
    change_method(o);
    o->redirects++;
    COUNT(o, redirects, 1);
    o->strayed |= !is_same_origin(&next, &o->first);
    o->http->module->url_free(&o->url);
    o->url = next;
    free(o->location);
    o->location = NULL;
    o->code = 0;
    o->received = 0;
    o->tries = 0;
    if (take_right(o))
        go(o, true);
}

/* --- how a transfer ends --- */

static bool is_failure_to_connect(enum http_result r)
{
    return r == HTTP_NO_NAME || r == HTTP_NO_CONNECT || r == HTTP_CONNECT_LATE || r == HTTP_NO_TLS;
}

/* True: it will be tried again. */
static bool retry(struct http_op *o, enum http_result r)
{
    bool again = r == HTTP_NO_NAME || r == HTTP_NO_CONNECT || r == HTTP_CONNECT_LATE ||
                 (r == HTTP_BROKEN && !o->head_came);
    if (!again || !(o->rq.flags & MF_HTTP_RETRY) || o->tries >= HTTP_TRIES ||
        !http_peer_retries(o->lane->peer))
        return false;
    uint64_t most = HTTP_BACKOFF << (o->tries - 1), jitter = 0;
    if (getrandom(&jitter, sizeof(jitter), GRND_NONBLOCK) < 0)
        jitter = clock_ns();
    COUNT(o, retries, 1);
    http_queue_leave(o);
    o->step = HTTP_STEP_BACKOFF;
    o->again = clock_ns() + jitter % most;
    arm(o);
    return true;
}

static void refuse_address(struct http_op *o)
{
    struct str plugin = plugin_of(o), right = o->grant->name;
    http_op_fail(
        o, MF_EDENIED,
        "plugin %.*s may not connect to %s (%s) for http \"%.*s\": what is not public needs "
        "plugins: {%.*s: {grants: {http: {%.*s: {host: %.100s, private: true}}}}} in the "
        "host config",
        STR_FMT(plugin), o->dialled, o->dialled_kind, STR_FMT(right), STR_FMT(plugin),
        STR_FMT(right), o->url.host);
}

static void module_end(void *user, enum http_result r, const char *why)
{
    struct http_op *o = user;
    char url[200];
    bool denied = r == HTTP_NO_CONNECT && o->dialled[0] && !o->dialled_any;
    o->transfer = NULL;
    o->naming = false;
    http_net_ended(&o->http->net[o->grant->private_ranges]);
    if (is_failure_to_connect(r) && !denied)
        http_peer_told(o, false);
    if (denied) {
        refuse_address(o);
    } else if ((r == HTTP_COMPLETE || r == HTTP_STOPPED) && o->location) {
        http_queue_leave(o);
        follow(o);
    } else if (r == HTTP_COMPLETE) {
        finish(o, MF_OK);
    } else if (r == HTTP_HEADERS) {
        http_op_fail(o, MF_ELIMIT, "%s: %s", shown(o, url), why);
    } else if (r == HTTP_NO_MEMORY) {
        http_op_fail(o, MF_ENOMEM, "%s: %s", shown(o, url), why);
    } else if (!retry(o, r)) {
        http_op_fail(o, MF_EIO, "%s: %.250s", shown(o, url), why);
    }
    http_queue_pump(o->http);
}

const struct http_module_host http_module_host = {
    .size = sizeof(struct http_module_host),
    .version = MANIFOLD_VERSION,
    .timer = http_net_timer,
    .watch = http_net_watch,
    .may_dial = module_may_dial,
    .naming = module_naming,
    .head = module_head,
    .body = module_body,
    .end = module_end,
};

/* --- as an operation --- */

static void http_abort(struct op *op)
{
    finish(http_op_of(op), MF_ECANCELED);
}

static void http_deliver(struct op *op)
{
    struct http_op *o = http_op_of(op);
    mf_http_answer a;
    fill_answer(o, &a);
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
