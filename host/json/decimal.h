/* host/json/decimal.h - a number as its text says it, exactly.  Private to this layer. */
#ifndef MANIFOLD_JSON_DECIMAL_H
#define MANIFOLD_JSON_DECIMAL_H

#include "base/str.h"

/* 0.DIGITS times ten to the power of `point`, where DIGITS are the text's own from the first that
 * is not 0 to the last that is not 0, with perhaps a '.' among them.  Zero has none. */
struct decimal {
    const char *p, *end;
    uint32_t digits; /* without the '.' */
    int64_t point;
    bool negative;
};

/* `s`: a number that the reader has accepted.  What it gives borrows s. */
struct decimal decimal_of(struct str s);
bool decimal_equal(struct decimal x, struct decimal y);

#endif
