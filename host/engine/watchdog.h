/* host/engine/watchdog.h - measures how long plugins stay on the loop, and names one that stays on.
 *
 * Around every entry into plugin code on the loop stand watchdog_enter() and
 * watchdog_leave(); entries do not nest.  What took longer than limits.loop_block is logged and
 * counted when it returns; time in which the loop was ready to run and had no CPU is not held
 * against the plugin.  A thread of its own, made with the first plugin that
 * is loaded, looks on from outside: a plugin that holds the loop for a second is
 * named while it still holds it.  That thread sleeps for good when no plugin is entered.
 *
 * All functions: on the loop. */
#ifndef MANIFOLD_ENGINE_WATCHDOG_H
#define MANIFOLD_ENGINE_WATCHDOG_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "config/manifest.h"

struct engine;
struct instance;

/* How long a plugin may hold the loop before it is named from outside. */
#define WATCHDOG_PATIENCE UINT64_C(1000000000)

enum plugin_entry {
    IN_CALL,
    IN_CANCEL,
    IN_OPEN,
    IN_QUIESCE,
    IN_SAVE,
    IN_RESTORE,
    IN_CLOSE,
    IN_CALLBACK
};

/* How long the loop had waited for a CPU by a time; good for entries from that time on.  Never much
 * older than an entry, so that little is taken for its wait that was before it. */
struct cpu_baseline {
    uint64_t at, waited; /* ns */
};

struct watchdog {
    /* Written by the loop, read by the thread; `entered` 0: in no plugin.  What they point to is
     * read only under `lock`, see watchdog_forget(). */
    _Atomic uint64_t entered; /* ns */
    struct instance *_Atomic instance;
    const struct entry_spec *_Atomic spec; /* NULL: of no entry */
    _Atomic int where;
    atomic_bool asleep; /* the thread waits to be woken by the next entry */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* CLOCK_MONOTONIC */
    pthread_t thread;
    bool started;
    bool stopping; /* under lock */
    /* The loop's */
    int cpu_wait; /* cpu_wait_open(), or 0: not asked yet */
    struct cpu_baseline base;
};

/* Makes the thread unless there is one.  Without it (no memory) the host serves on, and says so. */
void watchdog_start(struct engine *en);
/* From en->now on.  `spec`: the entry it is about, or NULL. */
void watchdog_enter(struct engine *en, struct instance *in, enum plugin_entry where,
                    const struct entry_spec *spec);
/* Reads the clock into en->now, counts, logs; may open the instance's breaker. */
void watchdog_leave(struct engine *en);
/* Before an instance (or its manifest) is freed. */
void watchdog_forget(struct engine *en);
/* Ends the thread. */
void watchdog_stop(struct engine *en);

#endif
