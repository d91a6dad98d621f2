#include "config/complain.h"

#include <errno.h>
#include "config/text.h"

enum { PATH_MAX_SHOWN = 240, LIST_MAX_SHOWN = 480 };

/* One step from container c towards node n: the child whose value or key n is or lies in.  *ret_key
 * is the member's key, 0 in an array, *ret_index the element's index. */
static json_ref step_towards(const struct json_doc *d, json_ref c, json_ref n, json_ref *ret_key,
                             uint32_t *ret_index)
{
    uint32_t index = 0;
    *ret_key = 0;
    if (json_is(d, c, JSON_OBJECT)) {
        json_each_member (d, c, k) {
            if (n < d->node[k + 1].next) {
                *ret_key = k;
                return k + 1;
            }
        }
    } else {
        json_each (d, c, it) {
            *ret_index = index++;
            if (n < d->node[it].next)
                return it;
        }
    }
    BUG("node %u is not below node %u", n, c);
}

void complain_path(const struct json_doc *d, json_ref top, json_ref n, struct buf *out)
{
    json_ref at = top, key;
    uint32_t index = 0;
    while (at != n) {
        at = step_towards(d, at, n, &key, &index);
        if (!key)
            buf_printf(out, "[%u]", index);
        else
            buf_printf(out, "%s%.*s", out->len ? "." : "", STR_FMT(json_inner(d, key)));
        if (key == n)
            return;
    }
}

/* The schema that says something about node n: behind $ref, and the branch of if/then/else. */
static json_ref follow(const struct json_doc *sd, json_ref s, const struct json_doc *d, json_ref n)
{
    for (int i = 0; s && i < 8; i++) {
        json_ref to = json_get(sd, s, STR("$ref")), test = json_get(sd, s, STR("if"));
        if (to) {
            struct str name = json_inner(sd, to), defs = STR("#/$defs/");
            BUG_ON(!str_starts(name, defs));
            name = (struct str){name.p + defs.n, name.n - defs.n};
            s = json_get(sd, json_get(sd, 0, STR("$defs")), name);
        } else if (test) {
            const char *type = json_type_name(json_type(d, n));
            bool yes = json_string_eq(sd, json_get(sd, test, STR("type")), str_of(type));
            s = json_get(sd, s, yes ? STR("then") : STR("else"));
        } else {
            return s;
        }
    }
    return s;
}

static json_ref property(const struct json_doc *sd, json_ref s, const struct json_doc *d,
                         json_ref key)
{
    struct buf scratch = BUF_INIT(1 << 20);
    json_ref properties = json_get(sd, s, STR("properties"));
    json_ref found = properties ? json_get(sd, properties, json_string(d, key, &scratch)) : 0;
    buf_release(&scratch);
    return found;
}

/* Is `key` refused by additionalProperties: false? */
static bool is_unknown(const struct json_doc *sd, json_ref s, const struct json_doc *d,
                       json_ref key)
{
    json_ref rest = json_get(sd, s, STR("additionalProperties"));
    return rest && json_is(sd, rest, JSON_FALSE) && !property(sd, s, d, key);
}

static json_ref first_unknown(const struct json_doc *sd, json_ref s, const struct json_doc *d,
                              json_ref object)
{
    json_each_member (d, object, k) {
        if (is_unknown(sd, s, d, k))
            return k;
    }
    return 0;
}

static int unknown_key(const struct document *d, const struct json_doc *sd, json_ref s,
                       json_ref key, struct str parent, struct err *e)
{
    char shown[TEXT_SHOWN];
    struct str written = json_inner(&d->json, key);
    struct buf known = BUF_INIT(LIST_MAX_SHOWN);
    const char *in = parent.n ? " in " : "";
    json_ref properties = json_get(sd, s, STR("properties"));
    text_quoted(written, shown);
    json_each_member (sd, properties, k) {
        if (text_near(written, json_inner(sd, k))) {
            int r = document_error(d, key, e, "unknown key %s%s%.*s, expected \"%.*s\"?", shown, in,
                                   STR_FMT(parent), STR_FMT(json_inner(sd, k)));
            buf_release(&known);
            return r;
        }
        if (known.len < LIST_MAX_SHOWN - 80)
            buf_printf(&known, "%s%.*s", known.len ? ", " : "", STR_FMT(json_inner(sd, k)));
    }
    int r = document_error(d, key, e, "unknown key %s%s%.*s, expected one of %.*s", shown, in,
                           STR_FMT(parent), STR_FMT(buf_view(&known)));
    buf_release(&known);
    return r;
}

/* What is said behind "found ...", for the slips that YAML invites. */
static const char *hint(const struct document *d, json_ref n, const struct schema_error *se)
{
    enum json_type found = json_type(&d->json, n);
    if (found == JSON_STRING && strstr(se->expected, "boolean"))
        return ": only true and false are boolean";
    if (strstr(se->expected, "string") &&
        (found == JSON_NUMBER || found == JSON_TRUE || found == JSON_FALSE))
        return ": quote it";
    return "";
}

static int value_error(const struct document *d, const struct json_doc *sd, json_ref s, json_ref n,
                       const char *path, const struct schema_error *se, struct err *e)
{
    char expected[sizeof(se->expected)];
    json_ref title = s && json_get(sd, s, STR("pattern")) ? json_get(sd, s, STR("title")) : 0;
    snprintf(expected, sizeof(expected), "%s", se->expected);
    if (title) {
        struct buf text = BUF_INIT(sizeof(expected) - 1);
        struct str phrase = json_string(sd, title, &text);
        snprintf(expected, sizeof(expected), "%.*s", STR_FMT(phrase));
        buf_release(&text);
    }
    return document_error(d, n, e, "%s%sexpected %s, found %s%s", path, *path ? ": " : "", expected,
                          se->found, hint(d, n, se));
}

int complain(const struct document *d, const struct json_doc *sd, const struct schema_error *se,
             struct err *e)
{
    const struct json_doc *doc = &d->json;
    struct buf path = BUF_INIT(PATH_MAX_SHOWN);
    json_ref at = 0, s = follow(sd, 0, doc, 0), key = 0;
    uint32_t index;
    int r = 0;
    while (!r && s && at != se->node && key != se->node) {
        json_ref next;
        at = step_towards(doc, at, se->node, &key, &index);
        if (key && is_unknown(sd, s, doc, key)) {
            r = unknown_key(d, sd, s, key, buf_view(&path), e);
            break;
        }
        buf_clear(&path, PATH_MAX_SHOWN);
        complain_path(doc, 0, key ? key : at, &path);
        if (key && key == se->node)
            next = json_get(sd, s, STR("propertyNames"));
        else if (key)
            next = property(sd, s, doc, key);
        else
            next = json_get(sd, s, STR("items"));
        if (key && key != se->node && !next)
            next = json_get(sd, s, STR("additionalProperties"));
        s = next ? follow(sd, next, doc, key == se->node ? key : at) : 0;
    }
    /* A key that is missing may be there under a name that is nearly right. */
    if (!r && s && at == se->node && json_is(doc, at, JSON_OBJECT)) {
        json_ref unknown = first_unknown(sd, s, doc, at);
        if (unknown)
            r = unknown_key(d, sd, s, unknown, buf_view(&path), e);
    }
    if (!r) {
        const char *text = buf_cstr(&path);
        r = value_error(d, sd, s, se->node, text ? text : "", se, e);
    }
    buf_release(&path);
    return r;
}
