/* Does with manifold.cache/1 what it is told to:
 *
 *   {"op":"get", "key"}                     "hit VALUE", "miss" or "status N"
 *   {"op":"set", "key", "value", "ttl"}     the status, ttl in ms; drop and drop_prefix ("key") too
 *   {"op":"lease", "key", "value", "after"} get() with a lease: "hit VALUE"; who is to set the key
 *                                           does so after so many ms and says "set VALUE", without
 *                                           "value" it says "gave up", and with after -1 nothing
 *   {"op":"threads", "key", "times"}        four threads set keys of their own and get them: how
 *                                           many of them were not found at once
 *   {"op":"edges"}                          what the limits are answered with
 *   {"op":"flood", "key", "times"}          so many sets of 100 bytes each, from one callback */
#include "bad.h"

#include <manifold/cache.h>
#include <manifold/json.h>
#include <manifold/timer.h>
#include <pthread.h>

enum { THREADS = 4 };

struct caches {
    const mf_host *host;
    const mf_cache *cache;
    const mf_timer *timer;
    pthread_t thread; /* of "threads" */
    int threaded;
};

struct job {
    struct caches *c;
    mf_call call;
    char key[600], value[600];
    size_t value_len;
    int64_t after, times, ttl;
};

static mf_bytes bytes(const char *text)
{
    return (mf_bytes){text, strlen(text)};
}

static void answer(struct job *j, const char *what, mf_bytes more)
{
    const mf_host *h = j->c->host;
    mf_bytes none = {NULL, 0};
    h->text(h, j->call, bytes(what));
    if (more.len)
        h->text(h, j->call, more);
    h->finish(h, j->call, MF_DONE, none);
    free(j);
}

static void answer_number(struct job *j, const char *what, long n)
{
    char text[32];
    snprintf(text, sizeof(text), "%s%ld", what, n);
    answer(j, text, (mf_bytes){NULL, 0});
}

static void on_value(void *arg, const mf_cached *cached)
{
    if (cached->end.status == MF_OK)
        answer(arg, "hit ", cached->value);
    else if (cached->end.status == MF_ENOENT)
        answer(arg, "miss", (mf_bytes){NULL, 0});
    else
        answer_number(arg, "status ", cached->end.status);
}

static mf_bytes value_of(const struct job *j)
{
    return (mf_bytes){j->value, j->value_len};
}

static void on_time(void *arg, const mf_end *end)
{
    struct job *j = arg;
    if (end->status != MF_OK) {
        answer_number(j, "status ", end->status);
        return;
    }
    if (j->value_len)
        j->c->cache->set(j->c->host, bytes(j->key), value_of(j), (uint64_t)j->ttl);
    answer(j, j->value_len ? "set " : "gave up", value_of(j));
}

static void on_lease(void *arg, const mf_cached *cached)
{
    struct job *j = arg;
    struct caches *c = j->c;
    if (cached->end.status != MF_ENOENT)
        on_value(arg, cached);
    else if (j->after < 0)
        free(j); /* and the call is never finished */
    else if (!c->timer->after(c->host, j->call, (uint64_t)j->after * 1000000, on_time, j))
        answer(j, "no timer", (mf_bytes){NULL, 0});
}

static void flood(struct job *j)
{
    char key[700], value[100] = {0};
    long refused = 0;
    for (int64_t i = 0; i < j->times; i++) {
        int n = snprintf(key, sizeof(key), "%s%lld", j->key, (long long)i);
        refused += j->c->cache->set(j->c->host, (mf_bytes){key, (size_t)n},
                                    (mf_bytes){value, sizeof(value)}, (uint64_t)j->ttl) != MF_OK;
    }
    answer_number(j, "", refused);
}

static void edges(struct job *j)
{
    const mf_host *h = j->c->host;
    const mf_cache *c = j->c->cache;
    char *large = calloc(1, MF_CACHE_VALUE_MAX + 1), text[200];
    mf_bytes k = bytes("edge"), v = {large, MF_CACHE_VALUE_MAX}, over = {large, v.len + 1};
    mf_bytes key = {large, MF_CACHE_KEY_MAX}, long_key = {large, MF_CACHE_KEY_MAX + 1};
    snprintf(text, sizeof(text), "%d %d %d %d %d %d %d %d %d %d", c->set(h, k, v, 1000),
             c->set(h, k, over, 1000), c->set(h, key, k, 1000), c->set(h, long_key, k, 1000),
             c->set(h, k, k, 0), c->drop(h, long_key), c->drop_prefix(h, long_key),
             c->get(h, 0, long_key, 0, NULL, NULL) != 0, c->get(h, 0, k, 64, NULL, NULL) != 0,
             c->get(h, 0, k, MF_CACHE_LEASE, NULL, NULL) != 0);
    free(large);
    answer(j, text, (mf_bytes){NULL, 0});
}

/* --- threads --- */

struct asked {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    int done, found;
};

static void on_asked(void *arg, const mf_cached *cached)
{
    struct asked *a = arg;
    pthread_mutex_lock(&a->lock);
    a->done = 1;
    a->found = cached->end.status == MF_OK && cached->value.len == 4 &&
               memcmp(cached->value.data, "mine", 4) == 0;
    pthread_cond_signal(&a->answered);
    pthread_mutex_unlock(&a->lock);
}

struct lane {
    struct job *j;
    int number;
    long lost;
};

static void *run_lane(void *arg)
{
    struct lane *l = arg;
    const struct caches *c = l->j->c;
    struct asked a = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    char key[700];
    for (int64_t i = 0; i < l->j->times; i++) {
        snprintf(key, sizeof(key), "%s%d:%lld", l->j->key, l->number, (long long)i);
        c->cache->set(c->host, bytes(key), bytes("mine"), 60000);
        a.done = 0;
        if (!c->cache->get(c->host, 0, bytes(key), 0, on_asked, &a))
            break;
        pthread_mutex_lock(&a.lock);
        while (!a.done)
            pthread_cond_wait(&a.answered, &a.lock);
        pthread_mutex_unlock(&a.lock);
        l->lost += !a.found;
        c->cache->drop(c->host, bytes(key));
    }
    return NULL;
}

static void *run_threads(void *arg)
{
    struct job *j = arg;
    struct lane lane[THREADS];
    pthread_t id[THREADS];
    long lost = 0;
    for (int i = 0; i < THREADS; i++) {
        lane[i] = (struct lane){j, i, 0};
        if (pthread_create(&id[i], NULL, run_lane, &lane[i]))
            abort();
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(id[i], NULL);
        lost += lane[i].lost;
    }
    answer_number(j, "", lost);
    return NULL;
}

static void start_threads(struct job *j)
{
    struct caches *c = j->c;
    if (c->threaded)
        pthread_join(c->thread, NULL);
    c->threaded = pthread_create(&c->thread, NULL, run_threads, j) == 0;
    if (!c->threaded)
        answer(j, "no thread", (mf_bytes){NULL, 0});
}

/* --- the plugin --- */

static mf_status caches_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct caches *c = calloc(1, sizeof(*c));
    (void)config;
    if (!c)
        return MF_ENOMEM;
    c->host = host;
    c->cache = host->extension(host, MF_EXT_CACHE);
    c->timer = host->extension(host, MF_EXT_TIMER);
    *ret_self = c;
    return c->cache && c->timer ? MF_OK : MF_ENOTSUP;
}

static void get(struct job *j, int lease)
{
    const struct caches *c = j->c;
    if (!c->cache->get(c->host, j->call, bytes(j->key), lease ? MF_CACHE_LEASE : 0,
                       lease ? on_lease : on_value, j))
        answer(j, "refused", (mf_bytes){NULL, 0});
}

static void caches_call(void *self, const mf_request *request)
{
    struct caches *c = self;
    mfj_value a = mfj_read(request->args);
    struct job *j = calloc(1, sizeof(*j));
    char op[16] = "";
    if (!j)
        abort();
    *j = (struct job){.c = c, .call = request->call, .ttl = 60000, .times = 1};
    mfj_cstring(mfj_get(a, "op"), op, sizeof(op));
    mfj_cstring(mfj_get(a, "key"), j->key, sizeof(j->key));
    mfj_cstring(mfj_get(a, "value"), j->value, sizeof(j->value));
    j->value_len = strlen(j->value);
    mfj_int(mfj_get(a, "after"), &j->after);
    mfj_int(mfj_get(a, "times"), &j->times);
    mfj_int(mfj_get(a, "ttl"), &j->ttl);
    if (strcmp(op, "get") == 0)
        get(j, 0);
    else if (strcmp(op, "lease") == 0)
        get(j, 1);
    else if (strcmp(op, "set") == 0)
        answer_number(j, "", c->cache->set(c->host, bytes(j->key), value_of(j), (uint64_t)j->ttl));
    else if (strcmp(op, "drop") == 0)
        answer_number(j, "", c->cache->drop(c->host, bytes(j->key)));
    else if (strcmp(op, "drop_prefix") == 0)
        answer_number(j, "", c->cache->drop_prefix(c->host, bytes(j->key)));
    else if (strcmp(op, "threads") == 0)
        start_threads(j);
    else if (strcmp(op, "flood") == 0)
        flood(j);
    else if (strcmp(op, "edges") == 0)
        edges(j);
    else
        answer(j, "no op", (mf_bytes){NULL, 0});
}

static void caches_close(void *self)
{
    struct caches *c = self;
    if (c->threaded)
        pthread_join(c->thread, NULL);
    free(c);
}

BAD_PLUGIN(.open = caches_open, .call = caches_call, .close = caches_close);
