/* $id, $anchor, $ref: which subschema a reference names, all within one document. */
#include "json/schema_internal.h"

#include <errno.h>
#include <stdlib.h>

/* Never fetched; gives relative references something to be resolved against. */
#define DEFAULT_BASE "schema:///"

struct resource {
    uint32_t uri, uri_len; /* in names */
    json_ref root;
};

struct anchor {
    uint32_t resource, unit;
    uint32_t name, name_len; /* in names */
    bool dynamic;
};

struct ref {
    uint32_t resource, unit;
    json_ref value;
    bool dynamic;
};

#define TABLE(buffer, type) ((type *)(void *)(buffer).data)
#define ROWS(buffer, type)  ((buffer).len / sizeof(type))

static struct str name_of(const struct schema_compiler *c, uint32_t off, uint32_t len)
{
    return (struct str){c->names.data + off, len};
}

static struct str base_of(const struct schema_compiler *c, uint32_t resource)
{
    const struct resource *r = &TABLE(c->resources, struct resource)[resource];
    return name_of(c, r->uri, r->uri_len);
}

static struct str fragment_of(struct str ref)
{
    const char *hash = ref.n ? memchr(ref.p, '#', ref.n) : NULL;
    if (!hash)
        return STR_NONE;
    return (struct str){hash + 1, ref.n - (size_t)(hash + 1 - ref.p)};
}

static int resource_find(const struct schema_compiler *c, struct str uri, uint32_t *ret)
{
    for (uint32_t i = 0; i < ROWS(c->resources, struct resource); i++) {
        if (str_eq(base_of(c, i), uri)) {
            *ret = i;
            return 0;
        }
    }
    return -ENOENT;
}

/* The value of a string that is a URI reference, escapes resolved; in names. */
static int text_of(struct schema_compiler *c, json_ref value, struct str *ret)
{
    if (!json_is(c->d, value, JSON_STRING))
        return schema_compile_wrong(c, value, "a URI reference");
    size_t before = c->names.len;
    int r = json_string_append(c->d, value, &c->names);
    *ret = (struct str){c->names.data + before, c->names.len - before};
    return r;
}

static int resource_new(struct schema_compiler *c, struct schema_draft *b, struct str uri,
                        json_ref value)
{
    struct resource row = {(uint32_t)c->names.len, (uint32_t)uri.n, b->schema};
    uint32_t other;
    if (!resource_find(c, uri, &other))
        return schema_compile_error(c, value, false, "an $id of its own",
                                    "one that another schema here has");
    b->place.resource = (uint32_t)ROWS(c->resources, struct resource);
    int r = buf_str(&c->names, uri);
    return r ? r : buf_append(&c->resources, &row, sizeof(row));
}

int schema_resource_add(struct schema_compiler *c, struct schema_draft *b, json_ref value)
{
    struct str id, base = STR(DEFAULT_BASE), fragment = STR_NONE;
    char uri[SCHEMA_URI];
    size_t len;
    bool first = !c->resources.len;
    if (!value)
        return first ? resource_new(c, b, base, b->schema) : 0;
    int r = text_of(c, value, &id);
    if (r)
        return r;
    fragment = fragment_of(id);
    if (b->place.draft7 && fragment.n && fragment.p == id.p + 1) {
        /* draft-07's spelling of $anchor */
        r = first ? resource_new(c, b, base, b->schema) : 0;
        return r ? r : schema_anchor_add(c, b, value, fragment, false);
    }
    if (fragment.n)
        return schema_compile_wrong(c, value, "an $id without a fragment");
    if (!first)
        base = base_of(c, b->place.resource);
    r = schema_uri_resolve(base, id, uri, &len);
    if (r == -ENOMEM)
        return r;
    if (r)
        return schema_compile_error(c, value, false, "an $id of at most 1024 bytes",
                                    "a longer one");
    return resource_new(c, b, (struct str){uri, len}, value);
}

static bool is_anchor_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_';
        if (!letter && !(i && ((ch >= '0' && ch <= '9') || ch == '-' || ch == '.' || ch == ':')))
            return false;
    }
    return s.n > 0;
}

static const struct anchor *anchor_find(const struct schema_compiler *c, uint32_t resource,
                                        struct str name)
{
    const struct anchor *a = TABLE(c->anchors, struct anchor);
    for (size_t i = 0; i < ROWS(c->anchors, struct anchor); i++) {
        if (a[i].resource == resource && str_eq(name_of(c, a[i].name, a[i].name_len), name))
            return &a[i];
    }
    return NULL;
}

int schema_anchor_add(struct schema_compiler *c, struct schema_draft *b, json_ref value,
                      struct str name, bool dynamic)
{
    if (!is_anchor_name(name))
        return schema_compile_wrong(c, value, "a name of letters, digits, '-', '_' and '.'");
    const struct anchor *other = anchor_find(c, b->place.resource, name);
    if (other && (other->unit != b->unit || other->dynamic == dynamic))
        return schema_compile_error(c, value, false, "an anchor of its own",
                                    "one that another schema here has");
    /* The name may lie in names itself, which moves as it grows. */
    char copy[SCHEMA_URI];
    if (name.n > sizeof(copy))
        return schema_compile_error(c, value, false, "a name of at most 1024 bytes",
                                    "a longer one");
    memcpy(copy, name.p, name.n);
    struct anchor row = {b->place.resource, b->unit, (uint32_t)c->names.len, (uint32_t)name.n,
                         dynamic};
    int r = buf_append(&c->names, copy, name.n);
    return r ? r : buf_append(&c->anchors, &row, sizeof(row));
}

int schema_ref_add(struct schema_compiler *c, struct schema_draft *b, json_ref value, bool dynamic)
{
    struct ref row = {b->place.resource, b->unit, value, dynamic};
    if (!json_is(c->d, value, JSON_STRING))
        return schema_compile_wrong(c, value, "a URI reference");
    int r = schema_draft_op(c, b, dynamic ? KW_DYNAMIC_REF : KW_REF, TYPES_ALL, 0);
    return r ? r : buf_append(&c->refs, &row, sizeof(row));
}

/* ---- resolution ---- */

static int hex(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 32;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* "%25" and the like, in place. */
static struct str percent_decode(char *p, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '%' && i + 2 < n && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0) {
            p[out++] = (char)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
            i += 2;
        } else {
            p[out++] = p[i];
        }
    }
    return (struct str){p, out};
}

/* "~1" and "~0" of a JSON pointer's token, into `ret`. */
static struct str token_decode(struct str token, char ret[SCHEMA_URI])
{
    size_t out = 0;
    for (size_t i = 0; i < token.n; i++) {
        bool escape = token.p[i] == '~' && i + 1 < token.n;
        ret[out++] = !escape ? token.p[i] : token.p[i + 1] == '1' ? '/' : '~';
        i += escape;
    }
    return (struct str){ret, out};
}

static json_ref element_at(const struct json_doc *d, json_ref array, struct str token)
{
    uint32_t index = 0;
    for (size_t i = 0; i < token.n; i++) {
        if (token.p[i] < '0' || token.p[i] > '9' || index > 1 << 24)
            return 0;
        index = index * 10 + (uint32_t)(token.p[i] - '0');
    }
    json_each (d, array, it) {
        if (!index--)
            return it;
    }
    return 0;
}

/* RFC 6901; 0 when there is nothing. */
static json_ref pointer_find(const struct json_doc *d, json_ref at, struct str pointer)
{
    char decoded[SCHEMA_URI];
    while (pointer.n) {
        const char *end = memchr(pointer.p + 1, '/', pointer.n - 1);
        size_t n = end ? (size_t)(end - pointer.p) : pointer.n;
        struct str token = token_decode((struct str){pointer.p + 1, n - 1}, decoded);
        pointer = (struct str){pointer.p + n, pointer.n - n};
        if (json_is(d, at, JSON_OBJECT))
            at = json_get(d, at, token);
        else
            at = json_is(d, at, JSON_ARRAY) ? element_at(d, at, token) : 0;
        if (!at)
            return 0;
    }
    return at;
}

static int ref_error(struct schema_compiler *c, const struct ref *ref, const char *expected)
{
    struct str raw = json_raw(c->d, ref->value);
    return schema_compile_error(c, ref->value, false, expected, "%.*s",
                                (int)(raw.n > 120 ? 120 : raw.n), raw.p);
}

/* The unit that the fragment names within the resource; *ret_anchor when by a dynamic anchor. */
static int fragment_resolve(struct schema_compiler *c, const struct ref *ref, uint32_t resource,
                            struct str fragment, uint32_t *ret_unit,
                            const struct anchor **ret_anchor)
{
    json_ref at = TABLE(c->resources, struct resource)[resource].root;
    *ret_anchor = NULL;
    if (fragment.n && fragment.p[0] != '/') {
        const struct anchor *a = anchor_find(c, resource, fragment);
        if (!a)
            return ref_error(c, ref, "an anchor that is in this schema");
        *ret_unit = a->unit;
        *ret_anchor = a->dynamic ? a : NULL;
        return 0;
    }
    at = pointer_find(c->d, at, fragment);
    if (!at && fragment.n)
        return ref_error(c, ref, "a place that is in this schema");
    *ret_unit = c->unit_of[at - c->root] - 1;
    if (*ret_unit == SCHEMA_NONE)
        return ref_error(c, ref, "a place where a schema stands");
    return 0;
}

static int ref_target(struct schema_compiler *c, const struct ref *ref, uint32_t *ret_unit,
                      const struct anchor **ret_anchor)
{
    char uri[SCHEMA_URI];
    size_t len, before = c->names.len;
    struct str text;
    uint32_t resource;
    int r = text_of(c, ref->value, &text);
    if (r)
        return r;
    if (text.n >= SCHEMA_URI)
        return ref_error(c, ref, "a reference of at most 1024 bytes");
    r = schema_uri_resolve(base_of(c, ref->resource), text, uri, &len);
    if (r == -ENOMEM)
        return r;
    if (r)
        return ref_error(c, ref, "a reference of at most 1024 bytes");
    if (resource_find(c, (struct str){uri, len}, &resource))
        return ref_error(c, ref, "a reference into this document (nothing is ever fetched)");
    struct str fragment = fragment_of(text);
    if (fragment.n)
        fragment = percent_decode(c->names.data + (fragment.p - c->names.data), fragment.n);
    r = fragment_resolve(c, ref, resource, fragment, ret_unit, ret_anchor);
    c->names.len = before;
    return r;
}

/* Dynamic anchors get numbers by name, so that looking one up compares no text. */
static uint32_t name_number(const struct schema_compiler *c, const struct anchor *anchor)
{
    struct str name = name_of(c, anchor->name, anchor->name_len);
    const struct anchor *a = TABLE(c->anchors, struct anchor);
    uint32_t i = 0;
    while (!a[i].dynamic || !str_eq(name_of(c, a[i].name, a[i].name_len), name))
        i++;
    return i;
}

static int keep_dynamic_anchors(struct schema_compiler *c)
{
    const struct anchor *a = TABLE(c->anchors, struct anchor);
    for (size_t i = 0; i < ROWS(c->anchors, struct anchor); i++) {
        struct schema_anchor row = {a[i].unit, (uint16_t)a[i].resource,
                                    a[i].dynamic ? (uint16_t)name_number(c, &a[i]) : 0};
        int r = a[i].dynamic ? buf_append(&c->dynamics, &row, sizeof(row)) : 0;
        if (r)
            return r;
    }
    return 0;
}

static struct schema_op *op_of(struct schema_compiler *c, uint32_t unit, enum schema_kw kw)
{
    struct schema_op *op =
        TABLE(c->ops, struct schema_op) + TABLE(c->units, struct schema_unit)[unit].op;
    while (op->kw != kw)
        op++;
    return op;
}

static int ref_resolve(struct schema_compiler *c, const struct ref *ref)
{
    uint32_t unit;
    const struct anchor *anchor;
    int r = ref_target(c, ref, &unit, &anchor);
    if (r)
        return r;
    struct schema_op *op = op_of(c, ref->unit, ref->dynamic ? KW_DYNAMIC_REF : KW_REF);
    op->arg = unit;
    if (!ref->dynamic)
        return 0;
    if (!anchor) {
        /* Not at a dynamic anchor, so it is an ordinary reference. */
        op->kw = KW_REF;
        return 0;
    }
    struct schema_dynamic k = {unit, name_number(c, anchor)};
    op->arg = schema_words(c, sizeof(k) / sizeof(uint32_t));
    if (op->arg == SCHEMA_NONE)
        return c->words.failed;
    memcpy(schema_word(c, op->arg), &k, sizeof(k));
    return 0;
}

int schema_refs_resolve(struct schema_compiler *c)
{
    for (size_t i = 0; i < ROWS(c->refs, struct ref); i++) {
        struct ref ref = TABLE(c->refs, struct ref)[i];
        int r = ref_resolve(c, &ref);
        if (r)
            return r;
    }
    return keep_dynamic_anchors(c);
}

/* ---- loops ---- */

/* The other schemas that an operation applies to the same value. */
static uint32_t same_value_units(const struct schema_compiler *c, const struct schema_op *op,
                                 uint32_t i)
{
    if (op->kw == KW_REF || op->kw == KW_NOT)
        return i == 0 ? op->arg : SCHEMA_NONE;
    if (op->kw < KW_REF || op->kw >= KW_UNEVALUATED_ITEMS)
        return SCHEMA_NONE; /* their arguments are no words, or say nothing of this value */
    const uint32_t *w = TABLE(c->words, const uint32_t) + op->arg;
    switch (op->kw) {
    case KW_DYNAMIC_REF:
        return i == 0 ? ((const struct schema_dynamic *)(const void *)w)->unit : SCHEMA_NONE;
    case KW_ALL_OF:
    case KW_ANY_OF:
    case KW_ONE_OF:
        return i < w[0] ? w[1 + i] : SCHEMA_NONE;
    case KW_DEPENDENT_SCHEMAS:
        return i < w[0] ? ((const struct schema_pairs *)(const void *)w)->pair[i].unit
                        : SCHEMA_NONE;
    default:
        return SCHEMA_NONE;
    }
}

struct walk {
    struct schema_compiler *c;
    uint8_t *state; /* per unit: 0 new, 1 on the way, 2 done */
    uint32_t depth;
};

static bool loops_from(struct walk *w, uint32_t unit);

static bool op_loops(struct walk *w, const struct schema_op *op)
{
    uint32_t next;
    if (op->kw == KW_IF) {
        const uint32_t *part = TABLE(w->c->words, const uint32_t) + op->arg;
        for (int i = 0; i < 3; i++) {
            if (part[i] != SCHEMA_NONE && loops_from(w, part[i]))
                return true;
        }
        return false;
    }
    for (uint32_t i = 0; (next = same_value_units(w->c, op, i)) != SCHEMA_NONE; i++) {
        if (loops_from(w, next))
            return true;
    }
    return false;
}

/* A way back to a schema that only passes through schemas for the same value never ends.  A chain
 * too long to follow counts as one: validation could not follow it either. */
static bool loops_from(struct walk *w, uint32_t unit)
{
    const struct schema_unit *u = &TABLE(w->c->units, const struct schema_unit)[unit];
    if (w->state[unit])
        return w->state[unit] == 1;
    if (w->depth >= SCHEMA_DEPTH)
        return true;
    w->depth++;
    w->state[unit] = 1;
    bool loop = false;
    for (uint32_t i = 0; i < u->ops && !loop; i++)
        loop = op_loops(w, &TABLE(w->c->ops, const struct schema_op)[u->op + i]);
    w->state[unit] = 2;
    w->depth--;
    return loop;
}

int schema_refs_check_loops(struct schema_compiler *c)
{
    size_t units = ROWS(c->units, struct schema_unit);
    struct walk w = {.c = c, .state = calloc(units, 1)};
    int r = w.state ? 0 : -ENOMEM;
    for (size_t i = 0; !r && i < ROWS(c->refs, struct ref); i++) {
        const struct ref *ref = &TABLE(c->refs, struct ref)[i];
        if (loops_from(&w, ref->unit))
            r = ref_error(c, ref, "a reference that does not lead back to itself");
    }
    free(w.state);
    return r;
}
