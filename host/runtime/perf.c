/* perf://metrics: how much is called, how long it takes and what it needs.  Names and units
 * (seconds, parts of one) are those of the guidelines this grew from: docs/internals/metrics.md. */
#include "runtime/internal.h"

#include <inttypes.h>
#include "json/writer.h"

enum { SERIES_SHOWN = 500 };

/* All with a comma in front. */
static void member(struct buf *b, const char *key, double value)
{
    buf_printf(b, ",\"%s\":", key);
    json_write_double(b, value);
}

static void seconds(struct buf *b, const char *key, uint64_t ns)
{
    member(b, key, (double)ns / 1e9);
}

static uint64_t failed(const struct instance_counters *c)
{
    return c->errors + c->timeouts + c->refusals;
}

/* --- what was called --- */

static void write_durations(struct buf *b, const struct histogram *h)
{
    static const double q[] = {0.5, 0.95, 0.99};
    uint64_t at[3];
    if (!h->count)
        return;
    histogram_quantiles(h, q, 3, at);
    member(b, "avg_duration", (double)h->sum / (double)h->count / 1e9);
    seconds(b, "median_duration", at[0]);
    seconds(b, "min_duration", histogram_min(h));
    seconds(b, "max_duration", h->max);
    seconds(b, "p95_duration", at[1]);
    seconds(b, "p99_duration", at[2]);
}

/* `total`: the name of the number of calls. */
static void write_entry(struct buf *b, const struct entry *en, const struct entry_metrics *m,
                        const char *total)
{
    const struct instance_counters *c = &m->count;
    json_write_string(b, en->node.key);
    buf_printf(b, ":{\"%s\":%" PRIu64, total, c->calls);
    member(b, "success_rate", c->calls ? 1 - (double)failed(c) / (double)c->calls : 1);
    write_durations(b, &m->duration);
    member(b, "errors", (double)c->errors);
    member(b, "timeouts", (double)c->timeouts);
    member(b, "refusals", (double)c->refusals);
    member(b, "cancelled", (double)c->cancelled);
    member(b, "slow", (double)c->slow);
    if (en->spec->cached) {
        member(b, "cache_hits", (double)c->hits);
        member(b, "cache_misses", (double)c->misses);
        member(b, "cache_shared", (double)c->shared);
    }
    buf_byte(b, '}');
}

static const struct entry_metrics *metrics_of(const struct entry *en)
{
    return en->instance ? en->instance->entry[en->index].metrics : NULL;
}

static void write_kind(struct buf *b, const struct catalogue *c, enum entry_kind kind,
                       const char *total, const char **comma)
{
    for (uint32_t i = 0; i < c->count[kind]; i++) {
        const struct entry *en = &c->entry[kind][i];
        const struct entry_metrics *m = metrics_of(en);
        if (!m || !(m->count.calls + m->count.hits + m->count.shared))
            continue;
        buf_printf(b, "%s", *comma);
        write_entry(b, en, m, total);
        *comma = ",";
    }
}

static void write_called(struct buf *b, const struct catalogue *c)
{
    const char *comma = "";
    buf_lit(b, ",\"tools\":{");
    write_kind(b, c, ENTRY_TOOL, "total_calls", &comma);
    comma = "";
    buf_lit(b, "},\"resources\":{");
    write_kind(b, c, ENTRY_RESOURCE, "total_accesses", &comma);
    write_kind(b, c, ENTRY_TEMPLATE, "total_accesses", &comma);
    comma = "";
    buf_lit(b, "},\"prompts\":{");
    write_kind(b, c, ENTRY_PROMPT, "total_calls", &comma);
    buf_byte(b, '}');
}

/* "tool_NAME": what went wrong with it, however. */
static void write_errors(struct buf *b, const struct catalogue *c)
{
    static const char *const kinds[ENTRY_KINDS] = {"tool_", "resource_", "resource_", "prompt_"};
    const char *comma = "";
    buf_lit(b, ",\"errors\":{");
    for (int k = 0; k < ENTRY_KINDS; k++) {
        for (uint32_t i = 0; i < c->count[k]; i++) {
            const struct entry_metrics *m = metrics_of(&c->entry[k][i]);
            if (!m || !failed(&m->count))
                continue;
            buf_printf(b, "%s\"%s", comma, kinds[k]);
            json_write_escaped(b, c->entry[k][i].node.key, true);
            buf_printf(b, "\":%" PRIu64, failed(&m->count));
            comma = ",";
        }
    }
    buf_byte(b, '}');
}

/* --- plugins --- */

struct written {
    struct buf *b;
    const char *comma;
    uint32_t count;
};

static void write_plugin(void *arg, const struct plugin_figures *p)
{
    struct written *w = arg;
    struct buf *b = w->b;
    buf_printf(b, "%s", w->comma);
    json_write_string(b, str_of(p->name));
    buf_printf(b, ":{\"in_flight\":%u,\"queued\":%u,\"operations\":%u", p->running, p->queued,
               p->operations);
    if (p->instance) {
        seconds(b, "loop_time", p->instance->loop_time);
        seconds(b, "loop_longest", p->instance->loop_longest);
    }
    member(b, "series", p->series.count);
    member(b, "series_refused", (double)p->series.refused);
    buf_byte(b, '}');
    w->comma = ",";
}

static void write_labels(struct buf *b, const struct series *one)
{
    buf_lit(b, ",\"labels\":{");
    for (uint32_t i = 0; i < one->labels; i++) {
        if (i)
            buf_byte(b, ',');
        json_write_string(b, one->label[i].name);
        buf_byte(b, ':');
        json_write_string(b, one->label[i].value);
    }
    buf_byte(b, '}');
}

static void write_series(struct buf *b, const struct series_family *f, const struct series *one)
{
    struct series_value v;
    series_read(one, &v);
    buf_lit(b, "{\"name\":");
    json_write_string(b, str_of(f->name));
    buf_lit(b, ",\"plugin\":");
    json_write_string(b, str_of(series_instance(one)));
    if (one->labels)
        write_labels(b, one);
    if (f->kind == MF_HISTOGRAM) {
        member(b, "count", (double)v.count);
        member(b, "sum", v.value);
        member(b, "max", v.max);
        member(b, "median", series_quantile(&v, 0.5));
        member(b, "p95", series_quantile(&v, 0.95));
        member(b, "p99", series_quantile(&v, 0.99));
    } else {
        member(b, "value", v.value);
    }
    buf_byte(b, '}');
}

static void write_own_series(struct buf *b, const struct host *h)
{
    struct series_set *set = services_series(h->services);
    const struct list *families = set ? series_walk(set) : NULL;
    uint32_t n = 0;
    buf_lit(b, ",\"plugin_metrics\":[");
    if (families) {
        list_each (it, families) {
            const struct series_family *f = container_of(it, struct series_family, in_set);
            list_each (k, &f->series) {
                if (n++ >= SERIES_SHOWN)
                    continue;
                if (n > 1)
                    buf_byte(b, ',');
                write_series(b, f, container_of(k, struct series, in_family));
            }
        }
        series_walk_end(set);
    }
    buf_byte(b, ']');
    member(b, "plugin_metrics_left_out", n > SERIES_SHOWN ? n - SERIES_SHOWN : 0);
}

/* --- all together --- */

static void write_window(struct buf *b, const struct figures *f)
{
    const struct window_view *w = &f->window;
    seconds(b, "window", w->ns);
    member(b, "window_request_count", (double)w->calls);
    member(b, "request_rate", w->ns ? (double)w->calls / ((double)w->ns / 1e9) : 0);
    member(b, "error_rate", w->calls ? (double)w->failed / (double)w->calls : 0);
    seconds(b, "avg_response_time", w->mean);
    seconds(b, "median_response_time", w->p50);
    seconds(b, "p95_response_time", w->p95);
    seconds(b, "p99_response_time", w->p99);
    if (f->hit_ratio < 0)
        buf_lit(b, ",\"cache_hit_rate\":null");
    else
        member(b, "cache_hit_rate", f->hit_ratio);
    member(b, "cpu_usage", f->cpu * 100);
}

static void write_process(struct buf *b, const struct figures *f)
{
    const struct process_figures *p = &f->process;
    member(b, "memory_usage", p->memory ? (double)p->rss * 100 / (double)p->memory : 0);
    member(b, "memory_rss_bytes", (double)p->rss);
    member(b, "memory_pss_bytes", (double)p->pss);
    seconds(b, "cpu_time", p->cpu);
    member(b, "open_files", (double)p->open_files);
    member(b, "active_connections", f->connections);
    member(b, "subscriptions", f->subscriptions);
}

static void write_services(struct buf *b, const struct figures *f)
{
    const struct cache_counters *c = &f->cache;
    const struct http_counters *t = f->http;
    buf_printf(b, ",\"cache\":{\"redis\":\"%s\"", cache_link_name(c->link));
    member(b, "memory_hits", (double)c->all.memory_hits);
    member(b, "redis_hits", (double)c->all.redis_hits);
    member(b, "misses", (double)c->all.misses);
    member(b, "entries", (double)c->entries);
    member(b, "bytes", (double)c->bytes);
    member(b, "memory", (double)c->memory);
    member(b, "evictions", (double)c->evictions);
    buf_printf(b, "},\"http_client\":{\"active\":%u,\"waiting\":%u", t->active, t->waiting);
    member(b, "requests", (double)t->requests);
    member(b, "errors", (double)t->errors);
    member(b, "connections_opened", (double)t->connections);
    buf_byte(b, '}');
}

void perf_write(const struct host *h, struct buf *b)
{
    struct figures f;
    struct written w = {.b = b, .comma = ""};
    figures_take(h, &f);
    buf_lit(b, "{\"timestamp\":");
    json_write_double(b, process_time());
    member(b, "uptime", f.up);
    member(b, "request_count", (double)f.window.all_calls);
    member(b, "error_count", (double)f.window.all_failed);
    write_window(b, &f);
    write_process(b, &f);
    write_services(b, &f);
    write_called(b, h->catalogue);
    write_errors(b, h->catalogue);
    buf_lit(b, ",\"plugins\":{");
    figures_each_plugin(h, write_plugin, &w);
    buf_byte(b, '}');
    write_own_series(b, h);
    buf_printf(b, ",\"series\":{\"count\":%u,\"limit\":%u,\"refused\":%" PRIu64 "}}",
               f.series.count, f.series.limit, f.series.refused);
}
