/* `watch: true`: a file that changes in a source directory asks for a reload. */
#include "runtime/reload_internal.h"

#include <stdlib.h>

/* One directory; freed once its handle is closed. */
struct watch {
    uv_fs_event_t event;
    struct list in_reload;
    char *path; /* owned */
};

static bool ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), t = strlen(tail);
    return n > t && memcmp(s + n - t, tail, t) == 0;
}

void watch_settled(uv_timer_t *t)
{
    struct reload *r = t->data;
    log_info("watch: a file in a source directory has changed");
    host_reload(r->host, NULL, NULL);
}

/* A half written file is not read before it has been left alone for a while; if it is, it is
 * refused, and the next change asks again. */
static void on_change(uv_fs_event_t *w, const char *name, int events, int status)
{
    struct reload *r = w->data;
    (void)events;
    if (status == 0 && name && name[0] != '.' &&
        (ends_with(name, ".yaml") || ends_with(name, ".so")))
        uv_timer_start(&r->settle, watch_settled, WATCH_AFTER, 0);
}

static void on_closed(uv_handle_t *handle)
{
    struct watch *w = container_of((uv_fs_event_t *)handle, struct watch, event);
    free(w->path);
    free(w);
}

static void unwatch(struct watch *w)
{
    list_remove(&w->in_reload);
    uv_close((uv_handle_t *)&w->event, on_closed);
}

static bool is_watched(const struct reload *r, const char *path)
{
    list_each (it, &r->watches) {
        if (strcmp(container_of(it, struct watch, in_reload)->path, path) == 0)
            return true;
    }
    return false;
}

static bool is_source(const struct settings *s, const char *path)
{
    for (uint32_t i = 0; i < s->sources; i++) {
        if (strcmp(s->source[i].path, path) == 0)
            return true;
    }
    return false;
}

static int watch(struct reload *r, const char *path)
{
    struct watch *w = calloc(1, sizeof(*w));
    char *copy = w ? str_dup(str_of(path)) : NULL;
    int e = copy ? uv_fs_event_init(r->host->loop, &w->event) : UV_ENOMEM;
    if (e) {
        free(copy);
        free(w);
        return e;
    }
    w->path = copy;
    w->event.data = r;
    list_append(&r->watches, &w->in_reload);
    e = uv_fs_event_start(&w->event, on_change, path, 0);
    if (e)
        unwatch(w);
    return e;
}

/* Those that the settings no longer ask for. */
static void unwatch_others(struct reload *r, const struct settings *s)
{
    list_each_safe (it, &r->watches) {
        struct watch *w = container_of(it, struct watch, in_reload);
        if (!s->watch || !is_source(s, w->path))
            unwatch(w);
    }
    if (!s->watch)
        uv_timer_stop(&r->settle);
}

void watch_stop(struct reload *r)
{
    while (!list_empty(&r->watches))
        unwatch(container_of(r->watches.next, struct watch, in_reload));
}

void reload_watch(struct host *h)
{
    const struct settings *s = h->settings;
    struct reload *r = h->reload || !s->watch ? h->reload : reload_open(h);
    if (r)
        unwatch_others(r, s);
    for (uint32_t i = 0; s->watch && i < s->sources && i < WATCHES; i++) {
        const char *path = s->source[i].path;
        int e = !r ? UV_ENOMEM : is_watched(r, path) ? 0 : watch(r, path);
        if (e)
            log_warn("watch: %s: expected a directory that can be watched, found: %s", path,
                     uv_strerror(e));
    }
}
