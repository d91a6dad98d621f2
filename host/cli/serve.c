#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "cli/command.h"
#include "cli/open.h"
#include "runtime/reload.h"
#include "transport/admin.h"
#include "transport/guard.h"
#include "transport/stdio.h"

/* Milliseconds.  ADMIN_AFTER: the client is answered first. */
enum { STOP_GRACE = 100, FLUSH_MAX = 200, ADMIN_AFTER = 5 };

struct server {
    uv_loop_t loop;
    struct host *host;
    struct session *session;
    struct stdio *stdio;
    struct admin *admin; /* NULL: none, or not yet */
    uv_timer_t admin_timer;
    uv_async_t signalled;
    bool stopped;
};

/* Signal handlers have nothing else to go by; any thread may run one. */
static struct {
    uv_async_t *wake;
    atomic_int ending, hangups;
} signals;

/* The second one ends the process here, so that a plugin that never gives the loop back can't
 * prevent it. */
static void on_signal(int number)
{
    int keep = errno;
    if (number == SIGHUP)
        atomic_store(&signals.hangups, 1);
    else if (atomic_fetch_add(&signals.ending, 1))
        _exit(128 + number);
    uv_async_send(signals.wake);
    errno = keep;
}

static void on_signalled(uv_async_t *h)
{
    struct server *s = h->data;
    if (atomic_exchange(&signals.hangups, 0))
        host_reload(s->host, NULL, NULL);
    if (atomic_load(&signals.ending))
        stdio_stop(s->stdio, "a signal asks for it");
}

static void set_signals(void (*handler)(int))
{
    struct sigaction a = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&a.sa_mask);
    static const int number[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; i < 3; i++)
        sigaction(number[i], &a, NULL);
}

static void on_host_stopped(void *arg)
{
    struct server *s = arg;
    /* From here on a signal ends the process in the ordinary way. */
    set_signals(SIG_DFL);
    uv_close((uv_handle_t *)&s->signalled, NULL);
    s->stopped = true;
    uv_stop(&s->loop);
}

static void on_ended(void *arg, const char *why)
{
    struct server *s = arg;
    log_info("stops: %s", why);
    uv_close((uv_handle_t *)&s->admin_timer, NULL);
    admin_close(s->admin);
    session_free(s->session);
    stdio_close(s->stdio);
    host_stop(s->host, STOP_GRACE, on_host_stopped, s);
}

static void log_start_line(const struct host *h)
{
    const struct catalogue *c = h->catalogue;
    uint32_t plugins = 0;
    for (uint32_t i = 0; i < h->manifests; i++)
        plugins += h->instance[i] != NULL;
    log_info(
        "manifold %s serves over stdio: directories: %u, plugins: %u, tools: %u, resources: %u, "
        "templates: %u, prompts: %u, problems: %u",
        MANIFOLD_VERSION, h->settings->sources, plugins, c->count[ENTRY_TOOL],
        c->count[ENTRY_RESOURCE], c->count[ENTRY_TEMPLATE], c->count[ENTRY_PROMPT], h->problems);
}

static int read_settings(void *arg, struct settings **ret, struct err *e)
{
    return open_settings(arg, ret, e);
}

/* What can't be had is done without: the client is served all the same. */
static void open_admin(uv_timer_t *timer)
{
    struct server *s = timer->data;
    const struct settings *settings = s->host->settings;
    struct admin_options o = {.path = settings->admin_path,
                              .host = s->host,
                              .status = status_write,
                              .perf = perf_write,
                              .metrics = {exposition_begin, exposition_step, exposition_end},
                              .reload = host_reload};
    struct err e;
    if (admin_open(&s->loop, &o, &s->admin, &e) == 0)
        log_info("admin socket: %s", admin_path(s->admin));
    else
        log_warn("no admin socket, \"manifold status\" can't ask this host: %s", e.text);
}

static int serve_open(struct server *s, const struct args *a, struct settings *settings,
                      const struct guard *g, struct err *e)
{
    struct host_options o = {.keep_libraries = a->keep_libraries,
                             .settings = read_settings,
                             .arg = (void *)(uintptr_t)a};
    struct stdio_options io = {.in = g->in,
                               .out = g->out,
                               .message = settings->message.bytes,
                               .output = settings->output,
                               .ended = on_ended,
                               .arg = s};
    int r = uv_loop_init(&s->loop);
    if (r) {
        settings_free(settings);
        return err_set(e, r, "the event loop can't be made: %s", uv_strerror(r));
    }
    r = host_open(&s->loop, settings, &o, &s->host, e);
    if (r)
        return r;
    s->session = session_new(s->host);
    r = stdio_open(&s->loop, s->session, &io, &s->stdio, e);
    if (r)
        return r;
    s->signalled.data = s;
    r = uv_async_init(&s->loop, &s->signalled, on_signalled);
    if (r)
        return err_set(e, r, "signals can't be taken: %s", uv_strerror(r));
    s->admin_timer.data = s;
    uv_timer_init(&s->loop, &s->admin_timer);
    if (settings->admin) {
        uv_update_time(&s->loop); /* the manifests have been read since */
        uv_timer_start(&s->admin_timer, open_admin, ADMIN_AFTER, 0);
    }
    signals.wake = &s->signalled;
    signal(SIGPIPE, SIG_IGN);
    set_signals(on_signal);
    return 0;
}

static int run(const struct args *a)
{
    static struct server s;
    struct guard g;
    struct settings *settings;
    struct err e;
    if (guard_move(&g, &e))
        return cli_fail(EXIT_SYSTEM, "%s", e.text);
    if (open_settings(a, &settings, &e))
        return cli_fail(EXIT_WRONG, "%s", e.text);
    log_configure(a->log_level < 0 ? settings->log_level : (enum log_level)a->log_level,
                  a->log_format < 0 ? settings->log_format : (enum log_format)a->log_format);
    /* A test that shows what the guard is for needs plugins to print where it leaves them. */
    if (!protection_off("guard") && log_start(&e))
        return cli_fail(EXIT_SYSTEM, "%s", e.text);
    int r = serve_open(&s, a, settings, &g, &e);
    if (r) {
        log_error("%s", e.text);
        log_flush(FLUSH_MAX);
        return EXIT_SYSTEM;
    }
    log_start_line(s.host);
    host_load_eager(s.host);
    while (!s.stopped)
        uv_run(&s.loop, UV_RUN_DEFAULT);
    host_free(s.host);
    uv_run(&s.loop, UV_RUN_NOWAIT);
    uv_loop_close(&s.loop);
    log_flush(FLUSH_MAX);
    return EXIT_GOOD;
}

const struct command command_serve = {
    .name = "serve",
    .operands = "",
    .summary = "Serve the plugins to an MCP client over standard input and output",
    .help = "It ends when its input ends or on SIGTERM: calls in flight get 100 ms, then they are\n"
            "cancelled. The log goes to standard error.",
    .options = OPTIONS_HOST | 1 << OPTION_KEEP_LIBRARIES,
    .run = run,
};
