/* set and drop.  On the loop they are done at once.  From other threads they wait in a list of the
 * instance's, and what was begun by the same thread afterwards finds them done: both go through the
 * engine's one queue. */
#include "services/cache/client.h"

/* Of one instance, from all its threads. */
enum { WAITING_BYTES = 16 << 20 };

enum write_what { WRITE_SET, WRITE_DROP, WRITE_DROP_PREFIX };

struct cache_write {
    struct list in_client;
    enum write_what what;
    uint64_t ttl; /* ns */
    size_t key_len, value_len;
    char bytes[]; /* key, value */
};

void cache_client_free(struct cache_client *c)
{
    for (struct list *it; (it = list_pop(&c->writes));)
        free(container_of(it, struct cache_write, in_client));
    map_release(&c->leases);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* On the loop.  A value that can't be kept, or was invalidated since its miss, is as good as gone.
 */
static void do_write(struct cache_client *c, enum write_what what, struct str key, struct str value,
                     uint64_t ttl)
{
    struct cache_space *s = cache_client_space(c);
    if (!s)
        return;
    switch (what) {
    case WRITE_SET:
        cache_set(s, key, &value, 1, ttl, lease_stamp(c, key));
        lease_done(c, key);
        break;
    case WRITE_DROP:
        cache_delete(s, key);
        break;
    case WRITE_DROP_PREFIX:
        cache_delete_prefix(s, key);
        break;
    }
}

static void on_post(struct post *p)
{
    struct cache_client *c = container_of(p, struct cache_client, post);
    struct list writes;
    list_init(&writes);
    pthread_mutex_lock(&c->lock);
    while (!list_empty(&c->writes))
        list_append(&writes, list_pop(&c->writes));
    c->write_bytes = 0;
    c->posted = false;
    bool gone = !c->engine;
    pthread_mutex_unlock(&c->lock);
    for (struct list *it; (it = list_pop(&writes));) {
        struct cache_write *w = container_of(it, struct cache_write, in_client);
        do_write(c, w->what, (struct str){w->bytes, w->key_len},
                 (struct str){w->bytes + w->key_len, w->value_len}, w->ttl);
        free(w);
    }
    if (gone)
        cache_client_free(c);
}

/* With the lock held, and no post on its way: then the loop does not look at it. */
static bool start_post(struct cache_client *c)
{
    c->post.run = on_post;
    c->posted = engine_post(c->engine, &c->post);
    return c->posted;
}

static mf_status post_write(struct cache_client *c, struct cache_write *w)
{
    mf_status s = MF_OK;
    size_t bytes = sizeof(*w) + w->key_len + w->value_len;
    pthread_mutex_lock(&c->lock);
    if (bytes > WAITING_BYTES - c->write_bytes)
        s = MF_ELIMIT;
    else if (!c->posted && !start_post(c))
        s = MF_ECANCELED; /* the host is about to exit */
    if (s == MF_OK) {
        list_append(&c->writes, &w->in_client);
        c->write_bytes += bytes;
    }
    pthread_mutex_unlock(&c->lock);
    return s;
}

static mf_status begin(const mf_host *h, enum write_what what, mf_bytes key, mf_bytes value,
                       uint64_t ttl)
{
    struct cache_client *c = instance_of_host(h)->services->cache;
    uv_thread_t self = uv_thread_self();
    if (uv_thread_equal(&self, &c->services->loop_thread)) {
        do_write(c, what, str_of_bytes(key), str_of_bytes(value), ttl);
        return MF_OK;
    }
    struct cache_write *w = malloc(sizeof(*w) + key.len + value.len);
    if (!w)
        return MF_ENOMEM;
    *w = (struct cache_write){.what = what, .ttl = ttl, .key_len = key.len, .value_len = value.len};
    if (key.len)
        memcpy(w->bytes, key.data, key.len);
    if (value.len)
        memcpy(w->bytes + key.len, value.data, value.len);
    mf_status s = post_write(c, w);
    if (s)
        free(w);
    return s;
}

mf_status cache_write_set(const mf_host *h, mf_bytes key, mf_bytes value, uint64_t ttl_ms)
{
    if (!ttl_ms)
        return MF_EINVAL;
    if (key.len > MF_CACHE_KEY_MAX || value.len > MF_CACHE_VALUE_MAX)
        return MF_ELIMIT;
    return begin(h, WRITE_SET, key, value,
                 ttl_ms < UINT64_MAX / 1000000 ? ttl_ms * 1000000 : UINT64_MAX);
}

mf_status cache_write_drop(const mf_host *h, mf_bytes key)
{
    mf_bytes none = {NULL, 0};
    return key.len > MF_CACHE_KEY_MAX ? MF_ELIMIT : begin(h, WRITE_DROP, key, none, 0);
}

mf_status cache_write_drop_prefix(const mf_host *h, mf_bytes prefix)
{
    mf_bytes none = {NULL, 0};
    return prefix.len > MF_CACHE_KEY_MAX ? MF_ELIMIT : begin(h, WRITE_DROP_PREFIX, prefix, none, 0);
}
