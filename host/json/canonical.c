#include "json/canonical.h"

#include <errno.h>
#include <stdlib.h>
#include "json/decimal.h"
#include "json/scan.h"
#include "json/writer.h"

enum { FEW = 32 }; /* members that are sorted without allocation */

/* --- the order of keys --- */

static int order(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n ? memcmp(a.p, b.p, n) : 0;
    return r ? r : a.n < b.n ? -1 : a.n > b.n;
}

/* By the bytes of their values, where one of them has escapes. */
static int order_values(struct str a, struct str b)
{
    struct scan_pieces x = {a.p, a.p + a.n, {0}}, y = {b.p, b.p + b.n, {0}};
    struct str p = STR_NONE, q = STR_NONE;
    for (;;) {
        bool more_x = p.n || scan_piece(&x, &p), more_y = q.n || scan_piece(&y, &q);
        if (!more_x || !more_y)
            return more_x - more_y;
        size_t n = p.n < q.n ? p.n : q.n;
        int r = memcmp(p.p, q.p, n);
        if (r)
            return r;
        p = (struct str){p.p + n, p.n - n};
        q = (struct str){q.p + n, q.n - n};
    }
}

static int order_keys(const struct json_doc *d, json_ref a, json_ref b)
{
    if ((d->node[a].flags | d->node[b].flags) & JSON_ESCAPED)
        return order_values(json_inner(d, a), json_inner(d, b));
    return order(json_inner(d, a), json_inner(d, b));
}

static int order_refs(const void *a, const void *b, void *d)
{
    return order_keys(d, *(const json_ref *)a, *(const json_ref *)b);
}

static bool in_order(const struct json_doc *d, json_ref object)
{
    json_ref before = 0;
    json_each_member (d, object, k) {
        if (before && order_keys(d, before, k) > 0)
            return false;
        before = k;
    }
    return true;
}

static void sort(const struct json_doc *d, json_ref *key, uint32_t count)
{
    if (count > FEW) {
        qsort_r(key, count, sizeof(*key), order_refs, (void *)(uintptr_t)d);
        return;
    }
    for (uint32_t i = 1; i < count; i++) {
        json_ref k = key[i];
        uint32_t at = i;
        for (; at > 0 && order_keys(d, key[at - 1], k) > 0; at--)
            key[at] = key[at - 1];
        key[at] = k;
    }
}

/* --- values --- */

static void write_number(struct buf *b, struct str text)
{
    struct decimal x = decimal_of(text);
    if (!x.digits) {
        buf_byte(b, '0');
        return;
    }
    if (x.negative)
        buf_byte(b, '-');
    for (const char *p = x.p; p < x.end; p++) {
        if (*p != '.')
            buf_byte(b, *p);
    }
    if (x.point != x.digits) {
        buf_byte(b, 'e');
        json_write_int(b, x.point - x.digits);
    }
}

static void write_text(struct buf *b, const struct json_doc *d, json_ref n)
{
    if (!(d->node[n].flags & JSON_ESCAPED)) {
        buf_str(b, json_raw(d, n));
        return;
    }
    struct str s = json_inner(d, n);
    struct scan_pieces it = {s.p, s.p + s.n, {0}};
    buf_byte(b, '"');
    for (struct str piece; scan_piece(&it, &piece);)
        json_write_escaped(b, piece, false);
    buf_byte(b, '"');
}

static void write_member(struct buf *b, const struct json_doc *d, json_ref key, bool first)
{
    if (!first)
        buf_byte(b, ',');
    write_text(b, d, key);
    buf_byte(b, ':');
    json_write_canonical(b, d, key + 1);
}

static void write_sorted(struct buf *b, const struct json_doc *d, json_ref object)
{
    json_ref few[FEW], *key = few;
    uint32_t count = d->node[object].count, i = 0;
    if (count > FEW)
        key = malloc(count * sizeof(*key));
    if (!key) {
        b->failed = b->failed ? b->failed : -ENOMEM;
        return;
    }
    json_each_member (d, object, k)
        key[i++] = k;
    sort(d, key, count);
    for (i = 0; i < count && !b->failed; i++)
        write_member(b, d, key[i], i == 0);
    if (key != few)
        free(key);
}

/* No zeros at either end. */
static bool is_plain_integer(const struct json_doc *d, json_ref n)
{
    struct str text = json_raw(d, n);
    return (d->node[n].flags & JSON_INTEGER) && text.p[text.n - 1] != '0';
}

/* Most objects that clients send are flat and stand in the canonical form: then the sum of the
 * parts is the whole. */
static bool is_canonical(const struct json_doc *d, json_ref object)
{
    size_t sum = 2;
    json_ref before = 0;
    json_each_member (d, object, k) {
        enum json_type type = json_type(d, k + 1);
        if (type == JSON_OBJECT || type == JSON_ARRAY ||
            ((d->node[k].flags | d->node[k + 1].flags) & JSON_ESCAPED) ||
            (type == JSON_NUMBER && !is_plain_integer(d, k + 1)) ||
            (before && order_keys(d, before, k) > 0))
            return false;
        sum += d->node[k].len + 1 + d->node[k + 1].len + (before != 0);
        before = k;
    }
    return sum == d->node[object].len;
}

static void write_object(struct buf *b, const struct json_doc *d, json_ref n)
{
    if (is_canonical(d, n)) {
        buf_str(b, json_raw(d, n));
        return;
    }
    buf_byte(b, '{');
    if (in_order(d, n)) {
        json_each_member (d, n, k)
            write_member(b, d, k, k == n + 1);
    } else {
        write_sorted(b, d, n);
    }
    buf_byte(b, '}');
}

static void write_array(struct buf *b, const struct json_doc *d, json_ref n)
{
    buf_byte(b, '[');
    json_each (d, n, it) {
        if (it != n + 1)
            buf_byte(b, ',');
        json_write_canonical(b, d, it);
    }
    buf_byte(b, ']');
}

/* As deep as the document, which was read with a limit to its depth. */
int json_write_canonical(struct buf *b, const struct json_doc *d, json_ref n)
{
    if (b->failed)
        return b->failed;
    switch (json_type(d, n)) {
    case JSON_NUMBER:
        if (is_plain_integer(d, n))
            buf_str(b, json_raw(d, n));
        else
            write_number(b, json_raw(d, n));
        break;
    case JSON_STRING:
        write_text(b, d, n);
        break;
    case JSON_ARRAY:
        write_array(b, d, n);
        break;
    case JSON_OBJECT:
        write_object(b, d, n);
        break;
    default:
        buf_str(b, json_raw(d, n));
    }
    return b->failed;
}
