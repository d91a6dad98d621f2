/* What stands before admission: the breaker and the rates of plugin and tool. */
#include "engine/internal.h"

static const struct breaker_spec *spec_of(const struct instance *in)
{
    return &in->manifest->instance.breaker;
}

bool gate_admits(struct instance *in, uint32_t entry, enum refusal_reason *ret, uint64_t *ret_wait)
{
    uint64_t now = in->engine->now;
    if (!protection_off("breaker") && !breaker_admits(&in->breaker, spec_of(in), now, ret_wait)) {
        *ret = REFUSED_BREAKER;
        return false;
    }
    if (protection_off("rate"))
        return true;
    struct manifest const *m = in->manifest;
    uint64_t all = rate_wait(&in->rate, m->instance.limits.rate, now);
    uint64_t own = rate_wait(&in->entry[entry].rate, m->entry[entry].limits.rate, now);
    *ret = REFUSED_RATE;
    *ret_wait = all > own ? all : own;
    return *ret_wait == 0;
}

void gate_take(struct call *c)
{
    struct instance *in = c->instance;
    if (!protection_off("rate")) {
        rate_spend(&in->rate, in->manifest->instance.limits.rate);
        rate_spend(&in->entry[c->entry].rate, c->spec->limits.rate);
    }
    if (!protection_off("breaker"))
        c->trial = breaker_take(&in->breaker);
}

/* What waits would only meet the same plugin. */
static void opened(struct instance *in, const char *why)
{
    char cooldown[UNITS_SHOWN];
    log_line(LOG_ERROR, in->name, "its breaker opens for %s: %s",
             units_show_duration(spec_of(in)->cooldown, cooldown), why);
    instance_refuse_waiting(in, REFUSED_BREAKER, NULL);
}

void gate_told(struct call *c, const struct outcome *o)
{
    struct instance *in = c->instance;
    if (protection_off("breaker"))
        return;
    uint64_t trial = c->trial;
    c->trial = 0;
    enum refusal_reason why = o && o->refusal ? o->refusal->reason : REFUSED_REASONS;
    if (!o || !c->ran || why == REFUSED_MEMORY) {
        breaker_undecided(&in->breaker, trial);
    } else if (why != REFUSED_TIMEOUT && why != REFUSED_FAULT) {
        if (breaker_succeeded(&in->breaker, trial))
            log_line(LOG_INFO, in->name, "its breaker closes: a call succeeded");
    } else if (breaker_failed(&in->breaker, spec_of(in), in->engine->now, trial)) {
        opened(in, trial ? "the call on trial failed" : "too many faults and timeouts");
    }
}

void gate_held(struct instance *in)
{
    if (!protection_off("breaker") && breaker_held(&in->breaker, spec_of(in), in->engine->now))
        opened(in, "it held the loop over limits.loop_block too often");
}
