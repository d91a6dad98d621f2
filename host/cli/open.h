/* host/cli/open.h - from the command line to an open host, and back.  Main thread. */
#ifndef MANIFOLD_CLI_OPEN_H
#define MANIFOLD_CLI_OPEN_H

#include "cli/args.h"
#include "runtime/host.h"

/* The settings that the command line asks for.  0 or negative errno with a sentence. */
int open_settings(const struct args *a, struct settings **ret, struct err *e);

/* The log of a command that is not a server: `log` is the least severe level that is shown unless
 * --log-level says so; above LOG_ERROR: none. */
void open_log(const struct args *a, int log);

/* A host for one command that is not a server. */
struct visit {
    uv_loop_t loop;
    struct host *host;
    bool stopped;
    int out; /* descriptor of the real standard output: what plugins print goes to standard error */
};
/* `log`: as open_log(). */
int visit_open(struct visit *v, const struct args *a, int log, struct err *e);
/* Ends the plugins and frees everything. */
void visit_close(struct visit *v);
/* Writes the whole buffer to v->out; EXIT_SYSTEM with a sentence on standard error when that fails,
 * else `code`. */
int visit_print(const struct visit *v, const struct buf *b, int code);

#endif
