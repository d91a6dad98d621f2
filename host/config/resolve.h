/* host/config/resolve.h - isolation, load, reload, limits, breaker and worker out of their layers.
 *
 * A layer is an object of a document that the schemas have accepted.  Layers are
 * applied one over the other, later wins; then limits are cut to ceilings. */
#ifndef MANIFOLD_CONFIG_RESOLVE_H
#define MANIFOLD_CONFIG_RESOLVE_H

#include "config/settings.h"

struct layer {
    const struct document *doc;
    json_ref object; /* 0 is the root */
};

/* Told about each value that was cut: `key` like "limits.timeout", both values as text. */
typedef void cut_fn(void *arg, const char *key, const char *was, const char *is);

extern const struct instance_spec instance_builtin;
extern const struct limits limits_ceiling_builtin;
extern const struct worker_spec worker_ceiling_builtin;

/* 0, or negative errno with the sentence; on error *spec is partly set. */
int instance_apply(struct instance_spec *spec, const struct layer *l, struct err *e);
/* The object `limits` of a plugin, a tool or the ceilings. */
int limits_apply(struct limits *limits, const struct document *d, json_ref object, struct err *e);
int worker_apply(struct worker_spec *worker, const struct document *d, json_ref object,
                 struct err *e);
/* The member `key` of an object, at least `min`; *ret is left as it is when there is none. */
int resolve_duration(const struct document *d, json_ref object, const char *key, uint64_t min,
                     uint64_t *ret, struct err *e);
int resolve_size(const struct document *d, json_ref object, const char *key, uint64_t min,
                 uint64_t *ret, struct err *e);
/* Cuts to the host's ceilings, in which zero means none. */
void instance_cut(struct instance_spec *spec, const struct limits *limits,
                  const struct worker_spec *worker, cut_fn *fn, void *arg);
/* Cuts a tool's limits to its plugin's. */
void limits_cut_tool(struct limits *tool, const struct limits *plugin, cut_fn *fn, void *arg);

#endif
