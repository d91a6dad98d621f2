/* host/cli/differences.h - what the lock says of a plugin beside what is there now, for a terminal.
 */
#ifndef MANIFOLD_CLI_DIFFERENCES_H
#define MANIFOLD_CLI_DIFFERENCES_H

#include "base/buf.h"
#include "runtime/lock.h"

/* Field by field, old and new text whole; nothing when they are the same.  One of the two may be
 * NULL: the plugin is new, or gone.  How many fields differ. */
uint32_t differences_print(struct buf *out, const struct lock_plugin *before,
                           const struct lock_plugin *after);

#endif
