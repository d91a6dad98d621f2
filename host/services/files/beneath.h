/* host/services/files/beneath.h - opening below a directory, resolved by the kernel alone.
 *
 * No path is ever looked at here to decide where it leads: openat2() with RESOLVE_BENEATH and
 * RESOLVE_NO_MAGICLINKS does, and whatever is renamed, linked or mounted meanwhile, what it opens
 * lies beneath.  A kernel without openat2() (before 5.6) is refused: -ENOSYS.
 *
 * Paths are NUL-terminated; "" is the directory itself.  All of it may block for as long as the
 * file system likes.  Errors: negative errno; -EXDEV: the path leads out of the directory. */
#ifndef MANIFOLD_SERVICES_BENEATH_H
#define MANIFOLD_SERVICES_BENEATH_H

#include <limits.h>
#include <sys/stat.h>
#include <sys/types.h>

/* A descriptor (close-on-exec), or negative errno. */
int beneath_open(int dir, const char *path, int flags);
/* For reading, a regular file alone: -EISDIR, -ENXIO for pipes, devices and sockets, which are not
 * opened at all, -EPERM for anything of /proc.  `device`: of `dir`. */
int beneath_open_file(int dir, dev_t device, const char *path);
/* The directory that holds what the path names (O_PATH), and the last name.  -EINVAL: the path has
 * none ("", ".", "a/.."). */
int beneath_parent(int dir, const char *path, int *ret_fd, char ret_name[NAME_MAX + 1]);
/* Moves an entry, never over another: -EEXIST.  Also where the file system can't do it in one
 * step. */
int beneath_rename_new(int from_dir, const char *from, int to_dir, const char *to);
/* Where the descriptor is in truth, absolute; "" when it can't be told. */
void beneath_path(int fd, char ret[PATH_MAX]);

#endif
