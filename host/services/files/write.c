/* What changes files, on the I/O threads.
 *
 * A file is never written in place: what is to be there is written beside it under a random name
 * in the same directory, flushed, and renamed over it, so that whoever looks finds the old or the
 * new one, whole, even after the power has failed. */
#include "services/files/files.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>
#include "config/units.h"
#include "services/files/beneath.h"

/* The directory of the path and the name in it.  False: the job has failed. */
static bool parent_of(struct files_job *job, uint32_t number, const char *path, int *ret_dir,
                      char ret_name[NAME_MAX + 1])
{
    int root = files_job_root(job, number, NULL);
    if (root < 0)
        return false;
    int r = beneath_parent(root, path, ret_dir, ret_name);
    if (r == -EINVAL)
        files_job_refuse(job, MF_EINVAL, "expected a path that ends in the name of an entry");
    if (r == -EINVAL)
        job->error = EINVAL;
    else if (r)
        files_job_fail(job, path, r);
    return r == 0;
}

/* --- Create, write, commit --- */

/* Is there something that a file can't be put in place of?  *ret_mode: of the file that is there;
 * 0: there is none. */
static int look_in_place(int dir, const char *name, bool fresh, mode_t *ret_mode,
                         uint64_t *ret_bytes)
{
    struct stat st;
    *ret_mode = 0;
    *ret_bytes = 0;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? 0 : -errno;
    if (fresh)
        return -EEXIST;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return -ENXIO;
    if (S_ISREG(st.st_mode)) {
        *ret_mode = st.st_mode;
        *ret_bytes = (uint64_t)st.st_size;
    }
    return 0;
}

static int open_temporary(struct open_file *file, mode_t mode)
{
    uint64_t random[2];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return -EIO;
    snprintf(file->temporary, sizeof(file->temporary), ".%016llx%016llx.tmp",
             (unsigned long long)random[0], (unsigned long long)random[1]);
    /* Never more open than what it replaces; the umask makes a new one as any other new file. */
    int fd = openat(file->dir, file->temporary,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC,
                    mode ? mode & 0777 : 0666);
    if (fd < 0) {
        int error = errno;
        file->temporary[0] = 0;
        return -error;
    }
    return fd;
}

void files_run_create(struct files_job *job)
{
    struct open_file *file = calloc(1, sizeof(*file));
    mode_t mode;
    uint64_t bytes;
    if (!file) {
        files_job_fail(job, job->path, ENOMEM);
        return;
    }
    if (!parent_of(job, job->root, job->path, &file->dir, file->name)) {
        free(file);
        return;
    }
    file->fresh = job->flags & MF_OPEN_NEW;
    int r = look_in_place(file->dir, file->name, file->fresh, &mode, &bytes);
    if (!r)
        r = file->fd = open_temporary(file, mode);
    if (r < 0) {
        files_job_fail(job, job->path, r);
        close(file->dir);
        free(file);
        return;
    }
    atomic_init(&file->refs, 1);
    files_ref(file->files = job->files);
    file->root = &job->files->root[job->root];
    files_job_opened(job, file);
}

static void fail_quota(struct files_job *job, struct files_root *root, int error)
{
    struct files_quota *q = root->quota;
    char limit[UNITS_SHOWN];
    if (error == -EDQUOT)
        files_job_refuse(job, MF_ENOSPC,
                         "the quota of files \"%s\" is full: expected at most %s in all",
                         root->shown.grant, units_show_size(q->limit, limit));
    else if (error == -EOVERFLOW)
        files_job_refuse(
            job, MF_ENOSPC,
            "the quota of files \"%s\" can't be measured: too many entries or too deep",
            root->shown.grant);
    else
        files_job_fail(job, root->shown.grant, error);
    job->error = -error;
}

/* 0 or negative errno. */
static int write_all(struct files_job *job)
{
    size_t done = 0;
    while (done < job->len) {
        if (files_job_is_left(job))
            return -ECANCELED;
        ssize_t n = write(job->file->fd, job->data + done, job->len - done);
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

void files_run_write(struct files_job *job)
{
    struct open_file *file = job->file;
    int r = files_quota_take(job, file->root, job->len);
    if (r) {
        fail_quota(job, file->root, r);
        open_file_break(file);
        return;
    }
    r = write_all(job);
    files_quota_written(file->root, job->len);
    file->written += job->len; /* all of it counts until the file is closed or in place */
    if (r) {
        files_job_fail(job, file->name, r);
        open_file_break(file);
    }
}

void files_undo_write(struct files_job *job)
{
    if (job->file)
        open_file_break(job->file);
}

static int flush_directory(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* One that may not be read can't be flushed, and some file systems know no such thing. */
    if (fd < 0)
        return errno == EACCES ? 0 : -errno;
    int r = fsync(fd) && errno != EINVAL ? -errno : 0;
    close(fd);
    return r;
}

static int put_in_place(struct open_file *file)
{
    mode_t mode;
    uint64_t bytes;
    int r = look_in_place(file->dir, file->name, file->fresh, &mode, &bytes);
    if (!r && mode && fchmod(file->fd, mode & 0777))
        r = -errno;
    if (!r && fsync(file->fd))
        r = -errno;
    if (!r && file->fresh)
        r = beneath_rename_new(file->dir, file->temporary, file->dir, file->name);
    else if (!r && renameat(file->dir, file->temporary, file->dir, file->name))
        r = -errno;
    if (r)
        return r;
    file->temporary[0] = 0;
    files_quota_give(file->root, bytes);
    return flush_directory(file->dir);
}

void files_run_commit(struct files_job *job)
{
    int r = put_in_place(job->file);
    if (r)
        files_job_fail(job, job->file->name, r);
}

/* --- Names --- */

/* One more directory of the path, job->path up to `end`. */
static int make_one(int root, const char *path)
{
    char name[NAME_MAX + 1];
    int dir;
    int r = beneath_parent(root, path, &dir, name);
    if (r)
        return r;
    r = mkdirat(dir, name, 0777) && errno != EEXIST ? -errno : 0;
    close(dir);
    return r;
}

/* 0: it is a directory; -EEXIST: it is something else. */
static int is_there(int root, const char *path)
{
    int fd = beneath_open(root, path, O_PATH);
    struct stat st;
    if (fd < 0)
        return fd;
    int r = fstat(fd, &st) ? -errno : S_ISDIR(st.st_mode) ? 0 : -EEXIST;
    close(fd);
    return r;
}

/* From the first component on: what is there is only looked at. */
static int make_all(struct files_job *job, int root, char *path)
{
    int r = is_there(root, path);
    if (r != -ENOENT)
        return r;
    for (char *at = path; *at && !files_job_is_left(job);) {
        char *end = at + strspn(at, "/");
        end += strcspn(end, "/");
        char behind = *end;
        *end = 0;
        r = is_there(root, path);
        if (r == -ENOENT)
            r = make_one(root, path);
        *end = behind;
        if (r)
            return r;
        at = end;
    }
    r = is_there(root, path);
    /* A link that leads nowhere is there, and is no directory. */
    return r == -ENOENT ? -EEXIST : r;
}

void files_run_make_directory(struct files_job *job)
{
    int root = files_job_root(job, job->root, NULL);
    if (root < 0)
        return;
    char *path = strdup(job->path);
    int r = path ? make_all(job, root, path) : -ENOMEM;
    free(path);
    if (r)
        files_job_fail(job, job->path, r);
}

void files_run_move(struct files_job *job)
{
    struct files_root *from_root = &job->files->root[job->root];
    struct files_root *to_root = &job->files->root[job->to_root];
    char from[NAME_MAX + 1], to[NAME_MAX + 1];
    int from_dir, to_dir;
    if (!parent_of(job, job->root, job->path, &from_dir, from))
        return;
    if (!parent_of(job, job->to_root, job->to_path, &to_dir, to)) {
        close(from_dir);
        return;
    }
    int r = beneath_rename_new(from_dir, from, to_dir, to);
    close(from_dir);
    close(to_dir);
    if (r == -EXDEV) {
        files_job_refuse(job, MF_ENOTSUP, "it can't be moved to another file system");
        job->error = EXDEV;
    } else if (r) {
        files_job_fail(job, r == -EEXIST ? job->to_path : job->path, r);
    } else if (from_root->quota != to_root->quota) {
        files_quota_forget(from_root);
        files_quota_forget(to_root);
    }
}

void files_run_remove(struct files_job *job)
{
    char name[NAME_MAX + 1];
    struct stat st;
    int dir;
    if (!parent_of(job, job->root, job->path, &dir, name))
        return;
    bool known = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    bool folder = known && S_ISDIR(st.st_mode);
    if (unlinkat(dir, name, folder ? AT_REMOVEDIR : 0))
        files_job_fail(job, job->path, errno);
    else if (known && S_ISREG(st.st_mode))
        files_quota_give(&job->files->root[job->root], (uint64_t)st.st_size);
    close(dir);
}
