/* mock_files.c - "manifold.files/1": operations, rules of the test, and their end. */
#include "mock_files_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct files_op *op_of(struct mock_op *op)
{
    return (struct files_op *)op;
}

/* ---- ends ----------------------------------------------------------------- */

static const struct {
    int error;
    mf_status status;
} statuses[] = {
    {ENOENT, MF_ENOENT},       {EEXIST, MF_EEXIST}, {ENOTDIR, MF_ENOTDIR}, {EISDIR, MF_EISDIR},
    {ENOTEMPTY, MF_ENOTEMPTY}, {ENOSPC, MF_ENOSPC}, {EACCES, MF_EDENIED},  {EPERM, MF_EDENIED},
    {EROFS, MF_EDENIED},       {EXDEV, MF_EDENIED}, {EINVAL, MF_EINVAL},   {ELOOP, MF_EINVAL},
    {ENAMETOOLONG, MF_EINVAL}, {ENXIO, MF_EINVAL},  {ENOSYS, MF_ENOTSUP},
};

void mock_files_end(struct files_op *fo, int error)
{
    mf_status status = error != 0 ? MF_EIO : MF_OK;
    fo->error = error < 0 ? -error : error;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (fo->error == statuses[i].error)
            status = statuses[i].status;
    mock_op_end(&fo->op, status, error != 0 ? strerror(fo->error) : NULL);
}

void mock_files_refuse(struct files_op *fo, mf_status status, const char *why)
{
    mock_op_end(&fo->op, status, why);
}

static void fill(const struct files_op *fo, mf_file_end *end, size_t size)
{
    *end = (mf_file_end){0};
    mock_op_fill(&fo->op, &end->end, size);
    end->error = fo->error;
}

static void deliver_stated(struct mock_op *op)
{
    struct files_op *fo = op_of(op);
    bool good = op->status == MF_OK;
    mf_stated s = {.file = good ? fo->file : 0,
                   .stat = good && fo->has_stat ? &fo->stat : NULL,
                   .path = {fo->real, fo->real != NULL ? strlen(fo->real) : 0}};
    fill(fo, &s.end, sizeof(s));
    fo->stated(fo->arg, &s);
}

static void deliver_read(struct mock_op *op)
{
    struct files_op *fo = op_of(op);
    mf_read r = {.bytes = mock_buf_bytes(&fo->data)};
    fill(fo, &r.end, sizeof(r));
    fo->read(fo->arg, &r);
    if (fo->data.len > 0)
        memset(fo->data.data, 0xA5, fo->data.len);
}

static void deliver(struct mock_op *op)
{
    struct files_op *fo = op_of(op);
    mf_file_end end;
    fill(fo, &end, sizeof(end));
    if (fo->end != NULL)
        fo->end(fo->arg, &end);
}

/* ---- an operation's way --------------------------------------------------- */

/* What is refused before anything is done.  True: it was. */
static bool refused(struct files_op *fo, const struct mock_files *f)
{
    const char *why = NULL;
    bool denied = f->roots == 0;
    if (denied)
        why = "no directory is granted";
    else if (fo->bad_path)
        why = "expected a path of at most 4095 bytes without a NUL";
    else if (fo->root >= f->roots || fo->to_root >= f->roots)
        why = "there is no such root";
    else if (fo->writes &&
             !(f->root[fo->root].shown.flags & f->root[fo->to_root].shown.flags & MF_ROOT_WRITE))
        why = "it is granted for reading alone", denied = true;
    if (why != NULL)
        mock_files_refuse(fo, denied ? MF_EDENIED : MF_EINVAL, why);
    return why != NULL;
}

static void start(struct mock_op *op)
{
    struct files_op *fo = op_of(op);
    mf_mock *m = op->mock;
    struct rule rule = {0};
    pthread_mutex_lock(&m->lock);
    struct mock_files *f = mock_files_of(m);
    const struct open_file *file = fo->file != 0 ? mock_file_find(f, fo->file) : NULL;
    const struct rule *found = *mock_files_rule(f, file != NULL ? file->path : fo->path);
    if (found != NULL)
        rule = *found;
    op->due = UINT64_MAX;
    pthread_mutex_unlock(&m->lock);
    if (refused(fo, f) || (found != NULL && rule.status == MF_OK))
        return; /* it hangs */
    if (found != NULL) {
        fo->error = rule.error;
        mock_files_refuse(fo, rule.status, rule.why);
        return;
    }
    fo->run(fo);
}

static void op_abort(struct mock_op *op)
{
    mock_op_end(op, MF_ECANCELED, NULL);
}

static void op_release(struct mock_op *op)
{
    struct files_op *fo = op_of(op);
    free(fo->path);
    free(fo->to_path);
    free(fo->real);
    free(fo->change);
    free(fo->data.data);
    free(fo);
}

void mock_files_watch_fire(struct mock_op *op)
{
    struct files_op *fo = op_of(op);
    char *name = fo->change;
    fo->change = NULL;
    op->due = UINT64_MAX;
    if (name != NULL)
        fo->changed(fo->arg, (mf_bytes){name, strlen(name)});
    free(name);
}

/* ---- the vtable ----------------------------------------------------------- */

#define KIND(NAME, DELIVER)                               \
    {                                                     \
        NAME, start, start, op_abort, DELIVER, op_release \
    }
static const struct mock_op_kind stat_kind = KIND("files.stat", deliver_stated),
                                 open_kind = KIND("files.open", deliver_stated),
                                 read_kind = KIND("files.read", deliver_read),
                                 write_kind = KIND("files.write", deliver),
                                 commit_kind = KIND("files.commit", deliver),
                                 list_kind = KIND("files.list", deliver),
                                 make_kind = KIND("files.make_directory", deliver),
                                 move_kind = KIND("files.move", deliver),
                                 remove_kind = KIND("files.remove", deliver);
static const struct mock_op_kind watch_kind = {"files.watch", start,   mock_files_watch_fire,
                                               op_abort,      deliver, op_release};

static bool is_bad(mf_bytes path)
{
    return path.len > MF_FILES_PATH_MAX || (path.len > 0 && memchr(path.data, 0, path.len) != NULL);
}

static struct files_op *new_op(void (*run)(struct files_op *fo), uint32_t root, mf_bytes path,
                               void *arg)
{
    struct files_op *fo = mock_checked(calloc(1, sizeof(*fo)));
    fo->run = run;
    fo->root = fo->to_root = root;
    fo->bad_path = is_bad(path);
    fo->path = mock_copy(fo->bad_path ? (mf_bytes){NULL, 0} : path);
    fo->arg = arg;
    return fo;
}

static const mf_root *files_root(const mf_host *host, uint32_t number)
{
    struct mock_files *f = mock_files_of(mock_of(host));
    return number < f->roots ? &f->root[number].shown : NULL;
}

static bool is_below(mf_bytes path, const char *directory, mf_bytes *ret_rest)
{
    size_t len = directory != NULL ? strlen(directory) : 0;
    if (len == 0 || path.len < len || memcmp(path.data, directory, len) != 0 ||
        (path.len > len && path.data[len] != '/'))
        return false;
    while (len < path.len && path.data[len] == '/')
        len++;
    *ret_rest = (mf_bytes){path.data + len, path.len - len};
    return true;
}

static mf_status files_locate(const mf_host *host, mf_bytes path, uint32_t *ret_root,
                              mf_bytes *ret_rest, mf_bytes *ret_why)
{
    mf_mock *m = mock_of(host);
    bool found = false;
    mf_bytes rest;
    pthread_mutex_lock(&m->lock);
    struct mock_files *f = mock_files_of(m);
    for (uint32_t i = 0; i < f->roots; i++) {
        const struct root *r = &f->root[i];
        if (!is_below(path, r->shown.path, &rest) && !is_below(path, r->real, &rest))
            continue;
        if (!found || rest.len < ret_rest->len) {
            *ret_root = i;
            *ret_rest = rest;
        }
        found = true;
    }
    pthread_mutex_unlock(&m->lock);
    if (!found)
        *ret_why = MF_LIT("it is outside of the directories that are granted");
    return found ? MF_OK : MF_EDENIED;
}

static mf_op files_stat(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                        uint32_t flags, mf_stated_cb end, void *arg)
{
    if (end == NULL)
        return mock_op_refuse(host, stat_kind.name, "expected a function");
    struct files_op *fo = new_op(mock_do_stat, root, path, arg);
    fo->flags = flags;
    fo->stated = end;
    return mock_op_begin(host, call, &fo->op, &stat_kind);
}

static mf_op files_open(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                        uint32_t flags, mf_stated_cb end, void *arg)
{
    if (end == NULL)
        return mock_op_refuse(host, open_kind.name, "expected a function");
    struct files_op *fo = new_op(mock_do_open, root, path, arg);
    fo->flags = flags;
    fo->writes = (flags & MF_OPEN_CREATE) != 0;
    fo->stated = end;
    return mock_op_begin(host, call, &fo->op, &open_kind);
}

static struct files_op *new_op_of(void (*run)(struct files_op *fo), mf_file file, void *arg)
{
    struct files_op *fo = new_op(run, 0, (mf_bytes){NULL, 0}, arg);
    fo->file = file;
    return fo;
}

static mf_op files_read(const mf_host *host, mf_call call, mf_file file, uint64_t offset,
                        size_t max, mf_read_cb end, void *arg)
{
    if (end == NULL)
        return mock_op_refuse(host, read_kind.name, "expected a function");
    struct files_op *fo = new_op_of(mock_do_read, file, arg);
    fo->offset = offset;
    fo->max = max;
    fo->read = end;
    return mock_op_begin(host, call, &fo->op, &read_kind);
}

static mf_op files_write(const mf_host *host, mf_call call, mf_file file, mf_bytes bytes,
                         mf_file_end_cb end, void *arg)
{
    struct files_op *fo = new_op_of(mock_do_write, file, arg);
    mock_buf_append(&fo->data, bytes);
    fo->end = end;
    return mock_op_begin(host, call, &fo->op, &write_kind);
}

static mf_op files_commit(const mf_host *host, mf_call call, mf_file file, mf_file_end_cb end,
                          void *arg)
{
    struct files_op *fo = new_op_of(mock_do_commit, file, arg);
    fo->end = end;
    return mock_op_begin(host, call, &fo->op, &commit_kind);
}

static mf_status files_close(const mf_host *host, mf_file file)
{
    mf_mock *m = mock_of(host);
    pthread_mutex_lock(&m->lock);
    struct open_file *open = mock_file_find(mock_files_of(m), file);
    if (open != NULL)
        mock_file_close(open);
    else
        mock_mistake(m, "files.close(): the file %#llx is not open", (unsigned long long)file);
    pthread_mutex_unlock(&m->lock);
    return open != NULL ? MF_OK : MF_ESTALE;
}

static mf_op files_list(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                        uint32_t flags,
                        void (*entries)(void *arg, const mf_dirent *entries, size_t count),
                        mf_file_end_cb end, void *arg)
{
    if (entries == NULL)
        return mock_op_refuse(host, list_kind.name, "expected a function");
    struct files_op *fo = new_op(mock_do_list, root, path, arg);
    fo->flags = flags;
    fo->entries = entries;
    fo->end = end;
    return mock_op_begin(host, call, &fo->op, &list_kind);
}

static mf_op files_make_directory(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                                  mf_file_end_cb end, void *arg)
{
    struct files_op *fo = new_op(mock_do_make_directory, root, path, arg);
    fo->writes = true;
    fo->end = end;
    return mock_op_begin(host, call, &fo->op, &make_kind);
}

static mf_op files_move(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                        uint32_t to_root, mf_bytes to_path, mf_file_end_cb end, void *arg)
{
    struct files_op *fo = new_op(mock_do_move, root, path, arg);
    fo->bad_path = fo->bad_path || is_bad(to_path);
    fo->to_path = mock_copy(fo->bad_path ? (mf_bytes){NULL, 0} : to_path);
    fo->to_root = to_root;
    fo->writes = true;
    fo->end = end;
    return mock_op_begin(host, call, &fo->op, &move_kind);
}

static mf_op files_remove(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                          mf_file_end_cb end, void *arg)
{
    struct files_op *fo = new_op(mock_do_remove, root, path, arg);
    fo->writes = true;
    fo->end = end;
    return mock_op_begin(host, call, &fo->op, &remove_kind);
}

static mf_op files_watch(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                         void (*changed)(void *arg, mf_bytes name), mf_file_end_cb end, void *arg)
{
    if (changed == NULL)
        return mock_op_refuse(host, watch_kind.name, "expected a function");
    struct files_op *fo = new_op(mock_do_watch, root, path, arg);
    fo->changed = changed;
    fo->end = end;
    return mock_op_begin(host, call, &fo->op, &watch_kind);
}

const struct mf_files mock_files = {sizeof(mf_files), 0,
                                    files_root,       files_locate,
                                    files_stat,       files_open,
                                    files_read,       files_write,
                                    files_commit,     files_close,
                                    files_list,       files_make_directory,
                                    files_move,       files_remove,
                                    files_watch,      mock_op_abort};
