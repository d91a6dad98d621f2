/* tests/unit/redis_server.h - a Redis of the test's own, on a Unix socket in a directory of its
 * own. */
#ifndef REDIS_SERVER_H
#define REDIS_SERVER_H

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct redis_server {
    char dir[64], socket[96];
    pid_t pid; /* 0: not running */
};

static inline bool redis_server_is_there(void)
{
    return system("command -v redis-server >/dev/null 2>&1") == 0;
}

static inline int redis_server_connect(const struct redis_server *s)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, s->socket, strlen(s->socket) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* One command in Redis' inline form; the reply's first bytes.  Redis is running. */
static inline void redis_server_say(const struct redis_server *s, const char *command, char *reply,
                                    size_t size)
{
    int fd = redis_server_connect(s);
    ck_assert_int_ge(fd, 0);
    ck_assert(write(fd, command, strlen(command)) == (ssize_t)strlen(command));
    ck_assert(write(fd, "\r\n", 2) == 2);
    ssize_t n = read(fd, reply, size - 1);
    ck_assert_int_gt(n, 0);
    reply[n] = 0;
    close(fd);
}

/* Returns when it answers.  What was written to it before is there again: it survives redis_server_
 * kill() without an fsync(), for which Redis would keep everybody waiting while the disk is busy.
 */
static inline void redis_server_start(struct redis_server *s, const char *password)
{
    if (!s->dir[0]) {
        snprintf(s->dir, sizeof(s->dir), "/tmp/manifold-redis-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(s->dir));
        snprintf(s->socket, sizeof(s->socket), "%s/redis.sock", s->dir);
    }
    unlink(s->socket);
    s->pid = fork();
    ck_assert_int_ge(s->pid, 0);
    if (s->pid == 0) {
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", s->socket, "--dir",
               s->dir, "--save", "", "--appendonly", "yes", "--appendfsync", "no", "--daemonize",
               "no", "--loglevel", "warning", "--logfile", "/dev/null",
               password ? "--requirepass" : NULL, password, NULL);
        _exit(127);
    }
    char reply[64] = "";
    for (int i = 0; i < 20000; i++) {
        int fd = redis_server_connect(s);
        if (fd >= 0) {
            close(fd);
            redis_server_say(s, "PING", reply, sizeof(reply));
            if (strncmp(reply, "-LOADING", 8) != 0)
                return;
        }
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    ck_abort_msg("redis-server does not answer at %s", s->socket);
}

static inline void redis_server_kill(struct redis_server *s)
{
    if (!s->pid)
        return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

/* Ends it and takes its files away. */
static inline void redis_server_remove(struct redis_server *s)
{
    char command[128];
    redis_server_kill(s);
    snprintf(command, sizeof(command), "rm -rf '%s'", s->dir);
    if (s->dir[0] && system(command))
        fprintf(stderr, "%s is left behind\n", s->dir);
    s->dir[0] = 0;
}

#endif
