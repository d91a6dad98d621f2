#include "engine/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/bug.h"
#include "base/clock.h"

enum { IDLE_SECONDS = 30 };

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t work, gone; /* CLOCK_MONOTONIC */
    struct list jobs;          /* under lock, as all below */
    unsigned queued, threads, idle, max;
    bool stopping, left; /* left: the last thread frees it */
    /* The thread that ended last.  It joins the one before it, so to join it is to join all. */
    bool any_ended;
    pthread_t ended;
};

/* All threads have ended. */
static void join(struct pool *p)
{
    if (p->any_ended)
        pthread_join(p->ended, NULL);
}

static void release(struct pool *p)
{
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->gone);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static void *thread_main(void *arg)
{
    struct pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += IDLE_SECONDS;
        int r = 0;
        p->idle++;
        while (list_empty(&p->jobs) && !p->stopping && r == 0)
            r = pthread_cond_timedwait(&p->work, &p->lock, &until);
        p->idle--;
        struct list *node = list_pop(&p->jobs);
        if (!node)
            break; /* idle for long, or stopping */
        p->queued--;
        pthread_mutex_unlock(&p->lock);
        struct pool_job *job = container_of(node, struct pool_job, node);
        job->run(job);
        pthread_mutex_lock(&p->lock);
    }
    bool any = p->any_ended;
    pthread_t before = p->ended;
    p->any_ended = true;
    p->ended = pthread_self();
    p->threads--;
    pthread_cond_broadcast(&p->gone);
    bool last = p->left && !p->threads;
    pthread_mutex_unlock(&p->lock);
    if (any)
        pthread_join(before, NULL);
    if (last) { /* nobody waits for this one */
        pthread_detach(pthread_self());
        release(p);
    }
    return NULL;
}

struct pool *pool_new(unsigned max)
{
    struct pool *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->max = max;
    list_init(&p->jobs);
    pthread_mutex_init(&p->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->work, &attr);
    pthread_cond_init(&p->gone, &attr);
    pthread_condattr_destroy(&attr);
    return p;
}

/* With the lock held. */
static int thread_make(struct pool *p)
{
    pthread_t id; /* it tells itself when it ends */
    int r = pthread_create(&id, NULL, thread_main, p);
    p->threads += r == 0;
    return -r;
}

int pool_submit(struct pool *p, struct pool_job *job)
{
    pthread_mutex_lock(&p->lock);
    int r = 0;
    if (p->queued >= p->idle && p->threads < p->max)
        r = thread_make(p);
    if (r && p->threads > 0)
        r = 0; /* no new thread, but those that exist will come to it */
    if (!r) {
        list_append(&p->jobs, &job->node);
        p->queued++;
        pthread_cond_signal(&p->work);
    }
    pthread_mutex_unlock(&p->lock);
    return r;
}

bool pool_recall(struct pool *p, struct pool_job *job)
{
    pthread_mutex_lock(&p->lock);
    bool waits = list_linked(&job->node);
    list_remove(&job->node);
    p->queued -= waits;
    pthread_mutex_unlock(&p->lock);
    return waits;
}

/* With the lock held. */
static void stop(struct pool *p)
{
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    stop(p);
    while (p->threads)
        pthread_cond_wait(&p->gone, &p->lock);
    pthread_mutex_unlock(&p->lock);
    join(p);
    release(p);
}

void pool_leave(struct pool *p, unsigned ms)
{
    if (!p)
        return;
    struct timespec until = clock_after(ms);
    pthread_mutex_lock(&p->lock);
    stop(p);
    while (p->threads && pthread_cond_timedwait(&p->gone, &p->lock, &until) == 0)
        ;
    bool none = !p->threads;
    p->left = true;
    pthread_mutex_unlock(&p->lock);
    if (none) {
        join(p);
        release(p);
    }
}
