/* One transfer: what libcurl hands in is kept until libcurl is left, and then told piece by piece.
 *
 * So no code of the host, and of a plugin behind it, ever runs inside libcurl, and a plugin that
 * pauses costs what is kept (STASH_PAUSE and one reading) and no more, however much that would
 * decode to: the sender is made to wait by TCP. */
#include "services/http/module/module.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    READ_BYTES = 32768,  /* libcurl asks the socket for at once */
    STASH_PAUSE = 65536, /* as much kept: no more is read */
    STASH_MAX = STASH_PAUSE + 2 * READ_BYTES,
    PIECE = 16384, /* decoded bytes at a time */
};

enum fault { FAULT_NONE, FAULT_HEADERS, FAULT_ENCODING, FAULT_RESENT, FAULT_MEMORY };

struct http_transfer {
    struct http_pool *pool;
    void *user; /* NULL: cancelled */
    CURL *easy;
    struct curl_slist *lines;
    char error[CURL_ERROR_SIZE];
    bool resend, alone;
    unsigned sent; /* times the request went out */
    enum fault fault;
    /* the head */
    char *text; /* of the header lines; names and values point into it by offset */
    size_t text_len, text_cap;
    struct {
        uint32_t name, name_len, value, value_len;
    } line[HTTP_ANSWER_HEADERS];
    uint32_t line_count;
    long code;
    bool head_ends, head_told;
    /* the body */
    struct decoder *decoder; /* NULL: as it is */
    char *stash;
    size_t stash_off, stash_len, stash_cap;
    bool any;    /* there was a body */
    bool waits;  /* the host said HTTP_PAUSE */
    bool paused; /* so libcurl does not read on */
    bool done;   /* libcurl is through */
    CURLcode result;
    struct list in_fed;
    bool telling; /* a function of the host is being called */
};

static void feed(struct http_transfer *t)
{
    if (!list_linked(&t->in_fed))
        list_append(&t->pool->fed, &t->in_fed);
}

/* --- what libcurl calls --- */

static int fail(struct http_transfer *t, enum fault f)
{
    t->fault = f;
    return 0; /* of no byte taken: libcurl gives up */
}

static bool keep_line(struct http_transfer *t, const char *p, size_t n)
{
    if (t->text_len + n > HTTP_ANSWER_HEADER_BYTES || t->line_count == HTTP_ANSWER_HEADERS)
        return fail(t, FAULT_HEADERS);
    if (t->text_len + n > t->text_cap) {
        size_t cap = t->text_cap ? t->text_cap * 2 : 1024;
        while (cap < t->text_len + n)
            cap *= 2;
        char *more = realloc(t->text, cap);
        if (!more)
            return fail(t, FAULT_MEMORY);
        t->text = more;
        t->text_cap = cap;
    }
    memcpy(t->text + t->text_len, p, n);
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* "Name: value".  What has no colon, and what continues a line (obsolete since 2014), is left out.
 */
static bool take_line(struct http_transfer *t, const char *p, size_t n)
{
    const char *colon = memchr(p, ':', n);
    if (!colon || colon == p || is_blank(*p))
        return true;
    if (!keep_line(t, p, n))
        return false;
    size_t name = (size_t)(colon - p), from = name + 1;
    while (n > from && is_blank(p[n - 1]))
        n--;
    while (from < n && is_blank(p[from]))
        from++;
    char *at = t->text + t->text_len;
    for (size_t i = 0; i < name; i++)
        at[i] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] + 32 : at[i]);
    uint32_t base = (uint32_t)t->text_len, i = t->line_count++;
    t->line[i].name = base;
    t->line[i].name_len = (uint32_t)name;
    t->line[i].value = base + (uint32_t)from;
    t->line[i].value_len = (uint32_t)(n - from);
    t->text_len += n;
    return true;
}

static bool line_is(const struct http_transfer *t, uint32_t i, const char *name)
{
    return t->line[i].name_len == strlen(name) &&
           memcmp(t->text + t->line[i].name, name, t->line[i].name_len) == 0;
}

/* libcurl would undo any transfer coding by itself, unbounded while it is paused. */
static bool coding_is_fine(struct http_transfer *t, uint32_t i)
{
    if (!line_is(t, i, "transfer-encoding"))
        return true;
    if (t->line[i].value_len == 7 && strncasecmp(t->text + t->line[i].value, "chunked", 7) == 0)
        return true;
    return fail(t, FAULT_ENCODING);
}

/* A new block of headers: after a 1xx, say. */
static void begin_head(struct http_transfer *t)
{
    t->text_len = 0;
    t->line_count = 0;
    t->code = 0;
}

static size_t on_header(char *p, size_t size, size_t count, void *arg)
{
    struct http_transfer *t = arg;
    size_t n = size * count;
    if (t->head_ends)
        return n; /* a trailer */
    if (n >= 5 && memcmp(p, "HTTP/", 5) == 0) {
        begin_head(t);
        return n;
    }
    if (n && p[0] != '\r' && p[0] != '\n') {
        uint32_t lines = t->line_count;
        if (!take_line(t, p, n) || (t->line_count > lines && !coding_is_fine(t, lines)))
            return 0;
        return n;
    }
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->code);
    if (t->code >= 200 || t->code == 101) {
        t->head_ends = true;
        feed(t);
    }
    return n;
}

static size_t on_body(char *p, size_t size, size_t count, void *arg)
{
    struct http_transfer *t = arg;
    size_t n = size * count;
    if (t->stash_off) {
        memmove(t->stash, t->stash + t->stash_off, t->stash_len);
        t->stash_off = 0;
    }
    if (t->stash_len + n > t->stash_cap) {
        size_t cap = t->stash_cap ? t->stash_cap : PIECE;
        while (cap < t->stash_len + n)
            cap *= 2;
        char *more = cap <= STASH_MAX ? realloc(t->stash, cap) : NULL;
        if (!more) {
            fail(t, FAULT_MEMORY);
            return 0;
        }
        t->stash = more;
        t->stash_cap = cap;
    }
    memcpy(t->stash + t->stash_len, p, n);
    t->stash_len += n;
    t->any = true;
    feed(t);
    if (t->stash_len >= STASH_PAUSE && !t->paused) {
        t->paused = true;
        curl_easy_pause(t->easy, CURLPAUSE_RECV);
    }
    return n;
}

/* Only what was not sent yet, or may be sent twice, goes out: libcurl itself would send a POST
 * again when a kept connection turns out to be closed. */
static int on_request(void *arg, char *remote, char *local, int remote_port, int local_port)
{
    struct http_transfer *t = arg;
    (void)remote, (void)local, (void)remote_port, (void)local_port;
    if (t->sent++ >= (t->resend ? 2u : 1u)) {
        t->fault = FAULT_RESENT;
        return CURL_PREREQFUNC_ABORT;
    }
    return CURL_PREREQFUNC_OK;
}

static int on_naming(void *resolver, void *reserved, void *arg)
{
    struct http_transfer *t = arg;
    (void)resolver, (void)reserved;
    if (t->user)
        host->naming(t->user, true);
    return 0;
}

/* The one place where a connection begins: whatever the URL said, this is what is dialled. */
static curl_socket_t on_dial(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
    struct http_transfer *t = arg;
    if (purpose != CURLSOCKTYPE_IPCXN || !t->user)
        return CURL_SOCKET_BAD;
    host->naming(t->user, false);
    if (!host->may_dial(t->user, &a->addr, a->addrlen))
        return CURL_SOCKET_BAD;
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* --- telling --- */

static void release(struct http_transfer *t)
{
    list_remove(&t->in_fed);
    if (t->easy) {
        curl_multi_remove_handle(t->pool->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    for (struct curl_slist *l = t->lines; l; l = l->next)
        explicit_bzero(l->data, strlen(l->data)); /* a secret perhaps */
    curl_slist_free_all(t->lines);
    decoder_free(t->decoder);
    free(t->text);
    free(t->stash);
    free(t);
}

static void end(struct http_transfer *t, enum http_result result, const char *why)
{
    void *user = t->user;
    char text[HTTP_WHY];
    snprintf(text, sizeof(text), "%s", why);
    t->user = NULL;
    release(t);
    host->end(user, result, text);
}

static const struct {
    CURLcode code;
    enum http_result result;
} results[] = {
    {CURLE_OK, HTTP_COMPLETE},
    {CURLE_COULDNT_RESOLVE_HOST, HTTP_NO_NAME},
    {CURLE_COULDNT_CONNECT, HTTP_NO_CONNECT},
    {CURLE_OPERATION_TIMEDOUT, HTTP_CONNECT_LATE}, /* no other timeout is set */
    {CURLE_SSL_CONNECT_ERROR, HTTP_NO_TLS},
    {CURLE_PEER_FAILED_VERIFICATION, HTTP_NO_TLS},
    {CURLE_SSL_CIPHER, HTTP_NO_TLS},
    {CURLE_SSL_CERTPROBLEM, HTTP_NO_TLS},
    {CURLE_SSL_ISSUER_ERROR, HTTP_NO_TLS},
    {CURLE_OUT_OF_MEMORY, HTTP_NO_MEMORY},
    {CURLE_FAILED_INIT, HTTP_NO_MEMORY},
    {CURLE_WEIRD_SERVER_REPLY, HTTP_NO_HTTP},
    {CURLE_UNSUPPORTED_PROTOCOL, HTTP_NO_HTTP}, /* HTTP/0.9 */
    {CURLE_BAD_CONTENT_ENCODING, HTTP_NO_HTTP},
};

static void end_by_code(struct http_transfer *t)
{
    static const struct {
        enum http_result result;
        const char *why;
    } faults[] = {
        [FAULT_HEADERS] = {HTTP_HEADERS, "the answer has too many header lines"},
        [FAULT_ENCODING] = {HTTP_NO_HTTP, "the answer is encoded in a way that was not asked for"},
        [FAULT_RESENT] = {HTTP_BROKEN, "the connection was closed before an answer came"},
        [FAULT_MEMORY] = {HTTP_NO_MEMORY, "out of memory"},
    };
    if (t->fault) {
        end(t, faults[t->fault].result, faults[t->fault].why);
        return;
    }
    enum http_result result = HTTP_BROKEN;
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        if (results[i].code == t->result)
            result = results[i].result;
    }
    if (result == HTTP_COMPLETE && t->any && t->decoder && !decoder_is_done(t->decoder))
        end(t, HTTP_BROKEN, "the encoded body ends too early");
    else
        end(t, result, t->error[0] ? t->error : curl_easy_strerror(t->result));
}

/* An answer that has no body says what it would be encoded with all the same. */
static bool choose_decoder(struct http_transfer *t)
{
    for (uint32_t i = 0; i < t->line_count; i++) {
        const char *value = t->text + t->line[i].value;
        size_t n = t->line[i].value_len;
        bool known;
        if (!line_is(t, i, "content-encoding") || n == 0 ||
            (n == 8 && strncasecmp(value, "identity", 8) == 0))
            continue;
        if (t->decoder)
            return fail(t, FAULT_ENCODING); /* twice */
        t->decoder = decoder_new(value, n, &known);
        if (!t->decoder)
            return fail(t, known ? FAULT_MEMORY : FAULT_ENCODING);
    }
    return true;
}

/* False: the transfer is gone, or ends now. */
static bool obey(struct http_transfer *t, enum http_go go)
{
    t->telling = false;
    if (!t->user) { /* cancelled in between */
        release(t);
        return false;
    }
    if (go == HTTP_STOP) {
        end(t, HTTP_STOPPED, "");
        return false;
    }
    t->waits = go == HTTP_PAUSE;
    return true;
}

static bool tell_head(struct http_transfer *t)
{
    mf_header header[HTTP_ANSWER_HEADERS];
    for (uint32_t i = 0; i < t->line_count; i++) {
        header[i].name = (mf_bytes){t->text + t->line[i].name, t->line[i].name_len};
        header[i].value = (mf_bytes){t->text + t->line[i].value, t->line[i].value_len};
    }
    t->head_told = true;
    if (!choose_decoder(t)) {
        end_by_code(t);
        return false;
    }
    t->telling = true;
    return obey(t, host->head(t->user, (uint32_t)t->code, header, t->line_count));
}

static bool tell_piece(struct http_transfer *t, const char *data, size_t len)
{
    t->telling = true;
    return obey(t, host->body(t->user, data, len));
}

/* *ret_moved: there may be more. */
static bool tell_plain(struct http_transfer *t, bool *ret_moved)
{
    const char *p = t->stash + t->stash_off;
    size_t n = t->stash_len;
    if (!n)
        return true;
    *ret_moved = true;
    t->stash_off = t->stash_len = 0; /* nothing is read in meanwhile */
    return tell_piece(t, p, n);
}

static bool tell_decoded(struct http_transfer *t, bool *ret_moved)
{
    char out[PIECE];
    const char *in = t->stash + t->stash_off;
    size_t left = t->stash_len, len;
    int r = decoder_step(t->decoder, &in, &left, out, sizeof(out), &len);
    *ret_moved = len || left < t->stash_len;
    t->stash_off += t->stash_len - left;
    t->stash_len = left;
    if (r || (!*ret_moved && left)) {
        end(t, HTTP_BROKEN, "the body is not encoded as it says");
        return false;
    }
    return len ? tell_piece(t, out, len) : true;
}

static void tell(struct http_transfer *t)
{
    if (t->head_ends && !t->head_told && !tell_head(t))
        return;
    /* A decoder may hold more than it has handed out, with no input left. */
    for (bool moved = t->head_told; moved && !t->waits;) {
        moved = false;
        if (!(t->decoder ? tell_decoded(t, &moved) : tell_plain(t, &moved)))
            return;
    }
    if (t->waits)
        return;
    if (t->done) {
        end_by_code(t);
    } else if (t->paused) {
        t->paused = false;
        curl_easy_pause(t->easy, CURLPAUSE_CONT);
    }
}

void pool_tell(struct http_pool *p)
{
    for (struct list *it; (it = list_pop(&p->fed));)
        tell(container_of(it, struct http_transfer, in_fed));
}

void transfer_done(CURL *easy, CURLcode code)
{
    struct http_transfer *t = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&t);
    curl_multi_remove_handle(t->pool->multi, easy);
    t->result = code;
    t->done = true;
    feed(t);
}

/* --- what the host calls --- */

static void set_method(struct http_transfer *t, const struct http_transfer_spec *s)
{
    CURL *e = t->easy;
    bool body = s->body_len || strcmp(s->method, "POST") == 0 || strcmp(s->method, "PUT") == 0 ||
                strcmp(s->method, "PATCH") == 0;
    if (body) {
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)s->body_len);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, s->body_len ? s->body : "");
    } else if (strcmp(s->method, "HEAD") == 0) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, s->method);
}

static bool set_lines(struct http_transfer *t, const char *const *line)
{
    for (; *line; line++) {
        struct curl_slist *more = curl_slist_append(t->lines, *line);
        if (!more)
            return false;
        t->lines = more;
    }
    return curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->lines) == CURLE_OK;
}

static long whole_seconds(uint64_t ns)
{
    return (long)((ns + 999999999u) / 1000000000u);
}

static void set_options(struct http_transfer *t, const struct http_transfer_spec *s)
{
    const struct http_pool_spec *p = &t->pool->spec;
    CURL *e = t->easy;
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
    curl_easy_setopt(e, CURLOPT_CURLU, s->url->handle);
    /* Nothing of the environment, and nothing but HTTP. */
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 1L);
    /* Without it the loop would wait for a name server when a transfer is given up. */
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)READ_BYTES);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(p->connect_ns / 1000000));
    curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, whole_seconds(p->dns_ns));
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, whole_seconds(p->idle_ns));
    /* A paused HTTP/2 stream would hold up all the others of its connection. */
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
                     (long)(s->alone ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
    curl_easy_setopt(e, CURLOPT_PIPEWAIT, s->url->tls && !s->alone ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, trust_apply);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
    curl_easy_setopt(e, CURLOPT_RESOLVER_START_FUNCTION, on_naming);
    curl_easy_setopt(e, CURLOPT_RESOLVER_START_DATA, t);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_dial);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
}

struct http_transfer *transfer_start(struct http_pool *p, const struct http_transfer_spec *spec,
                                     void *user)
{
    struct http_transfer *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->pool = p;
    t->user = user;
    t->resend = spec->resend;
    t->easy = curl_easy_init();
    if (t->easy) {
        set_options(t, spec);
        set_method(t, spec);
    }
    if (!t->easy || !set_lines(t, spec->line) ||
        curl_multi_add_handle(p->multi, t->easy) != CURLM_OK) {
        release(t);
        return NULL;
    }
    return t;
}

void transfer_resume(struct http_transfer *t)
{
    if (!t->waits)
        return;
    t->waits = false;
    list_remove(&t->in_fed);
    tell(t);
}

void transfer_cancel(struct http_transfer *t)
{
    t->user = NULL;
    list_remove(&t->in_fed);
    if (!t->telling)
        release(t);
}
