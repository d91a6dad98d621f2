/* Subscriptions: resources/subscribe and unsubscribe of the legacy revisions (2025-11-25
 * server/resources.mdx), subscriptions/listen of 2026-07-28 (basic/patterns/subscriptions.mdx). */
#include "mcp/internal.h"

#include <errno.h>
#include <stdlib.h>

/* The resource that is read at this URI; NULL: none. */
static const struct entry *find_resource(const struct catalogue *c, struct str uri)
{
    const struct entry *en = catalogue_find(c, ENTRY_RESOURCE, uri);
    return en ? en : catalogue_match(c, uri, NULL);
}

static bool is_subscribable(const struct catalogue *c, struct str uri)
{
    const struct entry *en = find_resource(c, uri);
    return en && en->spec->subscribe && uri.n <= WATCH_URI_MAX;
}

static void refuse_watch(const struct message *m, int error)
{
    if (error == -ENOSPC)
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "expected at most %d subscriptions to resources of one client, found more; "
                    "end others first",
                    WATCHES_MAX);
    else
        reply_error(&m->answer, ERROR_INTERNAL, STR_NONE,
                    "the host is out of memory for the subscription");
}

/* --- legacy --- */

/* Where the capability is not declared there is no such method.  False: answered. */
static bool is_served(const struct session *s, const struct message *m, const char *method)
{
    if (s->host->catalogue->subscribable || !list_empty(&s->own.watches))
        return true;
    reply_error(&m->answer, ERROR_METHOD, STR_NONE,
                "there is no method \"%s\" here, since no resource tells of its updates", method);
    return false;
}

void resources_subscribe(struct session *s, const struct message *m)
{
    const struct catalogue *c = s->host->catalogue;
    struct str uri;
    if (!is_served(s, m, "resources/subscribe") ||
        !message_string(s, m, m->param[PARAM_URI], "params/uri", &uri))
        return;
    if (!find_resource(c, uri)) {
        reply_not_found(&m->answer, uri);
        return;
    }
    if (!is_subscribable(c, uri)) {
        struct str shown = {uri.p, uri.n > 200 ? 200 : uri.n};
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "params/uri: expected a resource that tells of its updates (subscribe: true in "
                    "its plugin's manifest) and at most %d bytes, found \"%.*s%s\"",
                    WATCH_URI_MAX, STR_FMT(shown), uri.n > shown.n ? "..." : "");
        return;
    }
    int r = feed_watch(&s->own, uri);
    if (r)
        refuse_watch(m, r);
    else
        reply_raw(&m->answer, STR("{}"));
}

void resources_unsubscribe(struct session *s, const struct message *m)
{
    struct str uri;
    if (!is_served(s, m, "resources/unsubscribe") ||
        !message_string(s, m, m->param[PARAM_URI], "params/uri", &uri))
        return;
    feed_unwatch(&s->own, uri);
    reply_raw(&m->answer, STR("{}"));
}

/* --- 2026-07-28 --- */

static void listen_free(struct listen *l)
{
    struct session *s = l->feed.session;
    feed_clear(&l->feed);
    map_remove(&s->listening, &l->node);
    list_remove(&l->in_session);
    s->listener.subscriptions--;
    s->listen_count--;
    free(l);
}

struct listen *listen_find(const struct session *s, struct str id)
{
    struct map_node *node = map_find(&s->listening, id);
    return node ? container_of(node, struct listen, node) : NULL;
}

void listen_cancel(struct listen *l)
{
    listen_free(l);
}

/* {"resultType":...} is what a result has behind its own members; here there are none. */
static void send_end(struct session *s, const struct listen *l)
{
    const struct answer a = {.to = l->feed.to, .id = l->feed.id, .revision = R_2026_07_28};
    struct buf meta = BUF_INIT(2 * ID_MAX), tail = BUF_INIT(s->tail.len + 4 * ID_MAX);
    buf_lit(&meta, "\"io.modelcontextprotocol/subscriptionId\":");
    buf_str(&meta, l->feed.id);
    buf_byte(&tail, '{');
    reply_tail(s, a.revision, &tail, buf_view(&meta));
    if (!meta.failed && !tail.failed) {
        tail.data[1] = '{'; /* the comma in front of "resultType" */
        reply_raw(&a, (struct str){tail.data + 1, tail.len - 1});
    }
    buf_release(&meta);
    buf_release(&tail);
}

void session_end_listening(struct session *s)
{
    while (!list_empty(&s->listens)) {
        struct listen *l = container_of(s->listens.next, struct listen, in_session);
        send_end(s, l);
        listen_free(l);
    }
}

void session_drop_listening(struct session *s)
{
    while (!list_empty(&s->listens))
        listen_free(container_of(s->listens.next, struct listen, in_session));
}

/* NULL: no memory. */
static struct listen *listen_new(struct session *s, const struct message *m)
{
    struct str id = m->answer.id;
    struct listen *l = calloc(1, sizeof(*l) + id.n);
    if (!l)
        return NULL;
    memcpy(l->id, id.p, id.n);
    feed_init(&l->feed, s);
    l->feed.to = m->out;
    l->feed.id = (struct str){l->id, id.n};
    map_add(&s->listening, &l->node, l->feed.id);
    list_append(&s->listens, &l->in_session);
    s->listener.subscriptions++;
    s->listen_count++;
    return l;
}

/* The members of the filter that stand for a list.  What has no capability is left out of the
 * acknowledgement. */
static const struct {
    struct str key;
    unsigned kinds;
} lists[] = {
    {{"toolsListChanged", 16}, 1u << ENTRY_TOOL},
    {{"promptsListChanged", 18}, 1u << ENTRY_PROMPT},
    {{"resourcesListChanged", 20}, 1u << ENTRY_RESOURCE | 1u << ENTRY_TEMPLATE},
};
enum { LISTS = sizeof(lists) / sizeof(lists[0]) };

static bool read_lists(const struct session *s, const struct message *m, json_ref filter,
                       unsigned *ret)
{
    const struct json_doc *d = &s->doc;
    unsigned served = 1u << ENTRY_TOOL | 1u << ENTRY_RESOURCE | 1u << ENTRY_TEMPLATE;
    if (s->host->catalogue->count[ENTRY_PROMPT])
        served |= 1u << ENTRY_PROMPT;
    for (size_t i = 0; i < LISTS; i++) {
        json_ref n = json_get(d, filter, lists[i].key);
        if (n && !json_is(d, n, JSON_TRUE) && !json_is(d, n, JSON_FALSE)) {
            reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                        "params/notifications/%.*s: expected boolean, found %s",
                        STR_FMT(lists[i].key), json_type_name(json_type(d, n)));
            return false;
        }
        if (n && json_is(d, n, JSON_TRUE))
            *ret |= lists[i].kinds & served;
    }
    return true;
}

/* Watches those that can be.  False: answered. */
static bool read_uris(struct listen *l, const struct message *m, json_ref uris)
{
    struct session *s = l->feed.session;
    const struct json_doc *d = &s->doc;
    if (!json_is(d, uris, JSON_ARRAY)) {
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "params/notifications/resourceSubscriptions: expected array, found %s",
                    json_type_name(json_type(d, uris)));
        return false;
    }
    json_each (d, uris, it) {
        struct str uri;
        if (!message_string(s, m, it, "params/notifications/resourceSubscriptions", &uri))
            return false;
        int r = is_subscribable(s->host->catalogue, uri) ? feed_watch(&l->feed, uri) : 0;
        if (r) {
            refuse_watch(m, r);
            return false;
        }
    }
    return true;
}

static void acknowledge(struct listen *l)
{
    struct feed *f = &l->feed;
    struct buf *b = f->to->begin(f->to);
    const char *comma = "";
    buf_lit(b, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\","
               "\"params\":{");
    feed_tag(f, b);
    buf_lit(b, ",\"notifications\":{");
    for (size_t i = 0; i < LISTS; i++) {
        if (!(f->kinds & lists[i].kinds))
            continue;
        buf_printf(b, "%s\"%s\":true", comma, lists[i].key.p);
        comma = ",";
    }
    if (!list_empty(&f->watches)) {
        buf_printf(b, "%s\"resourceSubscriptions\":[", comma);
        comma = "";
        list_each (it, &f->watches) {
            buf_printf(b, "%s", comma);
            json_write_string(b, container_of(it, struct watch, in_feed)->node.key);
            comma = ",";
        }
        buf_byte(b, ']');
    }
    buf_lit(b, "}}}");
    if (f->to->end(f->to)) { /* without it nothing may follow */
        struct answer a = {.to = f->to, .id = f->id, .revision = R_2026_07_28};
        reply_error(&a, ERROR_INTERNAL, STR_NONE,
                    "the acknowledgement is longer than what may wait for this client "
                    "(limits.output)");
        listen_free(l);
    }
}

void subscriptions_listen(struct session *s, const struct message *m)
{
    json_ref filter = m->params ? json_get(&s->doc, m->params, STR("notifications")) : 0;
    unsigned kinds = 0;
    if (!filter || !json_is(&s->doc, filter, JSON_OBJECT)) {
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "params/notifications: expected object, found %s",
                    filter ? json_type_name(json_type(&s->doc, filter)) : "nothing");
        return;
    }
    if (s->listen_count >= LISTENS_MAX) {
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "expected at most %d subscriptions/listen of one client at a time, found more; "
                    "cancel others first",
                    LISTENS_MAX);
        return;
    }
    if (!read_lists(s, m, filter, &kinds))
        return;
    struct listen *l = listen_new(s, m);
    if (!l) {
        refuse_watch(m, -ENOMEM);
        return;
    }
    json_ref uris = json_get(&s->doc, filter, STR("resourceSubscriptions"));
    if (uris && !read_uris(l, m, uris)) {
        listen_free(l);
        return;
    }
    l->feed.kinds = kinds;
    acknowledge(l);
}
