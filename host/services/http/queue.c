/* Whose turn it is, and what is known of a host.
 *
 * A lane is what one plugin asks of one host; it has `per_host` requests there at a time.  Lanes
 * take turns, and all together have `total`.  A plugin that has none under way may always begin
 * one, so that nobody waits for another's requests to end. */
#include "services/internal.h"

/* --- peers --- */

static struct http_peer *peer_new(struct http *h, struct str key)
{
    struct http_peer *p = calloc(1, sizeof(*p));
    char *copy = p ? malloc(key.n + 1) : NULL;
    if (!copy) {
        free(p);
        return NULL;
    }
    memcpy(copy, key.p, key.n);
    p->retry_tokens = HTTP_RETRY_TOKENS;
    map_add(&h->peers, &p->node, (struct str){copy, key.n});
    return p;
}

static void peer_free(struct http *h, struct http_peer *p)
{
    list_remove(&p->in_idle);
    map_remove(&h->peers, &p->node);
    free((char *)(uintptr_t)p->node.key.p);
    free(p);
}

static struct http_peer *peer_take(struct http *h, struct str key)
{
    struct map_node *node = map_find(&h->peers, key);
    struct http_peer *p = node ? container_of(node, struct http_peer, node) : peer_new(h, key);
    if (p) {
        list_remove(&p->in_idle);
        p->refs++;
    }
    return p;
}

static void peer_give(struct http *h, struct http_peer *p)
{
    if (--p->refs)
        return;
    list_append(&h->idle_peers, &p->in_idle);
    if (h->peers.count > HTTP_PEERS)
        peer_free(h, container_of(h->idle_peers.next, struct http_peer, in_idle));
}

bool http_peer_admits(struct http_peer *p, uint64_t now, uint64_t *ret_wait)
{
    if (p->failures < HTTP_FAILURES || protection_off("http_breaker"))
        return true;
    *ret_wait = p->open_until > now ? p->open_until - now : 1000 * HTTP_MS;
    return p->open_until <= now && !p->trial;
}

void http_peer_told(struct http_op *o, bool connected)
{
    struct http_peer *p = o->lane->peer;
    if (o->trial)
        p->trial = o->trial = false;
    if (connected)
        p->failures = 0;
    else if (++p->failures >= HTTP_FAILURES)
        p->open_until = clock_ns() + HTTP_BREAK;
}

bool http_peer_retries(struct http_peer *p)
{
    if (p->retry_tokens < HTTP_RETRY)
        return false;
    p->retry_tokens -= HTTP_RETRY;
    return true;
}

/* --- lanes --- */

static struct http_lane *lane_of(struct http_op *o)
{
    struct http_instance *own = http_own(o);
    char text[320];
    int n = snprintf(text, sizeof(text), "%s%s:%u%s", o->url.tls ? "https://" : "http://",
                     o->url.host, o->url.port, o->grant->private_ranges ? " private" : "");
    if (n < 0 || (size_t)n >= sizeof(text)) /* no name is that long; such hosts share a lane */
        n = (int)sizeof(text) - 1;
    struct str key = {text, (size_t)n};
    struct map_node *node = map_find(&own->lanes, key);
    if (node)
        return container_of(node, struct http_lane, node);
    struct http_lane *l = calloc(1, sizeof(*l));
    struct http_peer *p = l ? peer_take(o->http, key) : NULL;
    if (!p) {
        free(l);
        return NULL;
    }
    l->own = own;
    l->peer = p;
    list_init(&l->waiting);
    map_add(&own->lanes, &l->node, p->node.key);
    return l;
}

static void lane_give(struct http *h, struct http_lane *l)
{
    if (--l->ops)
        return;
    list_remove(&l->in_waiting);
    map_remove(&l->own->lanes, &l->node);
    peer_give(h, l->peer);
    free(l);
}

static void count_waiting(struct http_op *o, int by)
{
    o->http->count.waiting += (uint32_t)by;
    http_own(o)->count.waiting += (uint32_t)by;
    o->lane->peer->count.waiting += (uint32_t)by;
}

static void count_active(struct http_op *o, int by)
{
    o->lane->active += (uint32_t)by;
    o->http->count.active += (uint32_t)by;
    http_own(o)->count.active += (uint32_t)by;
    o->lane->peer->count.active += (uint32_t)by;
}

bool http_queue_enter(struct http_op *o, bool front)
{
    struct http_lane *l = lane_of(o);
    if (!l)
        return false;
    l->ops++;
    o->lane = l;
    o->step = HTTP_STEP_WAITING;
    if (front) /* list_append() before the first is behind the head's own place */
        list_append(l->waiting.next, &o->in_lane);
    else
        list_append(&l->waiting, &o->in_lane);
    if (!list_linked(&l->in_waiting))
        list_append(&o->http->lanes, &l->in_waiting);
    count_waiting(o, 1);
    return true;
}

void http_queue_leave(struct http_op *o)
{
    struct http_lane *l = o->lane;
    if (!l)
        return;
    if (o->trial)
        l->peer->trial = o->trial = false;
    if (o->step == HTTP_STEP_ACTIVE)
        count_active(o, -1);
    else
        count_waiting(o, -1);
    list_remove(&o->in_lane);
    if (list_empty(&l->waiting))
        list_remove(&l->in_waiting);
    o->lane = NULL;
    lane_give(o->http, l);
}

/* --- turns --- */

static struct http_op *first_of(const struct http_lane *l)
{
    return container_of(l->waiting.next, struct http_op, in_lane);
}

static bool may_begin(const struct http *h, const struct http_lane *l)
{
    uint32_t most = first_of(l)->grant->per_host;
    if (l->active >= (most ? most : h->spec.per_host))
        return false;
    return h->count.active < h->spec.total || l->own->count.active == 0;
}

static struct http_lane *next_lane(struct http *h)
{
    list_each (it, &h->lanes) {
        struct http_lane *l = container_of(it, struct http_lane, in_waiting);
        if (may_begin(h, l))
            return l;
    }
    return NULL;
}

static void begin_first(struct http *h, struct http_lane *l)
{
    struct http_op *o = first_of(l);
    count_waiting(o, -1);
    list_remove(&o->in_lane);
    list_remove(&l->in_waiting);
    if (!list_empty(&l->waiting)) /* behind the others */
        list_append(&h->lanes, &l->in_waiting);
    o->step = HTTP_STEP_ACTIVE;
    count_active(o, 1);
    http_op_begin(o);
}

void http_queue_pump(struct http *h)
{
    if (h->pumping) /* further up somebody is at it */
        return;
    h->pumping = true;
    for (struct http_lane *l; (l = next_lane(h));)
        begin_first(h, l);
    h->pumping = false;
}

void http_queue_release(struct http *h)
{
    while (!list_empty(&h->idle_peers))
        peer_free(h, container_of(h->idle_peers.next, struct http_peer, in_idle));
    map_release(&h->peers);
}

void http_instance_release(struct http_instance *own)
{
    map_release(&own->lanes);
}
