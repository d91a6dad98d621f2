/* host/services/cache/cache.h - the cache: a memory tier, and behind it Redis where the config
 * names one.
 *
 * Keys live in spaces, one for each use of an instance; nothing reaches from one space into
 * another.  A value is bytes.  Nothing here fails a call: without Redis, or with a Redis that is
 * slow, gone or talks garbage, a value is found in memory or it is a miss.
 *
 * Promises: memory stays within its bound; a value is never given out after its time, nor, where
 * this host had it, after cache_delete() or cache_delete_prefix() has returned; on other hosts, and
 * of other hosts' sets that were under way, within 100 ms of it while Redis answers.  How:
 * docs/internals/cache.md.
 *
 * All functions: loop thread. */
#ifndef MANIFOLD_SERVICES_CACHE_H
#define MANIFOLD_SERVICES_CACHE_H

#include <uv.h>
#include "base/list.h"
#include "config/settings.h"

enum { CACHE_KEY_MAX = 1024, CACHE_VALUE_MAX = 4 << 20 };

struct cache;
struct cache_space; /* lives as long as the cache */
struct cache_flight;

/* `spec` is copied.  Connecting begins; nothing waits for it.  0, or the loop's negative errno. */
int cache_open(uv_loop_t *loop, const struct cache_spec *spec, struct cache **ret, struct err *e);
/* What waits for Redis is told "miss" before this returns; values that are still held then stay,
 * and are never given back.  `done`
 * runs once, on the loop, when the handles are closed and the memory is given back; not NULL. */
void cache_close(struct cache *c, void (*done)(void *arg), void *arg);

enum cache_use {
    CACHE_VALUES, /* what a plugin keeps by cache/1 */
    CACHE_RESULTS /* results of its tools and resources */
};
/* The space of an instance, made when first asked for; NULL: no memory for the cache's tables.  The
 * name comes from the host, never from a plugin.  Generations of an instance share it. */
struct cache_space *cache_space(struct cache *c, enum cache_use use, struct str instance);

/* --- reading --- */

/* A value that was found.  Its bytes stay as they are until cache_release(), whatever happens to
 * the key in the meantime, and count against the memory until then. */
struct cache_value {
    struct str bytes;
    uint64_t left;              /* ns, until its time is over */
    bool foreign;               /* it came from Redis, and nobody has vouched for it */
    struct memory_entry *entry; /* private */
};

/* What was valid when a miss was seen.  Handed back with cache_set() it keeps a value from being
 * stored that was made from what has been invalidated since. */
struct cache_stamp {
    uint64_t order;
    uint64_t epoch;
    uint32_t at;
};

/* One read on its way, embedded in whatever waits for it.  Zeroed, and `done` set, before the first
 * cache_get(); may be used again once it has been answered. */
struct cache_read {
    /* Once, unless cancelled, after CACHE_ASKED and never within cache_get(): on the loop.  v is
     * NULL for a miss, else valid until done() returns, or longer by cache_keep().  May call
     * anything here but cache_close(), and free the read. */
    void (*done)(struct cache_read *r, const struct cache_value *v);
    struct cache_stamp stamp;    /* set when the read ends as a miss, by answer or by done() */
    struct list waiting;         /* private */
    struct cache_flight *flight; /* private; NULL: not on its way */
};

enum cache_answer {
    CACHE_HIT,  /* in memory: *ret is the value, to be released; no allocation, no copy */
    CACHE_MISS, /* in neither, or Redis is not to be asked now */
    CACHE_ASKED /* Redis is asked: done() runs within the spec's timeout */
};
/* `key` is borrowed for the call and at most CACHE_KEY_MAX bytes, else a miss.  cache_get() is
 * cache_find(), which looks into memory alone, and where that finds nothing cache_ask(). */
bool cache_find(struct cache_space *s, struct str key, struct cache_value *ret);
enum cache_answer cache_ask(struct cache_space *s, struct str key, struct cache_read *r);
enum cache_answer cache_get(struct cache_space *s, struct str key, struct cache_read *r,
                            struct cache_value *ret);
/* The stamp of a miss that is seen now, or of a value that is made without a look at the cache. */
struct cache_stamp cache_stamp_now(const struct cache_space *s);
/* done() will not run.  A read that is not on its way: nothing. */
void cache_cancel(struct cache_read *r);
/* Its user has looked at the bytes, and they are as this host itself would write them. */
void cache_vouch(const struct cache_value *v);
/* One more cache_release() is needed for it. */
void cache_keep(struct cache_space *s, const struct cache_value *v);
void cache_release(struct cache_space *s, const struct cache_value *v);

/* --- writing --- */

/* Stores the pieces, one behind the other, as the key's value, for `ttl` ns
 * (1 ms at least).  All is copied.  `since`: the stamp of the miss for which the value was made;
 * NULL: it is as of now.  0, or why it is not kept: -E2BIG (key, or value over CACHE_VALUE_MAX),
 * -EINVAL (ttl), -ESTALE (invalidated since), -ENOMEM.  That Redis does not take it is no error. */
int cache_set(struct cache_space *s, struct str key, const struct str *piece, unsigned pieces,
              uint64_t ttl, const struct cache_stamp *since);
/* One key; every key of the space that begins with `prefix` (empty: all of them).  At most
 * CACHE_KEY_MAX bytes, else -E2BIG.  In force here at once; Redis and the other hosts are told, and
 * told again when they could not be. */
int cache_delete(struct cache_space *s, struct str key);
int cache_delete_prefix(struct cache_space *s, struct str prefix);

/* --- what it did --- */

enum cache_link {
    CACHE_LINK_NONE,       /* no Redis in the config */
    CACHE_LINK_IDLE,       /* nobody has used the cache yet */
    CACHE_LINK_CONNECTING, /* or waiting to try again */
    CACHE_LINK_UP,
    CACHE_LINK_SILENT /* connected, but it does not answer: it is not asked until it does */
};

/* Of one space. */
struct cache_tally {
    uint64_t memory_hits, redis_hits, misses, sets, deletes, prefix_deletes;
};

struct cache_counters {
    struct cache_tally all;                            /* over all spaces */
    uint64_t entries, bytes, memory;                   /* now; the bound */
    uint64_t evictions, expired, invalidated, refused; /* refused: not kept in memory */
    enum cache_link link;
    const char
        *link_error; /* why it is not up, without secrets; NULL.  Borrowed until the next turn */
    uint64_t commands, replies, errors, timeouts, dropped, reconnects; /* of Redis */
    uint64_t invalidations_in; /* received from other hosts */
    uint64_t pending, owed;    /* commands without reply; deletes that Redis has yet to be told */
};

void cache_count(const struct cache *c, struct cache_counters *ret);
const struct cache_tally *cache_space_count(const struct cache_space *s);
const char *cache_link_name(enum cache_link link);

#endif
