/* manifold-http.so: libcurl's multi interface on the host's loop. */
#include "services/http/module/module.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

const struct http_module_host *host;

static int prepare(const struct http_module_host *h, char why[HTTP_WHY])
{
    host = h;
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code) {
        snprintf(why, HTTP_WHY, "libcurl: %s", curl_easy_strerror(code));
        return -EIO;
    }
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    if (!(v->features & CURL_VERSION_ASYNCHDNS) || !(v->features & CURL_VERSION_SSL)) {
        snprintf(
            why, HTTP_WHY,
            "expected a libcurl with TLS that looks names up on other threads, found %s without",
            v->version);
        return -ENOTSUP;
    }
    return trust_load(why);
}

/* --- the loop --- */

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct http_pool *p = arg;
    (void)multi;
    host->timer(p->arg, ms);
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *watch)
{
    struct http_pool *p = arg;
    (void)easy;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (what == CURL_POLL_REMOVE)
        events = 0;
    if (events || watch)
        curl_multi_assign(p->multi, fd, host->watch(p->arg, watch, fd, events));
    return 0;
}

static void act(struct http_pool *p, curl_socket_t fd, int flags)
{
    int running, left;
    curl_multi_socket_action(p->multi, fd, flags, &running);
    for (CURLMsg *m; (m = curl_multi_info_read(p->multi, &left));) {
        if (m->msg == CURLMSG_DONE)
            transfer_done(m->easy_handle, m->data.result);
    }
    pool_tell(p);
}

static void tick(struct http_pool *p)
{
    act(p, CURL_SOCKET_TIMEOUT, 0);
}

static void ready(struct http_pool *p, int fd, int events)
{
    int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
                (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    act(p, fd, events < 0 ? CURL_CSELECT_ERR : flags);
}

/* --- pools --- */

static struct http_pool *pool_new(const struct http_pool_spec *spec, void *arg)
{
    struct http_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->arg = arg;
    p->spec = *spec;
    list_init(&p->fed);
    p->multi = curl_multi_init();
    if (!p->multi) {
        free(p);
        return NULL;
    }
    curl_multi_setopt(p->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(p->multi, CURLMOPT_TIMERDATA, p);
    curl_multi_setopt(p->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(p->multi, CURLMOPT_SOCKETDATA, p);
    curl_multi_setopt(p->multi, CURLMOPT_MAXCONNECTS, (long)spec->connections);
    curl_multi_setopt(p->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    return p;
}

static void pool_free(struct http_pool *p)
{
    curl_multi_cleanup(p->multi);
    free(p);
}

__attribute__((visibility("default"))) extern const struct http_module manifold_http_module;
const struct http_module manifold_http_module = {
    .size = sizeof(struct http_module),
    .version = MANIFOLD_VERSION,
    .prepare = prepare,
    .url_read = url_read,
    .url_free = url_free,
    .pool_new = pool_new,
    .pool_free = pool_free,
    .tick = tick,
    .ready = ready,
    .start = transfer_start,
    .resume = transfer_resume,
    .cancel = transfer_cancel,
};
