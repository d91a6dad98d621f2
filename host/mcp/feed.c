/* Feeds: what one stream of unasked messages has been promised to carry, and what of it is still to
 * be told.  The legacy session has one, each subscriptions/listen of 2026-07-28 has one. */
#include "mcp/internal.h"

#include <errno.h>
#include <stdlib.h>

static const struct {
    unsigned kinds;
    struct str name;
} lists[] = {
    {1u << ENTRY_TOOL, {"tools", 5}},
    {1u << ENTRY_RESOURCE | 1u << ENTRY_TEMPLATE, {"resources", 9}},
    {1u << ENTRY_PROMPT, {"prompts", 7}},
};

void feed_init(struct feed *f, struct session *s)
{
    *f = (struct feed){.session = s};
    list_init(&f->dirty);
    list_init(&f->watches);
}

static void watch_drop(struct feed *f, struct watch *w)
{
    struct session *s = f->session;
    map_remove(&f->by_uri, &w->node);
    list_remove(&w->in_feed);
    list_remove(&w->in_dirty);
    s->watches--;
    s->listener.subscriptions--;
    free(w);
}

void feed_clear(struct feed *f)
{
    while (!list_empty(&f->watches))
        watch_drop(f, container_of(f->watches.next, struct watch, in_feed));
    map_release(&f->by_uri);
    f->kinds = f->changed = 0;
}

int feed_watch(struct feed *f, struct str uri)
{
    struct session *s = f->session;
    if (map_find(&f->by_uri, uri))
        return 0;
    if (s->watches >= WATCHES_MAX)
        return -ENOSPC;
    struct watch *w = calloc(1, sizeof(*w) + uri.n);
    if (!w)
        return -ENOMEM;
    memcpy(w->uri, uri.p, uri.n);
    map_add(&f->by_uri, &w->node, (struct str){w->uri, uri.n});
    list_append(&f->watches, &w->in_feed);
    s->watches++;
    s->listener.subscriptions++;
    return 0;
}

void feed_unwatch(struct feed *f, struct str uri)
{
    struct map_node *node = map_find(&f->by_uri, uri);
    if (node)
        watch_drop(f, container_of(node, struct watch, node));
}

/* --- telling --- */

/* False: it did not fit, and is told later. */
static bool end(struct feed *f, struct buf *b, bool params)
{
    buf_str(b, params ? STR("}}") : STR("}"));
    return f->to->end(f->to) == 0;
}

static struct buf *begin(struct feed *f, struct str kind, struct str what)
{
    struct buf *b = f->to->begin(f->to);
    buf_lit(b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/");
    buf_str(b, kind);
    buf_byte(b, '/');
    buf_str(b, what);
    buf_byte(b, '"');
    return b;
}

void feed_tag(const struct feed *f, struct buf *b)
{
    buf_lit(b, "\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":");
    buf_str(b, f->id);
    buf_byte(b, '}');
}

static bool tell_list(struct feed *f, struct str name)
{
    struct buf *b = begin(f, name, STR("list_changed"));
    if (f->id.n) {
        buf_lit(b, ",\"params\":{");
        feed_tag(f, b);
    }
    return end(f, b, f->id.n);
}

static bool tell_updated(struct feed *f, struct str uri)
{
    struct buf *b = begin(f, STR("resources"), STR("updated"));
    buf_lit(b, ",\"params\":{");
    if (f->id.n) {
        feed_tag(f, b);
        buf_byte(b, ',');
    }
    buf_lit(b, "\"uri\":");
    json_write_string(b, uri);
    return end(f, b, true);
}

static bool may_write(const struct feed *f)
{
    return !f->to->congested(f->to) || protection_off("notice_congestion");
}

/* False: its client does not read; the rest is told later. */
static bool tell(struct feed *f)
{
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (!(f->changed & lists[i].kinds))
            continue;
        if (!may_write(f) || !tell_list(f, lists[i].name))
            return false;
        f->changed &= ~lists[i].kinds;
    }
    while (!list_empty(&f->dirty)) {
        struct watch *w = container_of(f->dirty.next, struct watch, in_dirty);
        if (!may_write(f) || !tell_updated(f, w->node.key))
            return false;
        list_remove(&w->in_dirty);
    }
    return true;
}

/* --- what the host tells --- */

static void note_lists(struct feed *f, unsigned kinds)
{
    f->changed |= kinds & f->kinds;
}

static void note_updated(struct feed *f, struct str uri)
{
    struct map_node *node = map_find(&f->by_uri, uri);
    struct watch *w = node ? container_of(node, struct watch, node) : NULL;
    if (w && !list_linked(&w->in_dirty))
        list_append(&f->dirty, &w->in_dirty);
}

void session_lists_changed(struct host_listener *l, unsigned kinds)
{
    struct session *s = container_of(l, struct session, listener);
    note_lists(&s->own, kinds);
    list_each (it, &s->listens)
        note_lists(&container_of(it, struct listen, in_session)->feed, kinds);
}

void session_resource_updated(struct host_listener *l, struct str uri)
{
    struct session *s = container_of(l, struct session, listener);
    note_updated(&s->own, uri);
    list_each (it, &s->listens)
        note_updated(&container_of(it, struct listen, in_session)->feed, uri);
}

bool session_tell(struct host_listener *l)
{
    struct session *s = container_of(l, struct session, listener);
    bool all = !s->own.to || tell(&s->own);
    list_each (it, &s->listens)
        all &= tell(&container_of(it, struct listen, in_session)->feed);
    return all;
}
