/* host/runtime/reload_internal.h - private to reload*.c: one reload on its way. */
#ifndef MANIFOLD_RUNTIME_RELOAD_INTERNAL_H
#define MANIFOLD_RUNTIME_RELOAD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include "runtime/internal.h"
#include "runtime/reload.h"

enum { WATCHES = 64, WATCH_AFTER = 200 }; /* milliseconds */

struct waiter {
    struct list node;
    void (*done)(void *arg, bool ok, const char *summary);
    void *arg;
};

/* One plugin as it will be served. */
struct slot {
    struct manifest *manifest; /* the instance's, or of a plugin without one */
    struct instance *instance;
    struct instance *old; /* what a fresh instance takes the place of; NULL: nothing */
    struct library *library;
    const char *error; /* err_keep()'s; why the fresh one can't */
    bool fresh;        /* manifest and instance are the reload's, until the swap */
    bool same;         /* what serves is what the files say */
    bool asked, handover;
};

/* Names of plugins whose change waits until an older generation is gone; owned. */
struct waits {
    char **name;
    uint32_t count;
};

/* What takes the place of the host's own arrays. */
struct served {
    struct manifest **manifest;
    struct instance **instance;
    struct catalogue *catalogue;
    uint64_t generation; /* of the catalogue */
};

enum phase { RELOAD_IDLE, RELOAD_BUILDING, RELOAD_OPENING };

struct reload {
    struct host *host;
    uv_async_t step;
    uv_timer_t settle;   /* of `watch` */
    struct list watches; /* struct watch, reload_watch.c's */
    unsigned handles;
    enum phase phase;
    bool again; /* asked for while one runs */
    bool closing;
    bool refusal_noted;    /* the last of the host's problems says that a reload was refused */
    struct list now, next; /* struct waiter */
    /* The builder's until `built`. */
    pthread_t builder;
    bool building; /* there is that thread */
    atomic_bool built;
    char **loaded; /* owned; names */
    uint32_t loadeds;
    struct settings *settings; /* NULL: as they are */
    int error;
    bool config_bad; /* it is the config that the error is about */
    struct err e;
    struct stage stage;
    /* Then the loop's. */
    struct waits waits, planned_waits;
    struct slot *slot;
    uint32_t slots, opening;
    struct served made;
    uint32_t changed, added, removed, kept, refused;
    uint64_t began; /* ns */
};

/* The host's, made now; NULL: no memory, or the loop gives no handle. */
struct reload *reload_open(struct host *h);
/* Starts a thread that fills settings and stage, then sends `step`.  0, or negative errno and
 * sentence. */
int reload_build(struct reload *r, struct err *e);
/* What the stage makes of each plugin: kept, fresh, or refused with a problem.  0 or -ENOMEM. */
int reload_plan(struct reload *r);
/* Makes what will be in force.  0 or -ENOMEM; nothing that serves has been touched. */
int reload_compose(struct reload *r);
/* Puts it in place; can't fail. */
void reload_swap(struct reload *r);
void waits_release(struct waits *w);
/* Forgets what was built and not put in place. */
void reload_discard(struct reload *r);

/* Says in the log what has changed, and lets clients know after a while. */
void lists_compare(struct host *h, const struct catalogue *old, const struct catalogue *now);
void watch_settled(uv_timer_t *t);
void watch_stop(struct reload *r);
void reload_handle_closed(uv_handle_t *h);

#endif
