#include "engine/internal.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *name, *limit;
} refusals[REFUSED_REASONS] = {
    [REFUSED_QUEUE] = {"queue", "limits.queue"},
    [REFUSED_QUEUE_WAIT] = {"queue_wait", "limits.queue_wait"},
    [REFUSED_RATE] = {"rate", "limits.rate"},
    [REFUSED_BREAKER] = {"breaker", "breaker"},
    [REFUSED_TIMEOUT] = {"timeout", "limits.timeout"},
    [REFUSED_RESULT] = {"result", "limits.result"},
    [REFUSED_REQUEST] = {"request", "limits.request"},
    [REFUSED_CALLS] = {"calls", "limits.calls"},
    [REFUSED_FAULT] = {"fault", NULL},
    [REFUSED_LOAD] = {"load", NULL},
    [REFUSED_MEMORY] = {"memory", NULL},
    [REFUSED_STOPPING] = {"stopping", NULL},
};

const char *refusal_name(enum refusal_reason r)
{
    return refusals[r].name;
}

const char *refusal_limit(enum refusal_reason r)
{
    return refusals[r].limit;
}

static int64_t ms(uint64_t ns)
{
    return (int64_t)(ns / 1000000);
}

/* A client that waits so long must not be a moment too early. */
static int64_t ms_up(uint64_t ns)
{
    return (int64_t)((ns + 999999) / 1000000);
}

void refusal_fill(struct refusal *r, enum refusal_reason reason, const struct instance *in,
                  const struct entry_spec *spec, uint64_t wait)
{
    const struct limits *l = &spec->limits;
    const struct breaker_spec *breaker = &in->manifest->instance.breaker;
    char shown[UNITS_SHOWN];
    r->reason = reason;
    r->retry_after_ms = -1;
    const char *plugin = in->name;
    switch (reason) {
    case REFUSED_QUEUE:
        r->retry_after_ms = 1000;
        snprintf(
            r->text, sizeof(r->text),
            "plugin %s is busy: %u calls run and %u wait (limits.queue %u); try again in a second",
            plugin, in->running, in->queued, l->queue);
        break;
    case REFUSED_QUEUE_WAIT:
        r->retry_after_ms = 1000;
        snprintf(r->text, sizeof(r->text),
                 "plugin %s is busy: the call waited %" PRId64
                 " ms for one of %u slots (limits.queue_wait); try again in a second",
                 plugin, ms(l->queue_wait), l->concurrency);
        break;
    case REFUSED_RATE:
        r->retry_after_ms = ms_up(wait);
        snprintf(r->text, sizeof(r->text),
                 "%.*s of plugin %s is called more often than %s (limits.rate); try again in "
                 "%" PRId64 " ms",
                 STR_FMT(spec->name), plugin, units_show_rate(l->rate, shown), r->retry_after_ms);
        break;
    case REFUSED_BREAKER:
        r->retry_after_ms = ms_up(wait);
        snprintf(r->text, sizeof(r->text),
                 "plugin %s failed too often and rests (breaker: %u failures within %s); try again "
                 "in %" PRId64 " ms",
                 plugin, breaker->failures, units_show_duration(breaker->within, shown),
                 r->retry_after_ms);
        break;
    case REFUSED_TIMEOUT:
        r->retry_after_ms = 0;
        snprintf(r->text, sizeof(r->text),
                 "%.*s of plugin %s did not finish within %" PRId64 " ms (limits.timeout)",
                 STR_FMT(spec->name), plugin, ms(l->timeout));
        break;
    case REFUSED_RESULT:
        snprintf(r->text, sizeof(r->text),
                 "the result of %.*s of plugin %s is over %" PRIu64
                 " bytes (limits.result); ask for less",
                 STR_FMT(spec->name), plugin, l->result);
        break;
    case REFUSED_REQUEST:
        snprintf(r->text, sizeof(r->text),
                 "the arguments are over %" PRIu64 " bytes (limits.request of plugin %s)",
                 l->request, plugin);
        break;
    case REFUSED_CALLS:
        r->retry_after_ms = 1000;
        snprintf(r->text, sizeof(r->text),
                 "the host is busy: %u calls are in flight (limits.calls); try again in a second",
                 in->engine->calls.used);
        break;
    case REFUSED_FAULT:
        snprintf(r->text, sizeof(r->text), "%.*s of plugin %s failed; the host's log says why",
                 STR_FMT(spec->name), plugin);
        break;
    case REFUSED_LOAD:
        snprintf(r->text, sizeof(r->text), "plugin %s can't be used: %s", plugin,
                 in->error ? in->error : "it is not loaded");
        break;
    case REFUSED_MEMORY:
        r->retry_after_ms = 1000;
        snprintf(r->text, sizeof(r->text), "the host is out of memory for this call");
        break;
    case REFUSED_STOPPING:
    default:
        snprintf(r->text, sizeof(r->text), "the host is about to exit");
        break;
    }
}
