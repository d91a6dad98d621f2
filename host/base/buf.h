/* host/base/buf.h - the one growable byte buffer; it cannot be made without a maximum.
 *
 * Errors: 0 or -ENOBUFS (over the maximum) or -ENOMEM.  After an error the
 * content is as it was before the call and `failed` is set until buf_clear(),
 * so a writer may append many pieces and ask once at the end.
 * Thread: none of its own; the owner's. */
#ifndef MANIFOLD_BASE_BUF_H
#define MANIFOLD_BASE_BUF_H

#include <stdarg.h>
#include "base/bug.h"
#include "base/str.h"

struct buf {
    char *data; /* owned; NULL while cap is 0; not NUL-terminated */
    size_t len, cap;
    size_t max; /* bytes; len never exceeds it */
    int failed; /* 0 or the first error since buf_clear() */
};

#define BUF_INIT(maximum) \
    {                     \
        .max = (maximum)  \
    }

void buf_init(struct buf *b, size_t max);
/* Gives the memory back; the buffer may be used again. */
void buf_release(struct buf *b);
/* Empties, keeps the memory unless it is over `keep` bytes. */
void buf_clear(struct buf *b, size_t keep);
/* Room for n more bytes behind len. */
int buf_reserve(struct buf *b, size_t n);
/* When there is no room: grows, or fails. */
int buf_append_slow(struct buf *b, const void *data, size_t n);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap);
/* Appends a NUL that is not counted in len; NULL on error. */
const char *buf_cstr(struct buf *b);

static inline int buf_append(struct buf *b, const void *data, size_t n)
{
    if (n > b->cap - b->len || n > b->max - b->len)
        return buf_append_slow(b, data, n);
    if (n)
        memcpy(b->data + b->len, data, n);
    b->len += n;
    return 0;
}

static inline int buf_str(struct buf *b, struct str s)
{
    return buf_append(b, s.p, s.n);
}
#define buf_lit(b, lit) buf_append((b), "" lit, sizeof(lit) - 1)

static inline int buf_byte(struct buf *b, char c)
{
    /* cap may be one beyond max, for the NUL of buf_cstr(). */
    if (b->len < b->cap && b->len < b->max) {
        b->data[b->len++] = c;
        return 0;
    }
    return buf_append(b, &c, 1);
}

/* Borrowed until the buffer changes. */
static inline struct str buf_view(const struct buf *b)
{
    return (struct str){b->data, b->len};
}

#endif
