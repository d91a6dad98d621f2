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
    if (r)
        return r;
    struct buf json = BUF_INIT(EXPAND_BYTES);
    r = write_nested(path, buf_view(&value.text), &json);
    document_release(&value);
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
