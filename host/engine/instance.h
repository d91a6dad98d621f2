/* host/engine/instance.h - one generation of one plugin instance: its library, state and counters.
 *
 * Made for every manifest that can be served; code is mapped at the first call
 * (load: lazy) or in the background after the start (eager).  Owner: the engine,
 * until engine_free().  Fields are read by status and catalogue, written by the
 * engine alone, all on the loop. */
#ifndef MANIFOLD_ENGINE_INSTANCE_H
#define MANIFOLD_ENGINE_INSTANCE_H

#include "base/histogram.h"
#include "base/list.h"
#include "engine/breaker.h"
#include "engine/engine.h"
#include "engine/rate.h"
#include "plugin/descriptor.h"
#include "plugin/library.h"

enum instance_state {
    INSTANCE_UNLOADED, /* no code mapped yet                          */
    INSTANCE_LOADING,  /* the probe runs; calls wait in the queue     */
    INSTANCE_READY,    /* open() has succeeded                        */
    INSTANCE_FAILED,   /* `error` says why; calls are refused         */
    INSTANCE_CLOSED    /* stopped                                     */
};

struct instance_counters {
    uint64_t calls;  /* taken by call_start(), whatever came of them */
    uint64_t errors; /* ended with isError or an error of the plugin */
    uint64_t timeouts;
    uint64_t refusals;                 /* queue, queue wait, result, load, ... */
    uint64_t refused[REFUSED_REASONS]; /* each of the above by its reason */
    uint64_t cancelled;
    uint64_t late; /* finished after their client was answered */
};

struct entry_metrics {
    struct histogram queue_wait; /* ns; only of calls that waited in the queue    */
    struct histogram duration;   /* ns from arrival to answer; of calls that ran  */
};

struct instance_entry {
    struct descriptor_binding binding; /* valid when READY */
    uint32_t running, queued;
    struct instance_counters count;
    struct rate_bucket rate;
    struct entry_metrics *metrics; /* owned; NULL before the first call that ran */
};

struct instance {
    mf_host host; /* first: the plugin's handle is its address */
    struct engine *engine;
    const struct manifest *manifest; /* borrowed, outlives the instance */
    enum instance_state state;
    char *error;             /* owned; one sentence; NULL unless FAILED */
    struct library *library; /* NULL until staged */
    const mf_plugin *plugin; /* NULL unless READY */
    void *self;
    struct instance_entry *entry;      /* one per manifest entry */
    uint32_t running, queued, orphans; /* orphans are part of running */
    uint32_t leaked;                   /* orphans whose client was answered by the timeout */
    struct rate_bucket rate;
    struct breaker breaker;
    uint64_t loop_time, loop_longest; /* ns of its code on the loop: all, and the longest entry */
    uint64_t loop_said;               /* ns: when the log last said so */
    uint64_t loop_blocks;             /* entries over limits.loop_block */
    struct list waiting;              /* struct call, oldest first */
    struct list in_engine;            /* the engine's list */
    struct instance_threads *threads; /* of BLOCKING tools; NULL until needed */
    char *name;                       /* NUL-terminated copy of manifest->name */
    uint64_t loads;
    uint64_t log_second; /* limits.log: the second that is counted, and its lines; core.c's lock */
    uint32_t log_lines;
    bool dispatching; /* instance_dispatch() is running further up */
    _Atomic uint64_t
        misuse; /* double or foreign finish, progress backwards, unknown `how`; any thread */
    _Atomic uint64_t log_dropped; /* lines over limits.log; any thread */
};

/* Of a manifest that has a library or needs none. */
struct instance *instance_new(struct engine *en, const struct manifest *m);
/* Starts loading unless it was started before; for `load: eager`.  Returns at once. */
void instance_load(struct instance *in);
/* The same and waits, for `check` and `call`: 0, or -EINVAL with the sentence. */
int instance_load_now(struct instance *in, struct err *e);
const char *instance_state_name(enum instance_state s);

#endif
