/* Every response a session writes begins and ends here. */
#include "mcp/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

static void begin(const struct answer *a, struct buf *b)
{
    put_lit(b, "{\"jsonrpc\":\"2.0\"");
    if (a->id.n) {
        put_lit(b, ",\"id\":");
        put_str(b, a->id);
    }
}

static void write_error(const struct answer *a, struct buf *b, int code, struct str data,
                        struct str text)
{
    begin(a, b);
    put_lit(b, ",\"error\":{\"code\":");
    json_write_int(b, code);
    put_lit(b, ",\"message\":");
    json_write_string(b, text);
    if (data.n) {
        put_lit(b, ",\"data\":");
        put_str(b, data);
    }
    put_lit(b, "}}");
}

void reply_error(const struct answer *a, int code, struct str data, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    struct buf *b = a->to->begin(a->to);
    write_error(a, b, code, data, (struct str){text, len});
    if (a->to->end(a->to) && data.n)
        reply_error(a, code, STR_NONE, "%s", text);
}

/* The stream has taken back what did not fit; the client learns so much of it. */
static void end(const struct answer *a)
{
    int r = a->to->end(a->to);
    if (r)
        reply_error(
            a, ERROR_INTERNAL, STR_NONE,
            r == -ENOMEM
                ? "the host is out of memory for the result"
                : "the result is longer than what may wait for this client (limits.output)");
}

void reply_raw(const struct answer *a, struct str result)
{
    struct buf *b = a->to->begin(a->to);
    buf_reserve(b, result.n + a->id.n + 64);
    begin(a, b);
    put_lit(b, ",\"result\":");
    put_str(b, result);
    put_lit(b, "}");
    end(a);
}

struct buf *reply_begin(const struct answer *a, size_t n)
{
    struct buf *b = a->to->begin(a->to);
    buf_reserve(b, n + a->id.n + 512);
    begin(a, b);
    put_lit(b, ",\"result\":{");
    return b;
}

void reply_tail(const struct session *s, enum revision revision, struct buf *b, struct str meta)
{
    if (revision >= R_2026_07_28) {
        put_str(b, buf_view(&s->tail));
        if (meta.n) {
            put_lit(b, ",");
            put_str(b, meta);
        }
        put_lit(b, "}");
    } else if (meta.n) {
        put_lit(b, ",\"_meta\":{");
        put_str(b, meta);
        put_lit(b, "}");
    }
    put_lit(b, "}");
}

void reply_end(const struct session *s, const struct answer *a, struct buf *b, struct str meta)
{
    reply_tail(s, a->revision, b, meta);
    put_lit(b, "}");
    end(a);
}

void reply_cache(const struct answer *a, struct buf *b, uint64_t ttl_ms, enum cache_scope scope)
{
    if (!answer_modern(a))
        return;
    put_lit(b, ",\"ttlMs\":");
    json_write_int(b, ttl_ms > INT64_MAX ? INT64_MAX : (int64_t)ttl_ms);
    put_lit(b, ",\"cacheScope\":\"");
    put_str(b, scope == CACHE_PUBLIC ? STR("public") : STR("private"));
    put_lit(b, "\"");
}

struct str reply_kept(const struct outcome *o, char space[REPLY_KEPT])
{
    const struct outcome_kept *k = o->kept;
    struct buf b = {.data = space, .cap = REPLY_KEPT, .max = REPLY_KEPT}; /* never grows */
    if (!k)
        return STR_NONE;
    if (k->hit) {
        buf_lit(&b, "\"manifold/cached\":{\"hit\":true,\"ageMs\":");
        json_write_int(&b, (int64_t)k->age);
        buf_lit(&b, ",\"ttlMs\":");
        json_write_int(&b, (int64_t)k->ttl);
    } else {
        buf_lit(&b, "\"manifold/cached\":{\"hit\":false");
        if (k->shared)
            buf_lit(&b, ",\"shared\":true");
    }
    buf_byte(&b, '}');
    return buf_view(&b);
}

/* What an error can do without is left out when there was no memory for it. */
static struct str whole(const struct buf *b)
{
    return b->failed ? STR_NONE : buf_view(b);
}

/* {"reason":"queue","limit":"limits.queue","retryAfterMs":1000} (docs/operators.md, Limits) */
static void write_refusal(const struct refusal *r, struct buf *b)
{
    const char *limit = refusal_limit(r->reason);
    put_lit(b, "{\"reason\":");
    json_write_string(b, str_of(refusal_name(r->reason)));
    if (limit) {
        put_lit(b, ",\"limit\":");
        json_write_string(b, str_of(limit));
    }
    if (r->retry_after_ms >= 0) {
        put_lit(b, ",\"retryAfterMs\":");
        json_write_int(b, r->retry_after_ms);
    }
    put_lit(b, "}");
}

void reply_tool_error(const struct session *s, const struct answer *a, const char *text,
                      const struct refusal *r)
{
    struct buf meta = BUF_INIT(512);
    if (r) {
        put_lit(&meta, "\"manifold/refused\":");
        write_refusal(r, &meta);
    }
    struct buf *b = reply_begin(a, strlen(text));
    put_lit(b, "\"content\":[{\"type\":\"text\",\"text\":");
    json_write_string(b, str_of(text));
    put_lit(b, "}],\"isError\":true");
    reply_end(s, a, b, whole(&meta));
    buf_release(&meta);
}

void reply_refusal(const struct answer *a, const struct refusal *r)
{
    struct buf data = BUF_INIT(512);
    write_refusal(r, &data);
    reply_error(a, ERROR_INTERNAL, whole(&data), "%s", r->text);
    buf_release(&data);
}

void reply_not_found(const struct answer *a, struct str uri)
{
    struct buf data = BUF_INIT(uri.n * 6 + 16);
    put_lit(&data, "{\"uri\":");
    json_write_string(&data, uri);
    put_lit(&data, "}");
    reply_error(a, answer_modern(a) ? ERROR_PARAMS : ERROR_RESOURCE_NOT_FOUND, whole(&data),
                "there is no resource \"%.*s\"", STR_FMT(uri));
    buf_release(&data);
}
