#include "config/expand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config/complain.h"
#include "config/file.h"
#include "config/text.h"
#include "json/writer.h"

#define at(x, n, e, ...) complain_at((x)->doc, n, e, __VA_ARGS__)

static int add_env(const struct expand *x, json_ref n, struct str variable, struct buf *out,
                   struct err *e)
{
    char name[129], shown[TEXT_SHOWN];
    text_quoted(variable, shown);
    if (variable.n == 0 || variable.n >= sizeof(name) || memchr(variable.p, '=', variable.n))
        return at(x, n, e, "expected ${env:NAME}, found %s as the name", shown);
    int r = x->host ? 0 : x->allow_env(x->arg, n, variable, e);
    if (r)
        return r;
    memcpy(name, variable.p, variable.n);
    name[variable.n] = 0;
    const char *value = getenv(name);
    if (!value)
        return at(x, n, e, "expected the environment variable %s, found it unset", name);
    if (!utf8_valid(str_of(value)))
        return at(x, n, e, "expected UTF-8 in the environment variable %s, found something else",
                  name);
    return buf_str(out, str_of(value));
}

/* Reads the whole file into `out`; one line break at the end is cut. */
static int read_small(const struct expand *x, json_ref n, int fd, const char *path, struct buf *out,
                      struct err *e)
{
    struct stat st;
    if (fstat(fd, &st))
        return at(x, n, e, "%s: can't be read: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return at(x, n, e, "%s: expected a regular file, found something else", path);
    if (st.st_size > EXPAND_FILE_BYTES)
        return at(x, n, e, "%s: expected at most 64 KiB, found %lld bytes", path,
                  (long long)st.st_size);
    char *text = malloc(EXPAND_FILE_BYTES);
    if (!text)
        return at(x, n, e, "%s: out of memory", path);
    size_t len = 0;
    ssize_t got;
    while (len < EXPAND_FILE_BYTES && (got = read(fd, text + len, EXPAND_FILE_BYTES - len)) != 0) {
        if (got < 0 && errno != EINTR)
            break;
        len += got > 0 ? (size_t)got : 0;
    }
    if (len && text[len - 1] == '\n')
        len--;
    struct str all = {text, len};
    int r;
    if (!utf8_valid(all) || memchr(text, 0, len))
        r = at(x, n, e, "%s: expected UTF-8 text, found something else", path);
    else
        r = buf_str(out, all);
    explicit_bzero(text, len);
    free(text);
    return r;
}

static int add_file(const struct expand *x, json_ref n, struct str path, struct buf *out,
                    struct err *e)
{
    char *full;
    struct err why = {{0}};
    int r = path_expand(path, x->directory, &full, &why);
    if (r)
        return at(x, n, e, "${file:...}: %s", why.text);
    int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        r = at(x, n, e, "%s: can't be opened: %s", full, strerror(errno));
    } else {
        r = read_small(x, n, fd, full, out, e);
        close(fd);
    }
    free(full);
    return r;
}

/* `what` stands between "${" and "}". */
static int add(const struct expand *x, json_ref n, struct str what, struct buf *out, struct err *e)
{
    char shown[TEXT_SHOWN];
    struct str env = STR("env:"), file = STR("file:");
    if (str_starts(what, env))
        return add_env(x, n, (struct str){what.p + env.n, what.n - env.n}, out, e);
    if (str_starts(what, file) && x->host)
        return add_file(x, n, (struct str){what.p + file.n, what.n - file.n}, out, e);
    if (str_starts(what, file))
        return at(x, n, e, "expected ${file:...} in the host config alone, found it in a manifest");
    if (str_eq(what, STR("data")) && x->data)
        return buf_printf(out, "%s/%.*s", x->data, STR_FMT(x->name));
    return at(x, n, e, "expected ${env:NAME}%s%s, found ${...} with %s: write $${ for a literal ${",
              x->host ? ", ${file:PATH}" : "", x->data ? " or ${data}" : "",
              text_quoted(what, shown));
}

static int expand_text(const struct expand *x, json_ref n, struct str s, struct buf *out,
                       struct err *e)
{
    size_t i = 0;
    int r = 0;
    while (!r && i < s.n) {
        const char *dollar = memchr(s.p + i, '$', s.n - i);
        size_t to = dollar ? (size_t)(dollar - s.p) : s.n;
        r = buf_append(out, s.p + i, to - i);
        i = to;
        struct str rest = {s.p + i, s.n - i};
        if (r || !dollar)
            break;
        if (str_starts(rest, STR("$${"))) {
            r = buf_lit(out, "${");
            i += 3;
        } else if (str_starts(rest, STR("${"))) {
            const char *end = memchr(rest.p, '}', rest.n);
            if (!end)
                return at(x, n, e, "expected '}' behind ${, found the end of the text");
            size_t len = (size_t)(end - rest.p);
            r = add(x, n, (struct str){rest.p + 2, len - 2}, out, e);
            i += len + 1;
        } else {
            r = buf_byte(out, '$');
            i++;
        }
    }
    if (out->failed == -ENOMEM)
        return at(x, n, e, "expected memory for the expansion, found none");
    return out->failed ? at(x, n, e, "expected at most 1 MiB after expansion, found more") : r;
}

int expand_string(const struct expand *x, json_ref n, struct buf *out, struct err *e)
{
    struct buf scratch = BUF_INIT(EXPAND_BYTES);
    struct str s = json_string(&x->doc->json, n, &scratch);
    int r = scratch.failed ? at(x, n, e, "expected memory for this text, found none")
                           : expand_text(x, n, s, out, e);
    buf_release(&scratch);
    return r;
}

static int write_string(const struct expand *x, json_ref n, struct buf *out, struct err *e)
{
    struct str raw = json_raw(&x->doc->json, n);
    if (x->verbatim || !memmem(raw.p, raw.n, "${", 2))
        return buf_str(out, raw);
    struct buf value = BUF_INIT(EXPAND_BYTES);
    int r = expand_string(x, n, &value, e);
    if (!r)
        r = json_write_string(out, buf_view(&value));
    if (value.data)
        explicit_bzero(value.data, value.len);
    buf_release(&value);
    return r;
}

/* A value of one layer alone.  Depth is the document's, so at most 32. */
static int write_value(const struct expand *x, json_ref n, struct buf *out, struct err *e)
{
    const struct json_doc *d = &x->doc->json;
    bool first = true;
    int r;
    switch (json_type(d, n)) {
    case JSON_STRING:
        return write_string(x, n, out, e);
    case JSON_ARRAY:
        r = buf_byte(out, '[');
        json_each (d, n, it) {
            r = r || first ? r : buf_byte(out, ',');
            r = r ? r : write_value(x, it, out, e);
            first = false;
        }
        return r ? r : buf_byte(out, ']');
    case JSON_OBJECT:
        r = buf_byte(out, '{');
        json_each_member (d, n, k) {
            r = r || first ? r : buf_byte(out, ',');
            r = r ? r : buf_str(out, json_raw(d, k));
            r = r ? r : buf_byte(out, ':');
            r = r ? r : write_value(x, k + 1, out, e);
            first = false;
        }
        return r ? r : buf_byte(out, '}');
    default:
        return buf_str(out, json_raw(d, n));
    }
}

enum { MERGE_LAYERS = 4 };

static json_ref member(const struct merge_layer *l, struct str key)
{
    return json_get(&l->expand.doc->json, l->value, key);
}

static int merge(const struct merge_layer *layer, unsigned layers, struct buf *out, struct err *e);

/* The member `key`, first seen in layer 0 of these. */
static int merge_member(const struct merge_layer *layer, unsigned layers, struct str key,
                        struct buf *out, struct err *e)
{
    struct merge_layer with[MERGE_LAYERS];
    unsigned n = 0;
    for (unsigned i = 0; i < layers; i++) {
        json_ref value = member(&layer[i], key);
        if (!value)
            continue;
        /* What is no object covers all that lies below it. */
        if (!json_is(&layer[i].expand.doc->json, value, JSON_OBJECT) ||
            (n && !json_is(&with[n - 1].expand.doc->json, with[n - 1].value, JSON_OBJECT)))
            n = 0;
        with[n] = layer[i];
        with[n++].value = value;
    }
    return n == 1 ? write_value(&with[0].expand, with[0].value, out, e) : merge(with, n, out, e);
}

static int merge(const struct merge_layer *layer, unsigned layers, struct buf *out, struct err *e)
{
    struct buf scratch = BUF_INIT(EXPAND_BYTES);
    bool first = true;
    int r = buf_byte(out, '{');
    for (unsigned i = 0; !r && i < layers; i++) {
        const struct json_doc *d = &layer[i].expand.doc->json;
        json_each_member (d, layer[i].value, k) {
            buf_clear(&scratch, EXPAND_BYTES);
            struct str key = json_string(d, k, &scratch);
            bool seen = false;
            for (unsigned j = 0; j < i && !seen; j++)
                seen = member(&layer[j], key) != 0;
            if (seen)
                continue;
            r = first ? 0 : buf_byte(out, ',');
            first = false;
            r = r ? r : buf_str(out, json_raw(d, k));
            r = r ? r : buf_byte(out, ':');
            r = r ? r : merge_member(layer + i, layers - i, key, out, e);
            if (r)
                break;
        }
    }
    buf_release(&scratch);
    return r ? r : buf_byte(out, '}');
}

int merge_objects(const struct merge_layer *layer, unsigned layers, struct buf *out, struct err *e)
{
    BUG_ON(layers > MERGE_LAYERS);
    int r = merge(layer, layers, out, e);
    if (out->failed == -ENOMEM)
        return err_set(e, -ENOMEM, "out of memory for the config");
    if (out->failed && layers)
        return complain_at(layer[0].expand.doc, layer[0].value, e,
                           "expected at most 1 MiB of config after expansion, found more");
    return r;
}
