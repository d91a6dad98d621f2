#include "config/entry.h"

#include <errno.h>
#include <stdlib.h>
#include "base/map.h"
#include "config/complain.h"
#include "config/text.h"

static struct str raw(const struct manifest *m, json_ref object, const char *key)
{
    json_ref n = json_get(&m->doc.json, object, str_of(key));
    return n ? json_raw(&m->doc.json, n) : STR_NONE;
}

/* Compiles the schema at node n of the manifest. */
static int compile_schema(const struct manifest *m, json_ref n, struct schema **ret, struct err *e)
{
    struct schema_error se;
    if (schema_compile(&m->doc.json, n, ret, &se) == 0)
        return 0;
    return complain_at(&m->doc, se.node, e, "expected %s, found %s", se.expected, se.found);
}

/* What a tool without inputSchema has: the schema is the same for all of them, but each owns one.
 */
static int compile_default_input(struct entry_spec *entry, struct err *e)
{
    struct json_doc d = {0};
    struct json_error je;
    struct schema_error se;
    entry->json_input_schema = STR("{\"type\":\"object\"}");
    int r = json_read(&d, entry->json_input_schema, &json_limits_default, &je)
                ? -ENOMEM
                : schema_compile(&d, 0, &entry->input, &se);
    BUG_ON(r == -EINVAL);
    json_doc_release(&d);
    return r ? err_set(e, r, "out of memory") : 0;
}

static int read_schemas(struct manifest *m, struct entry_spec *entry, struct err *e)
{
    json_ref input = json_get(&m->doc.json, entry->node, STR("inputSchema"));
    json_ref output = json_get(&m->doc.json, entry->node, STR("outputSchema"));
    int r = 0;
    if (input) {
        entry->json_input_schema = json_raw(&m->doc.json, input);
        r = compile_schema(m, input, &entry->input, e);
        if (!r && !schema_root_is_object(entry->input, false))
            r = complain_at(&m->doc, input, e,
                            "expected a schema whose root has type: object, found another");
    } else {
        r = compile_default_input(entry, e);
    }
    if (!r && output) {
        entry->json_output_schema = json_raw(&m->doc.json, output);
        r = compile_schema(m, output, &entry->output, e);
    }
    return r;
}

struct cut_of_tool {
    struct manifest *m;
    json_ref tool;
};

static void warn_tool_cut(void *arg, const char *key, const char *was, const char *is)
{
    const struct cut_of_tool *of = arg;
    const struct json_doc *d = &of->m->doc.json;
    json_ref limits = json_get(d, of->tool, STR("limits"));
    const char *dot = strchr(key, '.');
    json_ref n = limits ? json_get(d, limits, str_of(dot + 1)) : 0;
    if (n)
        manifest_warn(of->m, &of->m->doc, n, "expected at most the plugin's %s, found %s: cut", is,
                      was);
}

static int read_tool_limits(struct manifest *m, struct entry_spec *entry, struct err *e)
{
    struct cut_of_tool of = {m, entry->node};
    json_ref limits = json_get(&m->doc.json, entry->node, STR("limits"));
    int r = limits ? limits_apply(&entry->limits, &m->doc, limits, e) : 0;
    if (!r)
        limits_cut_tool(&entry->limits, &m->instance.limits, warn_tool_cut, &of);
    return r;
}

static int read_cache(struct manifest *m, struct entry_spec *entry, struct err *e)
{
    json_ref cache = json_get(&m->doc.json, entry->node, STR("cache"));
    if (!cache)
        return 0;
    json_ref scope = json_get(&m->doc.json, cache, STR("scope"));
    entry->cached = true;
    entry->cache_scope =
        scope && json_string_eq(&m->doc.json, scope, STR("public")) ? CACHE_PUBLIC : CACHE_PRIVATE;
    return resolve_duration(&m->doc, cache, "ttl", 0, &entry->cache_ttl, e);
}

static int tool_read(struct manifest *m, struct entry_spec *entry, struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    json_ref retry = json_get(d, entry->node, STR("retry"));
    json_ref task = json_get(d, entry->node, STR("task"));
    json_ref support = task ? json_get(d, task, STR("support")) : 0;
    uint64_t unused;
    if (retry && json_string_eq(d, retry, STR("safe")))
        entry->retry = RETRY_SAFE;
    if (support)
        entry->task = json_string_eq(d, support, STR("required"))   ? TASK_REQUIRED
                      : json_string_eq(d, support, STR("optional")) ? TASK_OPTIONAL
                                                                    : TASK_FORBIDDEN;
    /* Tasks come later: until then their times are only checked. */
    int r = task ? resolve_duration(&m->doc, task, "timeout", 1000000, &unused, e) : 0;
    r = r || !task ? r : resolve_duration(&m->doc, task, "ttl", 0, &unused, e);
    r = r ? r : read_schemas(m, entry, e);
    r = r ? r : read_tool_limits(m, entry, e);
    return r ? r : resolve_duration(&m->doc, entry->node, "slow", 0, &entry->slow, e);
}

/* RFC 3986 section 3.1, and nothing in it that could not stand in a header or a log line. */
static bool is_uri(struct str s)
{
    size_t i = 0;
    for (; i < s.n && s.p[i] != ':'; i++) {
        char c = s.p[i] | 0x20;
        bool letter = c >= 'a' && c <= 'z';
        if (!letter && (i == 0 || !((s.p[i] >= '0' && s.p[i] <= '9') || strchr("+-.", s.p[i]))))
            return false;
    }
    if (i == 0 || i == s.n)
        return false;
    for (; i < s.n; i++) {
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7F)
            return false;
    }
    return true;
}

void completion_read(const struct manifest *m, struct str argument, json_ref n,
                     struct completion_spec *ret)
{
    bool values = json_is(&m->doc.json, n, JSON_ARRAY);
    *ret = (struct completion_spec){.argument = argument,
                                    .library = !values,
                                    .json_values = values ? json_raw(&m->doc.json, n) : STR_NONE};
}

static int read_completions(struct manifest *m, struct entry_spec *entry, struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    json_ref complete = json_get(d, entry->node, STR("complete"));
    if (!complete || !d->node[complete].count)
        return 0;
    if (entry->kind != ENTRY_TEMPLATE)
        return complain_at(&m->doc, complete, e,
                           "expected it beside a uriTemplate, found it beside a uri");
    entry->complete = calloc(d->node[complete].count, sizeof(*entry->complete));
    if (!entry->complete)
        return err_set(e, -ENOMEM, "%s: out of memory", m->doc.path);
    json_each_member (d, complete, k) {
        struct str argument;
        int r = text_value(&m->texts, d, k, &argument, e);
        if (r)
            return r;
        completion_read(m, argument, k + 1, &entry->complete[entry->completes++]);
    }
    return 0;
}

static int resource_read(struct manifest *m, struct entry_spec *entry, struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    json_ref uri = json_get(d, entry->node, STR("uri"));
    json_ref template = json_get(d, entry->node, STR("uriTemplate"));
    char shown[TEXT_SHOWN];
    int r = text_value(&m->texts, d, uri ? uri : template, &entry->uri, e);
    if (!r && uri && !is_uri(entry->uri))
        r = complain_at(&m->doc, uri, e, "expected a URI such as weather://stations, found %s",
                        text_quoted(entry->uri, shown));
    json_ref subscribe = json_get(d, entry->node, STR("subscribe"));
    entry->subscribe = subscribe && json_is(d, subscribe, JSON_TRUE);
    entry->json_mime_type = raw(m, entry->node, "mimeType");
    entry->json_size = raw(m, entry->node, "size");
    return r ? r : read_completions(m, entry, e);
}

static int entry_read(struct manifest *m, const struct settings *s, struct entry_spec *entry,
                      struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    entry->limits = m->instance.limits;
    entry->slow = s->log_slow;
    entry->needs_library = true;
    entry->json_title = raw(m, entry->node, "title");
    entry->json_description = raw(m, entry->node, "description");
    entry->json_icons = raw(m, entry->node, "icons");
    entry->json_annotations = raw(m, entry->node, "annotations");
    entry->json_meta = raw(m, entry->node, "_meta");
    int r = text_value(&m->texts, d, json_get(d, entry->node, STR("name")), &entry->name, e);
    r = r ? r : read_cache(m, entry, e);
    if (r)
        return r;
    switch (entry->kind) {
    case ENTRY_TOOL:
        return tool_read(m, entry, e);
    case ENTRY_PROMPT:
        return prompt_read(m, entry, e);
    default:
        return resource_read(m, entry, e);
    }
}

/* The kinds in the order of m->entry, and the key under which each stands. */
static const struct {
    enum entry_kind kind;
    const char *key, *has; /* has: the member that makes it this kind */
} kinds[] = {{ENTRY_TOOL, "tools", "name"},
             {ENTRY_RESOURCE, "resources", "uri"},
             {ENTRY_TEMPLATE, "resources", "uriTemplate"},
             {ENTRY_PROMPT, "prompts", "name"}};

/* Every resource has exactly one of the two, so that the loop over kinds meets each entry once. */
static int check_resources(const struct manifest *m, json_ref resources, struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    json_each (d, resources, it) {
        json_ref uri = json_get(d, it, STR("uri")), template = json_get(d, it, STR("uriTemplate"));
        if (uri && template)
            return complain_at(&m->doc, template, e,
                               "expected either uri or uriTemplate, found both");
        if (!uri && !template)
            return complain_at(&m->doc, it, e, "expected uri or uriTemplate, found neither");
    }
    return 0;
}

/* Same name under one key, or same URI. */
static int refuse_twins(const struct manifest *m, const char *list, const char *key, struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    json_ref array = json_get(d, 0, str_of(list));
    if (!array || d->node[array].count < 2)
        return 0;
    struct map_node *nodes = calloc(d->node[array].count, sizeof(*nodes));
    json_ref *where = calloc(d->node[array].count, sizeof(*where));
    struct map seen = {0};
    uint32_t n = 0;
    int r = nodes && where ? 0 : err_set(e, -ENOMEM, "out of memory");
    for (json_ref it = array + 1; !r && it < d->node[array].next; it = d->node[it].next) {
        json_ref value = json_get(d, it, str_of(key));
        if (!value)
            continue;
        /* Raw bytes do: the writer of the tape spells equal strings equally. */
        struct str text = json_inner(d, value);
        where[n] = value;
        if (!map_add(&seen, &nodes[n], text)) {
            char shown[TEXT_SHOWN];
            unsigned line, column;
            document_place(&m->doc, where[map_find(&seen, text) - nodes], &line, &column);
            r = complain_at(&m->doc, value, e, "expected %s once, found it here and at %u:%u",
                            text_quoted(text, shown), line, column);
        }
        n++;
    }
    map_release(&seen);
    free(nodes);
    free(where);
    return r;
}

int entries_read(struct manifest *m, const struct settings *s, struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    static const char *const unique[][2] = {{"tools", "name"},
                                            {"resources", "name"},
                                            {"resources", "uri"},
                                            {"resources", "uriTemplate"},
                                            {"prompts", "name"}};
    uint32_t total = 0;
    json_ref resources = json_get(d, 0, STR("resources"));
    int r = resources ? check_resources(m, resources, e) : 0;
    for (size_t i = 0; !r && i < sizeof(unique) / sizeof(unique[0]); i++)
        r = refuse_twins(m, unique[i][0], unique[i][1], e);
    for (size_t k = 0; k < ENTRY_KINDS; k++) {
        json_ref list = kinds[k].kind == ENTRY_TEMPLATE ? 0 : json_get(d, 0, str_of(kinds[k].key));
        total += list ? d->node[list].count : 0;
    }
    if (r || !total)
        return r;
    m->entry = calloc(total, sizeof(*m->entry));
    if (!m->entry)
        return err_set(e, -ENOMEM, "%s: out of memory", m->doc.path);
    for (size_t k = 0; k < ENTRY_KINDS; k++) {
        json_ref list = json_get(d, 0, str_of(kinds[k].key));
        for (json_ref it = list ? json_first(d, list) : 0; it && it < d->node[list].next;
             it = d->node[it].next) {
            if (!json_get(d, it, str_of(kinds[k].has)))
                continue;
            struct entry_spec *entry = &m->entry[m->entries++];
            entry->kind = kinds[k].kind;
            entry->node = it;
            r = entry_read(m, s, entry, e);
            if (r)
                return r;
        }
    }
    return 0;
}

void entry_release(struct entry_spec *entry)
{
    schema_free(entry->input);
    schema_free(entry->output);
    free(entry->argument);
    free(entry->complete);
}
