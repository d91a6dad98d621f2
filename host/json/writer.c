#include "json/writer.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "json/scan.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

static int write_escape(struct buf *b, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char letter[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    char out[6] = {'\\', (char)c};
    size_t n = 2;
    if (c < 0x20 && letter[c]) {
        out[1] = letter[c];
    } else if (c < 0x20) {
        memcpy(out + 1, "u00", 3);
        out[4] = hex[c >> 4];
        out[5] = hex[c & 15];
        n = 6;
    }
    return buf_append(b, out, n);
}

/* The place behind well-formed text beyond ASCII; p itself where it is not. */
static const char *pass_multibyte(const char *p, const char *end, unsigned *ret_bad)
{
    while (p < end && (unsigned char)*p >= 0x80) {
        unsigned n = scan_utf8(p, end, ret_bad);
        if (!n)
            return p;
        p += n;
    }
    *ret_bad = 0;
    return p;
}

int json_write_escaped(struct buf *b, struct str s, bool lossy)
{
    size_t before = b->len;
    const char *p = s.p, *end = s.p + s.n, *clean = p;
    int r = 0;
    while (p < end && !r) {
        unsigned bad = 0;
        p = scan_plain(p, end);
        if (p < end && (unsigned char)*p >= 0x80) {
            p = pass_multibyte(p, end, &bad);
            if (!bad)
                continue;
            if (!lossy) {
                r = -EILSEQ;
                break;
            }
        }
        /* What was clean goes out in one piece before what needs a change. */
        r = buf_append(b, clean, (size_t)(p - clean));
        if (bad && !r)
            r = buf_lit(b, REPLACEMENT);
        else if (p < end && !r)
            r = write_escape(b, (unsigned char)*p);
        p += bad ? bad : p < end;
        clean = p;
    }
    if (!r)
        r = buf_append(b, clean, (size_t)(p - clean));
    if (r)
        b->len = before;
    return r;
}

int json_write_string(struct buf *b, struct str s)
{
    size_t before = b->len;
    int r = buf_byte(b, '"');
    if (!r)
        r = json_write_escaped(b, s, true);
    if (!r)
        r = buf_byte(b, '"');
    if (r)
        b->len = before;
    return r;
}

bool utf8_valid(struct str s)
{
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        unsigned bad;
        uint64_t w;
        if (end - p >= 8 && (memcpy(&w, p, 8), !(w & 0x8080808080808080u))) {
            p += 8;
        } else if ((unsigned char)*p < 0x80) {
            p++;
        } else {
            p = pass_multibyte(p, end, &bad);
            if (bad)
                return false;
        }
    }
    return true;
}

int json_write_strings(struct buf *b, const char *key, const char *const *item, uint32_t n)
{
    buf_printf(b, ",\"%s\":[", key);
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_byte(b, ',');
        json_write_string(b, str_of(item[i]));
    }
    return buf_byte(b, ']');
}

int json_write_int(struct buf *b, int64_t v)
{
    char text[20], *p = text + sizeof(text);
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (v < 0)
        *--p = '-';
    return buf_append(b, p, (size_t)(text + sizeof(text) - p));
}

/* What printf writes, made shorter and free of the locale: 1,5e+07 is 1.5e7. */
static size_t tidy_double(char *text)
{
    char *to = text;
    for (const char *p = text; *p; p++) {
        if (*p == 'e') {
            *to++ = *p++;
            if (*p == '-')
                *to++ = '-';
            p++;
            while (*p == '0' && p[1])
                p++;
            *to++ = *p;
        } else {
            *to++ = (*p >= '0' && *p <= '9') || *p == '-' ? *p : '.';
        }
    }
    return (size_t)(to - text);
}

int json_write_double(struct buf *b, double v)
{
    if (!isfinite(v))
        return buf_lit(b, "null");
    if (v == rint(v) && fabs(v) <= 9007199254740992.0 && !(v == 0 && signbit(v)))
        return json_write_int(b, (int64_t)v);
    /* 15 digits survive the way from text to double and back, 17 the other
     * way.  Doubles near zero have fewer to begin with. */
    char text[40];
    for (int digits = fpclassify(v) == FP_SUBNORMAL ? 1 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    return buf_append(b, text, tidy_double(text));
}

int base64_append(struct buf *b, struct str raw)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = raw.n / 3 * 4 + (raw.n % 3 ? 4 : 0);
    int r = buf_reserve(b, n);
    if (r)
        return r;
    const unsigned char *p = (const unsigned char *)raw.p;
    char *to = b->data + b->len;
    for (size_t left = raw.n / 3; left; left--, p += 3, to += 4) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        to[0] = digit[v >> 18];
        to[1] = digit[v >> 12 & 63];
        to[2] = digit[v >> 6 & 63];
        to[3] = digit[v & 63];
    }
    if (raw.n % 3) {
        uint32_t v = (uint32_t)p[0] << 16 | (raw.n % 3 == 2 ? (uint32_t)p[1] << 8 : 0);
        to[0] = digit[v >> 18];
        to[1] = digit[v >> 12 & 63];
        to[2] = raw.n % 3 == 2 ? digit[v >> 6 & 63] : '=';
        to[3] = '=';
    }
    b->len += n;
    return 0;
}

/* Behind the closing quote of a string that is known to be well formed. */
static const char *pass_string(const char *p, const char *end)
{
    for (p = scan_plain(p, end); p < end && *p != '"'; p = scan_plain(p, end))
        p += *p == '\\' && end - p > 1 ? 2 : 1;
    return p < end ? p + 1 : end;
}

int json_write_compact(struct buf *b, struct str json)
{
    if (!json.n || (!memchr(json.p, '\n', json.n) && !memchr(json.p, '\r', json.n)))
        return buf_str(b, json);
    int r = buf_reserve(b, json.n);
    if (r)
        return r;
    const char *p = json.p, *end = json.p + json.n;
    while (p < end) {
        const char *from = p = scan_blanks(p, end);
        while (p < end && !scan_is_blank(*p))
            p = *p == '"' ? pass_string(p + 1, end) : p + 1;
        memcpy(b->data + b->len, from, (size_t)(p - from));
        b->len += (size_t)(p - from);
    }
    return 0;
}
