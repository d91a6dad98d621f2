/* mock_internal.h - what the files of the mock share; private. */
#ifndef MANIFOLD_MOCK_INTERNAL_H
#define MANIFOLD_MOCK_INTERNAL_H

#include <manifold/mock.h>
#include <manifold/op.h>

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

/* Bytes that grow, always followed by a NUL. */
struct mock_buf {
    char *data;
    size_t len, cap;
};
void mock_buf_append(struct mock_buf *b, mf_bytes bytes);
mf_bytes mock_buf_bytes(const struct mock_buf *b);

/* p, or abort(). */
void *mock_checked(void *p);
/* Room for one more element; doubles at powers of two. */
void *mock_grow(void *array, size_t count, size_t element);
/* A copy with a NUL behind it. */
char *mock_copy(mf_bytes bytes);
/* Lends a text for the length of one call, in its exact size and without a NUL,
 * so that reading on behind it is seen; and takes it back, overwritten. */
mf_bytes mock_lend(const char *text);
mf_bytes mock_lend_bytes(mf_bytes bytes);
void mock_take_back(mf_bytes b);

struct mock_item {
    uint32_t kind, appends;
    struct mock_buf bytes;
};

/* A call, from its start until mf_mock_free(): that is how a handle that was
 * finished can be told from one that never was. */
struct mock_call {
    mf_call handle;
    uint32_t kind;
    mf_status fate; /* MF_OK, MF_ECANCELED, MF_ETIMEDOUT: does anybody wait? */
    bool finished;
    bool returned; /* call() has */
    uint64_t deadline;
    size_t size; /* appended so far, against the limit */
    struct mock_item *items;
    size_t item_count;
    struct mock_buf structured, text, detail;
    mf_mock_progress *progress;
    size_t progress_count;
    mf_mock_item *public_items; /* made at finish() */
    mf_mock_result result;
    mf_mock *mock;
    mf_request request; /* BLOCKING: what its thread passes on */
    pthread_t thread;
    bool threaded;
};

struct mock_extension {
    char *id;
    const void *vtable;
};

/* ---- services ------------------------------------------------------------- */

/* A service is one file, mock_NAME.c, and one row in the table of mock_service.c.
 *
 * If it has operations, each embeds struct mock_op as its first member:
 *
 *   mock_op_begin()  any thread: takes the operation over; 0: refused, and it was freed
 *   kind->start()    on the loop, later, unless it was aborted before: begins the work
 *   kind->fire()     on the loop, when the fake clock has come to op->due
 *   kind->abort()    on the loop, once: end it soon
 *   mock_op_end()    any thread, once, in or after start()
 *   kind->deliver()  on the loop, later, never inside the plugin: calls it back
 *   kind->release()  right after it: frees the operation
 *
 * None of these is called with the lock held.  All on the loop is done by
 * mock_ops_run(), which is the test's thread inside one of the functions that
 * mock.h names.  What the service keeps for the whole mock is a pointer in struct
 * mf_mock, made when it is first needed and given back by the row's release(). */
struct mock_op;

struct mock_op_kind {
    const char *name; /* "timer.after": for mistakes */
    void (*start)(struct mock_op *op);
    void (*fire)(struct mock_op *op);  /* NULL: `due` is never set */
    void (*abort)(struct mock_op *op); /* NULL: it ends by itself */
    void (*deliver)(struct mock_op *op);
    void (*release)(struct mock_op *op);
};

struct mock_op {
    const struct mock_op_kind *kind; /* set by mock_op_begin(), as all of these */
    mf_mock *mock;
    mf_op id;
    mf_call call;
    uint64_t due; /* on the fake clock: fire() then; UINT64_MAX: never.  Of the loop. */
    mf_status status;
    char *why; /* NULL: nothing to say */
    bool begun, aborted, told, ended;
    struct mock_op *next;
};

struct mock_service {
    const char *id; /* MF_EXT_TIMER */
    const void *vtable;
    void (*stop)(mf_mock *m); /* before close(), when no operation is left; NULL: nothing to do */
    void (*release)(mf_mock *m); /* at mf_mock_free(), after stop(); NULL: nothing to free */
};

struct mf_mock {
    mf_host host; /* first: the plugin's pointer to it is one to the mock */
    const mf_plugin *plugin;
    void *self;
    bool open, closed;
    bool in_ops;           /* mock_ops_run() is on the stack */
    bool hands_over;       /* mf_mock_close() saves the state */
    mf_status save_status; /* of save() */

    pthread_mutex_t lock; /* for all below */
    pthread_cond_t changed;
    uint64_t now;
    size_t limit;
    struct mock_call **calls;
    size_t call_count;
    struct mock_extension *extensions;
    size_t extension_count;
    mf_mock_log *logs;
    size_t log_count;
    char **mistakes;
    size_t mistake_count;
    struct mock_op *ops;        /* all that have not been delivered, in the order they were begun */
    uint32_t op_count, op_last; /* how many; the number of the last one ever */
    bool quiesced;              /* operations of no call are aborted */
    bool muted;                 /* open() failed: aborted, and nobody is called back */
    bool endless;               /* operations that begin each other were seen */

    bool saving, saved_over; /* save() is on the stack; it wrote more than fits */
    struct mock_buf saved;   /* what it wrote */

    /* Each its file's; NULL: not needed yet. */
    struct mock_work *work;
    struct mock_http *http;
    struct mock_files *files;
    struct mock_metrics *metrics;
    struct mock_notices *notices;
    struct mock_cache *cache;
};

/* The mock whose host a plugin was given. */
static inline mf_mock *mock_of(const mf_host *host)
{
    return (mf_mock *)(uintptr_t)host;
}

/* The call of a handle, or NULL.  Under the lock. */
struct mock_call *mock_find(mf_mock *m, mf_call handle);
/* Notes a mistake.  Under the lock. */
void mock_mistake(mf_mock *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `ms` from now on CLOCK_MONOTONIC, which m->changed waits by. */
struct timespec mock_real_deadline(uint32_t ms);
/* Frees a call and all that it keeps. */
void mock_call_free(struct mock_call *c);
/* Fills in the functions of m->host. */
void mock_host_init(mf_mock *m);
/* Asks the plugin, which has no call any more, for its state; m->saved is empty when it gives none.
 */
mf_status mock_state_save(mf_mock *m);

/* ---- mock_op.c ------------------------------------------------------------ */

/* `op` is zeroed but for the service's own part.  Any thread. */
mf_op mock_op_begin(const mf_host *host, mf_call call, struct mock_op *op,
                    const struct mock_op_kind *kind);
/* For a function that refuses before that: notes the mistake and returns 0.  Any thread. */
mf_op mock_op_refuse(const mf_host *host, const char *function, const char *why);
/* The abort() of every service.  Any thread. */
mf_status mock_op_abort(const mf_host *host, mf_op id);
/* why: copied, may be NULL.  Any thread; _locked: under the lock. */
void mock_op_end(struct mock_op *op, mf_status status, const char *why);
void mock_op_end_locked(struct mock_op *op, mf_status status, const char *why);
/* Is it to end soon?  Known at once, before abort() has run.  Under the lock. */
bool mock_op_aborted(struct mock_op *op);
/* The operation of this kind, if it has not ended; for a service's other functions.  Under the
 * lock; what it points to is for the loop. */
struct mock_op *mock_op_find(mf_mock *m, mf_op id, const struct mock_op_kind *kind);
/* Fills the head of what a callback gets. */
void mock_op_fill(const struct mock_op *op, mf_end *end, size_t size);
/* Fills a plain mf_end and calls back; NULL is fine. */
void mock_op_deliver(const struct mock_op *op, mf_end_cb cb, void *arg);

/* Does all that is due, on the test's thread, until nothing is. */
void mock_ops_run(mf_mock *m);
/* Does mock_ops_run() until done(m, arg), which is asked under the lock, or for `ms` of real time;
 * what it said last. */
bool mock_wait(mf_mock *m, uint32_t ms, bool (*done)(mf_mock *m, void *arg), void *arg);
/* When the next operation fires; UINT64_MAX: none.  Under the lock. */
uint64_t mock_ops_next(const mf_mock *m);
/* For an instance that does not exist: aborts all, calls nobody back, waits until they have
 * ended. */
void mock_ops_drop(mf_mock *m);

/* ---- mock_service.c ------------------------------------------------------- */

/* The vtable of a service that every mock has, or NULL. */
const void *mock_service_find(const char *id);
void mock_services_stop(mf_mock *m);
void mock_services_release(mf_mock *m);

extern const struct mf_metrics mock_metrics; /* mock_metrics.c */
void mock_metrics_release(mf_mock *m);
extern const struct mf_notify mock_notify; /* mock_notify.c */
void mock_notify_release(mf_mock *m);
extern const struct mf_timer mock_timer; /* mock_timer.c */
extern const struct mf_work mock_work;   /* mock_work.c */
void mock_work_stop(mf_mock *m);
void mock_work_release(mf_mock *m);
extern const struct mf_cache mock_cache; /* mock_cache.c */
void mock_cache_release(mf_mock *m);
extern const struct mf_files mock_files; /* mock_files.c */
void mock_files_release(mf_mock *m);
extern const struct mf_http mock_http; /* mock_http.c */
void mock_http_release(mf_mock *m);

/* Strict JSON (RFC 8259), at most 64 levels; and UTF-8 (RFC 3629). */
bool mock_json_valid(mf_bytes text);
bool mock_utf8_valid(mf_bytes text);

#endif
