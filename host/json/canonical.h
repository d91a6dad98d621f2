/* host/json/canonical.h - one spelling for every JSON value, so that equal values are equal bytes.
 */
#ifndef MANIFOLD_JSON_CANONICAL_H
#define MANIFOLD_JSON_CANONICAL_H

#include "json/reader.h"

/* Appends value n of a document that was read without duplicate keys.  Two values give the same
 * bytes if json_equal() holds for them, and else never do:
 *
 *   members    by their keys' bytes, no blanks anywhere
 *   strings    as json_write_string() writes them: "\u0041\/" is "A/"
 *   numbers    DIGITSeEXPONENT without zeros at either end: 1.50 is 15e-1, 100 and 1E2 are 1e2, 42
 *              and 42.0 are 42, -0 is 0; exact whatever their length
 *
 * As RFC 8785 but for the order of keys, which is that of UTF-16 there, and for numbers, which are
 * doubles there: 9007199254740993 would be the same as its neighbour.
 *
 * 0, or the error of the buffer, whose content is then undefined behind what was
 * there before.  Allocates nothing but for objects of more than 32 members that are not in order.
 */
int json_write_canonical(struct buf *b, const struct json_doc *d, json_ref n);

#endif
