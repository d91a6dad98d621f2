/* Answers what it was opened with, after 0 to 50 ms and from a thread; its config says how it
 * behaves:
 *
 *   stamp      answered with the number of this instance
 *   fail       open() fails
 *   stuck      its call is never finished
 *   ms         how long each call takes; not given: 0 to 50 ms
 *   count      kept over a hand-over (manifold.state/1) */
#include "bad.h"

#include <manifold/json.h>
#include <manifold/state.h>
#include <pthread.h>

enum { SLOTS = 2048 };

struct due {
    mf_call call;
    uint64_t at; /* ns */
    int64_t count;
};

struct stamp {
    const mf_host *host;
    char text[64];
    int stuck;
    int64_t ms;    /* -1: by chance */
    int64_t count; /* calls, those of the generations before included */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct due due[SLOTS]; /* under lock */
    unsigned dues, seed;   /* under lock */
    int ends;              /* under lock */
};

static void answer(struct stamp *s, const struct due *d)
{
    char text[160];
    snprintf(text, sizeof(text), "%s %p %lld", s->text, (void *)s, (long long)d->count);
    bad_answer(s->host, d->call, text);
}

/* The earliest, taken out when it is due; else how long to wait for it. */
static int take(struct stamp *s, struct due *ret, uint64_t *wait)
{
    unsigned first = 0;
    for (unsigned i = 1; i < s->dues; i++)
        first = s->due[i].at < s->due[first].at ? i : first;
    uint64_t now = s->host->now(s->host);
    *wait = 1000000000;
    if (!s->dues)
        return 0;
    if (s->due[first].at > now && !s->ends) {
        *wait = s->due[first].at - now;
        return 0;
    }
    *ret = s->due[first];
    s->due[first] = s->due[--s->dues];
    return 1;
}

static void *sleeper(void *arg)
{
    struct stamp *s = arg;
    pthread_mutex_lock(&s->lock);
    while (!s->ends || s->dues) {
        struct due d;
        uint64_t wait;
        if (take(s, &d, &wait)) {
            pthread_mutex_unlock(&s->lock);
            answer(s, &d);
            pthread_mutex_lock(&s->lock);
            continue;
        }
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        uint64_t until = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + wait;
        t.tv_sec = (time_t)(until / 1000000000u);
        t.tv_nsec = (long)(until % 1000000000u);
        pthread_cond_timedwait(&s->wake, &s->lock, &t);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static mf_status stamp_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    mfj_value c = mfj_read(config);
    int64_t stamp = 0, stuck = 0, fail = 0, ms = -1;
    mfj_int(mfj_get(c, "stamp"), &stamp);
    mfj_int(mfj_get(c, "stuck"), &stuck);
    mfj_int(mfj_get(c, "fail"), &fail);
    mfj_int(mfj_get(c, "ms"), &ms);
    if (fail)
        return MF_EIO;
    struct stamp *s = calloc(1, sizeof(*s));
    if (!s)
        return MF_ENOMEM;
    s->host = host;
    s->stuck = (int)stuck;
    s->ms = ms;
    s->seed = (unsigned)stamp;
    snprintf(s->text, sizeof(s->text), "stamp %lld", (long long)stamp);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&s->lock, NULL);
    if (pthread_create(&s->thread, NULL, sleeper, s)) {
        free(s);
        return MF_ENOMEM;
    }
    *ret_self = s;
    return MF_OK;
}

static void stamp_call(void *self, const mf_request *request)
{
    struct stamp *s = self;
    s->count++;
    if (s->stuck)
        return;
    pthread_mutex_lock(&s->lock);
    s->seed = s->seed * 1103515245u + 12345u;
    uint64_t wait = s->ms < 0 ? s->seed / 65536u % 50 : (uint64_t)s->ms;
    struct due d = {request->call, s->host->now(s->host) + wait * 1000000u, s->count};
    int room = s->dues < SLOTS;
    if (room)
        s->due[s->dues++] = d;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    if (!room)
        answer(s, &d);
}

static void stamp_close(void *self)
{
    struct stamp *s = self;
    pthread_mutex_lock(&s->lock);
    s->ends = 1;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static mf_status save(void *self, mf_status (*write)(void *arg, mf_bytes bytes), void *arg)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%lld", (long long)((struct stamp *)self)->count);
    mf_bytes b = {text, (size_t)n};
    return write(arg, b);
}

static mf_status restore(void *self, mf_bytes bytes)
{
    char text[32];
    snprintf(text, sizeof(text), "%.*s", (int)bytes.len, bytes.data);
    ((struct stamp *)self)->count = strtoll(text, NULL, 10);
    return MF_OK;
}

static const void *stamp_extension(void *self, const char *id)
{
    static const mf_state state = {sizeof(state), 0, save, restore};
    (void)self;
    return strcmp(id, MF_EXT_STATE) == 0 ? &state : NULL;
}

BAD_PLUGIN(.open = stamp_open, .call = stamp_call, .close = stamp_close,
           .extension = stamp_extension);
