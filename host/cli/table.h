/* host/cli/table.h - columns for a terminal, and text from manifests made fit for one. */
#ifndef MANIFOLD_CLI_TABLE_H
#define MANIFOLD_CLI_TABLE_H

#include "base/buf.h"

/* Appends s with control characters as "?" and pads with blanks to `width` bytes; 0: no padding. */
void table_cell(struct buf *b, struct str s, size_t width);
/* The value of a raw JSON string; empty for anything else.  The result lives in `scratch`. */
struct str table_json_text(struct str raw, struct buf *scratch);

#endif
