/* manifold.timer/1: one libuv timer an operation; the loop keeps them in a heap. */
#include "services/internal.h"

#include "manifold/timer.h"

struct timer {
    struct op op; /* first */
    uv_timer_t handle;
    uint64_t at, period; /* ns: of the next end or tick; between ticks, 0: no ticks */
    mf_status status;    /* it will end with */
    void (*tick)(void *arg);
    mf_end_cb end;
    void *arg;
};

static struct timer *timer_of(struct op *op)
{
    return container_of(op, struct timer, op);
}

static void on_closed(uv_handle_t *h)
{
    struct timer *t = container_of(h, struct timer, handle);
    op_end(&t->op, t->status);
}

static void end(struct timer *t, mf_status status)
{
    t->status = status;
    uv_close((uv_handle_t *)&t->handle, on_closed);
}

static void arm(struct timer *t);

static void on_time(uv_timer_t *h)
{
    struct timer *t = container_of(h, struct timer, handle);
    if (clock_ns() < t->at) { /* libuv counts in milliseconds, and from the start of its turn */
        arm(t);
        return;
    }
    if (!t->period) {
        end(t, MF_OK);
        return;
    }
    op_enter(&t->op);
    t->tick(t->arg);
    op_leave(&t->op);
    if (uv_is_closing((uv_handle_t *)h))
        return; /* the tick aborted it */
    uint64_t now = clock_ns();
    t->at += t->period;
    if (t->at <= now)
        t->at = now + t->period - (now - t->at) % t->period;
    arm(t);
}

static void arm(struct timer *t)
{
    uint64_t now = clock_ns();
    uint64_t ms = t->at > now ? (t->at - now + 999999) / 1000000 : 0;
    uv_update_time(t->handle.loop);
    uv_timer_start(&t->handle, on_time, ms, 0);
}

static void timer_start(struct op *op)
{
    struct timer *t = timer_of(op);
    uv_timer_init(op_loop(op), &t->handle);
    arm(t);
}

static void timer_abort(struct op *op)
{
    struct timer *t = timer_of(op);
    if (!uv_is_closing((uv_handle_t *)&t->handle))
        end(t, MF_ECANCELED);
}

static void timer_deliver(struct op *op)
{
    deliver_end(op, timer_of(op)->end, timer_of(op)->arg);
}

static void timer_release(struct op *op)
{
    free(timer_of(op));
}

static mf_op begin(const mf_host *h, mf_call call, uint64_t ns, void (*tick)(void *), mf_end_cb cb,
                   void *arg, const struct op_kind *kind)
{
    struct timer *t = calloc(1, sizeof(*t));
    if (!t)
        return op_refuse(h, kind->name, "out of memory");
    uint64_t now = clock_ns();
    t->at = ns < UINT64_MAX / 2 - now ? now + ns : UINT64_MAX / 2;
    t->period = tick ? ns : 0;
    t->tick = tick;
    t->end = cb;
    t->arg = arg;
    return op_begin(h, call, &t->op, kind);
}

static mf_op timer_after(const mf_host *h, mf_call call, uint64_t ns, mf_end_cb cb, void *arg)
{
    static const struct op_kind kind = {"timer.after", timer_start, timer_abort, timer_deliver,
                                        timer_release};
    return begin(h, call, ns, NULL, cb, arg, &kind);
}

static mf_op timer_every(const mf_host *h, mf_call call, uint64_t ns, void (*tick)(void *),
                         mf_end_cb cb, void *arg)
{
    static const struct op_kind kind = {"timer.every", timer_start, timer_abort, timer_deliver,
                                        timer_release};
    if (!tick || ns < 1000000)
        return op_refuse(h, kind.name, "expected a function and at least 1 ms");
    return begin(h, call, ns, tick, cb, arg, &kind);
}

const struct mf_timer timer_vtable = {
    .size = sizeof(mf_timer), .after = timer_after, .every = timer_every, .abort = op_abort};
