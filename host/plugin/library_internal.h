/* host/plugin/library_internal.h - private to plugin/: one library and the steps it goes through.
 */
#ifndef MANIFOLD_PLUGIN_LIBRARY_INTERNAL_H
#define MANIFOLD_PLUGIN_LIBRARY_INTERNAL_H

#include <stdatomic.h>
#include <sys/stat.h>
#include "base/list.h"
#include "plugin/library.h"
#include "plugin/note.h"

enum { LIBRARY_HASH = 32, LIBRARY_MAX_BYTES = 256 << 20 };

/* The bytes of one library where nobody can change them any more. */
struct sealed_copy {
    int fd;     /* owned; at least 10, close-on-exec, open for ever: glibc knows a mapping by the
                   name /proc/self/fd/N, so N must never be reused (docs/internals/loading.md) */
    char *path; /* owned; what dlopen() is given */
    unsigned char hash[LIBRARY_HASH];
    struct stat source; /* of the file it was made from */
};

struct probe; /* one child process, library_probe.c */

struct library {
    struct list node; /* in the registry, under its lock */
    char *name;       /* owned; of the file that was staged first */
    struct sealed_copy copy;
    char hash[LIBRARY_HEX]; /* copy.hash in hex */
    struct plugin_note note;
    /* The rest is the loop thread's, but for `again`. */
    enum library_state state;
    atomic_bool again;   /* staged anew: a failed probe may be tried once more */
    const char *why;     /* err_keep()'s; LIBRARY_BAD: the sentence */
    struct probe *probe; /* LIBRARY_PROBING: owned by its handles */
    const mf_plugin *descriptor;
};

/* Opens DIR/NAME below dirfd, checks owner and mode.  A descriptor, or negative errno.
 * *ret_stat is that of the open file. */
int library_open_source(int dirfd, const char *directory, const char *name, struct stat *ret_stat,
                        struct err *e);
/* Of all that is behind fd, read from its start. */
int library_hash_fd(int fd, unsigned char ret[LIBRARY_HASH], struct err *e);
/* Copies and seals what library_open_source() opened; `fd` stays the caller's. */
int library_copy(int fd, const struct stat *st, const char *directory, const char *name,
                 const char *keep_dir, struct sealed_copy *ret, struct err *e);
void library_copy_release(struct sealed_copy *c);

/* Reads the outline that a probe wrote, `n` bytes, and says what is wrong with it. */
int library_outline_check(const struct library *lib, const char *text, size_t n, struct err *e);
/* dlerror()'s text in terms of the file: its own name instead of /proc/self/fd/N, and a hint. */
void library_dlerror_text(const struct library *lib, struct str text, struct err *e);

/* Ends the work on lib with LIBRARY_BAD and the sentence in e; returns code. */
int library_set_bad(struct library *lib, int code, const struct err *e);

#endif
