#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A cut in the middle of a UTF-8 sequence would make the sentence unfit for JSON. */
static void trim_partial_utf8(char *s, size_t n)
{
    size_t i = n;
    while (i > 0 && n - i < 3 && ((unsigned char)s[i - 1] & 0xC0) == 0x80)
        i--;
    if (i == 0)
        return;
    unsigned char lead = (unsigned char)s[i - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (want > 1 && n - (i - 1) < want)
        s[i - 1] = 0;
}

static void put(struct err *e, const char *text, int n)
{
    if (n < 0)
        return;
    size_t len = (size_t)n < sizeof(e->text) ? (size_t)n : sizeof(e->text) - 1;
    memcpy(e->text, text, len);
    e->text[len] = 0;
    trim_partial_utf8(e->text, len);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
    if (!e)
        return code;
    char text[sizeof(e->text)];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    put(e, text, n);
    return code;
}

void err_prefix(struct err *e, const char *fmt, ...)
{
    if (!e)
        return;
    char text[2 * sizeof(e->text)];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(e->text), fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    size_t at = (size_t)n < sizeof(e->text) ? (size_t)n : sizeof(e->text) - 1;
    int m = snprintf(text + at, sizeof(text) - at, ": %s", e->text);
    put(e, text, (int)at + m);
}

static const char no_memory[] = "out of memory, even for the sentence that says what was wrong";

const char *err_keep(const char *text)
{
    char *copy = str_dup(str_of(text));
    return copy ? copy : no_memory;
}

void err_drop(const char *kept)
{
    if (kept != no_memory)
        free((char *)(uintptr_t)kept);
}
