/* Plugins that end their calls wrongly, late, twice or never. */
#include "bad.h"

#include <pthread.h>
#include <signal.h>

struct self {
    const mf_host *host;
    mf_call held; /* a call that cancel() will find */
    pthread_t thread;
    int has_thread;
};

static mf_status open_it(const mf_host *host, mf_bytes config, void **ret_self)
{
    (void)config;
    struct self *self = calloc(1, sizeof(*self));
    if (!self)
        return MF_ENOMEM;
    self->host = host;
    *ret_self = self;
    return MF_OK;
}

static void close_it(void *arg)
{
    struct self *self = arg;
    if (self->has_thread)
        pthread_join(self->thread, NULL);
    free(self);
}

#if defined(BAD_IS_CRASH_CALL)
/* In-process it takes the host with it: only a worker holds this. */
static void call(void *arg, const mf_request *request)
{
    (void)arg;
    (void)request;
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
}

#elif defined(BAD_IS_NEVER_FINISHES)
static void call(void *arg, const mf_request *request)
{
    (void)arg;
    (void)request;
}

#elif defined(BAD_IS_FINISHES_TWICE)
static void call(void *arg, const mf_request *request)
{
    const mf_host *host = ((struct self *)arg)->host;
    bad_answer(host, request->call, "first");
    host->text(host, request->call, MF_LIT("second"));
    bad_log(host, "second finish", host->finish(host, request->call, MF_DONE, MF_LIT("")));
}

#elif defined(BAD_IS_FINISHES_LATE)
struct late {
    const mf_host *host;
    mf_call call;
    uint64_t until;
};

static void *finish_late(void *arg)
{
    struct late *l = arg;
    while (l->host->now(l->host) < l->until)
        bad_sleep_ms(10);
    mf_status text = l->host->text(l->host, l->call, MF_LIT("too late"));
    bad_log(l->host, "late text", text);
    bad_log(l->host, "late finish", l->host->finish(l->host, l->call, MF_DONE, MF_LIT("")));
    free(l);
    return NULL;
}

static void call(void *arg, const mf_request *request)
{
    struct self *self = arg;
    if (self->has_thread)
        pthread_join(self->thread, NULL);
    struct late *l = calloc(1, sizeof(*l));
    if (!l)
        abort();
    *l = (struct late){self->host, request->call, request->deadline_ns + 100000000u};
    self->has_thread = pthread_create(&self->thread, NULL, finish_late, l) == 0;
}

#elif defined(BAD_IS_FINISHES_CANCELLED)
static void call(void *arg, const mf_request *request)
{
    ((struct self *)arg)->held = request->call;
}

static void cancel(void *arg, mf_call call)
{
    struct self *self = arg;
    if (self->held != call)
        return;
    bad_log(self->host, "cancelled finish",
            self->host->finish(self->host, call, MF_DONE, MF_LIT("")));
    bad_log(self->host, "cancelled again",
            self->host->finish(self->host, call, MF_DONE, MF_LIT("")));
}

#elif defined(BAD_IS_UNKNOWN_HOW)
static void call(void *arg, const mf_request *request)
{
    const mf_host *host = ((struct self *)arg)->host;
    host->text(host, request->call, MF_LIT("never seen"));
    host->finish(host, request->call, 4711, MF_LIT("detail"));
}

#elif defined(BAD_IS_NEEDS_INPUT)
static void call(void *arg, const mf_request *request)
{
    const mf_host *host = ((struct self *)arg)->host;
    host->finish(host, request->call, MF_NEED_INPUT, MF_LIT("{\"inputRequests\":[],\"state\":7}"));
}

#elif defined(BAD_IS_BAD_HANDLES)
/* Handles of nobody: zero, all ones, the own one with a bit changed, and one that has ended. */
static void call(void *arg, const mf_request *request)
{
    struct self *self = arg;
    const mf_host *host = self->host;
    mf_call forged[] = {0,
                        UINT64_MAX,
                        request->call ^ 1,
                        request->call ^ ((mf_call)1 << 31),
                        request->call ^ ((mf_call)1 << 32),
                        request->call ^ ((mf_call)1 << 63),
                        self->held ? self->held : request->call + 1};
    int wrong = 0;
    for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        mf_call h = forged[i];
        wrong += host->text(host, h, MF_LIT("x")) != MF_ESTALE;
        wrong += host->block(host, h, MF_LIT("{}")) != MF_ESTALE;
        wrong += host->structured(host, h, MF_LIT("{}")) != MF_ESTALE;
        wrong += host->progress(host, h, 1, 2, MF_LIT("x")) != MF_ESTALE;
        wrong += host->is_cancelled(host, h) != 1;
        wrong += host->finish(host, h, MF_DONE, MF_LIT("")) != MF_ESTALE;
        host->log(host, MF_LOG_INFO, h, MF_LIT("to nobody"));
    }
    self->held = request->call;
    bad_answer_status(host, request->call, "forged handles: wrong answers", wrong);
}

#elif defined(BAD_IS_FINISH_RACE)
struct racer {
    const mf_host *host;
    mf_call call;
    mf_status status;
    pthread_barrier_t start;
};

static void *race(void *arg)
{
    struct racer *r = arg;
    pthread_barrier_wait(&r->start);
    r->status = r->host->finish(r->host, r->call, MF_DONE, MF_LIT(""));
    return NULL;
}

/* Both finish at once: one of them has done it, the other is told so. */
static void call(void *arg, const mf_request *request)
{
    const mf_host *host = ((struct self *)arg)->host;
    struct racer r = {.host = host, .call = request->call};
    pthread_t thread;
    host->text(host, request->call, MF_LIT("one of two"));
    pthread_barrier_init(&r.start, NULL, 2);
    if (pthread_create(&thread, NULL, race, &r))
        abort();
    pthread_barrier_wait(&r.start);
    mf_status own = host->finish(host, request->call, MF_DONE, MF_LIT(""));
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&r.start);
    bad_log(host, "race: sum of both finishes", own + r.status);
}

#elif defined(BAD_IS_LINGERING_THREAD)
struct linger {
    const mf_host *host;
    mf_call call;
};

static void *linger(void *arg)
{
    struct linger *l = arg;
    bad_answer(l->host, l->call, "finished by a thread that stays a while");
    free(l);
    /* Were the library unmapped now, this thread would return into nothing. */
    bad_sleep_ms(300);
    return NULL;
}

static void call(void *arg, const mf_request *request)
{
    struct self *self = arg;
    pthread_t thread;
    struct linger *l = calloc(1, sizeof(*l));
    if (!l)
        abort();
    *l = (struct linger){self->host, request->call};
    if (pthread_create(&thread, NULL, linger, l))
        abort();
    pthread_detach(thread);
}

#elif defined(BAD_IS_THREAD_KEY)
static void destroy_value(void *value)
{
    free(value);
}

struct keyed {
    const mf_host *host;
    mf_call call;
};

/* The key is never deleted: after dlclose() the end of any such thread would crash. */
static void *use_key(void *arg)
{
    struct keyed *k = arg;
    pthread_key_t key;
    if (pthread_key_create(&key, destroy_value) == 0)
        pthread_setspecific(key, malloc(16));
    bad_answer(k->host, k->call, "finished by a thread with a key");
    free(k);
    return NULL;
}

static void call(void *arg, const mf_request *request)
{
    struct self *self = arg;
    if (self->has_thread)
        pthread_join(self->thread, NULL);
    struct keyed *k = calloc(1, sizeof(*k));
    if (!k)
        abort();
    *k = (struct keyed){self->host, request->call};
    self->has_thread = pthread_create(&self->thread, NULL, use_key, k) == 0;
}
#endif

#ifdef BAD_IS_FINISHES_CANCELLED
#define CANCEL .cancel = cancel
#else
#define CANCEL .cancel = NULL
#endif
BAD_PLUGIN(.open = open_it, .call = call, CANCEL, .close = close_it);
