/* host/services/http/http.h - private to services/: manifold.http/1, the host's half.
 *
 * A request (struct http_op) goes through these files, one idea each:
 *
 *   http.c     the vtable a plugin gets; open and close
 *   request.c  what a plugin asks for: copied, and refused where it is no request
 *   load.c     maps the module, off the loop; requests wait
 *   right.c    what the grants allow
 *   op.c       its life: place in the queue, transfers, one end
 *   lines.c    the header lines of a transfer
 *   answer.c   what came of a transfer: an answer, a redirect, a retry
 *   queue.c    whose turn it is: total, per_host; and what is known of a host (breaker, retries)
 *   pool.c     libcurl's sockets and timers on the loop; connections of public and private grants
 *   address.c  which addresses are public
 *   module/    what is mapped on demand: all that touches libcurl
 *
 * All of it on the loop, but for the vtable's functions and request.c. */
#ifndef MANIFOLD_SERVICES_HTTP_H
#define MANIFOLD_SERVICES_HTTP_H

#include <uv.h>
#include "base/buf.h"
#include "base/map.h"
#include "config/grants.h"
#include "engine/op.h"
#include "services/http/module.h"

struct services;

enum {
    HTTP_METHOD_MAX = 16,
    HTTP_HEADER_BYTES = 65536,  /* of the headers of one request */
    HTTP_REDIRECT_BODY = 65536, /* of a redirect, read so that the connection lives */
    HTTP_TRIES = 3,             /* with MF_HTTP_RETRY */
    HTTP_NAMES_LOST = 32,       /* name look-ups given up, of one instance */
    HTTP_PEERS = 1024,          /* hosts that something is remembered of */
    HTTP_FAILURES = 5,          /* in a row: the host's breaker opens */
    HTTP_RETRY_TOKENS = 100,
    HTTP_RETRY = 10 /* a request brings 1, a retry takes 10: 10 % */
};
#define HTTP_MS           UINT64_C(1000000)
#define HTTP_TIMEOUT      (30 * 1000 * HTTP_MS) /* without a call */
#define HTTP_BREAK        (10 * 1000 * HTTP_MS) /* a host's breaker stays open */
#define HTTP_BACKOFF      (100 * HTTP_MS) /* before the first retry at most, doubled for each */
#define HTTP_NAME_LOST_NS (30 * 1000 * HTTP_MS) /* what a name server may take in the end */

/* For metrics.  Monotonic but for the last two. */
struct http_counters {
    uint64_t requests; /* taken */
    uint64_t answers;  /* with a code, whichever */
    uint64_t errors;   /* ended without one, those below included */
    uint64_t denied;   /* not granted, or to an address that is not */
    uint64_t timeouts;
    uint64_t limits;  /* bodies and headers over their maximum */
    uint64_t refused; /* by a host's breaker */
    uint64_t retries, redirects;
    uint64_t sent;        /* bytes of bodies */
    uint64_t received;    /* bytes of bodies, decoded */
    uint64_t connections; /* opened */
    uint32_t active, waiting;
};

struct http_op;

/* One host as all plugins see it: scheme, name, port, and whether private addresses are allowed. */
struct http_peer {
    struct map_node node; /* key: owned */
    struct list in_idle;  /* of http.idle_peers, oldest first, while refs is 0 */
    uint32_t refs;        /* lanes */
    uint32_t failures;    /* to connect, in a row */
    uint64_t open_until;  /* breaker; ns */
    bool trial;           /* one request finds out whether it is back */
    uint32_t retry_tokens;
    struct http_counters count;
};

/* The requests of one plugin to one host. */
struct http_lane {
    struct map_node node; /* in http_instance.lanes; key: the peer's */
    struct http_peer *peer;
    struct http_instance *own;
    struct list waiting;    /* struct http_op.in_lane */
    struct list in_waiting; /* of http.lanes, while something waits */
    uint32_t active, ops;
};

/* Of one instance; part of struct instance_services. */
struct http_instance {
    struct http *http; /* the host's */
    struct map lanes;
    struct http_counters count;
    _Atomic uint64_t held;               /* bytes of requests; any thread */
    uint64_t name_lost[HTTP_NAMES_LOST]; /* ns: when a look-up that was given up ends at last */
};

enum http_load { HTTP_UNLOADED, HTTP_LOADING, HTTP_LOADED, HTTP_NO_MODULE };

/* pool.c */
struct http_net {
    struct http *http;
    struct http_pool *pool; /* NULL: nothing was asked of it for a while */
    uv_timer_t timer, idle;
    uint32_t transfers;
};

/* One in this process. */
struct http {
    uv_loop_t *loop;
    uv_thread_t loop_thread;
    struct http_client_spec spec;
    enum http_load load;
    const struct http_module *module; /* once LOADED */
    char why[HTTP_WHY + 200];         /* NO_MODULE */
    uv_thread_t loader;
    uv_async_t loaded;
    struct list loading;    /* struct http_op.in_lane: wait for the module */
    struct http_net net[2]; /* [1]: grants with `private: true` */
    bool nets_open, closing;
    struct map peers;
    struct list idle_peers, lanes;
    bool pumping;
    struct http_counters count;
    uint32_t handles; /* of the loop, that are not closed yet */
    void (*closed)(void *arg);
    void *closed_arg;
};

enum http_step {
    HTTP_STEP_LOADING, /* the module is not there yet */
    HTTP_STEP_WAITING, /* for its turn */
    HTTP_STEP_ACTIVE,
    HTTP_STEP_BACKOFF, /* before it is tried again */
    HTTP_STEP_ENDED
};

/* What a plugin asked for; owned copies. */
struct http_request {
    uint32_t flags;
    char *grant; /* "": whichever allows it */
    char method[HTTP_METHOD_MAX + 1];
    char *url;
    char *line[MF_HTTP_HEADERS_MAX + 1]; /* "Name: value", NULL at the end */
    char *body;
    size_t body_len, held;
    uint64_t timeout, body_max;
};

struct http_op {
    struct op op; /* first */
    struct http *http;
    struct http_request rq;
    bool stream;
    mf_http_cb head, end;
    int32_t (*chunk)(void *arg, mf_op op, mf_bytes bytes);
    void *arg;
    /* where it stands */
    enum http_step step;
    uv_timer_t timer;
    uint64_t deadline, again; /* ns; again: end of the backoff */
    const struct http_grant *grant;
    struct http_url first, url;       /* url: that is asked now */
    char method[HTTP_METHOD_MAX + 1]; /* of now: a redirect may make it GET */
    bool bodyless;                    /* a redirect has dropped the body */
    bool strayed;                     /* a redirect has left the first scheme, host or port */
    struct http_lane *lane;
    struct list in_lane;
    struct http_transfer *transfer;
    uint32_t tries, redirects;
    bool trial, naming, head_came, paused;
    char *location;   /* of a redirect that is followed when it has ended */
    char dialled[64]; /* an address that may not be; "": none */
    const char *dialled_kind;
    bool dialled_any; /* another address was allowed */
    /* the answer */
    uint32_t code;
    struct buf text;          /* header lines */
    mf_header *header;        /* owned; into text */
    struct http_url leads_to; /* NO_REDIRECT */
    uint32_t headers;
    struct buf body;
    uint64_t body_max, received;
    mf_status status;
    char *why; /* of the end; owned */
};

/* --- request.c --- */

/* Copies; false: it is no request, or there is no room, and the log says so.  Any thread. */
bool http_request_take(struct instance *in, const mf_http_request *from, struct http_request *to);
void http_request_release(struct instance *in, struct http_request *rq);
/* Is it the header of this name (in any case)? */
bool http_line_is(const char *line, const char *name);

/* --- load.c --- */

/* Begins, unless it has begun. */
void http_load(struct http *h);

/* --- right.c --- */

/* True: it has some right, perhaps not this one; false: it has ended. */
bool http_op_has_any_right(struct http_op *o);
/* Sets the grant for the URL and method of now.  False: it has ended. */
bool http_op_take_right(struct http_op *o);
/* No address of the host may be dialled. */
void http_op_refuse_address(struct http_op *o);

/* --- op.c --- */

extern const struct op_kind http_request_kind, http_stream_kind;
/* The module is there, or will not be. */
void http_op_loaded(struct http_op *o);
/* Queues it for its URL of now. */
void http_op_go(struct http_op *o, bool front);
/* Its turn has come: it is active. */
void http_op_begin(struct http_op *o);
/* Ends it, unless it has ended.  The transfer is cancelled, if there is one. */
void http_op_finish(struct http_op *o, mf_status status);
void http_op_fail(struct http_op *o, mf_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Until the deadline, or the end of the backoff. */
void http_op_arm(struct http_op *o);
/* "GET http://a.example/x", not too long for a sentence. */
enum { HTTP_SHOWN = 200 };
const char *http_op_shown(const struct http_op *o, char out[HTTP_SHOWN]);

/* --- lines.c --- */

struct http_lines {
    const char *line[MF_HTTP_HEADERS_MAX + 8 + 1];
    unsigned count;
    struct buf inject; /* "Name: secret" */
    struct trace trace;
    char parent[80], state[TRACE_STATE_MAX + 20];
};
/* False: no memory.  The lines borrow from both. */
bool http_lines_make(struct http_op *o, struct http_lines *l);
/* Wipes the secret. */
void http_lines_release(struct http_lines *l);

/* --- answer.c --- */

/* What the module is given. */
extern const struct http_module_host http_module_host;
void http_op_fill_answer(struct http_op *o, mf_http_answer *a);
/* op_send() of resume(). */
void http_op_resume(struct op *op);

/* --- queue.c --- */

/* Behind the others of its host (or, `front`, before them).  False: no memory. */
bool http_queue_enter(struct http_op *o, bool front);
/* It is not active or does not wait any more.  Idempotent. */
void http_queue_leave(struct http_op *o);
/* Whose turn is it? */
void http_queue_pump(struct http *h);
/* May a request go to this host now?  False: for how many ns not. */
bool http_peer_admits(struct http_peer *p, uint64_t now, uint64_t *ret_wait);
/* A connection stood (or could not be made). */
void http_peer_told(struct http_op *o, bool connected);
/* Takes what a retry costs; false: the host has had its share of them. */
bool http_peer_retries(struct http_peer *p);
void http_queue_release(struct http *h);
/* Of an instance that has no operation left. */
void http_instance_release(struct http_instance *own);

/* --- pool.c --- */

/* The module's functions for `private` grants or all others.  NULL: no memory. */
struct http_net *http_net_get(struct http *h, bool private_ranges);
void http_net_began(struct http_net *n);
void http_net_ended(struct http_net *n);
void http_net_timer(void *arg, long ms);
void *http_net_watch(void *arg, void *watch, int fd, int events);
/* Closes everything; http.handles counts what the loop still has to close. */
void http_nets_close(struct http *h);
/* One handle fewer; ends http_close() with the last. */
void http_handle_closed(struct http *h);

/* --- http.c --- */

const void *http_extension(struct services *s, struct instance *in);

struct http *http_new(uv_loop_t *loop, const struct http_client_spec *spec);
/* No operation is left.  `done` once, perhaps inside. */
void http_close(struct http *h, void (*done)(void *arg), void *arg);
void http_free(struct http *h);

#endif
