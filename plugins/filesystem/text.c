#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void text_free(struct text *t)
{
    free(t->data);
    *t = (struct text){.max = t->max};
}

bool text_reserve(struct text *t, size_t n)
{
    if (t->over || n > t->max - t->len) {
        t->over = true;
        return false;
    }
    if (t->cap - t->len > n)
        return true;
    size_t cap = t->cap ? t->cap * 2 : 256;
    while (cap - t->len <= n)
        cap *= 2;
    if (cap > t->max + 1)
        cap = t->max + 1;
    char *data = realloc(t->data, cap);
    if (data == NULL) {
        t->over = true;
        return false;
    }
    t->data = data;
    t->cap = cap;
    return true;
}

bool text_add(struct text *t, const void *data, size_t n)
{
    if (!text_reserve(t, n))
        return false;
    if (n > 0)
        memcpy(t->data + t->len, data, n);
    t->len += n;
    t->data[t->len] = 0;
    return true;
}

bool text_cat(struct text *t, const char *s)
{
    return text_add(t, s, strlen(s));
}

bool text_printf(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !text_reserve(t, (size_t)n))
        return false;
    va_start(ap, fmt);
    vsnprintf(t->data + t->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    t->len += (size_t)n;
    return true;
}

bool text_json(struct text *t, mf_bytes s)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    size_t begin = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        const char *which = c ? memchr(from, c, sizeof(from) - 1) : NULL;
        text_add(t, s.data + begin, i - begin);
        if (which != NULL)
            text_add(t, (const char[]){'\\', to[which - from]}, 2);
        else
            text_printf(t, "\\u%04x", c);
        begin = i + 1;
    }
    return text_add(t, s.data + begin, s.len - begin);
}

/* ---- UTF-8 ---------------------------------------------------------------- */

/* The longest beginning of a well-formed character at p; *ret_whole: it is one. */
static size_t utf8_part(const unsigned char *p, size_t left, bool *ret_whole)
{
    unsigned char low = 0x80, high = 0xBF;
    size_t need = p[0] < 0x80                   ? 1
                  : p[0] >= 0xC2 && p[0] < 0xE0 ? 2
                  : p[0] >= 0xE0 && p[0] < 0xF0 ? 3
                  : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
                                                : 0;
    size_t i = 1;
    if (p[0] == 0xE0)
        low = 0xA0;
    if (p[0] == 0xED)
        high = 0x9F;
    if (p[0] == 0xF0)
        low = 0x90;
    if (p[0] == 0xF4)
        high = 0x8F;
    for (; i < need && i < left && p[i] >= low && p[i] <= high; i++) {
        low = 0x80;
        high = 0xBF;
    }
    *ret_whole = i == need;
    return i;
}

size_t utf8_char(const char *p, size_t left)
{
    bool whole;
    size_t n = utf8_part((const unsigned char *)p, left, &whole);
    return whole ? n : 0;
}

bool utf8_is_valid(mf_bytes s)
{
    size_t n;
    for (size_t i = 0; i < s.len; i += n) {
        n = (unsigned char)s.data[i] < 0x80 ? 1 : utf8_char(s.data + i, s.len - i);
        if (n == 0)
            return false;
    }
    return true;
}

bool text_repaired(struct text *t, mf_bytes s)
{
    size_t begin = 0, i = 0;
    while (i < s.len) {
        bool whole;
        size_t n = utf8_part((const unsigned char *)s.data + i, s.len - i, &whole);
        if (!whole) {
            text_add(t, s.data + begin, i - begin);
            text_cat(t, "\xEF\xBF\xBD");
            begin = i + n;
        }
        i += n;
    }
    return text_add(t, s.data + begin, s.len - begin);
}

size_t utf16_length(mf_bytes s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.data[i] & 0xC0) != 0x80 ? 1 + ((unsigned char)s.data[i] >= 0xF0) : 0;
    return n;
}

/* ---- white space ---------------------------------------------------------- */

/* Bytes of the white space at p, or 0. */
static size_t space_at(const char *p, size_t left)
{
    static const char *const wide[] = {
        "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
        "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87",
        "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9",
        "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80", "\xEF\xBB\xBF"};
    if ((unsigned char)*p < 0x80)
        return *p == ' ' || (*p >= '\t' && *p <= '\r');
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        size_t n = strlen(wide[i]);
        if (left >= n && memcmp(p, wide[i], n) == 0)
            return n;
    }
    return 0;
}

size_t space_before(mf_bytes s)
{
    size_t i = 0;
    for (size_t n; i < s.len && (n = space_at(s.data + i, s.len - i)) > 0;)
        i += n;
    return i;
}

size_t space_behind(mf_bytes s)
{
    size_t end = s.len;
    while (end > 0) {
        size_t at = end - 1;
        while (at > 0 && end - at < 4 && ((unsigned char)s.data[at] & 0xC0) == 0x80)
            at--;
        if (space_at(s.data + at, end - at) != end - at)
            break;
        end = at;
    }
    return s.len - end;
}

mf_bytes trimmed(mf_bytes s)
{
    size_t before = space_before(s);
    s.data += before;
    s.len -= before;
    s.len -= space_behind(s);
    return s;
}

bool text_base64(struct text *t, mf_bytes raw)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)raw.data;
    if (!text_reserve(t, (raw.len + 2) / 3 * 4))
        return false;
    char *out = t->data + t->len;
    for (size_t i = 0; i < raw.len; i += 3) {
        size_t left = raw.len - i;
        uint32_t n = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? (uint32_t)p[i + 2] : 0);
        *out++ = digit[n >> 18];
        *out++ = digit[n >> 12 & 63];
        *out++ = left > 1 ? digit[n >> 6 & 63] : '=';
        *out++ = left > 2 ? digit[n & 63] : '=';
    }
    t->len = (size_t)(out - t->data);
    *out = 0;
    return true;
}
