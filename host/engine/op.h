/* host/engine/op.h - operations: what a plugin has begun and a service has not ended yet.
 *
 * The contract a plugin sees is manifold/op.h.  Here is the half that is the same for every
 * service: the handle, the bond to a call, abort, and the one callback.  A service embeds
 * struct op at the front of its own state and gives a const table:
 *
 *   op_begin()     any thread: takes the op over; 0: refused, and it was freed
 *   kind->start()  on the loop, perhaps inside op_begin(): begins the work, unless it was aborted
 *   kind->abort()  on the loop: end it soon; may op_end() inside
 *   op_end()       on the loop, once
 *   kind->deliver() on the loop, later, never inside a plugin: calls the plugin back
 *   kind->release() right after it: frees the op
 *
 * An instance is not closed while it has operations. */
#ifndef MANIFOLD_ENGINE_OP_H
#define MANIFOLD_ENGINE_OP_H

#include "base/list.h"
#include "engine/instance.h"
#include "engine/post.h"
#include "engine/trace.h"
#include "manifold/op.h"

struct op;

struct op_kind {
    const char *name; /* "timer.after": for log and status */
    void (*start)(struct op *op);
    void (*abort)(struct op *op);
    void (*deliver)(struct op *op);
    void (*release)(struct op *op); /* any thread when op_begin() refuses, else the loop */
};

/* Read-only for services.  Of the loop but for what op_begin() sets. */
struct op {
    const struct op_kind *kind;
    struct instance *instance;
    mf_op id;
    mf_call call;
    const struct entry_spec *spec; /* the call's; NULL: of no call */
    uint64_t deadline;             /* ns: the call's; UINT64_MAX: of no call */
    mf_status status;              /* once it has ended */
    char *why;                     /* owned; of op_fail(), or NULL */
    struct post post;              /* op.c's until the start, op_post()'s until the end */
    void (*posted)(struct op *op);
    struct list in_instance, in_call;
    bool begun, aborted, ended;
};

/* `op` is zeroed but for the service's part.  Any thread. */
mf_op op_begin(const mf_host *h, mf_call call, struct op *op, const struct op_kind *kind);
/* Where it can't even come to op_begin(): the log says so, as often as it admits, in the words
 * "WHAT is refused: WHY".  Answers 0.  Any thread. */
mf_op op_refuse(const mf_host *h, const char *what, const char *why);
/* The plugin's abort().  MF_OK, or MF_ESTALE when there is no such operation.  Any thread. */
mf_status op_abort(const mf_host *h, mf_op id);
/* Runs fn(op) on the loop, later and with nothing of a plugin on the stack, if the operation has
 * not ended by then; for services' other functions (resume).  MF_OK, MF_ENOMEM, or MF_ESTALE when
 * there is no operation of this id.  Any thread. */
mf_status op_send(const mf_host *h, mf_op id, const struct op_kind *kind,
                  void (*fn)(struct op *op));
/* The operation of this instance and kind, if it has not ended.  On the loop. */
struct op *op_find(struct instance *in, mf_op id, const struct op_kind *kind);

/* On the loop, once, after start(). */
void op_end(struct op *op, mf_status status);
/* The same with a sentence for the plugin and its client; cut at 512 bytes. */
void op_fail(struct op *op, mf_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Runs fn(op) on the loop, soon.  One at a time, between start() and op_end().  Any thread. */
void op_post(struct op *op, void (*fn)(struct op *op));
/* Around a callback other than the last (a chunk, a tick).  On the loop, with nothing of a plugin
 * on the stack. */
void op_enter(struct op *op);
void op_leave(struct op *op);
/* Fills the head of what a callback gets. */
void op_end_fill(const struct op *op, mf_end *end, size_t size);

uv_loop_t *op_loop(const struct op *op);
/* The trace context of its call; false: it has none, or is over.  On the loop. */
bool op_trace(const struct op *op, struct trace *ret);

/* For walking an instance's operations: `after` NULL begins; NULL: no more.  On the loop. */
struct op *instance_next_op(const struct instance *in, const struct op *after);

#endif
