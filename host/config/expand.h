/* host/config/expand.h - "${env:N}", "${file:PATH}" and "${data}", and the merging of `config`.
 *
 * A single pass: what was put in is never read again.  "$${" is a literal "${".
 * Keys are not expanded.  Who may name what is the caller's to say. */
#ifndef MANIFOLD_CONFIG_EXPAND_H
#define MANIFOLD_CONFIG_EXPAND_H

#include "config/document.h"

enum { EXPAND_FILE_BYTES = 64 * 1024, EXPAND_BYTES = 1024 * 1024 };

struct expand {
    const struct document *doc;
    const char *data;      /* parent of "${data}"; NULL: there is none here */
    struct str name;       /* below it */
    bool verbatim;         /* nothing is expanded at all */
    bool host;             /* the host config: variables and files as they are named */
    const char *directory; /* relative "${file:...}" paths are below it */
    /* Not host: may the string at node n name this variable?  0, or negative errno and sentence. */
    int (*allow_env)(void *arg, json_ref n, struct str variable, struct err *e);
    void *arg;
};

/* Appends the value of string node n, expanded.  0, or negative errno and sentence. */
int expand_string(const struct expand *x, json_ref n, struct buf *out, struct err *e);

struct merge_layer {
    struct expand expand;
    json_ref value; /* an object */
};
/* Appends one object as JSON: later layers win, objects are merged member by member, whatever else
 * is replaced.  At most 4 layers. */
int merge_objects(const struct merge_layer *layer, unsigned layers, struct buf *out, struct err *e);

#endif
