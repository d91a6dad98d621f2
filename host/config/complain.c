#include "config/complain.h"

#include <errno.h>
#include "config/text.h"

enum { PATH_MAX_SHOWN = 240, LIST_MAX_SHOWN = 480 };

/* No schema node; 0 is the root. */
#define NOTHING UINT32_MAX

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

int complain_at(const struct document *d, json_ref n, struct err *e, const char *fmt, ...)
{
    char text[sizeof(e->text)];
    struct buf path = BUF_INIT(PATH_MAX_SHOWN);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    complain_path(&d->json, 0, n, &path);
    int r =
        document_error(d, n, e, "%.*s%s%s", STR_FMT(buf_view(&path)), path.len ? ": " : "", text);
    buf_release(&path);
    return r;
}

/* The member of a schema object; NOTHING when s is NOTHING or has none. */
static json_ref part(const struct json_doc *sd, json_ref s, const char *key)
{
    json_ref n = s != NOTHING && json_is(sd, s, JSON_OBJECT) ? json_get(sd, s, str_of(key)) : 0;
    return n ? n : NOTHING;
}

/* The schema that says something about node n: behind $ref, and the branch of if/then/else. */
static json_ref follow(const struct json_doc *sd, json_ref s, const struct json_doc *d, json_ref n)
{
    for (int i = 0; i < 8; i++) {
        json_ref to = part(sd, s, "$ref"), test = part(sd, s, "if");
        if (to != NOTHING) {
            struct str name = json_inner(sd, to), defs = STR("#/$defs/");
            BUG_ON(!str_starts(name, defs));
            name = (struct str){name.p + defs.n, name.n - defs.n};
            s = json_get(sd, part(sd, 0, "$defs"), name);
        } else if (test != NOTHING) {
            const char *type = json_type_name(json_type(d, n));
            bool yes = json_string_eq(sd, part(sd, test, "type"), str_of(type));
            s = part(sd, s, yes ? "then" : "else");
        } else {
            break;
        }
    }
    return s;
}

static json_ref property(const struct json_doc *sd, json_ref s, const struct json_doc *d,
                         json_ref key)
{
    struct buf scratch = BUF_INIT(1 << 20);
    json_ref properties = part(sd, s, "properties"), found = 0;
    if (properties != NOTHING)
        found = json_get(sd, properties, json_string(d, key, &scratch));
    buf_release(&scratch);
    return found ? found : NOTHING;
}

/* Is `key` refused by additionalProperties: false? */
static bool is_unknown(const struct json_doc *sd, json_ref s, const struct json_doc *d,
                       json_ref key)
{
    json_ref rest = part(sd, s, "additionalProperties");
    return rest != NOTHING && json_is(sd, rest, JSON_FALSE) && property(sd, s, d, key) == NOTHING;
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
    json_ref properties = part(sd, s, "properties");
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

/* What a schema node asks for in an author's words: the title beside a pattern, or the values. */
static bool in_words(const struct json_doc *sd, json_ref s, struct buf *out)
{
    json_ref title = part(sd, s, "title"), values = part(sd, s, "enum");
    if (part(sd, s, "pattern") != NOTHING && title != NOTHING)
        return json_string_append(sd, title, out) == 0;
    if (values == NOTHING)
        return false;
    json_each (sd, values, it) {
        bool last = sd->node[it].next == sd->node[values].next;
        buf_printf(out, "%s%.*s",
                   it == values + 1 ? ""
                   : last           ? " or "
                                    : ", ",
                   STR_FMT(json_inner(sd, it)));
    }
    return !out->failed;
}

static int value_error(const struct document *d, const struct json_doc *sd, json_ref s, json_ref n,
                       struct str path, const struct schema_error *se, struct err *e)
{
    struct buf words = BUF_INIT(LIST_MAX_SHOWN);
    bool own = in_words(sd, s, &words);
    struct str expected = own ? buf_view(&words) : str_of(se->expected);
    int r =
        document_error(d, n, e, "%.*s%sexpected %.*s, found %s%s", STR_FMT(path),
                       path.n ? ": " : "", STR_FMT(expected), se->found, own ? "" : hint(d, n, se));
    buf_release(&words);
    return r;
}

/* The schema of the member or element that one step of complain() came to. */
static json_ref schema_below(const struct json_doc *sd, json_ref s, const struct json_doc *d,
                             json_ref key, bool is_key)
{
    if (!key)
        return part(sd, s, "items");
    if (is_key)
        return part(sd, s, "propertyNames");
    json_ref known = property(sd, s, d, key);
    return known != NOTHING ? known : part(sd, s, "additionalProperties");
}

int complain(const struct document *d, const struct json_doc *sd, const struct schema_error *se,
             struct err *e)
{
    const struct json_doc *doc = &d->json;
    struct buf path = BUF_INIT(PATH_MAX_SHOWN);
    json_ref at = 0, s = follow(sd, 0, doc, 0), key = 0, unknown = 0;
    uint32_t index;
    while (at != se->node && key != se->node) {
        at = step_towards(doc, at, se->node, &key, &index);
        if (key && is_unknown(sd, s, doc, key)) {
            unknown = key;
            break;
        }
        s = follow(sd, schema_below(sd, s, doc, key, key == se->node), doc,
                   key == se->node ? key : at);
        buf_clear(&path, PATH_MAX_SHOWN);
        complain_path(doc, 0, key == se->node ? key : at, &path);
    }
    /* A key that is missing may be there under a name that is nearly right. */
    if (!unknown && at == se->node && json_is(doc, at, JSON_OBJECT))
        unknown = first_unknown(sd, s, doc, at);
    int r = unknown ? unknown_key(d, sd, s, unknown, buf_view(&path), e)
                    : value_error(d, sd, s, se->node, buf_view(&path), se, e);
    buf_release(&path);
    return r;
}
