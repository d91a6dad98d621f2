/* The module manifold-http.so: mapped once, by a thread, since that takes tens of milliseconds. */
#include "services/internal.h"

#include <dlfcn.h>
#include <limits.h>
#include <unistd.h>

/* Beside the executable in a build tree, below PREFIX/lib in an installation; never where the
 * environment says. */
static bool module_path(char path[PATH_MAX])
{
    static const char *const below[] = {"/modules/" HTTP_MODULE_FILE,
                                        "/../lib/manifold/modules/" HTTP_MODULE_FILE};
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (n <= 0)
        return false;
    path[n] = 0;
    char *slash = strrchr(path, '/');
    for (size_t i = 0; slash && i < 2; i++) {
        size_t room = PATH_MAX - (size_t)(slash - path);
        if ((size_t)snprintf(slash, room, "%s", below[i]) < room && access(path, R_OK) == 0)
            return true;
    }
    return false;
}

static const struct http_module *find_module(struct http *h)
{
    char path[PATH_MAX];
    if (!module_path(path)) {
        snprintf(h->why, sizeof(h->why),
                 "there is no " HTTP_MODULE_FILE " in modules/ beside this program or in "
                 "../lib/manifold/modules");
        return NULL;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const struct http_module *m = library ? dlsym(library, HTTP_MODULE_SYMBOL) : NULL;
    if (!m) {
        const char *why = dlerror();
        snprintf(h->why, sizeof(h->why), "%.480s", why ? why : path);
        return NULL;
    }
    if (m->size != sizeof(*m) || strcmp(m->version, MANIFOLD_VERSION) != 0) {
        snprintf(h->why, sizeof(h->why), "%.300s: expected version %s, found another one", path,
                 MANIFOLD_VERSION);
        return NULL;
    }
    return m;
}

static void on_thread(void *arg)
{
    struct http *h = arg;
    uint64_t from = clock_ns();
    const struct http_module *m = find_module(h);
    char why[HTTP_WHY];
    if (m && m->prepare(&http_module_host, why)) {
        snprintf(h->why, sizeof(h->why), "%s", why);
        m = NULL;
    }
    h->module = m; /* the loop reads it after it has joined this thread */
    if (m)
        log_debug("http: the module was loaded in %.1f ms", (double)(clock_ns() - from) / 1e6);
    uv_async_send(&h->loaded);
}

static void on_closed(uv_handle_t *handle)
{
    http_handle_closed(container_of((uv_async_t *)(void *)handle, struct http, loaded));
}

static void on_loaded(uv_async_t *async)
{
    struct http *h = container_of(async, struct http, loaded);
    uv_thread_join(&h->loader);
    h->load = h->module ? HTTP_LOADED : HTTP_NO_MODULE;
    uv_close((uv_handle_t *)async, on_closed);
    if (!h->module)
        log_line(LOG_ERROR, "http", "%s", h->why);
    for (struct list *it; (it = list_pop(&h->loading));)
        http_op_loaded(container_of(it, struct http_op, in_lane));
    if (h->closing)
        http_nets_close(h);
}

void http_load(struct http *h)
{
    if (h->load != HTTP_UNLOADED)
        return;
    int r = uv_async_init(h->loop, &h->loaded, on_loaded);
    if (r == 0) {
        h->handles++;
        h->load = HTTP_LOADING;
        r = uv_thread_create(&h->loader, on_thread, h);
        if (r)
            uv_close((uv_handle_t *)&h->loaded, on_closed);
    }
    if (r) {
        h->load = HTTP_NO_MODULE;
        snprintf(h->why, sizeof(h->why), "the http module can't be loaded: %s", uv_strerror(r));
    }
}
