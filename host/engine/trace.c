#include "engine/trace.h"

#include "json/reader.h"

static bool is_hex(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
            return false;
    }
    return true;
}

/* 00-<32 hex>-<16 hex>-<2 hex>; versions to come may be longer, but begin like this one. */
static bool is_parent(struct str s)
{
    return s.n == TRACE_PARENT && is_hex(s.p, 2) && s.p[2] == '-' && is_hex(s.p + 3, 32) &&
           s.p[35] == '-' && is_hex(s.p + 36, 16) && s.p[52] == '-' && is_hex(s.p + 53, 2) &&
           memcmp(s.p, "ff", 2) != 0;
}

/* Printable ASCII, so that it is one header and stays one. */
static bool is_state(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < ' ' || s.p[i] > '~')
            return false;
    }
    return s.n > 0 && s.n <= TRACE_STATE_MAX;
}

static struct str member(const struct json_doc *d, struct str key, struct buf *scratch)
{
    json_ref n = json_get(d, 0, key);
    return n && json_is(d, n, JSON_STRING) ? json_string(d, n, scratch) : STR_NONE;
}

static void take(const struct json_doc *d, struct trace *ret, bool *found)
{
    struct buf scratch = BUF_INIT(4096);
    struct str parent = member(d, STR("traceparent"), &scratch);
    *found = is_parent(parent);
    if (*found) {
        memcpy(ret->parent, parent.p, TRACE_PARENT);
        ret->parent[TRACE_PARENT] = 0;
        struct str state = member(d, STR("tracestate"), &scratch);
        size_t n = is_state(state) ? state.n : 0;
        if (n)
            memcpy(ret->state, state.p, n);
        ret->state[n] = 0;
    }
    buf_release(&scratch);
}

bool trace_read(struct str meta, struct trace *ret)
{
    /* Most have none: not worth a reading. */
    if (!meta.n || !memmem(meta.p, meta.n, "\"traceparent\"", 13))
        return false;
    struct json_doc d = {0};
    struct json_error e;
    bool found = false;
    if (json_read(&d, meta, &json_limits_default, &e) == 0 && json_is(&d, 0, JSON_OBJECT))
        take(&d, ret, &found);
    json_doc_release(&d);
    return found;
}
