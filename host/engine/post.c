#include "engine/internal.h"

static void post_run(uv_async_t *async)
{
    struct post_queue *q = container_of(async, struct post_queue, async);
    pthread_mutex_lock(&q->lock);
    struct post *p = q->first;
    q->first = NULL;
    q->last = &q->first;
    pthread_mutex_unlock(&q->lock);
    if (p) /* one reading for all that came */
        container_of(q, struct engine, posts)->now = clock_ns();
    while (p) {
        struct post *next = p->next; /* run() may free or reuse p */
        p->run(p);
        p = next;
    }
}

int post_open(struct post_queue *q, uv_loop_t *loop)
{
    pthread_mutex_init(&q->lock, NULL);
    q->last = &q->first;
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

void post_close(struct post_queue *q, uv_close_cb closed)
{
    post_run(&q->async);
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_mutex_unlock(&q->lock);
    uv_close((uv_handle_t *)&q->async, closed);
}
