/* initialize, ping and server/discover: who the server is and what it can do
 * (2025-11-25 basic/lifecycle.mdx, 2026-07-28 server/discover.mdx). */
#include "mcp/internal.h"

/* Only what this build does. */
static void write_capabilities(const struct catalogue *c, enum revision revision, struct buf *b)
{
    buf_lit(b, "\"capabilities\":{\"tools\":{\"listChanged\":true},"
               "\"resources\":{\"listChanged\":true");
    if (c->subscribable)
        buf_lit(b, ",\"subscribe\":true");
    buf_byte(b, '}');
    if (c->count[ENTRY_PROMPT])
        buf_lit(b, ",\"prompts\":{\"listChanged\":true}");
    if (c->library_completions && revision >= R_2025_03_26)
        buf_lit(b, ",\"completions\":{}");
    buf_lit(b, ",\"logging\":{}}");
}

static void write_instructions(const struct catalogue *c, struct buf *b)
{
    if (!c->instructions.len)
        return;
    buf_lit(b, ",\"instructions\":");
    json_write_string(b, buf_view(&c->instructions));
}

static void write_initialize(const struct session *s, enum revision revision, struct buf *b)
{
    buf_lit(b, "{\"protocolVersion\":\"");
    buf_str(b, revision_name[revision]);
    buf_lit(b, "\",");
    write_capabilities(s->host->catalogue, revision, b);
    buf_lit(b, ",\"serverInfo\":");
    buf_str(b, buf_view(&s->server_info));
    write_instructions(s->host->catalogue, b);
    buf_lit(b, "}");
}

/* supportedVersions names what the error -32022 names, too: legacy revisions are begun with
 * initialize, not by a version in _meta. */
static void write_discover(const struct session *s, enum revision revision, struct buf *b)
{
    const struct catalogue *c = s->host->catalogue;
    struct answer a = {.revision = revision};
    buf_lit(b, "{\"supportedVersions\":[\"");
    buf_str(b, revision_name[revision]);
    buf_lit(b, "\"],");
    write_capabilities(c, revision, b);
    write_instructions(c, b);
    reply_cache(&a, b, c->ttl_ms, c->scope);
    reply_tail(s, revision, b, STR_NONE);
}

static void greet(struct session *s, const struct message *m)
{
    enum revision revision = m->answer.revision;
    struct listing *l = &s->greeting[revision];
    if (!listing_current(s, l)) {
        if (revision >= R_2026_07_28)
            write_discover(s, revision, &l->bytes);
        else
            write_initialize(s, revision, &l->bytes);
    }
    if (l->bytes.failed) {
        listing_release(l);
        reply_error(&m->answer, ERROR_INTERNAL, STR_NONE, "the host is out of memory for this");
        return;
    }
    reply_raw(&m->answer, buf_view(&l->bytes));
}

/* Begins the session, or begins it anew; what is in flight ends as it was asked for. */
void initialize(struct session *s, const struct message *m)
{
    struct str version;
    if (!message_string(s, m, m->param[PARAM_VERSION], "params/protocolVersion", &version))
        return;
    enum revision asked = revision_find(version);
    struct message answer = *m;
    answer.answer.revision = asked < R_2026_07_28 ? asked : R_2025_11_25;
    s->revision = answer.answer.revision;
    s->initialized = true;
    feed_clear(&s->own);
    s->own.to = m->out;
    s->own.kinds = 1u << ENTRY_TOOL | 1u << ENTRY_RESOURCE | 1u << ENTRY_TEMPLATE;
    if (s->host->catalogue->count[ENTRY_PROMPT])
        s->own.kinds |= 1u << ENTRY_PROMPT;
    s->log_level = -1;
    greet(s, &answer);
}

void ping(struct session *s, const struct message *m)
{
    (void)s;
    reply_raw(&m->answer, STR("{}"));
}

void discover(struct session *s, const struct message *m)
{
    greet(s, m);
}
