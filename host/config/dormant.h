/* host/config/dormant.h - keys that this build accepts and checks, and that have no effect yet. */
#ifndef MANIFOLD_CONFIG_DORMANT_H
#define MANIFOLD_CONFIG_DORMANT_H

#include "config/resolve.h"

enum { DORMANT_MAX = 32 };

/* Adds the keys that were written, each once, as constant strings such as "limits.drain" and
 * "tools.cache". */
void dormant_of_host(const struct document *d, const char *list[DORMANT_MAX], uint32_t *count);
/* Of a manifest's root or of an object plugins.NAME. */
void dormant_of_instance(const struct layer *l, const char *list[DORMANT_MAX], uint32_t *count);

#endif
