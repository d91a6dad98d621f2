/* All figures as text for Prometheus, exposition format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).  Names: docs/operators.md. */
#include "runtime/internal.h"

#include <inttypes.h>
#include "json/writer.h"

enum { LABELS_MAX = 64 * 1024 };

/* --- the format --- */

static void write_escaped(struct buf *b, struct str s, bool quotes)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            buf_lit(b, "\\n");
        else if (s.p[i] == '\\' || (quotes && s.p[i] == '"'))
            buf_byte(b, '\\'), buf_byte(b, s.p[i]);
        else
            buf_byte(b, s.p[i]);
    }
}

static void write_head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s ", name);
    write_escaped(b, str_of(help), false);
    buf_printf(b, "\n# TYPE %s %s\n", name, type);
}

/* name="value", with a comma in front unless it is the first. */
static void write_label(struct buf *labels, const char *name, struct str value)
{
    buf_printf(labels, "%s%s=\"", labels->len ? "," : "", name);
    write_escaped(labels, value, true);
    buf_byte(labels, '"');
}

static void write_sample(struct buf *b, const char *name, const char *suffix, struct str labels,
                         double value)
{
    buf_str(b, str_of(name));
    buf_str(b, str_of(suffix));
    if (labels.n) {
        buf_byte(b, '{');
        buf_str(b, labels);
        buf_byte(b, '}');
    }
    buf_byte(b, ' ');
    json_write_double(b, value);
    buf_byte(b, '\n');
}

static void write_bucket(struct buf *b, const char *name, struct str labels, const char *bound,
                         uint64_t count)
{
    buf_str(b, str_of(name));
    buf_lit(b, "_bucket{");
    buf_str(b, labels);
    if (labels.n)
        buf_byte(b, ',');
    buf_lit(b, "le=\"");
    buf_str(b, str_of(bound));
    buf_lit(b, "\"} ");
    json_write_int(b, (int64_t)count);
    buf_byte(b, '\n');
}

static void write_buckets(struct buf *b, const char *name, struct str labels,
                          const struct series_value *v)
{
    char bound[32];
    for (uint32_t i = 0; i < v->bounds->count; i++) {
        snprintf(bound, sizeof(bound), "%g", v->bounds->bound[i]);
        write_bucket(b, name, labels, bound, v->cumulative[i]);
    }
    write_bucket(b, name, labels, "+Inf", v->count);
    write_sample(b, name, "_sum", labels, v->value);
    write_sample(b, name, "_count", labels, (double)v->count);
}

static void write_one(struct buf *b, const char *name, const char *type, const char *help,
                      double value)
{
    write_head(b, name, type, help);
    write_sample(b, name, "", STR_NONE, value);
}

/* --- the host --- */

static void write_host(struct buf *b, const struct host *h, const struct figures *f)
{
    struct buf labels = BUF_INIT(LABELS_MAX);
    write_head(b, "manifold_build_info", "gauge", "Always 1; the version.");
    write_label(&labels, "version", STR(MANIFOLD_VERSION));
    write_sample(b, "manifold_build_info", "", buf_view(&labels), 1);
    buf_release(&labels);
    write_one(b, "manifold_uptime_seconds", "gauge", "Since the start of the host.", f->up);
    write_one(b, "manifold_reloads_total", "counter", "Reloads, refused ones too.",
              (double)h->reloads);
    write_one(b, "manifold_problems", "gauge", "What is not served, or not wholly.", h->problems);
    write_one(b, "manifold_connections", "gauge", "Clients that are connected.", f->connections);
    write_one(b, "manifold_subscriptions", "gauge", "Resources and lists that clients listen to.",
              f->subscriptions);
    write_one(b, "manifold_requests_total", "counter", "Calls that were answered.",
              (double)f->window.all_calls);
    write_one(b, "manifold_request_errors_total", "counter",
              "Calls that were answered with an error or refused.", (double)f->window.all_failed);
    write_one(b, "manifold_host_log_lines_dropped_total", "counter",
              "Lines of the log that nobody read in time.", (double)log_dropped());
    write_one(b, "manifold_series", "gauge", "Series that plugins have (metrics.series).",
              f->series.count);
    write_one(b, "manifold_series_limit", "gauge", "At most so many series.", f->series.limit);
    write_one(b, "manifold_series_refused_all_total", "counter",
              "Times a plugin was refused a series.", (double)f->series.refused);
}

static void write_window(struct buf *b, const struct figures *f)
{
    static const char *const quantile[] = {"0.5", "0.95", "0.99"};
    const struct window_view *w = &f->window;
    uint64_t at[] = {w->p50, w->p95, w->p99};
    double seconds = (double)w->ns / 1e9;
    write_one(b, "manifold_window_seconds", "gauge", "What the window looks back on.", seconds);
    write_one(b, "manifold_window_requests_per_second", "gauge", "Answered calls in the window.",
              w->ns ? (double)w->calls / seconds : 0);
    write_one(b, "manifold_window_error_ratio", "gauge", "Of these, with an error or refused.",
              w->calls ? (double)w->failed / (double)w->calls : 0);
    write_head(b, "manifold_window_duration_seconds", "gauge",
               "From arrival to answer, of calls in the window that ran.");
    for (int i = 0; i < 3; i++) {
        struct buf labels = BUF_INIT(64);
        write_label(&labels, "quantile", str_of(quantile[i]));
        write_sample(b, "manifold_window_duration_seconds", "", buf_view(&labels),
                     (double)at[i] / 1e9);
        buf_release(&labels);
    }
    write_one(b, "manifold_window_cpu_ratio", "gauge", "Processors in use over the window.",
              f->cpu);
}

static void write_process(struct buf *b, const struct host *h, const struct process_figures *p)
{
    write_one(b, "process_cpu_seconds_total", "counter", "Processor time, all threads.",
              (double)p->cpu / 1e9);
    write_one(b, "process_resident_memory_bytes", "gauge", "Resident memory.", (double)p->rss);
    write_one(b, "manifold_memory_pss_bytes", "gauge",
              "Resident memory, shared pages divided by their users.", (double)p->pss);
    write_one(b, "process_open_fds", "gauge", "Open descriptors.", (double)p->open_files);
    write_one(b, "process_start_time_seconds", "gauge", "Start, since 1970.", h->started);
}

/* --- plugins --- */

#define OF_INSTANCE(name, expression)                  \
    static double name(const struct plugin_figures *p) \
    {                                                  \
        const struct instance *in = p->instance;       \
        return (double)(expression);                   \
    }
OF_INSTANCE(is_failed, in->state == INSTANCE_FAILED)
OF_INSTANCE(generation, in->generation)
OF_INSTANCE(loop_seconds, (double)in->loop_time / 1e9)
OF_INSTANCE(loop_longest, (double)in->loop_longest / 1e9)
OF_INSTANCE(loop_blocks, in->loop_blocks)
OF_INSTANCE(breaker_open, in->breaker.state != BREAKER_CLOSED)
OF_INSTANCE(breaker_opened, in->breaker.opened)
OF_INSTANCE(misuse, in->misuse)
OF_INSTANCE(log_dropped_of, in->log_dropped)

static double running(const struct plugin_figures *p)
{
    return p->running;
}
static double queued(const struct plugin_figures *p)
{
    return p->queued;
}
static double orphans(const struct plugin_figures *p)
{
    return p->orphans;
}
static double operations(const struct plugin_figures *p)
{
    return p->operations;
}
static double series_refused(const struct plugin_figures *p)
{
    return (double)p->series.refused;
}

static const struct plugin_family {
    const char *name, *type, *help;
    double (*of)(const struct plugin_figures *p);
    bool removed_too; /* also of what only drains */
} plugin_families[] = {
    {"manifold_failed", "gauge", "1: the plugin can't be served.", is_failed, false},
    {"manifold_generation", "gauge", "From 1; each reload that changes it makes the next.",
     generation, false},
    {"manifold_calls_running", "gauge", "Calls it works on.", running, true},
    {"manifold_calls_queued", "gauge", "Calls that wait for it.", queued, true},
    {"manifold_calls_orphaned", "gauge", "Running calls whose client no longer waits.", orphans,
     true},
    {"manifold_operations", "gauge", "Operations of services it has begun.", operations, true},
    {"manifold_loop_seconds_total", "counter", "Time of its code on the loop.", loop_seconds,
     false},
    {"manifold_loop_blocks_total", "counter", "Entries over limits.loop_block.", loop_blocks,
     false},
    {"manifold_loop_longest_seconds", "gauge", "The longest entry.", loop_longest, false},
    {"manifold_breaker_open", "gauge", "1: its breaker is open, or tries one call.", breaker_open,
     false},
    {"manifold_breaker_opened_total", "counter", "How often it has opened.", breaker_opened, false},
    {"manifold_misuse_total", "counter", "Mistakes in the use of the host.", misuse, false},
    {"manifold_log_lines_dropped_total", "counter", "Lines over limits.log.", log_dropped_of,
     false},
    {"manifold_series_refused_total", "counter", "Times it was refused a series.", series_refused,
     false},
};

struct plugin_writer {
    struct buf *b, *labels;
    const struct plugin_family *family;
};

static void write_plugin(void *arg, const struct plugin_figures *p)
{
    struct plugin_writer *w = arg;
    if (!p->instance && !w->family->removed_too)
        return;
    buf_clear(w->labels, LABELS_MAX);
    write_label(w->labels, "plugin", str_of(p->name));
    write_sample(w->b, w->family->name, "", buf_view(w->labels), w->family->of(p));
}

static void write_plugins(struct buf *b, struct buf *labels, const struct host *h)
{
    for (size_t i = 0; i < sizeof(plugin_families) / sizeof(plugin_families[0]); i++) {
        struct plugin_writer w = {b, labels, &plugin_families[i]};
        write_head(b, w.family->name, w.family->type, w.family->help);
        figures_each_plugin(h, write_plugin, &w);
    }
}

/* --- tools, resources, prompts --- */

static const struct entry_family {
    const char *name, *help;
    size_t counter; /* offset in struct instance_counters */
} entry_families[] = {
#define COUNTER(name, member, help)                            \
    {                                                          \
        name, help, offsetof(struct instance_counters, member) \
    }
    COUNTER("manifold_calls_total", calls, "Calls, whatever came of them."),
    COUNTER("manifold_call_errors_total", errors, "Ended with isError or an error of the plugin."),
    COUNTER("manifold_call_timeouts_total", timeouts, "Over limits.timeout."),
    COUNTER("manifold_calls_cancelled_total", cancelled, "Cancelled by the client."),
    COUNTER("manifold_calls_late_total", late, "Finished after the client was answered."),
    COUNTER("manifold_calls_slow_total", slow, "Took longer than `slow`."),
#undef COUNTER
};

/* Calls `one` with the labels of each entry that was called. */
static void each_entry(const struct host *h, struct buf *labels, struct buf *b,
                       void (*one)(struct buf *b, struct buf *labels, const struct entry_metrics *m,
                                   const void *arg),
                       const void *arg)
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
            buf_clear(labels, LABELS_MAX);
            write_label(labels, "plugin", str_of(en->instance->name));
            write_label(labels, "kind", str_of(kinds[k]));
            write_label(labels, "name", en->node.key);
            one(b, labels, m, arg);
        }
    }
}

static void write_counter(struct buf *b, struct buf *labels, const struct entry_metrics *m,
                          const void *arg)
{
    const struct entry_family *f = arg;
    const uint64_t *value = (const uint64_t *)(const void *)((const char *)&m->count + f->counter);
    write_sample(b, f->name, "", buf_view(labels), (double)*value);
}

/* Timeouts and faults stand elsewhere. */
static void write_refusals(struct buf *b, struct buf *labels, const struct entry_metrics *m,
                           const void *arg)
{
    size_t length = labels->len;
    for (int i = 0; i < REFUSED_REASONS; i++) {
        if (!m->count.refused[i] || i == REFUSED_TIMEOUT || i == REFUSED_FAULT)
            continue;
        write_label(labels, "reason", str_of(refusal_name(i)));
        write_sample(b, arg, "", buf_view(labels), (double)m->count.refused[i]);
        labels->len = length;
    }
}

static void write_histogram(struct buf *b, const char *name, struct str labels,
                            const struct histogram *h)
{
    uint64_t bound[SERIES_BOUNDS_MAX];
    struct series_value v = {
        .bounds = &series_seconds, .count = h->count, .value = (double)h->sum / 1e9};
    for (uint32_t i = 0; i < series_seconds.count; i++)
        bound[i] = (uint64_t)(series_seconds.bound[i] * 1e9 + 0.5);
    histogram_cumulate(h, bound, series_seconds.count, v.cumulative);
    write_buckets(b, name, labels, &v);
}

static void write_duration(struct buf *b, struct buf *labels, const struct entry_metrics *m,
                           const void *arg)
{
    write_histogram(b, arg, buf_view(labels), &m->duration);
}

static void write_queue_wait(struct buf *b, struct buf *labels, const struct entry_metrics *m,
                             const void *arg)
{
    if (m->queue_wait.count)
        write_histogram(b, arg, buf_view(labels), &m->queue_wait);
}

static void write_entries(struct buf *b, struct buf *labels, const struct host *h)
{
    static const char refusals[] = "manifold_call_refusals_total";
    static const char duration[] = "manifold_call_duration_seconds";
    static const char wait[] = "manifold_call_queue_wait_seconds";
    for (size_t i = 0; i < sizeof(entry_families) / sizeof(entry_families[0]); i++) {
        write_head(b, entry_families[i].name, "counter", entry_families[i].help);
        each_entry(h, labels, b, write_counter, &entry_families[i]);
    }
    write_head(b, refusals, "counter", "Refused, by the limit that was hit.");
    each_entry(h, labels, b, write_refusals, refusals);
    write_head(b, duration, "histogram", "From arrival to answer, of calls that ran.");
    each_entry(h, labels, b, write_duration, duration);
    write_head(b, wait, "histogram", "In the queue, of calls that waited.");
    each_entry(h, labels, b, write_queue_wait, wait);
}

/* --- what plugins count themselves --- */

static void write_series(struct buf *b, struct buf *labels, const struct series_family *f,
                         const struct series *one)
{
    struct series_value v;
    buf_clear(labels, LABELS_MAX);
    write_label(labels, "plugin", str_of(series_instance(one)));
    for (uint32_t i = 0; i < one->labels; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", STR_FMT(one->label[i].name));
        write_label(labels, name, one->label[i].value);
    }
    series_read(one, &v);
    if (f->kind == MF_HISTOGRAM)
        write_buckets(b, f->name, buf_view(labels), &v);
    else
        write_sample(b, f->name, "", buf_view(labels), v.value);
}

static void write_own_series(struct buf *b, struct buf *labels, const struct host *h)
{
    static const char *const types[] = {"", "counter", "gauge", "histogram"};
    struct series_set *set = services_series(h->services);
    if (!set)
        return;
    const struct list *families = series_walk(set);
    list_each (it, families) {
        const struct series_family *f = container_of(it, struct series_family, in_set);
        write_head(b, f->name, types[f->kind], f->help);
        list_each (k, &f->series)
            write_series(b, labels, f, container_of(k, struct series, in_family));
    }
    series_walk_end(set);
}

void exposition_write(const struct host *h, struct buf *b)
{
    struct buf labels = BUF_INIT(LABELS_MAX);
    struct figures f;
    figures_take(h, &f);
    write_host(b, h, &f);
    write_window(b, &f);
    write_process(b, h, &f.process);
    write_plugins(b, &labels, h);
    write_entries(b, &labels, h);
    write_own_series(b, &labels, h);
    if (labels.failed && !b->failed)
        b->failed = labels.failed;
    buf_release(&labels);
}
