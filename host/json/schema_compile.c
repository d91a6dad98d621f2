/* From a schema document to the compiled block.
 *
 * One walk over the places where schemas may stand gives every subschema a
 * unit; then references are resolved, loops refused, and the buffers packed into one block. */
#include "json/schema_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int schema_compile_error(struct schema_compiler *c, json_ref node, bool is_key,
                         const char *expected, const char *found_fmt, ...)
{
    struct schema_error *e = c->e;
    va_list ap;
    *e = (struct schema_error){.node = node, .is_key = is_key};
    schema_path(c->d, c->root, node, e->path);
    snprintf(e->expected, sizeof(e->expected), "%s", expected);
    va_start(ap, found_fmt);
    vsnprintf(e->found, sizeof(e->found), found_fmt, ap);
    va_end(ap);
    return -EINVAL;
}

int schema_compile_wrong(struct schema_compiler *c, json_ref value, const char *expected)
{
    char found[128];
    schema_describe(c->d, value, found, sizeof(found));
    return schema_compile_error(c, value, false, expected, "%s", found);
}

uint32_t schema_words(struct schema_compiler *c, uint32_t n)
{
    uint32_t index = (uint32_t)(c->words.len / sizeof(uint32_t));
    if (buf_reserve(&c->words, n * sizeof(uint32_t)))
        return SCHEMA_NONE;
    c->words.len += n * sizeof(uint32_t);
    return index;
}

int schema_keep_string(struct schema_compiler *c, json_ref node, uint32_t *ret_off,
                       uint32_t *ret_len)
{
    size_t off = c->text.len;
    int r = json_string_append(c->d, node, &c->text);
    if (r)
        return r;
    *ret_off = (uint32_t)off;
    *ret_len = (uint32_t)(c->text.len - off);
    return 0;
}

/* Copies the value with its nodes, shifted to where they now stand. */
int schema_keep_value(struct schema_compiler *c, json_ref node, uint32_t *ret)
{
    const struct json_node *from = &c->d->node[node];
    uint32_t count = from->next - node;
    uint32_t first = (uint32_t)(c->nodes.len / sizeof(*from)), off = (uint32_t)c->text.len;
    int r = buf_str(&c->text, json_raw(c->d, node));
    if (!r)
        r = buf_reserve(&c->nodes, count * sizeof(*from));
    if (r)
        return r;
    for (uint32_t i = 0; i < count; i++) {
        struct json_node n = from[i];
        n.off = n.off - from->off + off;
        n.next = n.next - node + first;
        buf_append(&c->nodes, &n, sizeof(n));
    }
    *ret = first;
    return 0;
}

int schema_draft_op(struct schema_compiler *c, struct schema_draft *b, enum schema_kw kw,
                    uint8_t types, uint32_t arg)
{
    if (b->ops == sizeof(b->op) / sizeof(*b->op))
        BUG("a schema with more operations than there are keywords");
    /* In the order of evaluation. */
    uint32_t i = b->ops++;
    for (; i > 0 && b->op[i - 1].kw > kw; i--)
        b->op[i] = b->op[i - 1];
    b->op[i] = (struct schema_op){.kw = (uint8_t)kw, .types = types, .arg = arg};
    return c->words.failed;
}

static int unit_add(struct schema_compiler *c, json_ref node, struct schema_place place,
                    uint32_t *ret)
{
    uint32_t unit = (uint32_t)(c->units.len / sizeof(struct schema_unit));
    struct schema_unit u = {.types = TYPES_ALL, .resource = (uint16_t)place.resource};
    if (unit >= SCHEMA_MAX_SUBSCHEMAS)
        return schema_compile_error(c, node, false, "at most 10000 subschemas", "more");
    if (json_is(c->d, node, JSON_FALSE)) {
        u.types = 0;
        u.flags = UNIT_FALSE;
    }
    *ret = unit;
    c->unit_of[node - c->root] = unit + 1;
    return buf_append(&c->units, &u, sizeof(u));
}

static int unit_finish(struct schema_compiler *c, const struct schema_draft *b)
{
    struct schema_unit *u = (struct schema_unit *)(void *)c->units.data + b->unit;
    u->op = (uint32_t)(c->ops.len / sizeof(struct schema_op));
    u->ops = (uint16_t)b->ops;
    u->resource = (uint16_t)b->place.resource;
    u->types = b->types;
    u->flags |= b->flags;
    return buf_append(&c->ops, b->op, b->ops * sizeof(*b->op));
}

static int unit_dialect(struct schema_compiler *c, struct schema_draft *b)
{
    static const struct {
        struct str uri;
        bool draft7;
    } dialects[] = {
        {STR("https://json-schema.org/draft/2020-12/schema"), false},
        {STR("http://json-schema.org/draft-07/schema"), true},
        {STR("https://json-schema.org/draft-07/schema"), true},
    };
    json_ref v = json_get(c->d, b->schema, STR("$schema"));
    if (!v)
        return 0;
    struct str name = json_inner(c->d, v);
    if (json_is(c->d, v, JSON_STRING) && name.n && name.p[name.n - 1] == '#')
        name.n--;
    for (size_t i = 0; i < sizeof(dialects) / sizeof(*dialects); i++) {
        if (json_is(c->d, v, JSON_STRING) && str_eq(name, dialects[i].uri)) {
            b->place.draft7 = dialects[i].draft7;
            return 0;
        }
    }
    return schema_compile_wrong(c, v, "the dialect 2020-12 or draft-07 of JSON Schema");
}

/* In draft-07 everything beside a $ref is ignored, but what it points at may stand there. */
static bool is_ignored(struct schema_compiler *c, const struct schema_draft *b, struct str key)
{
    return b->place.draft7 && json_get(c->d, b->schema, STR("$ref")) && !str_eq(key, STR("$ref")) &&
           !str_eq(key, STR("definitions")) && !str_eq(key, STR("$defs"));
}

static int unit_keywords(struct schema_compiler *c, struct schema_draft *b)
{
    int r = unit_dialect(c, b);
    json_ref id = is_ignored(c, b, STR("$id")) ? 0 : json_get(c->d, b->schema, STR("$id"));
    if (!r)
        r = schema_resource_add(c, b, id);
    if (r)
        return r;
    json_each_member (c->d, b->schema, key) {
        if (!is_ignored(c, b, json_inner(c->d, key)) && (r = schema_keyword(c, b, key)))
            return r;
    }
    if (!is_ignored(c, b, STR("properties")))
        r = schema_groups(c, b);
    return r ? r : unit_finish(c, b);
}

int schema_compile_unit(struct schema_compiler *c, json_ref node, struct schema_place place,
                        uint32_t *ret_unit)
{
    enum json_type type = json_type(c->d, node);
    if (type != JSON_OBJECT && type != JSON_TRUE && type != JSON_FALSE)
        return schema_compile_error(c, node, false, "a schema: an object, true or false", "%s",
                                    json_type_name(type));
    uint32_t unit = 0;
    int r = unit_add(c, node, place, &unit);
    if (r)
        return r;
    *ret_unit = unit;
    if (type != JSON_OBJECT)
        return 0;
    if (++c->depth > SCHEMA_NESTING)
        return schema_compile_error(c, node, false, "at most 128 schemas inside one another",
                                    "more");
    struct schema_draft b = {.schema = node, .place = place, .unit = unit, .types = TYPES_ALL};
    r = unit_keywords(c, &b);
    c->depth--;
    return r;
}

static void compiler_release(struct schema_compiler *c)
{
    struct buf *all[] = {&c->units,   &c->ops,      &c->words,    &c->nodes,
                         &c->text,    &c->patterns, &c->dynamics, &c->resources,
                         &c->anchors, &c->refs,     &c->names};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        buf_release(all[i]);
    free(c->unit_of);
}

/* Copies one buffer into the block, aligned. */
static void *place_part(char *block, size_t *at, const struct buf *part)
{
    char *to = block + *at;
    if (part->len)
        memcpy(to, part->data, part->len);
    *at += (part->len + 7) & ~(size_t)7;
    return to;
}

static int schema_pack(struct schema_compiler *c, struct schema **ret)
{
    const struct buf *part[] = {&c->patterns, &c->units,    &c->ops, &c->words,
                                &c->nodes,    &c->dynamics, &c->text};
    size_t size = (sizeof(struct schema) + 7) & ~(size_t)7, at = size;
    for (size_t i = 0; i < sizeof(part) / sizeof(*part); i++)
        size += (part[i]->len + 7) & ~(size_t)7;
    char *block = calloc(1, size);
    if (!block)
        return -ENOMEM;
    struct schema *s = (struct schema *)(void *)block;
    s->size = size + c->code_bytes;
    s->patterns = (uint32_t)(c->patterns.len / sizeof(struct schema_pattern));
    s->dynamics = (uint32_t)(c->dynamics.len / sizeof(struct schema_anchor));
    s->pattern = place_part(block, &at, &c->patterns);
    s->unit = place_part(block, &at, &c->units);
    s->op = place_part(block, &at, &c->ops);
    s->word = place_part(block, &at, &c->words);
    s->kept.node = place_part(block, &at, &c->nodes);
    s->kept.nodes = (uint32_t)(c->nodes.len / sizeof(struct json_node));
    s->dynamic = place_part(block, &at, &c->dynamics);
    s->text = place_part(block, &at, &c->text);
    s->kept.text = s->text;
    s->kept.len = (uint32_t)c->text.len;
    *ret = s;
    return 0;
}

static void free_patterns(struct schema_pattern *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        schema_pattern_free(&p[i]);
}

static int compiler_init(struct schema_compiler *c, const struct json_doc *d, json_ref root,
                         struct schema_error *e)
{
    struct buf *all[] = {&c->units,   &c->ops,      &c->words,    &c->nodes,
                         &c->text,    &c->patterns, &c->dynamics, &c->resources,
                         &c->anchors, &c->refs,     &c->names};
    *c = (struct schema_compiler){.d = d, .root = root, .e = e};
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        buf_init(all[i], SCHEMA_BYTES);
    c->unit_of = calloc(d->node[root].next - root, sizeof(uint32_t));
    /* So that an empty text has an address too. */
    if (!c->unit_of || buf_reserve(&c->text, 1) || buf_reserve(&c->names, 1) ||
        buf_reserve(&c->words, 1))
        return -ENOMEM;
    return 0;
}

int schema_compile(const struct json_doc *d, json_ref root, struct schema **ret,
                   struct schema_error *e)
{
    struct schema_compiler c;
    uint32_t unit;
    int r = compiler_init(&c, d, root, e);
    if (!r)
        r = schema_compile_unit(&c, root, (struct schema_place){0}, &unit);
    if (!r)
        r = schema_refs_resolve(&c);
    if (!r)
        r = schema_refs_check_loops(&c);
    if (!r)
        r = schema_pack(&c, ret);
    if (r)
        free_patterns((void *)c.patterns.data, c.patterns.len / sizeof(struct schema_pattern));
    if (r == -ENOMEM)
        schema_compile_error(&c, root, false, "memory for the schema", "none");
    else if (r && r != -EINVAL)
        r = schema_compile_error(&c, root, false, "a schema that fits into 8 MiB", "a larger one");
    compiler_release(&c);
    return r;
}

void schema_free(struct schema *s)
{
    if (!s)
        return;
    free_patterns(s->pattern, s->patterns);
    free(s);
}

bool schema_root_is_object(const struct schema *s, bool or_none)
{
    return s->unit[0].types == TYPES_OBJECT || (or_none && s->unit[0].types == TYPES_ALL);
}
