/* What Prometheus is told of tools, resources and prompts that were called. */
#include "runtime/internal.h"
#include "runtime/prom.h"

static const struct family {
    const char *name, *help;
    size_t counter; /* offset in struct instance_counters */
    bool cached;    /* only of entries with `cache:` */
} families[] = {
#define COUNTER(name, member, cached, help)                            \
    {                                                                  \
        name, help, offsetof(struct instance_counters, member), cached \
    }
    COUNTER("manifold_calls_total", calls, false, "Calls, whatever came of them."),
    COUNTER("manifold_call_errors_total", errors, false,
            "Ended with isError or an error of the plugin."),
    COUNTER("manifold_call_timeouts_total", timeouts, false, "Over limits.timeout."),
    COUNTER("manifold_calls_cancelled_total", cancelled, false, "Cancelled by the client."),
    COUNTER("manifold_calls_late_total", late, false, "Finished after the client was answered."),
    COUNTER("manifold_calls_slow_total", slow, false, "Took longer than `slow`."),
    COUNTER("manifold_call_hits_total", hits, true, "Answered with a result that was kept."),
    COUNTER("manifold_call_misses_total", misses, true, "Calls made because none was kept."),
    COUNTER("manifold_call_shared_total", shared, true, "Answered by the run of another."),
#undef COUNTER
};

/* What is written with one entry after the other. */
struct writer {
    struct buf *b, *labels; /* labels: of the entry */
    const char *name;
    const struct family *family;
};

static void each_entry(const struct host *h, struct writer *w,
                       void (*one)(struct writer *w, const struct entry_spec *spec,
                                   const struct entry_metrics *m))
{
    static const char *const kinds[ENTRY_KINDS] = {"tool", "resource", "template", "prompt"};
    const struct catalogue *c = h->catalogue;
    for (int k = 0; k < ENTRY_KINDS; k++) {
        for (uint32_t i = 0; i < c->count[k]; i++) {
            const struct entry *en = &c->entry[k][i];
            const struct entry_metrics *m =
                en->instance ? en->instance->entry[en->index].metrics : NULL;
            if (!m)
                continue;
            buf_clear(w->labels, PROM_LABELS);
            prom_label(w->labels, "plugin", str_of(en->instance->name));
            prom_label(w->labels, "kind", str_of(kinds[k]));
            prom_label(w->labels, "name", en->node.key);
            one(w, en->spec, m);
        }
    }
}

static void write_counter(struct writer *w, const struct entry_spec *spec,
                          const struct entry_metrics *m)
{
    const char *counters = (const char *)&m->count;
    const uint64_t *value = (const uint64_t *)(const void *)(counters + w->family->counter);
    if (!w->family->cached || spec->cached)
        prom_sample(w->b, w->name, "", buf_view(w->labels), (double)*value);
}

/* Timeouts and faults stand elsewhere. */
static void write_refusals(struct writer *w, const struct entry_spec *spec,
                           const struct entry_metrics *m)
{
    size_t length = w->labels->len;
    (void)spec;
    for (int i = 0; i < REFUSED_REASONS; i++) {
        if (!m->count.refused[i] || i == REFUSED_TIMEOUT || i == REFUSED_FAULT)
            continue;
        prom_label(w->labels, "reason", str_of(refusal_name(i)));
        prom_sample(w->b, w->name, "", buf_view(w->labels), (double)m->count.refused[i]);
        w->labels->len = length;
    }
}

static void write_histogram(struct writer *w, const struct histogram *h)
{
    uint64_t bound[SERIES_BOUNDS_MAX];
    struct series_value v = {
        .bounds = &series_seconds, .count = h->count, .value = (double)h->sum / 1e9};
    for (uint32_t i = 0; i < series_seconds.count; i++)
        bound[i] = (uint64_t)(series_seconds.bound[i] * 1e9 + 0.5);
    histogram_cumulate(h, bound, series_seconds.count, v.cumulative);
    prom_buckets(w->b, w->name, buf_view(w->labels), &v);
}

static void write_duration(struct writer *w, const struct entry_spec *spec,
                           const struct entry_metrics *m)
{
    (void)spec;
    write_histogram(w, &m->duration);
}

static void write_queue_wait(struct writer *w, const struct entry_spec *spec,
                             const struct entry_metrics *m)
{
    (void)spec;
    if (m->queue_wait.count)
        write_histogram(w, &m->queue_wait);
}

void exposition_entries(struct buf *b, struct buf *labels, const struct host *h)
{
    struct writer w = {.b = b, .labels = labels};
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        w.family = &families[i];
        w.name = families[i].name;
        prom_head(b, w.name, "counter", families[i].help);
        each_entry(h, &w, write_counter);
    }
    w.name = "manifold_call_refusals_total";
    prom_head(b, w.name, "counter", "Refused, by the limit that was hit.");
    each_entry(h, &w, write_refusals);
    w.name = "manifold_call_duration_seconds";
    prom_head(b, w.name, "histogram", "From arrival to answer, of calls that ran.");
    each_entry(h, &w, write_duration);
    w.name = "manifold_call_queue_wait_seconds";
    prom_head(b, w.name, "histogram", "In the queue, of calls that waited.");
    each_entry(h, &w, write_queue_wait);
}
