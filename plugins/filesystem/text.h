/* text.h - bytes that grow up to a maximum, and what is to be known of text in JavaScript, whose
 * answers these are. */
#ifndef FILESYSTEM_TEXT_H
#define FILESYSTEM_TEXT_H

#include <manifold/plugin.h>

#include <stdbool.h>
#include <string.h>

/* Always followed by a NUL that does not count, once something was appended. */
struct text {
    char *data; /* owned; NULL while empty */
    size_t len, cap;
    size_t max;
    bool over; /* something did not fit, or there was no memory: what is there is not whole */
};

#define TEXT_INIT(maximum) \
    {                      \
        .max = (maximum)   \
    }

void text_free(struct text *t);
/* Room for n bytes behind len; false: over. */
bool text_reserve(struct text *t, size_t n);
bool text_add(struct text *t, const void *data, size_t n);
bool text_cat(struct text *t, const char *s);
bool text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As a JSON string without its quotes, as JSON.stringify() escapes it.  UTF-8. */
bool text_json(struct text *t, mf_bytes s);
/* Each ill-formed part becomes U+FFFD, as a TextDecoder does it. */
bool text_repaired(struct text *t, mf_bytes s);
bool text_base64(struct text *t, mf_bytes raw);

static inline mf_bytes text_bytes(const struct text *t)
{
    return (mf_bytes){t->data, t->len};
}
static inline mf_bytes text_from(const struct text *t, size_t from)
{
    return (mf_bytes){t->data ? t->data + from : NULL, t->len - from};
}
/* "" while empty. */
static inline const char *text_string(const struct text *t)
{
    return t->data ? t->data : "";
}
static inline mf_bytes bytes_of(const char *s)
{
    return (mf_bytes){s, strlen(s)};
}

bool utf8_is_valid(mf_bytes s);
/* Bytes of the well-formed character at p, or 0. */
size_t utf8_char(const char *p, size_t left);
/* What String.length says. */
size_t utf16_length(mf_bytes s);
/* Bytes of white space (\s, trim()) at the beginning and at the end. */
size_t space_before(mf_bytes s);
size_t space_behind(mf_bytes s);
mf_bytes trimmed(mf_bytes s);

#endif
