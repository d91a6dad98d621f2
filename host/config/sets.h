/* host/config/sets.h - --set NAME.path.to.key=VALUE and --grant as documents like the host config.
 */
#ifndef MANIFOLD_CONFIG_SETS_H
#define MANIFOLD_CONFIG_SETS_H

#include "config/document.h"

/* Checks each and merges them, later ones win, into {manifold: 1, plugins: {...}}.  An empty
 * document when count is 0.  0, or negative errno with a sentence that begins with "--set ...". */
int sets_read(const char *const *set, uint32_t count, struct document *ret, struct err *e);

/* --grant NAME.KIND.KEY (as asked), NAME.KIND.KEY.FIELD=VALUE or NAME=asked as a document of the
 * same shape. */
int sets_read_grant(const char *grant, struct document *ret, struct err *e);

#endif
