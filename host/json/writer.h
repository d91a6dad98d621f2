/* host/json/writer.h - writing JSON into a struct buf.  Nothing here allocates but the buffer. */
#ifndef MANIFOLD_JSON_WRITER_H
#define MANIFOLD_JSON_WRITER_H

#include "base/buf.h"

/* The value with quotes and escapes.  The bytes must be UTF-8: what is not becomes U+FFFD. */
int json_write_string(struct buf *b, struct str s);
/* The same without the quotes, so that a string can be written in pieces.  What
 * is not UTF-8, a character that is cut at the end of the piece included, is an
 * error (-EILSEQ, nothing written), unless `lossy`: then each maximal part of it
 * becomes U+FFFD. */
int json_write_escaped(struct buf *b, struct str s, bool lossy);
/* Is s valid UTF-8? */
bool utf8_valid(struct str s);
int json_write_int(struct buf *b, int64_t v);
/* ,"key":["...",...]: a member that is not the first; the key needs no escapes. */
int json_write_strings(struct buf *b, const char *key, const char *const *item, uint32_t n);
/* Shortest text that reads back as the same double; NaN and infinities become null. */
int json_write_double(struct buf *b, double v);
/* Standard base64 with padding, RFC 4648 section 4, of a whole value. */
int base64_append(struct buf *b, struct str raw);
/* Copies a JSON text that the reader has accepted and leaves line breaks and blanks between tokens
 * out, so that the result is one line.  When there is no raw line break it is one memcpy. */
int json_write_compact(struct buf *b, struct str json);

#endif
