/* manifold.files/1: the functions a plugin sees. */
#include "services/files/files.h"

#include "config/text.h"

/* --- What comes back --- */

static void fill(const struct files_op *fo, mf_file_end *end, size_t size)
{
    op_end_fill(&fo->op, &end->end, size);
    end->error = fo->job && fo->op.status ? fo->job->error : 0;
    end->reserved = 0;
}

static void deliver_stated(struct op *op)
{
    const struct files_op *fo = files_op_of(op);
    const struct files_job *job = fo->job;
    mf_stated s = {0};
    fill(fo, &s.end, sizeof(s));
    if (op->status == MF_OK && job) {
        s.file = job->handle;
        s.stat = job->stat.size ? &job->stat : NULL;
        s.path = (mf_bytes){job->real, job->real ? strlen(job->real) : 0};
    }
    fo->cb.stated(fo->arg, &s);
}

static void deliver_read(struct op *op)
{
    const struct files_op *fo = files_op_of(op);
    mf_read r = {0};
    fill(fo, &r.end, sizeof(r));
    if (op->status == MF_OK && fo->job)
        r.bytes = (mf_bytes){fo->job->data, fo->job->len};
    fo->cb.read(fo->arg, &r);
}

static void deliver(struct op *op)
{
    const struct files_op *fo = files_op_of(op);
    mf_file_end end;
    fill(fo, &end, sizeof(end));
    if (fo->cb.end)
        fo->cb.end(fo->arg, &end);
}

static void list_seen(struct files_op *fo)
{
    const struct listing *l = fo->job->listing;
    if (l->count && !fo->op.aborted) {
        op_enter(&fo->op);
        fo->telling = true;
        fo->entries(fo->arg, l->entry, l->count);
        fo->telling = false;
        op_leave(&fo->op);
    }
    if (fo->op.aborted)
        op_end(&fo->op, MF_ECANCELED);
    else if (l->end)
        files_op_end(fo);
    else
        files_op_again(fo);
}

static void watch_release(struct op *op)
{
    atomic_fetch_sub(&op->instance->services->files->watching, 1);
    files_op_release(op);
}

#define KIND(NAME, DELIVER, RELEASE)                                                        \
    {                                                                                       \
        .name = NAME, .start = files_op_start, .abort = files_op_abort, .deliver = DELIVER, \
        .release = RELEASE                                                                  \
    }

static const struct files_verb stat_verb = {
    .kind = KIND("files.stat", deliver_stated, files_op_release), .run = files_run_stat};
static const struct files_verb open_verb = {
    .kind = KIND("files.open", deliver_stated, files_op_release),
    .run = files_run_open,
    .undo = files_undo_open};
static const struct files_verb read_verb = {
    .kind = KIND("files.read", deliver_read, files_op_release), .run = files_run_read};
static const struct files_verb write_verb = {.kind = KIND("files.write", deliver, files_op_release),
                                             .run = files_run_write,
                                             .undo = files_undo_write};
static const struct files_verb commit_verb = {
    .kind = KIND("files.commit", deliver, files_op_release), .run = files_run_commit};
static const struct files_verb list_verb = {.kind = KIND("files.list", deliver, files_op_release),
                                            .run = files_run_list,
                                            .seen = list_seen};
static const struct files_verb make_directory_verb = {
    .kind = KIND("files.make_directory", deliver, files_op_release),
    .run = files_run_make_directory};
static const struct files_verb move_verb = {.kind = KIND("files.move", deliver, files_op_release),
                                            .run = files_run_move};
static const struct files_verb remove_verb = {
    .kind = KIND("files.remove", deliver, files_op_release), .run = files_run_remove};
static const struct files_verb watch_verb = {.kind = KIND("files.watch", deliver, watch_release),
                                             .run = files_run_watch,
                                             .seen = files_watch_seen,
                                             .stop = files_watch_stop};

/* --- What goes in --- */

struct place {
    uint32_t root;
    mf_bytes path;
    bool write; /* something there will change */
};

static struct files *files_of(const mf_host *h)
{
    const struct instance_services *own = instance_of_host(h)->services;
    return own ? own->files : NULL;
}

/* Refuses what is no place before a thread is bothered with it. */
static void check_place(struct files_job *job, const struct place *p)
{
    const struct files *f = job->files;
    char shown[TEXT_SHOWN];
    if (job->status)
        return;
    if (!f->roots)
        files_job_refuse(job, MF_EDENIED, "%s", f->denied);
    else if (p->root >= f->roots)
        files_job_refuse(job, MF_EINVAL, "expected a root below %u, found %u", f->roots, p->root);
    else if (p->path.len > MF_FILES_PATH_MAX)
        files_job_refuse(job, MF_EINVAL, "expected a path of at most %d bytes, found %zu",
                         MF_FILES_PATH_MAX, p->path.len);
    else if (p->path.len && memchr(p->path.data, 0, p->path.len))
        files_job_refuse(job, MF_EINVAL, "%s: expected a path without a NUL, found one with it",
                         text_quoted((struct str){p->path.data, p->path.len}, shown));
    else if (p->write && !(f->root[p->root].shown.flags & MF_ROOT_WRITE))
        files_job_refuse(job, MF_EDENIED,
                         "plugin %s may only read files \"%s\"; writing is granted by "
                         "--grant %s.files.%s.mode=rw where its manifest asks for it",
                         f->plugin, f->root[p->root].shown.grant, f->plugin,
                         f->root[p->root].shown.grant);
}

static const char *keep(char **at, mf_bytes path)
{
    const char *kept = *at;
    if (path.len)
        memcpy(*at, path.data, path.len);
    *at += path.len;
    *(*at)++ = 0;
    return kept;
}

/* Copies the places, of which there may be two, one or none.  NULL: no memory, or no such service.
 */
static struct files_op *new_op(const mf_host *h, const struct files_verb *verb,
                               const struct place *p, const struct place *to, void *arg)
{
    static const struct place nowhere;
    struct files *f = files_of(h);
    const struct place *a = p ? p : &nowhere, *b = to ? to : &nowhere;
    size_t fits = MF_FILES_PATH_MAX; /* what does not is refused, and not looked at */
    mf_bytes first = a->path.len > fits ? (mf_bytes){0} : a->path;
    mf_bytes second = b->path.len > fits ? (mf_bytes){0} : b->path;
    struct files_op *fo = f ? calloc(1, sizeof(*fo)) : NULL;
    struct files_job *job = fo ? calloc(1, sizeof(*job) + first.len + second.len + 2) : NULL;
    if (!job) {
        free(fo);
        op_refuse(h, verb->kind.name, "out of memory");
        return NULL;
    }
    files_ref(job->files = f);
    char *at = job->text;
    job->verb = verb;
    job->op = fo;
    job->fd = -1;
    job->root = a->root;
    job->path = keep(&at, first);
    job->to_root = b->root;
    job->to_path = keep(&at, second);
    if (p)
        check_place(job, p);
    if (to)
        check_place(job, to);
    fo->job = job;
    fo->arg = arg;
    return fo;
}

static mf_op begin(const mf_host *h, mf_call call, struct files_op *fo)
{
    return op_begin(h, call, &fo->op, &fo->job->verb->kind);
}

/* --- The vtable --- */

static const mf_root *files_root(const mf_host *h, uint32_t number)
{
    const struct files *f = files_of(h);
    return f && number < f->roots ? &f->root[number].shown : NULL;
}

/* Does the path lie below the directory?  *ret_rest: what is behind it. */
static bool is_below(mf_bytes path, const char *directory, mf_bytes *ret_rest)
{
    size_t len = strlen(directory);
    while (len && directory[len - 1] == '/')
        len--; /* "/" itself */
    if (path.len < len || !path.len || memcmp(path.data, directory, len) != 0 ||
        (path.len > len && path.data[len] != '/'))
        return false;
    while (len < path.len && path.data[len] == '/')
        len++;
    *ret_rest = (mf_bytes){path.data + len, path.len - len};
    return true;
}

static mf_status files_locate(const mf_host *h, mf_bytes path, uint32_t *ret_root,
                              mf_bytes *ret_rest, mf_bytes *ret_why)
{
    struct files *f = files_of(h);
    mf_bytes rest, best = {0};
    bool found = false;
    if (!f)
        return MF_EDENIED;
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; i < f->roots; i++) {
        const struct files_root *r = &f->root[i];
        bool below = is_below(path, r->shown.path, &rest);
        if (!below && !(r->real && is_below(path, r->real, &rest)))
            continue;
        if (found && rest.len >= best.len)
            continue;
        found = true;
        best = rest;
        *ret_root = i;
    }
    pthread_mutex_unlock(&f->lock);
    if (!found && ret_why)
        *ret_why = (mf_bytes){f->denied, strlen(f->denied)};
    if (found)
        *ret_rest = best;
    return found ? MF_OK : MF_EDENIED;
}

static mf_op files_stat(const mf_host *h, mf_call call, uint32_t root, mf_bytes path,
                        uint32_t flags, mf_stated_cb end, void *arg)
{
    if (!end)
        return op_refuse(h, "files.stat", "expected a function");
    struct files_op *fo = new_op(h, &stat_verb, &(struct place){root, path, false}, NULL, arg);
    if (!fo)
        return 0;
    fo->job->flags = flags;
    fo->cb.stated = end;
    return begin(h, call, fo);
}

static mf_op files_open(const mf_host *h, mf_call call, uint32_t root, mf_bytes path,
                        uint32_t flags, mf_stated_cb end, void *arg)
{
    if (!end)
        return op_refuse(h, "files.open", "expected a function");
    struct place place = {root, path, flags & MF_OPEN_CREATE};
    struct files_op *fo = new_op(h, &open_verb, &place, NULL, arg);
    if (!fo)
        return 0;
    struct files_job *job = fo->job;
    job->flags = flags;
    fo->cb.stated = end;
    if (!job->status && !(job->has_slot = files_reserve(job->files, &job->slot)))
        files_job_refuse(job, MF_ELIMIT, "expected at most %d open files at a time",
                         MF_FILES_OPEN_MAX);
    return begin(h, call, fo);
}

/* A job for an open file. */
static struct files_op *new_op_of(const mf_host *h, const struct files_verb *verb, mf_file file,
                                  void *arg)
{
    struct files_op *fo = new_op(h, verb, NULL, NULL, arg);
    struct files_job *job = fo ? fo->job : NULL;
    if (job && !(job->file = files_get(job->files, file, false)))
        files_job_refuse(job, MF_ESTALE, "expected an open file, found one that is not");
    return fo;
}

static mf_op files_read(const mf_host *h, mf_call call, mf_file file, uint64_t offset, size_t max,
                        mf_read_cb end, void *arg)
{
    if (!end)
        return op_refuse(h, "files.read", "expected a function");
    struct files_op *fo = new_op_of(h, &read_verb, file, arg);
    if (!fo)
        return 0;
    struct files_job *job = fo->job;
    job->offset = offset;
    job->max = max;
    fo->cb.read = end;
    if (!job->status && (max > MF_FILES_READ_MAX || offset > INT64_MAX - MF_FILES_READ_MAX))
        files_job_refuse(job, MF_EINVAL,
                         "expected at most %d bytes at an offset below 2^63, found %zu",
                         MF_FILES_READ_MAX, max);
    else if (!job->status && job->file->dir >= 0)
        files_job_refuse(job, MF_EINVAL, "expected a file to be read, found one of MF_OPEN_CREATE");
    return begin(h, call, fo);
}

static mf_op files_write(const mf_host *h, mf_call call, mf_file file, mf_bytes bytes,
                         mf_file_end_cb end, void *arg)
{
    struct files_op *fo = new_op_of(h, &write_verb, file, arg);
    if (!fo)
        return 0;
    struct files_job *job = fo->job;
    fo->cb.end = end;
    if (!job->status && bytes.len > MF_FILES_WRITE_MAX)
        files_job_refuse(job, MF_EINVAL, "expected at most %d bytes at a time, found %zu",
                         MF_FILES_WRITE_MAX, bytes.len);
    if (!job->status && open_file_claim(job->file, job) && bytes.len) {
        job->data = malloc(bytes.len);
        job->len = job->data ? bytes.len : 0;
        if (job->data)
            memcpy(job->data, bytes.data, bytes.len);
        else
            files_job_refuse(job, MF_ENOMEM, "no memory for %zu bytes", bytes.len);
    }
    return begin(h, call, fo);
}

static mf_status files_close(const mf_host *h, mf_file file)
{
    struct files *f = files_of(h);
    struct open_file *open = f ? files_get(f, file, true) : NULL;
    if (!open)
        return MF_ESTALE;
    open_file_put(open, false);
    return MF_OK;
}

static mf_op files_commit(const mf_host *h, mf_call call, mf_file file, mf_file_end_cb end,
                          void *arg)
{
    struct files_op *fo = new_op_of(h, &commit_verb, file, arg);
    if (!fo)
        return 0;
    if (!fo->job->status)
        open_file_claim(fo->job->file, fo->job);
    fo->cb.end = end;
    mf_op op = begin(h, call, fo);
    if (op)
        files_close(h, file); /* the job has it; 0: nothing was begun, and it stays open */
    return op;
}

static mf_op files_list(const mf_host *h, mf_call call, uint32_t root, mf_bytes path,
                        uint32_t flags,
                        void (*entries)(void *arg, const mf_dirent *entries, size_t count),
                        mf_file_end_cb end, void *arg)
{
    if (!entries)
        return op_refuse(h, "files.list", "expected a function");
    struct files_op *fo = new_op(h, &list_verb, &(struct place){root, path, false}, NULL, arg);
    if (!fo)
        return 0;
    fo->job->flags = flags;
    fo->entries = entries;
    fo->cb.end = end;
    return begin(h, call, fo);
}

/* What changes names and says no more than how it ended. */
static mf_op change(const mf_host *h, mf_call call, const struct files_verb *verb,
                    const struct place *p, const struct place *to, mf_file_end_cb end, void *arg)
{
    struct files_op *fo = new_op(h, verb, p, to, arg);
    if (!fo)
        return 0;
    fo->cb.end = end;
    return begin(h, call, fo);
}

static mf_op files_make_directory(const mf_host *h, mf_call call, uint32_t root, mf_bytes path,
                                  mf_file_end_cb end, void *arg)
{
    struct place place = {root, path, true};
    return change(h, call, &make_directory_verb, &place, NULL, end, arg);
}

static mf_op files_move(const mf_host *h, mf_call call, uint32_t root, mf_bytes path,
                        uint32_t to_root, mf_bytes to_path, mf_file_end_cb end, void *arg)
{
    struct place from = {root, path, true}, to = {to_root, to_path, true};
    return change(h, call, &move_verb, &from, &to, end, arg);
}

static mf_op files_remove(const mf_host *h, mf_call call, uint32_t root, mf_bytes path,
                          mf_file_end_cb end, void *arg)
{
    struct place place = {root, path, true};
    return change(h, call, &remove_verb, &place, NULL, end, arg);
}

static mf_op files_watch(const mf_host *h, mf_call call, uint32_t root, mf_bytes path,
                         void (*changed)(void *arg, mf_bytes name), mf_file_end_cb end, void *arg)
{
    if (!changed)
        return op_refuse(h, "files.watch", "expected a function");
    struct files_op *fo = new_op(h, &watch_verb, &(struct place){root, path, false}, NULL, arg);
    if (!fo)
        return 0;
    fo->changed = changed;
    fo->cb.end = end;
    if (atomic_fetch_add(&fo->job->files->watching, 1) >= MF_FILES_WATCH_MAX)
        files_job_refuse(fo->job, MF_ELIMIT, "expected at most %d watched directories at a time",
                         MF_FILES_WATCH_MAX);
    return begin(h, call, fo);
}

const struct mf_files files_vtable = {.size = sizeof(mf_files),
                                      .root = files_root,
                                      .locate = files_locate,
                                      .stat = files_stat,
                                      .open = files_open,
                                      .read = files_read,
                                      .write = files_write,
                                      .commit = files_commit,
                                      .close = files_close,
                                      .list = files_list,
                                      .make_directory = files_make_directory,
                                      .move = files_move,
                                      .remove = files_remove,
                                      .watch = files_watch,
                                      .abort = op_abort};
