/* All figures as text for Prometheus, exposition format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).  Names: docs/operators.md. */
#include "runtime/internal.h"

#include <stdlib.h>
#include "runtime/prom.h"

/* --- the host --- */

static void write_host(struct buf *b, const struct host *h, const struct figures *f)
{
    struct buf labels = BUF_INIT(PROM_LABELS);
    prom_head(b, "manifold_build_info", "gauge", "Always 1; the version.");
    prom_label(&labels, "version", STR(MANIFOLD_VERSION));
    prom_sample(b, "manifold_build_info", "", buf_view(&labels), 1);
    buf_release(&labels);
    prom_one(b, "manifold_uptime_seconds", "gauge", "Since the start of the host.", f->up);
    prom_one(b, "manifold_reloads_total", "counter", "Reloads, refused ones too.",
             (double)h->reloads);
    prom_one(b, "manifold_problems", "gauge", "What is not served, or not wholly.", h->problems);
    prom_one(b, "manifold_connections", "gauge", "Clients that are connected.", f->connections);
    prom_one(b, "manifold_subscriptions", "gauge", "Resources and lists that clients listen to.",
             f->subscriptions);
    prom_one(b, "manifold_requests_total", "counter", "Calls that were answered.",
             (double)f->window.all_calls);
    prom_one(b, "manifold_request_errors_total", "counter",
             "Calls that were answered with an error or refused.", (double)f->window.all_failed);
    prom_one(b, "manifold_host_log_lines_dropped_total", "counter",
             "Lines of the log that nobody read in time.", (double)log_dropped());
    prom_one(b, "manifold_series", "gauge", "Series that plugins have (metrics.series).",
             f->series.count);
    prom_one(b, "manifold_series_limit", "gauge", "At most so many series.", f->series.limit);
}

static void write_window(struct buf *b, const struct figures *f)
{
    static const char *const quantile[] = {"0.5", "0.95", "0.99"};
    const struct window_view *w = &f->window;
    uint64_t at[] = {w->p50, w->p95, w->p99};
    double seconds = (double)w->ns / 1e9;
    prom_one(b, "manifold_window_seconds", "gauge", "What the window looks back on.", seconds);
    prom_one(b, "manifold_window_requests_per_second", "gauge", "Answered calls in the window.",
             w->ns ? (double)w->calls / seconds : 0);
    prom_one(b, "manifold_window_error_ratio", "gauge", "Of these, with an error or refused.",
             w->calls ? (double)w->failed / (double)w->calls : 0);
    prom_head(b, "manifold_window_duration_seconds", "gauge",
              "From arrival to answer, of calls in the window that ran.");
    for (int i = 0; i < 3; i++) {
        struct buf labels = BUF_INIT(64);
        prom_label(&labels, "quantile", str_of(quantile[i]));
        prom_sample(b, "manifold_window_duration_seconds", "", buf_view(&labels),
                    (double)at[i] / 1e9);
        buf_release(&labels);
    }
    prom_one(b, "manifold_window_cpu_ratio", "gauge", "Processors in use over the window.", f->cpu);
}

static void write_process(struct buf *b, const struct host *h, const struct process_figures *p)
{
    prom_one(b, "process_cpu_seconds_total", "counter", "Processor time, all threads.",
             (double)p->cpu / 1e9);
    prom_one(b, "process_resident_memory_bytes", "gauge", "Resident memory.", (double)p->rss);
    prom_one(b, "manifold_memory_pss_bytes", "gauge",
             "Resident memory, shared pages divided by their users.", (double)p->pss);
    prom_one(b, "process_open_fds", "gauge", "Open descriptors.", (double)p->open_files);
    prom_one(b, "process_start_time_seconds", "gauge", "Start, since 1970.", h->started);
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
    buf_clear(w->labels, PROM_LABELS);
    prom_label(w->labels, "plugin", str_of(p->name));
    prom_sample(w->b, w->family->name, "", buf_view(w->labels), w->family->of(p));
}

static void write_plugins(struct buf *b, struct buf *labels, const struct host *h)
{
    for (size_t i = 0; i < sizeof(plugin_families) / sizeof(plugin_families[0]); i++) {
        struct plugin_writer w = {b, labels, &plugin_families[i]};
        prom_head(b, w.family->name, w.family->type, w.family->help);
        figures_each_plugin(h, write_plugin, &w);
    }
}

/* --- what plugins count themselves --- */

struct exposition {
    struct host *host;
    struct series_set *set;      /* NULL: none, or all of it is written */
    struct series_cursor cursor; /* in `set` */
    struct buf labels, *out;
    bool begun;
};

static void write_series(void *arg, const struct series_family *f, const struct series *one,
                         bool first)
{
    static const char *const types[] = {"", "counter", "gauge", "histogram"};
    struct exposition *x = arg;
    struct series_value v;
    if (first)
        prom_head(x->out, f->name, types[f->kind], f->help);
    buf_clear(&x->labels, PROM_LABELS);
    prom_label(&x->labels, "plugin", str_of(series_instance(one)));
    for (uint32_t i = 0; i < one->labels; i++) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", STR_FMT(one->label[i].name));
        prom_label(&x->labels, name, one->label[i].value);
    }
    series_read(one, &v);
    if (f->kind == MF_HISTOGRAM)
        prom_buckets(x->out, f->name, buf_view(&x->labels), &v);
    else
        prom_sample(x->out, f->name, "", buf_view(&x->labels), v.value);
}

/* --- the whole, in pieces --- */

/* As many as are written in a millisecond: ten thousand in one go would hold the loop for 50. */
enum { SERIES_A_STEP = 100 };

struct exposition *exposition_begin(struct host *h)
{
    struct exposition *x = calloc(1, sizeof(*x));
    if (!x)
        return NULL;
    x->host = h;
    x->set = services_series(h->services);
    buf_init(&x->labels, PROM_LABELS);
    if (x->set)
        series_look(x->set, &x->cursor);
    return x;
}

static void write_own(struct exposition *x, struct buf *b)
{
    const struct host *h = x->host;
    struct figures f;
    figures_take(h, &f);
    write_host(b, h, &f);
    write_window(b, &f);
    write_process(b, h, &f.process);
    write_plugins(b, &x->labels, h);
    exposition_entries(b, &x->labels, h);
    exposition_services(b, &x->labels, h, &f);
}

bool exposition_step(struct exposition *x, struct buf *b)
{
    x->out = b;
    if (!x->begun)
        write_own(x, b);
    else if (x->set && !series_next(x->set, &x->cursor, SERIES_A_STEP, write_series, x))
        x->set = NULL;
    x->begun = true;
    if (x->labels.failed && !b->failed)
        b->failed = x->labels.failed;
    return x->set && !b->failed;
}

void exposition_end(struct exposition *x)
{
    if (x->set)
        series_look_end(x->set, &x->cursor);
    buf_release(&x->labels);
    free(x);
}
