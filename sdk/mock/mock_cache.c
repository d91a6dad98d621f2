/* mock_cache.c - "manifold.cache/1" in memory, with its times on the fake clock. */
#include "mock_internal.h"

#include <manifold/cache.h>
#include <manifold/mock.h>

#include <stdlib.h>
#include <string.h>

struct entry {
    mf_bytes key, value; /* owned */
    uint64_t expires;
    struct entry *next;
};

/* Held by an operation of the holder's call, which the plugin does not see: it is aborted when the
 * call ends. */
struct hold {
    struct mock_op op;   /* first */
    struct lease *lease; /* NULL: it was set, or passed on */
};

struct lease {
    mf_bytes key; /* owned */
    mf_call call;
    struct hold *hold;
    bool dropped; /* since the miss */
    struct lease *next;
};

struct mock_cache {
    struct entry *entries; /* under the lock, as all here */
    struct lease *leases;
};

struct get {
    struct mock_op op; /* first */
    mf_bytes key;      /* owned */
    uint32_t flags;
    mf_cached_cb end;
    void *arg;
    mf_bytes value; /* owned copy */
    bool waiting;   /* for a lease of its key */
};

static struct get *get_of(struct mock_op *op)
{
    return (struct get *)op;
}

static struct mock_cache *cache_of(mf_mock *m)
{
    if (m->cache == NULL)
        m->cache = mock_checked(calloc(1, sizeof(*m->cache)));
    return m->cache;
}

static bool same(mf_bytes a, mf_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool begins(mf_bytes key, mf_bytes prefix)
{
    return key.len >= prefix.len && same((mf_bytes){key.data, prefix.len}, prefix);
}

static mf_bytes copy(mf_bytes b)
{
    return (mf_bytes){mock_copy(b), b.len};
}

static void free_bytes(mf_bytes b)
{
    free((char *)(uintptr_t)b.data);
}

/* ---- under the lock -------------------------------------------------------- */

/* Takes out what `prefix` (or `key`) says, or what is over. */
static void forget(mf_mock *m, const mf_bytes *key, const mf_bytes *prefix)
{
    struct entry **at = &cache_of(m)->entries;
    while (*at != NULL) {
        struct entry *e = *at;
        if (e->expires > m->now && !(key != NULL && same(e->key, *key)) &&
            !(prefix != NULL && begins(e->key, *prefix))) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        free_bytes(e->key);
        free_bytes(e->value);
        free(e);
    }
}

static const struct entry *find_entry(mf_mock *m, mf_bytes key)
{
    const struct entry *e;
    forget(m, NULL, NULL);
    for (e = cache_of(m)->entries; e != NULL && !same(e->key, key);)
        e = e->next;
    return e;
}

static struct lease **find_lease(mf_mock *m, mf_bytes key)
{
    struct lease **at = &cache_of(m)->leases;
    while (*at != NULL && !same((*at)->key, key))
        at = &(*at)->next;
    return at;
}

static void end_lease(struct lease **at)
{
    struct lease *l = *at;
    *at = l->next;
    if (l->hold != NULL)
        l->hold->lease = NULL;
    free_bytes(l->key);
    free(l);
}

/* ---- leases; on the loop, without the lock --------------------------------- */

static const struct mock_op_kind get_kind;

static void hold_start(struct mock_op *op)
{
    (void)op;
}

/* All who wait ask again, and the first of them gets the lease. */
static void lose_lease(struct hold *h)
{
    mf_mock *m = h->op.mock;
    pthread_mutex_lock(&m->lock);
    if (h->lease != NULL) {
        struct lease **at = find_lease(m, h->lease->key);
        for (struct mock_op *o = m->ops; o != NULL; o = o->next)
            if (o->kind == &get_kind && get_of(o)->waiting && same(get_of(o)->key, (*at)->key))
                o->due = 0;
        end_lease(at);
    }
    pthread_mutex_unlock(&m->lock);
}

static void hold_abort(struct mock_op *op)
{
    lose_lease((struct hold *)op);
    mock_op_end(op, MF_ECANCELED, NULL);
}

static void hold_deliver(struct mock_op *op)
{
    (void)op;
}

/* Its call may have ended before it began: then nobody has aborted it. */
static void hold_release(struct mock_op *op)
{
    lose_lease((struct hold *)op);
    free(op);
}

/* g has found nothing and gets the lease. */
static void take_lease(struct get *g)
{
    static const struct mock_op_kind kind = {"cache.lease", hold_start,   NULL,
                                             hold_abort,    hold_deliver, hold_release};
    mf_mock *m = g->op.mock;
    struct hold *h = mock_checked(calloc(1, sizeof(*h)));
    struct lease *l = mock_checked(calloc(1, sizeof(*l)));
    *l = (struct lease){.key = copy(g->key), .call = g->op.call, .hold = h};
    if (mock_op_begin(&m->host, g->op.call, &h->op, &kind) == 0) {
        free_bytes(l->key); /* no room for one more operation: everybody is the first */
        free(l);
        return;
    }
    pthread_mutex_lock(&m->lock);
    h->lease = l;
    l->next = cache_of(m)->leases;
    m->cache->leases = l;
    pthread_mutex_unlock(&m->lock);
}

/* ---- get ------------------------------------------------------------------- */

static void get_try(struct mock_op *op)
{
    struct get *g = get_of(op);
    mf_mock *m = op->mock;
    pthread_mutex_lock(&m->lock);
    const struct entry *e = find_entry(m, g->key);
    const struct lease *l = *find_lease(m, g->key);
    bool leases = (g->flags & MF_CACHE_LEASE) != 0;
    op->due = UINT64_MAX;
    g->waiting = e == NULL && leases && l != NULL && l->call != op->call;
    if (e != NULL) {
        g->value = copy(e->value);
        mock_op_end_locked(op, MF_OK, NULL);
    }
    pthread_mutex_unlock(&m->lock);
    if (e != NULL || g->waiting)
        return;
    if (leases && l == NULL)
        take_lease(g);
    mock_op_end(op, MF_ENOENT, NULL);
}

static void get_abort(struct mock_op *op)
{
    mock_op_end(op, MF_ECANCELED, NULL);
}

static void get_deliver(struct mock_op *op)
{
    struct get *g = get_of(op);
    mf_cached cached = {.value = mock_lend_bytes(g->value)};
    mock_op_fill(op, &cached.end, sizeof(cached));
    if (g->end != NULL)
        g->end(g->arg, &cached);
    mock_take_back(cached.value);
}

static void get_release(struct mock_op *op)
{
    struct get *g = get_of(op);
    free_bytes(g->key);
    free_bytes(g->value);
    free(g);
}

static const struct mock_op_kind get_kind = {"cache.get", get_try,     get_try,
                                             get_abort,   get_deliver, get_release};

static mf_op cache_get(const mf_host *host, mf_call call, mf_bytes key, uint32_t flags,
                       mf_cached_cb end, void *arg)
{
    if (key.len > MF_CACHE_KEY_MAX)
        return mock_op_refuse(host, get_kind.name, "expected a key of at most 512 bytes");
    if ((flags & ~(uint32_t)MF_CACHE_LEASE) != 0)
        return mock_op_refuse(host, get_kind.name, "expected no flag but MF_CACHE_LEASE");
    if (flags != 0 && call == 0)
        return mock_op_refuse(host, get_kind.name, "expected a call that the lease is for");
    struct get *g = mock_checked(calloc(1, sizeof(*g)));
    g->key = copy(key);
    g->flags = flags;
    g->end = end;
    g->arg = arg;
    return mock_op_begin(host, call, &g->op, &get_kind);
}

/* ---- set and drop ---------------------------------------------------------- */

/* Under the lock: who waits for the key asks again. */
static void tell(mf_mock *m, mf_bytes key)
{
    struct lease **at = find_lease(m, key);
    if (*at == NULL)
        return;
    mock_op_end_locked(&(*at)->hold->op, MF_OK, NULL);
    end_lease(at);
    for (struct mock_op *o = m->ops; o != NULL; o = o->next)
        if (o->kind == &get_kind && get_of(o)->waiting && same(get_of(o)->key, key))
            o->due = 0;
}

/* Under the lock. */
static bool may_use(mf_mock *m, const char *function)
{
    if (m->closed)
        mock_mistake(m, "%s(): used after close()", function);
    return !m->closed;
}

static mf_status cache_set(const mf_host *host, mf_bytes key, mf_bytes value, uint64_t ttl_ms)
{
    mf_mock *m = mock_of(host);
    if (key.len > MF_CACHE_KEY_MAX || value.len > MF_CACHE_VALUE_MAX)
        return MF_ELIMIT;
    pthread_mutex_lock(&m->lock);
    if (ttl_ms == 0)
        mock_mistake(m, "cache.set(): expected a time of more than 0");
    bool may = may_use(m, "cache.set") && ttl_ms != 0;
    const struct lease *l = *find_lease(m, key);
    if (may && !(l != NULL && l->dropped)) {
        struct entry *e = mock_checked(calloc(1, sizeof(*e)));
        forget(m, &key, NULL);
        *e = (struct entry){.key = copy(key),
                            .value = copy(value),
                            .expires = ttl_ms < (UINT64_MAX - m->now) / 1000000
                                           ? m->now + ttl_ms * 1000000
                                           : UINT64_MAX,
                            .next = m->cache->entries};
        m->cache->entries = e;
    }
    if (may)
        tell(m, key);
    pthread_mutex_unlock(&m->lock);
    return may ? MF_OK : MF_EINVAL;
}

static mf_status drop(const mf_host *host, mf_bytes key, bool prefix)
{
    mf_mock *m = mock_of(host);
    if (key.len > MF_CACHE_KEY_MAX)
        return MF_ELIMIT;
    pthread_mutex_lock(&m->lock);
    bool may = may_use(m, prefix ? "cache.drop_prefix" : "cache.drop");
    forget(m, prefix ? NULL : &key, prefix ? &key : NULL);
    for (struct lease *l = m->cache->leases; l != NULL; l = l->next)
        l->dropped = l->dropped || (prefix ? begins(l->key, key) : same(l->key, key));
    pthread_mutex_unlock(&m->lock);
    return may ? MF_OK : MF_EINVAL;
}

static mf_status cache_drop(const mf_host *host, mf_bytes key)
{
    return drop(host, key, false);
}

static mf_status cache_drop_prefix(const mf_host *host, mf_bytes prefix)
{
    return drop(host, prefix, true);
}

const struct mf_cache mock_cache = {
    sizeof(mf_cache), 0, cache_get, cache_set, cache_drop, cache_drop_prefix, mock_op_abort};

/* ---- for tests ------------------------------------------------------------- */

void mf_mock_forget(mf_mock *m)
{
    mf_bytes all = {NULL, 0};
    pthread_mutex_lock(&m->lock);
    forget(m, NULL, &all);
    pthread_mutex_unlock(&m->lock);
}

void mock_cache_release(mf_mock *m)
{
    if (m->cache == NULL)
        return;
    mf_mock_forget(m);
    while (m->cache->leases != NULL)
        end_lease(&m->cache->leases);
    free(m->cache);
}
