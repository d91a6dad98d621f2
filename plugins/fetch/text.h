/* text.h - a growing piece of text with a maximum.
 *
 * After a failure (no memory, over the maximum) everything is a no-op and `failed` is set, so that
 * one look at the end suffices. */
#ifndef FETCH_TEXT_H
#define FETCH_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    char *p; /* owned; NULL while empty; not NUL-terminated */
    size_t n, cap, max;
    bool failed;
};

void text_add(struct text *t, const char *p, size_t n);
void text_free(struct text *t);
/* Takes `by`'s content over, which is empty afterwards. */
void text_take(struct text *t, struct text *by);
/* Puts bytes in front. */
void text_lead(struct text *t, const char *p, size_t n);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Without these characters at the ends. */
void text_strip(struct text *t, const char *characters);

static inline void text_str(struct text *t, const char *z)
{
    text_add(t, z, strlen(z));
}

/* How many of these characters stand at the beginning, or the end. */
size_t text_leading(const char *p, size_t n, const char *characters);
size_t text_trailing(const char *p, size_t n, const char *characters);

#define BLANKS " \t\r\n\f"

#endif
