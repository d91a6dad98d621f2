#include "config/sets.h"

#include <errno.h>
#include "config/builtin.h"
#include "config/expand.h"
#include "config/text.h"
#include "json/writer.h"

/* {"manifold":1,"plugins":{"NAME":{"path":{"key":VALUE}}}} */
static int write_nested(struct str path, struct str value, struct buf *out)
{
    unsigned depth = 0;
    buf_lit(out, "{\"manifold\":1,\"plugins\":");
    while (path.n) {
        const char *dot = memchr(path.p, '.', path.n);
        size_t len = dot ? (size_t)(dot - path.p) : path.n;
        buf_byte(out, '{');
        json_write_string(out, (struct str){path.p, len});
        buf_byte(out, ':');
        depth++;
        path = dot ? (struct str){dot + 1, path.n - len - 1} : STR_NONE;
    }
    buf_str(out, value);
    while (depth--)
        buf_byte(out, '}');
    buf_byte(out, '}');
    return out->failed;
}

static bool is_path(struct str path)
{
    struct str dots = STR("..");
    return path.n && path.p[0] != '.' && path.p[path.n - 1] != '.' && memchr(path.p, '.', path.n) &&
           !memmem(path.p, path.n, dots.p, dots.n);
}

/* `value` is JSON. */
static int make(struct str path, struct str value, const char *label, struct document *ret,
                struct err *e)
{
    struct buf json = BUF_INIT(EXPAND_BYTES);
    int r = write_nested(path, value, &json);
    if (r == -ENOMEM)
        r = err_set(e, r, "%s: out of memory", label);
    else if (r)
        r = err_set(e, r, "%s: expected less than 1 MiB, found more", label);
    else
        r = document_take_json(ret, &json, label, e);
    buf_release(&json);
    if (r)
        return r;
    r = builtin_check(BUILTIN_HOST, ret, e);
    if (r)
        document_release(ret);
    return r;
}

static int read_one(const char *set, struct document *ret, struct err *e)
{
    char shown[TEXT_SHOWN], label[TEXT_SHOWN + 16];
    const char *equals = strchr(set, '=');
    struct str path = {set, equals ? (size_t)(equals - set) : 0};
    struct document value;
    snprintf(label, sizeof(label), "--set %.*s", STR_FMT(path));
    if (!utf8_valid(str_of(set)))
        return err_set(e, -EINVAL, "--set: expected UTF-8, found something else");
    if (!equals || !equals[1] || !is_path(path))
        return err_set(e, -EINVAL, "--set: expected NAME.KEY=VALUE, found %s",
                       text_quoted(str_of(set), shown));
    int r = document_parse(&value, str_of(equals + 1), label, e);
    r = r ? r : make(path, buf_view(&value.text), label, ret, e);
    document_release(&value);
    return r;
}

/* --- Grants --- */

enum { GRANT_PARTS = 4, GRANT_BYTES = 64 * 1024 };

/* NAME.kind.key.field in its parts; how many there are, 0 when that is no such path. */
static unsigned split(struct str path, struct str part[GRANT_PARTS])
{
    unsigned n = 0;
    for (;;) {
        const char *dot = path.n ? memchr(path.p, '.', path.n) : NULL;
        size_t len = dot ? (size_t)(dot - path.p) : path.n;
        if (!len || n == GRANT_PARTS)
            return 0;
        part[n++] = (struct str){path.p, len};
        if (!dot)
            return n;
        path = (struct str){dot + 1, path.n - len - 1};
    }
}

/* A shell takes quotes away, and YAML has a meaning of its own for "*" and "~": what names a host
 * or a place is text, unless it is a list or still has its quotes. */
static bool is_plain(const struct str *part, unsigned parts, const char *value)
{
    bool names = parts == 4 && (str_eq(part[3], STR("host")) || str_eq(part[3], STR("path")));
    return value[0] == '*' || (names && !strchr("[\"'", value[0]));
}

static int write_value(const struct str *part, unsigned parts, const char *value, const char *label,
                       struct buf *out, struct err *e)
{
    bool env = str_eq(part[1], STR("env"));
    if (!value && env) {
        buf_byte(out, '[');
        json_write_string(out, part[2]);
        buf_byte(out, ']');
    } else if (!value) {
        buf_lit(out, "{}");
    } else if (is_plain(part, parts, value)) {
        json_write_string(out, str_of(value));
    } else {
        struct document d;
        int r = document_parse(&d, str_of(value), label, e);
        if (r)
            return r;
        buf_str(out, buf_view(&d.text));
        document_release(&d);
    }
    return out->failed ? err_set(e, out->failed, "%s: expected less than 64 KiB, found more", label)
                       : 0;
}

int sets_read_grant(const char *grant, struct document *ret, struct err *e)
{
    char shown[TEXT_SHOWN], label[TEXT_SHOWN + 16];
    const char *equals = strchr(grant, '=');
    const char *value = equals ? equals + 1 : NULL;
    struct str path = {grant, equals ? (size_t)(equals - grant) : strlen(grant)};
    struct str part[GRANT_PARTS] = {STR_NONE};
    unsigned parts = split(path, part);
    snprintf(label, sizeof(label), "--grant %.*s", STR_FMT(path));
    if (!utf8_valid(str_of(grant)))
        return err_set(e, -EINVAL, "--grant: expected UTF-8, found something else");
    bool asked = parts == 1 && value && strcmp(value, "asked") == 0;
    bool list = parts == 2 && value && str_eq(part[1], STR("env"));
    bool whole = parts == 3 && (!value || !str_eq(part[1], STR("env")));
    if (!(asked || list || whole || (parts == 4 && value)) || (value && !*value))
        return err_set(e, -EINVAL,
                       "--grant: expected NAME.KIND.KEY, NAME.KIND.KEY.FIELD=VALUE or NAME=asked, "
                       "found %s",
                       text_quoted(str_of(grant), shown));
    struct buf nested = BUF_INIT(GRANT_BYTES), json = BUF_INIT(GRANT_BYTES);
    bool env = whole && str_eq(part[1], STR("env"));
    buf_printf(&nested, "%.*s.grants", STR_FMT(part[0]));
    for (unsigned i = 1; i < (env ? 2 : parts); i++)
        buf_printf(&nested, ".%.*s", STR_FMT(part[i]));
    int r = asked ? buf_lit(&json, "\"asked\"") : write_value(part, parts, value, label, &json, e);
    r = r ? r : make(buf_view(&nested), buf_view(&json), label, ret, e);
    buf_release(&nested);
    buf_release(&json);
    return r;
}

int sets_read(const char *const *set, uint32_t count, struct document *ret, struct err *e)
{
    struct document all = {0};
    int r = 0;
    for (uint32_t i = 0; !r && i < count; i++) {
        struct document one, merged;
        r = read_one(set[i], &one, e);
        if (r || i == 0) {
            all = r ? all : one;
            continue;
        }
        /* Nothing is expanded here: that waits until the instance is known. */
        const struct merge_layer layers[] = {{.expand = {.doc = &all, .verbatim = true}},
                                             {.expand = {.doc = &one, .verbatim = true}}};
        struct buf json = BUF_INIT(EXPAND_BYTES);
        r = merge_objects(layers, 2, &json, e);
        if (!r)
            r = document_take_json(&merged, &json, "--set", e);
        buf_release(&json);
        document_release(&one);
        if (r)
            continue;
        document_release(&all);
        all = merged;
    }
    if (r)
        document_release(&all);
    else
        *ret = all;
    return r;
}
