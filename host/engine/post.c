#include "engine/internal.h"

/* What the loop leaves for later may go on for so long before timers and descriptors get a turn. */
enum { LATER_POSTS = 1024, LATER_LOOK = 16 };
#define LATER_NS UINT64_C(2000000)

static struct engine *engine_of(struct post_queue *q)
{
    return container_of(q, struct engine, posts);
}

static void post_run(uv_async_t *async)
{
    struct post_queue *q = container_of(async, struct post_queue, async);
    pthread_mutex_lock(&q->lock);
    struct post *p = q->first;
    q->first = NULL;
    q->last = &q->first;
    pthread_mutex_unlock(&q->lock);
    if (p) /* one reading for all that came */
        engine_of(q)->now = clock_ns();
    while (p) {
        struct post *next = p->next; /* run() may free or reuse p */
        p->run(p);
        p = next;
    }
}

static void later_run(uv_idle_t *idle)
{
    struct post_queue *q = container_of(idle, struct post_queue, idle);
    struct engine *en = engine_of(q);
    uint64_t until = (en->now = clock_ns()) + LATER_NS;
    for (unsigned n = 1; q->later && n <= LATER_POSTS; n++) {
        struct post *p = q->later;
        q->later = p->next;
        if (!q->later)
            q->later_last = &q->later;
        p->run(p);
        if (n % LATER_LOOK == 0 && clock_ns() > until)
            break;
    }
    if (!q->later && !uv_is_closing((uv_handle_t *)idle))
        uv_idle_stop(idle);
}

int post_open(struct post_queue *q, uv_loop_t *loop)
{
    pthread_mutex_init(&q->lock, NULL);
    q->last = &q->first;
    q->later_last = &q->later;
    uv_idle_init(loop, &q->idle);
    return uv_async_init(loop, &q->async, post_run);
}

bool post_send(struct post_queue *q, struct post *p)
{
    p->next = NULL;
    pthread_mutex_lock(&q->lock);
    bool taken = !q->closed;
    if (taken) {
        bool wake = !q->first;
        *q->last = p;
        q->last = &p->next;
        /* Under the lock, so that the handle can't be closed in between. */
        if (wake)
            uv_async_send(&q->async);
    }
    pthread_mutex_unlock(&q->lock);
    return taken;
}

bool engine_on_loop(const struct engine *en)
{
    return on_loop(en);
}

bool engine_post(struct engine *en, struct post *p)
{
    return post_send(&en->posts, p);
}

void post_later(struct engine *en, struct post *p)
{
    struct post_queue *q = &en->posts;
    p->next = NULL;
    if (en->stopped)
        return; /* of an instance that was left as it was */
    if (!q->later)
        uv_idle_start(&q->idle, later_run);
    *q->later_last = p;
    q->later_last = &p->next;
}

void post_close(struct post_queue *q, uv_close_cb closed)
{
    post_run(&q->async);
    while (q->later)
        later_run(&q->idle);
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_mutex_unlock(&q->lock);
    uv_close((uv_handle_t *)&q->idle, closed);
    uv_close((uv_handle_t *)&q->async, closed);
}
