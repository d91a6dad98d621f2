/* host/services/redis/link_internal.h - private to link*.c.
 *
 * link.c      connecting, the handshake, failing
 * link_ops.c  operations, and how it is noticed that nobody answers them */
#ifndef MANIFOLD_SERVICES_REDIS_LINK_INTERNAL_H
#define MANIFOLD_SERVICES_REDIS_LINK_INTERNAL_H

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "engine/rate.h"
#include "services/redis/link.h"
#include "services/redis/resolve.h"

enum { COMMANDS, CHANNEL, CONNS };
enum step { STEP_AUTH, STEP_SELECT, STEP_LAST, STEP_DONE };

struct half {
    struct redis_link *link;
    struct redis_conn *conn; /* NULL: none */
    enum step step;
    bool pinged; /* and no reply yet */
};

struct redis_link {
    uv_loop_t *loop;
    const struct cache_spec *spec;
    char *channel; /* owned */
    const struct redis_link_events *events;
    void *user;
    enum redis_link_state state;
    struct half half[CONNS];
    uv_timer_t timer;              /* what comes next in this state */
    uv_timer_t op_timer;           /* when the next operation is late */
    struct redis_resolve *resolve; /* NULL: no name is looked up */
    struct redis_addresses addresses;
    uint32_t attempt;               /* counts, picks the address */
    unsigned wait;                  /* ms before the next attempt */
    struct redis_op *first, **last; /* without reply, oldest first */
    struct redis_op *timely;        /* the first that is not late */
    uint32_t late_in_row;
    uint64_t heard, up_since, silent_since, ping_sent; /* ns */
    struct redis_op ping;
    char why[160];
    char said[160]; /* what the log was told last */
    struct rate_bucket says;
    bool was_up;
    struct redis_link_counters count;
    unsigned handles; /* its own, and connections that are not gone */
    bool closing;
    void (*gone)(void *arg);
    void *gone_arg;
};

/* --- link.c --- */

/* DOWN, and all operations are lost.  Safe at any place but within a batch: the connections close
 * later.  `broken`: it is no Redis, or of no use to us. */
void link_fail(struct redis_link *l, bool broken, const char *why);
void link_say(struct redis_link *l, enum log_level level, const char *what);

/* --- link_ops.c --- */

void link_reply(struct redis_link *l, const struct reply *r);
void link_lose_all(struct redis_link *l);
/* The state is UP now: looks after the connections while it is. */
void link_watch(struct redis_link *l);

#endif
