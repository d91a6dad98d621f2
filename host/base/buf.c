#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_release(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b, size_t keep)
{
    if (b->cap > keep)
        buf_release(b);
    b->len = 0;
    b->failed = 0;
}

static int buf_fail(struct buf *b, int error)
{
    if (!b->failed)
        b->failed = error;
    return error;
}

int buf_reserve(struct buf *b, size_t n)
{
    if (n > b->max - b->len)
        return buf_fail(b, -ENOBUFS);
    if (n <= b->cap - b->len)
        return 0;
    size_t want = b->len + n;
    size_t cap = b->cap < 64 ? 64 : b->cap * 2;
    if (cap < want)
        cap = want;
    /* One byte beyond max, so that buf_cstr() always has room for its NUL. */
    if (cap > b->max)
        cap = b->max + (b->max < SIZE_MAX);
    char *data = realloc(b->data, cap);
    if (!data)
        return buf_fail(b, -ENOMEM);
    b->data = data;
    b->cap = cap;
    return 0;
}

int buf_append_slow(struct buf *b, const void *data, size_t n)
{
    if (n == 0)
        return 0;
    int r = buf_reserve(b, n);
    if (r)
        return r;
    memcpy(b->data + b->len, data, n);
    b->len += n;
    return 0;
}

int buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    char small[256];
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    int r = -EINVAL;
    if (n >= 0 && (size_t)n < sizeof(small)) {
        r = buf_append(b, small, (size_t)n);
    } else if (n >= 0) {
        char *large = malloc((size_t)n + 1);
        r = -ENOMEM;
        if (large) {
            vsnprintf(large, (size_t)n + 1, fmt, again);
            r = buf_append(b, large, (size_t)n);
            free(large);
        }
    }
    va_end(again);
    return r ? buf_fail(b, r) : 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = buf_vprintf(b, fmt, ap);
    va_end(ap);
    return r;
}

const char *buf_cstr(struct buf *b)
{
    if (b->len == b->cap) {
        char *data = realloc(b->data, b->cap + 1);
        if (!data) {
            buf_fail(b, -ENOMEM);
            return NULL;
        }
        b->data = data;
        b->cap++;
    }
    b->data[b->len] = 0;
    return b->data;
}
