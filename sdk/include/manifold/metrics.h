/* manifold/metrics.h - "manifold.metrics/1": a plugin's own figures beside the host's.
 *
 * They are shown in perf://metrics and by `manifold metrics`, named
 * manifold_plugin_NAME{plugin="INSTANCE",...}.  The host adds the label `plugin`; no plugin can
 * write into another's. */
#ifndef MANIFOLD_METRICS_H
#define MANIFOLD_METRICS_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_METRICS "manifold.metrics/1"

enum {
    MF_COUNTER = 1,  /* only grows: add() of what is not negative        */
    MF_GAUGE = 2,    /* add() and set()                                  */
    MF_HISTOGRAM = 3 /* observe(): what is not negative, in `unit`       */
};
enum { MF_LABELS_MAX = 4 };

typedef uint64_t
    mf_metric; /* a series of this instance; 0: refused, and may be used: nothing happens */

typedef struct mf_label {
    mf_bytes name;  /* [a-z_][a-z0-9_]*, at most 32 bytes, not "plugin" */
    mf_bytes value; /* UTF-8, cut at 64 bytes */
} mf_label;

typedef struct mf_series {
    uint32_t size;
    uint32_t kind; /* MF_COUNTER ... MF_HISTOGRAM */
    mf_bytes name; /* [a-z][a-z0-9_]*, at most 64 bytes */
    mf_bytes help; /* one line for people */
    mf_bytes unit; /* "seconds", "bytes" or empty: appended to the name as Prometheus has it */
    const mf_label *labels;
    size_t label_count; /* at most MF_LABELS_MAX */
} mf_series;

typedef struct mf_metrics {
    uint32_t size;
    uint32_t flags; /* 0 */
    /* The series, made at the first asking; the same for the same name and labels.  0: a name or
     * label that is none, another kind or unit under this name, or over metrics.series of the host
     * config (then a counter of what was refused tells).  [any] */
    mf_metric (*series)(const mf_host *host, const mf_series *series);
    void (*add)(const mf_host *host, mf_metric metric, double amount);
    void (*set)(const mf_host *host, mf_metric metric, double value);
    void (*observe)(const mf_host *host, mf_metric metric, double value);
} mf_metrics;

#ifdef __cplusplus
}
#endif
#endif
