#include "cli/open.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>
#include "cli/command.h"
#include "transport/guard.h"

enum { STOP_GRACE = 100 };

/* Beside the executable in a build tree, below PREFIX/lib in an installation. */
static const char *installed_directory(char path[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (n <= 0)
        return NULL;
    path[n] = 0;
    char *slash = strrchr(path, '/');
    static const char *const below[] = {"/plugins", "/../lib/manifold/plugins"};
    for (size_t i = 0; slash && i < 2; i++) {
        size_t room = PATH_MAX - (size_t)(slash - path);
        if ((size_t)snprintf(slash, room, "%s", below[i]) < room && access(path, X_OK) == 0)
            return path;
    }
    return NULL;
}

int open_settings(const struct args *a, struct settings **ret, struct err *e)
{
    char path[PATH_MAX];
    struct settings_args s = {.config = a->config,
                              .plugins = a->plugins,
                              .plugins_count = a->plugins_count,
                              .trust = a->trust,
                              .set = a->set,
                              .set_count = a->set_count,
                              .grant = a->grant,
                              .grant_count = a->grant_count,
                              .installed = installed_directory(path)};
    return settings_read(&s, ret, e);
}

void open_log(const struct args *a, int log)
{
    log_configure((enum log_level)(a->log_level < 0 ? log : a->log_level),
                  a->log_format < 0 ? LOG_TEXT : (enum log_format)a->log_format);
}

int visit_open(struct visit *v, const struct args *a, int log, struct err *e)
{
    struct settings *settings;
    struct guard g;
    open_log(a, log);
    int r = guard_move(&g, e);
    if (r == 0)
        r = open_settings(a, &settings, e);
    if (r)
        return r;
    v->out = g.out;
    v->stopped = false;
    r = uv_loop_init(&v->loop);
    if (r) {
        settings_free(settings);
        return err_set(e, r, "the event loop can't be made: %s", uv_strerror(r));
    }
    struct host_options o = {.keep_libraries = a->keep_libraries};
    return host_open(&v->loop, settings, &o, &v->host, e);
}

static void on_stopped(void *arg)
{
    struct visit *v = arg;
    v->stopped = true;
}

void visit_close(struct visit *v)
{
    host_stop(v->host, STOP_GRACE, on_stopped, v);
    while (!v->stopped)
        uv_run(&v->loop, UV_RUN_ONCE);
    host_free(v->host);
    uv_run(&v->loop, UV_RUN_NOWAIT);
    uv_loop_close(&v->loop);
}

int visit_print(const struct visit *v, const struct buf *b, int code)
{
    if (b->failed)
        return cli_fail(EXIT_BROKEN, "there is more to print than %zu bytes", b->max);
    for (size_t done = 0; done < b->len;) {
        ssize_t n = write(v->out, b->data + done, b->len - done);
        if (n < 0 && errno != EINTR)
            return cli_fail(EXIT_SYSTEM, "standard output: %s", strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
    return code;
}
