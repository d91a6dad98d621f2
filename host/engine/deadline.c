/* A binary heap of calls by the time at which something is due, and one timer.
 * A call that ends inside call() never enters it. */
#include "engine/internal.h"

#include <stdlib.h>

static void put(struct deadlines *d, uint32_t at, struct call *c)
{
    d->heap[at] = c;
    c->heap = at + 1;
}

static void sift_up(struct deadlines *d, uint32_t at, struct call *c)
{
    while (at > 0 && c->due < d->heap[(at - 1) / 2]->due) {
        put(d, at, d->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(d, at, c);
}

static void sift_down(struct deadlines *d, uint32_t at, struct call *c)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= d->count)
            break;
        if (child + 1 < d->count && d->heap[child + 1]->due < d->heap[child]->due)
            child++;
        if (c->due <= d->heap[child]->due)
            break;
        put(d, at, d->heap[child]);
        at = child;
    }
    put(d, at, c);
}

static void on_timer(uv_timer_t *timer);

static void arm(struct engine *en)
{
    struct deadlines *d = &en->deadlines;
    if (!d->count || (d->armed && d->armed <= d->heap[0]->due))
        return;
    uint64_t now = clock_ns();
    uint64_t due = d->heap[0]->due;
    d->armed = due;
    uv_update_time(en->loop);
    uv_timer_start(&d->timer, on_timer, due > now ? (due - now + 999999) / 1000000 : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct engine *en = timer->data;
    struct deadlines *d = &en->deadlines;
    d->armed = 0;
    uint64_t now = en->now = clock_ns();
    while (d->count && d->heap[0]->due <= now) {
        struct call *c = d->heap[0];
        deadline_clear(en, c);
        call_due(c);
    }
    arm(en);
}

bool deadlines_reserve(struct engine *en, uint32_t calls)
{
    struct deadlines *d = &en->deadlines;
    if (calls <= d->cap)
        return true;
    struct call **heap = realloc(d->heap, calls * sizeof(struct call *));
    if (!heap)
        return false;
    d->heap = heap;
    d->cap = calls;
    return true;
}

void deadline_set(struct engine *en, struct call *c, uint64_t due)
{
    struct deadlines *d = &en->deadlines;
    deadline_clear(en, c);
    BUG_ON(d->count == d->cap); /* there is a place for every slot */
    c->due = due;
    sift_up(d, d->count++, c);
    arm(en);
}

void deadline_clear(struct engine *en, struct call *c)
{
    struct deadlines *d = &en->deadlines;
    if (!c->heap)
        return;
    uint32_t at = c->heap - 1;
    c->heap = 0;
    struct call *last = d->heap[--d->count];
    if (d->count == 0) { /* an armed timer would cost every turn of an otherwise idle loop */
        uv_timer_stop(&d->timer);
        d->armed = 0;
    }
    if (last == c)
        return;
    if (at > 0 && last->due < d->heap[(at - 1) / 2]->due)
        sift_up(d, at, last);
    else
        sift_down(d, at, last);
}
