/* host/transport/admin_socket.h - where the admin sockets of this user's hosts are.
 *
 * Several hosts run at a time, one a client, so each socket is named by its process:
 * DIR/PID.sock.  DIR is /run/user/UID/manifold where /run/user/UID is ours, else
 * ~/.cache/manifold; it is made at the first need, 0700.  XDG_RUNTIME_DIR is not asked:
 * clients start servers with an environment of their own, where it is missing, and host
 * and command must come to the same answer.  The socket is 0600 from its first moment
 * (unix(7): Linux takes the mode of the unbound socket, less the umask).  Any thread. */
#ifndef MANIFOLD_TRANSPORT_ADMIN_SOCKET_H
#define MANIFOLD_TRANSPORT_ADMIN_SOCKET_H

#include <sys/types.h>
#include "base/err.h"

enum { ADMIN_PATH = 108, ADMIN_PLACES = 2 }; /* ADMIN_PATH: sun_path of unix(7), NUL included */

/* DIR number `place`, the preferred one first; it need not exist.  0, or negative errno with a
 * sentence: it can't be there. */
int admin_directory(unsigned place, char ret[ADMIN_PATH], struct err *e);
/* Calls `found` for every PID.sock of `directory`, dead ones too, in no order. */
void admin_each(const char *directory,
                void (*found)(void *arg, const char *directory, pid_t pid, const char *path),
                void *arg);
/* Removes the sockets that nobody listens to and whose process is gone. */
void admin_remove_stale(const char *directory);
/* A connected descriptor, close-on-exec, the caller's; waits at most `ms`, not at all for 0.
 * Negative errno: -ECONNREFUSED nobody listens, -EAGAIN too many wait, -EPERM the other side is
 * neither this user nor root. */
int admin_connect(const char *path, unsigned ms);
/* Is the process at the other end of fd this user's, or root's? */
bool admin_peer_is_ours(int fd);
/* A listening, non-blocking descriptor, the caller's, and its path.  `path` NULL: in DIR, by pid,
 * and stale ones there are removed.  Negative errno with a sentence. */
int admin_listen(const char *path, char ret_path[ADMIN_PATH], struct err *e);

#endif
