/* Threads for BLOCKING tools: a plugin's own, made on demand, at most as many as
 * it may run calls (its permits see to that), gone again when idle.  libuv's
 * pool is never used: four stuck calls would stop everybody's files and names. */
#include "engine/internal.h"

#include <errno.h>
#include <stdlib.h>

enum { IDLE_SECONDS = 30 };

struct instance_threads {
    struct instance *instance;
    pthread_mutex_t lock;
    pthread_cond_t work, gone; /* CLOCK_MONOTONIC */
    struct list jobs;          /* struct call.job; under lock */
    uint32_t threads, idle;    /* under lock */
    bool stopping;             /* under lock */
};

static void run_job(struct call *c)
{
    struct instance *in = c->instance;
    in->plugin->call(in->self, &(mf_request){
                                   .size = sizeof(mf_request),
                                   .kind = c->kind,
                                   .index = in->entry[c->entry].binding.index,
                                   .ref_kind = call_ref_kind(c),
                                   .call = call_handle(c),
                                   .deadline_ns = c->deadline,
                                   .args = {c->args.p, c->args.n},
                                   .uri = {c->uri.p, c->uri.n},
                                   .meta = {c->meta.p, c->meta.n},
                               });
    post_send(&c->engine->posts, &c->returned);
}

static void *thread_main(void *arg)
{
    struct instance_threads *t = arg;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += IDLE_SECONDS;
        int r = 0;
        t->idle++;
        while (list_empty(&t->jobs) && !t->stopping && r == 0)
            r = pthread_cond_timedwait(&t->work, &t->lock, &until);
        t->idle--;
        struct list *job = list_pop(&t->jobs);
        if (!job)
            break; /* idle for long, or stopping */
        pthread_mutex_unlock(&t->lock);
        run_job(container_of(job, struct call, job));
        pthread_mutex_lock(&t->lock);
    }
    t->threads--;
    pthread_cond_broadcast(&t->gone);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static struct instance_threads *threads_new(struct instance *in)
{
    struct instance_threads *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->instance = in;
    list_init(&t->jobs);
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->work, &attr);
    pthread_cond_init(&t->gone, &attr);
    pthread_condattr_destroy(&attr);
    return t;
}

/* With the lock held. */
static int thread_make(struct instance_threads *t)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_t id;
    int r = pthread_create(&id, &attr, thread_main, t);
    pthread_attr_destroy(&attr);
    t->threads += r == 0;
    return -r;
}

int threads_run(struct call *c)
{
    struct instance *in = c->instance;
    if (!in->threads)
        in->threads = threads_new(in);
    if (!in->threads)
        return -ENOMEM;
    struct instance_threads *t = in->threads;
    pthread_mutex_lock(&t->lock);
    uint32_t queued = 0;
    list_each (it, &t->jobs)
        queued++;
    int r = queued < t->idle ? 0 : thread_make(t);
    if (r && t->threads > 0)
        r = 0; /* no new thread, but those that exist will come to it */
    if (!r) {
        list_append(&t->jobs, &c->job);
        pthread_cond_signal(&t->work);
    }
    pthread_mutex_unlock(&t->lock);
    return r;
}

void threads_stop(struct instance *in)
{
    struct instance_threads *t = in->threads;
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stopping = true;
    pthread_cond_broadcast(&t->work);
    while (t->threads)
        pthread_cond_wait(&t->gone, &t->lock);
    pthread_mutex_unlock(&t->lock);
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->gone);
    pthread_mutex_destroy(&t->lock);
    free(t);
    in->threads = NULL;
}
