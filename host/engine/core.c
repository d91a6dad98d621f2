/* The functions of mf_host: what a plugin may call, from any thread. */
#include "engine/internal.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { MAX_EVENTS = 64 }; /* progress and log lines of one call on their way to the loop */

static struct str str_from(mf_bytes b)
{
    return (struct str){b.data, b.data ? b.len : 0};
}

/* --- events: progress and log lines on their way to the client --- */

struct event {
    struct post post;
    struct engine *engine;
    const struct instance *instance; /* may be gone by the time this is run */
    mf_call call;
    int level; /* MF_LOG_*; -1: progress */
    double done, total;
    size_t len;
    char text[];
};

/* On the loop: to whoever waits for the call. */
static void event_deliver(struct call *c, int level, double done, double total, struct str text)
{
    if (c->settled)
        return;
    if (level < 0)
        c->sink->progress(c->user, done, total, text);
    else
        c->sink->log(c->user, level, str_of(c->instance->name), text);
}

static void event_run(struct post *p)
{
    struct event *ev = container_of(p, struct event, post);
    struct call *c = call_lock_of(ev->engine, ev->instance, ev->call);
    if (c) {
        c->events--;
        bool waits = c->client == CLIENT_WAITS;
        pthread_mutex_unlock(&c->lock);
        if (waits)
            event_deliver(c, ev->level, ev->done, ev->total, (struct str){ev->text, ev->len});
    }
    free(ev);
}

/* With the lock of c held, which it releases.  MF_ELIMIT when too many are on their way. */
static mf_status event_send(struct call *c, mf_call handle, int level, double done, double total,
                            struct str text)
{
    struct instance *in = c->instance;
    if (on_loop(in->engine)) {
        pthread_mutex_unlock(&c->lock);
        event_deliver(c, level, done, total, text);
        return MF_OK;
    }
    bool room = c->events < MAX_EVENTS;
    c->events += room;
    pthread_mutex_unlock(&c->lock);
    struct event *ev = room ? malloc(sizeof(*ev) + text.n) : NULL;
    if (!ev)
        return room ? MF_ENOMEM : MF_ELIMIT;
    *ev = (struct event){.post.run = event_run,
                         .engine = in->engine,
                         .instance = in,
                         .call = handle,
                         .level = level,
                         .done = done,
                         .total = total,
                         .len = text.n};
    if (text.n)
        memcpy(ev->text, text.p, text.n);
    if (!post_send(&in->engine->posts, &ev->post))
        free(ev);
    return MF_OK;
}

/* --- log --- */

/* limits.log: lines a second of one instance, over all threads. */
bool log_admits(struct instance *in)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    uint64_t second = clock_ns() / 1000000000u;
    pthread_mutex_lock(&lock);
    if (in->log_second != second) {
        in->log_second = second;
        in->log_lines = 0;
    }
    bool ok = in->log_lines < in->manifest->instance.limits.log.per_second;
    in->log_lines += ok;
    pthread_mutex_unlock(&lock);
    if (!ok)
        atomic_fetch_add(&in->log_dropped, 1);
    return ok;
}

static void host_log(const mf_host *h, int32_t level, mf_call call, mf_bytes bytes)
{
    static const enum log_level map[] = {LOG_ERROR, LOG_ERROR, LOG_ERROR, LOG_ERROR,
                                         LOG_WARN,  LOG_INFO,  LOG_INFO,  LOG_DEBUG};
    struct instance *in = instance_of(h);
    struct str text = str_from(bytes);
    if (level < MF_LOG_EMERGENCY || level > MF_LOG_DEBUG)
        level = MF_LOG_INFO;
    if (text.n > 2000)
        text.n = 2000;
    if (!log_admits(in))
        return;
    if (log_enabled(map[level]))
        log_line(map[level], in->name, "%.*s", STR_FMT(text));
    struct call *c = call ? call_lock(in, call) : NULL;
    if (!c)
        return;
    if (c->client == CLIENT_WAITS && c->state == SLOT_RUNNING && c->log_level >= level)
        event_send(c, call, level, 0, 0, text);
    else
        pthread_mutex_unlock(&c->lock);
}

/* --- results --- */

/* MF_OK with the lock held, or why nobody wants a result of this call. */
static mf_status call_open(const mf_host *h, mf_call handle, struct call **ret)
{
    struct instance *in = instance_of(h);
    struct call *c = call_lock(in, handle);
    if (!c)
        return MF_ESTALE;
    mf_status s = c->state != SLOT_RUNNING        ? MF_ESTALE
                  : c->client == CLIENT_CANCELLED ? MF_ECANCELED
                  : c->client == CLIENT_TIMED_OUT ? MF_ETIMEDOUT
                                                  : MF_OK;
    if (s)
        pthread_mutex_unlock(&c->lock);
    else
        *ret = c;
    return s;
}

static mf_status host_append(const mf_host *h, mf_call call, mf_bytes bytes,
                             mf_status (*append)(struct call *, mf_bytes))
{
    struct call *c;
    mf_status s = call_open(h, call, &c);
    if (s)
        return s;
    s = append(c, bytes);
    pthread_mutex_unlock(&c->lock);
    return s;
}

static mf_status host_text(const mf_host *h, mf_call call, mf_bytes text)
{
    return host_append(h, call, text, result_text);
}

static mf_status host_blob(const mf_host *h, mf_call call, mf_bytes raw)
{
    return host_append(h, call, raw, result_blob);
}

static mf_status host_block(const mf_host *h, mf_call call, mf_bytes json)
{
    return host_append(h, call, json, result_block);
}

static mf_status host_structured(const mf_host *h, mf_call call, mf_bytes json)
{
    return host_append(h, call, json, result_structured);
}

static mf_status host_progress(const mf_host *h, mf_call call, double done, double total,
                               mf_bytes bytes)
{
    struct call *c;
    mf_status s = call_open(h, call, &c);
    if (s)
        return s;
    if (!(done > c->progress)) { /* NaN too: progress must increase */
        atomic_fetch_add(&c->instance->misuse, 1);
        pthread_mutex_unlock(&c->lock);
        return MF_EINVAL;
    }
    c->progress = done;
    if (c->wants_progress)
        return event_send(c, call, -1, done, total, str_from(bytes));
    pthread_mutex_unlock(&c->lock);
    return MF_OK;
}

static mf_status host_finish(const mf_host *h, mf_call call, int32_t how, mf_bytes detail)
{
    struct instance *in = instance_of(h);
    struct call *c = call_lock(in, call);
    if (!c || c->state != SLOT_RUNNING) {
        if (c)
            pthread_mutex_unlock(&c->lock);
        atomic_fetch_add(&in->misuse, 1);
        if (log_admits(in))
            log_line(LOG_WARN, in->name,
                     "finished a call that it has finished before, or that is not its own");
        return MF_ESTALE;
    }
    mf_status s = c->client == CLIENT_CANCELLED   ? MF_ECANCELED
                  : c->client == CLIENT_TIMED_OUT ? MF_ETIMEDOUT
                                                  : MF_OK;
    struct str text = str_from(detail);
    c->how = how;
    c->detail_len = (uint32_t)(text.n < sizeof(c->detail) ? text.n : sizeof(c->detail));
    if (c->detail_len)
        memcpy(c->detail, text.p, c->detail_len);
    c->state = SLOT_ENDED;
    /* Inside call() on the loop the caller's frame settles it: no wake-up is needed. */
    if (!on_loop(in->engine))
        post_send(&in->engine->posts, &c->ended);
    else if (c->in_call)
        c->ended_inside = true;
    else /* in a callback */
        post_later(in->engine, &c->ended);
    pthread_mutex_unlock(&c->lock);
    return s;
}

static int32_t host_is_cancelled(const mf_host *h, mf_call call)
{
    struct call *c;
    if (call_open(h, call, &c))
        return 1;
    pthread_mutex_unlock(&c->lock);
    return 0;
}

static const void *host_extension(const mf_host *h, const char *id)
{
    struct instance *in = instance_of(h);
    const struct engine_services *s = &in->engine->options.services;
    const void *vtable = s->extension && id ? s->extension(s->arg, in, id) : NULL;
    if (!vtable && log_admits(in))
        log_line(LOG_INFO, in->name, "asked for \"%.64s\", which this host has not", id ? id : "");
    return vtable;
}

static uint64_t host_now(const mf_host *h)
{
    (void)h;
    return clock_ns();
}

void host_vtable_fill(mf_host *h)
{
    h->extension = host_extension;
    h->now = host_now;
    h->log = host_log;
    h->text = host_text;
    h->blob = host_blob;
    h->block = host_block;
    h->structured = host_structured;
    h->progress = host_progress;
    h->finish = host_finish;
    h->is_cancelled = host_is_cancelled;
}
