/* mock_timer.c - "manifold.timer/1" on the fake clock: exact, and never by itself. */
#include "mock_internal.h"

#include <manifold/timer.h>

#include <stdlib.h>

struct timer {
    struct mock_op op; /* first */
    uint64_t period;   /* 0: once */
    void (*tick)(void *arg);
    mf_end_cb end;
    void *arg;
};

static struct timer *timer_of(struct mock_op *op)
{
    return (struct timer *)op;
}

static void timer_start(struct mock_op *op)
{
    (void)op; /* `due` is set */
}

static void timer_fire(struct mock_op *op)
{
    struct timer *t = timer_of(op);
    if (t->period == 0) {
        mock_op_end(op, MF_OK, NULL);
        return;
    }
    op->due = t->period < UINT64_MAX - op->due ? op->due + t->period : UINT64_MAX;
    t->tick(t->arg);
}

static void timer_abort(struct mock_op *op)
{
    mock_op_end(op, MF_ECANCELED, NULL);
}

static void timer_deliver(struct mock_op *op)
{
    mock_op_deliver(op, timer_of(op)->end, timer_of(op)->arg);
}

static void timer_release(struct mock_op *op)
{
    free(timer_of(op));
}

static struct timer *timer_new(const mf_host *host, uint64_t ns, mf_end_cb end, void *arg)
{
    struct timer *t = mock_checked(calloc(1, sizeof(*t)));
    uint64_t now = host->now(host);
    t->op.due = ns < UINT64_MAX - now ? now + ns : UINT64_MAX;
    t->end = end;
    t->arg = arg;
    return t;
}

static mf_op timer_after(const mf_host *host, mf_call call, uint64_t ns, mf_end_cb end, void *arg)
{
    static const struct mock_op_kind kind = {"timer.after", timer_start,   timer_fire,
                                             timer_abort,   timer_deliver, timer_release};
    struct timer *t = timer_new(host, ns, end, arg);
    return mock_op_begin(host, call, &t->op, &kind);
}

static mf_op timer_every(const mf_host *host, mf_call call, uint64_t ns, void (*tick)(void *),
                         mf_end_cb end, void *arg)
{
    static const struct mock_op_kind kind = {"timer.every", timer_start,   timer_fire,
                                             timer_abort,   timer_deliver, timer_release};
    if (tick == NULL || ns < 1000000)
        return mock_op_refuse(host, kind.name, "expected a function and at least 1 ms");
    struct timer *t = timer_new(host, ns, end, arg);
    t->period = ns;
    t->tick = tick;
    return mock_op_begin(host, call, &t->op, &kind);
}

const struct mf_timer mock_timer = {sizeof(mf_timer), 0, timer_after, timer_every, mock_op_abort};
