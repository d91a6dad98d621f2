/* host/transport/stdio.h - one client over standard input and output (or any other pair of
 * descriptors), one JSON message a line.
 *
 * (MCP 2026-07-28 basic/transports/stdio.mdx; the same framing in all older
 * revisions.)  It reads big, hands every complete line to the session, and writes
 * once a turn of the loop.  While the output is full it hands nothing over and reads
 * nothing.
 *
 * The end: when the input ends, the output's reader goes away or stdio_stop()
 * is called, calls in flight get STDIO_GRACE, then they are cancelled, what
 * is unsent is written as long as the reader takes some of it every STDIO_STALL,
 * and `ended` is called.  Loop thread. */
#ifndef MANIFOLD_TRANSPORT_STDIO_H
#define MANIFOLD_TRANSPORT_STDIO_H

#include "mcp/session.h"

enum { STDIO_GRACE = 100, STDIO_STALL = 1000 }; /* milliseconds */

struct stdio;

struct stdio_options {
    int in, out;      /* taken over in any case */
    uint64_t message; /* longest line: limits.message */
    uint64_t output;  /* limits.output */
    /* Once, on the loop, from none of the session's functions: the session may be freed in it.
     * `why` is a literal for the log. */
    void (*ended)(void *arg, const char *why);
    void *arg;
};

/* `session` outlives the call of `ended`. */
int stdio_open(uv_loop_t *loop, struct session *session, const struct stdio_options *o,
               struct stdio **ret, struct err *e);
/* Begins the end as if the input had ended here; once begun, does nothing. */
void stdio_stop(struct stdio *s, const char *why);
/* Only after `ended`; the memory goes once the loop has run its close callbacks. */
void stdio_close(struct stdio *s);

#endif
