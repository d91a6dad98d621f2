/* host/config/instance.h - what host config and command line make of a manifest; private to
 * config/. */
#ifndef MANIFOLD_CONFIG_INSTANCE_H
#define MANIFOLD_CONFIG_INSTANCE_H

#include "config/manifest.h"
#include "config/resolve.h"

/* The manifest's root, then plugins.NAME of the config file and of --set where they exist. */
struct instance_layers {
    struct layer layer[3];
    bool host[3]; /* of the config file or --set */
    unsigned count;
};

void instance_layers_set(struct instance_layers *l, const struct manifest *m,
                         const struct settings *s);
/* The last host layer that has the key: its document, and *ret the value; NULL: none has. */
const struct document *instance_find(const struct instance_layers *l, const char *key,
                                     json_ref *ret);
/* trusted, enabled, prefix, m->instance and its warnings. */
int instance_resolve(struct manifest *m, const struct settings *s, const struct source *source,
                     const struct instance_layers *l, struct err *e);
/* m->grants, once m->trusted stands. */
int instance_grants(struct manifest *m, const struct settings *s, struct err *e);
/* m->config: merged, expanded, checked against config_schema. */
int instance_config(struct manifest *m, const struct settings *s, const struct instance_layers *l,
                    struct err *e);

#endif
