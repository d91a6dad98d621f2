#include "transport/output.h"

#include <errno.h>
#include "base/log.h"

enum { COMPACT_FROM = 64 * 1024 };

static struct output *output_of(struct stream *s)
{
    return (struct output *)s;
}

static void drop_sent(struct output *o)
{
    size_t unsent = output_unsent(o);
    if (unsent)
        memmove(o->buf.data, o->buf.data + o->sent, unsent);
    o->buf.len = unsent;
    o->sent = 0;
}

/* Written bytes in front are dropped once they are more than what would have to move. */
static void compact(struct output *o)
{
    if (o->sent >= COMPACT_FROM && o->sent >= output_unsent(o))
        drop_sent(o);
}

static void die(struct output *o, int error);

/* A short message fits in any case, so that each request gets at least its error: when memory is
 * short, what is written makes place.  A client that does not even take that is given up. */
static void keep_room(struct output *o)
{
    o->buf.max = SIZE_MAX;
    if (buf_reserve(&o->buf, OUTPUT_SHORT) == 0)
        return;
    o->buf.failed = 0;
    output_flush(o);
    drop_sent(o);
    if (buf_reserve(&o->buf, OUTPUT_SHORT) && !o->dead)
        die(o, -ENOMEM);
    o->buf.failed = 0;
}

static struct buf *stream_begin(struct stream *s)
{
    struct output *o = output_of(s);
    compact(o);
    keep_room(o);
    o->mark = o->buf.len;
    bool hard = output_unsent(o) >= o->high + OUTPUT_HARD;
    o->buf.max = o->mark + (hard ? OUTPUT_SHORT : OUTPUT_MESSAGE);
    return &o->buf;
}

static int stream_end(struct stream *s)
{
    struct output *o = output_of(s);
    buf_byte(&o->buf, '\n');
    int failed = o->buf.failed;
    if (failed || o->dead) {
        o->buf.len = o->mark;
        o->buf.failed = 0;
        return failed;
    }
    if (output_unsent(o) > o->high)
        o->full = true;
    return 0;
}

static bool stream_congested(const struct stream *s)
{
    const struct output *o = (const struct output *)s;
    return output_unsent(o) > o->high;
}

static void die(struct output *o, int error)
{
    if (error == -EPIPE || error == -ECONNRESET)
        log_info("the client has closed its end of the output");
    else
        log_error("the output can't be written: %s", strerror(-error));
    o->dead = true;
    o->full = o->waiting = false;
    o->buf.len = o->sent = 0;
    channel_watch(&o->channel, 0, NULL);
    o->changed(o->arg);
}

static void on_event(uv_poll_t *p, int status, int events);

static void watch(struct output *o)
{
    channel_watch(&o->channel, o->waiting ? UV_WRITABLE : UV_PRIORITIZED, on_event);
}

/* Without UV_WRITABLE only the end of the other side or a failure wakes this up.  (libuv reports
 * POLLERR as a failed status and stops watching.) */
static void on_event(uv_poll_t *p, int status, int events)
{
    struct output *o = p->data;
    (void)events;
    if (o->waiting) {
        o->waiting = false;
        output_flush(o);
        if (!o->waiting && !o->dead)
            watch(o);
    } else if (channel_hung_up(&o->channel)) {
        die(o, -EPIPE);
    } else {
        /* Out-of-band data and the like: of no interest, and it would come again and again. */
        channel_watch(&o->channel, 0, NULL);
        if (status < 0)
            log_debug("watching the output ended: %s", uv_strerror(status));
    }
}

int output_open(struct output *o, uv_loop_t *loop, int fd, size_t high, void (*changed)(void *),
                void *arg, struct err *e)
{
    *o = (struct output){.stream = {stream_begin, stream_end, stream_congested},
                         .high = high,
                         .changed = changed,
                         .arg = arg};
    int r = channel_open(&o->channel, loop, fd, CHANNEL_WRITE, e);
    if (r < 0)
        return r;
    o->channel.poll.data = o;
    o->buf.max = SIZE_MAX;
    if (buf_reserve(&o->buf, OUTPUT_SHORT))
        return err_set(e, -ENOMEM, "out of memory for the output");
    watch(o);
    return 0;
}

void output_flush(struct output *o)
{
    if (o->waiting || o->dead)
        return;
    while (o->sent < o->buf.len) {
        ssize_t n = channel_write(&o->channel, o->buf.data + o->sent, output_unsent(o));
        if (n == -EAGAIN) {
            o->waiting = true;
            watch(o);
            break;
        }
        if (n < 0) {
            die(o, (int)n);
            return;
        }
        o->sent += (size_t)n;
        o->written += (size_t)n;
    }
    if (o->sent == o->buf.len)
        o->buf.len = o->sent = 0;
    if (o->full && output_unsent(o) <= o->high / 2) {
        o->full = false;
        o->changed(o->arg);
    }
}

void output_trim(struct output *o)
{
    if (o->buf.len)
        return;
    buf_clear(&o->buf, OUTPUT_KEEP);
    o->buf.max = SIZE_MAX;
    buf_reserve(&o->buf, OUTPUT_SHORT); /* while there is memory for it */
    o->buf.failed = 0;
}

void output_close(struct output *o, void (*closed)(void *), void *arg)
{
    buf_release(&o->buf);
    o->sent = 0;
    o->dead = true;
    channel_close(&o->channel, closed, arg);
}
