#include "json/scan.h"

#include "base/bug.h"
#include "base/map.h"

/* Second byte of a sequence by its first: the ranges that shut out overlong
 * forms, surrogates and everything beyond U+10FFFF. */
static bool second_byte_ok(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

unsigned scan_utf8(const char *text, const char *end, unsigned *ret_bad)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t left = (size_t)(end - text);
    unsigned char c = p[0];
    unsigned want = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    *ret_bad = 1;
    if (!want)
        return 0;
    for (unsigned i = 1; i < want; i++) {
        if (i == left || (i == 1 ? !second_byte_ok(c, p[1]) : (p[i] & 0xc0) != 0x80))
            return 0;
        *ret_bad = i + 1;
    }
    return want;
}

static int hex_digit(char c)
{
    if (scan_is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hexadecimal digits; -1 with *e filled. */
static int hex4(const char *p, const char *end, struct scan_error *e)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int digit = p + i < end ? hex_digit(p[i]) : -1;
        if (digit < 0) {
            *e = (struct scan_error){p + i, "four hexadecimal digits behind \\u"};
            return -1;
        }
        v = v << 4 | digit;
    }
    return v;
}

/* An escape from its backslash: the place behind it, or NULL. */
static const char *scan_escape(const char *p, const char *end, unsigned *flags,
                               struct scan_error *e)
{
    static const bool known[256] = {
        ['"'] = true, ['\\'] = true, ['/'] = true, ['b'] = true, ['f'] = true,
        ['n'] = true, ['r'] = true,  ['t'] = true, ['u'] = true};
    if (end - p < 2 || !known[(unsigned char)p[1]]) {
        *e = (struct scan_error){p + 1, "one of \" \\ / b f n r t u behind a backslash"};
        return NULL;
    }
    if (p[1] != 'u')
        return p + 2;
    int unit = hex4(p + 2, end, e);
    if (unit < 0)
        return NULL;
    if (unit == 0)
        *flags |= JSON_NUL;
    if (unit < 0xd800 || unit > 0xdfff)
        return p + 6;
    if (unit > 0xdbff) {
        *e = (struct scan_error){p, "a high surrogate before a low one"};
        return NULL;
    }
    p += 6;
    int low = end - p >= 2 && p[0] == '\\' && p[1] == 'u' ? hex4(p + 2, end, e) : 0;
    if (low < 0)
        return NULL;
    if (low < 0xdc00 || low > 0xdfff) {
        *e = (struct scan_error){p, "a low surrogate behind a high one"};
        return NULL;
    }
    return p + 6;
}

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Text beyond ASCII comes in runs with a blank here and there, so the search for
 * the next special byte is taken up again only where the run ends.  The two
 * forms that nearly all of it is made of need no table. */
static const char *scan_multibyte(const char *p, const char *end, struct scan_error *e)
{
    while (end - p >= 4) {
        unsigned char c = (unsigned char)*p;
        if (c == ' ' && (unsigned char)p[1] >= 0x80) {
            p++;
        } else if (c >= 0xc2 && c <= 0xdf && is_continuation(p[1])) {
            p += 2;
        } else if (c > 0xe0 && c <= 0xef && c != 0xed && is_continuation(p[1]) &&
                   is_continuation(p[2])) {
            p += 3;
        } else {
            break;
        }
    }
    while (p < end && (unsigned char)*p >= 0x80) {
        unsigned bad;
        unsigned n = scan_utf8(p, end, &bad);
        if (!n) {
            *e = (struct scan_error){p, "UTF-8"};
            return NULL;
        }
        p += n;
    }
    return p;
}

const char *scan_string_rest(const char *p, const char *end, unsigned *flags, struct scan_error *e)
{
    for (;;) {
        p = scan_plain(p, end);
        if (p == end) {
            *e = (struct scan_error){p, "'\"' at the end of a string"};
            return NULL;
        }
        if (*p == '"')
            return p + 1;
        if (*p == '\\') {
            *flags |= JSON_ESCAPED;
            p = scan_escape(p, end, flags, e);
        } else if ((unsigned char)*p >= 0x80) {
            p = scan_multibyte(p, end, e);
        } else {
            *e = (struct scan_error){p, "an escape for a control character"};
            return NULL;
        }
        if (!p)
            return NULL;
    }
}

static const char *scan_digits(const char *p, const char *end, struct scan_error *e)
{
    if (p == end || !scan_is_digit(*p)) {
        *e = (struct scan_error){p, "a digit"};
        return NULL;
    }
    while (p < end && scan_is_digit(*p))
        p++;
    return p;
}

const char *scan_number(const char *p, const char *end, unsigned *flags, struct scan_error *e)
{
    if (*p == '-')
        p++;
    if (p < end && *p == '0') {
        p++;
        if (p < end && scan_is_digit(*p)) {
            *e = (struct scan_error){p, "no digit behind a leading 0"};
            return NULL;
        }
    } else {
        p = scan_digits(p, end, e);
        if (!p)
            return NULL;
    }
    *flags |= JSON_INTEGER;
    if (p < end && *p == '.') {
        *flags &= ~(unsigned)JSON_INTEGER;
        p = scan_digits(p + 1, end, e);
        if (!p)
            return NULL;
    }
    if (p < end && (*p | 0x20) == 'e') {
        *flags &= ~(unsigned)JSON_INTEGER;
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = scan_digits(p, end, e);
    }
    return p;
}

static unsigned put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

bool scan_piece(struct scan_pieces *it, struct str *ret)
{
    if (it->p == it->end)
        return false;
    if (*it->p != '\\') {
        const char *stop = memchr(it->p, '\\', (size_t)(it->end - it->p));
        if (!stop)
            stop = it->end;
        *ret = (struct str){it->p, (size_t)(stop - it->p)};
        it->p = stop;
        return true;
    }
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    unsigned n = 1;
    if (it->p[1] == 'u') {
        struct scan_error ignored;
        unsigned c = (unsigned)hex4(it->p + 2, it->end, &ignored);
        it->p += 6;
        if (c >= 0xd800 && c <= 0xdbff) {
            unsigned low = (unsigned)hex4(it->p + 2, it->end, &ignored);
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            it->p += 6;
        }
        n = put_utf8(it->escape, c);
    } else {
        it->escape[0] = to[strchr(from, it->p[1]) - from];
        it->p += 2;
    }
    *ret = (struct str){it->escape, n};
    return true;
}

bool scan_equal(struct str a, unsigned a_flags, struct str b, unsigned b_flags)
{
    if (!((a_flags | b_flags) & JSON_ESCAPED))
        return str_eq(a, b);
    /* An unescaped side is one piece, even where a caller's string holds a backslash. */
    struct scan_pieces x = {a.p, a.p + a.n, {0}}, y = {b.p, b.p + b.n, {0}};
    struct str s = STR_NONE, t = STR_NONE;
    if (!(a_flags & JSON_ESCAPED)) {
        s = a;
        x.p = x.end;
    }
    if (!(b_flags & JSON_ESCAPED)) {
        t = b;
        y.p = y.end;
    }
    for (;;) {
        bool more_s = s.n || scan_piece(&x, &s), more_t = t.n || scan_piece(&y, &t);
        if (!more_s || !more_t)
            return more_s == more_t;
        size_t n = s.n < t.n ? s.n : t.n;
        if (memcmp(s.p, t.p, n))
            return false;
        s = (struct str){s.p + n, s.n - n};
        t = (struct str){t.p + n, t.n - n};
    }
}

/* Hashes blocks of this size and chains them, so that an escaped string needs
 * no copy of itself as a whole. */
enum { HASH_BLOCK = 256 };

static uint64_t hash_chain(uint64_t h, const char *p, size_t n)
{
    return (h << 23 | h >> 41) * 0x9e3779b97f4a7c15u ^ str_hash((struct str){p, n});
}

uint64_t scan_hash(struct str s, unsigned flags)
{
    uint64_t h = 0;
    if (!(flags & JSON_ESCAPED)) {
        for (; s.n > HASH_BLOCK; s = (struct str){s.p + HASH_BLOCK, s.n - HASH_BLOCK})
            h = hash_chain(h, s.p, HASH_BLOCK);
        return hash_chain(h, s.p, s.n);
    }
    char block[HASH_BLOCK];
    size_t len = 0;
    struct scan_pieces it = {s.p, s.p + s.n, {0}};
    for (struct str piece; scan_piece(&it, &piece);) {
        while (piece.n) {
            if (len == HASH_BLOCK) {
                h = hash_chain(h, block, len);
                len = 0;
            }
            size_t n = piece.n < HASH_BLOCK - len ? piece.n : HASH_BLOCK - len;
            memcpy(block + len, piece.p, n);
            len += n;
            piece = (struct str){piece.p + n, piece.n - n};
        }
    }
    return hash_chain(h, block, len);
}

/* The slot of the key, or the free one where it belongs. */
static uint32_t *index_slot(const struct json_doc *d, json_ref object, const uint32_t *slot,
                            const struct json_doc *kd, json_ref key)
{
    uint64_t slots = SCAN_INDEX_SLOTS((uint64_t)d->node[object].count);
    struct str s = json_inner(kd, key);
    unsigned flags = kd->node[key].flags;
    uint64_t at = (uint64_t)((unsigned __int128)scan_hash(s, flags) * slots >> 64);
    while (slot[at] && !scan_equal(json_inner(d, slot[at]), d->node[slot[at]].flags, s, flags))
        at = at + 1 == slots ? 0 : at + 1;
    return (uint32_t *)(uintptr_t)&slot[at];
}

json_ref scan_index_build(const struct json_doc *d, json_ref object, uint32_t *slot)
{
    memset(slot, 0, SCAN_INDEX_SLOTS((size_t)d->node[object].count) * sizeof(*slot));
    json_ref twice = 0;
    json_each_member (d, object, key) {
        uint32_t *at = index_slot(d, object, slot, d, key);
        if (!*at)
            *at = key;
        else if (!twice)
            twice = key;
    }
    return twice;
}

json_ref scan_index_find(const struct json_doc *d, json_ref object, const uint32_t *slot,
                         const struct json_doc *kd, json_ref key)
{
    return *index_slot(d, object, slot, kd, key);
}
