/* manifold.work/1: functions of a plugin on threads of its own pool. */
#include "services/internal.h"

#include <stdatomic.h>
#include <unistd.h>
#include "manifold/work.h"

/* run() is an each() with one step on one thread. */
struct work {
    struct op op; /* first */
    void (*once)(void *arg);
    void (*step)(void *arg, uint64_t i);
    uint64_t count;
    _Atomic uint64_t next;  /* step nobody has begun */
    _Atomic uint32_t lanes; /* threads that have not come to the end */
    atomic_bool stop;       /* aborted: no further step is begun */
    uint32_t lane_count;
    mf_end_cb end;
    void *arg;
    struct lane {
        struct pool_job job;
        struct work *work;
    } lane[]; /* one a thread */
};

static struct work *work_of(struct op *op)
{
    return container_of(op, struct work, op);
}

static void on_done(struct op *op)
{
    struct work *w = work_of(op);
    op_end(op, atomic_load(&w->stop) ? MF_ECANCELED : MF_OK);
}

static void lane_end(struct work *w)
{
    if (atomic_fetch_sub(&w->lanes, 1) == 1)
        op_post(&w->op, on_done);
}

static void on_thread(struct pool_job *job)
{
    struct work *w = container_of(job, struct lane, job)->work;
    while (!atomic_load(&w->stop)) {
        uint64_t i = atomic_fetch_add(&w->next, 1);
        if (i >= w->count) {
            atomic_store(&w->next, w->count);
            break;
        }
        if (w->once)
            w->once(w->arg);
        else
            w->step(w->arg, i);
    }
    lane_end(w);
}

static unsigned threads_of(const struct instance *in)
{
    unsigned most = in->manifest->instance.worker.threads;
    return most ? most : 1;
}

static void work_start(struct op *op)
{
    struct work *w = work_of(op);
    struct instance_services *own = op->instance->services;
    if (!own->work)
        own->work = pool_new(threads_of(op->instance));
    if (!own->work || !w->count) {
        op_end(op, own->work ? MF_OK : MF_ENOMEM);
        return;
    }
    atomic_store(&w->lanes, w->lane_count);
    uint32_t refused = 0;
    for (uint32_t i = 0; i < w->lane_count; i++) {
        w->lane[i].job.run = on_thread;
        w->lane[i].work = w;
        refused += pool_submit(own->work, &w->lane[i].job) != 0;
    }
    if (refused == w->lane_count) {
        op_fail(op, MF_ENOMEM, "no thread can be made for it");
        return;
    }
    for (; refused; refused--) /* fewer lanes do all of it, too */
        lane_end(w);
}

static void work_abort(struct op *op)
{
    struct work *w = work_of(op);
    atomic_store(&w->stop, true);
    for (uint32_t i = 0; i < w->lane_count; i++) {
        if (pool_recall(op->instance->services->work, &w->lane[i].job))
            lane_end(w);
    }
}

static void work_deliver(struct op *op)
{
    deliver_end(op, work_of(op)->end, work_of(op)->arg);
}

static void work_release(struct op *op)
{
    free(work_of(op));
}

/* Of `lanes` threads at most; fn is called by work_start(). */
static mf_op begin(const mf_host *h, mf_call call, const struct op_kind *kind, uint32_t lanes,
                   const struct work *what)
{
    if (!what->once && !what->step)
        return op_refuse(h, kind->name, "expected a function");
    struct work *w = calloc(1, sizeof(*w) + lanes * sizeof(w->lane[0]));
    if (!w)
        return op_refuse(h, kind->name, "out of memory");
    *w = *what;
    w->lane_count = lanes;
    return op_begin(h, call, &w->op, kind);
}

static mf_op work_run(const mf_host *h, mf_call call, void (*fn)(void *), mf_end_cb cb, void *arg)
{
    static const struct op_kind kind = {"work.run", work_start, work_abort, work_deliver,
                                        work_release};
    const struct work what = {.count = 1, .once = fn, .end = cb, .arg = arg};
    return begin(h, call, &kind, 1, &what);
}

static mf_op work_each(const mf_host *h, mf_call call, uint64_t count, void (*fn)(void *, uint64_t),
                       mf_end_cb cb, void *arg)
{
    static const struct op_kind kind = {"work.each", work_start, work_abort, work_deliver,
                                        work_release};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t lanes = threads_of(instance_of_host(h));
    if (cpus > 0 && lanes > (uint64_t)cpus)
        lanes = (uint64_t)cpus;
    if (lanes > count)
        lanes = count;
    const struct work what = {.count = count, .step = fn, .end = cb, .arg = arg};
    return begin(h, call, &kind, (uint32_t)lanes, &what);
}

const struct mf_work work_vtable = {
    .size = sizeof(mf_work), .run = work_run, .each = work_each, .abort = op_abort};
