/* host/services/cache/client.h - private to manifold.cache/1: one instance and its cache.
 *
 * service.c  get, and what the vtable says
 * writes.c   set and drop, from any thread
 * lease.c    who of several that miss the same key is to set it */
#ifndef MANIFOLD_SERVICES_CACHE_CLIENT_H
#define MANIFOLD_SERVICES_CACHE_CLIENT_H

#include "base/map.h"
#include "manifold/cache.h"
#include "services/cache/cache.h"
#include "services/internal.h"

/* It may outlive its instance: until what is on its way to the loop has come. */
struct cache_client {
    struct services *services;
    struct cache_space *space; /* loop; NULL until needed */
    struct map leases;         /* loop; struct lease */
    char name[64];             /* of the instance */
    struct post post;
    pthread_mutex_t lock;
    struct engine *engine; /* under lock, as is all below; NULL: the instance is gone */
    bool posted;
    struct list writes; /* struct cache_write, oldest first */
    size_t write_bytes;
};

struct lease;

/* One get(). */
struct cache_get {
    struct op op; /* first */
    struct cache_read read;
    struct cache_client *client;
    mf_cached_cb end;
    void *arg;
    struct cache_value value;
    struct list waiting; /* in lease.waiting */
    uint32_t flags;
    uint16_t key_len;
    bool found; /* and `value` is held */
    char key[];
};

static inline struct str cache_get_key(const struct cache_get *g)
{
    return (struct str){g->key, g->key_len};
}
static inline struct str str_of_bytes(mf_bytes b)
{
    return (struct str){b.data, b.len};
}

/* NULL: no memory. */
struct cache_space *cache_client_space(struct cache_client *c);
/* Asks (again) and ends, or waits.  On the loop. */
void cache_get_try(struct cache_get *g);

/* --- writes.c --- */

mf_status cache_write_set(const mf_host *host, mf_bytes key, mf_bytes value, uint64_t ttl_ms);
mf_status cache_write_drop(const mf_host *host, mf_bytes key);
mf_status cache_write_drop_prefix(const mf_host *host, mf_bytes prefix);
void cache_client_free(struct cache_client *c);

/* --- lease.c; on the loop --- */

/* True: another one is to set the key, and g waits for it. */
bool lease_wait(struct cache_get *g);
/* g has found nothing and is to set the key, as long as its call goes on. */
void lease_take(struct cache_get *g);
/* What was valid when the holder found nothing; NULL: there is no lease. */
const struct cache_stamp *lease_stamp(struct cache_client *c, struct str key);
/* The key was set: those who waited ask again. */
void lease_done(struct cache_client *c, struct str key);

#endif
