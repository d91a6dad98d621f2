/* What a request may do, by the grants of its plugin. */
#include "services/internal.h"

static const struct grants *grants_of(const struct http_op *o)
{
    return &o->op.instance->manifest->grants;
}

static struct str plugin_of(const struct http_op *o)
{
    return o->op.instance->manifest->name;
}

/* The right that is told of where none was named: the first that is asked for. */
static struct str some_right(const struct http_op *o)
{
    const struct grants *g = grants_of(o);
    if (o->rq.grant[0])
        return str_of(o->rq.grant);
    for (uint32_t i = 0; i < g->ask_count; i++) {
        if (g->ask[i].kind == GRANT_HTTP)
            return g->ask[i].name;
    }
    return STR("NAME");
}

bool http_op_has_any_right(struct http_op *o)
{
    const struct grants *g = grants_of(o);
    struct err e;
    if (o->rq.grant[0] ? grants_http(g, str_of(o->rq.grant)) != NULL : g->http_count > 0)
        return true;
    grants_denied(g, plugin_of(o), GRANT_HTTP, some_right(o), &e);
    http_op_fail(o, MF_EDENIED, "%s", e.text);
    return false;
}

/* Of several rights the one that covers the host says best what is missing. */
static const struct http_grant *nearest(const struct http_op *o)
{
    const struct grants *g = grants_of(o);
    for (uint32_t i = 0; i < g->http_count; i++) {
        if (host_pattern_covers(g->http[i].host, str_of(o->url.host)))
            return &g->http[i];
    }
    return &g->http[0];
}

static const struct http_grant *find_right(struct http_op *o, struct err *e)
{
    struct str host = str_of(o->url.host), method = str_of(o->method);
    const struct http_grant *h = o->rq.grant[0] ? grants_http(grants_of(o), str_of(o->rq.grant))
                                                : grants_http_for(grants_of(o), host, o->url.port,
                                                                  o->url.default_port, method);
    if (!h)
        h = nearest(o);
    return http_grant_check(h, plugin_of(o), host, o->url.port, o->url.default_port, method, e)
               ? NULL
               : h;
}

bool http_op_take_right(struct http_op *o)
{
    struct err e;
    char url[HTTP_SHOWN];
    const struct http_grant *h = find_right(o, &e);
    if (!h) {
        if (o->redirects)
            err_prefix(&e, "redirected to %s", http_op_shown(o, url));
        http_op_fail(o, MF_EDENIED, "%s", e.text);
        return false;
    }
    o->grant = h;
    uint64_t most = clock_ns() + h->timeout;
    if (!o->redirects && most < o->deadline)
        o->deadline = most;
    o->body_max = o->rq.body_max && o->rq.body_max < h->response ? o->rq.body_max : h->response;
    o->body.max = o->body_max;
    return true;
}

void http_op_refuse_address(struct http_op *o)
{
    struct str plugin = plugin_of(o), right = o->grant->name;
    http_op_fail(
        o, MF_EDENIED,
        "plugin %.*s may not connect to %s (%s) for http \"%.*s\": what is not public needs "
        "plugins: {%.*s: {grants: {http: {%.*s: {host: %.100s, private: true}}}}} in the "
        "host config",
        STR_FMT(plugin), o->dialled, o->dialled_kind, STR_FMT(right), STR_FMT(plugin),
        STR_FMT(right), o->url.host);
}
