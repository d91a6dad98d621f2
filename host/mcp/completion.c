/* completion/complete: values of the manifest by prefix, or what the library says
 * (server/utilities/completion.mdx). */
#include "mcp/internal.h"

#include <errno.h>
#include <inttypes.h>

static void write_more(struct buf *b, int64_t total, bool more)
{
    if (total >= 0) {
        buf_lit(b, ",\"total\":");
        json_write_int(b, total);
    }
    buf_str(b, more ? STR(",\"hasMore\":true}") : STR(",\"hasMore\":false}"));
}

/* --- from the library --- */

/* Copies at most COMPLETIONS_MAX values of session.aux; false when one is no string. */
static bool write_values(const struct json_doc *d, json_ref values, struct buf *b)
{
    uint32_t n = 0;
    buf_lit(b, "{\"values\":[");
    json_each (d, values, v) {
        if (!json_is(d, v, JSON_STRING))
            return false;
        if (n++ >= COMPLETIONS_MAX)
            continue;
        if (n > 1)
            buf_byte(b, ',');
        buf_str(b, json_raw(d, v));
    }
    buf_byte(b, ']');
    return true;
}

/* {"values":[..],"total":n,"hasMore":b}, checked and cut.  False: it is something else. */
static bool write_completion(struct session *s, struct str structured, struct buf *b)
{
    const struct json_doc *d = &s->aux;
    struct json_limits limits = json_limits_default;
    struct json_error e;
    limits.bytes = 64u << 20;
    int r = json_read(&s->aux, structured, &limits, &e);
    if (r && e.kind == JSON_NO_MEMORY) {
        b->failed = -ENOMEM;
        return false;
    }
    if (r || !json_is(d, 0, JSON_OBJECT))
        return false;
    json_ref values = json_get(d, 0, STR("values")), total = json_get(d, 0, STR("total"));
    json_ref more = json_get(d, 0, STR("hasMore"));
    if (!values || !json_is(d, values, JSON_ARRAY) || !write_values(d, values, b))
        return false;
    uint32_t count = d->node[values].count;
    int64_t sum = -1;
    if (total && (!json_int(d, total, &sum) || sum < 0))
        sum = -1;
    if (count > COMPLETIONS_MAX && sum < (int64_t)count)
        sum = count;
    write_more(b, sum, count > COMPLETIONS_MAX || (more && json_is(d, more, JSON_TRUE)));
    return true;
}

static void finish_completion(struct request *r, const struct outcome *o)
{
    struct session *s = r->session;
    if (finish_failed(r, o))
        return;
    struct buf made = BUF_INIT(o->structured.n + 256);
    bool good = true;
    if (o->structured.n)
        good = write_completion(s, o->structured, &made) && !made.failed;
    else
        buf_lit(&made, "{\"values\":[],\"hasMore\":false}");
    if (good) {
        struct buf *b = reply_begin(&r->answer, made.len);
        buf_lit(b, "\"completion\":");
        buf_str(b, buf_view(&made));
        reply_end(s, &r->answer, b, STR_NONE);
    } else if (made.failed) {
        reply_error(&r->answer, ERROR_INTERNAL, STR_NONE, "the host is out of memory for this");
    } else {
        reply_error(&r->answer, ERROR_INTERNAL, STR_NONE,
                    "expected {\"values\":[strings],\"total\":integer,\"hasMore\":boolean} of the "
                    "plugin, found something else");
    }
    buf_release(&made);
    json_doc_trim(&s->aux, TAPE_KEEP);
}

/* --- from the manifest --- */

static void answer_from_values(struct session *s, const struct message *m, struct str json_values,
                               struct str prefix)
{
    const struct json_doc *d = &s->aux;
    struct json_error e;
    int64_t total = 0;
    if (json_read(&s->aux, json_values, &json_limits_default, &e)) {
        reply_error(&m->answer, ERROR_INTERNAL, STR_NONE, "the values don't read: %s", e.text);
        return;
    }
    struct buf *b = reply_begin(&m->answer, 4096);
    buf_lit(b, "\"completion\":{\"values\":[");
    json_each (d, 0, v) {
        s->made.len = 0;
        if (!json_is(d, v, JSON_STRING) || !str_starts(json_string(d, v, &s->made), prefix))
            continue;
        if (total++ >= COMPLETIONS_MAX)
            continue;
        if (total > 1)
            buf_byte(b, ',');
        buf_str(b, json_raw(d, v));
    }
    if (s->made.failed) /* not every value could be compared: then none is offered */
        b->failed = s->made.failed;
    buf_byte(b, ']');
    write_more(b, total, total > COMPLETIONS_MAX);
    reply_end(s, &m->answer, b, STR_NONE);
}

/* --- what is asked for --- */

/* NULL: answered.  A template is named by its text; a plain resource has nothing to complete, but
 * it is there. */
static const struct entry *find_ref(struct session *s, const struct message *m)
{
    const struct json_doc *d = &s->doc;
    const struct catalogue *c = s->host->catalogue;
    json_ref ref = m->param[PARAM_REF];
    json_ref type = ref ? json_get(d, ref, STR("type")) : 0;
    const struct entry *en = NULL;
    struct str key = STR_NONE;
    if (type && json_string_eq(d, type, STR("ref/prompt"))) {
        if (!message_string(s, m, json_get(d, ref, STR("name")), "params/ref/name", &key))
            return NULL;
        en = catalogue_find(c, ENTRY_PROMPT, key);
    } else if (type && json_string_eq(d, type, STR("ref/resource"))) {
        if (!message_string(s, m, json_get(d, ref, STR("uri")), "params/ref/uri", &key))
            return NULL;
        en = catalogue_find(c, ENTRY_TEMPLATE, key);
        if (!en)
            en = catalogue_find(c, ENTRY_RESOURCE, key);
    } else {
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "params/ref/type: expected \"ref/prompt\" or \"ref/resource\", found %.*s",
                    STR_FMT(type ? json_raw(d, type) : STR("nothing")));
        return NULL;
    }
    if (!en)
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "params/ref: there is no prompt or resource template \"%.*s\"", STR_FMT(key));
    return en;
}

static const struct completion_spec *find_spec(const struct session *s, const struct entry *en,
                                               json_ref name)
{
    for (uint32_t i = 0; i < en->spec->completes; i++) {
        if (json_string_eq(&s->doc, name, en->spec->complete[i].argument))
            return &en->spec->complete[i];
    }
    return NULL;
}

static void ask_library(struct session *s, const struct message *m, const struct entry *en)
{
    json_ref context = m->param[PARAM_CONTEXT];
    struct buf *b = &s->vars;
    struct refusal over;
    buf_clear(b, SCRATCH_KEEP);
    buf_lit(b, "{\"argument\":");
    buf_str(b, json_raw(&s->doc, m->param[PARAM_ARGUMENT]));
    buf_lit(b, ",\"context\":");
    buf_str(b, context && json_is(&s->doc, context, JSON_OBJECT) ? json_raw(&s->doc, context)
                                                                 : STR("{}"));
    buf_lit(b, "}");
    if (b->failed) {
        reply_error(&m->answer, ERROR_INTERNAL, STR_NONE,
                    "params/argument: the host is out of memory for it");
        return;
    }
    struct call_request rq = {.kind = MF_COMPLETION, .args = buf_view(b)};
    if (!call_request_fits(en->instance, en->index, rq.args.n, &over))
        reply_refusal(&m->answer, &over);
    else
        call_begin(s, m, en, &rq, finish_completion);
}

void completion_complete(struct session *s, const struct message *m)
{
    const struct json_doc *d = &s->doc;
    const struct entry *en = find_ref(s, m);
    json_ref argument = m->param[PARAM_ARGUMENT];
    if (!en)
        return;
    json_ref name = argument ? json_get(d, argument, STR("name")) : 0;
    struct str prefix;
    if (!name || !json_is(d, name, JSON_STRING)) {
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "params/argument/name: expected string, found %s",
                    name ? json_type_name(json_type(d, name)) : "nothing");
        return;
    }
    if (!message_string(s, m, json_get(d, argument, STR("value")), "params/argument/value",
                        &prefix))
        return;
    const struct completion_spec *spec = find_spec(s, en, name);
    if (spec && spec->library)
        ask_library(s, m, en);
    else
        answer_from_values(s, m, spec ? spec->json_values : STR("[]"), prefix);
}
