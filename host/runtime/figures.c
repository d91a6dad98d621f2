/* The figures that perf://metrics and Prometheus show, gathered where they are kept. */
#include "runtime/internal.h"

enum { LEVEL_CPU, LEVEL_HITS, LEVEL_MISSES };

void figures_levels(void *arg, uint64_t ret[WINDOW_LEVELS])
{
    const struct host *h = arg;
    struct cache_counters cache;
    services_cache_count(h->services, &cache);
    ret[LEVEL_CPU] = process_cpu();
    ret[LEVEL_HITS] = cache.all.memory_hits + cache.all.redis_hits;
    ret[LEVEL_MISSES] = cache.all.misses;
}

void figures_take(const struct host *h, struct figures *ret)
{
    struct series_set *series = services_series(h->services);
    *ret = (struct figures){.up = (double)(clock_ns() - h->started_ns) / 1e9};
    engine_window(h->engine, &ret->window);
    process_read(&ret->process);
    services_cache_count(h->services, &ret->cache);
    ret->http = services_http_count(h->services, NULL);
    if (series)
        series_usage(series, &ret->series);
    else
        ret->series.limit = h->settings->metrics_series;
    if (ret->window.level_ns)
        ret->cpu = (double)ret->window.grown[LEVEL_CPU] / (double)ret->window.level_ns;
    uint64_t hits = ret->window.grown[LEVEL_HITS], misses = ret->window.grown[LEVEL_MISSES];
    ret->hit_ratio = hits + misses ? (double)hits / (double)(hits + misses) : -1;
    list_each (it, &h->listeners) {
        ret->connections++;
        ret->subscriptions += container_of(it, struct host_listener, in_host)->subscriptions;
    }
}

static void add(struct plugin_figures *p, const struct instance *in)
{
    p->running += in->running;
    p->queued += in->queued;
    p->orphans += in->orphans;
    p->operations += instance_ops(in);
}

static const struct instance *serving(const struct host *h, const char *name)
{
    for (uint32_t i = 0; i < h->manifests; i++) {
        if (h->instance[i] && strcmp(h->instance[i]->name, name) == 0)
            return h->instance[i];
    }
    return NULL;
}

void figures_each_plugin(const struct host *h,
                         void (*one)(void *arg, const struct plugin_figures *p), void *arg)
{
    struct series_set *series = services_series(h->services);
    for (uint32_t i = 0; i < h->manifests; i++) {
        const struct instance *in = h->instance[i];
        if (!in)
            continue;
        struct plugin_figures p = {
            .instance = in, .name = in->name, .http = services_http_count(h->services, in)};
        add(&p, in);
        for (struct instance *old = NULL; (old = engine_next_retired(h->engine, old));) {
            if (strcmp(old->name, in->name) == 0)
                add(&p, old);
        }
        if (series)
            series_usage_of(series, in->name, &p.series);
        one(arg, &p);
    }
    for (struct instance *old = NULL; (old = engine_next_retired(h->engine, old));) {
        struct plugin_figures p = {.name = old->name};
        if (serving(h, old->name))
            continue;
        add(&p, old);
        one(arg, &p);
    }
}
