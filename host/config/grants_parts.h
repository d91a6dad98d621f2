/* host/config/grants_parts.h - how struct grants is made; private to grants*.c. */
#ifndef MANIFOLD_CONFIG_GRANTS_PARTS_H
#define MANIFOLD_CONFIG_GRANTS_PARTS_H

#include "config/entry.h"
#include "config/expand.h"
#include "config/grants.h"
#include "config/instance.h"
#include "config/manifest.h"

/* An object `grants`, or the word asked. */
struct grant_layer {
    const struct document *doc;
    json_ref grants;
};

/* One plugin's grants on their way.  Later layers win. */
struct granting {
    struct manifest *m;
    struct grants *g;
    const struct settings *s;
    struct grant_layer *layer;
    uint32_t layers;
    bool all; /* as asked */
};

/* Where a value stands; doc NULL: nowhere. */
struct grant_value {
    const struct document *doc;
    json_ref node;
};

/* What the last layer that has it says in grants.KIND.NAME, or in its member `field`. */
struct grant_value grant_find(const struct granting *of, const struct grant_ask *ask,
                              const char *field);
/* The same member out of every layer by resolve_size() or resolve_duration(). */
typedef int grant_unit_fn(const struct document *d, json_ref object, const char *key, uint64_t min,
                          uint64_t *ret, struct err *e);
int grant_unit(const struct granting *of, const struct grant_ask *ask, const char *field,
               grant_unit_fn *read, uint64_t min, uint64_t *ret, struct err *e);
/* The member of an object; 0: none, or n is no object. */
json_ref grant_member(const struct json_doc *d, json_ref n, const char *key);
/* Keeps what `words` holds as *ret.  0 or negative errno. */
int grant_keep(struct grants *g, const struct buf *words, struct str *ret, struct err *e);

/* Makes the right that `ask`, node n of the manifest, is granted; it takes ask->granted back where
 * nothing is left of it.  0, or negative errno and sentence. */
int grant_http(struct granting *of, struct grant_ask *ask, json_ref n, struct err *e);
void http_grant_release(struct http_grant *h);
int grant_files(struct granting *of, struct grant_ask *ask, json_ref n, struct err *e);
/* What grants_check_root() guards. */
int grant_guard(struct granting *of, struct err *e);
void grant_guard_release(struct grants *g);
#define GUARDED_ROOT   "the root directory"
#define GUARDED_CONFIG "the host config"
/* Does what is guarded under this name lie in one of the paths? */
bool grant_reaches(const struct grants *g, const struct files_grant *f, const char *what);

/* Words of what is asked. */
void grant_words_http(const struct json_doc *d, json_ref n, struct buf *out);
void grant_words_files(const struct json_doc *d, json_ref n, struct buf *out);

#endif
