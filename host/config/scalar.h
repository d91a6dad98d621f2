/* host/config/scalar.h - what a plain YAML scalar is.
 *
 * YAML 1.2 core, narrowed to what cannot be misread: numbers in JSON's spelling
 * alone, and whatever YAML 1.1 or 1.2 would take for a number in another
 * spelling is neither number nor string here, but something to be quoted.
 * (Sources: YAML 1.2.2 chapter 10.3; yaml.org/type/int.html, float.html.) */
#ifndef MANIFOLD_CONFIG_SCALAR_H
#define MANIFOLD_CONFIG_SCALAR_H

#include "base/str.h"

enum scalar_kind {
    SCALAR_STRING,
    SCALAR_NULL,      /* null, ~ and nothing */
    SCALAR_BOOLEAN,   /* true, false */
    SCALAR_NUMBER,    /* RFC 8259 section 6 */
    SCALAR_AMBIGUOUS, /* 0755 0o17 0x1F 0b1 12:30 1_000 .5 5. +1 .inf .nan */
};

enum scalar_kind scalar_kind(struct str plain);

#endif
