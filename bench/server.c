/* bench/server.c - spawning and watching a server; see server.h. */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* An answer of 8 MiB, every byte of it escaped as \u00XX, would not fit; none is. */
enum { BUF_SIZE = 24 << 20 };

extern char **environ;

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what, int err)
{
    fprintf(stderr, "bench-load: %s: %s\n", what, strerror(err));
    exit(1);
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        die("pinning to a processor", errno);
}

void server_start(struct server *s, char *const argv[], int its_cpu, int own_cpu)
{
    int to[2], from[2];
    *s = (struct server){.buf = malloc(BUF_SIZE)};
    if (!s->buf || pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
        die("pipes and buffer", errno);
    if (its_cpu >= 0)
        pin(its_cpu); /* a child is born with the affinity of its parent */
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
    s->start_ns = now_ns();
    int err = posix_spawnp(&s->pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (err)
        die(argv[0], err);
    if (own_cpu >= 0)
        pin(own_cpu);
    close(to[0]);
    close(from[1]);
    s->to = to[1];
    s->from = from[0];
    fcntl(s->to, F_SETFL, O_NONBLOCK);
}

int server_stop(struct server *s)
{
    int status = 0;
    close(s->to);
    do
        s->at = s->scanned = s->len = 0;
    while (server_fill(s));
    close(s->from);
    while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
        ;
    free(s->buf);
    s->buf = NULL;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool server_fill(struct server *s)
{
    if (s->at > 0) {
        memmove(s->buf, s->buf + s->at, s->len - s->at);
        s->len -= s->at;
        s->scanned -= s->at;
        s->at = 0;
    }
    if (s->len == BUF_SIZE)
        die("an answer is longer than the buffer", EMSGSIZE);
    ssize_t n;
    do
        n = read(s->from, s->buf + s->len, BUF_SIZE - s->len);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    s->len += (size_t)n;
    return true;
}

bool server_line(struct server *s, struct slice *ret_line)
{
    char *nl = memchr(s->buf + s->scanned, '\n', s->len - s->scanned);
    if (!nl) {
        s->scanned = s->len;
        return false;
    }
    *ret_line = (struct slice){s->buf + s->at, (size_t)(nl - s->buf) - s->at};
    s->at = s->scanned = (size_t)(nl - s->buf) + 1;
    return true;
}

bool server_send(struct server *s, struct slice bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(s->to, bytes.p, bytes.len);
        if (n < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = s->to, .events = POLLOUT}, 1, -1);
        else if (n < 0 && errno != EINTR)
            return false;
        bytes.p += n > 0 ? n : 0;
        bytes.len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

uint64_t server_cpu_ns(const struct server *s)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(s->pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

long server_kib(const struct server *s, const char *file, const char *name)
{
    char path[64], line[256];
    long kib = -1;
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)s->pid, file);
    FILE *f = fopen(path, "re");
    while (f && kib < 0 && fgets(line, sizeof(line), f)) {
        size_t len = strlen(name);
        if (strncmp(line, name, len) == 0 && line[len] == ':')
            kib = strtol(line + len + 1, NULL, 10);
    }
    if (f)
        fclose(f);
    return kib;
}
