/* host/config/sets.h - --set NAME.path.to.key=VALUE as a document like the host config. */
#ifndef MANIFOLD_CONFIG_SETS_H
#define MANIFOLD_CONFIG_SETS_H

#include "config/document.h"

/* Checks each and merges them, later ones win, into {manifold: 1, plugins: {...}}.  An empty
 * document when count is 0.  0, or negative errno with a sentence that begins with "--set ...". */
int sets_read(const char *const *set, uint32_t count, struct document *ret, struct err *e);

#endif
