/* host/runtime/host.h - everything a running host is, under one roof.
 * Owner: main's command.  Loop thread. */
#ifndef MANIFOLD_RUNTIME_HOST_H
#define MANIFOLD_RUNTIME_HOST_H

#include "config/settings.h"
#include "runtime/catalogue.h"
#include "services/services.h"

/* A manifest that could not be served, or an entry hidden by a collision. */
struct problem {
    char *plugin;         /* owned; instance name or file stem */
    const char *sentence; /* err_keep()'s */
    bool fatal;           /* the whole plugin is not served; else a part or a warning */
};

struct host_options {
    const char *keep_libraries;
    /* Reads the settings anew, on a thread of the host; NULL: reload keeps those it has. */
    int (*settings)(void *arg, struct settings **ret, struct err *e);
    void *arg;
};

/* Who wants to know what has changed: a client's session.  The first two only note it. */
struct host_listener {
    struct list in_host;
    void (*lists_changed)(struct host_listener *l, unsigned kinds); /* bits 1 << ENTRY_* */
    void (*resource_updated)(struct host_listener *l, struct str uri);
    /* Tells its client what it has noted.  False: not all of it can be told now; ask again. */
    bool (*tell)(struct host_listener *l);
    uint32_t subscriptions; /* that it has; the listener's own count */
};

struct host {
    uv_loop_t *loop;
    struct host_options options;
    struct settings *settings;
    struct services *services; /* owned */
    struct engine *engine;
    struct catalogue *catalogue;
    struct manifest **manifest; /* owned; in source and file order */
    struct instance **instance; /* parallel to manifest; NULL where none could be made */
    uint32_t manifests;
    struct problem *problem; /* owned */
    uint32_t problems;
    struct reload *reload;   /* owned; NULL until the first one */
    struct notices *notices; /* owned; NULL until there is something to tell */
    struct list listeners;   /* struct host_listener */
    const char *last_reload; /* "done", "refused" or NULL */
    uint64_t reloads;
    uint64_t started_ns;
    double started;      /* seconds since 1970 */
    uint64_t generation; /* of the catalogue, from 1 */
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* Reads all sources, builds the catalogue, makes the instances; loads no code.  `settings` is taken
 * over.  A bad manifest is a problem, not an error.  On an error the process is to end: what was
 * made is kept, as the loop has handles of it. */
int host_open(uv_loop_t *loop, struct settings *settings, const struct host_options *o,
              struct host **ret, struct err *e);
/* Starts loading what says `load: eager`.  Call once the transport is up. */
void host_load_eager(struct host *h);
/* engine_stop(), then what the services have open; `done` once, on the loop. */
void host_stop(struct host *h, unsigned grace_ms, void (*done)(void *arg), void *arg);
/* After `done`. */
void host_free(struct host *h);

/* The content of manifold://status: one JSON object. */
void status_write(const struct host *h, struct buf *out);
/* The content of perf://metrics: one JSON object. */
void perf_write(const struct host *h, struct buf *out);
/* The same figures as text for Prometheus (exposition format 0.0.4), appended piece by piece, each
 * of about a millisecond: false with the last.  To be ended in any case, before the host stops.
 * NULL: no memory. */
struct exposition;
struct exposition *exposition_begin(struct host *h);
bool exposition_step(struct exposition *x, struct buf *out);
void exposition_end(struct exposition *x);

#endif
