/* host/services/metrics/series.h - the figures that plugins keep by manifold.metrics/1.
 *
 * A group is what one instance has, whatever its generation; a family is what goes out under one
 * name, of all plugins.  Making, forgetting and walking is under one lock; counting takes none: a
 * series is found by its handle in chunks that are never given back while the set lives, and its
 * values are atomics.
 *
 * Bounded: by the limit in all, and no group may have more than it leaves free, so that a plugin
 * that makes one series for each of its users leaves room for the others.
 *
 * Any thread, unless it says otherwise. */
#ifndef MANIFOLD_SERVICES_SERIES_H
#define MANIFOLD_SERVICES_SERIES_H

#include <stdatomic.h>
#include "base/list.h"
#include "base/map.h"
#include "manifold/metrics.h"

enum { SERIES_MAX = 1000000, SERIES_BOUNDS_MAX = 28, SERIES_HELP_MAX = 200 };

struct series_set;
struct series_group;

/* The upper bounds of a histogram's buckets, as many as there are; by unit. */
struct series_bounds {
    uint32_t count;
    double bound[SERIES_BOUNDS_MAX];
};
/* Microseconds to minutes: also for what the host itself measures. */
extern const struct series_bounds series_seconds;

struct series_family {
    struct map_node node; /* key: name */
    struct list in_set;
    struct list series; /* struct series.in_family, oldest first */
    uint32_t kind;      /* MF_COUNTER ... MF_HISTOGRAM */
    char *help;         /* owned */
    char name[];        /* as it goes out: manifold_plugin_NAME_UNIT_total */
};

struct series_label {
    struct str name, value; /* into series.text */
};

struct series_histogram {
    const struct series_bounds *bounds;
    _Atomic uint64_t max; /* bits of a double, as are the sums below */
    _Atomic uint64_t bucket[SERIES_BOUNDS_MAX + 1];
};

struct series {
    _Atomic uint64_t id; /* the handle; 0: free */
    struct series_group *_Atomic group;
    _Atomic uint32_t kind;
    _Atomic uint64_t whole; /* counter: the sum of the whole numbers */
    _Atomic uint64_t bits;  /* counter: of the others; gauge: the value; histogram: the sum */
    struct series_histogram *_Atomic histogram; /* owned */
    /* Under the lock. */
    struct map_node node; /* in its group; key: of name and labels */
    struct list in_family, in_group;
    struct series_family *family;
    char *text; /* owned: the key, and what the labels point to */
    struct series_label label[MF_LABELS_MAX];
    uint32_t labels, generation, next_free;
} __attribute__((aligned(64)));

/* NULL: no memory. */
struct series_set *series_set_new(uint32_t limit);
/* When no plugin is left.  NULL is fine. */
void series_set_free(struct series_set *s);
/* Of metrics.series; what is over a lower one stays. */
void series_set_limit(struct series_set *s, uint32_t limit);

/* The group of an instance, made at the first asking, until series_forget().  NULL: no memory. */
struct series_group *series_group(struct series_set *s, const char *instance);
/* The plugin is gone, with all its generations and threads. */
void series_forget(struct series_set *s, const char *instance);

/* 0: refused, with why in *ret_why (a constant) and *ret_first: it is the first time. */
mf_metric series_ask(struct series_group *g, const mf_series *wanted, const char **ret_why,
                     bool *ret_first);
/* The series if it is one of this group and kind, else NULL.  No lock.  `kinds`: bits 1 << kind. */
struct series *series_find(const struct series_group *g, mf_metric id, unsigned kinds);
/* `amount` is a number, and not below 0 but for gauges.  No lock. */
void series_add(struct series *one, double amount);
void series_put(struct series *one, double value);
void series_observe(struct series *one, double value);

/* --- reading --- */

struct series_value {
    double value; /* counter, gauge; histogram: the sum */
    double max;   /* histogram, as are those below */
    uint64_t count;
    const struct series_bounds *bounds;
    uint64_t cumulative[SERIES_BOUNDS_MAX];
};
void series_read(const struct series *one, struct series_value *ret);
/* Where in the buckets the quantile lies, evenly spread in its bucket; 0 when empty. */
double series_quantile(const struct series_value *v, double q);

/* Holds the lock in between: nothing may be made or forgotten.  Not for long. */
const struct list *series_walk(struct series_set *s); /* of struct series_family.in_set */
void series_walk_end(struct series_set *s);
/* While walking. */
const char *series_instance(const struct series *one);

/* A walk in steps, between which things are made and forgotten: what is there all the time is seen
 * once, family by family.  Until series_next() has answered false or series_look_end(). */
struct series_cursor {
    struct list in_set;
    struct list *family; /* struct series_family.in_set, or the end */
    struct list *series; /* struct series.in_family, or the end; NULL: that family is to begin */
};
typedef void series_seen(void *arg, const struct series_family *f, const struct series *one,
                         bool first);
void series_look(struct series_set *s, struct series_cursor *c);
/* The next `count` at most, under the lock; `first`: of its family.  False: those were the last. */
bool series_next(struct series_set *s, struct series_cursor *c, unsigned count, series_seen *seen,
                 void *arg);
void series_look_end(struct series_set *s, struct series_cursor *c);

struct series_usage {
    uint32_t count, limit;
    uint64_t refused;
};
void series_usage(struct series_set *s, struct series_usage *ret);
/* Of one instance; all 0 where it has no group. */
void series_usage_of(struct series_set *s, const char *instance, struct series_usage *ret);

#endif
