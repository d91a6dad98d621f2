/* manifold/json.h - reading and writing JSON in a plugin, without allocation.
 *
 * Header-only; needs libc and plugin.h, nothing else.  C99, C11, C++17.
 *
 * Reading.  A mfj_value is a place in the text: two pointers, passed by value,
 * nothing to free.  It borrows the text and lasts as long as that does (the
 * `args` of a request: until call() returns).  The host has checked the text, so
 * nothing is checked twice; on text that nobody checked the functions stay
 * within it and answer "nothing" or MF_EINVAL, though not for every mistake in
 * it.  What is not there is a value of kind MFJ_NONE, which every function
 * takes: mfj_int(mfj_find(args, "page/size"), &n) needs one check, the last.
 *
 *     mfj_value args = mfj_read(request->args);
 *     int64_t days = 3;
 *     mf_bytes place;
 *     char space[256];
 *     if (mfj_string(mfj_get(args, "place"), space, sizeof(space), &place) != MF_OK)
 *         ...
 *     mfj_int(mfj_get(args, "days"), &days);      (untouched when absent)
 *
 * Writing.  A mfj_writer fills a buffer of the caller and remembers its first
 * mistake, so that one look at mfj_done() suffices.
 *
 *     mfj_writer w;
 *     mfj_write(&w, space, sizeof(space));
 *     mfj_put_object(&w);
 *     mfj_put_key(&w, "celsius");
 *     mfj_put_double(&w, 21.5);
 *     mfj_put_end(&w);
 *     if (mfj_done(&w, &json) == MF_OK)
 *         host->structured(host, call, json);
 *
 * Threads: no state, any thread; one writer or iterator, one thread at a time.
 * Names ending in _ are private. */
#ifndef MANIFOLD_JSON_H
#define MANIFOLD_JSON_H

#include "plugin.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- values --------------------------------------------------------------- */

/* A value in borrowed text: `at` its first byte, `end` where the text ends (not
 * the value).  at == NULL: there is none. */
typedef struct mfj_value {
    const char *at;
    const char *end;
} mfj_value;

enum { /* kinds */
       MFJ_NONE = 0,
       MFJ_NULL = 1,
       MFJ_BOOL = 2,
       MFJ_NUMBER = 3,
       MFJ_STRING = 4,
       MFJ_ARRAY = 5,
       MFJ_OBJECT = 6
};

static inline mfj_value mfj_value_(const char *at, const char *end)
{
    mfj_value v;
    v.at = at;
    v.end = end;
    return v;
}

static inline mfj_value mfj_none(void)
{
    return mfj_value_(NULL, NULL);
}

static inline const char *mfj_blank_(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

static inline int mfj_kind_of_(char c)
{
    switch (c) {
    case '{':
        return MFJ_OBJECT;
    case '[':
        return MFJ_ARRAY;
    case '"':
        return MFJ_STRING;
    case 't':
    case 'f':
        return MFJ_BOOL;
    case 'n':
        return MFJ_NULL;
    default:
        return c == '-' || (c >= '0' && c <= '9') ? MFJ_NUMBER : MFJ_NONE;
    }
}

/* The value at p, or none when nothing can begin there. */
static inline mfj_value mfj_here_(const char *p, const char *end)
{
    return p < end && mfj_kind_of_(*p) != MFJ_NONE ? mfj_value_(p, end) : mfj_none();
}

/* The value that the text holds. */
static inline mfj_value mfj_read(mf_bytes text)
{
    const char *end;
    if (text.len == 0)
        return mfj_none();
    end = text.data + text.len;
    return mfj_here_(mfj_blank_(text.data, end), end);
}

static inline int mfj_kind(mfj_value v)
{
    return v.at == NULL ? MFJ_NONE : mfj_kind_of_(*v.at);
}

/* ---- skipping ------------------------------------------------------------- */

/* p stands behind the opening quote; the closing one, or NULL. */
static inline const char *mfj_string_end_(const char *p, const char *end)
{
    while (p < end) {
        const char *q = (const char *)memchr(p, '"', (size_t)(end - p));
        const char *b = q;
        if (q == NULL)
            return NULL;
        while (b > p && b[-1] == '\\')
            b--;
        if ((q - b) % 2 == 0)
            return q;
        p = q + 1;
    }
    return NULL;
}

static inline const char *mfj_nest_end_(const char *p, const char *end)
{
    size_t depth = 0;
    while (p < end) {
        char c = *p++;
        if (c == '"') {
            const char *q = mfj_string_end_(p, end);
            if (q == NULL)
                return NULL;
            p = q + 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return p;
        }
    }
    return NULL;
}

/* Just behind the value, or NULL when the text ends before it does. */
static inline const char *mfj_skip_(mfj_value v)
{
    const char *p = v.at;
    switch (mfj_kind(v)) {
    case MFJ_NONE:
        return NULL;
    case MFJ_OBJECT:
    case MFJ_ARRAY:
        return mfj_nest_end_(p, v.end);
    case MFJ_STRING:
        p = mfj_string_end_(p + 1, v.end);
        return p == NULL ? NULL : p + 1;
    default:
        while (p < v.end && *p != ',' && *p != '}' && *p != ']' && *p != ' ' && *p != '\n' &&
               *p != '\r' && *p != '\t')
            p++;
        return p;
    }
}

/* The value as it stands in the text, with its quotes or brackets; empty when
 * there is none.  It may be handed on as JSON (mfj_put_raw(), block()). */
static inline mf_bytes mfj_raw(mfj_value v)
{
    const char *behind = mfj_skip_(v);
    mf_bytes b;
    b.data = behind == NULL ? NULL : v.at;
    b.len = behind == NULL ? 0 : (size_t)(behind - v.at);
    return b;
}

/* ---- strings -------------------------------------------------------------- */

enum { MFJ_NUL = 1 << 0 }; /* accept \u0000, which ends a C string too early */

/* Runs of unescaped bytes this long are handed out as slices of the text;
 * shorter ones are gathered with the escapes around them. */
enum { MFJ_RUN_ = 256 };

/* A string taken in pieces; see mfj_chunk(). */
typedef struct mfj_chunks {
    const char *at;    /* next byte; NULL: at the end or failed */
    const char *end;   /* of the text */
    const char *quote; /* first quote at or behind `at`; stale when before it */
    const char *slash; /* first backslash before `quote`, else `quote`; same  */
    uint32_t flags;
    mf_status status; /* MF_OK, or what mfj_chunk() says at the end */
} mfj_chunks;

/* Begins at the string v.  flags: 0 or MFJ_NUL. */
static inline mfj_chunks mfj_chunks_open(mfj_value v, uint32_t flags)
{
    mfj_chunks c;
    c.at = mfj_kind(v) == MFJ_STRING ? v.at + 1 : NULL;
    c.end = v.end;
    c.quote = NULL;
    c.slash = NULL;
    c.flags = flags;
    c.status = c.at != NULL ? MF_OK : v.at == NULL ? MF_ENOENT : MF_EINVAL;
    return c;
}

/* Where the run of plain bytes at c->at ends: at a backslash or at the closing
 * quote.  NULL: the string has no end.  Both marks only move forward, so a
 * string is scanned once however many escapes it has, and by memchr(). */
static inline const char *mfj_run_end_(mfj_chunks *c)
{
    if (c->at >= c->end)
        return NULL;
    if (c->quote == NULL || c->quote < c->at) {
        c->quote = (const char *)memchr(c->at, '"', (size_t)(c->end - c->at));
        if (c->quote == NULL)
            return NULL;
    }
    if (c->slash == NULL || c->slash < c->at) {
        c->slash = (const char *)memchr(c->at, '\\', (size_t)(c->quote - c->at));
        if (c->slash == NULL)
            c->slash = c->quote;
    }
    return c->slash;
}

/* Four hex digits at p as a number, or -1. */
static inline int32_t mfj_hex4_(const char *p, const char *end)
{
    int32_t n = 0;
    int i;
    if (end - p < 4)
        return -1;
    for (i = 0; i < 4; i++) {
        char c = p[i];
        if (c >= '0' && c <= '9')
            n = n * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n * 16 + (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            n = n * 16 + (c - 'A' + 10);
        else
            return -1;
    }
    return n;
}

static inline size_t mfj_utf8_(uint32_t cp, char *out)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | (cp >> 6));
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | (cp >> 12));
        out[1] = (char)(0x80 | ((cp >> 6) & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (cp >> 18));
    out[1] = (char)(0x80 | ((cp >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((cp >> 6) & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

/* The code point of the \uXXXX at p (and of its second half), or -1.  A lone
 * surrogate is no character and has no UTF-8. */
static inline int32_t mfj_unicode_(const char **p, const char *end)
{
    int32_t high = mfj_hex4_(*p + 2, end), low;
    *p += 6;
    if (high < 0 || high < 0xD800 || high > 0xDFFF)
        return high;
    if (high > 0xDBFF || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return -1;
    low = mfj_hex4_(*p + 2, end);
    *p += 6;
    if (low < 0xDC00 || low > 0xDFFF)
        return -1;
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

/* Decodes the escape at c->at into out and steps over it: 1 to 4 bytes, or 0
 * for an escape that JSON has not, a lone surrogate, or \u0000 unasked for. */
static inline size_t mfj_escape_(mfj_chunks *c, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *which;
    int32_t cp;
    if (c->end - c->at < 2)
        return 0;
    if (c->at[1] == 'u') {
        const char *p = c->at;
        if (c->end - p < 6)
            return 0;
        cp = mfj_unicode_(&p, c->end);
        if (cp < 0 || (cp == 0 && (c->flags & MFJ_NUL) == 0))
            return 0;
        c->at = p;
        return mfj_utf8_((uint32_t)cp, out);
    }
    which = (const char *)memchr(from, c->at[1], sizeof(from) - 1);
    if (which == NULL)
        return 0;
    c->at += 2;
    out[0] = to[which - from];
    return 1;
}

static inline void mfj_chunks_fail_(mfj_chunks *c)
{
    c->at = NULL;
    c->status = MF_EINVAL;
}

/* The next piece of the string's value: 1 and *ret_piece, which points either
 * into the text (long runs without escapes, so that a long string is not
 * copied) or into buf, where it lasts until the next call.  0: that was all.
 * MF_ENOENT: there is no value; MF_EINVAL: it is no string, or not a good one
 * (lone surrogate, \u0000 without MFJ_NUL); MF_ELIMIT: cap is under 4 bytes.
 * Pieces end between characters. */
static inline mf_status mfj_chunk(mfj_chunks *c, char *buf, size_t cap, mf_bytes *ret_piece)
{
    size_t len = 0, n;
    while (c->at != NULL) {
        const char *from = c->at, *stop = mfj_run_end_(c);
        size_t run = stop == NULL ? 0 : (size_t)(stop - from);
        if (stop == NULL) {
            mfj_chunks_fail_(c);
        } else if (run > 0 && (run >= MFJ_RUN_ || run > cap - len || (len == 0 && *stop == '"'))) {
            if (len > 0)
                break;
            c->at = stop;
            ret_piece->data = from;
            ret_piece->len = run;
            return 1;
        } else if (run > 0) {
            memcpy(buf + len, from, run);
            len += run;
            c->at = stop;
        } else if (*stop == '"') {
            c->at = NULL;
        } else if (cap - len < 4) {
            if (len == 0)
                return MF_ELIMIT;
            break;
        } else if ((n = mfj_escape_(c, buf + len)) > 0) {
            len += n;
        } else {
            mfj_chunks_fail_(c);
        }
    }
    if (len == 0)
        return c->status < 0 ? c->status : 0;
    ret_piece->data = buf;
    ret_piece->len = len;
    return 1;
}

static inline mf_status mfj_decode_(mfj_chunks *c, char *buf, size_t cap, size_t *ret_len)
{
    size_t len = 0, n;
    for (;;) {
        const char *stop = mfj_run_end_(c);
        char one[4];
        if (stop == NULL)
            return MF_EINVAL;
        n = (size_t)(stop - c->at);
        if (n > cap - len)
            return MF_ELIMIT;
        if (n > 0)
            memcpy(buf + len, c->at, n);
        len += n;
        c->at = stop;
        if (*stop == '"')
            break;
        n = mfj_escape_(c, one);
        if (n == 0)
            return MF_EINVAL;
        if (n > cap - len)
            return MF_ELIMIT;
        memcpy(buf + len, one, n);
        len += n;
    }
    *ret_len = len;
    return MF_OK;
}

/* The string's value: a slice of the text when it has no escapes (then cap may
 * be 0), else decoded into space.  MF_ENOENT, MF_EINVAL as mfj_chunk();
 * MF_ELIMIT: it needs more than cap bytes.  \u0000 is refused. */
static inline mf_status mfj_string(mfj_value v, char *space, size_t cap, mf_bytes *ret)
{
    mfj_chunks c = mfj_chunks_open(v, 0);
    const char *from = c.at, *stop;
    mf_status status;
    size_t len;
    if (c.status != MF_OK)
        return c.status;
    stop = mfj_run_end_(&c);
    if (stop != NULL && *stop == '"') {
        ret->data = from;
        ret->len = (size_t)(stop - from);
        return MF_OK;
    }
    status = mfj_decode_(&c, space, cap, &len);
    if (status != MF_OK)
        return status;
    ret->data = space;
    ret->len = len;
    return MF_OK;
}

/* The string's value as a C string in buf, for functions that want one.
 * Errors as mfj_string(); buf is an empty string then. */
static inline mf_status mfj_cstring(mfj_value v, char *buf, size_t cap)
{
    mfj_chunks c = mfj_chunks_open(v, 0);
    mf_status status = c.status;
    size_t len = 0;
    if (cap == 0)
        return MF_ELIMIT;
    if (status == MF_OK)
        status = mfj_decode_(&c, buf, cap - 1, &len);
    /* A raw NUL cannot be in checked text; in other text it would cut the string. */
    if (status == MF_OK && len > 0 && memchr(buf, 0, len) != NULL)
        status = MF_EINVAL;
    buf[status == MF_OK ? len : 0] = 0;
    return status;
}

/* Is v's text s between quotes, and s the same with and without escapes?  No more
 * than the common case: keys. */
static inline int mfj_string_plainly_is_(mfj_value v, mf_bytes s)
{
    size_t i;
    if (v.at == NULL || *v.at != '"' || (size_t)(v.end - v.at) < s.len + 2 ||
        v.at[s.len + 1] != '"')
        return 0;
    for (i = 0; i < s.len; i++)
        if (s.data[i] != v.at[i + 1] || s.data[i] == '"' || s.data[i] == '\\')
            return 0;
    return 1;
}

/* Is v a string with this value?  1 or 0. */
static inline int mfj_string_is(mfj_value v, mf_bytes s)
{
    mfj_chunks c = mfj_chunks_open(v, MFJ_NUL);
    char buf[64];
    size_t pos = 0;
    mf_bytes piece;
    mf_status more;
    if (mfj_string_plainly_is_(v, s))
        return 1;
    while ((more = mfj_chunk(&c, buf, sizeof(buf), &piece)) == 1) {
        if (piece.len > s.len - pos || memcmp(piece.data, s.data + pos, piece.len) != 0)
            return 0;
        pos += piece.len;
    }
    return more == 0 && pos == s.len;
}

/* ---- containers ----------------------------------------------------------- */

/* A walk over the elements of an array or the members of an object. */
typedef struct mfj_iter {
    const char *at; /* the value last given, or behind the bracket; NULL: at the end */
    const char *end;
    char close;
    char begun;
} mfj_iter;

/* Anything but an array or object has no members. */
static inline mfj_iter mfj_iter_open(mfj_value v)
{
    mfj_iter it;
    int kind = mfj_kind(v);
    it.at = kind == MFJ_OBJECT || kind == MFJ_ARRAY ? v.at + 1 : NULL;
    it.end = v.end;
    it.close = kind == MFJ_OBJECT ? '}' : ']';
    it.begun = 0;
    return it;
}

/* The next member: 1 and *ret_value, in objects also *ret_key (a string value;
 * NULL: not wanted).  0: that was all.  A value is stepped over only when the one
 * behind it is asked for.
 *
 *     mfj_iter it = mfj_iter_open(v);
 *     while (mfj_next(&it, &key, &value)) ... */
static inline int mfj_next(mfj_iter *it, mfj_value *ret_key, mfj_value *ret_value)
{
    const char *p = it->at;
    mfj_value key = mfj_none(), value;
    it->at = NULL;
    if (p != NULL && it->begun)
        p = mfj_skip_(mfj_value_(p, it->end));
    if (p == NULL)
        return 0;
    p = mfj_blank_(p, it->end);
    if (it->begun) {
        if (p >= it->end || *p != ',')
            return 0;
        p = mfj_blank_(p + 1, it->end);
    }
    if (it->close == '}') {
        if (p >= it->end || *p != '"')
            return 0;
        key = mfj_value_(p, it->end);
        p = mfj_string_end_(p + 1, it->end);
        p = p == NULL ? it->end : mfj_blank_(p + 1, it->end);
        if (p >= it->end || *p != ':')
            return 0;
        p = mfj_blank_(p + 1, it->end);
    }
    value = mfj_here_(p, it->end);
    if (value.at == NULL)
        return 0;
    it->at = p;
    it->begun = 1;
    if (ret_key != NULL)
        *ret_key = key;
    *ret_value = value;
    return 1;
}

/* The member of object v with this key (compared unescaped), or none. */
static inline mfj_value mfj_get_bytes(mfj_value v, mf_bytes key)
{
    mfj_value name, value;
    mfj_iter it;
    if (mfj_kind(v) != MFJ_OBJECT)
        return mfj_none();
    it = mfj_iter_open(v);
    while (mfj_next(&it, &name, &value))
        if (mfj_string_is(name, key))
            return value;
    return mfj_none();
}

static inline mfj_value mfj_get(mfj_value v, const char *key)
{
    return mfj_get_bytes(v, MF_INIT_BYTES_(key, strlen(key)));
}

/* Element `index` of array v, from 0, or none.  Walks: to see all elements use
 * mfj_next(). */
static inline mfj_value mfj_at(mfj_value v, size_t index)
{
    mfj_value value;
    mfj_iter it;
    if (mfj_kind(v) != MFJ_ARRAY)
        return mfj_none();
    it = mfj_iter_open(v);
    while (mfj_next(&it, NULL, &value))
        if (index-- == 0)
            return value;
    return mfj_none();
}

static inline mfj_value mfj_step_(mfj_value v, mf_bytes name)
{
    size_t index = 0, i;
    if (mfj_kind(v) != MFJ_ARRAY)
        return mfj_get_bytes(v, name);
    if (name.len == 0 || name.len > 9)
        return mfj_none();
    for (i = 0; i < name.len; i++) {
        if (name.data[i] < '0' || name.data[i] > '9')
            return mfj_none();
        index = index * 10 + (size_t)(name.data[i] - '0');
    }
    return mfj_at(v, index);
}

/* What stands at a path such as "points/0/name": keys and indexes between
 * slashes.  Keys that contain a slash cannot be named so; use mfj_get().  The
 * empty path is v itself. */
static inline mfj_value mfj_find(mfj_value v, const char *path)
{
    while (*path != 0 && v.at != NULL) {
        size_t len = strcspn(path, "/");
        v = mfj_step_(v, MF_INIT_BYTES_(path, len));
        path += len;
        if (*path == '/')
            path++;
    }
    return v;
}

/* ---- scalars -------------------------------------------------------------- */

/* Is v the word at its place, and ends there? */
static inline int mfj_word_(mfj_value v, const char *word)
{
    size_t len = strlen(word);
    return v.at != NULL && (size_t)(v.end - v.at) >= len && memcmp(v.at, word, len) == 0 &&
           mfj_skip_(v) == v.at + len;
}

/* 1: v is null.  0: it is something else, or nothing at all. */
static inline int mfj_is_null(mfj_value v)
{
    return mfj_word_(v, "null");
}

/* 1 or 0 in *ret.  MF_ENOENT: there is no value; MF_EINVAL: another kind. */
static inline mf_status mfj_bool(mfj_value v, int *ret)
{
    if (v.at == NULL)
        return MF_ENOENT;
    if (mfj_word_(v, "true"))
        *ret = 1;
    else if (mfj_word_(v, "false"))
        *ret = 0;
    else
        return MF_EINVAL;
    return MF_OK;
}

/* A number taken apart: (-) whole . frac e exp.  `exp` is held within 2^40, which
 * is farther than any text is long. */
typedef struct mfj_number_ {
    int negative;
    const char *whole, *frac;
    size_t whole_len, frac_len;
    int64_t exp;
} mfj_number_;

static inline const char *mfj_digits_(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

static inline const char *mfj_exponent_(const char *p, const char *end, int64_t *ret)
{
    const char *first;
    int negative = 0;
    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    first = p;
    *ret = 0;
    for (p = first; p < end && *p >= '0' && *p <= '9'; p++)
        if (*ret < ((int64_t)1 << 36))
            *ret = *ret * 10 + (*p - '0');
    if (negative)
        *ret = -*ret;
    return p == first ? NULL : p;
}

static inline mf_status mfj_number_read_(mfj_value v, mfj_number_ *n)
{
    const char *p = v.at, *end = v.end;
    if (p == NULL)
        return MF_ENOENT;
    if (mfj_kind(v) != MFJ_NUMBER)
        return MF_EINVAL;
    n->negative = *p == '-';
    p += n->negative;
    n->whole = p;
    p = mfj_digits_(p, end);
    n->whole_len = (size_t)(p - n->whole);
    n->frac = p;
    n->frac_len = 0;
    n->exp = 0;
    if (n->whole_len == 0 || (n->whole_len > 1 && *n->whole == '0'))
        return MF_EINVAL;
    if (p < end && *p == '.') {
        n->frac = p + 1;
        p = mfj_digits_(n->frac, end);
        n->frac_len = (size_t)(p - n->frac);
        if (n->frac_len == 0)
            return MF_EINVAL;
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p = mfj_exponent_(p + 1, end, &n->exp);
        if (p == NULL)
            return MF_EINVAL;
    }
    return mfj_skip_(v) == p ? MF_OK : MF_EINVAL;
}

static inline char mfj_digit_(const mfj_number_ *n, size_t i)
{
    return i < n->whole_len ? n->whole[i] : n->frac[i - n->whole_len];
}

/* The integer: 42, 42.0 and 4.2e1 are the same to JSON Schema, and so they are
 * here.  MF_ENOENT: there is no value; MF_EINVAL: another kind, or it has a
 * fraction; MF_ELIMIT: outside int64.  *ret is written with MF_OK only. */
static inline mf_status mfj_int(mfj_value v, int64_t *ret)
{
    mfj_number_ n;
    mf_status status = mfj_number_read_(v, &n);
    size_t digits, i;
    int64_t point;
    uint64_t u = 0;
    const uint64_t max = (uint64_t)INT64_MAX;
    if (status != MF_OK)
        return status;
    digits = n.whole_len + n.frac_len;
    point = (int64_t)n.whole_len + n.exp; /* digits before the point, zeros added behind */
    for (i = 0; i < digits; i++) {
        unsigned d = (unsigned)(mfj_digit_(&n, i) - '0');
        if ((int64_t)i >= point) {
            if (d != 0)
                return MF_EINVAL;
        } else if (u > (max + 1 - d) / 10) {
            /* Too large; but with a fraction that is said first. */
            status = MF_ELIMIT;
        } else {
            u = u * 10 + d;
        }
    }
    if (status != MF_OK)
        return status;
    for (; u != 0 && (int64_t)i < point; i++) {
        if (u > (max + 1) / 10)
            return MF_ELIMIT;
        u *= 10;
    }
    if (u > max && !(n.negative && u == max + 1))
        return MF_ELIMIT;
    *ret = !n.negative ? (int64_t)u : u > max ? INT64_MIN : -(int64_t)u;
    return MF_OK;
}

/* More digits than these cannot move the nearest double but by being there at
 * all (767 are enough). */
enum { MFJ_DIGITS_ = 780 };

/* The nearest double, whatever the locale's decimal point.  MF_ENOENT: there
 * is no value; MF_EINVAL: another kind; MF_ELIMIT: too large for a double. */
static inline mf_status mfj_double(mfj_value v, double *ret)
{
    /* It is put to strtod() as digits and exponent, without a point. */
    char text[MFJ_DIGITS_ + 32];
    mfj_number_ n;
    mf_status status = mfj_number_read_(v, &n);
    size_t digits, i, len = 0;
    int64_t exp;
    int more = 0;
    double d;
    if (status != MF_OK)
        return status;
    digits = n.whole_len + n.frac_len;
    exp = n.exp - (int64_t)n.frac_len;
    if (n.negative)
        text[len++] = '-';
    for (i = 0; i < digits && mfj_digit_(&n, i) == '0'; i++)
        ;
    for (; i < digits && len < MFJ_DIGITS_; i++)
        text[len++] = mfj_digit_(&n, i);
    exp += (int64_t)(digits - i);
    for (; i < digits && !more; i++)
        more = mfj_digit_(&n, i) != '0';
    if (more) { /* one digit stands for all the rest */
        text[len++] = '1';
        exp--;
    }
    if (len == (size_t)n.negative)
        text[len++] = '0';
    snprintf(text + len, sizeof(text) - len, "e%ld",
             exp > 100000    ? 100000L
             : exp < -100000 ? -100000L
                             : (long)exp);
    d = strtod(text, NULL);
    if (d > DBL_MAX || d < -DBL_MAX)
        return MF_ELIMIT;
    *ret = d;
    return MF_OK;
}

/* ---- writing -------------------------------------------------------------- */

enum { MFJ_DEPTH = 64 }; /* containers inside one another */

/* Set up by mfj_write(); private but for `len`, the bytes written so far. */
typedef struct mfj_writer {
    char *buf;
    size_t cap;
    size_t len;
    uint64_t object; /* bit per level: 1: object, 0: array     */
    uint64_t filled; /* bit per level: it has a member already */
    uint32_t depth;
    mf_status status; /* the first mistake, or MF_OK */
    char keyed;       /* a key waits for its value */
    char rooted;      /* the one outermost value has begun */
} mfj_writer;

/* Begins writing into buf, which is borrowed until the last mfj_put_*(). */
static inline void mfj_write(mfj_writer *w, char *buf, size_t cap)
{
    memset(w, 0, sizeof(*w));
    w->buf = buf;
    w->cap = cap;
}

static inline void mfj_fail_(mfj_writer *w, mf_status status)
{
    if (w->status == MF_OK)
        w->status = status;
}

static inline void mfj_emit_(mfj_writer *w, const char *data, size_t len)
{
    if (w->status != MF_OK)
        return;
    if (len > w->cap - w->len) {
        w->status = MF_ELIMIT;
        return;
    }
    if (len > 0)
        memcpy(w->buf + w->len, data, len);
    w->len += len;
}

static inline uint64_t mfj_level_(const mfj_writer *w)
{
    return (uint64_t)1 << (w->depth - 1);
}

/* What comes before a value: a comma, or proof that a key was written. */
static inline void mfj_before_(mfj_writer *w)
{
    if (w->depth == 0) {
        if (w->rooted)
            mfj_fail_(w, MF_EINVAL);
        w->rooted = 1;
    } else if ((w->object & mfj_level_(w)) != 0) {
        if (!w->keyed)
            mfj_fail_(w, MF_EINVAL);
        w->keyed = 0;
    } else {
        if ((w->filled & mfj_level_(w)) != 0)
            mfj_emit_(w, ",", 1);
        w->filled |= mfj_level_(w);
    }
}

/* Bytes of the well-formed UTF-8 character at p (RFC 3629), or 0. */
static inline size_t mfj_utf8_len_(const unsigned char *p, size_t left)
{
    size_t len, i;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (left < len)
        return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    for (i = 1; i < len; i++)
        if (p[i] < 0x80 || p[i] > 0xBF)
            return 0;
    return len;
}

static inline void mfj_emit_escape_(mfj_writer *w, unsigned char c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
    const char *which = c == 0 ? NULL : (const char *)memchr(from, c, sizeof(from) - 1);
    char out[6] = {'\\', 'u', '0', '0', '0', '0'};
    if (which != NULL) {
        out[1] = to[which - from];
        mfj_emit_(w, out, 2);
        return;
    }
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    mfj_emit_(w, out, 6);
}

static inline void mfj_emit_string_(mfj_writer *w, mf_bytes s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t i = 0, from = 0, n;
    mfj_emit_(w, "\"", 1);
    while (i < s.len && w->status == MF_OK) {
        if (p[i] >= 0x20 && p[i] < 0x80 && p[i] != '"' && p[i] != '\\') {
            i++;
        } else if (p[i] >= 0x80) {
            n = mfj_utf8_len_(p + i, s.len - i);
            if (n == 0)
                mfj_fail_(w, MF_EINVAL);
            i += n;
        } else {
            mfj_emit_(w, s.data + from, i - from);
            mfj_emit_escape_(w, p[i]);
            from = ++i;
        }
    }
    if (i > from)
        mfj_emit_(w, s.data + from, i - from);
    mfj_emit_(w, "\"", 1);
}

static inline void mfj_begin_(mfj_writer *w, int object)
{
    mfj_before_(w);
    if (w->depth >= MFJ_DEPTH)
        mfj_fail_(w, MF_ELIMIT);
    if (w->status != MF_OK)
        return;
    mfj_emit_(w, object ? "{" : "[", 1);
    w->depth++;
    w->filled &= ~mfj_level_(w);
    w->object = object ? w->object | mfj_level_(w) : w->object & ~mfj_level_(w);
}

/* Begins an object or an array; mfj_put_end() ends the innermost one. */
static inline void mfj_put_object(mfj_writer *w)
{
    mfj_begin_(w, 1);
}

static inline void mfj_put_array(mfj_writer *w)
{
    mfj_begin_(w, 0);
}

static inline void mfj_put_end(mfj_writer *w)
{
    if (w->depth == 0 || w->keyed)
        mfj_fail_(w, MF_EINVAL);
    if (w->status != MF_OK)
        return;
    mfj_emit_(w, (w->object & mfj_level_(w)) != 0 ? "}" : "]", 1);
    w->depth--;
}

/* The key of the next value, in an object. */
static inline void mfj_put_key(mfj_writer *w, const char *key)
{
    if (w->depth == 0 || (w->object & mfj_level_(w)) == 0 || w->keyed) {
        mfj_fail_(w, MF_EINVAL);
        return;
    }
    if ((w->filled & mfj_level_(w)) != 0)
        mfj_emit_(w, ",", 1);
    w->filled |= mfj_level_(w);
    mfj_emit_string_(w, MF_INIT_BYTES_(key, strlen(key)));
    mfj_emit_(w, ":", 1);
    w->keyed = 1;
}

/* A string; what is not UTF-8 is MF_EINVAL. */
static inline void mfj_put_string(mfj_writer *w, mf_bytes s)
{
    mfj_before_(w);
    mfj_emit_string_(w, s);
}

static inline void mfj_put_cstring(mfj_writer *w, const char *s)
{
    mfj_put_string(w, MF_INIT_BYTES_(s, strlen(s)));
}

static inline void mfj_put_int(mfj_writer *w, int64_t n)
{
    char text[24];
    size_t i = sizeof(text);
    uint64_t u = n < 0 ? (uint64_t)0 - (uint64_t)n : (uint64_t)n;
    do {
        text[--i] = (char)('0' + u % 10);
        u /= 10;
    } while (u != 0);
    if (n < 0)
        text[--i] = '-';
    mfj_before_(w);
    mfj_emit_(w, text + i, sizeof(text) - i);
}

/* With as few digits as give the same double back.  JSON has no infinity and no
 * NaN: MF_EINVAL. */
static inline void mfj_put_double(mfj_writer *w, double d)
{
    char text[40], out[40];
    size_t i, len = 0;
    int digits;
    mfj_before_(w);
    if (!(d >= -DBL_MAX && d <= DBL_MAX)) {
        mfj_fail_(w, MF_EINVAL);
        return;
    }
    for (digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    /* The locale's decimal point, of any length, becomes a point. */
    for (i = 0; text[i] != 0; i++) {
        if (strchr("0123456789+-e", text[i]) != NULL)
            out[len++] = text[i];
        else if (len == 0 || out[len - 1] != '.')
            out[len++] = '.';
    }
    mfj_emit_(w, out, len);
}

static inline void mfj_put_bool(mfj_writer *w, int truth)
{
    mfj_before_(w);
    mfj_emit_(w, truth ? "true" : "false", truth ? 4 : 5);
}

static inline void mfj_put_null(mfj_writer *w)
{
    mfj_before_(w);
    mfj_emit_(w, "null", 4);
}

/* A value that is JSON already, such as mfj_raw() of an argument.  Not looked at
 * but for being there: the caller vouches for it. */
static inline void mfj_put_raw(mfj_writer *w, mf_bytes json)
{
    mfj_before_(w);
    if (json.len == 0)
        mfj_fail_(w, MF_EINVAL);
    mfj_emit_(w, json.data, json.len);
}

/* The whole text, in the caller's buffer.  MF_ELIMIT: it did not fit (or was
 * nested too deep); MF_EINVAL: not UTF-8, a value without a key, a key without
 * a value, not exactly one value, or one not ended. */
static inline mf_status mfj_done(mfj_writer *w, mf_bytes *ret)
{
    if (w->depth != 0 || !w->rooted)
        mfj_fail_(w, MF_EINVAL);
    if (w->status != MF_OK)
        return w->status;
    ret->data = w->buf;
    ret->len = w->len;
    return MF_OK;
}

#ifdef __cplusplus
}
#endif
#endif
