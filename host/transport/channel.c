#include "transport/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TTY_PIECE = 256 };

/* A new open file description of the same pipe or terminal, in the place of fd.  False where the
 * system does not let us: then fd is as it was. */
static bool reopen(int fd, enum channel_way way)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int own =
        open(path, (way == CHANNEL_READ ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own < 0)
        return false;
    bool ok = dup3(own, fd, O_CLOEXEC) >= 0;
    close(own);
    return ok;
}

static enum channel_kind find_kind(int fd, enum channel_way way, size_t *ret_piece)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
        return CHANNEL_DIRECT;
    if (S_ISSOCK(st.st_mode))
        return CHANNEL_SOCKET;
    bool pipe = S_ISFIFO(st.st_mode);
    *ret_piece = pipe ? PIPE_BUF : TTY_PIECE;
    return (pipe || isatty(fd)) && reopen(fd, way) ? CHANNEL_OWN : CHANNEL_SHARED;
}

int channel_open(struct channel *c, uv_loop_t *loop, int fd, enum channel_way way, struct err *e)
{
    *c = (struct channel){.fd = fd};
    c->kind = find_kind(fd, way, &c->piece);
    if (c->kind == CHANNEL_DIRECT)
        return 0;
    int flags = fcntl(fd, F_GETFL);
    int r = uv_poll_init(loop, &c->poll, fd);
    if (r == UV_EPERM) { /* epoll takes no device such as /dev/null */
        c->kind = CHANNEL_DIRECT;
        return 0;
    }
    /* libuv makes it non-blocking, which is right for our own description only. */
    if (c->kind != CHANNEL_OWN && flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags);
    if (r == 0)
        return 0;
    close(fd);
    c->fd = -1;
    return err_set(e, r, "descriptor %d can't be watched: %s", fd, uv_strerror(r));
}

static bool ready(const struct channel *c, short events)
{
    struct pollfd p = {.fd = c->fd, .events = events};
    return poll(&p, 1, 0) > 0;
}

static ssize_t result(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

ssize_t channel_read(struct channel *c, char *to, size_t room)
{
    if (c->kind == CHANNEL_SOCKET)
        return result(recv(c->fd, to, room, MSG_DONTWAIT));
    if (c->kind == CHANNEL_SHARED && !ready(c, POLLIN))
        return -EAGAIN;
    return result(read(c->fd, to, room));
}

ssize_t channel_write(struct channel *c, const char *from, size_t n)
{
    if (c->kind == CHANNEL_SOCKET)
        return result(send(c->fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL));
    if (c->kind == CHANNEL_SHARED) {
        if (!ready(c, POLLOUT))
            return -EAGAIN;
        n = n < c->piece ? n : c->piece;
    }
    ssize_t r = result(write(c->fd, from, n));
    return r == 0 ? -EIO : r; /* a device that takes nothing would be asked forever */
}

void channel_watch(struct channel *c, int events, uv_poll_cb cb)
{
    if (c->kind == CHANNEL_DIRECT || c->closing)
        return;
    int r = events ? uv_poll_start(&c->poll, events, cb) : uv_poll_stop(&c->poll);
    BUG_ON(r != 0);
}

bool channel_hung_up(const struct channel *c)
{
    struct pollfd p = {.fd = c->fd};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void on_closed(uv_handle_t *h)
{
    struct channel *c = h->data;
    if (c->closed)
        c->closed(c->closed_arg);
}

void channel_close(struct channel *c, void (*closed)(void *), void *arg)
{
    if (c->fd < 0)
        return;
    c->closing = true;
    if (c->kind == CHANNEL_DIRECT) {
        close(c->fd);
        c->fd = -1;
        if (closed)
            closed(arg);
        return;
    }
    c->closed = closed;
    c->closed_arg = arg;
    c->poll.data = c;
    uv_close((uv_handle_t *)&c->poll, on_closed);
    close(c->fd); /* libuv has taken it out of its epoll set already */
    c->fd = -1;
}
