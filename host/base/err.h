/* host/base/err.h - the human sentence of a failure; the caller owns the struct.
 *
 * Functions return 0 or a negative errno; the sentence says what was expected,
 * what was found and where.  It is cut, never overrun. */
#ifndef MANIFOLD_BASE_ERR_H
#define MANIFOLD_BASE_ERR_H

#include "base/bug.h"
#include "base/str.h"

struct err {
    char text[1024]; /* NUL-terminated, valid UTF-8 if its parts are */
};

/* Writes the sentence and returns `code`, so that `return err_set(e, -EINVAL, ...)` reads well.
 * e may be NULL: then only the code is returned. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "where: " in front of the sentence. */
void err_prefix(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A copy of a sentence that is to be kept; where there is no memory for it, one that says so.
 * Never NULL; given back to err_drop(), which takes NULL too. */
const char *err_keep(const char *text);
void err_drop(const char *kept);

#endif
