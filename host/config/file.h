/* host/config/file.h - opening what configures the host, and what "~" and relative paths mean.
 *
 * A file that somebody else may write is somebody else's configuration: its
 * owner must be root or the user of this process, and neither group nor world
 * may write to it, but for the user's private group (the group whose number is
 * the owner's, as Debian makes them).  (docs/operators.md, Owners and modes; sshd's StrictModes) */
#ifndef MANIFOLD_CONFIG_FILE_H
#define MANIFOLD_CONFIG_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Opens dirfd/name for reading without blocking; regular files alone; with `nofollow` no symbolic
 * link.  `shown` names it in sentences.  0, or negative errno: -ENOENT when there is none. */
int file_open(int dirfd, const char *name, bool nofollow, const char *shown, int *ret_fd,
              struct err *e);
/* The user's home, or NULL: HOME when it is an absolute path.  Borrowed from the environment. */
const char *path_home(void);
/* "~" and "~/..." become the home's, a relative path goes below `base` (NULL: stays as it is).
 * *ret is the caller's. */
int path_expand(struct str path, const char *base, char **ret, struct err *e);
/* *ret is the part of path in front of the last '/', "." when there is none; the caller's.  0 or
 * -ENOMEM. */
int path_directory(const char *path, char **ret, struct err *e);

#endif
