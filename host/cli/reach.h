/* host/cli/reach.h - finding this user's running hosts and asking one over its admin socket
 * (transport/admin.h).  Main thread; it waits. */
#ifndef MANIFOLD_CLI_REACH_H
#define MANIFOLD_CLI_REACH_H

#include "base/buf.h"
#include "cli/args.h"
#include "json/reader.h"
#include "transport/admin_socket.h"

enum { REACH_HOSTS = 256, REACH_ANSWER = 64 << 20 };

struct reached {
    pid_t pid; /* 0: not known (--socket) */
    char path[ADMIN_PATH];
};

struct reach {
    struct reached host[REACH_HOSTS];
    uint32_t count;
};

/* The hosts that the command line means, by pid: one with --pid or --socket, else all that run.
 * EXIT_GOOD with at least one, or an exit code, said on standard error. */
int reach_find(const struct args *a, struct reach *ret);
/* All of this user's; how many there are. */
uint32_t reach_running(struct reach *ret);
/* Sends the command and reads the answer into *text and *d, which borrows it: an object without
 * "error".  0, or negative errno with a sentence; -ECONNREFUSED and -ENOENT: nobody is there;
 * -EREMOTEIO: the host said no. */
int reach_ask(const struct reached *h, const char *command, unsigned ms, struct buf *text,
              struct json_doc *d, struct err *e);
/* The same for a command with one answer to print; EXIT_GOOD or an exit code, said. */
int reach_ask_or_say(const struct reached *h, const char *command, unsigned ms, struct buf *text,
                     struct json_doc *d);

/* `manifold reload` of one host: waits for it, prints its summary; EXIT_GOOD or an exit code, said.
 */
int reach_reload(const struct reached *h);

#endif
