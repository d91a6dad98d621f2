/* host/json/scan.h - what reader, writer and idscan share: looking at the bytes of a string.
 * Private to this layer.  Nothing here allocates or keeps state. */
#ifndef MANIFOLD_JSON_SCAN_H
#define MANIFOLD_JSON_SCAN_H

#include "base/str.h"
#include "json/reader.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Eight bytes at once: a byte's high bit is set where it is '"', '\\', a
 * control character or not ASCII.  Borrows may set bits above the first hit,
 * never below it, and only the first one is used. */
static inline uint64_t scan_special8(uint64_t w)
{
    const uint64_t one = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = w ^ (one * '"'), slash = w ^ (one * '\\');
    return (((w - one * 0x20) & ~w) | ((quote - one) & ~quote) | ((slash - one) & ~slash) | w) &
           high;
}

static inline const char *scan_plain8(const char *p, const char *end)
{
    while (end - p >= 8) {
        uint64_t w;
        memcpy(&w, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        w = __builtin_bswap64(w);
#endif
        uint64_t hit = scan_special8(w);
        if (hit)
            return p + (__builtin_ctzll(hit) >> 3);
        p += 8;
    }
    while (p < end) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
        p++;
    }
    return p;
}

/* The first byte from p on that is '"', '\\', a control character or not ASCII; else end. */
static inline const char *scan_plain(const char *p, const char *end)
{
#ifdef __SSE2__
    /* Signed, bytes from 0x80 are below 0x20 too: one comparison finds both kinds. */
    const __m128i space = _mm_set1_epi8(0x20), quote = _mm_set1_epi8('"');
    const __m128i slash = _mm_set1_epi8('\\');
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmplt_epi8(v, space), _mm_cmpeq_epi8(v, quote));
        int mask = _mm_movemask_epi8(_mm_or_si128(hit, _mm_cmpeq_epi8(v, slash)));
        if (mask)
            return p + __builtin_ctz((unsigned)mask);
        p += 16;
    }
#endif
    return scan_plain8(p, end);
}

static inline bool scan_is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *scan_blanks(const char *p, const char *end)
{
    while (p < end && scan_is_blank(*p))
        p++;
    return p;
}

static inline bool scan_is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* Bytes of the well-formed UTF-8 sequence of a character beyond ASCII at p
 * (Unicode 15, table 3-7), or 0: then *ret_bad is the length of the maximal part
 * that could begin one, at least 1. */
unsigned scan_utf8(const char *p, const char *end, unsigned *ret_bad);

/* Where and why a token is broken. */
struct scan_error {
    const char *at;
    const char *expected;
};

/* A string from behind its opening quote: returns the place behind the closing
 * quote, JSON_ESCAPED and JSON_NUL added to *flags; NULL with *e filled. */
const char *scan_string_rest(const char *p, const char *end, unsigned *flags, struct scan_error *e);

static inline const char *scan_string(const char *p, const char *end, unsigned *flags,
                                      struct scan_error *e)
{
    p = scan_plain(p, end);
    if (p < end && *p == '"')
        return p + 1;
    return scan_string_rest(p, end, flags, e);
}

/* A number from its first byte, '-' or a digit: returns the place behind it,
 * JSON_INTEGER added to *flags; NULL with *e filled. */
const char *scan_number(const char *p, const char *end, unsigned *flags, struct scan_error *e);

/* The value of a string, piece by piece: clean runs as they stand, each escape
 * by itself.  `text` is what stands between the quotes and must be valid. */
struct scan_pieces {
    const char *p, *end;
    char escape[4];
};
bool scan_piece(struct scan_pieces *it, struct str *ret);

/* Are two strings (what stands between the quotes, and their flags) of the same value? */
bool scan_equal(struct str a, unsigned a_flags, struct str b, unsigned b_flags);
/* A seeded hash of the value: equal for equal values, however they are spelled. */
uint64_t scan_hash(struct str s, unsigned flags);

/* An index of the keys of a large object.  Open addressing, two thirds full:
 * six bytes a member, and a member takes five bytes of input at least. */
#define SCAN_INDEX_SLOTS(members) ((members) + (members) / 2 + 1)
/* Below this, comparing each with each is faster than building an index. */
enum { SCAN_INDEX_FROM = 17 };
/* Fills slot[SCAN_INDEX_SLOTS(count)] with the members of `object`, the first of equal
 * keys; returns the second of the first pair of equal keys, or 0 when all differ. */
json_ref scan_index_build(const struct json_doc *d, json_ref object, uint32_t *slot);
/* The key equal to the one at `key` of `kd` in the object that was indexed, or 0. */
json_ref scan_index_find(const struct json_doc *d, json_ref object, const uint32_t *slot,
                         const struct json_doc *kd, json_ref key);

#endif
