#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool has_room(struct text *t, size_t n)
{
    if (t->failed || n > t->max - t->n) {
        t->failed = true;
        return false;
    }
    if (t->n + n <= t->cap)
        return true;
    size_t cap = t->cap ? t->cap * 2 : 64;
    while (cap < t->n + n)
        cap *= 2;
    char *more = realloc(t->p, cap);
    if (!more) {
        t->failed = true;
        return false;
    }
    t->p = more;
    t->cap = cap;
    return true;
}

void text_add(struct text *t, const char *p, size_t n)
{
    if (!n || !has_room(t, n))
        return;
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

void text_free(struct text *t)
{
    free(t->p);
    *t = (struct text){.max = t->max};
}

void text_take(struct text *t, struct text *by)
{
    size_t max = t->max;
    free(t->p);
    *t = *by;
    t->max = max;
    *by = (struct text){.max = by->max};
}

void text_lead(struct text *t, const char *p, size_t n)
{
    if (!n || !has_room(t, n))
        return;
    memmove(t->p + n, t->p, t->n);
    memcpy(t->p, p, n);
    t->n += n;
}

void text_printf(struct text *t, const char *fmt, ...)
{
    char small[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(small)) {
        text_add(t, small, (size_t)n);
        return;
    }
    if (n < 0 || !has_room(t, (size_t)n + 1)) {
        t->failed = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(t->p + t->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->n += (size_t)n;
}

size_t text_leading(const char *p, size_t n, const char *characters)
{
    size_t i = 0;
    while (i < n && p[i] && strchr(characters, p[i]))
        i++;
    return i;
}

size_t text_trailing(const char *p, size_t n, const char *characters)
{
    size_t i = n;
    while (i > 0 && p[i - 1] && strchr(characters, p[i - 1]))
        i--;
    return n - i;
}

void text_strip(struct text *t, const char *characters)
{
    t->n -= text_trailing(t->p, t->n, characters);
    size_t lead = text_leading(t->p, t->n, characters);
    if (lead)
        memmove(t->p, t->p + lead, t->n - lead);
    t->n -= lead;
}
