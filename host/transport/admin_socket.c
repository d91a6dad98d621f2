#include "transport/admin_socket.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "config/file.h"

enum { BACKLOG = 8 };

_Static_assert(ADMIN_PATH == sizeof(((struct sockaddr_un *)0)->sun_path), "unix(7)");

/* Cut paths are refused: they would name another file. */
static int set_path(char to[ADMIN_PATH], struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static int set_path(char to[ADMIN_PATH], struct err *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(to, ADMIN_PATH, fmt, ap);
    va_end(ap);
    if (n >= 0 && n < ADMIN_PATH)
        return 0;
    return err_set(e, -ENAMETOOLONG,
                   "expected a socket's path of at most %d bytes, found %d that begin with %s",
                   ADMIN_PATH - 1, n, to);
}

int admin_directory(unsigned place, char ret[ADMIN_PATH], struct err *e)
{
    char runtime[64];
    struct stat st;
    if (place) {
        const char *home = path_home();
        return home ? set_path(ret, e, "%s/.cache/manifold", home)
                    : err_set(e, -ENOENT, "expected HOME to be an absolute path");
    }
    snprintf(runtime, sizeof(runtime), "/run/user/%u", (unsigned)geteuid());
    if (stat(runtime, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return err_set(e, -ENOENT, "expected %s to be a directory of this user", runtime);
    return set_path(ret, e, "%s/manifold", runtime);
}

/* The pid of "PID.sock", or 0. */
static pid_t pid_of(const char *name)
{
    char *end;
    if (name[0] < '1' || name[0] > '9')
        return 0;
    errno = 0;
    long pid = strtol(name, &end, 10);
    return errno || pid > INT32_MAX || strcmp(end, ".sock") != 0 ? 0 : (pid_t)pid;
}

void admin_each(const char *directory,
                void (*found)(void *arg, const char *directory, pid_t pid, const char *path),
                void *arg)
{
    DIR *d = opendir(directory);
    if (!d)
        return;
    struct dirent *it;
    char path[ADMIN_PATH];
    while ((it = readdir(d))) {
        pid_t pid = pid_of(it->d_name);
        if (pid && set_path(path, NULL, "%s/%s", directory, it->d_name) == 0)
            found(arg, directory, pid, path);
    }
    closedir(d);
}

static int address(const char *path, struct sockaddr_un *ret, struct err *e)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    return set_path(ret->sun_path, e, "%s", path);
}

bool admin_peer_is_ours(int fd)
{
    struct ucred who;
    socklen_t n = sizeof(who);
    if (protection_off("admin_peer"))
        return true;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
           (who.uid == geteuid() || who.uid == 0);
}

int admin_connect(const char *path, unsigned ms)
{
    struct sockaddr_un to;
    struct timeval limit = {ms / 1000, (ms % 1000) * 1000};
    int r = address(path, &to, NULL);
    if (r)
        return r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (ms ? 0 : SOCK_NONBLOCK), 0);
    if (fd < 0)
        return -errno;
    if (ms)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        r = -errno;
    else if (!admin_peer_is_ours(fd))
        r = -EPERM;
    if (!r)
        return fd;
    close(fd);
    return r;
}

static bool nobody_listens(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
        return false;
    int fd = admin_connect(path, 0);
    if (fd >= 0)
        close(fd);
    return fd == -ECONNREFUSED;
}

/* Both are asked: a process of this number may be another container's, which has bound its socket
 * here; and between bind() and listen() a socket of the living refuses too. */
static void remove_if_stale(void *arg, const char *directory, pid_t pid, const char *path)
{
    (void)arg, (void)directory;
    if (kill(pid, 0) < 0 && errno == ESRCH && nobody_listens(path))
        unlink(path);
}

void admin_remove_stale(const char *directory)
{
    admin_each(directory, remove_if_stale, NULL);
}

/* Below another user's home nothing is made: root with the HOME of somebody would leave them a
 * directory that they can't use. */
static int make_directory(const char *directory, struct err *e)
{
    char above[ADMIN_PATH];
    struct stat st;
    snprintf(above, sizeof(above), "%s", directory);
    *strrchr(above, '/') = 0;
    if (stat(above, &st) < 0 && errno == ENOENT) {
        const char *home = path_home();
        if (home && stat(home, &st) == 0 && st.st_uid == geteuid())
            mkdir(above, 0700);
    }
    if (stat(above, &st) == 0 && st.st_uid != geteuid())
        return err_set(e, -EPERM, "%s: expected user %u as its owner, found %u", above,
                       (unsigned)geteuid(), (unsigned)st.st_uid);
    if (mkdir(directory, 0700) < 0 && errno != EEXIST)
        return err_set(e, -errno, "%s can't be made: %s", directory, strerror(errno));
    return 0;
}

static int check_directory(const char *directory, struct err *e)
{
    struct stat st;
    if (lstat(directory, &st) < 0) {
        int r = errno == ENOENT ? make_directory(directory, e)
                                : err_set(e, -errno, "%s: %s", directory, strerror(errno));
        if (r)
            return r;
        if (lstat(directory, &st) < 0)
            return err_set(e, -errno, "%s: %s", directory, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return err_set(e, -EPERM, "%s: expected a directory of user %u, found another's or a file",
                       directory, (unsigned)geteuid());
    if ((st.st_mode & 077) && chmod(directory, 0700) < 0)
        return err_set(e, -errno, "%s can't be closed to others: %s", directory, strerror(errno));
    return 0;
}

static int listen_at(const char *path, struct err *e)
{
    struct sockaddr_un at;
    int r = address(path, &at, e);
    if (r)
        return r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, -errno, "no socket: %s", strerror(errno));
    if (fchmod(fd, 0600) < 0)
        r = -errno;
    for (int try = 0; !r && bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0; try++) {
        r = -errno;
        if (r == -EADDRINUSE && !try && nobody_listens(path)) {
            unlink(path);
            r = 0;
        }
    }
    if (!r && listen(fd, BACKLOG) < 0)
        r = -errno;
    if (!r)
        return fd;
    close(fd);
    return err_set(e, r, "%s: %s", path,
                   r == -EADDRINUSE ? "another host or file is there already" : strerror(-r));
}

static int listen_in(unsigned place, char path[ADMIN_PATH], struct err *e)
{
    char directory[ADMIN_PATH];
    int r = admin_directory(place, directory, e);
    r = r ? r : set_path(path, e, "%s/%d.sock", directory, (int)getpid());
    r = r ? r : check_directory(directory, e);
    if (r)
        return r;
    admin_remove_stale(directory);
    return listen_at(path, e);
}

int admin_listen(const char *path, char ret_path[ADMIN_PATH], struct err *e)
{
    int r = -ENOENT;
    if (path) {
        r = set_path(ret_path, e, "%s", path);
        return r ? r : listen_at(ret_path, e);
    }
    for (unsigned place = 0; place < ADMIN_PLACES && r < 0; place++)
        r = listen_in(place, ret_path, e);
    return r;
}
