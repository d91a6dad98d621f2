/* manifold/op.h - operations: what all services of the host have in common.
 *
 * A plugin asks extension() for a service ("manifold.timer/1") in open() and keeps
 * the vtable, which lives until close() returns.  A function that returns mf_op begins an
 * operation; everything that is passed to it is copied.
 *
 * End.  For an mf_op that is not 0 the end callback runs exactly once, on the loop,
 * never inside the function that began the operation, and before close().  0: nothing
 * was begun and no callback will run: the call is not the plugin's or is over, an
 * argument is wrong, or the instance has MF_OPS_MAX operations; the log says which.  An operation
 * counts until its end callback runs.
 * What the host or the world refuses (a right that is not granted, a host that does not
 * answer) is told in the callback.
 *
 * Calls.  `call` is the call an operation is for, or 0: none.  It follows that call:
 * when the call is finished, cancelled or timed out, the operation is aborted.
 * Operations of no call are aborted after quiesce().
 *
 * Abort.  abort() may be called from any thread, at any time, also for an operation
 * that has ended: MF_ESTALE then.  After it the callback runs with MF_ECANCELED, or
 * with what the operation came to before it.
 *
 * Threads.  All functions of a service are [any], all callbacks [loop] unless it says
 * otherwise. */
#ifndef MANIFOLD_OP_H
#define MANIFOLD_OP_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { MF_OPS_MAX = 1024 }; /* operations of one instance at a time */

/* How an operation ended.  Borrowed until the callback returns. */
typedef struct mf_end {
    uint32_t size;
    mf_status status; /* MF_OK, MF_ECANCELED, MF_ETIMEDOUT, MF_EDENIED, ... */
    mf_op op;
    /* When status is not MF_OK: one sentence that says what was expected and found, fit for
     * the client to read; may be empty. */
    mf_bytes why;
} mf_end;

typedef void (*mf_end_cb)(void *arg, const mf_end *end);

#ifdef __cplusplus
}
#endif
#endif
