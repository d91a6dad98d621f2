/* mock_op.c - operations as manifold/op.h promises them, on the test's thread. */
#include "mock_internal.h"

#include <stdlib.h>
#include <string.h>

/* So many steps at one moment of the fake clock are a loop without an end. */
enum { STEPS_MAX = 100000, DROP_MS = 10000 };

/* Handles differ in their high half alone, as those of calls do. */
static mf_op handle_of(uint32_t number)
{
    return (uint64_t)number << 32 | 0x4F50u;
}

/* Under the lock: is the call one that the plugin still works on? */
static bool call_is_running(mf_mock *m, mf_call call)
{
    const struct mock_call *c = mock_find(m, call);
    return c != NULL && !c->finished;
}

/* Under the lock: MF_OK, or why nobody wants it any more. */
static mf_status fate_of(const struct mock_op *op)
{
    mf_mock *m = op->mock;
    if (m->muted || (op->call == 0 && m->quiesced))
        return MF_ECANCELED;
    if (op->call == 0)
        return MF_OK;
    return call_is_running(m, op->call) ? mock_find(m, op->call)->fate : MF_ECANCELED;
}

/* ---- begin and abort, from any thread ------------------------------------- */

/* Under the lock.  Over MF_OPS_MAX is no mistake: the plugin is told by the 0. */
static bool admit(mf_mock *m, const struct mock_op *op)
{
    bool own = op->call == 0 || call_is_running(m, op->call);
    if (m->closed)
        mock_mistake(m, "%s(): used after close()", op->kind->name);
    else if (!own)
        mock_mistake(m, "%s(): no call %#llx, or it was finished before", op->kind->name,
                     (unsigned long long)op->call);
    return !m->closed && own && m->op_count < MF_OPS_MAX;
}

mf_op mock_op_begin(const mf_host *host, mf_call call, struct mock_op *op,
                    const struct mock_op_kind *kind)
{
    mf_mock *m = mock_of(host);
    mf_op id = 0;
    op->kind = kind;
    op->mock = m;
    op->call = call;
    if (op->due == 0)
        op->due = UINT64_MAX;
    pthread_mutex_lock(&m->lock);
    if (admit(m, op)) {
        struct mock_op **end = &m->ops;
        while (*end != NULL)
            end = &(*end)->next;
        *end = op;
        m->op_count++;
        id = op->id = handle_of(++m->op_last);
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    if (id == 0)
        kind->release(op);
    return id;
}

mf_op mock_op_refuse(const mf_host *host, const char *function, const char *why)
{
    mf_mock *m = mock_of(host);
    pthread_mutex_lock(&m->lock);
    mock_mistake(m, "%s(): %s", function, why);
    pthread_mutex_unlock(&m->lock);
    return 0;
}

struct mock_op *mock_op_find(mf_mock *m, mf_op id, const struct mock_op_kind *kind)
{
    struct mock_op *op = m->ops;
    while (op != NULL && (op->id != id || op->ended || (kind != NULL && op->kind != kind)))
        op = op->next;
    return op;
}

mf_status mock_op_abort(const mf_host *host, mf_op id)
{
    mf_mock *m = mock_of(host);
    pthread_mutex_lock(&m->lock);
    struct mock_op *op = mock_op_find(m, id, NULL);
    uint32_t number = (uint32_t)(id >> 32);
    if (op != NULL)
        op->aborted = true;
    else if (number == 0 || number > m->op_last || id != handle_of(number))
        mock_mistake(m, "abort(): there never was an operation %#llx", (unsigned long long)id);
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    return op != NULL ? MF_OK : MF_ESTALE;
}

bool mock_op_aborted(struct mock_op *op)
{
    op->aborted = op->aborted || fate_of(op) != MF_OK;
    return op->aborted;
}

/* ---- the end -------------------------------------------------------------- */

void mock_op_end_locked(struct mock_op *op, mf_status status, const char *why)
{
    if (op->ended)
        abort(); /* the service ended it twice */
    op->ended = true;
    op->status = status;
    if (why != NULL)
        op->why = mock_copy((mf_bytes){why, strlen(why)});
    pthread_cond_broadcast(&op->mock->changed);
}

void mock_op_end(struct mock_op *op, mf_status status, const char *why)
{
    mf_mock *m = op->mock; /* once it has ended, the loop may free it */
    pthread_mutex_lock(&m->lock);
    mock_op_end_locked(op, status, why);
    pthread_mutex_unlock(&m->lock);
}

void mock_op_fill(const struct mock_op *op, mf_end *end, size_t size)
{
    memset(end, 0, sizeof(*end));
    end->size = (uint32_t)size;
    end->status = op->status;
    end->op = op->id;
    if (op->why != NULL)
        end->why = (mf_bytes){op->why, strlen(op->why)};
}

void mock_op_deliver(const struct mock_op *op, mf_end_cb cb, void *arg)
{
    mf_end end;
    mock_op_fill(op, &end, sizeof(end));
    if (cb != NULL)
        cb(arg, &end);
}

/* ---- the loop ------------------------------------------------------------- */

enum step { NOTHING, START, FIRE, ABORT, DELIVER };

/* Under the lock: what is to be done with an operation now. */
static enum step step_of(struct mock_op *op)
{
    if (op->ended)
        return DELIVER;
    if (!op->begun)
        return START;
    if (mock_op_aborted(op))
        return op->told ? NOTHING : ABORT;
    return op->due <= op->mock->now ? FIRE : NOTHING;
}

/* Under the lock: the first operation that something is to be done with. */
static struct mock_op *next_step(const mf_mock *m, enum step *ret_step)
{
    struct mock_op *op = m->ops;
    while (op != NULL && (*ret_step = step_of(op)) == NOTHING)
        op = op->next;
    return op;
}

/* Under the lock: an operation that was aborted before it began ends without beginning. */
static enum step begin(struct mock_op *op)
{
    mf_status fate = fate_of(op);
    op->begun = true;
    if (fate == MF_OK && !op->aborted)
        return START;
    mock_op_end_locked(op, fate != MF_OK ? fate : MF_ECANCELED, NULL);
    return NOTHING;
}

static void deliver(struct mock_op *op)
{
    mf_mock *m = op->mock;
    pthread_mutex_lock(&m->lock);
    struct mock_op **at = &m->ops;
    while (*at != op)
        at = &(*at)->next;
    *at = op->next;
    m->op_count--;
    pthread_mutex_unlock(&m->lock);
    if (!m->muted)
        op->kind->deliver(op);
    free(op->why);
    op->kind->release(op);
}

static void take_step(struct mock_op *op, enum step step)
{
    if (step == START)
        op->kind->start(op);
    else if (step == FIRE)
        op->kind->fire(op);
    else if (step == ABORT && op->kind->abort != NULL)
        op->kind->abort(op);
    else if (step == DELIVER)
        deliver(op);
}

/* Under the lock. */
static void note_endless(mf_mock *m, const struct mock_op *op)
{
    if (!m->endless)
        mock_mistake(m, "%s(): operations begin each other without an end at one moment",
                     op->kind->name);
    m->endless = true;
}

void mock_ops_run(mf_mock *m)
{
    enum step step = NOTHING;
    unsigned steps = 0;
    if (m->in_ops)
        return;
    m->in_ops = true;
    for (;;) {
        pthread_mutex_lock(&m->lock);
        struct mock_op *op = next_step(m, &step);
        if (op != NULL && ++steps > STEPS_MAX) {
            note_endless(m, op);
            op = NULL;
        }
        if (op != NULL && step == START)
            step = begin(op);
        if (op != NULL && step == ABORT)
            op->told = true;
        pthread_mutex_unlock(&m->lock);
        if (op == NULL)
            break;
        take_step(op, step);
    }
    m->in_ops = false;
}

bool mock_wait(mf_mock *m, uint32_t ms, bool (*done)(mf_mock *m, void *arg), void *arg)
{
    struct timespec until = mock_real_deadline(ms), now;
    enum step step;
    bool is, late = ms == 0;
    for (;;) {
        mock_ops_run(m);
        pthread_mutex_lock(&m->lock);
        while (!(is = done(m, arg)) && !late && next_step(m, &step) == NULL)
            late = pthread_cond_timedwait(&m->changed, &m->lock, &until) != 0;
        pthread_mutex_unlock(&m->lock);
        if (is || late)
            return is;
        clock_gettime(CLOCK_MONOTONIC, &now);
        late = now.tv_sec > until.tv_sec ||
               (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec);
    }
}

uint64_t mock_ops_next(const mf_mock *m)
{
    uint64_t next = UINT64_MAX;
    for (const struct mock_op *op = m->ops; op != NULL; op = op->next)
        if (!op->ended && !op->aborted && op->due < next)
            next = op->due;
    return next;
}

static bool none_left(mf_mock *m, void *arg)
{
    (void)arg;
    return m->op_count == 0;
}

void mock_ops_drop(mf_mock *m)
{
    pthread_mutex_lock(&m->lock);
    m->muted = true;
    pthread_mutex_unlock(&m->lock);
    if (!mock_wait(m, DROP_MS, none_left, NULL))
        abort(); /* threads would go on using what is freed next */
    pthread_mutex_lock(&m->lock);
    m->muted = false;
    pthread_mutex_unlock(&m->lock);
}

/* ---- for tests ------------------------------------------------------------ */

size_t mf_mock_run(mf_mock *m)
{
    return mf_mock_wait_ops(m, SIZE_MAX, 0);
}

static bool few_left(mf_mock *m, void *arg)
{
    return m->op_count <= *(size_t *)arg;
}

size_t mf_mock_wait_ops(mf_mock *m, size_t most, uint32_t ms)
{
    mock_wait(m, ms, few_left, &most);
    pthread_mutex_lock(&m->lock);
    size_t left = m->op_count;
    pthread_mutex_unlock(&m->lock);
    return left;
}
