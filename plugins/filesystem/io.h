/* io.h - the operations of manifold.files/1 as functions that wait for their end.
 *
 * Each answers true, or false with what went wrong in `struct failure`.  Nothing is written into
 * j->error: only the caller knows the words of the reference for it. */
#ifndef FILESYSTEM_IO_H
#define FILESYSTEM_IO_H

#include "filesystem.h"

enum { IO_CHUNK = 256 << 10 };

struct failure {
    mf_status status;
    int error;      /* errno, or 0 */
    char why[1024]; /* the host's sentence */
};

/* Where something is: below a root. */
struct spot {
    uint32_t root;
    mf_bytes path;
};

/* `real` (NULL: not wanted) gets where it is in truth. */
bool io_stat(struct job *j, struct spot at, uint32_t flags, mf_stat *ret, struct text *real,
             struct failure *f);
/* To be closed.  `ret`: NULL, or what stat() says of it. */
bool io_open(struct job *j, struct spot at, uint32_t flags, mf_file *ret_file, mf_stat *ret,
             struct failure *f);
void io_close(struct job *j, mf_file file);
/* Appends at most `max` bytes; fewer: the file ends there. */
bool io_read(struct job *j, mf_file file, uint64_t offset, size_t max, struct text *ret,
             struct failure *f);
/* All of it in place of the path, in one step. */
bool io_save(struct job *j, struct spot at, mf_bytes bytes, struct failure *f);
bool io_make_directory(struct job *j, struct spot at, struct failure *f);
bool io_move(struct job *j, struct spot from, struct spot to, struct failure *f);

/* The names of a directory, sorted by their bytes as the reference has them. */
struct entry {
    const char *name; /* in names; NUL-terminated; as the file system has it */
    uint32_t kind;
    uint64_t bytes; /* with MF_LIST_STAT */
};
struct entries {
    struct entry *entry; /* owned */
    size_t count;
    struct text names;
};
/* `most`: entries, so that a directory without end is not taken in; over it, MF_ELIMIT. */
bool io_list(struct job *j, struct spot at, uint32_t flags, size_t most, struct entries *ret,
             struct failure *f);
void entries_free(struct entries *e);

/* The failure in the words of node: "ENOENT: no such file or directory, open '/x'", or the host's
 * sentence where the system has no part in it.  Always false.  `path`, `to`: NULL: not said. */
bool fail_as_node(struct job *j, const struct failure *f, const char *call, const char *path,
                  const char *to);

#endif
