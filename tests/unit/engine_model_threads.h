/* tests/unit/engine_model_threads.h - the threads of test_engine_model.c: those that race for an
 * end, and those that the engine makes for blocking calls. */
#ifndef TESTS_UNIT_ENGINE_MODEL_THREADS_H
#define TESTS_UNIT_ENGINE_MODEL_THREADS_H

#include <pthread.h>
#include <sched.h>
#include "engine_model.h"

enum { JOBS = 4, FINISHERS = 2 };

static mf_status finish(const struct instance *in, mf_call handle, int how)
{
    return in->host.finish(&in->host, handle, how, (mf_bytes){NULL, 0});
}

/* --- calls that block: each waits at its place until it is let go --- */

struct seat {
    mf_call handle; /* 0: free */
    const struct instance *in;
    bool may_go, gone;
    int how; /* it finishes so before it returns; -1: not */
    mf_status status;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct seat seat[CALLS];
} b = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* With the lock held. */
static struct seat *seat_of(mf_call handle)
{
    for (unsigned i = 0; i < CALLS; i++) {
        if (b.seat[i].handle == handle)
            return &b.seat[i];
    }
    return NULL;
}

/* On a thread of the plugin. */
static void block(const struct instance *in, mf_call handle)
{
    pthread_mutex_lock(&b.lock);
    struct seat *s = seat_of(0);
    MUST(s && !seat_of(handle));
    *s = (struct seat){.handle = handle, .in = in};
    pthread_cond_broadcast(&b.changed);
    while (!s->may_go)
        pthread_cond_wait(&b.changed, &b.lock);
    int how = s->how;
    pthread_mutex_unlock(&b.lock);
    mf_status status = how < 0 ? MF_OK : finish(in, handle, how);
    pthread_mutex_lock(&b.lock);
    s->status = status;
    s->gone = true;
    pthread_cond_broadcast(&b.changed);
    pthread_mutex_unlock(&b.lock);
}

static bool is_posted(const struct post *p)
{
    struct post_queue *q = &t.engine->posts;
    pthread_mutex_lock(&q->lock);
    const struct post *it = q->first;
    while (it && it != p)
        it = it->next;
    pthread_mutex_unlock(&q->lock);
    return it;
}

/* Lets the thread of a blocking call return, and waits until the loop's queue says that it has. */
static mf_status let_go(struct record *r, int how)
{
    pthread_mutex_lock(&b.lock);
    struct seat *s;
    while (!(s = seat_of(r->handle)))
        pthread_cond_wait(&b.changed, &b.lock);
    MUST(s->in == r->of->in);
    s->how = how;
    s->may_go = true;
    pthread_cond_broadcast(&b.changed);
    while (!s->gone)
        pthread_cond_wait(&b.changed, &b.lock);
    mf_status status = s->status;
    s->handle = 0;
    pthread_mutex_unlock(&b.lock);
    while (!is_posted(&r->call->returned))
        sched_yield();
    r->returned = true;
    return status;
}

/* --- two that finish the same calls in opposite orders --- */

struct job {
    const struct instance *in;
    mf_call handle;
    mf_status status[FINISHERS];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct job job[JOBS];
    unsigned jobs, round, ready; /* under lock */
    bool stop;
    pthread_t thread[FINISHERS];
} f = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void *finisher(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg, round = 0;
    pthread_mutex_lock(&f.lock);
    for (;;) {
        while (f.round == round && !f.stop)
            pthread_cond_wait(&f.changed, &f.lock);
        if (f.stop)
            break;
        round = f.round;
        unsigned jobs = f.jobs;
        pthread_mutex_unlock(&f.lock);
        for (unsigned i = 0; i < jobs; i++) {
            struct job *j = &f.job[me ? jobs - 1 - i : i];
            j->status[me] = finish(j->in, j->handle, MF_DONE);
        }
        pthread_mutex_lock(&f.lock);
        f.ready++;
        pthread_cond_broadcast(&f.changed);
    }
    pthread_mutex_unlock(&f.lock);
    return NULL;
}

static void finishers_start(void)
{
    for (uintptr_t i = 0; i < FINISHERS; i++)
        MUST(pthread_create(&f.thread[i], NULL, finisher, (void *)i) == 0);
}

static void finishers_stop(void)
{
    pthread_mutex_lock(&f.lock);
    f.stop = true;
    pthread_cond_broadcast(&f.changed);
    pthread_mutex_unlock(&f.lock);
    for (int i = 0; i < FINISHERS; i++)
        pthread_join(f.thread[i], NULL);
}

/* Gives them n calls; finishers_wait() until both have been through them. */
static void finishers_go(struct record **r, unsigned n)
{
    pthread_mutex_lock(&f.lock);
    for (unsigned i = 0; i < n; i++)
        f.job[i] = (struct job){.in = r[i]->of->in, .handle = r[i]->handle};
    f.jobs = n;
    f.ready = 0;
    f.round++;
    pthread_cond_broadcast(&f.changed);
    pthread_mutex_unlock(&f.lock);
}

static void finishers_wait(void)
{
    pthread_mutex_lock(&f.lock);
    while (f.ready < FINISHERS)
        pthread_cond_wait(&f.changed, &f.lock);
    pthread_mutex_unlock(&f.lock);
}

#endif
