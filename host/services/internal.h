/* host/services/internal.h - private to services/. */
#ifndef MANIFOLD_SERVICES_INTERNAL_H
#define MANIFOLD_SERVICES_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/clock.h"
#include "engine/op.h"
#include "engine/pool.h"
#include "services/http/http.h"
#include "services/services.h"

struct cache;
struct cache_space;
struct results;
struct series_set;
struct series_group;
struct notifier;
struct cache_client;

struct services {
    uv_loop_t *loop;
    uv_thread_t loop_thread;
    struct http *http;
    struct cache_spec cache_spec; /* owned */
    struct cache *cache;          /* services_cache() makes it */
    struct results *results;      /* services_results() makes it */
    uint32_t calls;               /* limits.calls */
    pthread_mutex_t lock;
    struct series_set *series; /* under lock; NULL until a plugin asks for metrics/1 */
    uint32_t series_limit;     /* under lock */
    struct services_listener listener;
    void (*closed)(void *arg);
    void *closed_arg;
    bool closing; /* services_close() has begun */
    char *data;   /* owned; settings.data */
};

/* results.h's of one instance.  Loop thread. */
struct instance_results {
    struct cache_space *space; /* NULL until needed */
    bool known;                /* the version is */
    char version[16];
};

/* What one instance has of the services.  Made when it first asks for one; given back when the
 * instance is freed, when it has no operation left. */
struct instance_services {
    struct pool *work;   /* NULL until needed */
    struct files *files; /* files.h; NULL until it asks for them */
    struct http_instance http;
    struct series_group *series; /* set once, before the plugin gets the vtable */
    struct notifier *notifier;   /* the same */
    struct cache_client *cache;  /* the same */
    struct instance_results results;
};

/* That of an instance, made when there is none; NULL: no memory.  Any thread. */
struct instance_services *services_own(struct services *s, struct instance *in);

/* Made when there is none; NULL: it can't be.  Loop thread. */
struct cache *services_cache(struct services *s);
struct results *services_results(struct services *s);

/* One row a service. */
struct service {
    const char *id; /* "manifold.timer/1" */
    /* The vtable for this instance; NULL: not granted, and said so.  NULL function: `vtable` is for
     * everybody.  Any thread. */
    const void *(*open)(struct services *s, struct instance *in);
    const void *vtable;
};

const void *metrics_open(struct services *s, struct instance *in);       /* metrics.c */
const void *notify_open(struct services *s, struct instance *in);        /* notify.c */
void notify_release(struct notifier *n);                                 /* NULL is fine */
const void *cache_open_service(struct services *s, struct instance *in); /* cache/service.c */
void cache_release_service(struct cache_client *c);                      /* NULL is fine */
extern const struct mf_timer timer_vtable;                               /* timer.c */
extern const struct mf_work work_vtable;                                 /* work.c */
extern const struct mf_files files_vtable;                               /* files.c */

/* The files that the instance may use, in its services; files/open.c. */
const void *files_open_service(struct services *s, struct instance *in);

static inline struct instance *instance_of_host(const mf_host *h)
{
    return container_of((mf_host *)(uintptr_t)h, struct instance, host);
}
static inline struct http_op *http_op_of(struct op *op)
{
    return container_of(op, struct http_op, op);
}
static inline struct http_instance *http_own(const struct http_op *o)
{
    return &o->op.instance->services->http;
}
/* Host, instance, and peer where it is known. */
#define HTTP_COUNT(o, field, n)                  \
    do {                                         \
        (o)->http->count.field += (n);           \
        http_own(o)->count.field += (n);         \
        if ((o)->lane)                           \
            (o)->lane->peer->count.field += (n); \
    } while (0)
/* Fills the head of what a plugin's callback gets and calls it. */
static inline void deliver_end(const struct op *op, mf_end_cb cb, void *arg)
{
    mf_end end;
    op_end_fill(op, &end, sizeof(end));
    if (cb)
        cb(arg, &end);
}

#endif
