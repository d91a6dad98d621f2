/* What the module tells of a transfer, and what comes of it: an answer, another transfer, an end.
 */
#include "services/internal.h"

#include <arpa/inet.h>
#include <sys/random.h>
#include "services/http/address.h"

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
        HTTP_COUNT(o, connections, 1);
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

/* To be followed by us when this answer has ended, or to be told. */
static void take_location(struct http_op *o)
{
    char why[HTTP_WHY], *location = find_location(o);
    if (!(o->rq.flags & MF_HTTP_NO_REDIRECT)) {
        o->location = location;
        return;
    }
    if (location && o->http->module->url_read(&o->url, location, &o->leads_to, why))
        log_debug("%s: a redirect leads nowhere: %s", o->op.instance->name, why);
    free(location);
}

void http_op_fill_answer(struct http_op *o, mf_http_answer *a)
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
        if (o->leads_to.text)
            a->location = (mf_bytes){o->leads_to.text, strlen(o->leads_to.text)};
    }
}

static enum http_go module_head(void *user, uint32_t code, const mf_header *header, size_t count)
{
    struct http_op *o = user;
    char url[HTTP_SHOWN];
    o->head_came = true;
    http_peer_told(o, true);
    o->code = code;
    if (!keep_headers(o, header, count)) {
        http_op_fail(o, MF_ENOMEM, "%s: out of memory", http_op_shown(o, url));
        return HTTP_STOP;
    }
    if (is_redirect(code))
        take_location(o);
    if (o->stream && !o->location) {
        mf_http_answer a;
        http_op_fill_answer(o, &a);
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
    char url[HTTP_SHOWN];
    uint64_t room = o->body_max - o->received;
    if (o->location) { /* only so that the connection can be used again */
        o->received += len < room ? len : room;
        return o->received > HTTP_REDIRECT_BODY || len > room ? HTTP_STOP : HTTP_MORE;
    }
    size_t fits = len < room ? len : (size_t)room;
    HTTP_COUNT(o, received, fits);
    o->received += fits;
    enum http_go go_on = HTTP_MORE;
    if (!o->stream && buf_append(&o->body, data, fits)) {
        http_op_fail(o, MF_ENOMEM, "%s: out of memory for the answer", http_op_shown(o, url));
        return HTTP_STOP;
    }
    if (o->stream && fits)
        go_on = give_chunk(o, data, fits);
    if (fits < len && o->step != HTTP_STEP_ENDED) {
        http_op_fail(o, MF_ELIMIT, "%s: the answer is longer than %llu bytes",
                     http_op_shown(o, url), (unsigned long long)o->body_max);
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
    bool safe = strcmp(o->method, "GET") == 0 || strcmp(o->method, "HEAD") == 0;
    bool post = strcmp(o->method, "POST") == 0;
    if ((o->code == 303 && !safe) || ((o->code == 301 || o->code == 302) && post)) {
        snprintf(o->method, sizeof(o->method), "GET");
        o->bodyless = true;
    }
}

static bool is_same_origin(const struct http_url *a, const struct http_url *b)
{
    return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

static void follow(struct http_op *o)
{
    struct http_url next;
    char why[HTTP_WHY], url[HTTP_SHOWN];
    if (o->redirects >= o->grant->redirects) {
        http_op_fail(o, MF_ELIMIT, "%s: redirected to %.160s: more than %u redirects",
                     http_op_shown(o, url), o->location, o->grant->redirects);
        return;
    }
    if (o->http->module->url_read(&o->url, o->location, &next, why)) {
        http_op_fail(o, MF_EIO, "%s: redirected: %s: %.160s", http_op_shown(o, url), why,
                     o->location);
        return;
    }
    change_method(o);
    o->redirects++;
    HTTP_COUNT(o, redirects, 1);
    o->strayed |= !is_same_origin(&next, &o->first);
    o->http->module->url_free(&o->url);
    o->url = next;
    free(o->location);
    o->location = NULL;
    o->code = 0;
    o->received = 0;
    o->tries = 0;
    if (http_op_take_right(o))
        http_op_go(o, true);
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
    HTTP_COUNT(o, retries, 1);
    http_queue_leave(o);
    o->step = HTTP_STEP_BACKOFF;
    o->again = clock_ns() + jitter % most;
    http_op_arm(o);
    return true;
}

static void module_end(void *user, enum http_result r, const char *why)
{
    struct http_op *o = user;
    char url[HTTP_SHOWN];
    bool denied = r == HTTP_NO_CONNECT && o->dialled[0] && !o->dialled_any;
    o->transfer = NULL;
    o->naming = false;
    http_net_ended(&o->http->net[o->grant->private_ranges]);
    if (is_failure_to_connect(r) && !denied)
        http_peer_told(o, false);
    if (denied) {
        http_op_refuse_address(o);
    } else if ((r == HTTP_COMPLETE || r == HTTP_STOPPED) && o->location) {
        http_queue_leave(o);
        follow(o);
    } else if (r == HTTP_COMPLETE) {
        http_op_finish(o, MF_OK);
    } else if (r == HTTP_HEADERS) {
        http_op_fail(o, MF_ELIMIT, "%s: %s", http_op_shown(o, url), why);
    } else if (r == HTTP_NO_MEMORY) {
        http_op_fail(o, MF_ENOMEM, "%s: %s", http_op_shown(o, url), why);
    } else if (!retry(o, r)) {
        http_op_fail(o, MF_EIO, "%s: %.250s", http_op_shown(o, url), why);
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
