/* Batches of 2025-03-26: one array in, one array of the answers out, when the last one has come. */
#include "mcp/internal.h"

#include <errno.h>
#include <stdlib.h>

/* An error of one element that did not fit is at most this long, and there is room for all. */
enum { SMALL = 2 * ID_MAX + 1024 };

struct batch {
    struct stream stream; /* what its elements answer to */
    struct stream *out;
    struct buf buf;     /* answers so far, each with a ',' behind it */
    size_t mark, limit; /* where the answer begins; bytes of answers that are not small */
    uint32_t held;      /* answers still to come, and the reading of the array itself */
    bool lost;          /* there was no memory for an answer, nor for an error in its place */
};

static struct buf *batch_begin(struct stream *st)
{
    struct batch *b = container_of(st, struct batch, stream);
    b->mark = b->buf.len;
    return &b->buf;
}

static int batch_end(struct stream *st)
{
    struct batch *b = container_of(st, struct batch, stream);
    struct buf *buf = &b->buf;
    bool over = buf->len > b->limit && buf->len - b->mark > SMALL;
    if (!buf->failed && !over) {
        buf_byte(buf, ',');
        return 0;
    }
    int failed = buf->failed == -ENOMEM ? -ENOMEM : -ENOBUFS;
    b->lost |= failed == -ENOMEM && buf->len - b->mark <= SMALL;
    buf->len = b->mark;
    buf->failed = 0;
    return failed;
}

static bool batch_congested(const struct stream *st)
{
    const struct batch *b = container_of(st, const struct batch, stream);
    return b->out->congested(b->out);
}

static void batch_send(struct batch *b)
{
    int r = -ENOMEM;
    if (!b->lost) {
        struct buf *out = b->out->begin(b->out);
        buf_reserve(out, b->buf.len + 2);
        buf_byte(out, '[');
        buf_append(out, b->buf.data, b->buf.len - 1);
        buf_byte(out, ']');
        r = b->out->end(b->out);
    }
    if (!r)
        return;
    struct answer a = {.to = b->out, .revision = R_2025_03_26};
    reply_error(&a, ERROR_INTERNAL, STR_NONE,
                r == -ENOMEM ? "the host is out of memory for the answers to a batch"
                             : "the answers to a batch are longer than what may wait for this "
                               "client (limits.output)");
}

void batch_hold(struct batch *b)
{
    b->held++;
}

void batch_drop(struct batch *b, bool send)
{
    if (!send) {
        b->buf.len = 0;
        b->lost = false;
    }
    if (--b->held)
        return;
    if (b->buf.len || b->lost)
        batch_send(b);
    buf_release(&b->buf);
    free(b);
}

void batch_run(struct session *s, json_ref array, struct stream *out)
{
    uint32_t count = s->doc.node[array].count;
    struct answer a = {.to = out, .revision = s->revision};
    if (!s->initialized || s->revision != R_2025_03_26) {
        reply_error(
            &a, ERROR_REQUEST, STR_NONE,
            "expected one JSON-RPC object, found an array (batches are of 2025-03-26 alone)");
        return;
    }
    if (!count || count > BATCH_MAX) {
        reply_error(&a, ERROR_REQUEST, STR_NONE, "expected a batch of 1 to %d messages, found %u",
                    BATCH_MAX, count);
        return;
    }
    struct batch *b = calloc(1, sizeof(*b));
    if (!b) {
        reply_error(&a, ERROR_INTERNAL, STR_NONE, "the host is out of memory for a batch");
        return;
    }
    b->stream = (struct stream){batch_begin, batch_end, batch_congested};
    b->out = out;
    b->limit = s->host->settings->output;
    buf_init(&b->buf, b->limit + (size_t)BATCH_MAX * (SMALL + 1));
    b->held = 1;
    json_each (&s->doc, array, n)
        message_run(s, n, &b->stream, out, b);
    batch_drop(b, true);
}
