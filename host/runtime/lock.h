/* host/runtime/lock.h - manifold.lock: what was approved of every plugin.
 *
 * Of each instance, by its name: the SHA-256 of its library, and of each text that a client or its
 * model gets to see (id, title, instructions, prefix; of tools, resources and prompts the name,
 * URI, texts, schemas, annotations, arguments and messages) and of each permission asked for the
 * SHA-256 with the text itself, so that what was approved can be shown beside what is there now.
 * What the operator's own config decides (grants, limits, config) is not in it.
 *
 * The file is JSON, one line a field, plugins and fields sorted by name.  `manifold lock` and
 * `manifold approve` alone write it.  Thread: any one. */
#ifndef MANIFOLD_RUNTIME_LOCK_H
#define MANIFOLD_RUNTIME_LOCK_H

#include "config/manifest.h"
#include "config/text.h"

enum { LOCK_BYTES = 64 << 20, LOCK_HEX = 65 };

struct lock_field {
    struct str key;        /* "library", "tools/forecast/description", "permissions/http/api" */
    struct str value;      /* JSON; {NULL,0}: the library, of which only the hash is kept */
    char sha256[LOCK_HEX]; /* of the value as it stands here, or of the library */
};

struct lock_plugin {
    struct str name;
    struct lock_field *field; /* owned; sorted by key */
    uint32_t fields;
};

struct lock {
    struct lock_plugin *plugin; /* owned; sorted by name */
    uint32_t plugins;
    struct text_pool *texts; /* owned; what the strings point into */
};

/* 0, or negative errno with a sentence that names the file; -ENOENT: there is none.  A file that
 * somebody else may write is refused, and so is one in which a hash and its text do not agree. */
int lock_read(const char *path, struct lock **ret, struct err *e);
/* What is there now: reads all sources, loads no code, compares nothing.  What can't be read is
 * logged, left out and counted.  0 or -ENOMEM. */
int lock_gather(const struct settings *s, struct lock **ret, uint32_t *ret_bad, struct err *e);
/* Replaces the file by these plugins, in one step.  0, or negative errno with a sentence. */
int lock_write(const char *path, const struct lock_plugin *const *plugin, uint32_t plugins,
               struct err *e);
/* NULL is fine. */
void lock_free(struct lock *l);
/* NULL: none of that name. */
const struct lock_plugin *lock_find(const struct lock *l, struct str name);

/* Told of each field that differs; `before` or `after` is NULL where there is none. */
typedef void lock_difference_fn(void *arg, const struct lock_field *before,
                                const struct lock_field *after);
/* How many fields differ; `before`, `after` (no such plugin) and `fn` may be NULL. */
uint32_t lock_compare(const struct lock_plugin *before, const struct lock_plugin *after,
                      lock_difference_fn *fn, void *arg);

/* For lock_apply(): adds what a lock holds of one manifest.  `sha256` of its library, "": none. */
int lock_add(struct lock *l, const struct manifest *m, const char *sha256, struct err *e);

#endif
