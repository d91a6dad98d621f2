/* mock_internal.h - what the files of the mock share; private. */
#ifndef MANIFOLD_MOCK_INTERNAL_H
#define MANIFOLD_MOCK_INTERNAL_H

#include <manifold/mock.h>

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

struct mf_mock {
    mf_host host; /* first: the plugin's pointer to it is one to the mock */
    const mf_plugin *plugin;
    void *self;
    bool open, closed;

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
};

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

/* Strict JSON (RFC 8259), at most 64 levels; and UTF-8 (RFC 3629). */
bool mock_json_valid(mf_bytes text);
bool mock_utf8_valid(mf_bytes text);

#endif
