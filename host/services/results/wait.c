/* One request that waits for a run: it may end before the run, by its own deadline. */
#include "services/results/internal.h"

static void on_timer(uv_timer_t *timer)
{
    struct results *r = container_of(timer, struct results, timer);
    r->armed = 0;
    waits_due(r);
}

static void arm(struct results *r)
{
    if (list_empty(&r->deadlines)) {
        uv_timer_stop(&r->timer);
        r->armed = 0;
        return;
    }
    uint64_t due = container_of(r->deadlines.next, struct result_wait, in_deadlines)->deadline;
    if (r->armed && r->armed <= due)
        return;
    uint64_t now = clock_ns();
    r->armed = due;
    uv_update_time(r->timer.loop);
    uv_timer_start(&r->timer, on_timer, due > now ? (due - now + 999999) / 1000000 : 0, 0);
}

static void unlist(struct result_wait *w)
{
    struct results *r = w->flight->results;
    list_remove(&w->in_deadlines);
    if (list_empty(&r->deadlines))
        arm(r);
}

/* Deadlines mostly come in their order, so its place is looked for from the end. */
static void enlist(struct result_wait *w)
{
    struct results *r = w->flight->results;
    struct list *behind = r->deadlines.prev;
    while (behind != &r->deadlines &&
           container_of(behind, struct result_wait, in_deadlines)->deadline > w->deadline)
        behind = behind->prev;
    list_append(behind->next, &w->in_deadlines); /* in front of the one behind it */
    arm(r);
}

void wait_limit(struct result_wait *w)
{
    bool own = w->deadline < w->flight->deadline;
    if (own && !list_linked(&w->in_deadlines))
        enlist(w);
    else if (!own && list_linked(&w->in_deadlines))
        unlist(w);
}

void wait_begin(struct result_wait *w, struct flight *f, const struct call_request *rq, bool shared)
{
    *w = (struct result_wait){.flight = f,
                              .sink = rq->sink,
                              .user = rq->user,
                              .progress = rq->progress,
                              .log_level = rq->log_level,
                              .shared = shared};
    list_append(&f->waits, &w->in_flight);
    f->wait_count++;
    f->results->waits++;
}

void wait_end(struct result_wait *w)
{
    struct flight *f = w->flight;
    list_remove(&w->in_flight);
    if (list_linked(&w->in_deadlines))
        unlist(w);
    f->wait_count--;
    f->results->waits--;
    if (w != &f->first)
        free(w);
}

void wait_answer(struct result_wait *w, const struct outcome *o, struct outcome_kept kept)
{
    struct flight *f = w->flight;
    const struct call_sink *sink = w->sink;
    void *user = w->user;
    struct outcome own = *o;
    kept.shared = w->shared && !kept.hit;
    own.kept = &kept;
    if (kept.hit)
        call_count_hit(f->instance, f->entry);
    else if (w->shared)
        call_count_shared(f->instance, f->entry, o);
    wait_end(w);
    sink->done(user, &own);
}

/* Answered as the engine answers a call that took too long. */
static void time_out(struct result_wait *w)
{
    struct flight *f = w->flight;
    struct call_request rq = {.instance = f->instance,
                              .entry = f->entry,
                              .kind = f->kind,
                              .sink = w->sink,
                              .user = w->user};
    wait_end(w);
    if (!f->wait_count)
        flight_abandon(f);
    call_refuse(&rq, REFUSED_TIMEOUT);
}

void waits_due(struct results *r)
{
    uint64_t now = clock_ns();
    while (!list_empty(&r->deadlines)) {
        struct result_wait *w = container_of(r->deadlines.next, struct result_wait, in_deadlines);
        if (w->deadline > now)
            break;
        time_out(w);
    }
    arm(r);
}
