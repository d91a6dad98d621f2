/* host/transport/guard.h - standard input and output out of every plugin's reach.
 *
 * MCP's stdout carries messages and nothing else (MCP 2026-07-28
 * basic/transports/stdio.mdx), but a library may print wherever it likes.  So the two descriptors
 * are moved before any plugin code is mapped: what is printed afterwards goes to descriptor 2 and,
 * once log_start() has run, into the log. Main thread, before any other exists. */
#ifndef MANIFOLD_TRANSPORT_GUARD_H
#define MANIFOLD_TRANSPORT_GUARD_H

#include "base/err.h"

struct guard {
    int in, out; /* owned; close-on-exec, 10 or higher */
};

/* Opens /dev/null in the place of each of 0, 1 and 2 that is closed, so that no file opened later
 * lands there.  The first thing any command does. */
int guard_fill(struct err *e);
/* Moves 0 and 1 to *ret; then 0 is /dev/null and 1 a copy of 2. */
int guard_move(struct guard *ret, struct err *e);

#endif
