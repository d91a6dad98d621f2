#include "config/manifest.h"

static bool same_rate(struct rate a, struct rate b)
{
    return a.per_second == b.per_second && a.burst == b.burst;
}

static bool same_limits(const struct limits *a, const struct limits *b)
{
    return a->concurrency == b->concurrency && a->queue == b->queue &&
           a->queue_wait == b->queue_wait && a->timeout == b->timeout && a->drain == b->drain &&
           a->loop_block == b->loop_block && a->request == b->request && a->result == b->result &&
           same_rate(a->rate, b->rate) && same_rate(a->log, b->log);
}

static bool same_instance(const struct instance_spec *a, const struct instance_spec *b)
{
    return a->isolation == b->isolation && a->load == b->load && a->reload == b->reload &&
           same_limits(&a->limits, &b->limits) && a->breaker.failures == b->breaker.failures &&
           a->breaker.within == b->breaker.within && a->breaker.cooldown == b->breaker.cooldown &&
           a->worker.threads == b->worker.threads;
}

/* The text is the same already, but the host config may hide entries and cut limits. */
static bool same_entries(const struct manifest *a, const struct manifest *b)
{
    if (a->entries != b->entries)
        return false;
    for (uint32_t i = 0; i < a->entries; i++) {
        const struct entry_spec *x = &a->entry[i], *y = &b->entry[i];
        if (x->kind != y->kind || !str_eq(x->name, y->name) || !str_eq(x->uri, y->uri) ||
            x->slow != y->slow || !same_limits(&x->limits, &y->limits))
            return false;
    }
    return true;
}

bool manifest_same(const struct manifest *a, const struct manifest *b)
{
    return strcmp(a->doc.path, b->doc.path) == 0 &&
           str_eq(buf_view(&a->doc.text), buf_view(&b->doc.text)) && str_eq(a->name, b->name) &&
           str_eq(a->prefix, b->prefix) && strcmp(a->library_sha256, b->library_sha256) == 0 &&
           a->trusted == b->trusted && a->enabled == b->enabled &&
           str_eq(buf_view(&a->config), buf_view(&b->config)) &&
           grants_same(&a->grants, &b->grants) && same_instance(&a->instance, &b->instance) &&
           same_entries(a, b);
}
