/* The file: reading, comparing, writing. */
#include "runtime/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config/file.h"
#include "json/writer.h"
#include "runtime/lock_parts.h"

enum { FORMAT = 1, READ_BYTES = 65536 };

/* --- Reading --- */

static int read_text(int fd, const char *path, struct buf *text, struct err *e)
{
    for (;;) {
        int r = buf_reserve(text, READ_BYTES);
        if (r == -ENOBUFS)
            return err_set(e, -EFBIG, "%s: expected at most %d MiB, found more", path,
                           LOCK_BYTES >> 20);
        if (r)
            return err_set(e, r, "%s: out of memory", path);
        ssize_t n = read(fd, text->data + text->len, READ_BYTES);
        if (n < 0 && errno != EINTR)
            return err_set(e, -errno, "%s: can't be read: %s", path, strerror(errno));
        if (n == 0)
            return 0;
        text->len += n > 0 ? (size_t)n : 0;
    }
}

struct reading {
    const char *path;
    const struct json_doc *d;
    struct lock *lock;
    struct err *e;
};

static int damaged(const struct reading *r, struct str plugin, struct str key, const char *what)
{
    return err_set(r->e, -EINVAL,
                   "%s: %.*s: %.*s: expected %s: the file was changed by hand; \"manifold lock\" "
                   "writes it anew",
                   r->path, STR_FMT(plugin), STR_FMT(key), what);
}

/* The value of a string, kept with the lock. */
static int keep_string(struct reading *r, json_ref n, struct str *ret)
{
    struct buf value = BUF_INIT(LOCK_BYTES);
    int e = json_string_append(r->d, n, &value);
    e = e ? err_set(r->e, e, "%s: out of memory", r->path)
          : text_keep(&r->lock->texts, buf_view(&value), ret, r->e);
    buf_release(&value);
    return e;
}

static int read_field(struct reading *r, struct lock_plugin *p, json_ref key)
{
    const struct json_doc *d = r->d;
    struct lock_field *f = &p->field[p->fields];
    struct str name = json_inner(d, key);
    json_ref hash = json_is(d, key + 1, JSON_OBJECT) ? json_get(d, key + 1, STR("sha256")) : 0;
    json_ref value = hash ? json_get(d, key + 1, STR("value")) : 0;
    if (!hash || !json_is(d, hash, JSON_STRING) || json_inner(d, hash).n != LOCK_HEX - 1)
        return damaged(r, p->name, name, "a sha256 in hex");
    *f = (struct lock_field){.key = STR_NONE};
    memcpy(f->sha256, json_inner(d, hash).p, LOCK_HEX - 1);
    int e = keep_string(r, key, &f->key);
    if (!e && value)
        e = text_keep(&r->lock->texts, json_raw(d, value), &f->value, r->e);
    if (!e && value) {
        char found[LOCK_HEX];
        lock_hash(f->value, found);
        if (memcmp(found, f->sha256, LOCK_HEX))
            return damaged(r, p->name, name, "a value that fits its sha256");
    }
    p->fields += e ? 0 : 1;
    return e;
}

static int read_plugin(struct reading *r, json_ref key)
{
    const struct json_doc *d = r->d;
    struct lock_plugin *p = &r->lock->plugin[r->lock->plugins++];
    *p = (struct lock_plugin){.name = STR_NONE};
    int e = keep_string(r, key, &p->name);
    if (e)
        return e;
    if (!json_is(d, key + 1, JSON_OBJECT))
        return damaged(r, p->name, STR("it"), "an object");
    p->field = calloc(d->node[key + 1].count + 1, sizeof(*p->field));
    if (!p->field)
        return err_set(r->e, -ENOMEM, "%s: out of memory", r->path);
    for (json_ref k = key + 2; !e && k < d->node[key + 1].next; k = d->node[k + 1].next)
        e = read_field(r, p, k);
    lock_sort_fields(p);
    return e;
}

static int read_document(struct reading *r)
{
    const struct json_doc *d = r->d;
    int64_t format = 0;
    json_ref n = json_is(d, 0, JSON_OBJECT) ? json_get(d, 0, STR("manifold-lock")) : 0;
    json_ref plugins = n ? json_get(d, 0, STR("plugins")) : 0;
    if (!n || !json_int(d, n, &format) || format != FORMAT || !plugins ||
        !json_is(d, plugins, JSON_OBJECT))
        return err_set(r->e, -EINVAL, "%s: expected a lock file of format %d, found something else",
                       r->path, FORMAT);
    r->lock->plugin = calloc(d->node[plugins].count + 1, sizeof(*r->lock->plugin));
    if (!r->lock->plugin)
        return err_set(r->e, -ENOMEM, "%s: out of memory", r->path);
    int e = 0;
    for (json_ref k = plugins + 1; !e && k < d->node[plugins].next; k = d->node[k + 1].next)
        e = read_plugin(r, k);
    lock_sort_plugins(r->lock);
    return e;
}

int lock_read(const char *path, struct lock **ret, struct err *e)
{
    static const struct json_limits limits = {
        .bytes = LOCK_BYTES, .depth = 64, .nodes = (1 << 24) - 1};
    struct json_doc d = {0};
    struct json_error je;
    struct buf text = BUF_INIT(LOCK_BYTES);
    struct lock *l = calloc(1, sizeof(*l));
    int fd, r = l ? 0 : err_set(e, -ENOMEM, "%s: out of memory", path);
    r = r ? r : file_open(AT_FDCWD, path, false, path, &fd, e);
    if (!r) {
        r = read_text(fd, path, &text, e);
        close(fd);
    }
    if (!r && json_read(&d, buf_view(&text), &limits, &je))
        r = err_set(e, -EINVAL, "%s: %s", path, je.text);
    if (!r)
        r = read_document(&(struct reading){path, &d, l, e});
    json_doc_release(&d);
    buf_release(&text);
    if (r)
        lock_free(l);
    else
        *ret = l;
    return r;
}

/* --- In memory --- */

static int by_name(const void *x, const void *y)
{
    const struct lock_plugin *a = x, *b = y;
    return str_cmp(a->name, b->name);
}

void lock_sort_plugins(struct lock *l)
{
    if (l->plugins)
        qsort(l->plugin, l->plugins, sizeof(*l->plugin), by_name);
}

void lock_release(struct lock *l)
{
    for (uint32_t i = 0; i < l->plugins; i++)
        free(l->plugin[i].field);
    free(l->plugin);
    text_pool_free(l->texts);
}

void lock_free(struct lock *l)
{
    if (l)
        lock_release(l);
    free(l);
}

const struct lock_plugin *lock_find(const struct lock *l, struct str name)
{
    const struct lock_plugin key = {.name = name};
    return l->plugins ? bsearch(&key, l->plugin, l->plugins, sizeof(key), by_name) : NULL;
}

uint32_t lock_compare(const struct lock_plugin *before, const struct lock_plugin *after,
                      lock_difference_fn *fn, void *arg)
{
    uint32_t i = 0, k = 0, n = 0;
    uint32_t befores = before ? before->fields : 0, afters = after ? after->fields : 0;
    while (i < befores || k < afters) {
        int c = i == befores ? 1 : k == afters ? -1 : 0;
        c = c ? c : str_cmp(before->field[i].key, after->field[k].key);
        const struct lock_field *old = c <= 0 ? &before->field[i++] : NULL;
        const struct lock_field *new = c >= 0 ? &after->field[k++] : NULL;
        if (old && new &&memcmp(old->sha256, new->sha256, LOCK_HEX) == 0)
            continue;
        n++;
        if (fn)
            fn(arg, old, new);
    }
    return n;
}

/* --- Writing --- */

static int by_pointed_name(const void *x, const void *y)
{
    return by_name(*(const void *const *)x, *(const void *const *)y);
}

static void write_plugin(struct buf *b, const struct lock_plugin *p)
{
    buf_lit(b, "    ");
    json_write_string(b, p->name);
    buf_lit(b, ": {");
    for (uint32_t i = 0; i < p->fields; i++) {
        const struct lock_field *f = &p->field[i];
        buf_printf(b, "%s\n      ", i ? "," : "");
        json_write_string(b, f->key);
        buf_printf(b, ": {\"sha256\": \"%s\"", f->sha256);
        if (f->value.p) {
            buf_lit(b, ", \"value\": ");
            buf_str(b, f->value);
        }
        buf_byte(b, '}');
    }
    buf_lit(b, "\n    }");
}

static int write_all(int fd, struct str s)
{
    while (s.n) {
        ssize_t n = write(fd, s.p, s.n);
        if (n < 0 && errno != EINTR)
            return -errno;
        s.p += n > 0 ? n : 0;
        s.n -= n > 0 ? (size_t)n : 0;
    }
    return fsync(fd) ? -errno : 0;
}

/* A crash leaves the old file or the new one. */
static int replace(const char *path, struct str text, struct err *e)
{
    char temporary[PATH_MAX];
    int n = snprintf(temporary, sizeof(temporary), "%s.%d.new", path, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof(temporary))
        return err_set(e, -ENAMETOOLONG, "%s: expected a shorter path", path);
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return err_set(e, -errno, "%s: can't be made: %s", temporary, strerror(errno));
    int r = write_all(fd, text);
    close(fd);
    if (!r && rename(temporary, path))
        r = -errno;
    if (r) {
        unlink(temporary);
        return err_set(e, r, "%s: can't be written: %s", path, strerror(-r));
    }
    char *directory;
    if (path_directory(path, &directory, NULL))
        return 0; /* it is there, and safe a little later */
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(directory);
    return 0;
}

int lock_write(const char *path, const struct lock_plugin *const *plugin, uint32_t plugins,
               struct err *e)
{
    struct buf b = BUF_INIT(LOCK_BYTES);
    const struct lock_plugin **sorted = calloc(plugins + 1, sizeof(*sorted));
    if (!sorted)
        return err_set(e, -ENOMEM, "out of memory");
    if (plugins)
        memcpy(sorted, plugin, plugins * sizeof(*sorted));
    qsort(sorted, plugins, sizeof(*sorted), by_pointed_name);
    buf_printf(&b, "{\n  \"manifold-lock\": %d,\n  \"plugins\": {", FORMAT);
    for (uint32_t i = 0; i < plugins; i++) {
        buf_printf(&b, "%s\n", i ? "," : "");
        write_plugin(&b, sorted[i]);
    }
    buf_lit(&b, "\n  }\n}\n");
    int r = b.failed == -ENOMEM ? err_set(e, -ENOMEM, "out of memory")
            : b.failed ? err_set(e, -EFBIG, "%s: expected at most %d MiB to write, found more",
                                 path, LOCK_BYTES >> 20)
                       : replace(path, buf_view(&b), e);
    buf_release(&b);
    free(sorted);
    return r;
}
