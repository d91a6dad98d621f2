/* prompts/get: from the library, or from the messages in the manifest (server/prompts.mdx). */
#include "mcp/internal.h"

static void finish_prompt(struct request *r, const struct outcome *o)
{
    const struct answer *a = &r->answer;
    if (finish_failed(r, o))
        return;
    struct buf *b = reply_begin(a, o->items.n + r->spec->json_description.n);
    if (r->spec->json_description.n) {
        buf_lit(b, "\"description\":");
        json_write_compact(b, r->spec->json_description);
        buf_byte(b, ',');
    }
    buf_lit(b, "\"messages\":[");
    if (a->revision >= R_2025_06_18)
        buf_str(b, o->items);
    else
        downconvert_messages(r->session, o->items, a->revision, b);
    buf_lit(b, "]");
    reply_end(r->session, a, b, STR_NONE);
}

/* --- the arguments --- */

/* All strings, the required ones there; unknown ones do no harm.  False: answered. */
static bool arguments_valid(struct session *s, const struct message *m,
                            const struct entry_spec *spec, json_ref args)
{
    const struct json_doc *d = &s->doc;
    if (args && !json_is(d, args, JSON_OBJECT)) {
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "params/arguments: expected object, found %s",
                    json_type_name(json_type(d, args)));
        return false;
    }
    for (uint32_t i = 0; i < spec->arguments; i++) {
        const struct prompt_argument *p = &spec->argument[i];
        json_ref n = args ? json_get(d, args, p->name) : 0;
        if (n ? json_is(d, n, JSON_STRING) : !p->required)
            continue;
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "params/arguments/%.*s: expected string, found %s", STR_FMT(p->name),
                    n ? json_type_name(json_type(d, n)) : "nothing");
        return false;
    }
    return true;
}

/* --- messages of the manifest --- */

static bool is_argument(const struct entry_spec *spec, struct str name)
{
    for (uint32_t i = 0; i < spec->arguments; i++) {
        if (str_eq(spec->argument[i].name, name))
            return true;
    }
    return false;
}

/* Template and value are JSON string contents, escapes and all, so that a value is spliced as it
 * came: it can't end the string, and it is not looked at again.  An absent argument is empty; what
 * is in braces but is no argument stays. */
static void write_replaced(const struct session *s, const struct entry_spec *spec, json_ref args,
                           struct str text, struct buf *b)
{
    const char *p = text.p, *end = text.p + text.n;
    while (p < end) {
        const char *open = memmem(p, (size_t)(end - p), "{{", 2);
        const char *close = open ? memmem(open + 2, (size_t)(end - open - 2), "}}", 2) : NULL;
        if (!close)
            break;
        struct str name = {open + 2, (size_t)(close - open - 2)};
        while (name.n && *name.p == ' ')
            name = (struct str){name.p + 1, name.n - 1};
        while (name.n && name.p[name.n - 1] == ' ')
            name.n--;
        if (!is_argument(spec, name)) {
            buf_append(b, p, (size_t)(open + 1 - p));
            p = open + 1;
            continue;
        }
        buf_append(b, p, (size_t)(open - p));
        json_ref n = args ? json_get(&s->doc, args, name) : 0;
        if (n)
            buf_str(b, json_inner(&s->doc, n));
        p = close + 2;
    }
    buf_append(b, p, (size_t)(end - p));
}

static void write_messages(struct session *s, const struct entry_spec *spec, json_ref args,
                           struct buf *b)
{
    const struct json_doc *d = &s->aux;
    bool first = true;
    json_each (d, 0, n) {
        json_ref role = json_get(d, n, STR("role")), text = json_get(d, n, STR("text"));
        if (!role || !text)
            continue;
        buf_str(b, first ? STR("{\"role\":") : STR(",{\"role\":"));
        buf_str(b, json_raw(d, role));
        buf_lit(b, ",\"content\":{\"type\":\"text\",\"text\":\"");
        write_replaced(s, spec, args, json_inner(d, text), b);
        buf_lit(b, "\"}}");
        first = false;
    }
}

static void answer_from_manifest(struct session *s, const struct message *m,
                                 const struct entry_spec *spec, json_ref args)
{
    struct json_error e;
    if (json_read(&s->aux, spec->json_messages, &json_limits_default, &e)) {
        reply_error(&m->answer, ERROR_INTERNAL, STR_NONE,
                    "the messages of prompt %.*s don't read: %s", STR_FMT(spec->name), e.text);
        return;
    }
    struct buf *b = reply_begin(&m->answer, spec->json_messages.n);
    if (spec->json_description.n) {
        buf_lit(b, "\"description\":");
        json_write_compact(b, spec->json_description);
        buf_byte(b, ',');
    }
    buf_lit(b, "\"messages\":[");
    write_messages(s, spec, args, b);
    buf_lit(b, "]");
    reply_end(s, &m->answer, b, STR_NONE);
}

void prompts_get(struct session *s, const struct message *m)
{
    struct str name;
    json_ref args = m->param[PARAM_ARGUMENTS];
    if (!message_string(s, m, m->param[PARAM_NAME], "params/name", &name))
        return;
    const struct entry *en = catalogue_find(s->host->catalogue, ENTRY_PROMPT, name);
    if (!en) {
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE, "there is no prompt \"%.*s\"",
                    STR_FMT(name));
        return;
    }
    if (args && json_is(&s->doc, args, JSON_NULL))
        args = 0;
    if (!arguments_valid(s, m, en->spec, args))
        return;
    struct call_request rq = {.kind = MF_PROMPT, .args = args ? json_raw(&s->doc, args) : STR_NONE};
    struct refusal over;
    if (!call_request_fits(en->instance, en->index, rq.args.n, &over))
        reply_refusal(&m->answer, &over);
    else if (en->spec->json_messages.n)
        answer_from_manifest(s, m, en->spec, args);
    else
        call_begin(s, m, en, &rq, finish_prompt);
}
