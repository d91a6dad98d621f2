/* manifold/cache.h - "manifold.cache/1": a cache in memory and, where the operator has one, in
 * Redis behind it.  See op.h.
 *
 * Keys are the instance's own: the host puts its name in front of them, so no plugin sees
 * another's.  A value may be gone at any time.  A Redis that is slow or gone is no error: what it
 * would have answered counts as not there. */
#ifndef MANIFOLD_CACHE_H
#define MANIFOLD_CACHE_H

#include "op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_CACHE "manifold.cache/1"

enum { MF_CACHE_KEY_MAX = 512, MF_CACHE_VALUE_MAX = 1 << 20 }; /* bytes */

/* end.status MF_OK: `value`; MF_ENOENT: there is none.  Borrowed until the callback returns. */
typedef struct mf_cached {
    mf_end end; /* first */
    mf_bytes value;
} mf_cached;

typedef void (*mf_cached_cb)(void *arg, const mf_cached *cached);

enum {
    /* For get() of a call: of several calls that find nothing the first gets MF_ENOENT and is to
     * set() the key; the others wait for that and get its value, or become the first when its call
     * has ended without.  When the key is dropped meanwhile, what that set() brings is not kept. */
    MF_CACHE_LEASE = 1 << 0
};

typedef struct mf_cache {
    uint32_t size;
    uint32_t flags; /* 0 */
    mf_op (*get)(const mf_host *host, mf_call call, mf_bytes key, uint32_t flags, mf_cached_cb end,
                 void *arg);
    /* Copied; there at once for get(), written to Redis behind.  ttl_ms: more than 0.  MF_ELIMIT: a
     * key or value over its maximum. */
    mf_status (*set)(const mf_host *host, mf_bytes key, mf_bytes value, uint64_t ttl_ms);
    /* Gone at once for get(), soon in Redis and in other hosts. */
    mf_status (*drop)(const mf_host *host, mf_bytes key);
    mf_status (*drop_prefix)(const mf_host *host, mf_bytes prefix); /* empty: all of the instance */
    mf_status (*abort)(const mf_host *host, mf_op op);
} mf_cache;

#ifdef __cplusplus
}
#endif
#endif
