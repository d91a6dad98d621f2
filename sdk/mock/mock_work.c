/* mock_work.c - "manifold.work/1" on real threads, so that sanitizers see what a plugin shares.
 *
 * The threads have no queue: each takes, under the lock, the first operation that has a step
 * nobody has begun. */
#include "mock_internal.h"

#include <manifold/work.h>

#include <stdlib.h>

enum { THREADS_MAX = 8, THREADS_EACH = 4 }; /* of the mock; that one each() may use */

struct mock_work {
    pthread_t thread[THREADS_MAX];
    size_t threads;
    bool stopping;
};

struct work {
    struct mock_op op; /* first */
    void (*once)(void *arg);
    void (*step)(void *arg, uint64_t i);
    uint64_t count, next; /* under the lock, as `running` */
    unsigned running;
    mf_end_cb end;
    void *arg;
};

static void work_start(struct mock_op *op);
static void work_abort(struct mock_op *op);
static void work_deliver(struct mock_op *op);
static void work_release(struct mock_op *op);

static const struct mock_op_kind run_kind = {"work.run", work_start,   NULL,
                                             work_abort, work_deliver, work_release};
static const struct mock_op_kind each_kind = {"work.each", work_start,   NULL,
                                              work_abort,  work_deliver, work_release};

static struct work *work_of(struct mock_op *op)
{
    return (struct work *)op;
}

/* ---- threads -------------------------------------------------------------- */

/* Under the lock: ends it when all has returned that will ever run. */
static void look_for_end(struct work *w)
{
    bool aborted = mock_op_aborted(&w->op);
    if (w->running == 0 && (aborted || w->next == w->count))
        mock_op_end_locked(&w->op, aborted ? MF_ECANCELED : MF_OK, NULL);
}

/* Under the lock: an operation with a step that nobody has begun, or NULL. */
static struct work *find_step(mf_mock *m)
{
    for (struct mock_op *op = m->ops; op != NULL; op = op->next) {
        struct work *w = work_of(op);
        if ((op->kind == &run_kind || op->kind == &each_kind) && op->begun && !op->ended &&
            w->next < w->count && w->running < THREADS_EACH && !mock_op_aborted(op))
            return w;
    }
    return NULL;
}

/* Under the lock, which is given up while the function runs. */
static void do_step(mf_mock *m, struct work *w)
{
    uint64_t i = w->next++;
    w->running++;
    pthread_mutex_unlock(&m->lock);
    if (w->once != NULL)
        w->once(w->arg);
    else
        w->step(w->arg, i);
    pthread_mutex_lock(&m->lock);
    w->running--;
    look_for_end(w);
}

static void *thread_main(void *arg)
{
    mf_mock *m = arg;
    pthread_mutex_lock(&m->lock);
    for (;;) {
        struct work *w = find_step(m);
        if (w != NULL)
            do_step(m, w);
        else if (!m->work->stopping)
            pthread_cond_wait(&m->changed, &m->lock);
        else
            break;
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

/* Under the lock: a thread more for each step that could run, up to the maximum. */
static void have_threads(mf_mock *m, uint64_t steps)
{
    if (m->work == NULL)
        m->work = mock_checked(calloc(1, sizeof(*m->work)));
    for (; steps > 0 && m->work->threads < THREADS_MAX; steps--)
        if (pthread_create(&m->work->thread[m->work->threads++], NULL, thread_main, m) != 0)
            abort();
}

void mock_work_stop(mf_mock *m)
{
    if (m->work == NULL)
        return;
    pthread_mutex_lock(&m->lock);
    m->work->stopping = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    for (size_t i = 0; i < m->work->threads; i++)
        pthread_join(m->work->thread[i], NULL);
    m->work->threads = 0;
    m->work->stopping = false;
}

void mock_work_release(mf_mock *m)
{
    free(m->work);
    m->work = NULL;
}

/* ---- operations ----------------------------------------------------------- */

static void work_start(struct mock_op *op)
{
    mf_mock *m = op->mock;
    struct work *w = work_of(op);
    pthread_mutex_lock(&m->lock);
    have_threads(m, w->count < THREADS_EACH ? w->count : THREADS_EACH);
    if (w->count == 0)
        look_for_end(w);
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

/* A thread that is in one of its steps ends it after the step. */
static void work_abort(struct mock_op *op)
{
    pthread_mutex_lock(&op->mock->lock);
    if (!op->ended && work_of(op)->running == 0)
        look_for_end(work_of(op));
    pthread_mutex_unlock(&op->mock->lock);
}

static void work_deliver(struct mock_op *op)
{
    mock_op_deliver(op, work_of(op)->end, work_of(op)->arg);
}

static void work_release(struct mock_op *op)
{
    free(work_of(op));
}

static struct work *work_new(uint64_t count, mf_end_cb end, void *arg)
{
    struct work *w = mock_checked(calloc(1, sizeof(*w)));
    w->count = count;
    w->end = end;
    w->arg = arg;
    return w;
}

static mf_op work_run(const mf_host *host, mf_call call, void (*fn)(void *), mf_end_cb end,
                      void *arg)
{
    if (fn == NULL)
        return mock_op_refuse(host, run_kind.name, "expected a function");
    struct work *w = work_new(1, end, arg);
    w->once = fn;
    return mock_op_begin(host, call, &w->op, &run_kind);
}

static mf_op work_each(const mf_host *host, mf_call call, uint64_t count,
                       void (*fn)(void *, uint64_t), mf_end_cb end, void *arg)
{
    if (fn == NULL)
        return mock_op_refuse(host, each_kind.name, "expected a function");
    struct work *w = work_new(count, end, arg);
    w->step = fn;
    return mock_op_begin(host, call, &w->op, &each_kind);
}

const struct mf_work mock_work = {sizeof(mf_work), 0, work_run, work_each, mock_op_abort};
