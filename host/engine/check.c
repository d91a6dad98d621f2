/* The invariants of admission and of operations, held against what the slots say. */
#include "engine/internal.h"

static struct call *slot_at(const struct engine *en, uint32_t i)
{
    return &en->calls.chunk[i / CHUNK][i % CHUNK];
}

/* What the slots say of one instance, or of one of its entries. */
struct tally {
    uint32_t running, queued, orphans, leaked, trials;
};

static void tally_call(struct tally *t, struct call *c, enum call_state state,
                       enum client_state client)
{
    if (state == SLOT_QUEUED) {
        t->queued++;
    } else {
        t->running++;
        t->orphans += client != CLIENT_WAITS;
        t->leaked += client == CLIENT_TIMED_OUT;
    }
    t->trials += c->trial && c->trial == c->instance->breaker.trial;
}

/* entry UINT32_MAX: of all. */
static struct tally tally_of(const struct instance *in, uint32_t entry)
{
    struct tally t = {0};
    for (uint32_t i = 0; i < in->engine->calls.slots; i++) {
        struct call *c = slot_at(in->engine, i);
        pthread_mutex_lock(&c->lock);
        enum call_state state = c->state;
        enum client_state client = c->client;
        pthread_mutex_unlock(&c->lock);
        if (state != SLOT_FREE && c->instance == in && (entry == UINT32_MAX || c->entry == entry))
            tally_call(&t, c, state, client);
    }
    return t;
}

/* The queue of an instance: oldest first, each call in the heap of deadlines, entries add up. */
static const char *check_queue(const struct instance *in)
{
    uint32_t n = 0, entries = 0, running = 0;
    uint64_t last = 0;
    list_each (it, &in->waiting) {
        const struct call *c = container_of(it, struct call, waiting);
        if (c->arrival < last)
            return "a call waits behind one that came later";
        if (!c->heap)
            return "a call waits without an end";
        last = c->arrival;
        n++;
    }
    for (uint32_t i = 0; i < in->manifest->entries; i++) {
        entries += in->entry[i].queued;
        running += in->entry[i].running;
    }
    if (n != in->queued || entries != n)
        return "the queue is not as long as it is said to be";
    return running == in->running ? NULL : "the permits of the entries are not those of the plugin";
}

const char *instance_check(struct instance *in)
{
    const char *broken = check_queue(in);
    if (broken)
        return broken;
    if (in->running > in->manifest->instance.limits.concurrency && !protection_off("permits"))
        return "more calls run than limits.concurrency allows";
    return in->leaked <= in->orphans && in->orphans <= in->running
               ? NULL
               : "more calls are orphans than run";
}

static const char *check_slots(struct instance *in)
{
    struct tally t = tally_of(in, UINT32_MAX);
    if (t.running != in->running)
        return "the permits that are out are not those of the calls that run";
    if (t.queued != in->queued)
        return "the calls that wait are not those in the queue";
    if (t.orphans != in->orphans || t.leaked != in->leaked)
        return "the orphans are not those that are counted";
    if (t.trials != (in->breaker.trial != 0) ||
        (t.trials && in->breaker.state != BREAKER_HALF_OPEN))
        return "the breaker waits for another trial than the one that runs";
    for (uint32_t i = 0; i < in->manifest->entries; i++) {
        t = tally_of(in, i);
        if (t.running != in->entry[i].running || t.queued != in->entry[i].queued)
            return "the permits or the queue of an entry are not those of its calls";
    }
    return NULL;
}

/* Those that follow a call are in its list, and all that have begun are in the instance's. */
static const char *check_ops(struct instance *in)
{
    uint32_t begun = 0, following = 0, followed = 0;
    for (const struct op *op = NULL; (op = instance_next_op(in, op));) {
        begun++;
        following += list_linked(&op->in_call);
        if (list_linked(&op->in_call) && (op->ended || !op->call))
            return "an operation follows a call that it is not for, or has ended";
    }
    for (uint32_t i = 0; i < in->engine->calls.slots; i++) {
        const struct call *c = slot_at(in->engine, i);
        list_each (it, &c->ops) {
            const struct op *op = container_of(it, struct op, in_call);
            followed += op->instance == in && c->instance == in;
        }
    }
    if (following != followed)
        return "an operation follows a call of another instance";
    return begun <= instance_ops(in) ? NULL : "more operations have begun than are counted";
}

static const char *check_heap(const struct deadlines *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        const struct call *c = d->heap[i];
        if (c->heap != i + 1)
            return "a call is not where it stands in the heap of deadlines";
        if (i && d->heap[(i - 1) / 2]->due > c->due)
            return "the heap of deadlines is out of order";
    }
    return NULL;
}

const char *engine_check(struct engine *en)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < en->calls.slots; i++) {
        struct call *c = slot_at(en, i);
        pthread_mutex_lock(&c->lock);
        enum call_state state = c->state;
        enum client_state client = c->client;
        pthread_mutex_unlock(&c->lock);
        used += state != SLOT_FREE;
        if (state == SLOT_FREE && c->heap)
            return "a free slot has a deadline";
        if (state == SLOT_FREE && !list_empty(&c->ops))
            return "a free slot has operations";
        if (state == SLOT_RUNNING && client == CLIENT_WAITS && !c->heap &&
            !protection_off("timeout"))
            return "a call runs without a deadline";
    }
    if (used != en->calls.used)
        return "the slots in use are not those that are counted";
    const char *broken = check_heap(&en->deadlines);
    list_each (it, &en->instances) {
        struct instance *in = container_of(it, struct instance, in_engine);
        if (!broken)
            broken = instance_check(in);
        if (!broken)
            broken = check_slots(in);
        if (!broken)
            broken = check_ops(in);
    }
    return broken;
}
