/* bench/walk.c - the walker of walk.h: recursive, with a bound on the depth. */
#include "walk.h"

#include <stdint.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

static const char *blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* Each returns the first byte after what it walked over, or NULL. */
static const char *walk_string(const char *p, const char *end)
{
    if (p >= end || *p != '"')
        return NULL;
    for (p++; p < end && *p != '"'; p++) {
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p == '\\')
            p++;
    }
    return p < end ? p + 1 : NULL;
}

static const char *walk_scalar(const char *p, const char *end)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        size_t len = strlen(words[i]);
        if ((size_t)(end - p) >= len && memcmp(p, words[i], len) == 0)
            return p + len;
    }
    const char *from = p;
    while (p < end && *p && strchr("+-.0123456789eE", *p))
        p++;
    return p > from ? p : NULL;
}

static const char *walk_value(const char *p, const char *end, int depth);

static const char *walk_container(const char *p, const char *end, int depth)
{
    bool object = *p == '{';
    char close = object ? '}' : ']';
    p = blanks(p + 1, end);
    if (p < end && *p == close)
        return p + 1;
    while (p && p < end) {
        if (object) {
            p = walk_string(p, end);
            p = p ? blanks(p, end) : NULL;
            if (!p || p >= end || *p != ':')
                return NULL;
            p = blanks(p + 1, end);
        }
        p = walk_value(p, end, depth + 1);
        p = p ? blanks(p, end) : NULL;
        if (p && p < end && *p == close)
            return p + 1;
        if (!p || p >= end || *p != ',')
            return NULL;
        p = blanks(p + 1, end);
    }
    return NULL;
}

static const char *walk_value(const char *p, const char *end, int depth)
{
    if (p >= end || depth > DEPTH_MAX)
        return NULL;
    if (*p == '{' || *p == '[')
        return walk_container(p, end, depth);
    return *p == '"' ? walk_string(p, end) : walk_scalar(p, end);
}

bool json_whole(struct slice text)
{
    const char *end = text.p + text.len;
    const char *p = walk_value(blanks(text.p, end), end, 0);
    return p && blanks(p, end) == end;
}

bool json_member(struct slice text, const char *key, struct slice *ret_value)
{
    const char *end = text.p + text.len, *p = blanks(text.p, end);
    if (p >= end || *p != '{')
        return false;
    do {
        struct slice name = {blanks(p + 1, end), 0};
        p = walk_string(name.p, end);
        if (!p)
            return false;
        name.len = (size_t)(p - name.p);
        p = blanks(p, end); /* the colon */
        const char *value = p < end ? blanks(p + 1, end) : end;
        p = walk_value(value, end, 0);
        if (!p)
            return false;
        if (name.len == strlen(key) + 2 && memcmp(name.p + 1, key, name.len - 2) == 0) {
            *ret_value = (struct slice){value, (size_t)(p - value)};
            return true;
        }
        p = blanks(p, end);
    } while (p < end && *p == ',');
    return false;
}

bool json_first(struct slice text, struct slice *ret_value)
{
    const char *end = text.p + text.len, *p = blanks(text.p, end);
    if (p >= end || *p != '[')
        return false;
    const char *value = blanks(p + 1, end);
    p = walk_value(value, end, 0);
    if (!p)
        return false;
    *ret_value = (struct slice){value, (size_t)(p - value)};
    return true;
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        const char *digits = "0123456789abcdef", *d = p[i] ? strchr(digits, p[i] | 0x20) : NULL;
        if (!d)
            return -1;
        v = v * 16 + (int)(d - digits);
    }
    return v;
}

static size_t utf8_write(uint32_t c, char *to)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)((0xf00 >> n) | c);
    return n;
}

/* The escape after a backslash at p: its meaning into to[4], its length in
 * *ret_from; 0 when it is none. */
static size_t escape_read(const char *p, const char *end, char *to, size_t *ret_from)
{
    static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *at = p < end && *p ? strchr(names, *p) : NULL;
    *ret_from = 1;
    if (at) {
        to[0] = bytes[at - names];
        return 1;
    }
    int high = end - p >= 5 && *p == 'u' ? hex4(p + 1) : -1;
    if (high < 0)
        return 0;
    *ret_from = 5;
    uint32_t c = (uint32_t)high;
    if (c >= 0xd800 && c < 0xdc00) {
        int low = end - p >= 11 && p[5] == '\\' && p[6] == 'u' ? hex4(p + 7) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return 0;
        *ret_from = 11;
        c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    }
    return utf8_write(c, to);
}

bool json_string_is(struct slice text, struct slice meaning)
{
    if (text.len < 2 || *text.p != '"' || text.p[text.len - 1] != '"')
        return false;
    const char *p = text.p + 1, *end = text.p + text.len - 1;
    const char *m = meaning.p, *m_end = meaning.p + meaning.len;
    while (p < end) {
        char piece[4] = {*p};
        size_t len = 1, from = 1;
        if (*p == '\\') {
            len = escape_read(p + 1, end, piece, &from);
            from++;
        }
        if (len == 0 || (size_t)(m_end - m) < len || memcmp(piece, m, len) != 0)
            return false;
        p += from;
        m += len;
    }
    return p == end && m == m_end;
}

bool slice_is(struct slice s, const char *literal)
{
    return s.len == strlen(literal) && memcmp(s.p, literal, s.len) == 0;
}
