/* manifold/metrics.h - "manifold.metrics/1": a plugin's own figures beside the host's.
 *
 * They are shown in perf://metrics and by `manifold metrics`, named
 * manifold_plugin_NAME_UNIT{plugin="INSTANCE",...}, counters with _total behind it.  The host adds
 * the label `plugin`; no plugin can read or write another's.
 *
 * A series lives as long as its plugin is served: the next generation of a plugin that was
 * reloaded asks for the same name and labels and goes on where the last one was.  Ask for it once
 * and keep the handle: add(), set() and observe() take no lock and never wait; series() does.
 *
 * What is no figure is left out and counted as a mistake of the plugin (`misuse` of
 * manifold://status): NaN, infinities, what is below 0 where only 0 and more is allowed, a handle
 * that is another's, a function that is not for this kind. */
#ifndef MANIFOLD_METRICS_H
#define MANIFOLD_METRICS_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_METRICS "manifold.metrics/1"

enum {
    MF_COUNTER = 1,  /* only grows: add() of 0 or more              */
    MF_GAUGE = 2,    /* add() and set()                             */
    MF_HISTOGRAM = 3 /* observe() of 0 or more, in `unit`           */
};
enum { MF_LABELS_MAX = 4 };

/* A series of this instance.  0: refused, and may be used: nothing happens. */
typedef uint64_t mf_metric;

typedef struct mf_label {
    mf_bytes name;  /* [a-z][a-z0-9_]*, at most 32 bytes, neither "plugin" nor "le" */
    mf_bytes value; /* UTF-8, cut at 64 bytes */
} mf_label;

typedef struct mf_series {
    uint32_t size;
    uint32_t kind; /* MF_COUNTER ... MF_HISTOGRAM */
    /* [a-z][a-z0-9_]*, at most 64 bytes, without the unit and _total; _bucket, _sum and _count are
     * no end for it, nor is _total but for a counter. */
    mf_bytes name;
    mf_bytes help; /* one line for people, cut at 200 bytes; the first one holds */
    mf_bytes unit; /* "seconds", "bytes" or empty */
    const mf_label *labels;
    size_t label_count; /* at most MF_LABELS_MAX, in any order */
} mf_series;

typedef struct mf_metrics {
    uint32_t size;
    uint32_t flags; /* 0 */
    /* The series, made at the first asking; the same for the same name and labels.  0: a name or
     * label that is none, another kind or unit under this name, or too many: metrics.series of the
     * host config is for all plugins together, and no plugin may have more of them than it leaves
     * free.  The log says so once, and what was refused is counted.  [any] */
    mf_metric (*series)(const mf_host *host, const mf_series *series);
    void (*add)(const mf_host *host, mf_metric metric, double amount);
    void (*set)(const mf_host *host, mf_metric metric, double value);
    void (*observe)(const mf_host *host, mf_metric metric, double value);
} mf_metrics;

#ifdef __cplusplus
}
#endif
#endif
