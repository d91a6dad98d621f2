/* What a plugin asks for: copied, and looked at for what no grant could allow. */
#include "services/internal.h"

#include <stdatomic.h>
#include <strings.h>

/* The host writes them, or they would change what a request is. */
static const char *const host_headers[] = {
    "host",    "authorization", "cookie",     "connection",     "content-length",
    "expect",  "keep-alive",    "te",         "trailer",        "transfer-encoding",
    "upgrade", "traceparent",   "tracestate", "http2-settings", "accept-encoding",
};

static bool is_token(mf_bytes b)
{
    static const char also[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < b.len; i++) {
        char c = b.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c && strchr(also, c))))
            return false;
    }
    return b.len > 0;
}

static bool is_line(mf_bytes b)
{
    for (size_t i = 0; i < b.len; i++) {
        unsigned char c = (unsigned char)b.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_host_header(mf_bytes name)
{
    if (name.len >= 6 && strncasecmp(name.data, "proxy-", 6) == 0)
        return true;
    for (size_t i = 0; i < sizeof(host_headers) / sizeof(host_headers[0]); i++) {
        if (strlen(host_headers[i]) == name.len &&
            strncasecmp(host_headers[i], name.data, name.len) == 0)
            return true;
    }
    return false;
}

bool http_line_is(const char *line, const char *name)
{
    size_t n = strlen(name);
    return strncasecmp(line, name, n) == 0 && (line[n] == ':' || line[n] == ';');
}

static const char *check_method(mf_bytes m)
{
    if (m.len > HTTP_METHOD_MAX || (m.len && !is_token(m)))
        return "a method that is none";
    if ((m.len == 7 && memcmp(m.data, "CONNECT", 7) == 0) ||
        (m.len == 5 && memcmp(m.data, "TRACE", 5) == 0))
        return "the method CONNECT or TRACE";
    return NULL;
}

static const char *check_headers(const mf_http_request *rq)
{
    size_t total = 0;
    if (rq->header_count > MF_HTTP_HEADERS_MAX)
        return "more than 64 headers";
    for (size_t i = 0; i < rq->header_count; i++) {
        const mf_header *h = &rq->headers[i];
        total += h->name.len + h->value.len;
        if (!is_token(h->name))
            return "a header name that is none";
        if (!is_line(h->value))
            return "a control character in a header";
        if (is_host_header(h->name))
            return "a header that is the host's to write";
    }
    return total > HTTP_HEADER_BYTES ? "headers of more than 64 KiB" : NULL;
}

/* NULL, or what was found instead of a request. */
static const char *check(const mf_http_request *rq)
{
    const char *found = check_method(rq->method);
    if (!rq->url.len || rq->url.len > MF_HTTP_URL_MAX || !is_line(rq->url))
        return "no URL of at most 8192 bytes without control characters";
    if (rq->grant.len > 64)
        return "a grant's name that is none";
    if (rq->body.len > MF_HTTP_BODY_MAX)
        return "a body of more than 16 MiB";
    if (rq->flags & ~(uint32_t)(MF_HTTP_RETRY | MF_HTTP_NO_REDIRECT))
        return "flags that this host does not know";
    return found ? found : check_headers(rq);
}

static char *copy(mf_bytes b)
{
    char *p = malloc(b.len + 1);
    if (p && b.len)
        memcpy(p, b.data, b.len);
    if (p)
        p[b.len] = 0;
    return p;
}

/* As libcurl wants it: an empty value is written with a semicolon. */
static char *copy_header(const mf_header *h)
{
    size_t room = h->name.len + h->value.len + 3;
    char *line = malloc(room);
    if (line)
        snprintf(line, room, "%.*s%s%.*s", (int)h->name.len, h->name.data,
                 h->value.len ? ": " : ";", (int)h->value.len, h->value.len ? h->value.data : "");
    return line;
}

static bool copy_all(const mf_http_request *from, struct http_request *to)
{
    mf_bytes method = from->method.len ? from->method : MF_LIT("GET");
    memcpy(to->method, method.data, method.len);
    to->flags = from->flags;
    to->timeout = from->timeout_ns;
    to->body_max = from->body_max;
    to->body_len = from->body.len;
    to->grant = copy(from->grant);
    to->url = copy(from->url);
    to->body = copy(from->body);
    bool whole = to->grant && to->url && to->body;
    for (size_t i = 0; whole && i < from->header_count; i++)
        whole = (to->line[i] = copy_header(&from->headers[i])) != NULL;
    return whole;
}

static bool hold(struct http_instance *own, struct http_request *rq, const mf_http_request *from)
{
    size_t n = from->url.len + from->body.len;
    for (size_t i = 0; i < from->header_count; i++)
        n += from->headers[i].name.len + from->headers[i].value.len;
    if (atomic_fetch_add(&own->held, n) + n > MF_HTTP_WAITING_MAX) {
        atomic_fetch_sub(&own->held, n);
        return false;
    }
    rq->held = n;
    return true;
}

bool http_request_take(struct instance *in, const mf_http_request *from, struct http_request *to)
{
    const char *found = !from || !MF_HAS(from, body_max) ? "none" : check(from);
    if (!found && !hold(&in->services->http, to, from))
        found = "more than 64 MiB of requests that have not ended";
    if (!found && copy_all(from, to))
        return true;
    http_request_release(in, to);
    if (log_admits(in))
        log_line(LOG_WARN, in->name, "an http request is refused: expected a request, found %s",
                 found ? found : "no memory for it");
    return false;
}

void http_request_release(struct instance *in, struct http_request *rq)
{
    atomic_fetch_sub(&in->services->http.held, rq->held);
    free(rq->grant);
    free(rq->url);
    free(rq->body);
    for (size_t i = 0; i < MF_HTTP_HEADERS_MAX; i++)
        free(rq->line[i]);
    *rq = (struct http_request){0};
}
