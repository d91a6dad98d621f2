/* host/transport/output.h - answers on their way out: one bounded queue, one write a turn of the
 * loop.
 *
 * Messages are appended to one buffer that is reused; output_flush() writes what
 * is there, what the reader does not take waits for POLLOUT.  Over `high` unsent
 * bytes the queue is full: its owner stops handing requests in until it
 * falls to half.  Memory for a short message is kept, so that without any left each is answered as
 * long as the reader takes what is written; one that does not is given up (dead).  Calls in flight
 * may still answer: up to OUTPUT_HARD above that with messages of any size, beyond with short ones
 * (errors), so memory is bounded whatever the reader does.  Loop thread. */
#ifndef MANIFOLD_TRANSPORT_OUTPUT_H
#define MANIFOLD_TRANSPORT_OUTPUT_H

#include "mcp/session.h"
#include "transport/channel.h"

enum {
    OUTPUT_HARD = 64 << 20,    /* unsent bytes above `high` from which only short messages fit */
    OUTPUT_MESSAGE = 64 << 20, /* longest message */
    OUTPUT_SHORT = 4096,
    OUTPUT_KEEP = 64 * 1024 /* memory kept by output_trim() */
};

struct output {
    struct stream stream; /* first */
    struct channel channel;
    struct buf buf;
    size_t sent;             /* bytes of buf that are written */
    size_t mark;             /* where the message begun last starts */
    size_t high;             /* limits.output */
    bool full;               /* over high, and not yet down to half of it */
    bool waiting;            /* for POLLOUT */
    bool dead;               /* nobody reads any more: what is appended is thrown away */
    uint64_t written;        /* bytes since the start */
    void (*changed)(void *); /* on the loop: full or dead has changed */
    void *arg;
};

/* Takes fd over.  -ENOMEM among the errors.  *o must stay where it is until output_close() has
 * called back. */
int output_open(struct output *o, uv_loop_t *loop, int fd, size_t high, void (*changed)(void *),
                void *arg, struct err *e);
static inline size_t output_unsent(const struct output *o)
{
    return o->buf.len - o->sent;
}
/* Writes what can be written now. */
void output_flush(struct output *o);
/* Gives memory beyond OUTPUT_KEEP back when all is sent. */
void output_trim(struct output *o);
/* What is unsent is thrown away. */
void output_close(struct output *o, void (*closed)(void *), void *arg);

#endif
