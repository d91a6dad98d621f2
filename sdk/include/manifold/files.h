/* manifold/files.h - "manifold.files/1": files below the directories the operator has granted.
 * See op.h.
 *
 * A file is named by the number of a root and a path below it.  The kernel resolves the path
 * beneath the root (openat2, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS), so no "..", no absolute path
 * and no symbolic link leads out of it, whatever changes meanwhile: MF_EDENIED.  A symbolic link
 * that stays beneath is followed.  All of it runs on I/O threads of the instance's own: a file
 * system that hangs costs its plugin these threads and nobody else anything. */
#ifndef MANIFOLD_FILES_H
#define MANIFOLD_FILES_H

#include "op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_FILES "manifold.files/1"

enum { MF_FILES_PATH_MAX = 4095, MF_FILES_READ_MAX = 1 << 20, MF_FILES_OPEN_MAX = 64 };

typedef uint64_t mf_file; /* an open file of this instance; 0: none */

/* A granted directory.  Lives until close() returns. */
typedef struct mf_root {
    uint32_t size;
    uint32_t flags;    /* MF_ROOT_WRITE */
    const char *grant; /* the name of the permission; several roots may have the same */
    const char *path;  /* absolute, as the operator wrote it, "~" expanded; for people */
} mf_root;
enum { MF_ROOT_WRITE = 1 << 0 };

enum { MF_KIND_FILE = 1, MF_KIND_DIRECTORY = 2, MF_KIND_LINK = 3, MF_KIND_OTHER = 4 };

typedef struct mf_stat {
    uint32_t size;
    uint32_t kind; /* MF_KIND_* */
    uint32_t mode; /* permission bits, 07777 */
    uint32_t links;
    uint64_t bytes;
    int64_t modified_ns, accessed_ns, changed_ns; /* since 1970 */
    int64_t created_ns;                           /* 0: not known */
} mf_stat;

typedef struct mf_stated { /* of stat() and open() */
    mf_end end;            /* first */
    mf_file file;          /* open(): to be closed; else 0 */
    const mf_stat *stat;   /* NULL when end.status is not MF_OK */
} mf_stated;
typedef void (*mf_stated_cb)(void *arg, const mf_stated *stated);

typedef struct mf_read {
    mf_end end;     /* first */
    mf_bytes bytes; /* fewer than asked for: the file ends here */
} mf_read;
typedef void (*mf_read_cb)(void *arg, const mf_read *read);

typedef struct mf_dirent {
    mf_bytes name; /* as the file system has it, perhaps no UTF-8 */
    mf_stat
        stat; /* of the entry itself, links not followed; zero but for kind without MF_LIST_STAT */
} mf_dirent;

enum {
    MF_OPEN_READ = 0,        /* a regular file that is there */
    MF_OPEN_CREATE = 1 << 0, /* a new temporary file beside the path; commit() puts it in place */
    MF_OPEN_NEW = 1 << 1, /* with CREATE: commit() fails with MF_EEXIST where there is something */
};
enum { MF_STAT_LINK = 1 << 0 /* the link itself */ };
enum { MF_LIST_STAT = 1 << 0 };

typedef struct mf_files {
    uint32_t size;
    uint32_t flags; /* 0 */
    /* Roots are numbered from 0 and stay the same until close().  NULL: there are no more.  [any]
     */
    const mf_root *(*root)(const mf_host *host, uint32_t number);
    /* The root that an absolute path is below (the longest that fits, by its path or by what that
     * resolved to when it was opened), and the rest of the path, which points into `path`.  It only
     * compares names: what it says gives no access.  MF_EDENIED: below none; end.why style sentence
     * in *ret_why, valid until close().  [any] */
    mf_status (*locate)(const mf_host *host, mf_bytes path, uint32_t *ret_root, mf_bytes *ret_rest,
                        mf_bytes *ret_why);

    mf_op (*stat)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path, uint32_t flags,
                  mf_stated_cb end, void *arg);
    /* Regular files alone: MF_EISDIR, MF_EINVAL for devices, pipes and sockets, at once.  At most
     * MF_FILES_OPEN_MAX at a time: MF_ELIMIT. */
    mf_op (*open)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path, uint32_t flags,
                  mf_stated_cb end, void *arg);
    mf_op (*read)(const mf_host *host, mf_call call, mf_file file, uint64_t offset, size_t max,
                  mf_read_cb end, void *arg);
    /* Appends to a file of MF_OPEN_CREATE.  One at a time, in order. */
    mf_op (*write)(const mf_host *host, mf_call call, mf_file file, mf_bytes bytes, mf_end_cb end,
                   void *arg);
    /* What was written is put in place of the path in one step (fsync, rename, fsync of the
     * directory), with the permission bits of what was there.  The file is closed, whatever comes
     * of it. */
    mf_op (*commit)(const mf_host *host, mf_call call, mf_file file, mf_end_cb end, void *arg);
    /* Closes; what was written and not committed is gone.  MF_ESTALE: it is not open. */
    mf_status (*close)(const mf_host *host, mf_file file);

    /* The entries of a directory, in no order, some hundreds at a time, then the end. */
    mf_op (*list)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path, uint32_t flags,
                  void (*entries)(void *arg, const mf_dirent *entries, size_t count), mf_end_cb end,
                  void *arg);
    /* With all that is missing above it; one that is there already is MF_OK. */
    mf_op (*make_directory)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                            mf_end_cb end, void *arg);
    /* Never over something that is there: MF_EEXIST.  Between roots of one file system. */
    mf_op (*move)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path, uint32_t to_root,
                  mf_bytes to_path, mf_end_cb end, void *arg);
    /* A file, a link or an empty directory. */
    mf_op (*remove)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path, mf_end_cb end,
                    void *arg);
    /* changed(arg, name) for what changes in a directory, name below it (empty: too much at once,
     * look at all of it), until it is aborted. */
    mf_op (*watch)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                   void (*changed)(void *arg, mf_bytes name), mf_end_cb end, void *arg);
    mf_status (*abort)(const mf_host *host, mf_op op);
} mf_files;

#ifdef __cplusplus
}
#endif
#endif
