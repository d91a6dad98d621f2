/* What the calls of each entry took.  Two readings of the clock serve everything: en->now is that
 * of the arrival when a call starts, and that after call() or of its batch of posts when it ends.
 */
#include "engine/internal.h"

#include <stdlib.h>

/* Made at the first call: an idle plugin has none.  NULL, where there is no memory: then this call
 * is in no histogram. */
static struct entry_metrics *metrics_of(struct call *c)
{
    struct instance_entry *e = &c->instance->entry[c->entry];
    if (!e->metrics && !protection_off("metrics"))
        e->metrics = calloc(1, sizeof(*e->metrics));
    return e->metrics;
}

void metrics_queue_wait(struct call *c)
{
    struct entry_metrics *m = metrics_of(c);
    if (m)
        histogram_record(&m->queue_wait, c->engine->now - c->arrival);
}

void metrics_duration(struct call *c)
{
    struct entry_metrics *m = c->ran ? metrics_of(c) : NULL;
    if (m)
        histogram_record(&m->duration, c->engine->now - c->arrival);
}

void metrics_release(struct instance *in)
{
    for (uint32_t i = 0; i < in->manifest->entries; i++) {
        struct entry_metrics *m = in->entry[i].metrics;
        if (!m)
            continue;
        histogram_release(&m->queue_wait);
        histogram_release(&m->duration);
        free(m);
    }
}
