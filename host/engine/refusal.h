/* host/engine/refusal.h - why a call was not run to its end: one table for both transports.
 * (docs/operators.md, Limits, and what a client sees) */
#ifndef MANIFOLD_ENGINE_REFUSAL_H
#define MANIFOLD_ENGINE_REFUSAL_H

#include "base/err.h"

enum refusal_reason {
    REFUSED_QUEUE,      /* limits.queue is full                    */
    REFUSED_QUEUE_WAIT, /* waited limits.queue_wait for a slot     */
    REFUSED_RATE,       /* limits.rate                             */
    REFUSED_BREAKER,    /* the plugin failed too often: breaker    */
    REFUSED_TIMEOUT,    /* limits.timeout                          */
    REFUSED_RESULT,     /* limits.result                           */
    REFUSED_REQUEST,    /* limits.request                          */
    REFUSED_CALLS,      /* the host's limits.calls                 */
    REFUSED_FAULT,      /* the plugin finished with MF_FAULT, or broke the contract */
    REFUSED_LOAD,       /* the plugin can't be loaded              */
    REFUSED_MEMORY,     /* out of memory for this call             */
    REFUSED_STOPPING,   /* the host is about to exit               */
    REFUSED_REASONS
};

struct refusal {
    enum refusal_reason reason;
    char text[512];         /* for the client: which limit, its value, when to retry */
    int64_t retry_after_ms; /* -1: retrying does not help */
};

/* "queue", "timeout", ...: _meta["manifold/refused"].reason */
const char *refusal_name(enum refusal_reason r);
/* The manifest key that was hit ("limits.queue"), or NULL. */
const char *refusal_limit(enum refusal_reason r);

#endif
