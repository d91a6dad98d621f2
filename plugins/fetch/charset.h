/* charset.h - a page's bytes as UTF-8. */
#ifndef FETCH_CHARSET_H
#define FETCH_CHARSET_H

#include "text.h"

/* `type`: the Content-Type, or empty.  What is no character becomes U+FFFD; NULs, too. */
void charset_decode(const char *body, size_t len, const char *type, size_t type_len,
                    struct text *out);
/* The same of what should be UTF-8 already; a mark in front of it goes. */
void charset_utf8(const char *body, size_t len, struct text *out);
/* Characters (code points) of UTF-8. */
size_t charset_count(const char *p, size_t n);
/* The byte at which character number `index` begins; n: there are not so many. */
size_t charset_offset(const char *p, size_t n, size_t index);

#endif
