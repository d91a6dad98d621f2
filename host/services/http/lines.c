/* The header lines of a transfer: the plugin's and the host's. */
#include "services/internal.h"

/* What the plugin wrote for one host may be meant for no other. */
static bool may_stray(const char *line)
{
    static const char *const names[] = {"accept", "accept-language", "content-type", "user-agent"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (http_line_is(line, names[i]))
            return true;
    }
    return false;
}

static void add_own(struct http_op *o, struct http_lines *l)
{
    bool agent = false, type = false, injects = o->grant->inject && !o->strayed;
    char name[128] = "";
    if (injects)
        snprintf(name, sizeof(name), "%.*s", STR_FMT(o->grant->inject_header));
    for (size_t i = 0; o->rq.line[i]; i++) {
        const char *line = o->rq.line[i];
        if ((o->strayed && !may_stray(line)) || (injects && http_line_is(line, name)) ||
            (o->bodyless && http_line_is(line, "content-type")))
            continue;
        agent |= http_line_is(line, "user-agent");
        type |= http_line_is(line, "content-type");
        l->line[l->count++] = line;
    }
    if (!agent)
        l->line[l->count++] = "User-Agent: manifold/" MANIFOLD_VERSION;
    if (!type)
        l->line[l->count++] = "Content-Type:"; /* libcurl would make one up */
}

bool http_lines_make(struct http_op *o, struct http_lines *l)
{
    const struct http_grant *g = o->grant;
    add_own(o, l);
    l->line[l->count++] = "Accept-Encoding: gzip, deflate, br, zstd";
    l->line[l->count++] = "Expect:";
    if (g->inject && !o->strayed) {
        buf_str(&l->inject, g->inject_header);
        buf_lit(&l->inject, ": ");
        buf_str(&l->inject, secret_value(g->inject));
        l->line[l->count] = buf_cstr(&l->inject);
        if (!l->line[l->count++])
            return false;
    }
    if (op_trace(&o->op, &l->trace)) {
        snprintf(l->parent, sizeof(l->parent), "traceparent: %s", l->trace.parent);
        snprintf(l->state, sizeof(l->state), "tracestate: %s", l->trace.state);
        l->line[l->count++] = l->parent;
        if (l->trace.state[0])
            l->line[l->count++] = l->state;
    }
    l->line[l->count] = NULL;
    return true;
}

void http_lines_release(struct http_lines *l)
{
    if (l->inject.data)
        explicit_bzero(l->inject.data, l->inject.len);
    buf_release(&l->inject);
}
