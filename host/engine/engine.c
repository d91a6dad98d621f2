/* The engine's start and end. */
#include "engine/internal.h"

#include <stdlib.h>

/* Instances that are still busy when the host must go: their threads may touch
 * them until the process ends, so they are kept, reachable. */
static struct engine *left_behind;

#define WINDOW_SPAN UINT64_C(60000000000) /* until engine_measure() says otherwise */

int engine_open(uv_loop_t *loop, const struct engine_options *options, struct engine **ret,
                struct err *e)
{
    struct engine *en = xcalloc(1, sizeof(*en));
    en->loop = loop;
    en->loop_thread = pthread_self();
    en->options = *options;
    en->calls.max = options->calls < CHUNK * MAX_CHUNKS ? options->calls : CHUNK * MAX_CHUNKS;
    en->now = clock_ns();
    window_open(&en->window, WINDOW_SPAN, en->now);
    list_init(&en->instances);
    ops_init(&en->ops);
    int r = post_open(&en->posts, loop);
    if (r) {
        window_release(&en->window);
        free(en);
        return err_set(e, r, "the loop gives no wake-up handle: %s", uv_strerror(r));
    }
    uv_timer_init(loop, &en->deadlines.timer);
    uv_timer_init(loop, &en->stop_timer);
    en->deadlines.timer.data = en->stop_timer.data = en;
    drain_timer_init(en);
    *ret = en;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    struct engine *en = h->data;
    if (--en->handles_open == 0)
        en->stop_done(en->stop_arg);
}

static void finish_stop(struct engine *en)
{
    if (en->stopped)
        return;
    en->stopped = true;
    list_each (it, &en->instances) {
        struct instance *in = container_of(it, struct instance, in_engine);
        if (in->running == 0 && instance_shut_ops(in)) {
            instance_close(in);
            continue;
        }
        left_behind = en;
        log_line(LOG_WARN, in->name,
                 "%u calls and %u operations are still running at the end: not closed", in->running,
                 instance_ops(in));
        instance_abort_ops(in, true); /* nothing of it keeps the loop busy from here on */
    }
    watchdog_stop(en);
    en->posts.async.data = en;
    en->posts.idle.data = en;
    en->handles_open = 5;
    post_close(&en->posts, on_closed);
    uv_close((uv_handle_t *)&en->deadlines.timer, on_closed);
    uv_close((uv_handle_t *)&en->stop_timer, on_closed);
    uv_close((uv_handle_t *)&en->drain_timer, on_closed);
}

static void on_stop_timer(uv_timer_t *t)
{
    finish_stop(t->data);
}

void engine_check_stopped(struct engine *en)
{
    if (!en->stopping || en->stopped)
        return;
    list_each (it, &en->instances) {
        struct instance *in = container_of(it, struct instance, in_engine);
        if (in->running || instance_ops(in) || in->state == INSTANCE_LOADING)
            return;
    }
    /* Not from within a plugin's or a sink's stack: the timer comes next. */
    uv_timer_start(&en->stop_timer, on_stop_timer, 0, 0);
}

void engine_stop(struct engine *en, unsigned grace_ms, void (*done)(void *), void *arg)
{
    if (en->stopping)
        return;
    en->stopping = true;
    en->stop_done = done;
    en->stop_arg = arg;
    list_each (it, &en->instances) {
        struct instance *in = container_of(it, struct instance, in_engine);
        instance_refuse_waiting(in, REFUSED_STOPPING, NULL);
        if (in->plugin && in->plugin->quiesce && !(in->drain && in->drain->quiesced)) {
            en->now = clock_ns();
            watchdog_enter(en, in, IN_QUIESCE, NULL);
            in->plugin->quiesce(in->self);
            watchdog_leave(en);
        }
        instance_abort_ops(in, false);
    }
    uv_update_time(en->loop);
    uv_timer_start(&en->stop_timer, on_stop_timer, grace_ms, 0);
    engine_check_stopped(en);
}

void engine_measure(struct engine *en, uint64_t span,
                    void (*levels)(void *arg, uint64_t ret[WINDOW_LEVELS]), void *arg)
{
    en->window.levels = levels;
    en->window.arg = arg;
    window_open(&en->window, span, clock_ns());
}

void engine_window(const struct engine *en, struct window_view *ret)
{
    window_read(&en->window, clock_ns(), ret);
}

bool engine_stopping(const struct engine *en)
{
    return en->stopping;
}

bool engine_free(struct engine *en)
{
    if (left_behind == en)
        return false;
    while (!list_empty(&en->instances))
        instance_free(container_of(en->instances.next, struct instance, in_engine));
    table_release(en);
    free(en->deadlines.heap);
    window_release(&en->window);
    ops_release(&en->ops);
    pthread_mutex_destroy(&en->posts.lock);
    result_docs_release();
    free(en);
    return true;
}
