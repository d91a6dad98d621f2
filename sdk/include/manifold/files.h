/* manifold/files.h - "manifold.files/1": files below the directories the operator has granted.
 * See op.h.
 *
 * A file is named by the number of a root and a path below it.  The kernel resolves the path
 * beneath the root (openat2, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS), so no "..", no absolute path
 * and no symbolic link leads out of it, whatever changes meanwhile: MF_EDENIED.  A symbolic link
 * that stays beneath is followed; one whose target is an absolute path is refused, wherever it
 * leads.  Hard links are files like any other; writing never goes through one, since it replaces
 * the name and not what the file holds.
 *
 * All of it runs on I/O threads of the instance's own: a file system that hangs costs its plugin
 * these threads and nobody else anything.  An operation that is aborted ends at once, though its
 * thread may hang: what it was about to change may have changed or not.
 *
 * Paths are bytes without a NUL, at most MF_FILES_PATH_MAX; empty or "." is the root itself.  What
 * is wrong with a path, a number or a file is told in the callback (MF_EINVAL, MF_ESTALE). */
#ifndef MANIFOLD_FILES_H
#define MANIFOLD_FILES_H

#include "op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_FILES "manifold.files/1"

enum {
    MF_FILES_PATH_MAX = 4095,
    MF_FILES_READ_MAX = 1 << 20,
    MF_FILES_WRITE_MAX = 1 << 20,
    MF_FILES_OPEN_MAX = 64, /* files of one instance at a time */
    MF_FILES_WATCH_MAX = 16 /* watched directories of one instance */
};

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

/* How an operation on files ended. */
typedef struct mf_file_end {
    mf_end end;    /* first; end.size is that of the whole struct */
    int32_t error; /* errno of Linux where the system refused it (EACCES, ELOOP, ...), else 0 */
    uint32_t reserved;
} mf_file_end;
typedef void (*mf_file_end_cb)(void *arg, const mf_file_end *end);

typedef struct mf_stated { /* of stat() and open() */
    mf_file_end end;       /* first */
    mf_file file;          /* open(): to be closed; else 0 */
    const mf_stat *stat;   /* NULL when the status is not MF_OK, and for MF_OPEN_CREATE */
    /* Where it is: absolute, without links.  For people and for comparing: it gives no access.
     * Empty when the system does not tell, and for MF_OPEN_CREATE. */
    mf_bytes path;
} mf_stated;
typedef void (*mf_stated_cb)(void *arg, const mf_stated *stated);

typedef struct mf_read {
    mf_file_end end; /* first */
    mf_bytes bytes;  /* fewer than asked for: the file ends here */
} mf_read;
typedef void (*mf_read_cb)(void *arg, const mf_read *read);

typedef struct mf_dirent {
    mf_bytes name; /* as the file system has it, perhaps no UTF-8 */
    /* Of the entry itself, links not followed; without MF_LIST_STAT all but kind is 0. */
    mf_stat stat;
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
    /* Roots are numbered from 0 and stay the same until close().  NULL: there are no more.  None at
     * all: nothing is granted, and every operation ends with MF_EDENIED and the sentence that says
     * which line would grant it.  [any] */
    const mf_root *(*root)(const mf_host *host, uint32_t number);
    /* The root that an absolute path is below, and the rest of the path, which points into `path`:
     * the longest root that fits, by its path or, once an operation has opened it, by where that
     * really is (stat() of "" tells).  It only compares names: what it says gives no access.
     * MF_EDENIED: below none; with a sentence in *ret_why, valid until close().  [any] */
    mf_status (*locate)(const mf_host *host, mf_bytes path, uint32_t *ret_root, mf_bytes *ret_rest,
                        mf_bytes *ret_why);

    mf_op (*stat)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path, uint32_t flags,
                  mf_stated_cb end, void *arg);
    /* Regular files alone: MF_EISDIR, MF_EINVAL for devices, pipes and sockets, at once.  At most
     * MF_FILES_OPEN_MAX at a time: MF_ELIMIT.  CREATE: MF_EINVAL where the path is something that
     * is no file, MF_EISDIR where it is a directory; a link is replaced, not followed. */
    mf_op (*open)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path, uint32_t flags,
                  mf_stated_cb end, void *arg);
    /* At most MF_FILES_READ_MAX bytes; several at a time may be read from one file. */
    mf_op (*read)(const mf_host *host, mf_call call, mf_file file, uint64_t offset, size_t max,
                  mf_read_cb end, void *arg);
    /* Appends at most MF_FILES_WRITE_MAX bytes to a file of MF_OPEN_CREATE.  The next one when this
     * one has ended; MF_EINVAL before that.  After one that failed or was aborted the file can only
     * be closed: MF_EIO.  MF_ENOSPC: the disk or the quota is full. */
    mf_op (*write)(const mf_host *host, mf_call call, mf_file file, mf_bytes bytes,
                   mf_file_end_cb end, void *arg);
    /* What was written is put in place of the path in one step (fsync, rename, fsync of the
     * directory), with the permission bits of what was there.  The file is closed, whatever comes
     * of it. */
    mf_op (*commit)(const mf_host *host, mf_call call, mf_file file, mf_file_end_cb end, void *arg);
    /* Closes; what was written and not committed is gone.  MF_ESTALE: it is not open. */
    mf_status (*close)(const mf_host *host, mf_file file);

    /* The entries of a directory, in no order, some hundreds at a time, then the end. */
    mf_op (*list)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path, uint32_t flags,
                  void (*entries)(void *arg, const mf_dirent *entries, size_t count),
                  mf_file_end_cb end, void *arg);
    /* With all that is missing above it; one that is there already is MF_OK. */
    mf_op (*make_directory)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                            mf_file_end_cb end, void *arg);
    /* Never over something that is there: MF_EEXIST.  Between roots of one file system.  A link is
     * moved, not followed. */
    mf_op (*move)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path, uint32_t to_root,
                  mf_bytes to_path, mf_file_end_cb end, void *arg);
    /* A file, a link or an empty directory. */
    mf_op (*remove)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                    mf_file_end_cb end, void *arg);
    /* changed(arg, name) for what changes in a directory, name below it (empty: too much at once,
     * look at all of it), until it is aborted.  MF_ENOENT: the directory is gone. */
    mf_op (*watch)(const mf_host *host, mf_call call, uint32_t root, mf_bytes path,
                   void (*changed)(void *arg, mf_bytes name), mf_file_end_cb end, void *arg);
    mf_status (*abort)(const mf_host *host, mf_op op);
} mf_files;

#ifdef __cplusplus
}
#endif
#endif
