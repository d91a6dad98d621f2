/* mock_files_open.c - open files of files/1. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_PATH, renameat2() */
#endif
#include "mock_files_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct open_file *mock_file_find(struct mock_files *f, mf_file handle)
{
    uint32_t slot = (uint32_t)handle - 1;
    bool known = slot < MF_FILES_OPEN_MAX && f->file[slot].path != NULL &&
                 f->file[slot].generation == (uint32_t)(handle >> 32);
    return known ? &f->file[slot] : NULL;
}

void mock_file_close(struct open_file *file)
{
    close(file->fd);
    if (file->dir >= 0) {
        if (*file->temporary)
            unlinkat(file->dir, file->temporary, 0);
        close(file->dir);
    }
    free(file->path);
    file->path = NULL;
}

/* Puts an opened file into a free place.  False: there is none, and it is closed. */
static bool keep(struct files_op *fo, struct open_file *opened)
{
    mf_mock *m = fo->op.mock;
    uint32_t slot = 0;
    pthread_mutex_lock(&m->lock);
    struct mock_files *f = m->files;
    while (slot < MF_FILES_OPEN_MAX && f->file[slot].path != NULL)
        slot++;
    opened->path = mock_copy((mf_bytes){fo->path, strlen(fo->path)});
    if (slot < MF_FILES_OPEN_MAX) {
        opened->generation = f->file[slot].generation + 1;
        f->file[slot] = *opened;
        fo->file = (mf_file)opened->generation << 32 | (slot + 1);
    } else {
        mock_file_close(opened);
    }
    pthread_mutex_unlock(&m->lock);
    return slot < MF_FILES_OPEN_MAX;
}

static int in_the_way(int dir, const char *name, bool fresh)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (fresh)
        return -EEXIST;
    return S_ISDIR(st.st_mode) ? -EISDIR : S_ISREG(st.st_mode) || S_ISLNK(st.st_mode) ? 0 : -ENXIO;
}

static int create(struct files_op *fo, struct open_file *ret)
{
    int error = mock_parent_of(fo, fo->root, fo->path, &ret->dir, ret->name);
    if (error != 0)
        return error;
    ret->fresh = (fo->flags & MF_OPEN_NEW) != 0;
    snprintf(ret->temporary, sizeof(ret->temporary), ".%d-%016llx.tmp", (int)getpid(),
             (unsigned long long)fo->op.id);
    error = in_the_way(ret->dir, ret->name, ret->fresh);
    if (error == 0) {
        ret->fd = openat(ret->dir, ret->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        error = ret->fd < 0 ? -errno : 0;
    }
    if (error != 0)
        close(ret->dir);
    return error;
}

static int open_plain(struct files_op *fo, struct open_file *ret)
{
    char self[32];
    int found = mock_open_at(fo, fo->path, O_PATH);
    if (found < 0)
        return found;
    int error = mock_tell(fo, found);
    if (error == 0 && fo->stat.kind != MF_KIND_FILE)
        error = fo->stat.kind == MF_KIND_DIRECTORY ? -EISDIR : -ENXIO;
    snprintf(self, sizeof(self), "/proc/self/fd/%d", found);
    if (error == 0 && (ret->fd = open(self, O_RDONLY | O_CLOEXEC)) < 0)
        error = -errno;
    close(found);
    return error;
}

void mock_do_open(struct files_op *fo)
{
    struct open_file opened = {.fd = -1, .dir = -1};
    int error = fo->flags & MF_OPEN_CREATE ? create(fo, &opened) : open_plain(fo, &opened);
    if (error != 0)
        mock_files_end(fo, error);
    else if (keep(fo, &opened))
        mock_files_end(fo, 0);
    else
        mock_files_refuse(fo, MF_ELIMIT, "expected at most 64 open files at a time");
}

/* The file of the operation, or NULL: it was ended. */
static struct open_file *file_of(struct files_op *fo, bool to_write)
{
    mf_mock *m = fo->op.mock;
    pthread_mutex_lock(&m->lock);
    struct open_file *file = mock_file_find(m->files, fo->file);
    pthread_mutex_unlock(&m->lock);
    if (file == NULL)
        mock_files_refuse(fo, MF_ESTALE, "expected an open file, found one that is not");
    else if ((file->dir >= 0) != to_write)
        mock_files_refuse(fo, MF_EINVAL, "the file is open for the other thing");
    else
        return file;
    return NULL;
}

void mock_do_read(struct files_op *fo)
{
    struct open_file *file = file_of(fo, false);
    if (file == NULL)
        return;
    if (fo->max > MF_FILES_READ_MAX) {
        mock_files_refuse(fo, MF_EINVAL, "expected at most MF_FILES_READ_MAX bytes");
        return;
    }
    char *space = mock_checked(malloc(fo->max + 1));
    ssize_t n = pread(file->fd, space, fo->max, (off_t)fo->offset);
    int error = n < 0 ? errno : 0;
    if (n > 0)
        mock_buf_append(&fo->data, (mf_bytes){space, (size_t)n});
    free(space);
    mock_files_end(fo, error);
}

void mock_do_write(struct files_op *fo)
{
    struct open_file *file = file_of(fo, true);
    if (file == NULL)
        return;
    if (fo->data.len > MF_FILES_WRITE_MAX) {
        mock_files_refuse(fo, MF_EINVAL, "expected at most MF_FILES_WRITE_MAX bytes");
    } else if (file->broken) {
        mock_files_refuse(fo, MF_EIO, "a write to this file has failed: it can only be closed");
    } else {
        ssize_t n = write(file->fd, fo->data.data, fo->data.len);
        file->broken = n != (ssize_t)fo->data.len;
        mock_files_end(fo, n < 0 ? errno : file->broken ? ENOSPC : 0);
    }
}

static int put_in_place(struct open_file *file)
{
    struct stat st;
    int error = in_the_way(file->dir, file->name, file->fresh);
    if (error != 0)
        return error;
    if (fstatat(file->dir, file->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
        fchmod(file->fd, st.st_mode & 0777);
    if (renameat2(file->dir, file->temporary, file->dir, file->name,
                  file->fresh ? RENAME_NOREPLACE : 0) != 0)
        return -errno;
    *file->temporary = 0;
    return 0;
}

void mock_do_commit(struct files_op *fo)
{
    mf_mock *m = fo->op.mock;
    struct open_file *file = file_of(fo, true);
    if (file == NULL)
        return;
    bool broken = file->broken;
    int error = broken ? 0 : put_in_place(file);
    pthread_mutex_lock(&m->lock);
    mock_file_close(file);
    pthread_mutex_unlock(&m->lock);
    if (broken)
        mock_files_refuse(fo, MF_EIO, "a write to this file has failed");
    else
        mock_files_end(fo, error);
}
