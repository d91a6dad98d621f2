/* What the calls of each entry took.  Two readings of the clock serve everything: en->now is that
 * of the arrival when a call starts, and that after call() or of its batch of posts when it ends.
 */
#include "engine/internal.h"

#include <stdlib.h>

struct entry_metrics *metrics_make(struct instance *in, uint32_t entry)
{
    struct entry_metrics *m = calloc(1, sizeof(*m));
    if (!m)
        return &in->engine->uncounted;
    m->generations = 1;
    in->entry[entry].metrics = m;
    return m;
}

void metrics_waited(struct call *c)
{
    c->waited = c->engine->now - c->arrival;
    if (!protection_off("metrics"))
        histogram_record(&metrics_of(c->instance, c->entry)->queue_wait, c->waited);
}

void metrics_answered(struct call *c, const struct outcome *o)
{
    struct engine *en = c->engine;
    uint64_t took = en->now - c->arrival;
    if (protection_off("metrics"))
        return;
    window_count(&en->window, en->now, o->end != CALL_DONE);
    if (c->ran) {
        histogram_record(&metrics_of(c->instance, c->entry)->duration, took);
        window_time(&en->window, histogram_part(took));
    }
    if (took > c->spec->slow)
        slow_call(c, took, o);
}

void metrics_refused(struct engine *en)
{
    if (!protection_off("metrics"))
        window_count(&en->window, en->now, true);
}

void call_count_hit(struct instance *in, uint32_t entry)
{
    metrics_of(in, entry)->count.hits++;
    if (!protection_off("metrics"))
        window_count(&in->engine->window, uv_now(in->engine->loop) * 1000000, false);
}

void call_count_miss(struct instance *in, uint32_t entry)
{
    metrics_of(in, entry)->count.misses++;
}

void call_count_shared(struct instance *in, uint32_t entry, const struct outcome *o)
{
    metrics_of(in, entry)->count.shared++;
    if (!protection_off("metrics"))
        window_count(&in->engine->window, in->engine->now, o->end != CALL_DONE);
}

static uint32_t find_entry(const struct manifest *m, const struct entry_spec *spec)
{
    uint32_t i = 0;
    while (i < m->entries &&
           !(m->entry[i].kind == spec->kind && str_eq(m->entry[i].name, spec->name)))
        i++;
    return i;
}

/* So that what only grows does not fall at a reload. */
static void carry_on(struct instance *in, const struct instance *before)
{
    in->loop_time += before->loop_time;
    in->loop_blocks += before->loop_blocks;
    if (before->loop_longest > in->loop_longest)
        in->loop_longest = before->loop_longest;
    in->breaker.opened += before->breaker.opened;
    in->misuse += before->misuse;
    in->log_dropped += before->log_dropped;
}

void instance_follow(struct instance *in, const struct instance *before)
{
    carry_on(in, before);
    for (uint32_t i = 0; i < before->manifest->entries; i++) {
        struct entry_metrics *m = before->entry[i].metrics;
        uint32_t k = m ? find_entry(in->manifest, &before->manifest->entry[i]) : UINT32_MAX;
        if (k >= in->manifest->entries || in->entry[k].metrics)
            continue;
        in->entry[k].metrics = m;
        m->generations++;
    }
}

void metrics_release(struct instance *in)
{
    for (uint32_t i = 0; i < in->manifest->entries; i++) {
        struct entry_metrics *m = in->entry[i].metrics;
        if (!m || --m->generations)
            continue;
        histogram_release(&m->queue_wait);
        histogram_release(&m->duration);
        free(m);
    }
}
