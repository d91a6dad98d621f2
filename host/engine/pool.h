/* host/engine/pool.h - threads of one instance: made on demand, gone again when idle.
 *
 * libuv's pool is never used for plugins: four stuck functions would stop everybody's files and
 * names.  Here a stuck one costs its own plugin a thread and nobody else. */
#ifndef MANIFOLD_ENGINE_POOL_H
#define MANIFOLD_ENGINE_POOL_H

#include "base/list.h"

struct pool;

/* Embedded in what is to be run. */
struct pool_job {
    struct list node;
    void (*run)(struct pool_job *job); /* on a thread; owns job from then on */
};

/* At most `max` threads at a time, none yet.  NULL: no memory. */
struct pool *pool_new(unsigned max);
/* Queues it.  -ENOMEM or the error of pthread_create() when there is no thread and none can be
 * made.  Any thread. */
int pool_submit(struct pool *p, struct pool_job *job);
/* Takes it back.  False: it is running or has run.  Any thread. */
bool pool_recall(struct pool *p, struct pool_job *job);
/* Joins all threads, their thread-local destructors included, and frees; what is queued is run
 * first.  NULL is fine. */
void pool_free(struct pool *p);
/* The same, but waits at most `ms`: after that the last thread frees it, whenever that may be.  For
 * pools whose threads may hang, and need nothing that is freed meanwhile.  NULL is fine. */
void pool_leave(struct pool *p, unsigned ms);

#endif
