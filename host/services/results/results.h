/* host/services/results/results.h - results of tools and resources with `cache:` are kept, and
 * equal calls in flight share one run.
 *
 * It stands between the protocol and the engine: results_find() first, and where it finds nothing
 * and the arguments are valid, with the engine's own contract, results_start() instead of
 * call_start() and results_cancel() instead of call_cancel().  What is not to be kept goes straight
 * on.
 *
 * Equal are requests to the same instance and entry with the same arguments (canonical, see
 * json/canonical.h) or URI, and, unless `scope: public`, of the same principal.  _meta does not
 * count; the plugin gets that of the first.
 *
 * Kept is what ended with CALL_DONE, up to RESULTS_VALUE_MAX bytes, under a key that also holds
 * what the plugin is (version.c), so that no result outlives a change of its library,
 * manifest, config or rights.  How and why: docs/internals/results.md.
 *
 * All functions: loop thread. */
#ifndef MANIFOLD_SERVICES_RESULTS_H
#define MANIFOLD_SERVICES_RESULTS_H

#include "engine/instance.h"
#include "json/reader.h"
#include "services/cache/cache.h"

enum {
    RESULTS_VALUE_MAX = 1 << 20, /* bytes of a result that is kept                         */
    RESULTS_ARGS_MAX = 65536     /* canonical arguments or URI; a longer request is not kept */
};

struct services;
struct result_wait;

/* A request that is not answered yet: a call of its own, or a wait for the cache or for a run that
 * it may share.  Both NULL: none. */
struct ticket {
    struct call *call;
    struct result_wait *wait;
};
static inline bool ticket_waits(struct ticket t)
{
    return t.call || t.wait;
}

/* A kept result, as it lies in the cache. */
struct results_hit {
    struct outcome outcome;
    struct outcome_kept kept; /* of the outcome */
    struct cache_value value; /* private, as is `space` */
    struct cache_space *space;
};

/* What results_find() and results_start() do for an entry with `cache:`. */
bool results_find_kept(struct services *s, struct call_request *rq, const struct json_doc *d,
                       json_ref args, struct results_hit *ret);
struct ticket results_start_kept(struct services *s, const struct call_request *rq);

/* Is a result kept, in memory?  Then it is counted, and is to be answered with and given back by
 * results_release().  It needs nothing of rq->sink, and the arguments need not be valid: they are
 * those of a request that was.
 * `args` of `d`: what rq->args is the text of; 0 or null: no arguments.  Not looked at for
 * resources.  An entry without `cache:` pays for one branch here and one in results_start(). */
static inline bool results_find(struct services *s, struct call_request *rq,
                                const struct json_doc *d, json_ref args, struct results_hit *ret)
{
    rq->keyed = false;
    return rq->instance->manifest->entry[rq->entry].cached &&
           (rq->kind == MF_TOOL || rq->kind == MF_RESOURCE) &&
           results_find_kept(s, rq, d, args, ret);
}
void results_release(const struct results_hit *hit);

/* As call_start(): no ticket when it ended inside.  Of a request for which results_find() has found
 * nothing, and the last it was asked about. */
static inline struct ticket results_start(struct services *s, const struct call_request *rq)
{
    if (rq->keyed)
        return results_start_kept(s, rq);
    return (struct ticket){.call = call_start(rq->instance->engine, rq)};
}
/* As call_cancel().  A run goes on as long as one request waits for it. */
void results_cancel(struct ticket t);

/* A resource of the instance has changed: what is kept for the URI is dropped, here and on other
 * hosts, and a run that has begun is neither kept nor shared by what comes from now on. */
void results_drop(struct services *s, struct instance *in, struct str uri);

struct results_counters {
    uint64_t hits, misses, shared; /* of all entries: see struct instance_counters */
    uint32_t runs, waits;          /* in flight: runs that may be shared; requests for them */
};
void results_count(const struct services *s, struct results_counters *ret);

/* --- for services.c --- */

/* `waits`: requests that may wait at a time.  NULL: no memory. */
struct results *results_new(struct services *s, uint32_t waits);
/* After the engine has stopped; `done` once, on the loop, when the timer is closed. */
void results_close(struct results *r, void (*done)(void *arg), void *arg);
void results_free(struct results *r);

#endif
