/* json_check.h - is this JSON that the host will take as part of a result? */
#ifndef FETCH_JSON_CHECK_H
#define FETCH_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/* `text` is UTF-8.  RFC 8259, at most 32 deep, 64 members an object, and *nodes values and keys,
 * which is lessened by what was used.  Said of what is rare (surrogate pairs, escapes in keys,
 * numbers of more than 18 digits): no; such a page is given as text.  So is one with a key twice.
 */
bool json_check(const char *text, size_t len, size_t *nodes);

#endif
