/* The slow-call log: which calls took longer than the `slow` of their entry, and where the time
 * went. */
#include "engine/internal.h"

#include <inttypes.h>

enum { LINES = 10 }; /* a second, of one plugin; the rest are only counted */

static uint64_t ms(uint64_t ns)
{
    return ns / 1000000;
}

static const char *end_name(const struct outcome *o)
{
    static const char *const name[] = {[CALL_DONE] = "a result",
                                       [CALL_TOOL_ERROR] = "an error of the tool",
                                       [CALL_BAD_PARAMS] = "wrong arguments",
                                       [CALL_NOT_FOUND] = "not found"};
    return o->end == CALL_REFUSED ? refusal_name(o->refusal->reason) : name[o->end];
}

static bool admits(struct instance *in, uint64_t now)
{
    uint64_t second = now / 1000000000u;
    if (in->slow_second != second) {
        in->slow_second = second;
        in->slow_lines = 0;
    }
    if (in->slow_lines == LINES) {
        in->slow_unsaid++;
        return false;
    }
    in->slow_lines++;
    return true;
}

void slow_call(struct call *c, uint64_t took, const struct outcome *o)
{
    struct instance *in = c->instance;
    uint64_t waited = c->ran ? c->waited : took;
    char limit[UNITS_SHOWN], unsaid[64] = "";
    metrics_of(in, c->entry)->count.slow++;
    if (!admits(in, c->engine->now))
        return;
    if (in->slow_unsaid)
        snprintf(unsaid, sizeof(unsaid), "; %" PRIu32 " more since the last line", in->slow_unsaid);
    in->slow_unsaid = 0;
    log_line(LOG_WARN, in->name,
             "%.*s: slow call, %" PRIu64 " ms: it waited %" PRIu64 " ms and ran %" PRIu64
             " ms; its end: %s (slow: %s)%s",
             STR_FMT(c->spec->name), ms(took), ms(waited), ms(took - waited), end_name(o),
             units_show_duration(c->spec->slow, limit), unsaid);
}
