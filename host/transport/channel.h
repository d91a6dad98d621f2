/* host/transport/channel.h - one end of a byte stream that others may share: never blocked on,
 * never changed.
 *
 * Standard input and output can be a pipe, a socket, a terminal, a file or a
 * device, and the same open file description may belong to the parent, to the
 * shell, to a sibling.  O_NONBLOCK is a flag of the description, so setting it would
 * reach them all.  Hence:
 *
 *   pipe, terminal   opened anew through /proc/self/fd: a description of our own, non-blocking
 *   socket           recv() and send() with MSG_DONTWAIT
 *   file, /dev/null  plain read() and write(), which never wait; epoll refuses them (EPERM)
 *   none of these    (no /proc, no permission): poll() before each call, small writes
 *
 * Loop thread. */
#ifndef MANIFOLD_TRANSPORT_CHANNEL_H
#define MANIFOLD_TRANSPORT_CHANNEL_H

#include <uv.h>
#include "base/err.h"

enum channel_kind { CHANNEL_OWN, CHANNEL_SOCKET, CHANNEL_DIRECT, CHANNEL_SHARED };

struct channel {
    uv_poll_t poll; /* first; not in use for CHANNEL_DIRECT; poll.data is the user's */
    int fd;         /* owned; -1 once closed */
    enum channel_kind kind;
    size_t piece; /* longest write of CHANNEL_SHARED */
    bool closing;
    void (*closed)(void *); /* of channel_close() */
    void *closed_arg;
};

enum channel_way { CHANNEL_READ, CHANNEL_WRITE };

/* Takes fd over in any case.  The struct must stay where it is until channel_close() has called
 * back. */
int channel_open(struct channel *c, uv_loop_t *loop, int fd, enum channel_way way, struct err *e);
/* Bytes; 0: the end; -EAGAIN: not now; else a negative errno. */
ssize_t channel_read(struct channel *c, char *to, size_t room);
/* Bytes, at least 1; -EAGAIN: not now; else a negative errno (-EPIPE: nobody reads). */
ssize_t channel_write(struct channel *c, const char *from, size_t n);
/* Calls cb when one of the UV_* events is there; 0: stops.  UV_PRIORITIZED watches for the end of
 * the other side alone.  Not for CHANNEL_DIRECT, which is always ready. */
void channel_watch(struct channel *c, int events, uv_poll_cb cb);
/* Is the other side gone?  Asks the kernel. */
bool channel_hung_up(const struct channel *c);
/* Closes the descriptor; `closed` (may be NULL) is called on the loop, or at once for
 * CHANNEL_DIRECT. */
void channel_close(struct channel *c, void (*closed)(void *), void *arg);

#endif
