/* A lease says who is to set a key that several have not found.  It is held by an operation of the
 * holder's call that the plugin does not see: when the call ends without a set, that operation is
 * aborted, and the next one gets the lease. */
#include "services/cache/client.h"

struct hold {
    struct op op;        /* first */
    struct lease *lease; /* NULL: given back */
};

struct lease {
    struct map_node in_client;
    struct cache_client *client;
    struct hold *hold;
    mf_call call;             /* the holder's */
    struct cache_stamp stamp; /* of its miss */
    struct list waiting;      /* struct cache_get, oldest first */
    char key[];
};

static struct lease *find(struct cache_client *c, struct str key)
{
    struct map_node *n = c->leases.count ? map_find(&c->leases, key) : NULL;
    return n ? container_of(n, struct lease, in_client) : NULL;
}

static void give_up(struct lease *l)
{
    map_remove(&l->client->leases, &l->in_client);
    if (l->hold)
        l->hold->lease = NULL;
}

static void pass_on(struct lease *l);

static void hold_start(struct op *op)
{
    (void)op;
}

static void hold_abort(struct op *op)
{
    struct hold *h = container_of(op, struct hold, op);
    struct lease *l = h->lease;
    op_end(op, MF_ECANCELED);
    if (!l)
        return;
    h->lease = NULL;
    l->hold = NULL;
    pass_on(l);
}

static void hold_deliver(struct op *op)
{
    (void)op;
}

static void hold_release(struct op *op)
{
    free(container_of(op, struct hold, op));
}

/* False: its call has ended, or there is no room for one more operation. */
static bool hold(struct lease *l, const struct cache_get *g)
{
    static const struct op_kind kind = {"cache.lease", hold_start, hold_abort, hold_deliver,
                                        hold_release};
    struct hold *h = calloc(1, sizeof(*h));
    if (!h || !op_begin(&g->op.instance->host, g->op.call, &h->op, &kind) || h->op.ended)
        return false;
    h->lease = l;
    l->hold = h;
    l->call = g->op.call;
    l->stamp = g->read.stamp;
    return true;
}

/* To the first who still can. */
static void pass_on(struct lease *l)
{
    for (struct list *it; !l->hold && (it = list_pop(&l->waiting));) {
        struct cache_get *g = container_of(it, struct cache_get, waiting);
        g->read.stamp = cache_stamp_now(g->client->space);
        hold(l, g);
        op_end(&g->op, MF_ENOENT);
    }
    if (l->hold)
        return;
    give_up(l);
    free(l);
}

bool lease_wait(struct cache_get *g)
{
    struct lease *l = find(g->client, cache_get_key(g));
    if (!l || l->call == g->op.call) /* nobody waits for himself */
        return false;
    list_append(&l->waiting, &g->waiting);
    return true;
}

void lease_take(struct cache_get *g)
{
    struct cache_client *c = g->client;
    if (!c->space || find(c, cache_get_key(g)))
        return;
    struct lease *l = calloc(1, sizeof(*l) + g->key_len);
    if (!l)
        return; /* everybody is the first then */
    l->client = c;
    list_init(&l->waiting);
    if (g->key_len)
        memcpy(l->key, g->key, g->key_len);
    if (hold(l, g))
        map_add(&c->leases, &l->in_client, (struct str){l->key, g->key_len});
    else
        free(l);
}

const struct cache_stamp *lease_stamp(struct cache_client *c, struct str key)
{
    struct lease *l = find(c, key);
    return l ? &l->stamp : NULL;
}

void lease_done(struct cache_client *c, struct str key)
{
    struct lease *l = find(c, key);
    if (!l)
        return;
    give_up(l);
    op_end(&l->hold->op, MF_OK);
    for (struct list *it; (it = list_pop(&l->waiting));)
        cache_get_try(container_of(it, struct cache_get, waiting));
    free(l);
}
