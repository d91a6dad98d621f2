/* mock_http.c - "manifold.http/1" by script; see manifold/mock_http.h. */
#include "mock_internal.h"

#include <manifold/mock_http.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { REDIRECTS = 5, PIECE = 4096, BODY_MAX = 2 << 20 };

struct line { /* of the script */
    mf_mock_http is;
    char *method, *url, *body, *why;
    struct header {
        char *text; /* "name\0value" */
        mf_header header;
    } * headers;
    size_t header_count;
    uint32_t served;
    struct line *older;
};

struct mock_http {
    struct line *script; /* under the lock, as all here */
    mf_mock_http_seen *seen;
    size_t seen_count;
};

struct request {
    struct mock_op op;       /* first */
    mf_mock_http_seen *seen; /* owned copy of what was asked; moved to the list by start() */
    bool stream, paused;
    mf_http_cb head, end;
    int32_t (*chunk)(void *arg, mf_op op, mf_bytes bytes);
    void *arg;
    const struct line *line; /* that answers; NULL: none */
    char *url, *method;      /* of now */
    uint32_t redirects, flags;
    uint64_t until; /* of its timeout; UINT64_MAX: none */
    size_t given, body_max;
    char *location;
    bool head_told, over;
};

static struct request *request_of(struct mock_op *op)
{
    return (struct request *)op;
}

static struct mock_http *http_of(mf_mock *m)
{
    if (m->http == NULL)
        m->http = mock_checked(calloc(1, sizeof(*m->http)));
    return m->http;
}

static mf_bytes bytes_of(const char *z)
{
    return (mf_bytes){z, z != NULL ? strlen(z) : 0};
}

static char *copy_string(const char *z)
{
    return z != NULL ? mock_copy(bytes_of(z)) : NULL;
}

/* ---- the script ----------------------------------------------------------- */

static void add_header(struct line *l, const char *from, size_t len)
{
    const char *colon = memchr(from, ':', len);
    size_t name = colon != NULL ? (size_t)(colon - from) : len;
    if (name == 0)
        return;
    l->headers = mock_grow(l->headers, l->header_count, sizeof(*l->headers));
    struct header *h = &l->headers[l->header_count++];
    h->text = mock_copy((mf_bytes){from, len});
    for (size_t i = 0; i < name; i++)
        h->text[i] = (char)(h->text[i] >= 'A' && h->text[i] <= 'Z' ? h->text[i] + 32 : h->text[i]);
    size_t value = name < len ? name + 1 : len;
    while (value < len && h->text[value] == ' ')
        value++;
    h->header.name = (mf_bytes){h->text, name};
    h->header.value = (mf_bytes){h->text + value, len - value};
}

void mf_mock_http_script(mf_mock *m, const mf_mock_http *from)
{
    struct line *l = mock_checked(calloc(1, sizeof(*l)));
    l->is = *from;
    l->method = copy_string(from->method);
    l->url = copy_string(from->url);
    l->why = copy_string(from->why);
    if (from->body != NULL && from->body_len == 0)
        l->is.body_len = strlen(from->body);
    l->body = mock_copy((mf_bytes){from->body, l->is.body_len});
    for (const char *p = from->headers; p != NULL && *p != 0;) {
        size_t n = strcspn(p, "\r\n");
        add_header(l, p, n);
        p += n + strspn(p + n, "\r\n");
    }
    pthread_mutex_lock(&m->lock);
    l->older = http_of(m)->script;
    m->http->script = l;
    pthread_mutex_unlock(&m->lock);
}

void mf_mock_http_answer(mf_mock *m, const char *method, const char *url, uint32_t code,
                         const char *headers, const char *body)
{
    const mf_mock_http l = {
        .method = method, .url = url, .code = code, .headers = headers, .body = body};
    mf_mock_http_script(m, &l);
}

/* Under the lock. */
static const struct line *find_line(mf_mock *m, const struct request *r)
{
    struct line *l = http_of(m)->script;
    while (l != NULL && ((l->method != NULL && strcmp(l->method, r->method) != 0) ||
                         (l->url != NULL && strcmp(l->url, r->url) != 0) ||
                         (l->is.times != 0 && l->served >= l->is.times)))
        l = l->older;
    if (l != NULL)
        l->served++;
    return l;
}

/* ---- what was asked ------------------------------------------------------- */

static mf_bytes keep(mf_bytes b)
{
    return (mf_bytes){mock_copy(b), b.len};
}

static mf_mock_http_seen *see(mf_call call, const mf_http_request *rq)
{
    mf_mock_http_seen *s = mock_checked(calloc(1, sizeof(*s)));
    mf_header *headers = mock_checked(calloc(rq->header_count + 1, sizeof(*headers)));
    for (size_t i = 0; i < rq->header_count; i++) {
        headers[i].name = keep(rq->headers[i].name);
        headers[i].value = keep(rq->headers[i].value);
    }
    *s = (mf_mock_http_seen){.call = call,
                             .flags = rq->flags,
                             .header_count = (uint32_t)rq->header_count,
                             .headers = headers,
                             .method = keep(rq->method.len ? rq->method : MF_LIT("GET")),
                             .url = keep(rq->url),
                             .grant = keep(rq->grant),
                             .body = keep(rq->body),
                             .timeout_ns = rq->timeout_ns,
                             .body_max = rq->body_max};
    return s;
}

static void free_bytes(mf_bytes b)
{
    free((char *)(uintptr_t)b.data);
}

static void seen_release(mf_mock_http_seen *s)
{
    for (uint32_t i = 0; i < s->header_count; i++) {
        free_bytes(s->headers[i].name);
        free_bytes(s->headers[i].value);
    }
    free((mf_header *)(uintptr_t)s->headers);
    free_bytes(s->method);
    free_bytes(s->url);
    free_bytes(s->grant);
    free_bytes(s->body);
}

/* The list takes it over. */
static void note(mf_mock *m, mf_mock_http_seen *s)
{
    pthread_mutex_lock(&m->lock);
    struct mock_http *h = http_of(m);
    h->seen = mock_grow(h->seen, h->seen_count, sizeof(*h->seen));
    h->seen[h->seen_count++] = *s;
    pthread_mutex_unlock(&m->lock);
    free(s);
}

size_t mf_mock_http_seen_all(mf_mock *m, const mf_mock_http_seen **ret)
{
    pthread_mutex_lock(&m->lock);
    struct mock_http *h = http_of(m);
    if (ret != NULL)
        *ret = h->seen;
    size_t n = h->seen_count;
    pthread_mutex_unlock(&m->lock);
    return n;
}

/* ---- the answer ----------------------------------------------------------- */

static mf_bytes header_of(const struct line *l, const char *name)
{
    for (size_t i = 0; i < l->header_count; i++) {
        mf_bytes n = l->headers[i].header.name;
        if (n.len == strlen(name) && memcmp(n.data, name, n.len) == 0)
            return l->headers[i].header.value;
    }
    return (mf_bytes){NULL, 0};
}

/* Absolute, or a path on the same host. */
static char *join(const char *base, mf_bytes location)
{
    const char *host = strstr(base, "://");
    size_t site = host != NULL ? (size_t)(host + 3 - base) + strcspn(host + 3, "/?#") : 0;
    if (location.len == 0 || location.data[0] != '/')
        return mock_copy(location);
    char *url = mock_checked(malloc(site + location.len + 1));
    memcpy(url, base, site);
    memcpy(url + site, location.data, location.len);
    url[site + location.len] = 0;
    return url;
}

static void fill(const struct request *r, mf_http_answer *a, mf_header **ret_headers)
{
    const struct line *l = r->line;
    *a = (mf_http_answer){.redirects = r->redirects, .url = bytes_of(r->url)};
    mock_op_fill(&r->op, &a->end, sizeof(*a));
    *ret_headers = NULL;
    if (l == NULL || l->is.code == 0 || (r->op.ended && r->op.status != MF_OK && !r->over))
        return;
    *ret_headers = mock_checked(calloc(l->header_count + 1, sizeof(mf_header)));
    for (size_t i = 0; i < l->header_count; i++)
        (*ret_headers)[i] = l->headers[i].header;
    a->code = l->is.code;
    a->headers = *ret_headers;
    a->header_count = l->header_count;
    a->location = bytes_of(r->location);
    if (!r->stream)
        a->body = (mf_bytes){l->body, l->is.body_len < r->body_max ? l->is.body_len : r->body_max};
}

static void call_back(const struct request *r, mf_http_cb cb)
{
    mf_http_answer a;
    mf_header *headers;
    fill(r, &a, &headers);
    if (cb != NULL)
        cb(r->arg, &a);
    free(headers);
}

/* Chunk by chunk until the plugin pauses; false: it does. */
static bool give_body(struct request *r)
{
    const struct line *l = r->line;
    size_t most = l->is.body_len < r->body_max ? l->is.body_len : r->body_max;
    if (!r->head_told)
        call_back(r, r->head);
    r->head_told = true;
    while (r->given < most) {
        size_t n = l->is.piece != 0 ? l->is.piece : PIECE;
        n = n < most - r->given ? n : most - r->given;
        mf_bytes lent = {mock_copy((mf_bytes){l->body + r->given, n}), n};
        r->given += n;
        bool more = r->chunk(r->arg, r->op.id, lent) != 0;
        memset((char *)(uintptr_t)lent.data, 0xA5, n);
        free_bytes(lent);
        if (!more) {
            pthread_mutex_lock(&r->op.mock->lock);
            r->paused = true;
            r->op.due = r->until;
            pthread_mutex_unlock(&r->op.mock->lock);
            return false;
        }
    }
    return true;
}

static void wait_for(struct request *r);

/* True: it goes on elsewhere. */
static bool follow(struct request *r)
{
    uint32_t code = r->line->is.code;
    mf_bytes location = header_of(r->line, "location");
    if (code < 301 || code > 308 || (code > 303 && code < 307) || location.len == 0)
        return false;
    char *to = join(r->url, location);
    if (r->flags & MF_HTTP_NO_REDIRECT) {
        free(r->location);
        r->location = to;
        return false;
    }
    if (r->redirects == REDIRECTS) {
        free(to);
        mock_op_end(&r->op, MF_ELIMIT, "more than 5 redirects");
        return true;
    }
    r->redirects++;
    free(r->url);
    r->url = to;
    if (code == 303 || (code < 303 && strcmp(r->method, "POST") == 0)) {
        free(r->method);
        r->method = copy_string("GET");
    }
    const mf_http_request again = {.method = bytes_of(r->method), .url = bytes_of(to)};
    note(r->op.mock, see(r->op.call, &again));
    wait_for(r);
    return true;
}

static void answer(struct request *r)
{
    const struct line *l = r->line;
    if (l->is.code == 0) {
        mock_op_end(&r->op, l->is.status != MF_OK ? l->is.status : MF_EIO, l->why);
        return;
    }
    if (follow(r) || (r->stream && !give_body(r)))
        return;
    r->over = l->is.body_len > r->body_max;
    mock_op_end(&r->op, r->over ? MF_ELIMIT : MF_OK,
                r->over ? "the answer is longer than it may be" : NULL);
}

static void wait_for(struct request *r)
{
    mf_mock *m = r->op.mock;
    uint64_t now = m->host.now(&m->host);
    pthread_mutex_lock(&m->lock);
    r->line = find_line(m, r);
    pthread_mutex_unlock(&m->lock);
    if (r->line == NULL) {
        char why[300];
        snprintf(why, sizeof(why), "%s %.200s: the mock has no answer", r->method, r->url);
        mock_op_end(&r->op, MF_EIO, why);
        return;
    }
    uint64_t delay = r->line->is.delay_ns;
    if (delay == 0) {
        answer(r);
        return;
    }
    pthread_mutex_lock(&m->lock);
    r->op.due = delay < r->until - now ? now + delay : r->until;
    pthread_mutex_unlock(&m->lock);
}

/* ---- as an operation ------------------------------------------------------ */

static void http_start(struct mock_op *op)
{
    struct request *r = request_of(op);
    uint64_t now = op->mock->host.now(&op->mock->host), timeout = r->seen->timeout_ns;
    r->until = timeout != 0 && timeout < UINT64_MAX - now ? now + timeout : UINT64_MAX;
    note(op->mock, r->seen);
    r->seen = NULL;
    wait_for(r);
}

static void http_fire(struct mock_op *op)
{
    struct request *r = request_of(op);
    if (op->mock->host.now(&op->mock->host) >= r->until) {
        mock_op_end(op, MF_ETIMEDOUT, "no answer came in time");
        return;
    }
    pthread_mutex_lock(&op->mock->lock);
    op->due = UINT64_MAX;
    r->paused = false;
    pthread_mutex_unlock(&op->mock->lock);
    answer(r);
}

static void http_abort(struct mock_op *op)
{
    mock_op_end(op, MF_ECANCELED, NULL);
}

static void http_deliver(struct mock_op *op)
{
    call_back(request_of(op), request_of(op)->end);
}

static void http_release(struct mock_op *op)
{
    struct request *r = request_of(op);
    if (r->seen != NULL)
        seen_release(r->seen);
    free(r->seen);
    free(r->url);
    free(r->method);
    free(r->location);
    free(r);
}

static const struct mock_op_kind request_kind = {"http.request", http_start,   http_fire,
                                                 http_abort,     http_deliver, http_release};
static const struct mock_op_kind stream_kind = {"http.stream", http_start,   http_fire,
                                                http_abort,    http_deliver, http_release};

/* ---- what http.h forbids -------------------------------------------------- */

static bool is_token(mf_bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if (b.data[i] <= ' ' || b.data[i] > '~' || strchr("\"(),/:;<=>?@[\\]{}", b.data[i]))
            return false;
    return b.len > 0;
}

static bool is_line(mf_bytes b)
{
    for (size_t i = 0; i < b.len; i++)
        if ((unsigned char)b.data[i] < ' ' && b.data[i] != '\t')
            return false;
    return true;
}

static const char *wrong_header(const mf_header *h)
{
    static const char *const host_headers[] = {
        "host",    "authorization", "cookie",     "connection",     "content-length",
        "expect",  "keep-alive",    "te",         "trailer",        "transfer-encoding",
        "upgrade", "traceparent",   "tracestate", "http2-settings", "accept-encoding"};
    if (!is_token(h->name))
        return "expected a header name, found something else";
    if (!is_line(h->value))
        return "expected a header value of one line, found a control character";
    if (h->name.len >= 6 && strncasecmp(h->name.data, "proxy-", 6) == 0)
        return "expected no header of the host's, found Proxy-*";
    for (size_t i = 0; i < sizeof(host_headers) / sizeof(host_headers[0]); i++)
        if (strlen(host_headers[i]) == h->name.len &&
            strncasecmp(host_headers[i], h->name.data, h->name.len) == 0)
            return "expected no header of the host's, found one";
    return NULL;
}

static const char *wrong(const mf_http_request *rq)
{
    if (rq == NULL || !MF_HAS(rq, body_max))
        return "expected a whole mf_http_request, found less";
    if (rq->url.len == 0 || rq->url.len > MF_HTTP_URL_MAX || !is_line(rq->url))
        return "expected a URL of at most 8192 bytes, found none";
    if (rq->header_count > MF_HTTP_HEADERS_MAX || rq->body.len > MF_HTTP_BODY_MAX)
        return "expected at most 64 headers and 16 MiB of body, found more";
    for (size_t i = 0; i < rq->header_count; i++) {
        const char *why = wrong_header(&rq->headers[i]);
        if (why != NULL)
            return why;
    }
    return NULL;
}

/* ---- the vtable ----------------------------------------------------------- */

static mf_op begin(const mf_host *host, mf_call call, const mf_http_request *rq,
                   const struct request *with, const struct mock_op_kind *kind)
{
    const char *why = wrong(rq);
    if (why != NULL)
        return mock_op_refuse(host, kind->name, why);
    struct request *r = mock_checked(malloc(sizeof(*r)));
    *r = *with;
    r->seen = see(call, rq);
    r->url = mock_copy(rq->url);
    r->method = mock_copy(rq->method.len ? rq->method : MF_LIT("GET"));
    r->flags = rq->flags;
    r->body_max = rq->body_max != 0 ? rq->body_max : BODY_MAX;
    return mock_op_begin(host, call, &r->op, kind);
}

static mf_op http_request(const mf_host *host, mf_call call, const mf_http_request *rq,
                          mf_http_cb end, void *arg)
{
    const struct request r = {.end = end, .arg = arg};
    return begin(host, call, rq, &r, &request_kind);
}

static mf_op http_stream(const mf_host *host, mf_call call, const mf_http_request *rq,
                         mf_http_cb head, int32_t (*chunk)(void *arg, mf_op op, mf_bytes bytes),
                         mf_http_cb end, void *arg)
{
    const struct request r = {.stream = true, .head = head, .chunk = chunk, .end = end, .arg = arg};
    if (head == NULL || chunk == NULL)
        return mock_op_refuse(host, stream_kind.name, "expected head() and chunk()");
    return begin(host, call, rq, &r, &stream_kind);
}

static mf_status http_resume(const mf_host *host, mf_op id)
{
    mf_mock *m = mock_of(host);
    pthread_mutex_lock(&m->lock);
    struct mock_op *op = mock_op_find(m, id, &stream_kind);
    if (op != NULL && request_of(op)->paused)
        op->due = 0;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    return op != NULL ? MF_OK : MF_ESTALE;
}

const struct mf_http mock_http = {sizeof(mf_http), 0,           http_request,
                                  http_stream,     http_resume, mock_op_abort};

void mock_http_release(mf_mock *m)
{
    struct mock_http *h = m->http;
    while (h != NULL && h->script != NULL) {
        struct line *l = h->script;
        h->script = l->older;
        for (size_t i = 0; i < l->header_count; i++)
            free(l->headers[i].text);
        free(l->headers);
        free(l->method);
        free(l->url);
        free(l->body);
        free(l->why);
        free(l);
    }
    for (size_t i = 0; h != NULL && i < h->seen_count; i++)
        seen_release(&h->seen[i]);
    if (h != NULL)
        free(h->seen);
    free(h);
    m->http = NULL;
}
