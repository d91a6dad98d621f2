#include "plugin/library_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

enum { OUTLINE_BYTES = 64 * 1024, DEFAULT_LIMIT_MS = 10000, MAX_ENV = 4 };

/* Who waits for a probe. */
struct waiter {
    struct list node;
    library_probe_cb done;
    void *arg;
};

/* One run: of a child, or of nothing but the timer when the answer is known already and
 * must only come later.  Freed when both handles are closed. */
struct probe {
    struct library *lib;
    uv_process_t process;
    uv_timer_t timer;
    struct list waiters;
    int result; /* memory file that the child writes the outline to */
    int status;
    unsigned open_handles;
    bool running, killed;
    struct err err;
};

static struct {
    const char *command;
    unsigned limit_ms;
} settings = {"/proc/self/exe", DEFAULT_LIMIT_MS};

void library_probe_configure(const char *command, unsigned limit_ms)
{
    settings.command = command ? command : "/proc/self/exe";
    settings.limit_ms = limit_ms ? limit_ms : DEFAULT_LIMIT_MS;
}

/* A file of fixed size instead of a pipe: it needs no reader, it can't fill up and
 * block, and a process that the constructor left behind can't keep it open. */
static int make_result(void)
{
    int fd = memfd_create("outline", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("outline", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, OUTLINE_BYTES) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static void on_closed(uv_handle_t *h)
{
    struct probe *p = h->data;
    if (--p->open_handles == 0) {
        if (p->result >= 0)
            close(p->result);
        free(p);
    }
}

/* Tells everyone who waits.  They may start other probes, also of this library. */
static void finish(struct probe *p)
{
    struct library *lib = p->lib;
    if (lib->probe == p) {
        lib->probe = NULL;
        if (p->status)
            library_set_bad(lib, p->status, &p->err);
        else
            lib->state = LIBRARY_PROBED;
    }
    uv_close((uv_handle_t *)&p->timer, on_closed);
    for (struct list *it; (it = list_pop(&p->waiters));) {
        struct waiter *w = container_of(it, struct waiter, node);
        w->done(w->arg, lib, p->status, p->status ? &p->err : NULL);
        free(w);
    }
}

/* What the end of the child means.  `text` is what it had written by then: nothing
 * while constructors ran, a blank while the descriptor was read. */
static int judge(struct probe *p, int64_t code, int signal_number, struct str text)
{
    const char *doing = text.n ? "reading the descriptor" : "a constructor";
    const char *name = p->lib->name;
    if (p->killed)
        return err_set(&p->err, -ETIMEDOUT,
                       "%s of %s did not return within %u ms: the probe was killed", doing, name,
                       settings.limit_ms);
    if (signal_number)
        return err_set(&p->err, -ENOEXEC, "%s of %s ended the probe by signal %d (%s)", doing, name,
                       signal_number, sigdescr_np(signal_number));
    if (text.n <= 1)
        return err_set(&p->err, -ENOEXEC, "%s of %s ended the probe with exit code %lld", doing,
                       name, (long long)code);
    return library_outline_check(p->lib, text.p, text.n, &p->err);
}

static void on_ended(uv_process_t *process, int64_t code, int signal_number)
{
    struct probe *p = process->data;
    /* Whatever a constructor has started ends with it: the child leads a process group. */
    kill(-process->pid, SIGKILL);
    char *text = malloc(OUTLINE_BYTES);
    ssize_t n = text ? pread(p->result, text, OUTLINE_BYTES, 0) : -1;
    p->running = false;
    p->status = n < 0 ? err_set(&p->err, -ENOMEM, "the outline of %s can't be read", p->lib->name)
                      : judge(p, code, signal_number, (struct str){text, strnlen(text, (size_t)n)});
    free(text);
    uv_close((uv_handle_t *)process, on_closed);
    finish(p);
}

static void on_timer(uv_timer_t *timer)
{
    struct probe *p = timer->data;
    if (!p->running) {
        finish(p);
        return;
    }
    p->killed = true;
    kill(-p->process.pid, SIGKILL);
}

/* The child starts with no environment but what the sanitizers are told by theirs.  False: there is
 * no memory for all of it. */
static bool child_environment(char **env)
{
    static const char *const names[MAX_ENV] = {"ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
                                               "UBSAN_OPTIONS"};
    size_t n = 0;
    for (size_t i = 0; i < MAX_ENV; i++) {
        const char *value = getenv(names[i]);
        if (!value)
            continue;
        size_t len = strlen(names[i]) + strlen(value) + 2;
        env[n] = malloc(len);
        if (!env[n])
            return false;
        snprintf(env[n++], len, "%s=%s", names[i], value);
    }
    return true;
}

static int spawn(struct probe *p, uv_loop_t *loop)
{
    char *args[] = {"manifold", "probe", NULL};
    char *env[MAX_ENV + 1] = {NULL};
    uv_stdio_container_t stdio[4] = {{.flags = UV_IGNORE},
                                     {.flags = UV_INHERIT_FD, .data.fd = p->result},
                                     {.flags = UV_INHERIT_FD, .data.fd = 2},
                                     {.flags = UV_INHERIT_FD, .data.fd = p->lib->copy.fd}};
    uv_process_options_t options = {.exit_cb = on_ended,
                                    .file = settings.command,
                                    .args = args,
                                    .env = env,
                                    .flags = UV_PROCESS_DETACHED,
                                    .stdio_count = 4,
                                    .stdio = stdio};
    int r = UV_ENOMEM;
    if (child_environment(env)) {
        r = uv_spawn(loop, &p->process, &options);
        p->open_handles++;
        if (r)
            uv_close((uv_handle_t *)&p->process, on_closed);
    }
    for (char **it = env; *it; it++)
        free(*it);
    return r;
}

static void start(struct probe *p, uv_loop_t *loop)
{
    p->lib->probe = p;
    p->lib->state = LIBRARY_PROBING;
    atomic_store(&p->lib->again, false);
    if (protection_off("probe"))
        return;
    p->result = make_result();
    int r = p->result < 0 ? p->result : spawn(p, loop);
    if (r)
        p->status = err_set(&p->err, r, "the probe of %s can't be started: %s", p->lib->name,
                            uv_strerror(r));
    p->running = !r;
}

static bool answer_known(struct library *lib)
{
    return lib->state == LIBRARY_PROBED || lib->state == LIBRARY_LOADED ||
           (lib->state == LIBRARY_BAD && !atomic_load(&lib->again));
}

static struct probe *probe_new(uv_loop_t *loop, struct library *lib)
{
    struct probe *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->lib = lib;
    p->result = -1;
    p->process.data = p->timer.data = p;
    list_init(&p->waiters);
    uv_timer_init(loop, &p->timer);
    p->open_handles = 1;
    if (!answer_known(lib))
        start(p, loop);
    else if (lib->state == LIBRARY_BAD)
        p->status = err_set(&p->err, -ENOEXEC, "%s", lib->why);
    uv_timer_start(&p->timer, on_timer, p->running ? settings.limit_ms : 0, 0);
    return p;
}

int library_probe(uv_loop_t *loop, struct library *lib, library_probe_cb done, void *arg)
{
    struct waiter *w = malloc(sizeof(*w));
    struct probe *p = NULL;
    if (w)
        p = lib->state == LIBRARY_PROBING ? lib->probe : probe_new(loop, lib);
    if (!p) {
        free(w);
        return -ENOMEM;
    }
    w->done = done;
    w->arg = arg;
    list_append(&p->waiters, &w->node);
    return 0;
}

void library_probe_forget(struct library *lib, void *arg)
{
    if (!lib->probe)
        return;
    list_each_safe (it, &lib->probe->waiters) {
        struct waiter *w = container_of(it, struct waiter, node);
        if (w->arg != arg)
            continue;
        list_remove(&w->node);
        free(w);
    }
}

struct answer {
    int status;
    struct err err;
};

static void keep_answer(void *arg, struct library *lib, int status, const struct err *e)
{
    struct answer *a = arg;
    (void)lib;
    a->status = status;
    if (e)
        a->err = *e;
}

int library_probe_now(struct library *lib, struct err *e)
{
    uv_loop_t loop;
    struct answer a = {.status = -EIO};
    if (lib->state == LIBRARY_PROBING)
        return err_set(e, -EBUSY, "%s is being probed", lib->name);
    int r = uv_loop_init(&loop);
    if (r)
        return err_set(e, r, "the probe of %s can't be started: %s", lib->name, uv_strerror(r));
    r = library_probe(&loop, lib, keep_answer, &a);
    if (r)
        a.status =
            err_set(&a.err, r, "the probe of %s can't be started: %s", lib->name, uv_strerror(r));
    uv_run(&loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop))
        BUG("a probe left a handle open");
    return a.status ? err_set(e, a.status, "%s", a.err.text) : 0;
}
