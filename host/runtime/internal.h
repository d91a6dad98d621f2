/* host/runtime/internal.h - private to runtime/. */
#ifndef MANIFOLD_RUNTIME_INTERNAL_H
#define MANIFOLD_RUNTIME_INTERNAL_H

#include <errno.h>
#include "base/clock.h"
#include "base/list.h"
#include "runtime/host.h"

/* Of the host's own resource manifold://status. */
extern const struct entry_spec status_spec;

/* Notes what could not be served and logs it.  `plugin` is copied. */
void host_problem(struct host *h, const char *plugin, bool fatal, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Never NULL; what can't be served becomes a problem of the host. */
struct catalogue *catalogue_build(struct host *h);
void catalogue_free(struct catalogue *c);

/* Reads every manifest of every source into h->manifest and h->instance. */
void sources_read(struct host *h);

#endif
