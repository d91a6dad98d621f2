/* libcurl on the loop: its sockets, its timer, and the two sets of connections.
 *
 * A connection that was made for a grant with `private: true` may go where others may not, so it is
 * never lent to those: they have a pool of their own, with names of its own. */
#include "services/internal.h"

struct watch {
    uv_poll_t poll;
    struct http_net *net;
    int fd;
};

static void on_closed(uv_handle_t *handle)
{
    struct http_net *n = handle->data;
    http_handle_closed(n->http);
}

/* --- timers --- */

static void on_timer(uv_timer_t *timer)
{
    struct http_net *n = timer->data;
    n->http->module->tick(n->pool);
}

void http_net_timer(void *arg, long ms)
{
    struct http_net *n = arg;
    if (ms < 0) {
        uv_timer_stop(&n->timer);
        return;
    }
    uv_update_time(n->timer.loop);
    uv_timer_start(&n->timer, on_timer, (uint64_t)ms, 0);
}

/* Nothing was asked for a while: the connections are closed, the names forgotten. */
static void on_idle(uv_timer_t *timer)
{
    struct http_net *n = timer->data;
    n->http->module->pool_free(n->pool);
    n->pool = NULL;
    uv_timer_stop(&n->timer);
}

/* --- sockets --- */

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *w = container_of(poll, struct watch, poll);
    w->net->http->module->ready(w->net->pool, w->fd, status < 0 ? status : events);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *w = container_of((uv_poll_t *)(void *)handle, struct watch, poll);
    http_handle_closed(w->net->http);
    free(w);
}

static struct watch *watch_new(struct http_net *n, int fd)
{
    struct watch *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->net = n;
    w->fd = fd;
    if (uv_poll_init(n->http->loop, &w->poll, fd)) {
        free(w);
        return NULL;
    }
    n->http->handles++;
    return w;
}

/* Without memory the transfer hears nothing of its socket, and ends by its deadline. */
void *http_net_watch(void *arg, void *watch, int fd, int events)
{
    struct http_net *n = arg;
    struct watch *w = watch;
    if (!w && events)
        w = watch_new(n, fd);
    if (!w)
        return NULL;
    if (events) {
        uv_poll_start(&w->poll, events, on_ready);
        return w;
    }
    uv_close((uv_handle_t *)&w->poll, on_watch_closed);
    return NULL;
}

/* --- nets --- */

static void nets_open(struct http *h)
{
    for (int i = 0; i < 2; i++) {
        struct http_net *n = &h->net[i];
        n->http = h;
        uv_timer_init(h->loop, &n->timer);
        uv_timer_init(h->loop, &n->idle);
        n->timer.data = n->idle.data = n;
        h->handles += 2;
    }
    h->nets_open = true;
}

struct http_net *http_net_get(struct http *h, bool private_ranges)
{
    if (!h->nets_open)
        nets_open(h);
    struct http_net *n = &h->net[private_ranges];
    const struct http_pool_spec spec = {.connections = h->spec.total,
                                        .idle_ns = h->spec.idle,
                                        .dns_ns = h->spec.dns_ttl,
                                        .connect_ns = h->spec.connect_timeout};
    if (!n->pool)
        n->pool = h->module->pool_new(&spec, n);
    return n->pool ? n : NULL;
}

void http_net_began(struct http_net *n)
{
    n->transfers++;
    uv_timer_stop(&n->idle);
}

void http_net_ended(struct http_net *n)
{
    if (--n->transfers == 0)
        uv_timer_start(&n->idle, on_idle, n->http->spec.idle / HTTP_MS, 0);
}

void http_nets_close(struct http *h)
{
    for (int i = 0; h->nets_open && i < 2; i++) {
        struct http_net *n = &h->net[i];
        if (n->pool)
            h->module->pool_free(n->pool);
        n->pool = NULL;
        uv_close((uv_handle_t *)&n->timer, on_closed);
        uv_close((uv_handle_t *)&n->idle, on_closed);
    }
    h->nets_open = false;
}
