/* The end of a generation that a reload has replaced: it keeps what it has begun,
 * and is closed when nothing of it is left. */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include "config/units.h"
#include "manifold/state.h"

#define DRAIN_GRACE 1000000000u /* ns between cancelling and giving up */

enum { STATE_MAX = 16 << 20 };

static bool is_idle(const struct instance *in)
{
    return !in->running && !in->queued && !in->held && !instance_ops(in) &&
           in->state != INSTANCE_LOADING;
}

static mf_status append_state(void *arg, mf_bytes bytes)
{
    struct buf *b = arg;
    return buf_append(b, bytes.data, bytes.len) ? MF_ELIMIT : MF_OK;
}

/* What the plugin gives its next generation; empty when it gives nothing. */
static void save_state(struct instance *in, struct buf *state)
{
    const mf_plugin *p = in->plugin;
    const mf_state *s = p && p->extension ? p->extension(in->self, MF_EXT_STATE) : NULL;
    if (!s || !MF_HAS(s, save) || !s->save)
        return;
    in->engine->now = clock_ns();
    watchdog_enter(in->engine, in, IN_SAVE, NULL);
    mf_status r = s->save(in->self, append_state, state);
    watchdog_leave(in->engine);
    if (r == MF_OK && !state->failed)
        return;
    log_line(LOG_ERROR, in->name,
             "generation %" PRIu64 " handed no state over: save() returned %d%s", in->generation, r,
             state->failed == -ENOMEM ? ", and the host was out of memory for it"
             : state->failed          ? ", and it was over 16 MiB"
                                      : "");
    buf_clear(state, 0);
}

static bool has_other_generation(const struct engine *en, const char *name)
{
    list_each (it, &en->instances) {
        if (strcmp(container_of(it, struct instance, in_engine)->name, name) == 0)
            return true;
    }
    return false;
}

static void free_retired(struct instance *in)
{
    struct engine *en = in->engine;
    const struct engine_services *s = &en->options.services;
    bool tell = en->gone && !in->drain->discarded;
    watchdog_forget(en); /* it may just be naming it */
    char *name = in->name;
    in->name = NULL;
    if (in->loads)
        log_line(LOG_INFO, name, "generation %" PRIu64 " has ended", in->generation);
    instance_free(in);
    if (s->gone && !has_other_generation(en, name))
        s->gone(s->arg, name);
    if (tell)
        en->gone(en->gone_arg, name);
    free(name);
}

static void end(struct instance *in)
{
    struct buf state = BUF_INIT(STATE_MAX);
    struct instance *heir = in->drain->heir;
    if (heir)
        save_state(in, &state);
    instance_close(in);
    if (heir)
        instance_open_heir(heir, &state);
    buf_release(&state);
    free_retired(in);
}

/* limits.drain is over. */
static void cut(struct instance *in)
{
    char shown[UNITS_SHOWN], text[200];
    units_show_duration(in->manifest->instance.limits.drain, shown);
    log_line(LOG_WARN, in->name,
             "generation %" PRIu64 " still has %u calls %s after it was replaced (limits.drain): "
             "cancelled",
             in->generation, in->running + in->queued, shown);
    snprintf(text, sizeof(text),
             "plugin %s was reloaded and this call did not end within %s (limits.drain); try again",
             in->name, shown);
    in->drain->cut = true;
    in->drain->due = clock_ns() + DRAIN_GRACE;
    instance_refuse_waiting(in, REFUSED_TIMEOUT, text);
    instance_cut_calls(in, text);
    instance_abort_ops(in, true);
}

static void give_up(struct instance *in)
{
    struct instance *heir = in->drain->heir;
    log_line(LOG_ERROR, in->name,
             "generation %" PRIu64
             " is STUCK: %u calls and %u operations do not end; it is kept and "
             "not closed, and further changes of the plugin wait for it",
             in->generation, in->running, instance_ops(in));
    in->drain->stuck = true;
    in->drain->due = UINT64_MAX;
    in->drain->heir = NULL;
    if (heir) {
        struct buf none = BUF_INIT(0);
        instance_open_heir(heir, &none);
    }
}

/* True: it is gone. */
static bool step(struct instance *in)
{
    struct instance_drain *d = in->drain;
    if (!d->quiesced &&
        (is_idle(in) || (!in->queued && !in->held && in->state == INSTANCE_READY))) {
        if (in->plugin && in->plugin->quiesce) {
            in->engine->now = clock_ns();
            watchdog_enter(in->engine, in, IN_QUIESCE, NULL);
            in->plugin->quiesce(in->self);
            watchdog_leave(in->engine);
        }
        d->quiesced = true;
        instance_abort_ops(in, false);
    }
    /* A thread of the plugin may begin an operation until that is shut. */
    if (is_idle(in) && instance_shut_ops(in)) {
        end(in);
        return true;
    }
    if (clock_ns() >= d->due) {
        if (!d->cut)
            cut(in);
        else
            give_up(in);
    }
    return false;
}

static void on_drain(uv_timer_t *t);

static void arm(struct engine *en)
{
    uint64_t first = UINT64_MAX, now = clock_ns();
    list_each (it, &en->instances) {
        struct instance *in = container_of(it, struct instance, in_engine);
        if (in->drain && in->drain->due < first)
            first = in->drain->due;
    }
    if (first != UINT64_MAX && !en->stopped && !uv_is_active((uv_handle_t *)&en->drain_timer))
        uv_timer_start(&en->drain_timer, on_drain, first > now ? (first - now) / 1000000 + 1 : 0,
                       0);
}

/* From here nothing of a plugin or a sink is on the stack. */
static void on_drain(uv_timer_t *t)
{
    struct engine *en = t->data;
    bool again = true;
    en->now = clock_ns();
    while (again && !en->stopped) {
        again = false;
        list_each (it, &en->instances) {
            struct instance *in = container_of(it, struct instance, in_engine);
            /* What is told of its end may have changed the list. */
            if (in->drain && step(in)) {
                again = true;
                break;
            }
        }
    }
    arm(en);
}

void drain_timer_init(struct engine *en)
{
    uv_timer_init(en->loop, &en->drain_timer);
    en->drain_timer.data = en;
}

void drain_look(struct engine *en)
{
    if (!en->stopped)
        uv_timer_start(&en->drain_timer, on_drain, 0, 0);
}

void instance_retire(struct instance *in, struct instance *heir)
{
    in->drain = in->drain_room;
    *in->drain = (struct instance_drain){.heir = heir,
                                         .due = clock_ns() + in->manifest->instance.limits.drain};
    drain_look(in->engine);
}

void instance_discard(struct instance *in)
{
    /* Probed, and nobody will open it. */
    if (in->handover && in->state == INSTANCE_LOADING && !in->prepared)
        in->state = INSTANCE_CLOSED;
    instance_retire(in, NULL);
    in->drain->discarded = true;
}

struct instance *engine_retired(struct engine *en, const char *name)
{
    list_each (it, &en->instances) {
        struct instance *in = container_of(it, struct instance, in_engine);
        if (in->drain && !in->drain->discarded && strcmp(in->name, name) == 0)
            return in;
    }
    return NULL;
}

struct instance *engine_next_retired(struct engine *en, const struct instance *after)
{
    struct list *it = after ? after->in_engine.next : en->instances.next;
    for (; it != &en->instances; it = it->next) {
        struct instance *in = container_of(it, struct instance, in_engine);
        if (in->drain && !in->drain->discarded)
            return in;
    }
    return NULL;
}

void engine_on_gone(struct engine *en, void (*gone)(void *arg, const char *name), void *arg)
{
    en->gone = gone;
    en->gone_arg = arg;
}

void instance_hold(struct instance *in)
{
    in->held++;
}

void instance_let_go(struct instance *in)
{
    in->held--;
    if (in->drain)
        drain_look(in->engine);
}

bool instance_is_cut(const struct instance *in)
{
    return in->drain && in->drain->cut;
}

bool instance_is_stuck(const struct instance *in)
{
    return in->drain && in->drain->stuck;
}
