#include "json/reader.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include "json/decimal.h"
#include "json/scan.h"

json_ref json_get(const struct json_doc *d, json_ref object, struct str key)
{
    if (object >= d->nodes || d->node[object].type != JSON_OBJECT)
        return 0;
    json_each_member (d, object, k) {
        /* Most keys differ in length already; only one with escapes can be equal then. */
        if (d->node[k].len != key.n + 2 && !(d->node[k].flags & JSON_ESCAPED))
            continue;
        if (json_string_eq(d, k, key))
            return k + 1;
    }
    return 0;
}

bool json_string_eq(const struct json_doc *d, json_ref n, struct str s)
{
    if (!json_is(d, n, JSON_STRING))
        return false;
    if (!(d->node[n].flags & JSON_ESCAPED))
        return str_eq(json_inner(d, n), s);
    return scan_equal(json_inner(d, n), d->node[n].flags, s, 0);
}

int json_string_append(const struct json_doc *d, json_ref n, struct buf *out)
{
    struct str s = json_inner(d, n);
    if (!(d->node[n].flags & JSON_ESCAPED))
        return buf_str(out, s);
    size_t before = out->len;
    struct scan_pieces it = {s.p, s.p + s.n, {0}};
    for (struct str piece; scan_piece(&it, &piece);) {
        int r = buf_str(out, piece);
        if (r) {
            out->len = before;
            return r;
        }
    }
    return 0;
}

struct str json_string(const struct json_doc *d, json_ref n, struct buf *scratch)
{
    if (!(d->node[n].flags & JSON_ESCAPED))
        return json_inner(d, n);
    size_t before = scratch->len;
    if (json_string_append(d, n, scratch))
        return STR_NONE;
    return (struct str){scratch->data + before, scratch->len - before};
}

bool json_int(const struct json_doc *d, json_ref n, int64_t *ret)
{
    if (!json_is(d, n, JSON_NUMBER))
        return false;
    struct decimal x = decimal_of(json_raw(d, n));
    if (x.digits > x.point || x.point > 19)
        return false;
    uint64_t v = 0;
    for (const char *p = x.p; p < x.end; p++) {
        if (*p != '.')
            v = v * 10 + (uint64_t)(*p - '0');
    }
    for (int64_t i = x.digits; i < x.point; i++) {
        if (__builtin_mul_overflow(v, (uint64_t)10, &v))
            return false;
    }
    if (v > (uint64_t)INT64_MAX + x.negative)
        return false;
    *ret = x.negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* Enough to round every double rightly; one more digit stands for the rest. */
enum { DOUBLE_DIGITS = 800 };

bool json_double(const struct json_doc *d, json_ref n, double *ret)
{
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (!json_is(d, n, JSON_NUMBER))
        return false;
    struct decimal x = decimal_of(json_raw(d, n));
    if (!x.digits) {
        *ret = *json_raw(d, n).p == '-' ? -0.0 : 0.0;
        return true;
    }
    char text[DOUBLE_DIGITS + 32];
    size_t len = 0;
    for (const char *p = x.p; p < x.end && len < DOUBLE_DIGITS; p++) {
        if (*p != '.')
            text[len++] = *p;
    }
    if (len < x.digits)
        text[len++] = '1';
    int64_t exponent = x.point - (int64_t)len;
    if (len <= 15 && exponent >= -22 && exponent <= 22) {
        /* Both are exact doubles, so one operation rounds once. */
        double v = 0;
        for (size_t i = 0; i < len; i++)
            v = v * 10 + (text[i] - '0');
        v = exponent < 0 ? v / power[-exponent] : v * power[exponent];
        *ret = x.negative ? -v : v;
        return true;
    }
    /* There is no decimal point in this text, so the locale does not matter. */
    snprintf(text + len, sizeof(text) - len, "e%lld", (long long)exponent);
    double v = strtod(text, NULL);
    *ret = x.negative ? -v : v;
    return true;
}

static bool strings_equal(const struct json_doc *a, json_ref x, const struct json_doc *b,
                          json_ref y)
{
    return scan_equal(json_inner(a, x), a->node[x].flags, json_inner(b, y), b->node[y].flags);
}

static bool arrays_equal(const struct json_doc *a, json_ref x, const struct json_doc *b, json_ref y)
{
    json_ref j = y + 1;
    json_each (a, x, i) {
        if (!json_equal(a, i, b, j))
            return false;
        j = b->node[j].next;
    }
    return true;
}

/* The members mostly come in the same order, so the search begins behind the last hit. */
static json_ref find_from(const struct json_doc *b, json_ref y, json_ref from,
                          const struct json_doc *a, json_ref key)
{
    json_ref k = from;
    for (uint32_t i = 0; i < b->node[y].count; i++) {
        if (k >= b->node[y].next)
            k = y + 1;
        if (strings_equal(a, key, b, k))
            return k;
        k = b->node[k + 1].next;
    }
    return 0;
}

static bool objects_equal(const struct json_doc *a, json_ref x, const struct json_doc *b,
                          json_ref y)
{
    uint32_t count = b->node[y].count, *slot = NULL;
    json_ref hit = 0;
    bool equal = true;
    json_each_member (a, x, key) {
        /* An index is built only when the order differs; without memory for
         * it the answer is the same, later. */
        json_ref guess = hit ? b->node[hit + 1].next : y + 1;
        if (guess < b->node[y].next && strings_equal(a, key, b, guess)) {
            hit = guess;
        } else {
            if (count >= SCAN_INDEX_FROM && !slot) {
                slot = malloc(SCAN_INDEX_SLOTS((size_t)count) * sizeof(*slot));
                if (slot)
                    scan_index_build(b, y, slot);
            }
            hit = slot ? scan_index_find(b, y, slot, a, key) : find_from(b, y, guess, a, key);
        }
        equal = hit && json_equal(a, key + 1, b, hit + 1);
        if (!equal)
            break;
    }
    free(slot);
    return equal;
}

/* As deep as the documents, which were read with a limit to their depth. */
bool json_equal(const struct json_doc *a, json_ref x, const struct json_doc *b, json_ref y)
{
    if (a->node[x].type != b->node[y].type || a->node[x].count != b->node[y].count)
        return false;
    switch (json_type(a, x)) {
    case JSON_NUMBER:
        return str_eq(json_raw(a, x), json_raw(b, y)) ||
               decimal_equal(decimal_of(json_raw(a, x)), decimal_of(json_raw(b, y)));
    case JSON_STRING:
        return strings_equal(a, x, b, y);
    case JSON_ARRAY:
        return arrays_equal(a, x, b, y);
    case JSON_OBJECT:
        return objects_equal(a, x, b, y);
    default:
        return true;
    }
}

const char *json_type_name(enum json_type t)
{
    static const char *const name[] = {
        [JSON_NULL] = "null",     [JSON_FALSE] = "boolean", [JSON_TRUE] = "boolean",
        [JSON_NUMBER] = "number", [JSON_STRING] = "string", [JSON_ARRAY] = "array",
        [JSON_OBJECT] = "object",
    };
    return (unsigned)t < sizeof(name) / sizeof(*name) ? name[t] : "nothing";
}
