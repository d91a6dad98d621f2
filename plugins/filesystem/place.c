#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_BYTES = 64 << 10 }; /* of what is asked; the host takes 4,095 */

/* ---- paths as text -------------------------------------------------------- */

static void resolve_part(struct text *t, mf_bytes part)
{
    if (part.len == 0 || (part.len == 1 && part.data[0] == '.'))
        return;
    if (part.len == 2 && memcmp(part.data, "..", 2) == 0) {
        while (t->len > 0 && t->data[--t->len] != '/')
            ;
        if (t->data != NULL)
            t->data[t->len] = 0;
        return;
    }
    text_cat(t, "/");
    text_add(t, part.data, part.len);
}

static void resolve_into(struct text *t, mf_bytes path)
{
    while (path.len > 0) {
        const char *slash = memchr(path.data, '/', path.len);
        size_t n = slash ? (size_t)(slash - path.data) : path.len;
        resolve_part(t, (mf_bytes){path.data, n});
        n += slash != NULL;
        path.data += n;
        path.len -= n;
    }
}

void path_resolve(mf_bytes base, mf_bytes path, struct text *ret)
{
    if (path.len == 0 || path.data[0] != '/')
        resolve_into(ret, base);
    resolve_into(ret, path);
    if (ret->len == 0)
        text_cat(ret, "/");
}

/* Is the path the directory or below it?  Names alone, for the words of the answer. */
static bool is_within(mf_bytes path, mf_bytes directory)
{
    if (directory.len == 1 && directory.data[0] == '/')
        return true;
    return path.len >= directory.len && memcmp(path.data, directory.data, directory.len) == 0 &&
           (path.len == directory.len || path.data[directory.len] == '/');
}

static bool is_allowed(struct job *j, mf_bytes path)
{
    bool within = false, more = true;
    if (path.len && memchr(path.data, 0, path.len) != NULL)
        return false;
    for (uint32_t i = 0; more && !within; i++) {
        struct text directory = TEXT_INIT(PATH_BYTES);
        more = allowed_at(j->fs, i, &directory);
        within = more && is_within(path, text_bytes(&directory));
        text_free(&directory);
    }
    return within;
}

/* Against the first allowed directory that it does not lead out of, or the first one. */
static void resolve_relative(struct job *j, mf_bytes path, struct text *ret)
{
    bool more = true;
    for (uint32_t i = 0; more; i++) {
        struct text directory = TEXT_INIT(PATH_BYTES);
        more = allowed_at(j->fs, i, &directory);
        if (more) {
            text_free(ret);
            path_resolve(text_bytes(&directory), path, ret);
        }
        text_free(&directory);
        if (more && is_allowed(j, text_bytes(ret)))
            return;
    }
    struct text first = TEXT_INIT(PATH_BYTES);
    text_free(ret);
    allowed_at(j->fs, 0, &first);
    path_resolve(text_bytes(&first), path, ret);
    text_free(&first);
}

/* "~" and "~/..." */
static void expand_home(mf_bytes path, struct text *ret)
{
    const char *home = getenv("HOME");
    bool tilde = path.len > 0 && path.data[0] == '~' && (path.len == 1 || path.data[1] == '/');
    if (tilde && home != NULL && *home) {
        struct text joined = TEXT_INIT(PATH_BYTES);
        text_cat(&joined, home);
        text_add(&joined, path.data + 1, path.len - 1);
        path_resolve((mf_bytes){0}, text_bytes(&joined), ret);
        text_free(&joined);
        return;
    }
    text_add(ret, path.data, path.len);
}

static bool is_windows(mf_bytes p)
{
    return p.len >= 2 && ((p.data[0] | 32) >= 'a' && (p.data[0] | 32) <= 'z') && p.data[1] == ':' &&
           (p.len == 2 || p.data[2] == '/' || p.data[2] == '\\');
}

/* ---- what is there -------------------------------------------------------- */

static bool fail_outside(struct job *j, const char *what, const struct text *path)
{
    struct text said = TEXT_INIT(MESSAGE_MAX);
    text_printf(&said, "Access denied - %s outside allowed directories: ", what);
    text_add(&said, path->data, path->len); /* NULs and all */
    text_cat(&said, " not in ");
    allowed_list(j, ", ", &said);
    fail_bytes(j, text_bytes(&said));
    text_free(&said);
    return false;
}

/* *ret points into the path. */
static bool locate(struct job *j, const struct text *path, struct spot *ret)
{
    mf_bytes why = {0};
    if (j->fs->files->locate(j->fs->host, text_bytes(path), &ret->root, &ret->path, &why) == MF_OK)
        return true;
    return fail(j, "%.*s", (int)why.len, why.data);
}

static bool leads_out(const struct failure *f)
{
    return f->status == MF_EDENIED && f->error == EXDEV;
}

/* One more name behind p->real, which is a directory without links.  *ret_more: false: it is not
 * there, and what is behind it is not either. */
static bool step(struct job *j, struct place *p, mf_bytes name, const char *absolute,
                 bool *ret_more)
{
    struct text next = TEXT_INIT(PATH_BYTES), real = TEXT_INIT(PATH_BYTES);
    struct failure f;
    struct spot at;
    text_add(&next, p->real.data, p->real.len);
    if (p->real.len > 1)
        text_cat(&next, "/");
    text_add(&next, name.data, name.len);
    bool good = locate(j, &next, &at);
    *ret_more = good && io_stat(j, at, 0, &p->stat, &real, &f);
    if (good && *ret_more) {
        text_free(&p->real);
        p->real = real;
        text_free(&next);
        return true;
    }
    text_free(&real);
    if (good && leads_out(&f)) {
        good = fail_outside(j, "symlink target", &next);
    } else if (good && f.status == MF_ENOENT) {
        if (io_stat(j, at, MF_STAT_LINK, &p->stat, NULL, &f)) {
            struct text parent = TEXT_INIT(PATH_BYTES); /* a link that leads nowhere */
            path_resolve(bytes_of(absolute), bytes_of(".."), &parent);
            good = fail(j, "Parent directory does not exist: %s", text_string(&parent));
            text_free(&parent);
        }
    } else if (good) {
        good = fail_as_node(j, &f, "realpath", text_string(&next), NULL);
    }
    text_free(&next);
    return good;
}

/* What is not there: the part of it that is, and the rest as it was asked for. */
static bool find_missing(struct job *j, const struct text *absolute, struct place *p)
{
    struct spot at;
    struct failure f;
    if (!locate(j, absolute, &at))
        return false;
    mf_bytes rest = at.path;
    text_free(&p->real);
    if (!io_stat(j, (struct spot){at.root, {0}}, 0, &p->stat, &p->real, &f))
        return fail_as_node(j, &f, "realpath", text_string(absolute), NULL);
    bool more = true;
    while (more && rest.len > 0) {
        const char *slash = memchr(rest.data, '/', rest.len);
        size_t n = slash ? (size_t)(slash - rest.data) : rest.len;
        if (!step(j, p, (mf_bytes){rest.data, n}, text_string(absolute), &more))
            return false;
        if (!more)
            break;
        n += slash != NULL;
        rest.data += n;
        rest.len -= n;
    }
    struct text whole = TEXT_INIT(PATH_BYTES);
    path_resolve(text_bytes(&p->real), rest, &whole);
    text_free(&p->real);
    p->real = whole;
    p->exists = rest.len == 0;
    return true;
}

static bool find_absolute(struct job *j, const struct text *absolute, struct place *p)
{
    struct spot at;
    struct failure f;
    bool good = true;
    if (!is_allowed(j, text_bytes(absolute)))
        return fail_outside(j, "path", absolute);
    if (!locate(j, absolute, &at))
        return false;
    p->exists = io_stat(j, at, 0, &p->stat, &p->real, &f);
    if (!p->exists && leads_out(&f))
        return fail_outside(j, "symlink target", absolute);
    if (!p->exists)
        good = f.status == MF_ENOENT ? find_missing(j, absolute, p)
                                     : fail_as_node(j, &f, "realpath", text_string(absolute), NULL);
    return good && locate(j, &p->real, &p->spot);
}

bool place_find(struct job *j, mf_bytes requested, struct place *ret)
{
    struct text expanded = TEXT_INIT(PATH_BYTES), absolute = TEXT_INIT(PATH_BYTES);
    bool good = true;
    *ret = (struct place){.real = TEXT_INIT(PATH_BYTES)};
    expand_home(requested, &expanded);
    if (expanded.over)
        good = fail(j, "ENAMETOOLONG: name too long, realpath");
    else if (is_windows(text_bytes(&expanded)))
        good = fail(j, "Access denied - Windows-style path received on a POSIX host: %.*s",
                    (int)requested.len, requested.data);
    if (good) {
        if (expanded.len > 0 && expanded.data[0] == '/')
            path_resolve((mf_bytes){0}, text_bytes(&expanded), &absolute);
        else
            resolve_relative(j, text_bytes(&expanded), &absolute);
        good = find_absolute(j, &absolute, ret);
    }
    text_free(&expanded);
    text_free(&absolute);
    return good;
}

bool place_of(struct job *j, const char *argument, struct place *ret)
{
    struct text requested = TEXT_INIT(PATH_BYTES);
    *ret = (struct place){0};
    bool good = arg_text(j, mfj_get(j->args, argument), &requested) ||
                fail(j, "ENAMETOOLONG: name too long, realpath");
    good = good && place_find(j, text_bytes(&requested), ret);
    text_free(&requested);
    return good;
}

void place_release(struct place *p)
{
    text_free(&p->real);
}
