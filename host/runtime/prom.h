/* host/runtime/prom.h - writing Prometheus text, exposition format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).  An overflow shows in buf.failed.
 */
#ifndef MANIFOLD_RUNTIME_PROM_H
#define MANIFOLD_RUNTIME_PROM_H

#include "services/metrics/series.h"

struct buf;

enum { PROM_LABELS = 64 * 1024 };

/* # HELP and # TYPE of a family; `type`: "counter", "gauge", "histogram". */
void prom_head(struct buf *b, const char *name, const char *type, const char *help);
/* Adds name="value" to the labels of a sample. */
void prom_label(struct buf *labels, const char *name, struct str value);
/* `suffix`: "", "_sum", ... */
void prom_sample(struct buf *b, const char *name, const char *suffix, struct str labels,
                 double value);
/* All samples of one histogram. */
void prom_buckets(struct buf *b, const char *name, struct str labels, const struct series_value *v);
/* A family of one sample without labels. */
void prom_one(struct buf *b, const char *name, const char *type, const char *help, double value);

#endif
