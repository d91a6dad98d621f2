/* bench/server.h - a server under test: a child process on two pipes of the usual size. */
#ifndef MANIFOLD_BENCH_SERVER_H
#define MANIFOLD_BENCH_SERVER_H

#include <stdint.h>
#include <sys/types.h>
#include "walk.h"

struct server {
    pid_t pid;
    int to, from;      /* our ends; `to` does not block */
    uint64_t start_ns; /* when it was spawned, on now_ns() */
    char *buf;         /* owned: what was read and not yet handed out */
    size_t at, scanned, len;
};

uint64_t now_ns(void);
/* Spawns argv[0] (searched in PATH), standard error stays ours.  Processors
 * of 0 and more pin the child and this process.  Says why on standard error and
 * dies when it cannot. */
void server_start(struct server *s, char *const argv[], int its_cpu, int own_cpu);
/* Ends its input, waits for it; the exit status, or 128 plus the signal. */
int server_stop(struct server *s);
/* One read(), blocking; false at the end of its output. */
bool server_fill(struct server *s);
/* The next whole line without its newline, of what was read; borrowed until the next fill. */
bool server_line(struct server *s, struct slice *ret_line);
/* Sends all of `bytes`, reading nothing meanwhile: for small messages. */
bool server_send(struct server *s, struct slice bytes);

/* Processor time of all its threads so far. */
uint64_t server_cpu_ns(const struct server *s);
/* A "Name:  N kB" line of /proc/PID/FILE in KiB, -1 when there is none. */
long server_kib(const struct server *s, const char *file, const char *name);

#endif
