#include "io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { NAMES_MAX = 32 << 20 }; /* bytes of names that one listing holds */

/* ---- waiting -------------------------------------------------------------- */

/* One operation, on the stack of the thread that waits for it. */
struct wait {
    struct job *job;
    bool ended;
    struct failure failure;
    mf_stat *stat;
    struct text *real, *bytes;
    mf_file file;
    struct gathered *gathered;
};

/* On the loop, from here to settle(). */
static void take_end(struct wait *w, const mf_file_end *end)
{
    w->failure.status = end->end.status;
    w->failure.error = end->error;
    snprintf(w->failure.why, sizeof(w->failure.why), "%.*s", (int)end->end.why.len,
             end->end.why.len ? end->end.why.data : "");
}

static void settle(struct wait *w)
{
    struct job *j = w->job;
    pthread_mutex_lock(&j->lock);
    w->ended = true;
    pthread_cond_signal(&j->changed);
    pthread_mutex_unlock(&j->lock);
}

static void on_end(void *arg, const mf_file_end *end)
{
    take_end(arg, end);
    settle(arg);
}

static void on_stated(void *arg, const mf_stated *s)
{
    struct wait *w = arg;
    take_end(w, &s->end);
    w->file = s->file;
    if (s->stat != NULL && w->stat != NULL)
        *w->stat = *s->stat;
    if (w->real != NULL)
        text_add(w->real, s->path.data, s->path.len);
    settle(w);
}

static void on_read(void *arg, const mf_read *r)
{
    struct wait *w = arg;
    take_end(w, &r->end);
    if (!text_add(w->bytes, r->bytes.data, r->bytes.len))
        w->failure = (struct failure){MF_ELIMIT, 0, "it is over what may be read at once"};
    settle(w);
}

/* On the thread. */
static bool wait_for(struct wait *w, mf_op op, struct failure *ret)
{
    struct job *j = w->job;
    if (op == 0) {
        *ret = (struct failure){MF_ECANCELED, 0, "the host does not begin it: the call has ended"};
        return false;
    }
    pthread_mutex_lock(&j->lock);
    while (!w->ended)
        pthread_cond_wait(&j->changed, &j->lock);
    pthread_mutex_unlock(&j->lock);
    *ret = w->failure;
    return ret->status == MF_OK;
}

/* ---- one operation each --------------------------------------------------- */

bool io_stat(struct job *j, struct spot at, uint32_t flags, mf_stat *ret, struct text *real,
             struct failure *f)
{
    struct wait w = {.job = j, .stat = ret, .real = real};
    const mf_files *files = j->fs->files;
    return wait_for(&w, files->stat(j->fs->host, j->call, at.root, at.path, flags, on_stated, &w),
                    f);
}

bool io_open(struct job *j, struct spot at, uint32_t flags, mf_file *ret_file, mf_stat *ret,
             struct failure *f)
{
    struct wait w = {.job = j, .stat = ret};
    const mf_files *files = j->fs->files;
    bool good =
        wait_for(&w, files->open(j->fs->host, j->call, at.root, at.path, flags, on_stated, &w), f);
    *ret_file = w.file;
    return good;
}

void io_close(struct job *j, mf_file file)
{
    j->fs->files->close(j->fs->host, file);
}

bool io_read(struct job *j, mf_file file, uint64_t offset, size_t max, struct text *ret,
             struct failure *f)
{
    struct wait w = {.job = j, .bytes = ret};
    return wait_for(&w, j->fs->files->read(j->fs->host, j->call, file, offset, max, on_read, &w),
                    f);
}

static bool write_all(struct job *j, mf_file file, mf_bytes bytes, struct failure *f)
{
    while (bytes.len > 0) {
        struct wait w = {.job = j};
        mf_bytes piece = {bytes.data, bytes.len < IO_CHUNK ? bytes.len : IO_CHUNK};
        if (!wait_for(&w, j->fs->files->write(j->fs->host, j->call, file, piece, on_end, &w), f))
            return false;
        bytes.data += piece.len;
        bytes.len -= piece.len;
    }
    return true;
}

bool io_save(struct job *j, struct spot at, mf_bytes bytes, struct failure *f)
{
    struct wait w = {.job = j};
    mf_file file;
    if (!io_open(j, at, MF_OPEN_CREATE, &file, NULL, f))
        return false;
    if (!write_all(j, file, bytes, f)) {
        io_close(j, file);
        return false;
    }
    return wait_for(&w, j->fs->files->commit(j->fs->host, j->call, file, on_end, &w), f);
}

bool io_make_directory(struct job *j, struct spot at, struct failure *f)
{
    struct wait w = {.job = j};
    const mf_files *files = j->fs->files;
    return wait_for(&w, files->make_directory(j->fs->host, j->call, at.root, at.path, on_end, &w),
                    f);
}

bool io_move(struct job *j, struct spot from, struct spot to, struct failure *f)
{
    struct wait w = {.job = j};
    return wait_for(&w,
                    j->fs->files->move(j->fs->host, j->call, from.root, from.path, to.root, to.path,
                                       on_end, &w),
                    f);
}

/* ---- directories ---------------------------------------------------------- */

/* What a listing brings, packed: kind, size, name, NUL. */
struct gathered {
    struct text packed;
    size_t count, most;
    _Atomic mf_op op; /* 0: not known yet */
};

struct packed {
    uint64_t bytes;
    uint32_t kind;
};

/* On the loop. */
static void on_entries(void *arg, const mf_dirent *entry, size_t count)
{
    struct wait *w = arg;
    struct gathered *g = w->gathered;
    for (size_t i = 0; i < count && g->count <= g->most; i++) {
        struct packed p = {entry[i].stat.bytes, entry[i].stat.kind};
        text_add(&g->packed, &p, sizeof(p));
        text_add(&g->packed, entry[i].name.data, entry[i].name.len);
        text_add(&g->packed, "", 1);
        g->count++;
    }
    if (g->op != 0 && (g->packed.over || g->count > g->most))
        w->job->fs->files->abort(w->job->fs->host, g->op);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static bool unpack(struct gathered *g, struct entries *ret)
{
    ret->names = g->packed;
    ret->entry = calloc(g->count + 1, sizeof(*ret->entry));
    if (ret->entry == NULL)
        return false;
    const char *at = g->packed.data;
    for (; ret->count < g->count; ret->count++) {
        struct packed p;
        memcpy(&p, at, sizeof(p));
        at += sizeof(p);
        ret->entry[ret->count] = (struct entry){at, p.kind, p.bytes};
        at += strlen(at) + 1;
    }
    qsort(ret->entry, ret->count, sizeof(*ret->entry), by_name);
    return true;
}

bool io_list(struct job *j, struct spot at, uint32_t flags, size_t most, struct entries *ret,
             struct failure *f)
{
    struct gathered g = {.packed = TEXT_INIT(NAMES_MAX), .most = most};
    struct wait w = {.job = j, .gathered = &g};
    *ret = (struct entries){0};
    g.op =
        j->fs->files->list(j->fs->host, j->call, at.root, at.path, flags, on_entries, on_end, &w);
    bool good = wait_for(&w, g.op, f);
    if (g.packed.over || g.count > most) {
        *f = (struct failure){MF_ELIMIT, 0, ""};
        snprintf(f->why, sizeof(f->why),
                 "There are more entries than one call may look at (%" PRId64 ")",
                 j->fs->max_entries);
        good = false;
    }
    if (good && !unpack(&g, ret)) {
        *f = (struct failure){MF_ENOMEM, ENOMEM, "out of memory"};
        good = false;
    }
    if (!good) {
        free(ret->entry);
        text_free(&g.packed);
        *ret = (struct entries){0};
    }
    return good;
}

void entries_free(struct entries *e)
{
    free(e->entry);
    text_free(&e->names);
    *e = (struct entries){0};
}

/* ---- errors as node says them --------------------------------------------- */

static const struct {
    int error;
    const char *text;
} words[] = {
    {EACCES, "EACCES: permission denied"},
    {EEXIST, "EEXIST: file already exists"},
    {EINVAL, "EINVAL: invalid argument"},
    {EIO, "EIO: i/o error"},
    {EISDIR, "EISDIR: illegal operation on a directory"},
    {ELOOP, "ELOOP: too many symbolic links encountered"},
    {EMFILE, "EMFILE: too many open files"},
    {ENAMETOOLONG, "ENAMETOOLONG: name too long"},
    {ENOENT, "ENOENT: no such file or directory"},
    {ENOMEM, "ENOMEM: not enough memory"},
    {ENOSPC, "ENOSPC: no space left on device"},
    {ENOTDIR, "ENOTDIR: not a directory"},
    {ENOTEMPTY, "ENOTEMPTY: directory not empty"},
    {EPERM, "EPERM: operation not permitted"},
    {EROFS, "EROFS: read-only file system"},
    {EXDEV, "EXDEV: cross-device link not permitted"},
};

bool fail_as_node(struct job *j, const struct failure *f, const char *call, const char *path,
                  const char *to)
{
    const char *text = NULL;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (words[i].error == f->error)
            text = words[i].text;
    if (text == NULL)
        return fail(j, "%s", *f->why ? f->why : "the host has cancelled it");
    if (path == NULL)
        return fail(j, "%s, %s", text, call);
    if (to == NULL)
        return fail(j, "%s, %s '%s'", text, call, path);
    return fail(j, "%s, %s '%s' -> '%s'", text, call, path, to);
}
