/* host/config/entry.h - tools, resources, templates and prompts of a manifest; private to config/.
 */
#ifndef MANIFOLD_CONFIG_ENTRY_H
#define MANIFOLD_CONFIG_ENTRY_H

#include "config/manifest.h"
#include "config/resolve.h"

/* Fills m->entry once name, instance and prefix stand.  0, or negative errno and sentence. */
int entries_read(struct manifest *m, const struct settings *s, struct err *e);
void entry_release(struct entry_spec *entry);
/* The parts of a prompt. */
int prompt_read(struct manifest *m, struct entry_spec *entry, struct err *e);
/* One `complete`: library or a list of values. */
void completion_read(const struct manifest *m, struct str argument, json_ref n,
                     struct completion_spec *ret);
/* Refuses characters that a person does not see (hidden.h), in all of the manifest but config. */
int manifest_texts(const struct manifest *m, struct err *e);
/* Adds a sentence to m->warning with the place of node n of d; the last one may stand for several.
 */
void manifest_warn(struct manifest *m, const struct document *d, json_ref n, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
