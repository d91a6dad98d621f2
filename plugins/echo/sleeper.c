/* sleeper.c - sleeping calls, all on one thread of the instance. */
#include "sleeper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct nap {
    struct nap *next;
    mf_call call;
    uint64_t begin, wake; /* CLOCK_MONOTONIC, ns; wake: of the next step */
    uint32_t ms;
    uint32_t step, steps; /* the next step, 1..steps; the last one is the end */
    bool cancelled;
};

struct sleeper {
    const mf_host *host;
    pthread_mutex_t lock; /* for all below; never held while the host is called */
    pthread_cond_t changed;
    struct nap *first;   /* by wake */
    struct nap *current; /* the one whose step is being taken, not in the list */
    uint32_t count;
    bool running, stopping;
    pthread_t thread;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void insert(struct sleeper *s, struct nap *n)
{
    struct nap **at = &s->first;
    while (*at != NULL && (*at)->wake <= n->wake)
        at = &(*at)->next;
    n->next = *at;
    *at = n;
}

static void set_wake(struct nap *n)
{
    n->wake = n->begin + (uint64_t)n->ms * 1000000u * n->step / n->steps;
}

static void answer(const mf_host *host, const struct nap *n)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "Slept %u ms", n->ms);
    host->text(host, n->call, (mf_bytes){text, (size_t)len});
}

/* Takes the step that is due; false: the call is finished.  Without the lock.
 * The last step is the answer: progress that comes together with it would reach
 * clients that have forgotten the token already. */
static bool take_step(const mf_host *host, struct nap *n, bool cancelled)
{
    mf_status status = MF_OK;
    if (!cancelled && n->step < n->steps)
        status = host->progress(host, n->call, (double)((uint64_t)n->ms * n->step / n->steps),
                                n->ms, MF_LIT(""));
    if (cancelled || status == MF_ECANCELED || status == MF_ETIMEDOUT || n->step == n->steps) {
        answer(host, n);
        host->finish(host, n->call, MF_DONE, MF_LIT(""));
        return false;
    }
    n->step++;
    set_wake(n);
    return true;
}

/* With the lock, which is given away meanwhile. */
static void wake_first(struct sleeper *s)
{
    struct nap *n = s->first;
    bool cancelled = n->cancelled;
    s->first = n->next;
    s->current = n;
    pthread_mutex_unlock(&s->lock);
    bool more = take_step(s->host, n, cancelled);
    pthread_mutex_lock(&s->lock);
    s->current = NULL;
    if (more) {
        if (n->cancelled)
            n->wake = 0;
        insert(s, n);
    } else {
        free(n);
        s->count--;
    }
}

static void *run(void *arg)
{
    struct sleeper *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        if (s->first == NULL) {
            pthread_cond_wait(&s->changed, &s->lock);
        } else if (s->first->wake > now_ns()) {
            struct timespec until = {(time_t)(s->first->wake / 1000000000u),
                                     (long)(s->first->wake % 1000000000u)};
            pthread_cond_timedwait(&s->changed, &s->lock, &until);
        } else {
            wake_first(s);
        }
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* With the lock: the thread, unless it runs already. */
static int start(struct sleeper *s)
{
    sigset_t all, before;
    int error;
    if (s->running)
        return 0;
    /* Signals are the host's business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&s->thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    s->running = error == 0;
    return -error;
}

struct sleeper *sleeper_new(const mf_host *host)
{
    struct sleeper *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;
    if (s == NULL)
        return NULL;
    s->host = host;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    return s;
}

int sleeper_add(struct sleeper *s, mf_call call, uint32_t ms)
{
    struct nap *n = calloc(1, sizeof(*n));
    int error = -ENOMEM;
    if (n == NULL)
        return error;
    n->call = call;
    n->begin = now_ns();
    n->ms = ms;
    n->step = 1;
    n->steps = ms < 1 ? 1 : ms < 10 ? ms : 10;
    set_wake(n);
    pthread_mutex_lock(&s->lock);
    error = s->count < SLEEPER_MAX ? start(s) : -EBUSY;
    if (error == 0) {
        s->count++;
        insert(s, n);
        if (s->first == n)
            pthread_cond_signal(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    if (error != 0)
        free(n);
    return error;
}

void sleeper_cancel(struct sleeper *s, mf_call call)
{
    pthread_mutex_lock(&s->lock);
    struct nap **at = &s->first;
    while (*at != NULL && (*at)->call != call)
        at = &(*at)->next;
    if (*at != NULL) {
        struct nap *n = *at;
        *at = n->next;
        n->cancelled = true;
        n->wake = 0;
        insert(s, n);
        pthread_cond_signal(&s->changed);
    } else if (s->current != NULL && s->current->call == call) {
        s->current->cancelled = true;
    }
    pthread_mutex_unlock(&s->lock);
}

void sleeper_free(struct sleeper *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (s->running)
        pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
