/* filesystem.h - what the files of this plugin share.
 *
 * Every tool is a blocking one: it runs on a thread of the plugin's own from its first line to its
 * last, and waits there for the operations of manifold.files/1, which are bound to its call and so
 * end with it.  Nothing is computed on the host's loop.
 *
 *   filesystem.c  descriptor, roots, the end of a call
 *   io.c          operations as functions that wait
 *   place.c       from the path that was asked for to a root and a path below it
 *   text.c        bytes, JavaScript's ideas of text
 *   read.c write.c edit.c list.c tree.c search.c info.c range.c     the tools
 *   diff.c        line diff and patch                               of edit_file
 *   glob.c segment.c braces.c                                       of search and tree */
#ifndef FILESYSTEM_H
#define FILESYSTEM_H

#include <manifold/files.h>
#include <manifold/json.h>
#include <manifold/plugin.h>

#include <pthread.h>

#include "text.h"

enum { MESSAGE_MAX = 64 << 10 };

/* A directory that is granted.  Looked at by an operation of no call, so that one that hangs holds
 * up no more than the first call, and that for a second. */
struct root {
    struct filesystem *fs;
    const char *path; /* the host's */
    /* under filesystem.lock */
    char *real; /* owned; where it is; NULL: it could not be opened yet */
    bool looking, slow;
};

struct filesystem {
    const mf_host *host;
    const mf_files *files; /* NULL: the host has none for us */
    int64_t max_read;      /* config: bytes of a file, or of an answer */
    int64_t max_entries;   /* config: entries that one call looks at */
    struct root *root;
    uint32_t roots;
    pthread_mutex_t lock;
    pthread_cond_t looked; /* CLOCK_MONOTONIC */
};

/* One call on its thread. */
struct job {
    struct filesystem *fs;
    mf_call call;
    mfj_value args;
    struct text error; /* what the client is told when a function answers false */
    int32_t end;       /* MF_DONE: the tool has written its result itself */
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* Writes j->error unless there is one, and is false, so that `return fail(...)` reads well. */
bool fail_bytes(struct job *j, mf_bytes text);
bool fail(struct job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool is_cancelled(const struct job *j);
/* Is there any directory to work in?  Else the host's sentence says what to grant. */
bool have_roots(struct job *j);

/* The string argument, decoded, NULs and all; false: it is not there. */
bool arg_text(const struct job *j, mfj_value v, struct text *ret);

/* The allowed directories as the reference lists them: each as it was granted and, where that is
 * something else, as it is in truth; joined by `separator`. */
void allowed_list(struct job *j, const char *separator, struct text *ret);
/* Appends the i-th of that list; false: there are no more. */
bool allowed_at(struct filesystem *fs, uint32_t i, struct text *ret);

/* One tool: false: j->error is the answer, with isError.  `out` is the answer otherwise. */
typedef bool tool_fn(struct job *j, struct text *out);
tool_fn tool_read_text, tool_read_media, tool_read_multiple, tool_write, tool_edit,
    tool_create_directory, tool_list, tool_list_sizes, tool_tree, tool_move, tool_search, tool_info,
    tool_allowed;
/* The resource template range://{offset}/{length}{+path}; it finishes the call itself. */
void resource_range(struct job *j);

#endif
