#include "cli/reach.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "cli/command.h"
#include "cli/open.h"
#include "cli/table.h"

enum { CONNECT_MS = 1000, READ_BYTES = 65536 };

static bool listens(const char *path)
{
    int fd = admin_connect(path, CONNECT_MS);
    if (fd >= 0)
        close(fd);
    return fd >= 0 || fd == -EAGAIN;
}

static void add(void *arg, const char *directory, pid_t pid, const char *path)
{
    struct reach *r = arg;
    (void)directory;
    if (r->count == REACH_HOSTS || !listens(path))
        return;
    struct reached *h = &r->host[r->count++];
    h->pid = pid;
    snprintf(h->path, sizeof(h->path), "%s", path);
}

static int by_pid(const void *a, const void *b)
{
    const struct reached *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static void find_all(struct reach *r)
{
    char directory[ADMIN_PATH];
    for (unsigned place = 0; place < ADMIN_PLACES; place++) {
        if (admin_directory(place, directory, NULL) == 0)
            admin_each(directory, add, r);
    }
    qsort(r->host, r->count, sizeof(r->host[0]), by_pid);
}

static int use_socket(const char *path, struct reach *r)
{
    int n = snprintf(r->host[0].path, ADMIN_PATH, "%s", path);
    if (n < 0 || n >= ADMIN_PATH)
        return cli_fail(EXIT_USAGE, "--socket: expected a path of at most %d bytes, found %d",
                        ADMIN_PATH - 1, n);
    r->host[0].pid = 0;
    r->count = 1;
    return EXIT_GOOD;
}

uint32_t reach_running(struct reach *ret)
{
    ret->count = 0;
    find_all(ret);
    return ret->count;
}

int reach_find(const struct args *a, struct reach *ret)
{
    ret->count = 0;
    if (a->pid && a->socket)
        return cli_fail(EXIT_USAGE, "expected one of --pid and --socket, found both");
    if (a->socket)
        return use_socket(a->socket, ret);
    find_all(ret);
    if (!ret->count)
        return cli_fail(EXIT_NO_HOST, "no host of this user is running, or none has an admin "
                                      "socket; --socket asks one elsewhere");
    for (uint32_t i = 0; a->pid && i < ret->count; i++) {
        if (ret->host[i].pid != a->pid)
            continue;
        ret->host[0] = ret->host[i];
        ret->count = 1;
        return EXIT_GOOD;
    }
    if (a->pid)
        return cli_fail(EXIT_NO_HOST,
                        "no host with process number %d; \"manifold status\" shows those there are",
                        a->pid);
    return EXIT_GOOD;
}

static bool wait_for(int fd, short events, uint64_t until)
{
    for (;;) {
        uint64_t now = clock_ns();
        struct pollfd p = {.fd = fd, .events = events};
        int r = poll(&p, 1, now < until ? (int)((until - now) / 1000000) + 1 : 0);
        if (r > 0 || (r == 0 && now >= until) || (r < 0 && errno != EINTR))
            return r > 0;
    }
}

/* The line, without its end.  A host that has refused early may end with a reset: what it had said
 * by then counts. */
static int read_line(int fd, uint64_t until, struct buf *b)
{
    for (;;) {
        const char *end = b->len ? memchr(b->data, '\n', b->len) : NULL;
        if (end) {
            b->len = (size_t)(end - b->data);
            return 0;
        }
        if (!wait_for(fd, POLLIN, until))
            return -ETIMEDOUT;
        int r = buf_reserve(b, READ_BYTES);
        if (r)
            return r;
        ssize_t n = recv(fd, b->data + b->len, READ_BYTES, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (n == 0)
            return -EPIPE;
        b->len += n > 0 ? (size_t)n : 0;
    }
}

static int exchange(const struct reached *h, const char *command, unsigned ms, struct buf *text,
                    struct err *e)
{
    char line[64];
    uint64_t until = clock_ns() + (uint64_t)ms * 1000000;
    int n = snprintf(line, sizeof(line), "{\"command\":\"%s\"}\n", command);
    int fd = admin_connect(h->path, ms);
    if (fd == -ENOENT || fd == -ECONNREFUSED)
        return err_set(e, fd, "no host listens at %s", h->path);
    if (fd == -EPERM)
        return err_set(e, fd, "%s belongs to another user", h->path);
    if (fd < 0)
        return err_set(e, fd, "%s: %s", h->path, strerror(-fd));
    buf_clear(text, SIZE_MAX);
    int r = send(fd, line, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -EPIPE;
    r = r ? r : read_line(fd, until, text);
    close(fd);
    if (r == -ETIMEDOUT)
        return err_set(e, r, "the host at %s has not answered within %u s", h->path, ms / 1000);
    if (r == -EPIPE || r == -ECONNRESET)
        return err_set(e, r, "the host at %s has closed the connection without an answer", h->path);
    return r ? err_set(e, r, "%s: %s", h->path, strerror(-r)) : 0;
}

int reach_ask(const struct reached *h, const char *command, unsigned ms, struct buf *text,
              struct json_doc *d, struct err *e)
{
    static const struct json_limits limits = {
        .bytes = REACH_ANSWER, .depth = 64, .nodes = (1 << 24) - 1, .duplicates = true};
    struct json_error bad;
    int r = exchange(h, command, ms, text, e);
    if (r)
        return r;
    r = json_read(d, buf_view(text), &limits, &bad);
    if (r)
        return err_set(e, r, "%s: expected an answer in JSON: %s", h->path, bad.text);
    if (!json_is(d, 0, JSON_OBJECT))
        return err_set(e, -EINVAL, "%s: expected an object as answer, found %s", h->path,
                       json_type_name(json_type(d, 0)));
    json_ref error = json_get(d, 0, STR("error"));
    if (!error)
        return 0;
    struct buf scratch = BUF_INIT(1 << 20), shown = BUF_INIT(1 << 20);
    bool is_text = json_is(d, error, JSON_STRING);
    struct str why = is_text ? json_string(d, error, &scratch) : json_raw(d, error);
    table_cell(&shown, why, 0);
    err_set(e, -EREMOTEIO, "the host at %s says: %.*s", h->path, STR_FMT(buf_view(&shown)));
    buf_release(&scratch);
    buf_release(&shown);
    return -EREMOTEIO;
}

int reach_ask_or_say(const struct reached *h, const char *command, unsigned ms, struct buf *text,
                     struct json_doc *d)
{
    struct err e;
    int r = reach_ask(h, command, ms, text, d, &e);
    if (!r)
        return EXIT_GOOD;
    return cli_fail(r == -ENOENT || r == -ECONNREFUSED ? EXIT_NO_HOST : EXIT_WRONG, "%s", e.text);
}

/* A reload stages libraries and drains the old ones; the host bounds both. */
enum { RELOAD_MS = 300000, SUMMARY_MAX = 1 << 20 };

static int print_summary(const struct json_doc *d)
{
    json_ref ok = json_get(d, 0, STR("ok")), summary = json_get(d, 0, STR("summary"));
    struct visit v = {.out = STDOUT_FILENO};
    struct buf b = BUF_INIT(SUMMARY_MAX), scratch = BUF_INIT(SUMMARY_MAX);
    int code = ok && json_is(d, ok, JSON_TRUE) ? EXIT_GOOD : EXIT_WRONG;
    if (code)
        v.out = STDERR_FILENO;
    table_cell(&b, code ? STR("manifold: ") : STR_NONE, 0);
    if (summary && json_is(d, summary, JSON_STRING))
        table_cell(&b, json_string(d, summary, &scratch), 0);
    else
        table_cell(&b, code ? STR("the host did not reload") : STR("reloaded"), 0);
    buf_byte(&b, '\n');
    code = visit_print(&v, &b, code);
    buf_release(&b);
    buf_release(&scratch);
    return code;
}

int reach_reload(const struct reached *h)
{
    struct buf text = BUF_INIT(REACH_ANSWER);
    struct json_doc d = {0};
    int code = reach_ask_or_say(h, "reload", RELOAD_MS, &text, &d);
    code = code ? code : print_summary(&d);
    json_doc_release(&d);
    buf_release(&text);
    return code;
}
