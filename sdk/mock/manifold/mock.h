/* manifold/mock.h - a mock host: unit tests of a plugin without a server.
 *
 * A test program is linked with the plugin's sources and with libmanifold_mock
 * (or takes the descriptor from dlsym()).  The mock gives the plugin a mf_host,
 * makes calls, and keeps what the plugin answers.
 *
 *     mf_mock *m = mf_mock_new(&manifold_plugin_v1);
 *     assert(mf_mock_open(m, "{\"units\":\"metric\"}") == MF_OK);
 *     mf_call call = mf_mock_tool(m, "forecast", "{\"place\":\"Oslo\"}");
 *     const mf_mock_result *r = mf_mock_wait(m, call, 1000);
 *     assert(r != NULL && r->how == MF_DONE && strcmp(r->text.data, "Rain") == 0);
 *     assert(mf_mock_close(m, 1000) == MF_OK);
 *     assert(mf_mock_mistakes(m, NULL) == 0);
 *     mf_mock_free(m);
 *
 * What it is like.  It keeps every promise of plugin.h and holds the plugin to
 * its own: text must be UTF-8 and blocks JSON, a call is finished once, nothing is
 * used after close().  What the plugin gets wrong is answered as the host
 * answers it and is also noted as a mistake.  Memory that is lent to the plugin for
 * one call (arguments, config) is overwritten and freed when that call returns,
 * so that a plugin that kept a pointer fails in the test and not in service.
 *
 * What it is not.  No manifest is read: arguments are not checked against a schema
 * and structured() not against an outputSchema.  No limits but that of the result.
 *
 * Time.  mf_host.now() is a fake clock that stands still until
 * mf_mock_advance(); deadlines and timers are on it.  Only mf_mock_wait(),
 * mf_mock_wait_progress(), mf_mock_wait_ops() and mf_mock_close() wait in real
 * time, for threads.
 *
 * Services.  extension() gives timer/1 (on the fake clock), work/1 (on real
 * threads, 8 at most and 4 for one each()), cache/1 (each mock's own, its times
 * on the fake clock, forgetting nothing but by mf_mock_forget()), and http/1 by a
 * script (mock_http.h).  Operations keep the promises of op.h: they begin and end,
 * and call the plugin back, only inside mf_mock_advance(), mf_mock_run(),
 * mf_mock_close() and the functions whose name begins with mf_mock_wait.  So
 * between two of these nothing happens on the loop, and a test can look at what
 * there is.
 *
 * Threads.  All functions here are for one thread, the test's, which is the loop
 * of the plugin: cancel(), quiesce(), close(), callbacks of operations and call()
 * of tools without MF_TOOL_BLOCKING run on it, inside the function that asks for
 * them.  call() of a BLOCKING tool runs on a thread of its own.  The functions of
 * mf_host and of services are for any thread.
 *
 * Memory.  All that is returned belongs to the mock and lasts until
 * mf_mock_free(); pointer arguments are borrowed until the function returns
 * unless it says otherwise.  When memory runs out the mock calls abort(). */
#ifndef MANIFOLD_MOCK_H
#define MANIFOLD_MOCK_H

#include <manifold/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mf_mock mf_mock; /* one instance of one plugin, and its host */

/* ---- life ----------------------------------------------------------------- */

/* What is wrong with a descriptor by plugin.h, in one sentence, or NULL.  The
 * sentence is static. */
const char *mf_mock_lint(const mf_plugin *plugin);

/* A host for a plugin that is not open yet.  `plugin` must outlive the mock.
 * Several mocks may have the same plugin: these are its instances. */
mf_mock *mf_mock_new(const mf_plugin *plugin);

/* The vtable that mf_host.extension() gives for `id`, instead of the mock's own if it
 * has one.  NULL: none, as when it was not granted.  Before or after mf_mock_open();
 * `vtable` must outlive the mock. */
void mf_mock_set_extension(mf_mock *m, const char *id, const void *vtable);

/* The most that one call may append, in bytes; at first 4 MiB, as in a manifest
 * that says nothing. */
void mf_mock_set_result_limit(mf_mock *m, size_t bytes);

/* Checks the descriptor and calls open() with the config (JSON; NULL: {}).
 * MF_EINVAL, and a mistake noted, for a bad descriptor or an `abi_minor_min` that
 * this header has not; else what open() answers. */
mf_status mf_mock_open(mf_mock *m, const char *config);

/* Calls quiesce(), aborts the operations of no call, waits up to `ms` of real time until
 * every call is finished, every BLOCKING call() has returned and every operation has ended,
 * then calls close().  MF_ETIMEDOUT, and a mistake noted for each, when any remain:
 * close() was not called then, and the instance is still open.  MF_EINVAL: it is not
 * open. */
mf_status mf_mock_close(mf_mock *m, uint32_t ms);

/* From one generation to the next, as the host does it where the manifest says `reload:
 * handover`: `from` gets mf_mock_close(from, ms), and between its last call and close() its
 * state is asked for (manifold/state.h); then `to`, which is not open yet and may be of
 * another version, gets mf_mock_open(to, config) and, before any call, restore() with what
 * was saved.  A plugin without MF_EXT_STATE opens without; so it does when save() or
 * restore() fails.  MF_OK, or the first that was not: what mf_mock_close() (then `to` is not
 * open), mf_mock_open(), save() or restore() answered, MF_ELIMIT for over 16 MiB.  MF_EINVAL:
 * `from` is not open, or `to` is or has been. */
mf_status mf_mock_hand_over(mf_mock *from, mf_mock *to, const char *config, uint32_t ms);

/* What save() of this instance wrote when it handed over; empty: nothing, or it failed. */
mf_bytes mf_mock_saved(const mf_mock *m);

/* restore() of an instance that is open and has had no call, with a state of the test's own,
 * such as one that an older version wrote.  What it answers; MF_OK for an empty state or a
 * plugin without, which are not asked.  MF_EINVAL: it is too late, or not open. */
mf_status mf_mock_restore(mf_mock *m, mf_bytes state);

/* Frees the mock and all it returned.  An instance that is still open gets
 * mf_mock_close(m, 10000) first; when that fails, abort(), since its threads
 * would go on using the mock.  NULL is fine. */
void mf_mock_free(mf_mock *m);

/* The host as the plugin sees it, and what its open() left as self (NULL while it
 * is not open), for what a test wants to do by hand. */
const mf_host *mf_mock_host(const mf_mock *m);
void *mf_mock_self(const mf_mock *m);

/* ---- calls ---------------------------------------------------------------- */

/* A call to make; what is NULL or 0 is absent.  Texts are C strings. */
typedef struct mf_mock_request {
    uint32_t kind;     /* MF_TOOL, MF_RESOURCE, MF_PROMPT, MF_COMPLETION          */
    uint32_t ref_kind; /* MF_COMPLETION: MF_PROMPT or MF_RESOURCE                 */
    const char *name;  /* of the entry in the descriptor; completion: of what refers */
    const char *args;  /* JSON; NULL: {} */
    const char *uri;
    const char *input;
    const char *state;
    const char *meta;
    uint64_t timeout_ns; /* from now, on the fake clock; 0: no deadline */
} mf_mock_request;

/* Calls the plugin.  0 when the instance is not open or its descriptor has no such
 * entry; the plugin does not hear of it then. */
mf_call mf_mock_start(mf_mock *m, const mf_mock_request *request);

/* The usual calls in short, without a deadline. */
mf_call mf_mock_tool(mf_mock *m, const char *name, const char *args);
/* args: the variables of a template as an object of strings; NULL for a resource. */
mf_call mf_mock_read(mf_mock *m, const char *name, const char *uri, const char *args);
mf_call mf_mock_prompt(mf_mock *m, const char *name, const char *args);
/* What may follow `value` (plain text) in `argument` of a prompt or template. */
mf_call mf_mock_complete(mf_mock *m, uint32_t ref_kind, const char *name, const char *argument,
                         const char *value);

/* The client cancels: from now on mf_host answers MF_ECANCELED for this call, and
 * the plugin's cancel() runs.  Nothing happens to a call that is finished,
 * cancelled or timed out already. */
void mf_mock_cancel(mf_mock *m, mf_call call);

/* Moves the fake clock forward, from event to event: calls whose deadline it reaches time
 * out (MF_ETIMEDOUT from now on, and cancel() runs), timers end and tick, each at its
 * own time and in their order.  It does not wait for threads. */
void mf_mock_advance(mf_mock *m, uint64_t ns);

/* ---- operations of services ------------------------------------------------ */

/* Does what is due at this moment of the fake clock: begins, aborts and ends operations and
 * calls the plugin back, until nothing is due.  How many operations there are still. */
size_t mf_mock_run(mf_mock *m);

/* The same, and waits up to `ms` of real time until there are at most `most`: for
 * operations of no call, which mf_mock_wait() can't wait for. */
size_t mf_mock_wait_ops(mf_mock *m, size_t most, uint32_t ms);

/* The cache/1 forgets all values, as the host's may at any time. */
void mf_mock_forget(mf_mock *m);

/* ---- what came of them ---------------------------------------------------- */

enum { MF_MOCK_TEXT = 1, MF_MOCK_BLOB = 2, MF_MOCK_BLOCK = 3 };

/* One block of a result.  Consecutive text() or blob() make one.  The bytes are
 * followed by a NUL that does not count, here and in all mf_bytes below. */
typedef struct mf_mock_item {
    uint32_t kind;
    uint32_t appends; /* of how many text() or blob() it was made */
    mf_bytes bytes;
} mf_mock_item;

typedef struct mf_mock_progress {
    double done;
    double total;
    mf_bytes text;
} mf_mock_progress;

typedef struct mf_mock_result {
    int32_t how;         /* as given to finish() */
    mf_status status;    /* as finish() answered: MF_OK, MF_ECANCELED, MF_ETIMEDOUT */
    mf_bytes detail;     /* as given to finish()                                    */
    mf_bytes text;       /* all text(), end to end                                  */
    mf_bytes structured; /* the last one */
    const mf_mock_item *items;
    size_t item_count;
    const mf_mock_progress *progress;
    size_t progress_count;
} mf_mock_result;

/* The result of a call, as soon as it is finished: at once, or within `ms` of real
 * time, in which operations go on.  NULL: it is not finished, or there is no such call. */
const mf_mock_result *mf_mock_wait(mf_mock *m, mf_call call, uint32_t ms);

/* Waits up to `ms` of real time until the call has reported progress `count` times
 * or is finished; 1 when it has reported that often. */
int mf_mock_wait_progress(mf_mock *m, mf_call call, size_t count, uint32_t ms);

typedef struct mf_mock_log {
    int32_t level;
    mf_call call;
    mf_bytes text;
} mf_mock_log;

/* The lines that the plugin has logged, in order; their number.  ret (NULL: not
 * wanted) gets an array that lasts until the plugin logs again: look at it when
 * no call is running. */
size_t mf_mock_logs(mf_mock *m, const mf_mock_log **ret);

/* ---- metrics/1 and notify/1 ----------------------------------------------- */

typedef struct mf_mock_metric {
    uint32_t kind;   /* MF_COUNTER, MF_GAUGE, MF_HISTOGRAM */
    double value;    /* of a histogram: the sum            */
    uint64_t count;  /* of a histogram, as are those below */
    double min, max; /* 0 while it is empty                */
} mf_mock_metric;

/* What a series has come to, by the name that the plugin gave it (without the unit) and its labels
 * in any order as "code=200,path=/a" (NULL: none).  1, and *ret; 0: there is no such series. */
int mf_mock_metric_read(mf_mock *m, const char *name, const char *labels, mf_mock_metric *ret);

/* How many series the plugin may have; at first 10,000.  Over it series() answers 0. */
void mf_mock_set_series_limit(mf_mock *m, size_t series);

typedef struct mf_mock_notice {
    uint32_t kind; /* 0: a resource was updated; else the list that has changed: MF_TOOL, ... */
    mf_bytes uri;  /* of the resource */
} mf_mock_notice;

/* What the plugin has said has changed, one by one; their number.  No manifest is read: every URI
 * is taken.  ret as for mf_mock_logs(). */
size_t mf_mock_notices(mf_mock *m, const mf_mock_notice **ret);

/* What the plugin did against plugin.h, in sentences; their number.  ret as for
 * mf_mock_logs(). */
size_t mf_mock_mistakes(mf_mock *m, const char *const **ret);

#ifdef __cplusplus
}
#endif
#endif
