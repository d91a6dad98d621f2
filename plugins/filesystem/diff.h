/* diff.h - createTwoFilesPatch(name, name, old, new, "original", "modified") of jsdiff.
 *
 * Lines are compared by Myers' algorithm with the choices that jsdiff makes, so that the hunks are
 * the same.  It is bounded: texts that differ in more lines than some thousands are shown as one
 * hunk, what differs as removed and added as a whole. */
#ifndef FILESYSTEM_DIFF_H
#define FILESYSTEM_DIFF_H

#include "text.h"

/* False: no memory. */
bool diff_patch(mf_bytes name, mf_bytes old_text, mf_bytes new_text, struct text *out);

#endif
