/* The figures that perf://metrics and Prometheus show, gathered where they are kept. */
#include "runtime/internal.h"

enum { LEVEL_CPU };

void figures_levels(void *arg, uint64_t ret[WINDOW_LEVELS])
{
    (void)arg;
    ret[LEVEL_CPU] = process_cpu();
}

void figures_take(const struct host *h, struct figures *ret)
{
    struct series_set *series = services_series(h->services);
    *ret = (struct figures){.up = (double)(clock_ns() - h->started_ns) / 1e9};
    engine_window(h->engine, &ret->window);
    process_read(&ret->process);
    if (series)
        series_usage(series, &ret->series);
    else
        ret->series.limit = h->settings->metrics_series;
    if (ret->window.level_ns)
        ret->cpu = (double)ret->window.grown[LEVEL_CPU] / (double)ret->window.level_ns;
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
        struct plugin_figures p = {.instance = in, .name = in->name};
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
