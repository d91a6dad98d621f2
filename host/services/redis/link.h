/* host/services/redis/link.h - the host's tie to Redis: two connections that are there together or
 * not at all, one for commands and one that is subscribed to a channel.
 *
 * It is UP when both are authenticated and the subscription is confirmed; whoever is told so may
 * have missed messages until then and none from then on, until it is told DOWN.  When nothing is
 * heard for three timeouts, or one read after another is late, it is SILENT: no more reads are
 * asked, a ping is sent until one is answered in time.  Connections that stay silent are made anew.
 * An attempt begins at most ATTEMPT_EVERY after the last one has failed, and each fails within
 * HANDSHAKE_MS, so that a Redis that is back is used again within two seconds.
 *
 * All functions and events: loop thread. */
#ifndef MANIFOLD_SERVICES_REDIS_LINK_H
#define MANIFOLD_SERVICES_REDIS_LINK_H

#include "config/settings.h"
#include "services/redis/conn.h"

enum { LINK_OPS = 32768 }; /* operations without reply, at most */

struct redis_link;

enum redis_link_state { LINK_DOWN, LINK_CONNECTING, LINK_UP, LINK_SILENT };

struct redis_link_events {
    void (*up)(void *user); /* also after SILENT it is not told: nothing was missed */
    void (*message)(void *user, struct str payload); /* borrowed */
};

/* One or more commands whose replies come one after the other. */
struct redis_op;
struct redis_op_kind {
    void (*reply)(struct redis_op *op, const struct reply *r); /* op->replies are still to come */
    void (*late)(struct redis_op *op); /* once, when the timeout is over; NULL: does not matter */
    void (*lost)(struct redis_op *op); /* the rest of the replies will not come; last */
};
struct redis_op {
    const struct redis_op_kind *kind;
    struct redis_op *next;
    uint64_t sent; /* ns */
    uint32_t replies;
    bool is_late;
};

struct redis_link_counters {
    uint64_t commands, replies, errors, timeouts, reconnects, pending;
};

/* `spec` is borrowed as long as the link lives.  It begins to connect.  NULL: no memory. */
struct redis_link *redis_link_open(uv_loop_t *loop, const struct cache_spec *spec,
                                   struct str channel, const struct redis_link_events *events,
                                   void *user);
/* What is without reply is lost() inside.  `gone` once, on the loop: its handles are closed and its
 * memory is given back. */
void redis_link_close(struct redis_link *l, void (*gone)(void *arg), void *arg);

enum redis_link_state redis_link_state(const struct redis_link *l);
/* Why it is not UP; NULL when it is.  Borrowed until the next turn of the loop. */
const char *redis_link_why(const struct redis_link *l);
/* To build a batch in (redis_conn_begin() ... redis_conn_end()); NULL: not now. */
struct redis_conn *redis_link_batch(struct redis_link *l);
/* The batch is on its way; `op`, with kind and replies set, waits for it. */
void redis_link_expect(struct redis_link *l, struct redis_op *op);
/* Redis answered, but in a way that makes it of no use (READONLY, NOAUTH): DOWN.  `why` is copied.
 */
void redis_link_reject(struct redis_link *l, const char *why);
void redis_link_count(const struct redis_link *l, struct redis_link_counters *ret);

#endif
