/* host/transport/admin.h - the host's own door: `manifold status`, `metrics` and `reload`.
 *
 * A unix socket, 0600, for this user and root alone (SO_PEERCRED too).  A client
 * sends one line, gets one line, and is closed:
 *
 *   {"command":"ping"}     {"pid":N,"version":"..."}
 *   {"command":"status"}   the object of manifold://status
 *   {"command":"perf"}     the object of perf://metrics
 *   {"command":"metrics"}  {"text":"..."}: the same for Prometheus
 *   {"command":"reload"}   {"ok":true,"summary":"..."}, once the reload has ended
 *   anything else          {"error":"..."}
 *
 * Bounded: ADMIN_CLIENTS at a time (others wait in the kernel's queue), ADMIN_REQUEST bytes,
 * ADMIN_LIMIT for the request to be there and again for the answer to be taken.  Nothing waits:
 * reads and writes happen when the socket is ready.  An idle door costs nothing.  Loop thread. */
#ifndef MANIFOLD_TRANSPORT_ADMIN_H
#define MANIFOLD_TRANSPORT_ADMIN_H

#include <uv.h>
#include "base/buf.h"
#include "base/err.h"

enum {
    ADMIN_CLIENTS = 4,
    ADMIN_REQUEST = 4096,
    ADMIN_ANSWER = 64 << 20,
    ADMIN_LIMIT = 5000, /* milliseconds */
    ADMIN_RETRY = 1000  /* until the next try when no descriptor is left for a client */
};

struct admin;
struct host;
struct exposition;

struct admin_options {
    const char *path; /* NULL: named by pid (admin_socket.h); not kept */
    struct host *host;
    void (*status)(const struct host *h, struct buf *out);
    /* NULL, as are those below: there is no such command. */
    void (*perf)(const struct host *h, struct buf *out);
    struct { /* plain text, in pieces: see runtime/host.h */
        struct exposition *(*begin)(struct host *h);
        bool (*step)(struct exposition *x, struct buf *out);
        void (*end)(struct exposition *x);
    } metrics;
    /* Calls `done` on the loop exactly once, at once or later, after admin_close() too. */
    void (*reload)(struct host *h, void (*done)(void *arg, bool ok, const char *summary),
                   void *arg);
};

/* 0, or negative errno with a sentence: the host does without. */
int admin_open(uv_loop_t *loop, const struct admin_options *o, struct admin **ret, struct err *e);
/* Borrowed, until admin_close(). */
const char *admin_path(const struct admin *a);
/* Drops the clients and removes the socket at once; the memory goes once the loop has run its close
 * callbacks.  NULL: nothing. */
void admin_close(struct admin *a);

#endif
