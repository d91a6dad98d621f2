/* host/engine/trace.h - the W3C trace context of a call, as its client sent it in `_meta`.
 *
 * MCP 2026-07-28 keeps the keys `traceparent` and `tracestate` for it.  What is not of the form
 * that W3C wants is as if it were not there: it goes into HTTP headers as it is. */
#ifndef MANIFOLD_ENGINE_TRACE_H
#define MANIFOLD_ENGINE_TRACE_H

#include "base/str.h"

enum { TRACE_PARENT = 55, TRACE_STATE_MAX = 512 };

struct trace {
    char parent[TRACE_PARENT + 1]; /* "" : there is none */
    char state[TRACE_STATE_MAX + 1];
};

/* `meta`: the JSON object, or empty.  False: it holds no valid traceparent, and *ret is as it was.
 */
bool trace_read(struct str meta, struct trace *ret);

#endif
