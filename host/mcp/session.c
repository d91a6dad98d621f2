/* The life of a session: what it owns, its requests in flight, and the entry points of transports.
 */
#include "mcp/internal.h"

#include <stdlib.h>

/* A template's variables or a completion's arguments are made from the message, at worst 6 bytes
 * of JSON for 3 of its own. */
static size_t derived_max(const struct settings *st)
{
    return (size_t)st->message.bytes * 2 + 65536;
}

static void write_server_info(struct session *s)
{
    struct buf *b = &s->server_info;
    buf_lit(b, "{\"name\":");
    json_write_string(b, s->host->settings->server_name);
    buf_lit(b, ",\"version\":");
    json_write_string(b, STR(MANIFOLD_VERSION));
    buf_lit(b, "}");
    buf_lit(&s->tail, ",\"resultType\":\"complete\","
                      "\"_meta\":{\"io.modelcontextprotocol/serverInfo\":");
    buf_str(&s->tail, buf_view(b));
    if (b->failed || s->tail.failed)
        out_of_memory();
}

struct session *session_new(struct host *h)
{
    struct session *s = xcalloc(1, sizeof(*s));
    s->host = h;
    s->log_level = -1;
    size_t derived = derived_max(h->settings);
    buf_init(&s->scratch, derived);
    buf_init(&s->vars, derived);
    buf_init(&s->made, derived);
    buf_init(&s->tail, 65536);
    buf_init(&s->server_info, 65536);
    list_init(&s->pending);
    list_init(&s->pool);
    list_init(&s->listens);
    feed_init(&s->own, s);
    s->listener.lists_changed = session_lists_changed;
    s->listener.resource_updated = session_resource_updated;
    s->listener.tell = session_tell;
    list_append(&h->listeners, &s->listener.in_host);
    struct json_error e;
    if (json_read(&s->nothing, STR("{}"), &json_limits_default, &e))
        out_of_memory();
    write_server_info(s);
    return s;
}

void session_enter(struct session *s)
{
    s->entered = true;
}

void session_leave(struct session *s)
{
    s->entered = false;
    bool tell = s->idle_due && !s->calls && s->idle;
    s->idle_due = false;
    if (tell)
        s->idle(s->idle_arg);
}

void session_cancel_all(struct session *s)
{
    session_enter(s);
    while (!list_empty(&s->pending))
        request_cancel(container_of(s->pending.next, struct request, link), false);
    session_leave(s);
}

void session_free(struct session *s)
{
    s->idle = NULL;
    list_remove(&s->listener.in_host);
    session_cancel_all(s);
    session_drop_listening(s);
    feed_clear(&s->own);
    for (struct list *it; (it = list_pop(&s->pool));) {
        struct request *r = container_of(it, struct request, link);
        buf_release(&r->keep);
        free(r);
    }
    for (int r = 0; r < REVISIONS; r++) {
        for (int k = 0; k < ENTRY_KINDS; k++)
            listing_release(&s->list[k][r]);
        listing_release(&s->greeting[r]);
    }
    json_doc_release(&s->doc);
    json_doc_release(&s->aux);
    json_doc_release(&s->nothing);
    buf_release(&s->scratch);
    buf_release(&s->vars);
    buf_release(&s->made);
    buf_release(&s->tail);
    buf_release(&s->server_info);
    map_release(&s->in_flight);
    map_release(&s->listening);
    free(s);
}

uint32_t session_calls(const struct session *s)
{
    return s->calls;
}

void session_on_idle(struct session *s, void (*idle)(void *), void *arg)
{
    s->idle = idle;
    s->idle_arg = arg;
}

void session_refuse_oversize(struct session *s, struct str id, uint64_t limit, struct stream *out)
{
    struct answer a = {.to = out, .id = id, .revision = s->revision};
    reply_error(&a, ERROR_REQUEST, STR_NONE,
                "expected a message of at most %llu bytes (limits.message), found a longer one",
                (unsigned long long)limit);
}
