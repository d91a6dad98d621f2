/* manifold.metrics/1: what a plugin counts goes into its series (series.h). */
#include "services/internal.h"

#include <math.h>
#include "services/metrics/series.h"

/* NULL, and the plugin's mistake counted where `mistake` says so: 0 is a series that was refused.
 */
static struct series *series_of(const mf_host *h, mf_metric metric, unsigned kinds, bool figure)
{
    struct instance *in = instance_of_host(h);
    struct series *one = metric && figure ? series_find(in->services->series, metric, kinds) : NULL;
    if (metric && !one)
        atomic_fetch_add_explicit(&in->misuse, 1, memory_order_relaxed);
    return one;
}

static mf_metric metrics_series(const mf_host *h, const mf_series *series)
{
    struct instance *in = instance_of_host(h);
    const char *why = NULL;
    bool first = false;
    mf_metric id = series_ask(in->services->series, series, &why, &first);
    if (first)
        log_line(LOG_WARN, in->name, "metrics: series %.*s is refused: %s; said once",
                 (int)(series->name.len < 64 ? series->name.len : 64),
                 series->name.len ? series->name.data : "", why);
    return id;
}

static void metrics_add(const mf_host *h, mf_metric metric, double amount)
{
    struct series *one =
        series_of(h, metric, amount < 0 ? 1u << MF_GAUGE : 1u << MF_GAUGE | 1u << MF_COUNTER,
                  isfinite(amount));
    if (one)
        series_add(one, amount);
}

static void metrics_set(const mf_host *h, mf_metric metric, double value)
{
    struct series *one = series_of(h, metric, 1u << MF_GAUGE, isfinite(value));
    if (one)
        series_put(one, value);
}

static void metrics_observe(const mf_host *h, mf_metric metric, double value)
{
    struct series *one = series_of(h, metric, 1u << MF_HISTOGRAM, isfinite(value) && value >= 0);
    if (one)
        series_observe(one, value);
}

static const struct mf_metrics vtable = {.size = sizeof(mf_metrics),
                                         .series = metrics_series,
                                         .add = metrics_add,
                                         .set = metrics_set,
                                         .observe = metrics_observe};

/* The set is made for the first plugin that asks. */
const void *metrics_open(struct services *s, struct instance *in)
{
    pthread_mutex_lock(&s->lock);
    if (!s->series)
        s->series = series_set_new(s->series_limit);
    if (s->series && !in->services->series)
        in->services->series = series_group(s->series, in->name);
    bool have = in->services->series;
    pthread_mutex_unlock(&s->lock);
    return have ? &vtable : NULL;
}
