#include "services/cache/cache.h"
#include "services/files/files.h"
#include "services/results/results.h"
#include "services/metrics/series.h"

/* Once the loop has ended there is a little time for the threads of files to tidy up. */
enum { LEAVE_MS = 1000 };

static const struct service table[] = {
    {.id = "manifold.cache/1", .open = cache_open_service},
    {.id = "manifold.http/1", .open = http_extension},
    {.id = "manifold.metrics/1", .open = metrics_open},
    {.id = "manifold.notify/1", .open = notify_open},
    {.id = "manifold.timer/1", .vtable = &timer_vtable},
    {.id = "manifold.work/1", .vtable = &work_vtable},
    {.id = "manifold.files/1", .open = files_open_service},
};

struct instance_services *services_own(struct services *s, struct instance *in)
{
    pthread_mutex_lock(&s->lock);
    struct instance_services *own = in->services;
    if (!own && (own = calloc(1, sizeof(*own)))) {
        own->http.http = s->http;
        in->services = own; /* once it is whole: others look without the lock */
    }
    pthread_mutex_unlock(&s->lock);
    return own;
}

static const void *extension(void *arg, struct instance *in, const char *id)
{
    struct services *s = arg;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].id, id) != 0)
            continue;
        if (!services_own(s, in))
            return NULL;
        return table[i].open ? table[i].open(s, in) : table[i].vtable;
    }
    return NULL;
}

static void join(void *arg, struct instance *in)
{
    (void)arg;
    pool_free(in->services->work);
    in->services->work = NULL;
}

static void release(void *arg, struct instance *in)
{
    struct services *s = arg;
    join(arg, in); /* one whose open() failed had no close() */
    files_leave(in->services->files, s->closing ? LEAVE_MS : 0);
    http_instance_release(&in->services->http);
    notify_release(in->services->notifier);
    cache_release_service(in->services->cache);
    free(in->services);
    in->services = NULL;
}

/* What was kept for all its generations. */
static void gone(void *arg, const char *instance)
{
    struct services *s = arg;
    if (s->series)
        series_forget(s->series, instance);
}

struct engine_services services_for_engine(struct services *s)
{
    return (struct engine_services){
        .extension = extension, .join = join, .release = release, .gone = gone, .arg = s};
}

void services_listen(struct services *s, const struct services_listener *l)
{
    s->listener = *l;
}

void services_settings(struct services *s, const struct settings *settings)
{
    pthread_mutex_lock(&s->lock);
    s->series_limit = settings->metrics_series;
    if (s->series)
        series_set_limit(s->series, s->series_limit);
    pthread_mutex_unlock(&s->lock);
}

struct cache *services_cache(struct services *s)
{
    struct err e;
    if (!s->cache && !s->closing && cache_open(s->loop, &s->cache_spec, &s->cache, &e))
        log_error("%s", e.text);
    return s->cache;
}

struct results *services_results(struct services *s)
{
    if (!s->results && services_cache(s))
        s->results = results_new(s, s->calls);
    return s->results;
}

struct series_set *services_series(struct services *s)
{
    pthread_mutex_lock(&s->lock);
    struct series_set *set = s->series;
    pthread_mutex_unlock(&s->lock);
    return set;
}

void services_cache_count(const struct services *s, struct cache_counters *ret)
{
    if (s->cache)
        cache_count(s->cache, ret);
    else
        *ret = (struct cache_counters){.memory = s->cache_spec.memory};
}

const struct http_counters *services_http_count(const struct services *s, const struct instance *in)
{
    if (!in)
        return &s->http->count;
    return in->services ? &in->services->http.count : NULL;
}

int services_open(uv_loop_t *loop, const struct settings *settings, struct services **ret,
                  struct err *e)
{
    (void)e;
    struct services *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->loop_thread = uv_thread_self();
    s->data = xstrndup(settings->data, strlen(settings->data));
    s->http = http_new(loop, &settings->http_client);
    pthread_mutex_init(&s->lock, NULL);
    s->calls = settings->calls;
    if (cache_spec_copy(&settings->cache, &s->cache_spec))
        out_of_memory();
    services_settings(s, settings);
    if (settings->cache.redis != CACHE_REDIS_NONE) /* an operator wants to see that it is there */
        services_cache(s);
    *ret = s;
    return 0;
}

static void on_results_closed(void *arg)
{
    struct services *s = arg;
    if (s->cache)
        cache_close(s->cache, s->closed, s->closed_arg);
    else
        s->closed(s->closed_arg);
}

static void on_http_closed(void *arg)
{
    struct services *s = arg;
    if (s->results)
        results_close(s->results, on_results_closed, s);
    else
        on_results_closed(s);
}

void services_close(struct services *s, void (*done)(void *arg), void *arg)
{
    s->closing = true;
    s->closed = done;
    s->closed_arg = arg;
    http_close(s->http, on_http_closed, s);
}

void services_free(struct services *s)
{
    if (!s)
        return;
    http_free(s->http);
    results_free(s->results);
    cache_spec_release(&s->cache_spec);
    free(s->data);
    series_set_free(s->series);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
