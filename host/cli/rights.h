/* host/cli/rights.h - what a plugin asks for and what it gets, as lines below its line. */
#ifndef MANIFOLD_CLI_RIGHTS_H
#define MANIFOLD_CLI_RIGHTS_H

#include "base/buf.h"
#include "config/manifest.h"

/* Nothing when the manifest asks for nothing. */
void rights_print(struct buf *b, const struct manifest *m);

#endif
