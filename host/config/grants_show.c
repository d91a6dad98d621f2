/* What is asked and granted, compared and written; secrets are compared and never written. */
#include "config/grants_parts.h"

#include "json/writer.h"

static void member(struct buf *b, const char *key, struct str value)
{
    buf_printf(b, ",\"%s\":", key);
    json_write_string(b, value);
}

const char *grants_lint(const struct grants *g, const struct grant_ask *ask)
{
    const struct http_grant *h = ask->kind == GRANT_HTTP ? grants_http(g, ask->name) : NULL;
    const struct files_grant *f = ask->kind == GRANT_FILES ? grants_files(g, ask->name) : NULL;
    if (h && str_eq(h->host, STR("*")))
        return "reaches every public host";
    if (h && h->inject && !h->host_given)
        return "the secret goes to the host that the manifest names: `host` in the grant pins it";
    if (f && grant_reaches(g, f, GUARDED_ROOT))
        return "reaches all that the host's user can read";
    if (f && grant_reaches(g, f, GUARDED_CONFIG))
        return "reaches the host config, with what it holds of secrets";
    return NULL;
}

void grants_write(const struct grants *g, struct buf *b)
{
    buf_byte(b, '[');
    for (uint32_t i = 0; i < g->ask_count; i++) {
        const struct grant_ask *ask = &g->ask[i];
        buf_printf(b, "%s{\"kind\":\"%s\"", i ? "," : "", grant_kind_name(ask->kind));
        member(b, "name", ask->name);
        member(b, "asked", ask->asked);
        buf_printf(b, ",\"granted\":%s", ask->granted ? "true" : "false");
        if (ask->granted)
            member(b, "given", ask->given);
        const char *lint = ask->granted ? grants_lint(g, ask) : NULL;
        if (lint)
            member(b, "note", str_of(lint));
        buf_byte(b, '}');
    }
    buf_byte(b, ']');
}

static bool same_secret(const struct secret *a, const struct secret *b)
{
    return !a == !b && (!a || str_eq(secret_value(a), secret_value(b)));
}

static bool same_http(const struct http_grant *a, const struct http_grant *b)
{
    bool same =
        str_eq(a->name, b->name) && str_eq(a->host, b->host) && a->any_port == b->any_port &&
        a->any_method == b->any_method && a->ports == b->ports && a->methods == b->methods &&
        a->private_ranges == b->private_ranges && a->redirects == b->redirects &&
        a->per_host == b->per_host && a->response == b->response && a->timeout == b->timeout &&
        str_eq(a->inject_header, b->inject_header) && same_secret(a->inject, b->inject);
    for (uint32_t i = 0; same && i < a->ports; i++)
        same = a->port[i] == b->port[i];
    for (uint32_t i = 0; same && i < a->methods; i++)
        same = str_eq(a->method[i], b->method[i]);
    return same;
}

static bool same_files(const struct files_grant *a, const struct files_grant *b)
{
    bool same = str_eq(a->name, b->name) && a->write == b->write && a->paths == b->paths &&
                a->quota == b->quota;
    for (uint32_t i = 0; same && i < a->paths; i++)
        same = str_eq(a->path[i], b->path[i]);
    return same;
}

bool grants_same(const struct grants *a, const struct grants *b)
{
    bool same = a->http_count == b->http_count && a->files_count == b->files_count &&
                a->ask_count == b->ask_count;
    for (uint32_t i = 0; same && i < a->ask_count; i++)
        same = a->ask[i].kind == b->ask[i].kind && str_eq(a->ask[i].name, b->ask[i].name) &&
               a->ask[i].granted == b->ask[i].granted;
    for (uint32_t i = 0; same && i < a->http_count; i++)
        same = same_http(&a->http[i], &b->http[i]);
    for (uint32_t i = 0; same && i < a->files_count; i++)
        same = same_files(&a->files[i], &b->files[i]);
    return same;
}
