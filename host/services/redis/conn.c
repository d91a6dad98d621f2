#include "services/redis/conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/list.h"

enum { IN_BYTES = 32 << 10, OUT_KEEP = 64 << 10, OUT_SOON = 256 << 10 };
/* Seconds until the kernel asks a silent other side, and milliseconds until it gives up on data. */
enum { KEEPALIVE_AFTER = 5, KEEPALIVE_EVERY = 1, KEEPALIVE_COUNT = 3, USER_TIMEOUT = 5000 };

struct redis_conn {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } to;
    uv_prepare_t flush; /* runs once at the end of a turn in which there is something to write */
    uv_connect_t connect;
    uv_write_t write;
    const struct redis_conn_events *events; /* NULL: nobody listens any more but for gone() */
    void (*gone)(void *user);
    void *user;
    struct reply_reader *reader;
    struct buf out, writing;
    size_t mark;      /* of `out`, where the batch begins */
    size_t unwritten; /* bytes that came since the last write */
    unsigned handles;
    bool opened, busy, closing;
    char in[IN_BYTES];
};

static void on_closed(uv_handle_t *h)
{
    struct redis_conn *c = h->data;
    if (--c->handles)
        return;
    if (c->gone)
        c->gone(c->user);
    reply_reader_free(c->reader);
    buf_release(&c->out);
    buf_release(&c->writing);
    free(c);
}

void redis_conn_close(struct redis_conn *c)
{
    if (c->closing)
        return;
    c->closing = true;
    c->events = NULL;
    uv_close(&c->to.handle, on_closed);
    uv_close((uv_handle_t *)&c->flush, on_closed);
}

static void fail(struct redis_conn *c, bool broken, const char *why)
{
    const struct redis_conn_events *events = c->events;
    if (c->closing)
        return;
    redis_conn_close(c);
    events->failed(c->user, broken, why);
}

/* --- in --- */

static void on_room(uv_handle_t *h, size_t size, uv_buf_t *buf)
{
    struct redis_conn *c = h->data;
    (void)size;
    *buf = uv_buf_init(c->in, sizeof(c->in));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct redis_conn *c = stream->data;
    struct err e;
    int r = 0;
    if (n < 0) {
        fail(c, false, n == UV_EOF ? "it closed the connection" : uv_strerror((int)n));
        return;
    }
    if (n > 0)
        r = reply_reader_feed(c->reader, buf->base, (size_t)n, &e);
    while (!r && !c->closing) {
        const struct reply *reply = reply_reader_next(c->reader, &r, &e);
        if (!reply)
            break;
        c->events->reply(c->user, reply);
    }
    if (r)
        fail(c, true, e.text);
}

/* --- out --- */

static void on_flush(uv_prepare_t *h);

static void wants_flush(struct redis_conn *c)
{
    if (c->opened && !c->busy && !c->closing && c->out.len)
        uv_prepare_start(&c->flush, on_flush);
}

static void on_written(uv_write_t *w, int status)
{
    struct redis_conn *c = w->data;
    c->busy = false;
    buf_clear(&c->writing, OUT_KEEP);
    if (status < 0)
        fail(c, false, uv_strerror(status)); /* does nothing where it is closing */
    else
        wants_flush(c);
}

static void on_flush(uv_prepare_t *h)
{
    struct redis_conn *c = h->data;
    uv_prepare_stop(h);
    c->unwritten = 0;
    uv_buf_t all = uv_buf_init(c->out.data, (unsigned)c->out.len);
    int n = uv_try_write(&c->to.stream, &all, 1);
    if (n < 0 && n != UV_EAGAIN) {
        fail(c, false, uv_strerror(n));
        return;
    }
    size_t done = n > 0 ? (size_t)n : 0;
    if (done == c->out.len) {
        buf_clear(&c->out, OUT_KEEP);
        return;
    }
    struct buf empty = c->writing;
    c->writing = c->out;
    c->out = empty;
    c->busy = true;
    uv_buf_t rest = uv_buf_init(c->writing.data + done, (unsigned)(c->writing.len - done));
    int r = uv_write(&c->write, &c->to.stream, &rest, 1, on_written);
    if (r) {
        c->busy = false;
        fail(c, false, uv_strerror(r));
    }
}

void redis_conn_begin(struct redis_conn *c)
{
    c->mark = c->out.len;
}

void redis_conn_command(struct redis_conn *c, unsigned args)
{
    buf_printf(&c->out, "*%u\r\n", args);
}

void redis_conn_pieces(struct redis_conn *c, const struct str *piece, unsigned pieces)
{
    size_t n = 0;
    for (unsigned i = 0; i < pieces; i++)
        n += piece[i].n;
    buf_printf(&c->out, "$%zu\r\n", n);
    for (unsigned i = 0; i < pieces; i++)
        buf_str(&c->out, piece[i]);
    buf_lit(&c->out, "\r\n");
}

void redis_conn_arg(struct redis_conn *c, struct str arg)
{
    redis_conn_pieces(c, &arg, 1);
}

void redis_conn_number(struct redis_conn *c, uint64_t n)
{
    char text[24];
    int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
    redis_conn_arg(c, (struct str){text, (size_t)len});
}

/* A turn in which so much is sent should not wait for its end.  An error is left to the flush. */
static void write_some(struct redis_conn *c)
{
    if (!c->opened || c->busy || c->closing)
        return;
    uv_buf_t all = uv_buf_init(c->out.data, (unsigned)c->out.len);
    int n = uv_try_write(&c->to.stream, &all, 1);
    if (n <= 0)
        return;
    c->out.len -= (size_t)n;
    memmove(c->out.data, c->out.data + n, c->out.len);
}

int redis_conn_end(struct redis_conn *c)
{
    int r = c->out.failed;
    if (r) {
        c->out.len = c->mark;
        c->out.failed = 0;
    } else if (c->out.len - c->mark + c->unwritten > OUT_SOON) {
        c->unwritten = 0;
        write_some(c);
    } else {
        c->unwritten += c->out.len - c->mark;
    }
    wants_flush(c);
    return r;
}

/* --- connecting --- */

static void on_connected(uv_connect_t *connect, int status)
{
    struct redis_conn *c = connect->data;
    if (c->closing)
        return;
    int r = status < 0 ? status : uv_read_start(&c->to.stream, on_room, on_read);
    if (r < 0) {
        fail(c, false, uv_strerror(r));
        return;
    }
    c->opened = true;
    c->events->opened(c->user);
    wants_flush(c);
}

/* A peer that is gone without a word is noticed by the kernel, at no cost to an idle host. */
static void set_tcp(struct redis_conn *c)
{
    int fd, every = KEEPALIVE_EVERY, count = KEEPALIVE_COUNT, timeout = USER_TIMEOUT;
    uv_tcp_nodelay(&c->to.tcp, 1);
    uv_tcp_keepalive(&c->to.tcp, 1, KEEPALIVE_AFTER);
    if (uv_fileno(&c->to.handle, &fd))
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

static int start(struct redis_conn *c, const struct redis_address *to)
{
    if (to->path) {
        uv_pipe_connect(&c->connect, &c->to.pipe, to->path, on_connected);
        return 0;
    }
    int r = uv_tcp_connect(&c->connect, &c->to.tcp, &to->ip.any, on_connected);
    if (!r)
        set_tcp(c);
    return r;
}

int redis_conn_open(uv_loop_t *loop, const struct redis_address *to,
                    const struct redis_conn_events *events, void *user, struct redis_conn **ret,
                    struct err *e)
{
    struct redis_conn *c = calloc(1, sizeof(*c));
    struct reply_reader *reader = reply_reader_new();
    if (!c || !reader) {
        free(c);
        reply_reader_free(reader);
        return err_set(e, -ENOMEM, "no memory for a connection");
    }
    c->reader = reader;
    buf_init(&c->out, CONN_OUT_BYTES);
    buf_init(&c->writing, CONN_OUT_BYTES);
    int r = to->path ? uv_pipe_init(loop, &c->to.pipe, 0) : uv_tcp_init(loop, &c->to.tcp);
    if (r) {
        reply_reader_free(reader);
        free(c);
        return err_set(e, r, "%s", uv_strerror(r));
    }
    uv_prepare_init(loop, &c->flush);
    c->handles = 2;
    c->to.handle.data = c->flush.data = c->connect.data = c->write.data = c;
    r = start(c, to);
    if (r) {
        redis_conn_close(c);
        return err_set(e, r, "%s", uv_strerror(r));
    }
    c->events = events;
    c->gone = events->gone;
    c->user = user;
    *ret = c;
    return 0;
}
