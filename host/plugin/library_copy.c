#include "plugin/library_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include <nettle/sha2.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

/* Numbers below ten are taken for the standard streams and the child's own. */
enum { FIRST_KEPT_FD = 10 };

/* A directory where strangers may replace files can't hold a library.  The sticky bit
 * forbids them that. */
static int check_directory(int fd, const char *directory, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, -errno, "%s: cannot stat it: %s", directory, strerror(errno));
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return err_set(e, -EPERM,
                       "%s: expected a directory of root or user %u, found one of user %u",
                       directory, (unsigned)geteuid(), (unsigned)st.st_uid);
    if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX))
        return err_set(e, -EPERM,
                       "%s: expected a directory that others can't write to, found mode %04o",
                       directory, (unsigned)st.st_mode & 07777u);
    return 0;
}

/* A group of the owner alone, by the convention that it bears the owner's number. */
static bool group_is_private(const struct stat *st)
{
    return st->st_gid == st->st_uid;
}

static int check_file(const struct stat *st, struct err *e)
{
    if (!S_ISREG(st->st_mode))
        return err_set(e, -EINVAL, "expected a regular file, found another kind");
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return err_set(e, -EPERM, "expected a file of root or user %u, found one of user %u",
                       (unsigned)geteuid(), (unsigned)st->st_uid);
    if ((st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && !group_is_private(st)))
        return err_set(e, -EPERM,
                       "expected a file that only its owner can write to, found mode %04o: chmod "
                       "go-w",
                       (unsigned)st->st_mode & 07777u);
    if (st->st_size > LIBRARY_MAX_BYTES)
        return err_set(e, -EFBIG, "expected at most %d MiB, found %lld bytes",
                       LIBRARY_MAX_BYTES >> 20, (long long)st->st_size);
    return 0;
}

int library_open_source(int dirfd, const char *directory, const char *name, struct stat *ret_stat,
                        struct err *e)
{
    if (!*name || strchr(name, '/'))
        return err_set(e, -EINVAL, "%s: expected a file name, found \"%s\"", directory, name);
    int r = check_directory(dirfd, directory, e);
    if (r)
        return r;
    /* O_NONBLOCK: a FIFO must not hold the host; it is refused below. */
    int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    r = fd < 0 ? -errno : 0;
    if (r == -ELOOP)
        return err_set(e, r, "%s/%s: expected a regular file, found a symbolic link", directory,
                       name);
    if (r)
        return err_set(e, r, "%s/%s: cannot open it: %s", directory, name, strerror(-r));
    struct stat st;
    r = fstat(fd, &st) < 0 ? err_set(e, -errno, "cannot stat it: %s", strerror(errno))
                           : check_file(&st, e);
    if (r) {
        close(fd);
        err_prefix(e, "%s/%s", directory, name);
        return r;
    }
    *ret_stat = st;
    return fd;
}

static int copy_bytes(int from, int to, off_t size, struct err *e)
{
    off_t at = 0;
    while (at < size) {
        ssize_t n = sendfile(to, from, &at, (size_t)(size - at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(e, n < 0 ? -errno : -EIO, "cannot copy it: %s",
                           n < 0 ? strerror(errno) : "it shrank meanwhile");
    }
    return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* A writer that works in place would otherwise leave half an old and half a new library. */
static int check_unchanged(int fd, const struct stat *before, struct err *e)
{
    struct stat after;
    if (fstat(fd, &after) < 0)
        return err_set(e, -errno, "cannot stat it: %s", strerror(errno));
    if (!same_file(before, &after))
        return err_set(e, -EAGAIN,
                       "expected a file at rest, found one that changed while it was "
                       "copied");
    return 0;
}

static int make_memfd(const char *name, struct err *e)
{
    char label[200]; /* shown in /proc/PID/maps; memfd_create() takes at most 249 bytes */
    snprintf(label, sizeof(label), "%s", name);
    int fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 && errno == EACCES)
        return err_set(e, -EACCES,
                       "the kernel refuses executable memory files: sysctl vm.memfd_noexec must "
                       "be 0 or 1, or use --keep-libraries DIR");
    if (fd < 0)
        return err_set(e, -errno, "cannot make a memory file: %s", strerror(errno));
    return fd;
}

/* To a number that is out of the way.  Takes fd. */
static int raise_fd(int fd, struct err *e)
{
    if (fd >= FIRST_KEPT_FD)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_KEPT_FD);
    int r = high < 0 ? err_set(e, -errno, "cannot keep it open: %s", strerror(errno)) : high;
    close(fd);
    return r;
}

/* Hashed from the sealed copy, so what was hashed is what will run. */
static int hash_fd(int fd, off_t size, unsigned char *ret, struct err *e)
{
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    if (size > 0) {
        void *p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            return err_set(e, -errno, "cannot read the copy: %s", strerror(errno));
        sha256_update(&ctx, (size_t)size, p);
        munmap(p, (size_t)size);
    }
    sha256_digest(&ctx, LIBRARY_HASH, ret);
    return 0;
}

/* By reading: a file that is cut short while it is mapped would end the process. */
int library_hash_fd(int fd, unsigned char ret[LIBRARY_HASH], struct err *e)
{
    struct sha256_ctx ctx;
    unsigned char block[32768];
    off_t at = 0;
    sha256_init(&ctx);
    for (;;) {
        ssize_t n = pread(fd, block, sizeof(block), at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, -errno, "cannot read it: %s", strerror(errno));
        if (n == 0)
            break;
        sha256_update(&ctx, (size_t)n, block);
        at += n;
        if (at > LIBRARY_MAX_BYTES)
            return err_set(e, -EFBIG, "expected at most %d MiB, found more",
                           LIBRARY_MAX_BYTES >> 20);
    }
    sha256_digest(&ctx, LIBRARY_HASH, ret);
    return 0;
}

static int copy_to_memfd(int fd, const struct stat *st, const char *name, struct sealed_copy *c,
                         struct err *e)
{
    int r = make_memfd(name, e);
    if (r >= 0)
        r = raise_fd(r, e);
    if (r < 0)
        return r;
    c->fd = r;
    r = copy_bytes(fd, c->fd, st->st_size, e);
    if (!r && fcntl(c->fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
        r = err_set(e, -errno, "cannot seal the copy: %s", strerror(errno));
    if (!r)
        r = hash_fd(c->fd, st->st_size, c->hash, e);
    if (r)
        return r;
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", c->fd);
    c->path = str_dup(str_of(path));
    return c->path ? 0 : err_set(e, -ENOMEM, "out of memory");
}

/* *ret is the caller's. */
static int join(const char *directory, const char *name, char **ret, struct err *e)
{
    size_t n = strlen(directory) + strlen(name) + 2;
    char *path = malloc(n);
    if (!path)
        return err_set(e, -ENOMEM, "out of memory");
    snprintf(path, n, "%s/%s", directory, name);
    *ret = path;
    return 0;
}

/* Writes the temporary file and gives it its last name, NAME@HASH8.so. */
static int write_kept(int dir, int fd, const struct stat *st, const char *name,
                      struct sealed_copy *c, char *ret_name, size_t room, struct err *e)
{
    char temporary[64];
    snprintf(temporary, sizeof(temporary), ".manifold-%d.tmp", (int)getpid());
    unlinkat(dir, temporary, 0);
    int out = openat(dir, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0500);
    if (out < 0)
        return err_set(e, -errno, "cannot create a file there: %s", strerror(errno));
    int r = copy_bytes(fd, out, st->st_size, e);
    if (!r)
        r = hash_fd(out, st->st_size, c->hash, e);
    close(out);
    if (!r) {
        struct str stem = str_of(name);
        if (stem.n > 3 && memcmp(stem.p + stem.n - 3, ".so", 3) == 0)
            stem.n -= 3;
        snprintf(ret_name, room, "%.*s@%02x%02x%02x%02x.so", STR_FMT(stem), c->hash[0], c->hash[1],
                 c->hash[2], c->hash[3]);
        if (renameat(dir, temporary, dir, ret_name) < 0)
            r = err_set(e, -errno, "cannot name the copy %s: %s", ret_name, strerror(errno));
    }
    if (r)
        unlinkat(dir, temporary, 0);
    return r;
}

/* --keep-libraries: a debugger finds symbols by file name, so the copy gets one.  Whoever
 * can write to that directory can change what runs. */
static int copy_to_directory(int fd, const struct stat *st, const char *name, const char *keep_dir,
                             struct sealed_copy *c, struct err *e)
{
    int dir = open(keep_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_set(e, -errno, "%s: cannot open it: %s", keep_dir, strerror(errno));
    char kept[512];
    int r = check_directory(dir, keep_dir, e);
    if (!r)
        r = write_kept(dir, fd, st, name, c, kept, sizeof(kept), e);
    if (!r) {
        c->fd = openat(dir, kept, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        r = c->fd < 0 ? err_set(e, -errno, "cannot open the copy: %s", strerror(errno))
                      : raise_fd(c->fd, e);
        c->fd = r < 0 ? -1 : r;
        r = r < 0 ? r : join(keep_dir, kept, &c->path, e);
    }
    close(dir);
    if (r)
        err_prefix(e, "%s", keep_dir);
    return r;
}

/* The control of the sealed copy: the file itself, as a naive host would load it. */
static int use_source(int fd, const struct stat *st, const char *directory, const char *name,
                      struct sealed_copy *c, struct err *e)
{
    c->fd = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_KEPT_FD);
    if (c->fd < 0)
        return err_set(e, -errno, "cannot keep it open: %s", strerror(errno));
    int r = join(directory, name, &c->path, e);
    return r ? r : hash_fd(c->fd, st->st_size, c->hash, e);
}

int library_copy(int fd, const struct stat *st, const char *directory, const char *name,
                 const char *keep_dir, struct sealed_copy *ret, struct err *e)
{
    struct sealed_copy c = {.fd = -1, .source = *st};
    int r;
    if (protection_off("memfd"))
        r = use_source(fd, st, directory, name, &c, e);
    else if (keep_dir)
        r = copy_to_directory(fd, st, name, keep_dir, &c, e);
    else
        r = copy_to_memfd(fd, st, name, &c, e);
    if (!r)
        r = check_unchanged(fd, st, e);
    if (r) {
        library_copy_release(&c);
        return r;
    }
    *ret = c;
    return 0;
}

void library_copy_release(struct sealed_copy *c)
{
    if (c->fd >= 0)
        close(c->fd);
    free(c->path);
    *c = (struct sealed_copy){.fd = -1};
}
