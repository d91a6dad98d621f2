#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode)    ? "a directory"
           : S_ISLNK(mode)  ? "a symbolic link"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISSOCK(mode) ? "a socket"
                            : "a device";
}

static int check_owner(const struct stat *st, const char *shown, struct err *e)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return err_set(e, -EPERM, "%s: expected a file of root or of user %u, found one of user %u",
                       shown, geteuid(), st->st_uid);
    if (st->st_mode & S_IWOTH)
        return err_set(e, -EPERM,
                       "%s: expected a file that not everybody can write, found mode %04o", shown,
                       st->st_mode & 07777);
    if ((st->st_mode & S_IWGRP) && st->st_gid != st->st_uid)
        return err_set(
            e, -EPERM,
            "%s: expected a file that only its owner can write, found mode %04o and group %u",
            shown, st->st_mode & 07777, st->st_gid);
    return 0;
}

int file_open(int dirfd, const char *name, bool nofollow, const char *shown, int *ret_fd,
              struct err *e)
{
    /* O_NONBLOCK: opening a pipe must not wait for its writer. */
    int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (nofollow ? O_NOFOLLOW : 0);
    int fd = openat(dirfd, name, flags);
    struct stat st;
    if (fd < 0 && errno == ELOOP && nofollow)
        return err_set(e, -ELOOP, "%s: expected a regular file, found a symbolic link", shown);
    if (fd < 0 && errno == ENXIO)
        return err_set(e, -ENXIO, "%s: expected a regular file, found a socket", shown);
    if (fd < 0)
        return err_set(e, -errno, "%s: can't be opened: %s", shown, strerror(errno));
    int r =
        fstat(fd, &st) ? err_set(e, -errno, "%s: can't be read: %s", shown, strerror(errno)) : 0;
    if (!r && !S_ISREG(st.st_mode))
        r = err_set(e, -EINVAL, "%s: expected a regular file, found %s", shown,
                    kind_of(st.st_mode));
    if (!r)
        r = check_owner(&st, shown, e);
    if (r)
        close(fd);
    else
        *ret_fd = fd;
    return r;
}

const char *path_home(void)
{
    const char *home = getenv("HOME");
    return home && home[0] == '/' ? home : NULL;
}

int path_expand(struct str path, const char *base, char **ret, struct err *e)
{
    const char *in = base;
    if (memchr(path.p, 0, path.n))
        return err_set(e, -EINVAL, "expected a path, found a NUL character in it");
    if (path.n && path.p[0] == '~' && (path.n == 1 || path.p[1] == '/')) {
        in = path_home();
        if (!in)
            return err_set(e, -ENOENT, "expected HOME to be set, since the path begins with ~");
        path = path.n == 1 ? STR_NONE : (struct str){path.p + 2, path.n - 2};
    } else if (path.n && path.p[0] == '/') {
        in = NULL;
    }
    size_t head = in ? strlen(in) : 0;
    char *out = malloc(head + path.n + 2);
    if (!out)
        return err_set(e, -ENOMEM, "out of memory");
    size_t n = 0;
    if (in) {
        memcpy(out, in, head);
        n = head;
        if (path.n)
            out[n++] = '/';
    }
    if (path.n)
        memcpy(out + n, path.p, path.n);
    out[n + path.n] = 0;
    *ret = out;
    return 0;
}

int path_directory(const char *path, char **ret, struct err *e)
{
    const char *slash = strrchr(path, '/');
    struct str directory = {path, slash == path ? 1 : (size_t)(slash ? slash - path : 0)};
    char *copy = str_dup(slash ? directory : STR("."));
    if (!copy)
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    *ret = copy;
    return 0;
}
