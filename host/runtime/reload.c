#include "runtime/reload_internal.h"

#include <inttypes.h>
#include <stdlib.h>

static void begin(struct reload *r);

static void tell(struct list *waiters, bool ok, const char *summary)
{
    for (struct list *it; (it = list_pop(waiters));) {
        struct waiter *w = container_of(it, struct waiter, node);
        w->done(w->arg, ok, summary);
        free(w);
    }
}

static void finish(struct reload *r, bool ok, const char *summary)
{
    r->phase = RELOAD_IDLE;
    r->host->reloads++;
    r->host->last_reload = ok ? "done" : "refused";
    log_line(ok ? LOG_INFO : LOG_WARN, NULL, "reload: %s", summary);
    tell(&r->now, ok, summary);
    reload_discard(r);
    if (r->again && !engine_stopping(r->host->engine))
        begin(r);
}

/* Everything stays as it is, and the status says why. */
static void refuse_all(struct reload *r, const char *who, const char *what)
{
    struct host *h = r->host;
    struct problems p = {.problem = h->problem, .count = h->problems};
    if (r->refusal_noted && p.count) {
        free(p.problem[--p.count].plugin);
        err_drop(p.problem[p.count].sentence);
    }
    uint32_t before = p.count;
    problem_add(&p, who, false, "%s", r->e.text);
    r->refusal_noted = p.count > before;
    h->problem = p.problem;
    h->problems = p.count;
    char text[sizeof(r->e.text) + 80];
    snprintf(text, sizeof(text), "nothing has changed, since %s: %s", what, r->e.text);
    finish(r, false, text);
}

static void refuse_for_memory(struct reload *r)
{
    err_set(&r->e, -ENOMEM, "out of memory for what would have taken over");
    refuse_all(r, "reload", "it can't be made ready");
}

static void sum_up(struct reload *r)
{
    char text[256];
    snprintf(text, sizeof(text),
             "%u plugins changed, %u added, %u removed, %u kept as they are, %u refused, %u wait "
             "for an older generation to end; %.1f ms",
             r->changed, r->added, r->removed, r->kept, r->refused, r->waits.count,
             (double)(clock_ns() - r->began) / 1e6);
    finish(r, r->refused == 0, text);
}

static void on_prepared(void *arg, struct instance *in, const char *error)
{
    struct reload *r = arg;
    for (uint32_t i = 0; i < r->slots; i++) {
        if (r->slot[i].instance == in && error)
            r->slot[i].error = err_keep(error);
    }
    /* Not from within the plugin's open(). */
    if (--r->opening == 0 && !r->closing)
        uv_async_send(&r->step);
}

/* What is in use now must be able to be used afterwards, too. */
static bool open_more(struct reload *r)
{
    for (uint32_t i = 0; i < r->slots; i++) {
        struct slot *s = &r->slot[i];
        if (!s->fresh || s->asked || !s->old || s->old->state == INSTANCE_UNLOADED ||
            protection_off("reload_transaction"))
            continue;
        s->asked = true;
        s->handover =
            s->manifest->instance.reload == RELOAD_HANDOVER && s->old->state == INSTANCE_READY;
        r->opening++;
        instance_prepare(s->instance, s->library, s->handover, on_prepared, r);
    }
    return r->opening;
}

static void on_step(uv_async_t *a)
{
    struct reload *r = a->data;
    if (engine_stopping(r->host->engine))
        return;
    if (r->phase == RELOAD_BUILDING && atomic_load(&r->built)) {
        if (r->building)
            pthread_join(r->builder, NULL);
        r->building = false;
        r->phase = RELOAD_OPENING;
        if (r->error) {
            refuse_all(r, r->config_bad ? "config" : "reload",
                       r->config_bad ? "the config is refused" : "it can't be made ready");
            return;
        }
        if (reload_plan(r)) {
            refuse_for_memory(r);
            return;
        }
    }
    if (r->phase == RELOAD_OPENING && !r->opening && !open_more(r)) {
        if (reload_compose(r)) {
            refuse_for_memory(r);
            return;
        }
        reload_swap(r);
        sum_up(r);
    }
}

/* The builder may not look at instances.  0, or -ENOMEM and the sentence. */
static int note_loaded(struct reload *r, struct err *e)
{
    const struct host *h = r->host;
    r->loaded = calloc(h->manifests + 1, sizeof(char *));
    for (uint32_t i = 0; r->loaded && i < h->manifests; i++) {
        if (!h->instance[i] || h->instance[i]->state == INSTANCE_UNLOADED)
            continue;
        char *name = str_dup(str_of(h->instance[i]->name));
        if (!name)
            return err_set(e, -ENOMEM, "out of memory");
        r->loaded[r->loadeds++] = name;
    }
    return r->loaded ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static void begin(struct reload *r)
{
    r->again = false;
    r->began = clock_ns();
    while (!list_empty(&r->next))
        list_append(&r->now, list_pop(&r->next));
    r->phase = RELOAD_BUILDING;
    r->config_bad = false;
    atomic_store(&r->built, false);
    r->error = 0;
    int e = note_loaded(r, &r->e);
    e = e ? e : reload_build(r, &r->e);
    if (e) {
        r->error = e;
        atomic_store(&r->built, true);
        uv_async_send(&r->step);
    }
}

/* What waited for it can go on. */
static void on_gone(void *arg, const char *name)
{
    struct reload *r = arg;
    for (uint32_t i = 0; i < r->waits.count; i++) {
        if (strcmp(r->waits.name[i], name) == 0 && !r->again) {
            host_reload(r->host, NULL, NULL);
            return;
        }
    }
}

struct reload *reload_open(struct host *h)
{
    struct reload *r = notices_open(h) ? calloc(1, sizeof(*r)) : NULL;
    if (!r)
        return NULL;
    r->host = h;
    list_init(&r->now);
    list_init(&r->next);
    list_init(&r->watches);
    if (uv_async_init(h->loop, &r->step, on_step)) {
        free(r);
        return NULL;
    }
    uv_timer_init(h->loop, &r->settle);
    r->step.data = r->settle.data = r;
    r->handles = 2;
    engine_on_gone(h->engine, on_gone, r);
    h->reload = r;
    return r;
}

/* None can begin, nor be remembered. */
static void refuse_request(struct host *h, void (*done)(void *, bool, const char *), void *arg)
{
    const char *why = "nothing has changed, since there is no memory to begin with it";
    if (engine_stopping(h->engine)) {
        why = "the host is about to exit";
    } else {
        h->reloads++;
        h->last_reload = "refused";
        log_warn("reload: %s", why);
    }
    if (done)
        done(arg, false, why);
}

void host_reload(struct host *h, void (*done)(void *arg, bool ok, const char *summary), void *arg)
{
    struct reload *r = h->reload ? h->reload : reload_open(h);
    struct waiter *w = r && done ? malloc(sizeof(*w)) : NULL;
    if (!r || (done && !w) || engine_stopping(h->engine)) {
        free(w);
        refuse_request(h, done, arg);
        return;
    }
    if (w) {
        *w = (struct waiter){.done = done, .arg = arg};
        list_append(&r->next, &w->node);
    }
    r->again = true;
    if (r->phase == RELOAD_IDLE)
        begin(r);
}

void reload_handle_closed(uv_handle_t *handle)
{
    struct reload *r = handle->data;
    if (--r->handles == 0 && r->closing)
        free(r);
}

void reload_close(struct host *h)
{
    struct reload *r = h->reload;
    if (!r)
        return;
    r->closing = true;
    h->reload = NULL;
    engine_on_gone(h->engine, NULL, NULL);
    if (r->building)
        pthread_join(r->builder, NULL);
    tell(&r->now, false, "the host is about to exit");
    tell(&r->next, false, "the host is about to exit");
    reload_discard(r);
    waits_release(&r->waits);
    watch_stop(r);
    uv_close((uv_handle_t *)&r->step, reload_handle_closed);
    uv_close((uv_handle_t *)&r->settle, reload_handle_closed);
}
