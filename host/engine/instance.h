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
    uint64_t slow; /* took longer than the entry's `slow` */
    /* Of an entry with `cache:`.  Only misses are calls, too. */
    uint64_t hits, misses, shared;
};

/* What one entry has done, in all its generations. */
struct entry_metrics {
    uint32_t generations; /* that count here */
    struct instance_counters count;
    struct histogram queue_wait; /* ns; only of calls that waited in the queue    */
    struct histogram duration;   /* ns from arrival to answer; of calls that ran  */
};

struct instance_entry {
    struct descriptor_binding binding; /* valid when READY */
    uint32_t running, queued;
    struct rate_bucket rate;
    struct entry_metrics *metrics; /* shared with other generations; NULL before the first call */
};

struct instance {
    mf_host host; /* first: the plugin's handle is its address */
    struct engine *engine;
    const struct manifest *manifest; /* borrowed, outlives the instance */
    enum instance_state state;
    const char *error;       /* err_keep()'s; one sentence; NULL unless FAILED */
    struct library *library; /* NULL until staged */
    const mf_plugin *plugin; /* NULL unless READY */
    void *self;
    struct instance_entry *entry;      /* one per manifest entry */
    uint32_t running, queued, orphans; /* orphans are part of running */
    uint32_t leaked;                   /* orphans whose client was answered by the timeout */
    uint32_t held;                     /* requests that are about to be calls: instance_hold() */
    struct rate_bucket rate;
    struct breaker breaker;
    uint64_t loop_time, loop_longest; /* ns of its code on the loop: all, and the longest entry */
    uint64_t loop_said;               /* ns: when the log last said so */
    uint64_t loop_blocks;             /* entries over limits.loop_block */
    struct list waiting;              /* struct call, oldest first */
    struct list in_engine;            /* the engine's list */
    struct pool *threads;             /* of BLOCKING tools; NULL until needed */
    struct list op_list;              /* struct op.in_instance */
    uint32_t ops;    /* operations, those on their way to the loop included; see instance_ops() */
    bool ops_shut;   /* under the table's lock: none can be begun any more */
    bool ops_closed; /* it has been told to quiesce: none of no call can be begun */
    bool ops_muted;  /* open() failed: nobody is there to be called back */
    /* The services' own (services.h); NULL until one is asked for, from any thread. */
    struct instance_services *_Atomic services;
    char *name;                   /* NUL-terminated copy of manifest->name */
    uint64_t generation;          /* from 1; each reload that changes the plugin makes the next */
    const char *last_error;       /* err_keep()'s; why the last reload left it as it was; or NULL */
    struct instance_drain *drain; /* NULL while it serves, then its drain_room */
    struct instance_drain *drain_room; /* owned */
    uint64_t loads;
    uint64_t log_second; /* limits.log: the second that is counted, and its lines; core.c's lock */
    uint32_t log_lines;
    uint64_t slow_second; /* the slow-call log: the second that is counted, its lines, and */
    uint32_t slow_lines, slow_unsaid; /* the calls that had no line since the last one */
    bool dispatching;                 /* instance_dispatch() is running further up */
    bool handover; /* probed or to be probed, but not to be opened before its predecessor ends */
    void (*prepared)(void *arg, struct instance *in, const char *error); /* of instance_prepare() */
    void *prepared_arg;
    _Atomic uint64_t
        misuse; /* double or foreign finish, progress backwards, unknown `how`; any thread */
    _Atomic uint64_t log_dropped; /* lines over limits.log; any thread */
};

/* Of a manifest that has a library or needs none.  Generation 1.  NULL: there is no memory; all
 * that its end needs is there from the beginning. */
struct instance *instance_new(struct engine *en, const struct manifest *m);
/* It goes on counting where `before`, an older generation of the same plugin, stands; entries of
 * the same kind and name count together from now on.  Before its first call. */
void instance_follow(struct instance *in, const struct instance *before);
/* Starts loading unless it was started before; for `load: eager`.  Returns at once. */
void instance_load(struct instance *in);
/* The same and waits, for `check` and `call`: 0, or -EINVAL with the sentence. */
int instance_load_now(struct instance *in, struct err *e);

/* --- reload --- */

/* Stages (unless `lib` was), probes and opens an instance that nobody calls yet.  `done` once, on
 * the loop, perhaps inside this function: `error` NULL, or the sentence, which is not logged; then
 * only instance_discard() is left to do with it.  `handover`: it is not opened; from the end of the
 * probe on it takes calls, which wait in its queue until instance_retire() of the generation before
 * lets it open. */
void instance_prepare(struct instance *in, struct library *lib, bool handover,
                      void (*done)(void *arg, struct instance *in, const char *error), void *arg);
/* It gets no new calls.  What it has it ends: quiesce(), and close() when no call, orphan or thread
 * is left, never inside this function.  After limits.drain the calls left are cancelled and
 * answered, and after a grace time it is reported as stuck and kept.  Takes over the instance and
 * its manifest and frees both.  `heir`: of instance_prepare() with handover, or NULL: opened with
 * what manifold.state/1 hands over, once this one is closed or stuck. */
void instance_retire(struct instance *in, struct instance *heir);
/* Of one that never served: it is freed with its manifest, and nobody is told. */
void instance_discard(struct instance *in);
/* It gets a call soon: until instance_let_go() it is neither told to quiesce nor closed. */
void instance_hold(struct instance *in);
void instance_let_go(struct instance *in);
/* Is limits.drain over?  Then it takes no further call. */
bool instance_is_cut(const struct instance *in);
/* A retired generation of the plugin that still lives, or NULL. */
struct instance *engine_retired(struct engine *en, const char *name);
/* For walking all that are retired: `after` NULL begins; NULL: no more. */
struct instance *engine_next_retired(struct engine *en, const struct instance *after);
/* Told each time the last of a retired instance is gone. */
void engine_on_gone(struct engine *en, void (*gone)(void *arg, const char *name), void *arg);
bool instance_is_stuck(const struct instance *in);
/* Operations that have not ended (op.h). */
uint32_t instance_ops(const struct instance *in);
const char *instance_state_name(enum instance_state s);
/* limits.log: may it write one more line now?  Any thread. */
bool log_admits(struct instance *in);

#endif
