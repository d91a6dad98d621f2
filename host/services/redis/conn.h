/* host/services/redis/conn.h - one connection to Redis on the loop: commands out, replies in.
 *
 * hiredis' asynchronous half is not used: it ends the process by assertion when a reply comes that
 * was not asked for, its output has no bound, and it looks names up on the thread that calls it.
 * Its reader of replies is (reply.h); bytes come and go by libuv.
 *
 * Commands are gathered and written at the end of the loop's turn, so what is sent in one turn is
 * one system call.  All functions and events: loop thread. */
#ifndef MANIFOLD_SERVICES_REDIS_CONN_H
#define MANIFOLD_SERVICES_REDIS_CONN_H

#include <netinet/in.h>
#include <uv.h>
#include "services/redis/reply.h"

enum { CONN_OUT_BYTES = 8 << 20 }; /* commands that are not written yet */

struct redis_address {
    const char *path; /* of a Unix socket, or NULL: */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } ip;
};

struct redis_conn;

struct redis_conn_events {
    void (*opened)(void *user);
    void (*reply)(void *user, const struct reply *r); /* borrowed; may close the connection */
    /* Once, unless it was closed; it closes itself, only gone() follows.  `broken`: the other side
     * does not speak Redis, or there was no memory. */
    void (*failed)(void *user, bool broken, const char *why);
    void (*gone)(void *user); /* once, last: nothing of it is left in the loop */
};

/* 0; or negative errno with the sentence, and no event will come. */
int redis_conn_open(uv_loop_t *loop, const struct redis_address *to,
                    const struct redis_conn_events *events, void *user, struct redis_conn **ret,
                    struct err *e);
/* Forgets what is not written; of the events only gone() follows. */
void redis_conn_close(struct redis_conn *c);

/* A batch: one or more commands that are sent all or not at all.
 *   redis_conn_begin(c);
 *   redis_conn_command(c, 3); redis_conn_arg(c, STR("SET")); redis_conn_arg(...) twice
 *   redis_conn_end(c)      0, or -ENOBUFS or -ENOMEM: nothing of the batch is sent */
void redis_conn_begin(struct redis_conn *c);
void redis_conn_command(struct redis_conn *c, unsigned args);
void redis_conn_arg(struct redis_conn *c, struct str arg);
/* One argument that is in pieces. */
void redis_conn_pieces(struct redis_conn *c, const struct str *piece, unsigned pieces);
void redis_conn_number(struct redis_conn *c, uint64_t n);
int redis_conn_end(struct redis_conn *c);

#endif
