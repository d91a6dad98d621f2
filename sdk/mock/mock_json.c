/* mock_json.c - is it JSON, is it UTF-8?  As strict as the host, in the plainest
 * way: the mock must not need the host's sources. */
#include "mock_internal.h"

#include <string.h>

struct scan {
    const unsigned char *at, *end;
};

static bool scan_value(struct scan *s, int depth);

/* The bytes of the character at p, or 0. */
static size_t utf8_len(const unsigned char *p, const unsigned char *end)
{
    static const struct {
        unsigned char first, last, low, high; /* lead byte from, to; second byte from, to */
        size_t len;
    } forms[] = {
        {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
        {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
        {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    if (*p < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        if (*p < forms[i].first || *p > forms[i].last || (size_t)(end - p) < forms[i].len)
            continue;
        if (p[1] < forms[i].low || p[1] > forms[i].high)
            return 0;
        for (size_t k = 2; k < forms[i].len; k++)
            if (p[k] < 0x80 || p[k] > 0xBF)
                return 0;
        return forms[i].len;
    }
    return 0;
}

bool mock_utf8_valid(mf_bytes text)
{
    const unsigned char *p = (const unsigned char *)text.data, *end = p + text.len;
    while (p < end) {
        size_t len = utf8_len(p, end);
        if (len == 0)
            return false;
        p += len;
    }
    return true;
}

static void scan_blank(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool scan_byte(struct scan *s, char c)
{
    if (s->at >= s->end || *s->at != (unsigned char)c)
        return false;
    s->at++;
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    while (*word != 0)
        if (!scan_byte(s, *word++))
            return false;
    return true;
}

static bool scan_digits(struct scan *s)
{
    const unsigned char *from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > from;
}

static bool scan_number(struct scan *s)
{
    scan_byte(s, '-');
    if (!scan_byte(s, '0') && !scan_digits(s))
        return false;
    if (scan_byte(s, '.') && !scan_digits(s))
        return false;
    if (scan_byte(s, 'e') || scan_byte(s, 'E')) {
        if (!scan_byte(s, '+'))
            scan_byte(s, '-');
        return scan_digits(s);
    }
    return true;
}

static bool scan_escape(struct scan *s)
{
    if (s->at >= s->end)
        return false;
    if (*s->at != 'u')
        return *s->at != 0 && strchr("\"\\/bfnrt", *s->at++) != NULL;
    s->at++;
    for (int i = 0; i < 4; i++, s->at++)
        if (s->at >= s->end || *s->at == 0 || strchr("0123456789abcdefABCDEF", *s->at) == NULL)
            return false;
    return true;
}

static bool scan_string(struct scan *s)
{
    if (!scan_byte(s, '"'))
        return false;
    while (s->at < s->end && *s->at >= 0x20) {
        size_t len;
        if (scan_byte(s, '"'))
            return true;
        if (scan_byte(s, '\\')) {
            if (!scan_escape(s))
                return false;
            continue;
        }
        len = utf8_len(s->at, s->end);
        if (len == 0)
            return false;
        s->at += len;
    }
    return false;
}

static bool scan_members(struct scan *s, char close, int depth)
{
    s->at++;
    scan_blank(s);
    if (scan_byte(s, close))
        return true;
    do {
        scan_blank(s);
        if (close == '}') {
            if (!scan_string(s))
                return false;
            scan_blank(s);
            if (!scan_byte(s, ':'))
                return false;
        }
        if (!scan_value(s, depth))
            return false;
    } while (scan_byte(s, ','));
    return scan_byte(s, close);
}

/* A value with the blanks around it. */
static bool scan_value(struct scan *s, int depth)
{
    bool ok;
    scan_blank(s);
    if (s->at >= s->end || depth > 64)
        return false;
    switch (*s->at) {
    case '{':
        ok = scan_members(s, '}', depth + 1);
        break;
    case '[':
        ok = scan_members(s, ']', depth + 1);
        break;
    case '"':
        ok = scan_string(s);
        break;
    case 't':
        ok = scan_word(s, "true");
        break;
    case 'f':
        ok = scan_word(s, "false");
        break;
    case 'n':
        ok = scan_word(s, "null");
        break;
    default:
        ok = scan_number(s);
    }
    scan_blank(s);
    return ok;
}

bool mock_json_valid(mf_bytes text)
{
    struct scan s;
    if (text.len == 0)
        return false;
    s.at = (const unsigned char *)text.data;
    s.end = s.at + text.len;
    return scan_value(&s, 0) && s.at == s.end;
}
