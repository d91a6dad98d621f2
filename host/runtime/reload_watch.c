/* `watch: true`: a file that changes in a source directory asks for a reload. */
#include "runtime/reload_internal.h"

#include <stdlib.h>

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
    if (r->host->settings->watch && status == 0 && name && name[0] != '.' &&
        (ends_with(name, ".yaml") || ends_with(name, ".so")))
        uv_timer_start(&r->settle, watch_settled, WATCH_AFTER, 0);
}

static bool is_watched(const struct reload *r, const char *path)
{
    for (uint32_t i = 0; i < r->watches; i++) {
        if (strcmp(r->watched[i], path) == 0)
            return true;
    }
    return false;
}

static void watch(struct reload *r, const char *path)
{
    if (r->watches == WATCHES || is_watched(r, path))
        return;
    uv_fs_event_t *w = &r->watch[r->watches];
    char *copy = str_dup(str_of(path));
    int e = copy ? uv_fs_event_init(r->host->loop, w) : UV_ENOMEM;
    if (!e) {
        w->data = r;
        r->handles++;
        r->watched[r->watches++] = copy;
        e = uv_fs_event_start(w, on_change, path, 0);
    } else {
        free(copy);
    }
    if (e)
        log_warn("watch: %s: expected a directory that can be watched, found: %s", path,
                 uv_strerror(e));
}

void watch_stop(struct reload *r)
{
    for (uint32_t i = 0; i < r->watches; i++) {
        uv_close((uv_handle_t *)&r->watch[i], reload_handle_closed);
        free(r->watched[i]);
    }
    r->watches = 0;
}

void reload_watch(struct host *h)
{
    if (!h->settings->watch)
        return;
    struct reload *r = h->reload ? h->reload : reload_open(h);
    for (uint32_t i = 0; r && i < h->settings->sources; i++)
        watch(r, h->settings->source[i].path);
}
