/* host/services/results/internal.h - private to results/.
 *
 * results.c  requests, runs and who waits for them
 * wait.c     one wait: its deadline, its answer
 * key.c      the key of a request
 * version.c  what a plugin is, so that a changed one has other keys
 * value.c    a result as the cache keeps it */
#ifndef MANIFOLD_SERVICES_RESULTS_INTERNAL_H
#define MANIFOLD_SERVICES_RESULTS_INTERNAL_H

#include "base/map.h"
#include "services/cache/cache.h"
#include "services/internal.h"
#include "services/results/results.h"

/* --- the key --- */

/* [address of the instance 8][kind 1][length 4][subject][principal][version 16]
 *
 * A run is shared under all but the version, a result kept under all but the address.  The subject
 * is the tool's name, NUL and its arguments, or the URI; a long one is its SHA-256.  So all that
 * is kept for a URI begins with kind, length and subject. */
enum {
    KEY_ADDRESS = 8,
    KEY_HEAD = 5,
    KEY_SUBJECT_MAX = 850,
    KEY_PRINCIPAL_MAX = 128,
    KEY_VERSION = 16,
    KEY_MAX = KEY_ADDRESS + KEY_HEAD + KEY_SUBJECT_MAX + KEY_PRINCIPAL_MAX + KEY_VERSION
};
_Static_assert(KEY_MAX - KEY_ADDRESS <= CACHE_KEY_MAX, "a key that the cache does not take");

/* In place of what b holds, whose maximum is results_key_max(); the version is zeros.  False: it is
 * too long, or there is no memory. */
bool key_make(struct buf *b, const struct call_request *rq, const struct json_doc *d,
              json_ref args);
size_t key_max(void);
static inline struct str key_shared(const struct buf *b)
{
    return (struct str){b->data, b->len - KEY_VERSION};
}
static inline struct str key_kept(const struct buf *b)
{
    return (struct str){b->data + KEY_ADDRESS, b->len - KEY_ADDRESS};
}
static inline void key_set_version(struct buf *b, const char version[KEY_VERSION])
{
    memcpy(b->data + b->len - KEY_VERSION, version, KEY_VERSION);
}
/* What the key_kept() of each result for this URI begins with. */
bool key_of_uri(struct buf *b, struct str uri);

/* --- what one instance is --- */

/* NULL: no memory. */
struct instance_results *results_of(struct results *r, struct instance *in);
/* False: it is not known before the library has been read. */
bool version_know(struct instance_results *own, const struct instance *in);

/* --- a result as the cache keeps it --- */

enum { VALUE_HEAD = 13, VALUE_PIECES = 4 };
/* 0, or the error of cache_set(). */
int value_keep(struct cache_space *space, const struct buf *key, const struct outcome *o,
               uint64_t ttl, const struct cache_stamp *since);
/* False: it is none of ours, or damaged.  `ttl`: ns, of the entry.  The outcome borrows the value's
 * bytes. */
bool value_read(struct results *r, const struct cache_value *v, uint64_t ttl, struct outcome *o,
                struct outcome_kept *kept);

/* --- runs and waits --- */

/* One run, or a look into Redis that may become one.  From the pool. */
struct flight {
    struct map_node node; /* in results.flights while it may be shared */
    struct list in_pool;
    struct results *results;
    struct instance *instance;
    uint32_t entry, kind;
    struct call *call;      /* NULL while it asks the cache */
    struct cache_read read; /* read.stamp: what has changed since is not to be kept */
    uint64_t deadline;      /* ns: of the run; while it asks, UINT64_MAX */
    struct list waits;      /* struct result_wait, oldest first */
    uint32_t wait_count;
    struct buf key;
    struct buf input; /* copies of args, uri and meta, for a run that begins later */
    struct str args, uri, meta;
    bool mapped; /* it may be shared */
    bool asks;   /* the cache, and holds the instance */
    bool ending; /* its waits are being answered */
    struct result_wait {
        struct list in_flight, in_deadlines;
        struct flight *flight;
        const struct call_sink *sink;
        void *user;
        uint64_t deadline; /* ns */
        int log_level;
        bool progress, shared;
    } first; /* of the request that began it; the others' are malloc's */
};

struct results {
    struct services *services;
    uv_timer_t timer;      /* the soonest of the deadlines */
    uint64_t armed;        /* ns; 0: not */
    struct list deadlines; /* of waits that end before their run must: soonest first */
    struct map flights;
    uint32_t runs, waits, waits_max;
    struct list pool; /* flights to be used again */
    uint32_t pooled;
    struct buf key;      /* of the request that is being looked at */
    struct json_doc doc; /* what other hosts wrote */
    struct results_counters count;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* --- wait.c --- */

/* Takes `w` into the flight. */
void wait_begin(struct result_wait *w, struct flight *f, const struct call_request *rq,
                bool shared);
/* Lists it if its time is over before the flight's; takes it off the list if not. */
void wait_limit(struct result_wait *w);
/* Out of the flight, and freed where it is malloc's. */
void wait_end(struct result_wait *w);
/* The same, and answers. */
void wait_answer(struct result_wait *w, const struct outcome *o, struct outcome_kept kept);
void waits_due(struct results *r);

/* --- results.c --- */

/* Nobody waits for it any more. */
void flight_abandon(struct flight *f);
/* The first invariant that does not hold, as a sentence; NULL: all do.  For tests. */
const char *results_check(const struct results *r);

#endif
