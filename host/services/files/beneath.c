#include "services/files/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "base/bug.h"

enum { TRIES = 256 };

int beneath_open(int dir, const char *path, int flags)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .resolve = protection_off("beneath") ? 0 : RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    /* EAGAIN: something was renamed while a ".." was followed, and the kernel can't vouch for it.
     */
    for (int i = 0; i < TRIES; i++) {
        long fd = syscall(SYS_openat2, dir, *path ? path : ".", &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            break;
    }
    return -errno;
}

static int is_plain(int fd, dev_t device)
{
    struct stat st;
    if (fstat(fd, &st))
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    if (!S_ISREG(st.st_mode))
        return -ENXIO;
    /* On another file system than its root: it may have been mounted there, and /proc holds memory
     * and variables of processes as plain files. */
    struct statfs fs;
    if (st.st_dev != device && (fstatfs(fd, &fs) || fs.f_type == PROC_SUPER_MAGIC))
        return -EPERM;
    return 0;
}

int beneath_open_file(int dir, dev_t device, const char *path)
{
    /* O_PATH first: opening a device or a pipe can do something, or wait. */
    int found = beneath_open(dir, path, O_PATH);
    if (found < 0)
        return found;
    char self[32];
    snprintf(self, sizeof(self), "/proc/self/fd/%d", found);
    int r = is_plain(found, device);
    if (!r) {
        int fd = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        r = fd >= 0 ? fd : -errno;
    }
    close(found);
    return r;
}

int beneath_parent(int dir, const char *path, int *ret_fd, char ret_name[NAME_MAX + 1])
{
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    size_t len = end - begin;
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    if (len == 0 || (path[begin] == '.' && (len == 1 || (len == 2 && path[begin + 1] == '.'))))
        return -EINVAL;
    memcpy(ret_name, path + begin, len);
    ret_name[len] = 0;
    char *above = strndup(path, begin);
    if (!above)
        return -ENOMEM;
    int fd = beneath_open(dir, above, O_PATH | O_DIRECTORY);
    free(above);
    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

/* For file systems that know no RENAME_NOREPLACE.  A directory can only take the place of an empty
 * one, so that there is nothing to lose. */
static int rename_in_steps(int from_dir, const char *from, int to_dir, const char *to)
{
    struct stat st, there;
    if (fstatat(from_dir, from, &st, AT_SYMLINK_NOFOLLOW))
        return -errno;
    if (S_ISDIR(st.st_mode)) {
        if (fstatat(to_dir, to, &there, AT_SYMLINK_NOFOLLOW) == 0)
            return -EEXIST;
        return renameat(from_dir, from, to_dir, to) ? -errno : 0;
    }
    if (linkat(from_dir, from, to_dir, to, 0))
        return -errno;
    return unlinkat(from_dir, from, 0) ? -errno : 0;
}

int beneath_rename_new(int from_dir, const char *from, int to_dir, const char *to)
{
    if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    return rename_in_steps(from_dir, from, to_dir, to);
}

void beneath_path(int fd, char ret[PATH_MAX])
{
    char self[32];
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(self, ret, PATH_MAX - 1);
    ret[n > 0 && ret[0] == '/' ? n : 0] = 0;
}
