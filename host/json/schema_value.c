/* Looking at values: strings without their escapes, their length, equal elements. */
#include "json/schema_internal.h"

#include <errno.h>
#include <stdlib.h>
#include "json/scan.h"

bool schema_string(struct schema_run *r, json_ref node, struct str *ret)
{
    if (!(r->d->node[node].flags & JSON_ESCAPED)) {
        *ret = json_inner(r->d, node);
        return true;
    }
    if (!schema_step(r, r->d->node[node].len / 64))
        return false;
    buf_clear(&r->scratch, SIZE_MAX);
    *ret = json_string(r->d, node, &r->scratch);
    if (r->scratch.failed)
        r->status = -ENOMEM;
    return !r->scratch.failed;
}

static uint32_t code_points(struct str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

uint32_t schema_string_length(const struct json_doc *d, json_ref node)
{
    struct str s = json_inner(d, node), piece;
    if (!(d->node[node].flags & JSON_ESCAPED))
        return code_points(s);
    struct scan_pieces it = {s.p, s.p + s.n, {0}};
    uint32_t n = 0;
    while (scan_piece(&it, &piece))
        n += code_points(piece);
    return n;
}

/* ---- uniqueItems ---- */

struct item {
    uint64_t hash;
    json_ref node;
};

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static uint64_t number_hash(struct str text)
{
    struct schema_number n = schema_number_parse(text);
    return mix(mix(n.digits, (uint32_t)n.exponent), n.negative);
}

/* Equal values have equal hashes: members are added, so that their order does not matter.  As
 * deep as the document, which was read with a limit. */
static uint64_t value_hash(const struct json_doc *d, json_ref node)
{
    const struct json_node *n = &d->node[node];
    uint64_t h = mix(n->type, n->count);
    switch (json_type(d, node)) {
    case JSON_NUMBER:
        return mix(h, number_hash(json_raw(d, node)));
    case JSON_STRING:
        return mix(h, scan_hash(json_inner(d, node), n->flags));
    case JSON_ARRAY:
        json_each (d, node, it)
            h = mix(h, value_hash(d, it));
        return h;
    case JSON_OBJECT:
        json_each_member (d, node, key)
            h += mix(value_hash(d, key), value_hash(d, key + 1));
        return h;
    default:
        return h;
    }
}

static int item_cmp(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->node > y->node) - (x->node < y->node);
}

/* Steps that comparing the value with an equal one may take. */
static uint32_t equal_cost(const struct json_doc *d, json_ref node)
{
    return 1 + (d->node[node].next - node) / 4 + d->node[node].len / 256;
}

/* The twin is the later one of the earliest pair. */
static bool twins(struct schema_run *r, const struct item *item, uint32_t count, json_ref *ret_twin)
{
    json_ref twin = 0;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = i + 1; j < count && item[j].hash == item[i].hash; j++) {
            if (!schema_step(r, equal_cost(r->d, item[j].node)))
                return true;
            if (json_equal(r->d, item[i].node, r->d, item[j].node)) {
                twin = !twin || item[j].node < twin ? item[j].node : twin;
                break;
            }
        }
    }
    if (twin)
        *ret_twin = twin;
    return twin != 0;
}

bool schema_unique(struct schema_run *r, json_ref array, json_ref *ret_twin)
{
    enum { FEW = 32 };
    struct item few[FEW], *item = few;
    uint32_t count = r->d->node[array].count, i = 0;
    if (count < 2)
        return true;
    if (!schema_step(r, count / 4 + equal_cost(r->d, array)))
        return false;
    if (count > FEW && !(item = malloc(count * sizeof(*item)))) {
        r->status = -ENOMEM;
        return false;
    }
    json_each (r->d, array, it)
        item[i++] = (struct item){value_hash(r->d, it), it};
    qsort(item, count, sizeof(*item), item_cmp);
    bool found = twins(r, item, count, ret_twin);
    if (item != few)
        free(item);
    return !found && !r->status;
}
