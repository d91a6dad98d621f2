/* host/services/files/files.h - private to services/: what the sources of manifold.files/1 tell
 * each other.
 *
 * An operation is two things: struct files_op, which belongs to the loop and to its plugin, and
 * struct files_job, which does the work on an I/O thread of the instance.  When the operation is
 * aborted while the job runs, the two part: the operation ends, and the job is the thread's, which
 * may hang in the kernel for ever.  So a job needs nothing but struct files, which is counted and
 * outlives the instance if it must.
 *
 *   files.c    the vtable: arguments into a job, a job's result into a callback
 *   job.c      from the loop to a thread and back; abort
 *   root.c     struct files, its roots and open files
 *   read.c     stat, open, read, list       \
 *   write.c    create, write, commit, ...    > what runs on the threads
 *   quota.c    bytes of a grant             /
 *   watch.c    inotify, on the loop
 *   beneath.c  openat2 */
#ifndef MANIFOLD_SERVICES_FILES_H
#define MANIFOLD_SERVICES_FILES_H

#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include "manifold/files.h"
#include "services/internal.h"

enum { FILES_THREADS = 4, FILES_BATCH = 256, FILES_WHY = 512 };

struct files_job;

/* --- What one instance has --- */

struct files_quota {
    uint64_t limit; /* bytes; 0: none */
    pthread_mutex_t lock;
    bool measured;         /* under lock, as all below */
    uint64_t used;         /* bytes in files below the grant's roots, what is under way included */
    uint64_t under_way;    /* reserved, and perhaps not written yet */
    uint64_t at, measures; /* ns: when it was measured last; how often */
};

struct files_root {
    mf_root shown; /* its strings are owned; constant */
    bool make;
    struct files_quota *quota;
    /* under files.lock */
    int fd; /* O_PATH; -1: not opened yet.  Once opened it stays until files_unref() */
    dev_t device;
    char *real; /* owned; where it is; NULL: not known */
};

/* What files_new() is told of a root; copied. */
struct files_root_spec {
    const char *grant, *path; /* those of one grant follow each other */
    bool write;
    bool make; /* below the data directory: made, 0700, where it is not there */
    uint64_t quota;
};

/* One that is open, or was while a job still uses it.  Counted: by its slot and by jobs.  The last
 * one closes it on an I/O thread. */
struct open_file {
    struct pool_job closing;
    struct files *files; /* counted */
    atomic_uint refs;
    int fd;
    struct files_root *root;
    /* of MF_OPEN_CREATE; else dir is -1 */
    int dir;                                /* that of the path (O_PATH) */
    bool fresh;                             /* MF_OPEN_NEW */
    char name[NAME_MAX + 1], temporary[48]; /* in it; temporary "": it is in place */
    uint64_t written;
    bool busy, broken; /* under files.lock: a write is under way; one has failed */
};

struct files_slot {
    struct open_file *file; /* counted; NULL */
    uint32_t generation;
    bool reserved;
};

struct files {
    atomic_uint refs;     /* the instance and every job and open file */
    char *plugin;         /* owned; instance name */
    char *denied;         /* owned; why there is no root, or why none holds a path */
    struct grants guards; /* only what grants_check_root() goes by */
    struct files_root *root;
    uint32_t roots;
    struct files_quota *quota; /* one a grant */
    uint32_t quotas;
    struct pool *pool;    /* the instance's: pool_leave()s it */
    atomic_uint watching; /* watches that have not ended */
    pthread_mutex_t lock;
    struct files_slot slot[MF_FILES_OPEN_MAX]; /* under lock */
};

/* NULL: no memory.  `g`: the plugin's, for grants_check_root(); copied.  `why`: the sentence for
 * when there are none, or none holds a path. */
struct files *files_new(const char *plugin, const struct grants *g,
                        const struct files_root_spec *spec, uint32_t count, const char *why);
void files_ref(struct files *f);
void files_unref(struct files *f);
/* Closes what is open and gives the instance's share back, waiting at most `ms` for the threads. */
void files_leave(struct files *f, unsigned ms);

/* A place for a file that is about to be opened; false: there are MF_FILES_OPEN_MAX. */
bool files_reserve(struct files *f, uint32_t *ret_slot);
void files_unreserve(struct files *f, uint32_t slot);
mf_file files_add(struct files *f, uint32_t slot, struct open_file *file);
/* The open file with one more reference, or NULL.  `take`: the slot's own, which is free then. */
struct open_file *files_get(struct files *f, mf_file handle, bool take);
/* The one write that a file has at a time.  False, and the job has failed: not now, or never again.
 */
bool open_file_claim(struct open_file *file, struct files_job *job);
void open_file_idle(struct open_file *file);
/* What it holds is not what was to be written. */
void open_file_break(struct open_file *file);
/* On an I/O thread it is closed there, else by one. */
void open_file_put(struct open_file *file, bool on_thread);

/* --- A job --- */

enum job_state {
    JOB_QUEUED, /* or running */
    JOB_DONE,   /* the loop knows or will be told */
    JOB_LEFT    /* its operation has ended: the thread's alone */
};

struct listing {
    DIR *dir;
    size_t count;
    bool end;
    mf_dirent entry[FILES_BATCH];
    char names[FILES_BATCH][NAME_MAX + 1];
};

struct files_op;
struct files_verb;

struct files_job {
    struct pool_job pool;
    const struct files_verb *verb;
    struct files *files; /* counted */
    struct files_op *op; /* for the thread that has made it JOB_DONE */
    _Atomic enum job_state state;
    /* what is asked */
    uint32_t root, to_root, flags;
    const char *path, *to_path; /* into text */
    struct open_file *file;     /* counted, or NULL */
    uint64_t offset;
    size_t max;
    uint32_t slot;
    bool has_slot; /* one of files_reserve() is its */
    bool has_busy; /* it is what makes the file busy */
    /* what came of it */
    mf_status status;
    int error;
    char why[FILES_WHY];
    mf_file handle;
    mf_stat stat;
    char *real; /* owned */
    char *data; /* owned: what was read, what is to be written */
    size_t len;
    struct listing *listing; /* owned */
    int fd;                  /* watch: of inotify; else -1 */
    char text[];
};

/* A const table, one a function of the vtable. */
struct files_verb {
    struct op_kind kind;
    void (*run)(struct files_job *job);  /* on a thread */
    void (*undo)(struct files_job *job); /* on the thread, when nobody gets what it made; or NULL */
    void (*seen)(struct files_op *op);   /* on the loop after run; NULL: it ends */
    void (*stop)(struct files_op *op);   /* on the loop: abort between run and end; or NULL */
};

struct files_op {
    struct op op;          /* first */
    struct files_job *job; /* owned; NULL: left to its thread */
    bool telling;          /* in a callback other than the last */
    bool polling;          /* watch: `poll` is open */
    union {
        mf_stated_cb stated;
        mf_read_cb read;
        mf_file_end_cb end;
    } cb;
    void (*entries)(void *arg, const mf_dirent *entries, size_t count);
    void (*changed)(void *arg, mf_bytes name);
    void *arg;
    uv_poll_t poll; /* of watch */
};

/* --- job.c --- */

/* Makes it fail with the status and sentence of an errno, negative or not: `"path": no such file or
 * directory`. */
void files_job_fail(struct files_job *job, const char *path, int error);
/* The same in words of one's own. */
void files_job_refuse(struct files_job *job, mf_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Nobody waits any more; for work that takes long. */
bool files_job_is_left(struct files_job *job);
static inline const struct files_verb *verb_of(const struct files_op *fo)
{
    return container_of((struct op_kind *)(uintptr_t)fo->op.kind, struct files_verb, kind);
}
static inline struct files_op *files_op_of(struct op *op)
{
    return container_of(op, struct files_op, op);
}
/* Of op_kind. */
void files_op_start(struct op *op);
void files_op_abort(struct op *op);
void files_op_release(struct op *op);
/* On the loop: once more on a thread; it ends with what the job came to. */
void files_op_again(struct files_op *fo);
void files_op_end(struct files_op *fo);

/* --- on the threads --- */

/* The root's descriptor, opened if need be; -1, and the job has failed. */
int files_job_root(struct files_job *job, uint32_t number, dev_t *ret_device);

/* The file it has opened gets its handle. */
void files_job_opened(struct files_job *job, struct open_file *file);

void files_run_stat(struct files_job *job);
void files_run_open(struct files_job *job);
void files_undo_open(struct files_job *job);
void files_run_read(struct files_job *job);
void files_run_list(struct files_job *job);
void files_run_create(struct files_job *job); /* of files_run_open() */
void files_run_write(struct files_job *job);
void files_undo_write(struct files_job *job);
void files_run_commit(struct files_job *job);
void files_run_make_directory(struct files_job *job);
void files_run_move(struct files_job *job);
void files_run_remove(struct files_job *job);
void files_run_watch(struct files_job *job);

/* Room for `bytes` more.  0, -EDQUOT over the limit, or another negative errno when it could not
 * be measured. */
int files_quota_take(struct files_job *job, struct files_root *root, uint64_t bytes);
/* The bytes of a files_quota_take() are written. */
void files_quota_written(struct files_root *root, uint64_t bytes);
void files_quota_give(struct files_root *root, uint64_t bytes);
/* Something was moved: what lies below must be measured anew. */
void files_quota_forget(struct files_root *root);

/* --- watch.c, on the loop --- */

void files_watch_seen(struct files_op *fo);
void files_watch_stop(struct files_op *fo);

#endif
