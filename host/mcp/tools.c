/* tools/call (2026-07-28 server/tools.mdx). */
#include "mcp/internal.h"

static void write_structured(struct request *r, const struct outcome *o, struct buf *b)
{
    bool wraps = outschema_wraps(r->spec, r->answer.revision, o->structured);
    put_lit(b, ",\"structuredContent\":");
    if (wraps)
        put_lit(b, "{\"result\":");
    put_str(b, o->structured);
    if (wraps)
        put_lit(b, "}");
}

static void finish_tool(struct request *r, const struct outcome *o)
{
    const struct answer *a = &r->answer;
    char meta[REPLY_KEPT];
    if (o->end == CALL_REFUSED) {
        reply_tool_error(r->session, a, o->refusal->text, o->refusal);
        return;
    }
    if (finish_failed(r, o))
        return;
    struct buf *b = reply_begin(a, o->items.n + o->structured.n);
    put_lit(b, "\"content\":[");
    if (a->revision >= R_2025_06_18)
        put_str(b, o->items);
    else
        downconvert_blocks(r->session, o->items, a->revision, b);
    put_lit(b, "]");
    if (o->structured.n && a->revision >= R_2025_06_18)
        write_structured(r, o, b);
    if (o->end == CALL_TOOL_ERROR)
        put_lit(b, ",\"isError\":true");
    reply_end(r->session, a, b, reply_kept(o, meta));
}

/* False: they do not fit, and that is answered. */
static bool arguments_fit(struct session *s, const struct message *m, const struct entry *en,
                          json_ref args)
{
    struct schema_error e;
    struct err text;
    if (!en->spec->input ||
        !schema_validate(en->spec->input, args ? &s->doc : &s->nothing, args, SCHEMA_STEPS, &e))
        return true;
    call_count_misfit(en->instance, en->index);
    schema_error_text(&e, "arguments", &text);
    reply_tool_error(s, &m->answer, text.text, NULL);
    return false;
}

void tools_call(struct session *s, const struct message *m)
{
    struct str name;
    json_ref args = m->param[PARAM_ARGUMENTS];
    if (!message_string(s, m, m->param[PARAM_NAME], "params/name", &name))
        return;
    const struct entry *en = catalogue_find(s->host->catalogue, ENTRY_TOOL, name);
    if (!en) {
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE, "there is no tool \"%.*s\"", STR_FMT(name));
        return;
    }
    if (args && json_is(&s->doc, args, JSON_NULL))
        args = 0;
    if (args && !json_is(&s->doc, args, JSON_OBJECT)) {
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "params/arguments: expected object, found %s",
                    json_type_name(json_type(&s->doc, args)));
        return;
    }
    struct call_request rq = {.kind = MF_TOOL, .args = args ? json_raw(&s->doc, args) : STR_NONE};
    struct refusal over;
    if (!call_request_fits(en->instance, en->index, rq.args.n, &over)) {
        reply_tool_error(s, &m->answer, over.text, &over);
        return;
    }
    if (!call_answer_kept(s, m, en, &rq, finish_tool) && arguments_fit(s, m, en, args))
        call_begin(s, m, en, &rq, finish_tool);
}
