/* Output schemas and structured results that are no objects, for the revisions that allow only
 * objects: both go out as {"result": ...} (docs/internals/protocol.md; the TypeScript SDK does the
 * same). */
#include "mcp/internal.h"

#include <errno.h>

#define WRAPPED "#/properties/result"

bool outschema_wraps(const struct entry_spec *spec, enum revision revision, struct str value)
{
    if (revision >= R_2026_07_28)
        return false;
    if (spec->output)
        return !schema_root_is_object(spec->output, false);
    return value.n && *value.p != '{';
}

static bool is_one_of(const struct json_doc *d, json_ref key, const struct str *name, size_t names)
{
    for (size_t i = 0; i < names; i++) {
        if (json_string_eq(d, key, name[i]))
            return true;
    }
    return false;
}
#define IS_ONE_OF(d, key, names) is_one_of(d, key, names, sizeof(names) / sizeof((names)[0]))

/* Their values are data, not schemas. */
static const struct str data_keys[] = {{"const", 5}, {"enum", 4}, {"default", 7}, {"examples", 8}};
/* Their members' names are not keywords. */
static const struct str map_keys[] = {{"properties", 10},
                                      {"patternProperties", 17},
                                      {"$defs", 5},
                                      {"definitions", 11},
                                      {"dependentSchemas", 16}};
static const struct str ref_keys[] = {{"$ref", 4}, {"$dynamicRef", 11}};

/* A JSON pointer from the root gets two steps longer; anchors and absolute URIs stay. */
static void write_ref(const struct json_doc *d, json_ref n, struct buf *b)
{
    struct buf copy = BUF_INIT(d->node[n].len);
    struct str ref = json_string(d, n, &copy);
    if (copy.failed)
        b->failed = copy.failed;
    if (ref.n && *ref.p == '#' && (ref.n == 1 || ref.p[1] == '/')) {
        buf_lit(b, "\"" WRAPPED);
        json_write_escaped(b, (struct str){ref.p + 1, ref.n - 1}, true);
        buf_lit(b, "\"");
    } else {
        buf_str(b, json_raw(d, n));
    }
    buf_release(&copy);
}

enum place { IN_SCHEMA, IN_MAP };

/* As deep as the document, which was read with a limit. */
static void write_moved(const struct json_doc *d, json_ref n, enum place place, bool root,
                        struct buf *b)
{
    bool first = true;
    if (json_is(d, n, JSON_ARRAY)) {
        buf_byte(b, '[');
        json_each (d, n, it) {
            if (it != n + 1)
                buf_byte(b, ',');
            write_moved(d, it, IN_SCHEMA, false, b);
        }
        buf_byte(b, ']');
        return;
    }
    /* References below an $id are to that resource, which moves as a whole. */
    if (!json_is(d, n, JSON_OBJECT) ||
        (place == IN_SCHEMA && !root && json_get(d, n, STR("$id")))) {
        json_write_compact(b, json_raw(d, n));
        return;
    }
    buf_byte(b, '{');
    json_each_member (d, n, k) {
        json_ref v = k + 1;
        if (root && json_string_eq(d, k, STR("$schema")))
            continue;
        if (!first)
            buf_byte(b, ',');
        first = false;
        buf_str(b, json_raw(d, k));
        buf_byte(b, ':');
        if (place == IN_MAP)
            write_moved(d, v, IN_SCHEMA, false, b);
        else if (json_is(d, v, JSON_STRING) && IS_ONE_OF(d, k, ref_keys))
            write_ref(d, v, b);
        else if (IS_ONE_OF(d, k, data_keys))
            json_write_compact(b, json_raw(d, v));
        else
            write_moved(d, v, IS_ONE_OF(d, k, map_keys) ? IN_MAP : IN_SCHEMA, false, b);
    }
    buf_byte(b, '}');
}

void outschema_wrap(struct str schema, struct buf *b)
{
    struct json_doc d = {0};
    struct json_error e;
    buf_lit(b, "{");
    if (json_read(&d, schema, &json_limits_default, &e)) { /* it was read before: no memory */
        b->failed = -ENOMEM;
        json_doc_release(&d);
        return;
    }
    json_ref dialect = json_get(&d, 0, STR("$schema"));
    if (dialect) {
        buf_lit(b, "\"$schema\":");
        buf_str(b, json_raw(&d, dialect));
        buf_lit(b, ",");
    }
    buf_lit(b, "\"type\":\"object\",\"properties\":{\"result\":");
    /* A root with an $id of its own stays the base of its references. */
    write_moved(&d, 0, IN_SCHEMA, !json_get(&d, 0, STR("$id")), b);
    buf_lit(b, "},\"required\":[\"result\"]}");
    json_doc_release(&d);
}
