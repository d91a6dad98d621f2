/* mock_memory.c - memory of the mock; when there is none, it gives up. */
#include "mock_internal.h"

#include <stdlib.h>
#include <string.h>

void *mock_checked(void *p)
{
    if (p == NULL)
        abort();
    return p;
}

void mock_buf_append(struct mock_buf *b, mf_bytes bytes)
{
    if (b->len + bytes.len + 1 > b->cap) {
        b->cap = (b->len + bytes.len + 1) * 2;
        b->data = mock_checked(realloc(b->data, b->cap));
    }
    if (bytes.len > 0)
        memcpy(b->data + b->len, bytes.data, bytes.len);
    b->len += bytes.len;
    b->data[b->len] = 0;
}

mf_bytes mock_buf_bytes(const struct mock_buf *b)
{
    return (mf_bytes){b->data ? b->data : "", b->len};
}

void *mock_grow(void *array, size_t count, size_t element)
{
    if ((count & (count - 1)) != 0)
        return array;
    return mock_checked(realloc(array, (count ? count * 2 : 1) * element));
}

char *mock_copy(mf_bytes bytes)
{
    char *copy = mock_checked(malloc(bytes.len + 1));
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    copy[bytes.len] = 0;
    return copy;
}

mf_bytes mock_lend_bytes(mf_bytes bytes)
{
    mf_bytes b = {NULL, bytes.len};
    if (b.len > 0)
        b.data = memcpy(mock_checked(malloc(b.len)), bytes.data, b.len);
    return b;
}

mf_bytes mock_lend(const char *text)
{
    return mock_lend_bytes((mf_bytes){text, text ? strlen(text) : 0});
}

void mock_take_back(mf_bytes b)
{
    char *p = (char *)(uintptr_t)b.data;
    if (p != NULL)
        memset(p, 0xDD, b.len);
    free(p);
}
