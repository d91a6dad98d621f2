/* The keywords of JSON Schema, each a row of one table: its shape, its operation, its dialects. */
#include "json/schema_internal.h"

#include <errno.h>
#include <stdio.h>

struct keyword;
typedef int keyword_fn(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                       json_ref value);

struct keyword {
    struct str name;
    keyword_fn *compile;
    enum schema_kw kw;
    uint8_t types; /* of the values it speaks about */
    uint8_t dialects;
};
enum { D2020 = 1, D7 = 2, BOTH = 3 };

/* ---- shapes ---- */

static int annotation(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                      json_ref value)
{
    (void)c, (void)b, (void)k, (void)value;
    return 0;
}

/* A non-negative integer, 2.0 included; what is beyond 32 bits is beyond every document. */
int schema_count(struct schema_compiler *c, json_ref value, uint32_t *ret)
{
    int64_t v;
    if (!json_is(c->d, value, JSON_NUMBER) || !schema_number_is_integer(c->d, value) ||
        json_raw(c->d, value).p[0] == '-')
        return schema_compile_wrong(c, value, "an integer, 0 or more");
    *ret = json_int(c->d, value, &v) && v < SCHEMA_NONE ? (uint32_t)v : SCHEMA_NONE - 1;
    return 0;
}

static int count(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                 json_ref value)
{
    uint32_t n = 0;
    int r = schema_count(c, value, &n);
    return r ? r : schema_draft_op(c, b, k->kw, k->types, n);
}

static int bound(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                 json_ref value)
{
    if (!json_is(c->d, value, JSON_NUMBER))
        return schema_compile_wrong(c, value, "a number");
    struct schema_number n = schema_number_parse(json_raw(c->d, value));
    if (k->kw == KW_MULTIPLE_OF && (n.negative || !n.digits))
        return schema_compile_wrong(c, value, "a number over 0");
    uint32_t at = schema_words(c, sizeof(n) / sizeof(uint32_t));
    if (at == SCHEMA_NONE)
        return c->words.failed;
    memcpy(schema_word(c, at), &n, sizeof(n));
    return schema_draft_op(c, b, k->kw, k->types, at);
}

static int type_name(struct schema_compiler *c, json_ref value, uint8_t *types)
{
    static const struct {
        struct str name;
        uint8_t types;
    } names[] = {{STR("null"), 1 << JSON_NULL},   {STR("boolean"), TYPES_BOOLEAN},
                 {STR("integer"), TYPES_INTEGER}, {STR("number"), TYPES_NUMBER},
                 {STR("string"), TYPES_STRING},   {STR("array"), TYPES_ARRAY},
                 {STR("object"), TYPES_OBJECT}};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (json_string_eq(c->d, value, names[i].name)) {
            *types |= names[i].types;
            return 0;
        }
    }
    return schema_compile_wrong(
        c, value,
        "one of \"null\", \"boolean\", \"integer\", \"number\", \"string\", \"array\", "
        "\"object\", or a list of them");
}

static int type(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                json_ref value)
{
    uint8_t types = 0;
    int r = 0;
    (void)k;
    if (!json_is(c->d, value, JSON_ARRAY))
        r = type_name(c, value, &types);
    else if (!json_first(c->d, value))
        r = schema_compile_wrong(c, value, "at least one type");
    else
        json_each (c->d, value, it) {
            if ((r = type_name(c, it, &types)))
                return r;
        }
    b->types = types & TYPES_NUMBER ? types & (uint8_t)~TYPES_INTEGER : types;
    return r;
}

static uint32_t list_new(struct schema_compiler *c, uint32_t n)
{
    uint32_t at = schema_words(c, 1 + n);
    if (at != SCHEMA_NONE)
        *schema_word(c, at) = n;
    return at;
}

static int constants(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                     json_ref value)
{
    bool single = k->types == 0; /* const */
    if (!single && !json_is(c->d, value, JSON_ARRAY))
        return schema_compile_wrong(c, value, "a list of values");
    uint32_t at = list_new(c, single ? 1 : c->d->node[value].count), i = 1;
    if (at == SCHEMA_NONE)
        return c->words.failed;
    int r = 0;
    if (single)
        r = schema_keep_value(c, value, schema_word(c, at + 1));
    else
        json_each (c->d, value, it) {
            if ((r = schema_keep_value(c, it, schema_word(c, at + i++))))
                return r;
        }
    return r ? r : schema_draft_op(c, b, k->kw, TYPES_ALL, at);
}

static int unique(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                  json_ref value)
{
    if (json_is(c->d, value, JSON_FALSE))
        return 0;
    if (!json_is(c->d, value, JSON_TRUE))
        return schema_compile_wrong(c, value, "true or false");
    return schema_draft_op(c, b, k->kw, k->types, 0);
}

static int one_schema(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                      json_ref value)
{
    uint32_t unit;
    int r = schema_compile_unit(c, value, b->place, &unit);
    if (k->kw == KW_UNEVALUATED_ITEMS || k->kw == KW_UNEVALUATED_PROPERTIES)
        b->flags |= UNIT_TRACKS;
    return r ? r : schema_draft_op(c, b, k->kw, k->types, unit);
}

/* A schema that says nothing here: contentSchema. */
static int idle_schema(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                       json_ref value)
{
    uint32_t unit;
    (void)k;
    return schema_compile_unit(c, value, b->place, &unit);
}

static int schemas(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                   json_ref value)
{
    if (!json_is(c->d, value, JSON_ARRAY) || !json_first(c->d, value))
        return schema_compile_wrong(c, value, "a list of at least one schema");
    uint32_t at = list_new(c, c->d->node[value].count), i = 1, unit;
    if (at == SCHEMA_NONE)
        return c->words.failed;
    json_each (c->d, value, it) {
        int r = schema_compile_unit(c, it, b->place, &unit);
        if (r)
            return r;
        *schema_word(c, at + i++) = unit;
    }
    return schema_draft_op(c, b, k->kw, k->types, at);
}

static int definitions(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                       json_ref value)
{
    uint32_t unit;
    (void)k;
    if (!json_is(c->d, value, JSON_OBJECT))
        return schema_compile_wrong(c, value, "an object of schemas");
    json_each_member (c->d, value, key) {
        int r = schema_compile_unit(c, key + 1, b->place, &unit);
        if (r)
            return r;
    }
    return 0;
}

static uint32_t pairs_new(struct schema_compiler *c, uint32_t n)
{
    uint32_t words = sizeof(struct schema_pair) / sizeof(uint32_t);
    uint32_t at = schema_words(c, 1 + n * words);
    if (at != SCHEMA_NONE)
        *schema_word(c, at) = n;
    return at;
}

static struct schema_pair *pair_at(struct schema_compiler *c, uint32_t at, uint32_t i)
{
    return &((struct schema_pairs *)(void *)schema_word(c, at))->pair[i];
}

static int needed_names(struct schema_compiler *c, json_ref value)
{
    if (!json_is(c->d, value, JSON_ARRAY))
        return schema_compile_wrong(c, value, "a list of property names");
    json_each (c->d, value, it) {
        if (!json_is(c->d, it, JSON_STRING))
            return schema_compile_wrong(c, it, "a property name");
    }
    return 0;
}

/* Both kinds of dependency, told apart by their values, as draft-07 mixes them. */
static int dependencies_of(struct schema_compiler *c, struct schema_draft *b, json_ref value,
                           bool lists, bool accept_lists, bool accept_schemas)
{
    uint32_t n = 0, i = 0;
    json_each_member (c->d, value, key) {
        bool list = accept_lists && (json_is(c->d, key + 1, JSON_ARRAY) || !accept_schemas);
        int r = list ? needed_names(c, key + 1) : 0;
        if (r)
            return r;
        n += list != lists ? 0 : list ? c->d->node[key + 1].count : 1;
    }
    if (!n)
        return 0;
    uint32_t at = pairs_new(c, n);
    if (at == SCHEMA_NONE)
        return c->words.failed;
    json_each_member (c->d, value, key) {
        bool list = accept_lists && (json_is(c->d, key + 1, JSON_ARRAY) || !accept_schemas);
        struct schema_pair p = {0};
        if (list != lists)
            continue;
        int r = schema_keep_string(c, key, &p.off, &p.len);
        if (!r && !list)
            r = schema_compile_unit(c, key + 1, b->place, &p.unit);
        if (r)
            return r;
        if (!list) {
            *pair_at(c, at, i++) = p;
            continue;
        }
        json_each (c->d, key + 1, it) {
            if ((r = schema_keep_string(c, it, &p.unit, &p.need_len)))
                return r;
            *pair_at(c, at, i++) = p;
        }
    }
    return schema_draft_op(c, b, lists ? KW_DEPENDENT_REQUIRED : KW_DEPENDENT_SCHEMAS, TYPES_OBJECT,
                           at);
}

static int dependencies(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                        json_ref value)
{
    bool lists = k->kw != KW_DEPENDENT_SCHEMAS, units = k->kw != KW_DEPENDENT_REQUIRED;
    if (!json_is(c->d, value, JSON_OBJECT))
        return schema_compile_wrong(c, value, "an object of dependencies");
    int r = lists ? dependencies_of(c, b, value, true, lists, units) : 0;
    if (!r && units)
        r = dependencies_of(c, b, value, false, lists, units);
    return r;
}

static int pattern(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                   json_ref value)
{
    uint32_t index;
    int r = schema_keep_pattern(c, value, &index);
    return r ? r : schema_draft_op(c, b, k->kw, k->types, index);
}

static int reference(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                     json_ref value)
{
    return schema_ref_add(c, b, value, k->kw == KW_DYNAMIC_REF);
}

static int anchor(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                  json_ref value)
{
    if (!json_is(c->d, value, JSON_STRING))
        return schema_compile_wrong(c, value, "a name");
    return schema_anchor_add(c, b, value, json_inner(c->d, value), k->types != 0);
}

/* Looked at together with its kin, in schema_groups(). */
static int grouped(struct schema_compiler *c, struct schema_draft *b, const struct keyword *k,
                   json_ref value)
{
    (void)c, (void)b, (void)k, (void)value;
    return 0;
}

/* ---- the table ---- */

static const struct keyword keywords[] = {
    {STR("type"), type, KW_COUNT, 0, BOTH},
    {STR("enum"), constants, KW_ENUM, 1, BOTH},
    {STR("const"), constants, KW_ENUM, 0, BOTH},
    {STR("minimum"), bound, KW_MINIMUM, TYPES_NUMBER, BOTH},
    {STR("maximum"), bound, KW_MAXIMUM, TYPES_NUMBER, BOTH},
    {STR("exclusiveMinimum"), bound, KW_EXCLUSIVE_MINIMUM, TYPES_NUMBER, BOTH},
    {STR("exclusiveMaximum"), bound, KW_EXCLUSIVE_MAXIMUM, TYPES_NUMBER, BOTH},
    {STR("multipleOf"), bound, KW_MULTIPLE_OF, TYPES_NUMBER, BOTH},
    {STR("minLength"), count, KW_MIN_LENGTH, TYPES_STRING, BOTH},
    {STR("maxLength"), count, KW_MAX_LENGTH, TYPES_STRING, BOTH},
    {STR("pattern"), pattern, KW_PATTERN, TYPES_STRING, BOTH},
    {STR("minItems"), count, KW_MIN_ITEMS, TYPES_ARRAY, BOTH},
    {STR("maxItems"), count, KW_MAX_ITEMS, TYPES_ARRAY, BOTH},
    {STR("uniqueItems"), unique, KW_UNIQUE_ITEMS, TYPES_ARRAY, BOTH},
    {STR("minProperties"), count, KW_MIN_PROPERTIES, TYPES_OBJECT, BOTH},
    {STR("maxProperties"), count, KW_MAX_PROPERTIES, TYPES_OBJECT, BOTH},
    {STR("propertyNames"), one_schema, KW_PROPERTY_NAMES, TYPES_OBJECT, BOTH},
    {STR("allOf"), schemas, KW_ALL_OF, TYPES_ALL, BOTH},
    {STR("anyOf"), schemas, KW_ANY_OF, TYPES_ALL, BOTH},
    {STR("oneOf"), schemas, KW_ONE_OF, TYPES_ALL, BOTH},
    {STR("not"), one_schema, KW_NOT, TYPES_ALL, BOTH},
    {STR("dependentRequired"), dependencies, KW_DEPENDENT_REQUIRED, TYPES_OBJECT, D2020},
    {STR("dependentSchemas"), dependencies, KW_DEPENDENT_SCHEMAS, TYPES_OBJECT, D2020},
    {STR("dependencies"), dependencies, KW_COUNT, TYPES_OBJECT, BOTH},
    {STR("unevaluatedItems"), one_schema, KW_UNEVALUATED_ITEMS, TYPES_ARRAY, D2020},
    {STR("unevaluatedProperties"), one_schema, KW_UNEVALUATED_PROPERTIES, TYPES_OBJECT, D2020},
    {STR("properties"), grouped, KW_COUNT, 0, BOTH},
    {STR("patternProperties"), grouped, KW_COUNT, 0, BOTH},
    {STR("additionalProperties"), grouped, KW_COUNT, 0, BOTH},
    {STR("required"), grouped, KW_COUNT, 0, BOTH},
    {STR("prefixItems"), grouped, KW_COUNT, 0, D2020},
    {STR("items"), grouped, KW_COUNT, 0, BOTH},
    {STR("additionalItems"), grouped, KW_COUNT, 0, D7},
    {STR("contains"), grouped, KW_COUNT, 0, BOTH},
    {STR("minContains"), grouped, KW_COUNT, 0, D2020},
    {STR("maxContains"), grouped, KW_COUNT, 0, D2020},
    {STR("if"), grouped, KW_COUNT, 0, BOTH},
    {STR("then"), grouped, KW_COUNT, 0, BOTH},
    {STR("else"), grouped, KW_COUNT, 0, BOTH},
    {STR("$ref"), reference, KW_REF, 0, BOTH},
    {STR("$dynamicRef"), reference, KW_DYNAMIC_REF, 0, D2020},
    {STR("$anchor"), anchor, KW_COUNT, 0, D2020},
    {STR("$dynamicAnchor"), anchor, KW_COUNT, 1, D2020},
    {STR("$defs"), definitions, KW_COUNT, 0, BOTH},
    {STR("definitions"), definitions, KW_COUNT, 0, BOTH},
    {STR("$id"), annotation, KW_COUNT, 0, BOTH}, /* schema_resource_add() */
    {STR("$schema"), annotation, KW_COUNT, 0, BOTH},
    {STR("$vocabulary"), annotation, KW_COUNT, 0, D2020},
    {STR("$comment"), annotation, KW_COUNT, 0, BOTH},
    {STR("title"), annotation, KW_COUNT, 0, BOTH},
    {STR("description"), annotation, KW_COUNT, 0, BOTH},
    {STR("default"), annotation, KW_COUNT, 0, BOTH},
    {STR("examples"), annotation, KW_COUNT, 0, BOTH},
    {STR("deprecated"), annotation, KW_COUNT, 0, BOTH},
    {STR("readOnly"), annotation, KW_COUNT, 0, BOTH},
    {STR("writeOnly"), annotation, KW_COUNT, 0, BOTH},
    {STR("format"), annotation, KW_COUNT, 0, BOTH},
    {STR("contentEncoding"), annotation, KW_COUNT, 0, BOTH},
    {STR("contentMediaType"), annotation, KW_COUNT, 0, BOTH},
    {STR("contentSchema"), idle_schema, KW_COUNT, 0, D2020},
};

static int unknown(struct schema_compiler *c, const struct schema_draft *b, json_ref key,
                   struct str name)
{
    char expected[128];
    const char *dialect = b->place.draft7 ? "draft-07" : "2020-12";
    uint8_t bit = b->place.draft7 ? D7 : D2020;
    snprintf(expected, sizeof(expected), "a keyword of JSON Schema %s", dialect);
    for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++) {
        if ((keywords[i].dialects & bit) && schema_one_edit(name, keywords[i].name))
            return schema_compile_error(c, key, true, expected, "\"%.*s\" (did you mean \"%.*s\"?)",
                                        (int)(name.n > 40 ? 40 : name.n), name.p,
                                        STR_FMT(keywords[i].name));
    }
    return schema_compile_error(c, key, true, expected, "\"%.*s\"",
                                (int)(name.n > 100 ? 100 : name.n), name.p);
}

int schema_keyword(struct schema_compiler *c, struct schema_draft *b, json_ref key)
{
    struct str name = json_inner(c->d, key);
    uint8_t bit = b->place.draft7 ? D7 : D2020;
    for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++) {
        const struct keyword *k = &keywords[i];
        if (k->name.n == name.n && (k->dialects & bit) && str_eq(k->name, name))
            return k->compile(c, b, k, key + 1);
    }
    return str_starts(name, STR("x-")) ? 0 : unknown(c, b, key, name);
}
