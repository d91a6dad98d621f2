/* host/config/builtin.h - the JSON Schemas of manifests/, built into the program.
 *
 * They are compiled at their first use and kept; out of memory then is an error of that use.
 * Any thread. */
#ifndef MANIFOLD_CONFIG_BUILTIN_H
#define MANIFOLD_CONFIG_BUILTIN_H

#include "config/document.h"
#include "json/schema.h"

enum builtin { BUILTIN_MANIFEST, BUILTIN_HOST };

/* The schema as it stands in manifests/. */
struct str builtin_text(enum builtin which);
/* 0, or negative errno with "path:line:column: key.path: expected ..., found ...". */
int builtin_check(enum builtin which, const struct document *d, struct err *e);

#endif
