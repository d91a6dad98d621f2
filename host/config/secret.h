/* host/config/secret.h - a value that stays in the host.
 *
 * Its memory is left out of core dumps and wiped with the last count, since the
 * generation of a plugin that uses it may outlive the settings that named it.  Nothing prints it:
 * whoever asks for the value sees to that.  Thread: any. */
#ifndef MANIFOLD_CONFIG_SECRET_H
#define MANIFOLD_CONFIG_SECRET_H

#include "base/err.h"
#include "base/str.h"

struct secret;

/* A copy of `value` with a count of one.  0 or -ENOMEM. */
int secret_new(struct str value, struct secret **ret, struct err *e);
/* One more count; returns s. */
struct secret *secret_ref(struct secret *s);
/* NULL is fine. */
void secret_unref(struct secret *s);
/* Lives as long as the count. */
struct str secret_value(const struct secret *s);

#endif
