/* Keywords that only make sense together: the members of an object, the elements of an array,
 * contains and its counts, if and its branches. */
#include "json/schema_internal.h"

#include <errno.h>
#include <stdlib.h>

static json_ref keyword(struct schema_compiler *c, const struct schema_draft *b, struct str name)
{
    return json_get(c->d, b->schema, name);
}

int schema_keep_pattern(struct schema_compiler *c, json_ref node, uint32_t *ret)
{
    struct schema_pattern p = {0};
    struct err why;
    if (!json_is(c->d, node, JSON_STRING))
        return schema_compile_wrong(c, node, "a pattern");
    *ret = (uint32_t)(c->patterns.len / sizeof(p));
    if (*ret >= SCHEMA_PATTERNS)
        return schema_compile_error(c, node, false, "at most 1000 patterns", "more");
    int r = schema_keep_string(c, node, &p.off, &p.len);
    if (r)
        return r;
    r = schema_pattern_compile((struct str){c->text.data + p.off, p.len}, &p, &why);
    if (r == -ENOMEM)
        return r;
    if (r)
        return schema_compile_error(c, node, false, "a pattern of ECMA-262", "%s", why.text);
    c->code_bytes += p.size;
    if (c->code_bytes > SCHEMA_CODE_BYTES)
        r = -ENOBUFS;
    if (!r)
        r = buf_append(&c->patterns, &p, sizeof(p));
    if (r)
        schema_pattern_free(&p);
    return r;
}

/* ---- objects ---- */

/* Rows are gathered here and sorted before they become words. */
struct rows {
    struct schema_member *row;
    uint32_t count, required;
};

static struct str row_name(const struct schema_compiler *c, const struct schema_member *m)
{
    return (struct str){c->text.data + m->off, m->len};
}

static int row_add(struct schema_compiler *c, struct rows *rows, json_ref key, uint32_t unit)
{
    uint32_t off, len;
    int r = schema_keep_string(c, key, &off, &len);
    if (r)
        return r;
    if (len >= 1 << 24)
        return -ENOBUFS;
    rows->row[rows->count++] = (struct schema_member){.off = off, .len = len, .unit = unit};
    return 0;
}

static int rows_properties(struct schema_compiler *c, struct schema_draft *b, struct rows *rows,
                           json_ref value)
{
    json_each_member (c->d, value, key) {
        uint32_t unit;
        int r = schema_compile_unit(c, key + 1, b->place, &unit);
        if (!r)
            r = row_add(c, rows, key, unit);
        if (r)
            return r;
    }
    return 0;
}

static int rows_required(struct schema_compiler *c, struct rows *rows, json_ref value)
{
    json_each (c->d, value, it) {
        if (!json_is(c->d, it, JSON_STRING))
            return schema_compile_wrong(c, it, "a property name");
        int r = row_add(c, rows, it, SCHEMA_NONE);
        if (r)
            return r;
        rows->row[rows->count - 1].required = 1;
    }
    return 0;
}

/* By length first: most names that differ are told apart without looking at them. */
static int row_cmp(const struct schema_compiler *c, const struct schema_member *a,
                   const struct schema_member *b)
{
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return str_cmp(row_name(c, a), row_name(c, b));
}

/* Heap sort: no list is bad for it. */
static void rows_sift(const struct schema_compiler *c, struct schema_member *row, uint32_t i,
                      uint32_t n)
{
    for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && row_cmp(c, &row[child], &row[child + 1]) < 0)
            child++;
        if (row_cmp(c, &row[i], &row[child]) >= 0)
            return;
        struct schema_member m = row[i];
        row[i] = row[child];
        row[child] = m;
    }
}

static void rows_sort(const struct schema_compiler *c, const struct rows *rows)
{
    for (uint32_t i = rows->count / 2; i-- > 0;)
        rows_sift(c, rows->row, i, rows->count);
    for (uint32_t n = rows->count; n > 1; n--) {
        struct schema_member m = rows->row[0];
        rows->row[0] = rows->row[n - 1];
        rows->row[n - 1] = m;
        rows_sift(c, rows->row, 0, n - 1);
    }
}

/* A name that both properties and required have becomes one row. */
static void rows_merge(const struct schema_compiler *c, struct rows *rows)
{
    uint32_t out = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        struct schema_member *m = &rows->row[i], *last = out ? &rows->row[out - 1] : NULL;
        if (!last || row_cmp(c, last, m)) {
            rows->row[out++] = *m;
            continue;
        }
        last->unit = last->unit == SCHEMA_NONE ? m->unit : last->unit;
        last->required |= m->required;
    }
    rows->count = out;
    for (uint32_t i = 0; i < out; i++) {
        if (!rows->row[i].required)
            continue;
        uint32_t bit = rows->required++;
        rows->row[i].required = 1 + (bit < SCHEMA_MASKED ? bit : SCHEMA_MASKED);
    }
}

static int rules_of(struct schema_compiler *c, struct schema_draft *b, struct schema_rule *rule,
                    json_ref value)
{
    json_each_member (c->d, value, key) {
        int r = schema_keep_pattern(c, key, &rule->pattern);
        if (!r)
            r = schema_compile_unit(c, key + 1, b->place, &rule->unit);
        if (r)
            return r;
        rule++;
    }
    return 0;
}

static uint32_t count_of(const struct schema_compiler *c, json_ref list)
{
    return list ? c->d->node[list].count : 0;
}

/* Rows and rules are gathered outside of the words, which grow while subschemas are compiled. */
static int object_fill(struct schema_compiler *c, struct schema_draft *b, struct rows *rows,
                       struct schema_rule *rule, const json_ref part[4])
{
    struct schema_object o = {.additional = SCHEMA_NONE, .patterns = count_of(c, part[1])};
    int r = part[0] ? rows_properties(c, b, rows, part[0]) : 0;
    if (!r && part[1])
        r = rules_of(c, b, rule, part[1]);
    if (!r && part[2])
        r = schema_compile_unit(c, part[2], b->place, &o.additional);
    if (!r && part[3])
        r = rows_required(c, rows, part[3]);
    if (r)
        return r;
    rows_sort(c, rows);
    rows_merge(c, rows);
    o.members = rows->count;
    o.required = rows->required;
    size_t rows_size = rows->count * sizeof(*rows->row), rules_size = o.patterns * sizeof(*rule);
    uint32_t at = schema_words(c, (uint32_t)((sizeof(o) + rows_size + rules_size) / 4));
    if (at == SCHEMA_NONE)
        return c->words.failed;
    char *to = (char *)schema_word(c, at);
    memcpy(to, &o, sizeof(o));
    memcpy(to + sizeof(o), rows->row, rows_size);
    memcpy(to + sizeof(o) + rows_size, rule, rules_size);
    return schema_draft_op(c, b, KW_OBJECT, TYPES_OBJECT, at);
}

static int object_group(struct schema_compiler *c, struct schema_draft *b)
{
    const json_ref part[4] = {
        keyword(c, b, STR("properties")), keyword(c, b, STR("patternProperties")),
        keyword(c, b, STR("additionalProperties")), keyword(c, b, STR("required"))};
    if (!part[0] && !part[1] && !part[2] && !part[3])
        return 0;
    for (int i = 0; i < 2; i++) {
        if (part[i] && !json_is(c->d, part[i], JSON_OBJECT))
            return schema_compile_wrong(c, part[i], "an object of schemas");
    }
    if (part[3] && !json_is(c->d, part[3], JSON_ARRAY))
        return schema_compile_wrong(c, part[3], "a list of property names");
    struct rows rows = {
        .row = calloc(1 + (size_t)count_of(c, part[0]) + count_of(c, part[3]), sizeof(*rows.row))};
    struct schema_rule *rule = calloc(1 + (size_t)count_of(c, part[1]), sizeof(*rule));
    int r = rows.row && rule ? object_fill(c, b, &rows, rule, part) : -ENOMEM;
    free(rows.row);
    free(rule);
    return r;
}

/* ---- arrays ---- */

static int items_group(struct schema_compiler *c, struct schema_draft *b)
{
    json_ref items = keyword(c, b, STR("items")), prefix = keyword(c, b, STR("prefixItems"));
    json_ref rest = items;
    if (b->place.draft7) {
        bool tuple = items && json_is(c->d, items, JSON_ARRAY);
        json_ref additional = keyword(c, b, STR("additionalItems"));
        prefix = tuple ? items : 0;
        rest = tuple || !items ? additional : items;
        if (!items) {
            /* Says nothing alone, but may hold what a $ref points at. */
            uint32_t idle;
            return additional ? schema_compile_unit(c, additional, b->place, &idle) : 0;
        }
    }
    if (!prefix && !rest)
        return 0;
    if (prefix &&
        (!json_is(c->d, prefix, JSON_ARRAY) || (!b->place.draft7 && !json_first(c->d, prefix))))
        return schema_compile_wrong(c, prefix, "a list of at least one schema");
    uint32_t n = count_of(c, prefix), at = schema_words(c, 2 + n), i = 2;
    if (at == SCHEMA_NONE)
        return c->words.failed;
    *schema_word(c, at) = SCHEMA_NONE;
    *schema_word(c, at + 1) = n;
    if (prefix)
        json_each (c->d, prefix, it) {
            uint32_t unit;
            int r = schema_compile_unit(c, it, b->place, &unit);
            if (r)
                return r;
            *schema_word(c, at + i++) = unit;
        }
    if (rest) {
        uint32_t unit;
        int r = schema_compile_unit(c, rest, b->place, &unit);
        if (r)
            return r;
        *schema_word(c, at) = unit;
    }
    return schema_draft_op(c, b, KW_ITEMS, TYPES_ARRAY, at);
}

static int contains_group(struct schema_compiler *c, struct schema_draft *b)
{
    json_ref value = keyword(c, b, STR("contains")), min = 0, max = 0;
    struct schema_contains k = {.min = 1, .max = SCHEMA_NONE};
    if (!b->place.draft7) {
        min = keyword(c, b, STR("minContains"));
        max = keyword(c, b, STR("maxContains"));
    }
    int r = min ? schema_count(c, min, &k.min) : 0;
    if (!r && max)
        r = schema_count(c, max, &k.max);
    if (!r && value)
        r = schema_compile_unit(c, value, b->place, &k.unit);
    if (r || !value)
        return r;
    uint32_t at = schema_words(c, sizeof(k) / sizeof(uint32_t));
    if (at == SCHEMA_NONE)
        return c->words.failed;
    memcpy(schema_word(c, at), &k, sizeof(k));
    return schema_draft_op(c, b, KW_CONTAINS, TYPES_ARRAY, at);
}

static int if_group(struct schema_compiler *c, struct schema_draft *b)
{
    static const struct str name[] = {STR("if"), STR("then"), STR("else")};
    uint32_t unit[3] = {SCHEMA_NONE, SCHEMA_NONE, SCHEMA_NONE};
    for (int i = 0; i < 3; i++) {
        json_ref value = keyword(c, b, name[i]);
        int r = value ? schema_compile_unit(c, value, b->place, &unit[i]) : 0;
        if (r)
            return r;
    }
    /* Branches without a test say nothing, a test without branches only makes annotations. */
    if (unit[0] == SCHEMA_NONE)
        return 0;
    uint32_t at = schema_words(c, 3);
    if (at == SCHEMA_NONE)
        return c->words.failed;
    memcpy(schema_word(c, at), unit, sizeof(unit));
    return schema_draft_op(c, b, KW_IF, TYPES_ALL, at);
}

int schema_groups(struct schema_compiler *c, struct schema_draft *b)
{
    int r = object_group(c, b);
    if (!r)
        r = items_group(c, b);
    if (!r)
        r = contains_group(c, b);
    return r ? r : if_group(c, b);
}
