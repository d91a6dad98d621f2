#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config/complain.h"
#include "config/file.h"
#include "config/grants_parts.h"
#include "config/text.h"

enum { WORDS_BYTES = 400, UP_MAX = 512 };

/* --- Roots that are nobody's --- */

struct guarded {
    const char *what;
    struct str path; /* NUL-terminated, absolute */
};

/* No matter what is granted: through /proc the host's memory and variables can be read. */
static const struct {
    const char *path;
    bool reading;
} system_roots[] = {{"/proc", true}, {"/sys", false}, {"/dev", false}};

static int open_root(const char *path)
{
    return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is `fd` the directory `of`, or in it?  A negative errno where that can't be told. */
static int is_in(int fd, const struct stat *of)
{
    int at = fcntl(fd, F_DUPFD_CLOEXEC, 3), r = at < 0 ? -errno : 0;
    struct stat here, above = {0};
    for (int i = 0; !r; i++) {
        if (fstat(at, &here) || i == UP_MAX) {
            r = i == UP_MAX ? -ELOOP : -errno;
        } else if (same_file(&here, of)) {
            r = 1;
        } else {
            int up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
            if (up < 0 || fstat(up, &above))
                r = -errno;
            close(at);
            at = up;
            if (!r && same_file(&here, &above))
                break;
        }
    }
    if (at >= 0)
        close(at);
    return r;
}

static int check_system(int fd, bool write, const char *shown, struct err *e)
{
    for (size_t i = 0; i < sizeof(system_roots) / sizeof(system_roots[0]); i++) {
        struct stat st;
        if ((!write && !system_roots[i].reading) || stat(system_roots[i].path, &st))
            continue;
        int r = is_in(fd, &st);
        if (r < 0)
            return err_set(e, r, "%s: %s", shown, strerror(-r));
        if (r)
            return err_set(e, -EPERM, "%s: expected a directory outside of %s, found one in it",
                           shown, system_roots[i].path);
    }
    return 0;
}

/* 1: it lies in that directory; 0: it does not, or there is none; or a negative errno. */
static int lies_in(const struct guarded *g, const struct stat *root)
{
    int fd = open_root(g->path.p);
    int r = fd < 0 ? 0 : is_in(fd, root);
    if (fd >= 0)
        close(fd);
    return r;
}

static int check_guarded(const struct guarded *g, const struct stat *root, const char *shown,
                         struct err *e)
{
    int r = lies_in(g, root);
    if (r < 0)
        return err_set(e, r, "%s: %s", g->path.p, strerror(-r));
    return r ? err_set(e, -EPERM,
                       "%s: expected a directory that does not hold %s (%s) where writing is "
                       "granted, found one that does",
                       shown, g->what, g->path.p)
             : 0;
}

int grants_check_root(const struct grants *g, int fd, bool write, const char *shown, struct err *e)
{
    struct stat st;
    if (protection_off("grants"))
        return 0;
    if (fstat(fd, &st))
        return err_set(e, -errno, "%s: %s", shown, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return err_set(e, -ENOTDIR, "%s: expected a directory, found something else", shown);
    int r = check_system(fd, write, shown, e);
    for (uint32_t i = 0; write && !r && i < g->guarded_count; i++)
        r = check_guarded(&g->guarded[i], &st, shown, e);
    return r;
}

bool grant_reaches(const struct grants *g, const struct files_grant *f, const char *what)
{
    struct stat st;
    bool reaches = false;
    for (uint32_t i = 0; i < g->guarded_count; i++) {
        if (strcmp(g->guarded[i].what, what) != 0)
            continue;
        for (uint32_t k = 0; k < f->paths; k++)
            reaches |= stat(f->path[k].p, &st) == 0 && lies_in(&g->guarded[i], &st) > 0;
    }
    return reaches;
}

static int absolute(struct grants *g, const char *path, struct str *ret, struct err *e)
{
    char directory[PATH_MAX];
    struct buf full = BUF_INIT(PATH_MAX);
    if (path[0] != '/') {
        if (!getcwd(directory, sizeof(directory)))
            return err_set(e, -errno, "the working directory can't be told: %s", strerror(errno));
        buf_printf(&full, "%s/", directory);
    }
    buf_str(&full, str_of(path));
    buf_byte(&full, 0);
    int r = 0;
    if (full.failed == -ENOMEM)
        r = err_set(e, -ENOMEM, "out of memory");
    else if (full.failed)
        r = err_set(e, -ENAMETOOLONG, "expected a path of at most %d bytes, found a longer one",
                    PATH_MAX);
    else if (!(r = text_keep(&g->texts, buf_view(&full), ret, e)))
        ret->n--;
    buf_release(&full);
    return r;
}

static int guard(struct grants *g, const char *what, const char *path, struct err *e)
{
    struct guarded *one = &g->guarded[g->guarded_count];
    int r = absolute(g, path, &one->path, e);
    one->what = what;
    g->guarded_count += r ? 0 : 1;
    return r;
}

/* The directory of a file, and where the file is a link that of what it leads to. */
static int guard_file(struct grants *g, const char *what, const char *file, struct err *e)
{
    char *directory = NULL, *real = realpath(file, NULL);
    int r = path_directory(file, &directory, e);
    r = r ? r : guard(g, what, directory, e);
    free(directory);
    directory = NULL;
    r = r || !real ? r : path_directory(real, &directory, e);
    r = r || !directory ? r : guard(g, what, directory, e);
    free(directory);
    free(real);
    return r;
}

int grant_guard(struct granting *of, struct err *e)
{
    const struct settings *s = of->s;
    struct grants *g = of->g;
    const char *home = path_home();
    g->guarded = calloc(s->sources + 8, sizeof(*g->guarded));
    if (!g->guarded)
        return err_set(e, -ENOMEM, "out of memory");
    int r = guard(g, GUARDED_ROOT, "/", e);
    r = r || !home ? r : guard(g, "the home directory", home, e);
    for (uint32_t i = 0; !r && i < s->sources; i++)
        r = guard(g, "a plugin directory", s->source[i].path, e);
    r = r || !s->doc.path ? r : guard_file(g, GUARDED_CONFIG, s->doc.path, e);
    return r || s->lock == LOCK_NONE ? r : guard_file(g, "the lock file", s->lock_file, e);
}

int grants_copy_guards(const struct grants *g, struct grants *ret, struct err *e)
{
    ret->guarded = calloc(g->guarded_count + 1, sizeof(*ret->guarded));
    int r = ret->guarded ? 0 : err_set(e, -ENOMEM, "out of memory");
    for (uint32_t i = 0; !r && i < g->guarded_count; i++) /* their paths are absolute */
        r = guard(ret, g->guarded[i].what, g->guarded[i].path.p, e);
    return r;
}

void grant_guard_release(struct grants *g)
{
    free(g->guarded);
}

/* --- What is asked --- */

void grant_words_files(const struct json_doc *d, json_ref n, struct buf *out)
{
    char shown[TEXT_SHOWN];
    json_ref mode = json_get(d, n, STR("mode")), path = json_get(d, n, STR("path"));
    buf_printf(out, "mode %s", mode && json_string_eq(d, mode, STR("rw")) ? "rw" : "r");
    if (!path)
        return;
    if (json_is(d, path, JSON_STRING)) {
        buf_printf(out, ", path %s", text_quoted(json_inner(d, path), shown));
        return;
    }
    buf_lit(out, ", paths");
    json_each (d, path, it)
        buf_printf(out, " %s", text_quoted(json_inner(d, it), shown));
}

/* --- What is given --- */

static int no_variable(void *arg, json_ref n, struct str variable, struct err *e)
{
    const struct expand *x = arg;
    return complain_at(x->doc, n, e, "expected ${data} alone in a path, found ${env:%.*s}",
                       STR_FMT(variable));
}

/* The manifest's wishes don't depend on where it lies. */
static bool is_fixed(struct str wish)
{
    return str_starts(wish, STR("/")) || str_eq(wish, STR("~")) || str_starts(wish, STR("~/")) ||
           str_starts(wish, STR("${data}"));
}

static int add_path(struct granting *of, struct files_grant *f, const struct document *doc,
                    json_ref n, struct err *e)
{
    struct expand x = {
        .doc = doc, .data = of->s->data, .name = of->m->name, .allow_env = no_variable};
    struct buf text = BUF_INIT(PATH_MAX);
    char *base = NULL, *full = NULL;
    char shown[TEXT_SHOWN];
    struct err why = {{0}};
    x.arg = &x;
    int r = doc == &of->s->doc ? path_directory(doc->path, &base, e) : 0;
    if (doc == &of->m->doc && !is_fixed(json_inner(&doc->json, n)))
        r = complain_at(doc, n, e,
                        "expected an absolute path, one below ~ or one below ${data}, found %s",
                        text_quoted(json_inner(&doc->json, n), shown));
    r = r ? r : expand_string(&x, n, &text, e);
    if (!r) {
        r = path_expand(buf_view(&text), base, &full, &why);
        r = r ? r : absolute(of->g, full, &f->path[f->paths], &why);
        r = r ? complain_at(doc, n, e, "%s", why.text) : 0;
    }
    f->paths += r ? 0 : 1;
    free(full);
    free(base);
    buf_release(&text);
    return r;
}

/* What can be seen wrong now is said now; the service looks again when it opens the root. */
static int look_at(struct granting *of, const struct files_grant *f, struct str path,
                   struct grant_value at, struct err *e)
{
    struct err why;
    int fd = open_root(path.p), r = 0;
    if (fd >= 0) {
        r = grants_check_root(of->g, fd, f->write, path.p, &why);
        close(fd);
        return r ? complain_at(at.doc, at.node, e, "%s", why.text) : 0;
    }
    struct str data = str_of(of->s->data);
    if (errno == ENOTDIR)
        return complain_at(at.doc, at.node, e, "%s: expected a directory, found something else",
                           path.p);
    if (errno != ENOENT || !str_starts(path, data))
        manifest_warn(of->m, at.doc, at.node, "%s: expected a directory, found: %s", path.p,
                      strerror(errno));
    return r;
}

static int read_paths(struct granting *of, struct files_grant *f, struct grant_value at,
                      struct err *e)
{
    const struct json_doc *d = &at.doc->json;
    bool list = json_is(d, at.node, JSON_ARRAY);
    f->path = calloc(list ? d->node[at.node].count : 1, sizeof(*f->path));
    int r = f->path ? 0 : err_set(e, -ENOMEM, "out of memory");
    json_ref it = list ? at.node + 1 : at.node;
    while (!r && it < d->node[at.node].next) {
        r = add_path(of, f, at.doc, it, e);
        r = r ? r : look_at(of, f, f->path[f->paths - 1], (struct grant_value){at.doc, it}, e);
        it = d->node[it].next;
    }
    return r;
}

static void read_mode(struct granting *of, const struct grant_ask *ask, struct files_grant *f,
                      json_ref n)
{
    const struct json_doc *d = &of->m->doc.json;
    json_ref asked = json_get(d, n, STR("mode"));
    struct grant_value given = grant_find(of, ask, "mode");
    bool wants = !given.doc || json_string_eq(&given.doc->json, given.node, STR("rw"));
    f->write = asked && json_string_eq(d, asked, STR("rw"));
    if (given.doc && wants && !f->write)
        manifest_warn(of->m, given.doc, given.node,
                      "expected r, which is what the manifest asks for, found rw: a grant narrows "
                      "and never widens");
    f->write = f->write && wants;
}

static int words_of(struct granting *of, struct grant_ask *ask, const struct files_grant *f,
                    struct err *e)
{
    char shown[UNITS_SHOWN];
    struct buf words = BUF_INIT(WORDS_BYTES);
    buf_printf(&words, "mode %s, %s", f->write ? "rw" : "r", f->paths > 1 ? "paths" : "path");
    for (uint32_t i = 0; i < f->paths; i++)
        buf_printf(&words, " \"%.*s\"", STR_FMT(f->path[i]));
    if (f->quota)
        buf_printf(&words, ", quota %s", units_show_size(f->quota, shown));
    int r = grant_keep(of->g, &words, &ask->given, e);
    buf_release(&words);
    return r;
}

int grant_files(struct granting *of, struct grant_ask *ask, json_ref n, struct err *e)
{
    struct files_grant *f = &of->g->files[of->g->files_count];
    struct grant_value at = grant_find(of, ask, "path"), given = grant_find(of, ask, NULL);
    if (!at.doc && json_get(&of->m->doc.json, n, STR("path")))
        at = (struct grant_value){&of->m->doc, json_get(&of->m->doc.json, n, STR("path"))};
    if (!at.doc) {
        /* Nobody has named a directory: a trusted plugin may well be left without. */
        ask->granted = false;
        if (given.doc)
            manifest_warn(
                of->m, given.doc, given.node,
                "expected a path, since the manifest wishes for none: nothing is granted");
        return 0;
    }
    of->g->files_count++;
    f->name = ask->name;
    read_mode(of, ask, f, n);
    int r = read_paths(of, f, at, e);
    r = r ? r : grant_unit(of, ask, "quota", resolve_size, 1, &f->quota, e);
    return r ? r : words_of(of, ask, f, e);
}
