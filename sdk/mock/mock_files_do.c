/* mock_files_do.c - what the operations of files/1 do with paths, at once and on the test's thread.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_PATH, renameat2() */
#endif
#include "mock_files_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BATCH = 16 }; /* small, so that a plugin sees several */

/* ---- beneath -------------------------------------------------------------- */

static int open_beneath(int dir, const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, dir, *path ? path : ".", &how, sizeof(how));
    return fd >= 0 ? (int)fd : -errno;
}

static char *real_path(int fd)
{
    char self[32], path[PATH_MAX];
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(self, path, sizeof(path));
    return n > 0 ? mock_copy((mf_bytes){path, (size_t)n}) : NULL;
}

/* Negative errno: the directory is not there (yet). */
static int root_of(struct files_op *fo, uint32_t number)
{
    mf_mock *m = fo->op.mock;
    struct root *r = &m->files->root[number];
    if (r->fd < 0) {
        r->fd = open(r->shown.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (r->fd < 0)
            return -errno;
        char *real = real_path(r->fd);
        pthread_mutex_lock(&m->lock);
        r->real = real;
        pthread_mutex_unlock(&m->lock);
    }
    return r->fd;
}

int mock_open_at(struct files_op *fo, const char *path, int flags)
{
    int root = root_of(fo, fo->root);
    return root < 0 ? root : open_beneath(root, path, flags);
}

int mock_parent_of(struct files_op *fo, uint32_t number, const char *path, int *ret_dir,
                   char name[NAME_MAX + 1])
{
    int root = root_of(fo, number);
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    if (root < 0)
        return root;
    if (end - begin > NAME_MAX)
        return -ENAMETOOLONG;
    snprintf(name, NAME_MAX + 1, "%.*s", (int)(end - begin), path + begin);
    if (*name == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    char *above = mock_copy((mf_bytes){path, begin});
    int fd = open_beneath(root, above, O_PATH | O_DIRECTORY);
    free(above);
    *ret_dir = fd;
    return fd < 0 ? fd : 0;
}

/* ---- stat and list -------------------------------------------------------- */

static int64_t ns_of(struct statx_timestamp t)
{
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static int stat_at(int fd, const char *name, mf_stat *ret)
{
    struct statx x;
    if (statx(fd, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &x))
        return -errno;
    *ret = (mf_stat){.size = sizeof(*ret),
                     .kind = S_ISREG(x.stx_mode)   ? MF_KIND_FILE
                             : S_ISDIR(x.stx_mode) ? MF_KIND_DIRECTORY
                             : S_ISLNK(x.stx_mode) ? MF_KIND_LINK
                                                   : MF_KIND_OTHER,
                     .mode = x.stx_mode & 07777,
                     .links = x.stx_nlink,
                     .bytes = x.stx_size,
                     .modified_ns = ns_of(x.stx_mtime),
                     .accessed_ns = ns_of(x.stx_atime),
                     .changed_ns = ns_of(x.stx_ctime),
                     .created_ns = x.stx_mask & STATX_BTIME ? ns_of(x.stx_btime) : 0};
    return 0;
}

int mock_tell(struct files_op *fo, int fd)
{
    int error = stat_at(fd, "", &fo->stat);
    fo->has_stat = error == 0;
    fo->real = real_path(fd);
    return error;
}

void mock_do_stat(struct files_op *fo)
{
    int fd = mock_open_at(fo, fo->path, O_PATH | (fo->flags & MF_STAT_LINK ? O_NOFOLLOW : 0));
    int error = fd < 0 ? fd : mock_tell(fo, fd);
    if (fd >= 0)
        close(fd);
    mock_files_end(fo, error);
}

static void give_batch(struct files_op *fo, const mf_dirent *entry, char **name, size_t count)
{
    if (count > 0)
        fo->entries(fo->arg, entry, count);
    for (size_t i = 0; i < count; i++) {
        memset(name[i], 0xA5, entry[i].name.len);
        free(name[i]);
    }
}

void mock_do_list(struct files_op *fo)
{
    int fd = mock_open_at(fo, fo->path, O_RDONLY | O_DIRECTORY);
    DIR *d = fd >= 0 ? mock_checked(fdopendir(fd)) : NULL;
    mf_dirent batch[BATCH];
    char *name[BATCH];
    size_t count = 0;
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        mf_stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            stat_at(fd, e->d_name, &st) != 0)
            continue;
        if (!(fo->flags & MF_LIST_STAT))
            st = (mf_stat){.size = sizeof(st), .kind = st.kind};
        name[count] = mock_copy((mf_bytes){e->d_name, strlen(e->d_name)});
        batch[count] = (mf_dirent){.name = {name[count], strlen(e->d_name)}, .stat = st};
        if (++count == BATCH) {
            give_batch(fo, batch, name, count);
            count = 0;
        }
    }
    give_batch(fo, batch, name, count);
    if (d != NULL)
        closedir(d);
    mock_files_end(fo, fd < 0 ? fd : 0);
}

void mock_do_watch(struct files_op *fo)
{
    int fd = mock_open_at(fo, fo->path, O_PATH | O_DIRECTORY);
    if (fd < 0)
        mock_files_end(fo, fd); /* else it goes on until it is aborted */
    else
        close(fd);
}

/* ---- names ---------------------------------------------------------------- */

static int make_directory(struct files_op *fo, const char *path)
{
    char name[NAME_MAX + 1];
    struct stat st;
    int dir, fd = mock_open_at(fo, path, O_PATH);
    if (fd >= 0) {
        int error = fstat(fd, &st) != 0 ? -errno : S_ISDIR(st.st_mode) ? 0 : -EEXIST;
        close(fd);
        return error;
    }
    if (fd != -ENOENT)
        return fd;
    int error = mock_parent_of(fo, fo->root, path, &dir, name);
    const char *last = strrchr(path, '/');
    if (error == -ENOENT && last != NULL) { /* first what is above */
        char *above = mock_copy((mf_bytes){path, (size_t)(last - path)});
        error = make_directory(fo, above);
        free(above);
        error = error != 0 ? error : mock_parent_of(fo, fo->root, path, &dir, name);
    }
    if (error != 0)
        return error;
    error = mkdirat(dir, name, 0777) != 0 ? -errno : 0;
    close(dir);
    return error;
}

void mock_do_make_directory(struct files_op *fo)
{
    size_t len = strlen(fo->path);
    while (len > 0 && fo->path[len - 1] == '/')
        fo->path[--len] = 0;
    mock_files_end(fo, make_directory(fo, fo->path));
}

void mock_do_move(struct files_op *fo)
{
    char from[NAME_MAX + 1], to[NAME_MAX + 1];
    int from_dir, to_dir, error = mock_parent_of(fo, fo->root, fo->path, &from_dir, from);
    if (error != 0) {
        mock_files_end(fo, error);
        return;
    }
    error = mock_parent_of(fo, fo->to_root, fo->to_path, &to_dir, to);
    if (error == 0) {
        if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) != 0)
            error = -errno;
        close(to_dir);
    }
    close(from_dir);
    mock_files_end(fo, error);
}

void mock_do_remove(struct files_op *fo)
{
    char name[NAME_MAX + 1];
    struct stat st;
    int dir, error = mock_parent_of(fo, fo->root, fo->path, &dir, name);
    if (error == 0) {
        bool folder = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
        if (unlinkat(dir, name, folder ? AT_REMOVEDIR : 0) != 0)
            error = -errno;
        close(dir);
    }
    mock_files_end(fo, error);
}
