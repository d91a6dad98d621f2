/* host/mcp/session.h - one client as the protocol sees it: both eras, decided per message.
 *
 * A transport hands over one complete message at a time and gets bytes back
 * through a stream.  The session never blocks and never closes the transport.
 * (docs/internals/protocol.md; MCP 2026-07-28 basic/versioning.mdx; 2025-11-25 basic/lifecycle.mdx)
 * Loop thread. */
#ifndef MANIFOLD_MCP_SESSION_H
#define MANIFOLD_MCP_SESSION_H

#include "runtime/host.h"

/* Where the answers to a message go: stdio has one for all, HTTP will have one per request. */
struct stream {
    /* A buffer to append exactly one message to, without a line end; then end().  Between the two
     * nothing else is called.  Never NULL; an overflow shows in buf.failed, and then end() takes
     * the partial message back and returns -ENOBUFS, or -ENOMEM. */
    struct buf *(*begin)(struct stream *s);
    int (*end)(struct stream *s);
    /* Unsent bytes are over the limit: notifications are dropped, calls go on. */
    bool (*congested)(const struct stream *s);
};

struct session;

/* `host` outlives the session. */
struct session *session_new(struct host *h);
/* Cancels every call in flight of this client; nothing further is written to any stream. */
void session_free(struct session *s);
/* Calls in flight of this client. */
uint32_t session_calls(const struct session *s);
/* Called each time session_calls() falls to 0, on the loop; at most one listener. */
void session_on_idle(struct session *s, void (*idle)(void *), void *arg);
/* Cancels all calls in flight; each is answered by nothing (used after EOF). */
void session_cancel_all(struct session *s);
/* Each subscriptions/listen gets its result, which says that it has ended in good order: the
 * transport is about to go. */
void session_end_listening(struct session *s);

/* One complete message (no line end), borrowed until the function returns.  `out` must live as long
 * as a request of this message is in flight, or a subscription that it has begun. */
void session_message(struct session *s, struct str message, struct stream *out);
/* A message that the transport could not take: over limits.message.  `id` is the raw id token if it
 * could be found, else {NULL,0}; answered with -32600. */
void session_refuse_oversize(struct session *s, struct str id, uint64_t limit, struct stream *out);

#endif
