#include "transport/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/list.h"
#include "base/log.h"
#include "json/reader.h"
#include "json/writer.h"
#include "transport/admin_socket.h"

struct admin {
    uv_poll_t listener;
    uv_timer_t retry;
    uv_loop_t *loop;
    struct admin_options opt;
    struct list clients;
    unsigned count;
    int fd;
    int handles; /* not closed yet */
    bool listening;
    bool foreigner_seen; /* logged once: who is refused shall not fill the log */
    bool closed;
    dev_t dev; /* of the socket file, so that only our own is removed */
    ino_t ino;
    char path[ADMIN_PATH];
};

struct client {
    struct list in_admin;
    uv_poll_t poll;
    uv_timer_t limit;
    struct admin *admin; /* NULL once closed */
    int fd;
    int handles;             /* not closed yet */
    bool pending;            /* reload() will call done(): the memory must stay */
    struct exposition *text; /* on its way into the answer */
    size_t received;
    char request[ADMIN_REQUEST];
    struct buf answer;
    size_t sent;
};

static void listen_again(struct admin *a);

static void client_free_unused(struct client *c)
{
    if (c->handles || c->pending)
        return;
    buf_release(&c->answer);
    free(c);
}

static void on_client_handle_closed(uv_handle_t *h)
{
    struct client *c = h->data;
    c->handles--;
    client_free_unused(c);
}

static void client_close(struct client *c)
{
    struct admin *a = c->admin;
    if (c->text)
        a->opt.metrics.end(c->text);
    c->text = NULL;
    c->admin = NULL;
    list_remove(&c->in_admin);
    a->count--;
    uv_close((uv_handle_t *)&c->poll, on_client_handle_closed);
    uv_close((uv_handle_t *)&c->limit, on_client_handle_closed);
    close(c->fd); /* libuv has taken it out of its epoll set already */
    if (!a->closed)
        listen_again(a);
}

static void on_limit(uv_timer_t *t)
{
    client_close(t->data);
}

static void on_writable(uv_poll_t *p, int status, int events)
{
    struct client *c = p->data;
    (void)events;
    ssize_t n = status < 0 ? -1
                           : send(c->fd, c->answer.data + c->sent, c->answer.len - c->sent,
                                  MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && status == 0 && (errno == EAGAIN || errno == EINTR))
        return;
    c->sent += n > 0 ? (size_t)n : 0;
    if (n < 0 || c->sent == c->answer.len)
        client_close(c);
}

/* Sends what has been written into c->answer.  The client may be gone afterwards. */
static void client_answer(struct client *c)
{
    if (c->answer.failed || buf_byte(&c->answer, '\n')) {
        buf_clear(&c->answer, 0);
        buf_lit(&c->answer, "{\"error\":\"the answer is too long\"}\n");
    }
    uv_timer_start(&c->limit, on_limit, ADMIN_LIMIT, 0);
    uv_poll_start(&c->poll, UV_WRITABLE, on_writable);
}

static void answer_error(struct client *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void answer_error(struct client *c, const char *fmt, ...)
{
    struct err e;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e.text, sizeof(e.text), fmt, ap);
    va_end(ap);
    buf_lit(&c->answer, "{\"error\":");
    json_write_string(&c->answer, str_of(e.text));
    buf_byte(&c->answer, '}');
    client_answer(c);
}

static void run_ping(struct client *c)
{
    buf_printf(&c->answer, "{\"pid\":%d,\"version\":\"%s\"}", (int)getpid(), MANIFOLD_VERSION);
    client_answer(c);
}

static void run_status(struct client *c)
{
    c->admin->opt.status(c->admin->opt.host, &c->answer);
    client_answer(c);
}

static void run_perf(struct client *c)
{
    c->admin->opt.perf(c->admin->opt.host, &c->answer);
    client_answer(c);
}

/* A piece for each turn of the loop, so that calls come between. */
static void on_piece(uv_timer_t *t)
{
    struct client *c = t->data;
    struct buf piece = BUF_INIT(ADMIN_ANSWER);
    bool more = c->admin->opt.metrics.step(c->text, &piece);
    json_write_escaped(&c->answer, buf_view(&piece), true);
    if (piece.failed)
        c->answer.failed = piece.failed;
    buf_release(&piece);
    if (more && !c->answer.failed) {
        uv_timer_start(t, on_piece, 1, 0); /* with 0 libuv would call it in this same turn */
        return;
    }
    c->admin->opt.metrics.end(c->text);
    c->text = NULL;
    buf_lit(&c->answer, "\"}");
    client_answer(c);
}

static void run_metrics(struct client *c)
{
    c->text = c->admin->opt.metrics.begin(c->admin->opt.host);
    if (!c->text) {
        answer_error(c, "out of memory");
        return;
    }
    buf_lit(&c->answer, "{\"text\":\"");
    uv_timer_start(&c->limit, on_piece, 1, 0);
}

static void on_reloaded(void *arg, bool ok, const char *summary)
{
    struct client *c = arg;
    c->pending = false;
    if (!c->admin) {
        client_free_unused(c);
        return;
    }
    buf_printf(&c->answer, "{\"ok\":%s,\"summary\":", ok ? "true" : "false");
    json_write_string(&c->answer, str_of(summary));
    buf_byte(&c->answer, '}');
    client_answer(c);
}

/* It takes as long as it takes: the client's time runs again once there is an answer. */
static void run_reload(struct client *c)
{
    c->pending = true;
    c->admin->opt.reload(c->admin->opt.host, on_reloaded, c);
}

static const struct {
    const char *name;
    void (*run)(struct client *c);
} commands[] = {{"ping", run_ping},
                {"status", run_status},
                {"perf", run_perf},
                {"metrics", run_metrics},
                {"reload", run_reload}};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static bool has_command(const struct admin *a, size_t i)
{
    void (*run)(struct client *) = commands[i].run;
    return (run != run_reload || a->opt.reload) && (run != run_perf || a->opt.perf) &&
           (run != run_metrics || a->opt.metrics.begin);
}

static void refuse_command(struct client *c)
{
    struct err list = {.text = ""};
    for (size_t i = 0; i < COMMANDS; i++) {
        size_t at = strlen(list.text);
        if (has_command(c->admin, i))
            snprintf(list.text + at, sizeof(list.text) - at, "%s%s", at ? ", " : "",
                     commands[i].name);
    }
    answer_error(
        c, "expected {\"command\":...} with one of the commands of this host, %s; found another",
        list.text);
}

static void client_request(struct client *c, struct str line)
{
    static const struct json_limits limits = {.bytes = ADMIN_REQUEST, .depth = 4, .nodes = 64};
    struct json_doc d = {0};
    struct json_error bad;
    uv_poll_stop(&c->poll);
    uv_timer_stop(&c->limit);
    size_t i = COMMANDS;
    int r = json_read(&d, line, &limits, &bad);
    json_ref n = !r && json_is(&d, 0, JSON_OBJECT) ? json_get(&d, 0, STR("command")) : 0;
    if (n && json_is(&d, n, JSON_STRING)) {
        i = 0;
        while (i < COMMANDS &&
               !(has_command(c->admin, i) && json_string_eq(&d, n, str_of(commands[i].name))))
            i++;
    }
    json_doc_release(&d);
    if (r)
        answer_error(c, "expected a line of JSON: %s", bad.text);
    else if (i == COMMANDS)
        refuse_command(c);
    else
        commands[i].run(c);
}

static void on_readable(uv_poll_t *p, int status, int events)
{
    struct client *c = p->data;
    (void)events;
    ssize_t n = status < 0 ? -1
                           : recv(c->fd, c->request + c->received, ADMIN_REQUEST - c->received,
                                  MSG_DONTWAIT);
    if (n < 0 && status == 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0 || (n == 0 && !c->received)) {
        client_close(c);
        return;
    }
    c->received += (size_t)n;
    const char *end = memchr(c->request, '\n', c->received);
    size_t length = end ? (size_t)(end - c->request) : c->received;
    if (end || n == 0) {
        client_request(c, (struct str){c->request, length});
    } else if (c->received == ADMIN_REQUEST) {
        uv_poll_stop(p);
        answer_error(c, "expected a line of at most %d bytes, found a longer one",
                     ADMIN_REQUEST - 1);
    }
}

/* Takes fd over. */
static void client_new(struct admin *a, int fd)
{
    struct client *c = calloc(1, sizeof(*c));
    if (!c || uv_poll_init(a->loop, &c->poll, fd)) {
        close(fd);
        free(c);
        return;
    }
    uv_timer_init(a->loop, &c->limit);
    c->fd = fd;
    c->admin = a;
    c->handles = 2;
    c->poll.data = c->limit.data = c;
    buf_init(&c->answer, ADMIN_ANSWER);
    list_append(&a->clients, &c->in_admin);
    a->count++;
    uv_timer_start(&c->limit, on_limit, ADMIN_LIMIT, 0);
    uv_poll_start(&c->poll, UV_READABLE, on_readable);
}

static void on_retry(uv_timer_t *t)
{
    listen_again(t->data);
}

static void pause_listening(struct admin *a)
{
    a->listening = false;
    uv_poll_stop(&a->listener);
}

static void on_connection(uv_poll_t *p, int status, int events)
{
    struct admin *a = p->data;
    (void)events;
    int fd = status < 0 ? -1 : accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && status == 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        return;
    if (fd < 0) {
        /* Out of descriptors, most likely: the connection stays and would wake the loop at once. */
        pause_listening(a);
        uv_timer_start(&a->retry, on_retry, ADMIN_RETRY, 0);
    } else if (admin_peer_is_ours(fd)) {
        client_new(a, fd);
        if (a->count == ADMIN_CLIENTS)
            pause_listening(a);
    } else {
        close(fd);
        if (!a->foreigner_seen)
            log_warn("admin: a process of another user is refused; said once");
        a->foreigner_seen = true;
    }
}

static void listen_again(struct admin *a)
{
    if (a->listening || a->count >= ADMIN_CLIENTS)
        return;
    a->listening = true;
    uv_poll_start(&a->listener, UV_READABLE, on_connection);
}

int admin_open(uv_loop_t *loop, const struct admin_options *o, struct admin **ret, struct err *e)
{
    struct admin *a = calloc(1, sizeof(*a));
    struct stat st;
    if (!a)
        return err_set(e, -ENOMEM, "out of memory");
    *a = (struct admin){.loop = loop, .opt = *o, .handles = 2};
    int r = a->fd = admin_listen(o->path, a->path, e);
    if (a->fd >= 0) {
        r = uv_poll_init(loop, &a->listener, a->fd);
        if (r) {
            unlink(a->path);
            close(a->fd);
            err_set(e, r, "%s can't be watched: %s", a->path, uv_strerror(r));
        }
    }
    if (r) {
        free(a);
        return r;
    }
    if (stat(a->path, &st) == 0) {
        a->dev = st.st_dev;
        a->ino = st.st_ino;
    }
    uv_timer_init(loop, &a->retry);
    a->listener.data = a->retry.data = a;
    list_init(&a->clients);
    listen_again(a);
    *ret = a;
    return 0;
}

const char *admin_path(const struct admin *a)
{
    return a->path;
}

static void on_handle_closed(uv_handle_t *h)
{
    struct admin *a = h->data;
    if (--a->handles == 0)
        free(a);
}

void admin_close(struct admin *a)
{
    struct stat st;
    if (!a)
        return;
    a->closed = true;
    list_each_safe (it, &a->clients)
        client_close(container_of(it, struct client, in_admin));
    if (lstat(a->path, &st) == 0 && st.st_dev == a->dev && st.st_ino == a->ino)
        unlink(a->path);
    uv_close((uv_handle_t *)&a->listener, on_handle_closed);
    uv_close((uv_handle_t *)&a->retry, on_handle_closed);
    close(a->fd);
}
