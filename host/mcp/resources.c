/* resources/read (2026-07-28 server/resources.mdx). */
#include "mcp/internal.h"

#include <errno.h>

static void finish_resource(struct request *r, const struct outcome *o)
{
    const struct answer *a = &r->answer;
    const struct catalogue *c = r->session->host->catalogue;
    char meta[REPLY_KEPT];
    if (finish_failed(r, o))
        return;
    struct buf *b = reply_begin(a, o->items.n);
    buf_lit(b, "\"contents\":[");
    buf_str(b, o->items);
    buf_lit(b, "]");
    if (r->spec->cached)
        reply_cache(a, b, o->kept && o->kept->hit ? o->kept->ttl : r->spec->cache_ttl / 1000000,
                    r->spec->cache_scope);
    else
        reply_cache(a, b, c->ttl_ms, c->scope);
    reply_end(r->session, a, b, reply_kept(o, meta));
}

/* The host's own: what it says is true now and for this client alone. */
static void read_own(struct session *s, const struct message *m, const struct entry *en)
{
    s->made.len = 0;
    en->write(s->host, &s->made);
    if (s->made.failed) {
        bool memory = s->made.failed == -ENOMEM;
        buf_clear(&s->made, 0);
        reply_error(&m->answer, ERROR_INTERNAL, STR_NONE, "%s",
                    memory ? "the host is out of memory for this"
                           : "there is more to tell than one answer can hold");
        return;
    }
    struct buf *b = reply_begin(&m->answer, s->made.len);
    buf_lit(b, "\"contents\":[{\"uri\":");
    json_write_string(b, en->spec->uri);
    buf_lit(b, ",\"mimeType\":");
    buf_str(b, en->spec->json_mime_type);
    buf_lit(b, ",\"text\":");
    json_write_string(b, buf_view(&s->made));
    buf_lit(b, "}]");
    reply_cache(&m->answer, b, 0, CACHE_PRIVATE);
    reply_end(s, &m->answer, b, STR_NONE);
}

void resources_read(struct session *s, const struct message *m)
{
    const struct catalogue *c = s->host->catalogue;
    struct call_request rq = {.kind = MF_RESOURCE};
    if (!message_string(s, m, m->param[PARAM_URI], "params/uri", &rq.uri))
        return;
    const struct entry *en = catalogue_find(c, ENTRY_RESOURCE, rq.uri);
    if (en && !en->instance) {
        read_own(s, m, en);
        return;
    }
    if (!en) {
        buf_clear(&s->vars, SCRATCH_KEEP);
        en = catalogue_match(c, rq.uri, &s->vars);
        rq.args = buf_view(&s->vars);
        if (s->vars.failed) {
            reply_error(&m->answer, ERROR_INTERNAL, STR_NONE,
                        "params/uri: the host is out of memory for it");
            return;
        }
    }
    if (!en) {
        reply_not_found(&m->answer, rq.uri);
        return;
    }
    struct refusal over;
    if (!call_request_fits(en->instance, en->index, rq.uri.n, &over))
        reply_refusal(&m->answer, &over);
    else if (!call_answer_kept(s, m, en, &rq, finish_resource))
        call_begin(s, m, en, &rq, finish_resource);
}
