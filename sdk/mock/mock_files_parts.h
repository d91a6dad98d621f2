/* mock_files_parts.h - between mock_files.c, which takes and ends operations, and mock_files_do.c,
 * which does them. */
#ifndef MANIFOLD_MOCK_FILES_PARTS_H
#define MANIFOLD_MOCK_FILES_PARTS_H

#include "mock_internal.h"

#include <manifold/mock_files.h>

#include <limits.h>

struct root {
    mf_root shown; /* strings owned */
    int fd;        /* -1: not opened yet */
    char *real;    /* owned; NULL: not known */
};

struct open_file {
    char *path; /* owned; as it was opened */
    uint32_t root;
    int fd, dir;                            /* dir: of CREATE, else -1 */
    char name[NAME_MAX + 1], temporary[64]; /* of CREATE */
    bool fresh, broken;
    uint32_t generation;
};

struct rule {
    char *path, *why; /* owned; why may be NULL */
    mf_status status; /* MF_OK: it hangs */
    int32_t error;
    struct rule *next;
};

struct mock_files {
    struct root *root; /* before open() the test's, then constant but for fd and real */
    uint32_t roots;
    struct open_file file[MF_FILES_OPEN_MAX]; /* path NULL: free.  Under the lock */
    struct rule *rules;                       /* under the lock */
};

/* One operation; all functions of the vtable have the same one. */
struct files_op {
    struct mock_op op; /* first */
    void (*run)(struct files_op *fo);
    uint32_t root, to_root, flags;
    char *path, *to_path; /* owned */
    bool bad_path, writes;
    mf_file file;
    uint64_t offset;
    size_t max;
    struct mock_buf data; /* what is written, or was read */
    /* what came of it */
    int32_t error;
    mf_stat stat;
    bool has_stat;
    char *real; /* owned */
    mf_stated_cb stated;
    mf_read_cb read;
    mf_file_end_cb end;
    void (*entries)(void *arg, const mf_dirent *entries, size_t count);
    void (*changed)(void *arg, mf_bytes name);
    char *change; /* owned; watch: a name that is to be told */
    void *arg;
};

struct mock_files *mock_files_of(mf_mock *m);
/* Where the rule for a path is, or a NULL for it.  Under the lock. */
struct rule **mock_files_rule(struct mock_files *f, const char *path);
/* fire() of watch. */
void mock_files_watch_fire(struct mock_op *op);
/* Ends it: errno, positive or negative; 0: MF_OK. */
void mock_files_end(struct files_op *fo, int error);
void mock_files_refuse(struct files_op *fo, mf_status status, const char *why);
/* The open file of a handle; NULL: MF_ESTALE.  Under the lock. */
struct open_file *mock_file_find(struct mock_files *f, mf_file handle);
void mock_file_close(struct open_file *file); /* removes what was not committed */

/* Of mock_files_do.c.  A descriptor, or negative errno. */
int mock_open_at(struct files_op *fo, const char *path, int flags);
/* The directory of a path and the name in it.  0 or negative errno. */
int mock_parent_of(struct files_op *fo, uint32_t number, const char *path, int *ret_dir,
                   char name[NAME_MAX + 1]);
/* Fills in stat and real path.  0 or negative errno. */
int mock_tell(struct files_op *fo, int fd);

void mock_do_stat(struct files_op *fo);
void mock_do_open(struct files_op *fo);
void mock_do_read(struct files_op *fo);
void mock_do_write(struct files_op *fo);
void mock_do_commit(struct files_op *fo);
void mock_do_list(struct files_op *fo);
void mock_do_make_directory(struct files_op *fo);
void mock_do_move(struct files_op *fo);
void mock_do_remove(struct files_op *fo);
void mock_do_watch(struct files_op *fo);

#endif
