/* manifold.http/1: the vtable; and what the host opens and closes of it. */
#include "services/internal.h"

static mf_op begin(const mf_host *host, mf_call call, const mf_http_request *rq, struct http_op *o,
                   const struct op_kind *kind)
{
    struct instance *in = instance_of_host(host);
    o->http = in->services->http.http;
    if (!http_request_take(in, rq, &o->rq)) {
        free(o);
        return 0;
    }
    return op_begin(host, call, &o->op, kind);
}

static mf_op http_request(const mf_host *host, mf_call call, const mf_http_request *rq,
                          mf_http_cb end, void *arg)
{
    struct http_op *o = calloc(1, sizeof(*o));
    if (!o)
        return op_refuse(host, http_request_kind.name, "out of memory");
    o->end = end;
    o->arg = arg;
    return begin(host, call, rq, o, &http_request_kind);
}

static mf_op http_stream(const mf_host *host, mf_call call, const mf_http_request *rq,
                         mf_http_cb head, int32_t (*chunk)(void *, mf_op, mf_bytes), mf_http_cb end,
                         void *arg)
{
    if (!head || !chunk)
        return op_refuse(host, http_stream_kind.name, "expected functions for head and chunk");
    struct http_op *o = calloc(1, sizeof(*o));
    if (!o)
        return op_refuse(host, http_stream_kind.name, "out of memory");
    o->stream = true;
    o->head = head;
    o->chunk = chunk;
    o->end = end;
    o->arg = arg;
    return begin(host, call, rq, o, &http_stream_kind);
}

static mf_status http_resume(const mf_host *host, mf_op op)
{
    return op_send(host, op, &http_stream_kind, http_op_resume);
}

static const struct mf_http http_vtable = {.size = sizeof(mf_http),
                                           .request = http_request,
                                           .stream = http_stream,
                                           .resume = http_resume,
                                           .abort = op_abort};

/* A plugin that was granted nothing gets the functions too: each request then says what is missing.
 * The module is for those that were. */
const void *http_extension(struct services *s, struct instance *in)
{
    uv_thread_t self = uv_thread_self();
    if (in->manifest->grants.http_count && uv_thread_equal(&self, &s->http->loop_thread))
        http_load(s->http); /* on another thread the first request does it */
    return &http_vtable;
}

struct http *http_new(uv_loop_t *loop, const struct http_client_spec *spec)
{
    struct http *h = xcalloc(1, sizeof(*h));
    h->loop = loop;
    h->loop_thread = uv_thread_self();
    h->spec = *spec;
    list_init(&h->loading);
    list_init(&h->idle_peers);
    list_init(&h->lanes);
    return h;
}

void http_handle_closed(struct http *h)
{
    if (--h->handles == 0 && h->closing && h->closed) {
        void (*closed)(void *) = h->closed;
        h->closed = NULL;
        closed(h->closed_arg);
    }
}

void http_close(struct http *h, void (*done)(void *arg), void *arg)
{
    h->closing = true;
    if (h->load != HTTP_LOADING)
        http_nets_close(h);
    if (!h->handles) {
        done(arg);
        return;
    }
    h->closed = done;
    h->closed_arg = arg;
}

void http_free(struct http *h)
{
    http_queue_release(h);
    free(h);
}
