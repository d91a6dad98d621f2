/* manifold.cache/1: what a plugin keeps.  The space is that of the instance's name, which the
 * plugin neither gives nor sees. */
#include "services/cache/client.h"

static struct cache_get *get_of(struct op *op)
{
    return container_of(op, struct cache_get, op);
}

struct cache_space *cache_client_space(struct cache_client *c)
{
    const char *name = protection_off("cache_names") ? "all" : c->name;
    struct cache *cache = c->space ? NULL : services_cache(c->services);
    if (cache)
        c->space = cache_space(cache, CACHE_VALUES, str_of(name));
    return c->space;
}

static void found(struct cache_get *g, const struct cache_value *v)
{
    g->value = *v;
    g->found = true;
    op_end(&g->op, MF_OK);
}

static void missed(struct cache_get *g)
{
    if (g->flags & MF_CACHE_LEASE) {
        if (lease_wait(g))
            return;
        lease_take(g);
    }
    op_end(&g->op, MF_ENOENT);
}

static void on_read(struct cache_read *r, const struct cache_value *v)
{
    struct cache_get *g = container_of(r, struct cache_get, read);
    if (!v) {
        missed(g);
        return;
    }
    cache_keep(g->client->space, v);
    found(g, v);
}

void cache_get_try(struct cache_get *g)
{
    struct cache_space *s = cache_client_space(g->client);
    struct cache_value v;
    g->read.done = on_read;
    enum cache_answer a = s ? cache_get(s, cache_get_key(g), &g->read, &v) : CACHE_MISS;
    if (a == CACHE_HIT)
        found(g, &v);
    else if (a == CACHE_MISS)
        missed(g);
}

static void get_start(struct op *op)
{
    struct cache_get *g = get_of(op);
    if (!(g->flags & MF_CACHE_LEASE) || !lease_wait(g))
        cache_get_try(g);
}

static void get_abort(struct op *op)
{
    struct cache_get *g = get_of(op);
    cache_cancel(&g->read);
    list_remove(&g->waiting);
    op_end(op, MF_ECANCELED);
}

static void get_deliver(struct op *op)
{
    struct cache_get *g = get_of(op);
    mf_cached cached = {.value = {g->value.bytes.p, g->value.bytes.n}};
    op_end_fill(op, &cached.end, sizeof(cached));
    if (g->end)
        g->end(g->arg, &cached);
}

static void get_release(struct op *op)
{
    struct cache_get *g = get_of(op);
    if (g->found)
        cache_release(g->client->space, &g->value);
    free(g);
}

static mf_op service_get(const mf_host *h, mf_call call, mf_bytes key, uint32_t flags,
                         mf_cached_cb end, void *arg)
{
    static const struct op_kind kind = {"cache.get", get_start, get_abort, get_deliver,
                                        get_release};
    if (key.len > MF_CACHE_KEY_MAX)
        return op_refuse(h, kind.name, "expected a key of at most 512 bytes, found more");
    if (flags & ~(uint32_t)MF_CACHE_LEASE)
        return op_refuse(h, kind.name, "expected no flag but MF_CACHE_LEASE, found another");
    if ((flags & MF_CACHE_LEASE) && !call)
        return op_refuse(h, kind.name, "expected a call that MF_CACHE_LEASE is for, found none");
    struct cache_get *g = malloc(sizeof(*g) + key.len);
    if (!g)
        return op_refuse(h, kind.name, "out of memory");
    *g = (struct cache_get){.client = instance_of_host(h)->services->cache,
                            .end = end,
                            .arg = arg,
                            .flags = flags,
                            .key_len = (uint16_t)key.len};
    if (key.len)
        memcpy(g->key, key.data, key.len);
    return op_begin(h, call, &g->op, &kind);
}

static const struct mf_cache vtable = {.size = sizeof(mf_cache),
                                       .get = service_get,
                                       .set = cache_write_set,
                                       .drop = cache_write_drop,
                                       .drop_prefix = cache_write_drop_prefix,
                                       .abort = op_abort};

static struct cache_client *client_new(struct services *s, struct instance *in)
{
    struct cache_client *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->services = s;
    c->engine = in->engine;
    snprintf(c->name, sizeof(c->name), "%s", in->name);
    pthread_mutex_init(&c->lock, NULL);
    list_init(&c->writes);
    return c;
}

const void *cache_open_service(struct services *s, struct instance *in)
{
    pthread_mutex_lock(&s->lock);
    if (!in->services->cache)
        in->services->cache = client_new(s, in);
    bool have = in->services->cache;
    pthread_mutex_unlock(&s->lock);
    return have ? &vtable : NULL;
}

void cache_release_service(struct cache_client *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    bool posted = c->posted;
    c->engine = NULL;
    pthread_mutex_unlock(&c->lock);
    if (!posted)
        cache_client_free(c);
}
