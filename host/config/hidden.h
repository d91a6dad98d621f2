/* host/config/hidden.h - characters that a model reads and a person does not see.
 *
 * A description with them may say one thing to its reviewer and another to the model (tool
 * poisoning; docs/internals/grants.md): control characters, overrides of the writing direction,
 * characters without width, Unicode tags, variation selectors in a row.  What scripts and emoji
 * need stays allowed: line feed and tab, and single joiners, direction marks and variation
 * selectors beside a character that is not ASCII. */
#ifndef MANIFOLD_CONFIG_HIDDEN_H
#define MANIFOLD_CONFIG_HIDDEN_H

#include "base/str.h"

/* What the first such character of a UTF-8 text is: "a zero-width character", with *ret its code
 * point and *ret_at its byte; NULL: there is none.  Any thread. */
const char *hidden_find(struct str text, uint32_t *ret, size_t *ret_at);

#endif
