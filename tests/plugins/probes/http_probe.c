/* http_probe.c - hands manifold.http/1 through, so that a test can ask for anything a plugin can.
 *
 *   request  one request, {"times": n} of them at once; the answer as JSON
 *   stream   the same in pieces: pauses after "pause" bytes until resume or abort
 *   resume   all streams that pause go on
 *   abort    ends all operations */
#include <manifold/http.h>
#include <manifold/json.h>
#include <manifold/plugin.h>

#include <stdio.h>

enum { BODY_SHOWN = 2000, PAGE = 65536, OPS = 1024, HEADERS = 80 };

struct probe {
    const mf_host *host;
    const mf_http *http;
    mf_op op[OPS]; /* 0: free */
    int paused[OPS];
};

/* One call and what it has under way. */
struct job {
    struct probe *probe;
    mf_call call;
    int64_t left, ok, failed;
    int64_t pause, got, chunks, heads;
    unsigned slot;
    char sample[BODY_SHOWN]; /* of a stream */
    size_t sample_len;
};

static void put_bytes(mfj_writer *w, mf_bytes b)
{
    char plain[BODY_SHOWN];
    size_t n = b.len < sizeof(plain) ? b.len : sizeof(plain);
    for (size_t i = 0; i < n; i++)
        plain[i] = b.data[i] & 0x80 ? '?' : b.data[i];
    mfj_put_string(w, (mf_bytes){plain, n});
}

static void put_answer(mfj_writer *w, const struct job *j, const mf_http_answer *a)
{
    mfj_put_object(w);
    mfj_put_key(w, "status");
    mfj_put_int(w, a->end.status);
    mfj_put_key(w, "why");
    put_bytes(w, a->end.why);
    mfj_put_key(w, "code");
    mfj_put_int(w, a->code);
    mfj_put_key(w, "redirects");
    mfj_put_int(w, a->redirects);
    mfj_put_key(w, "url");
    put_bytes(w, a->url);
    mfj_put_key(w, "location");
    put_bytes(w, a->location);
    mfj_put_key(w, "length");
    mfj_put_int(w, j->chunks ? j->got : (int64_t)a->body.len);
    mfj_put_key(w, "chunks");
    mfj_put_int(w, j->chunks);
    mfj_put_key(w, "heads");
    mfj_put_int(w, j->heads);
    mfj_put_key(w, "ok");
    mfj_put_int(w, j->ok);
    mfj_put_key(w, "failed");
    mfj_put_int(w, j->failed);
    mfj_put_key(w, "body");
    put_bytes(w, j->chunks ? (mf_bytes){j->sample, j->sample_len} : a->body);
    mfj_put_key(w, "headers");
    mfj_put_object(w);
    for (size_t i = 0; i < a->header_count && i < 40; i++) {
        char name[100];
        snprintf(name, sizeof(name), "%.*s", (int)a->headers[i].name.len, a->headers[i].name.data);
        for (char *c = name; *c; c++)
            *c = *c & 0x80 ? '?' : *c;
        mfj_put_key(w, name);
        put_bytes(w, a->headers[i].value);
    }
    mfj_put_end(w);
    mfj_put_end(w);
}

static void on_end(void *arg, const mf_http_answer *a)
{
    struct job *j = arg;
    struct probe *p = j->probe;
    char *page;
    mfj_writer w;
    mf_bytes json = {NULL, 0};
    j->ok += a->end.status == MF_OK;
    j->failed += a->end.status != MF_OK;
    for (unsigned i = 0; i < OPS; i++) {
        if (p->op[i] == a->end.op)
            p->op[i] = 0;
    }
    if (--j->left > 0)
        return;
    page = malloc(PAGE);
    if (page) {
        mfj_write(&w, page, PAGE);
        put_answer(&w, j, a);
        if (mfj_done(&w, &json) != MF_OK)
            json = MF_LIT("the answer can't be written");
        p->host->text(p->host, j->call, json);
    }
    p->host->finish(p->host, j->call, MF_DONE, MF_LIT(""));
    free(page);
    free(j);
}

static void on_head(void *arg, const mf_http_answer *a)
{
    struct job *j = arg;
    (void)a;
    j->heads++;
}

static int32_t on_chunk(void *arg, mf_op op, mf_bytes b)
{
    struct job *j = arg;
    size_t room = sizeof(j->sample) - j->sample_len, n = b.len < room ? b.len : room;
    (void)op;
    memcpy(j->sample + j->sample_len, b.data, n);
    j->sample_len += n;
    j->chunks++;
    j->got += (int64_t)b.len;
    if (j->pause == 0 || j->got < j->pause)
        return 1;
    j->pause = 0;
    j->probe->paused[j->slot] = 1;
    return 0;
}

/* --- the request --- */

struct words {
    char url[16384], method[32], grant[128], body[4096];
    char name[HEADERS][64], value[HEADERS][256];
    mf_header header[HEADERS];
    mf_http_request rq;
};

static mf_bytes word(mfj_value v, char *space, size_t cap)
{
    mf_bytes b = {NULL, 0};
    return mfj_string(v, space, cap, &b) == MF_OK ? b : MF_LIT("");
}

static void read_headers(mfj_value list, struct words *w)
{
    mfj_iter it = mfj_iter_open(list);
    mfj_value pair;
    while (w->rq.header_count < HEADERS && mfj_next(&it, NULL, &pair)) {
        size_t i = w->rq.header_count++;
        w->header[i].name = word(mfj_at(pair, 0), w->name[i], sizeof(w->name[i]));
        w->header[i].value = word(mfj_at(pair, 1), w->value[i], sizeof(w->value[i]));
    }
    w->rq.headers = w->header;
}

static void read_request(mfj_value args, struct words *w)
{
    int retry = 0, stay = 0;
    int64_t ms = 0, most = 0;
    mfj_bool(mfj_get(args, "retry"), &retry);
    mfj_bool(mfj_get(args, "no_redirect"), &stay);
    mfj_int(mfj_get(args, "timeout_ms"), &ms);
    mfj_int(mfj_get(args, "body_max"), &most);
    w->rq.size = sizeof(w->rq);
    w->rq.flags =
        (retry ? (uint32_t)MF_HTTP_RETRY : 0) | (stay ? (uint32_t)MF_HTTP_NO_REDIRECT : 0);
    w->rq.url = word(mfj_get(args, "url"), w->url, sizeof(w->url));
    w->rq.method = word(mfj_get(args, "method"), w->method, sizeof(w->method));
    w->rq.grant = word(mfj_get(args, "grant"), w->grant, sizeof(w->grant));
    w->rq.body = word(mfj_get(args, "body"), w->body, sizeof(w->body));
    w->rq.timeout_ns = (uint64_t)ms * 1000000;
    w->rq.body_max = (uint64_t)most;
    read_headers(mfj_get(args, "headers"), w);
}

static unsigned free_slot(const struct probe *p)
{
    unsigned i = 0;
    while (i < OPS && p->op[i] != 0)
        i++;
    return i;
}

static void begin(struct probe *p, const mf_request *r, int stream)
{
    struct words *w = calloc(1, sizeof(*w));
    struct job *j = calloc(1, sizeof(*j));
    mfj_value args = mfj_read(r->args);
    int64_t times = 1, begun = 0;
    if (w && j && p->http) {
        read_request(args, w);
        mfj_int(mfj_get(args, "times"), &times);
        mfj_int(mfj_get(args, "pause"), &j->pause);
        j->probe = p;
        j->call = r->call;
        j->left = times; /* callbacks never come before this function returns */
        for (int64_t i = 0; i < times; i++) {
            unsigned slot = free_slot(p);
            if (slot == OPS)
                break;
            j->slot = slot;
            p->op[slot] =
                stream ? p->http->stream(p->host, r->call, &w->rq, on_head, on_chunk, on_end, j)
                       : p->http->request(p->host, r->call, &w->rq, on_end, j);
            begun += p->op[slot] != 0;
        }
        j->left = begun;
    }
    free(w);
    if (begun)
        return;
    free(j);
    p->host->text(p->host, r->call, p->http ? MF_LIT("refused") : MF_LIT("no http"));
    p->host->finish(p->host, r->call, MF_DONE, MF_LIT(""));
}

static void all(struct probe *p, const mf_request *r, int resume)
{
    char text[64];
    int n = 0;
    for (unsigned i = 0; i < OPS; i++) {
        if (resume && p->paused[i] && p->op[i] != 0)
            n += p->http->resume(p->host, p->op[i]) == MF_OK;
        else if (!resume && p->op[i] != 0)
            n += p->http->abort(p->host, p->op[i]) == MF_OK;
        p->paused[i] = 0;
    }
    n = snprintf(text, sizeof(text), "%d", n);
    p->host->text(p->host, r->call, (mf_bytes){text, (size_t)n});
    p->host->finish(p->host, r->call, MF_DONE, MF_LIT(""));
}

static void probe_call(void *self, const mf_request *r)
{
    if (r->index < 2)
        begin(self, r, r->index == 1);
    else
        all(self, r, r->index == 2);
}

static mf_status probe_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct probe *p = calloc(1, sizeof(*p));
    (void)config;
    if (!p)
        return MF_ENOMEM;
    p->host = host;
    p->http = host->extension(host, MF_EXT_HTTP);
    *ret_self = p;
    return MF_OK;
}

static void probe_close(void *self)
{
    free(self);
}

#define ENTRY(text)                            \
    &(const mf_entry)                          \
    {                                          \
        .size = sizeof(mf_entry), .name = text \
    }
static const mf_entry *const tools[] = {ENTRY("request"), ENTRY("stream"), ENTRY("resume"),
                                        ENTRY("abort"), NULL};

MF_NOTE();
const mf_plugin manifold_plugin_v1 = {
    .size = sizeof(manifold_plugin_v1),
    .abi_minor = MF_ABI_MINOR,
    .id = "test.probe.http",
    .version = "1.0.0",
    .tools = tools,
    .open = probe_open,
    .call = probe_call,
    .close = probe_close,
};
