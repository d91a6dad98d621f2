#include <errno.h>
#include <stdlib.h>
#include "config/complain.h"
#include "config/entry.h"
#include "config/text.h"

/* Is there an argument of this name in front of the one whose name stands at node `name`? */
static int refuse_twin(struct manifest *m, json_ref list, json_ref name, struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    char shown[TEXT_SHOWN];
    json_each (d, list, it) {
        json_ref other = json_get(d, it, STR("name"));
        unsigned line, column;
        if (other >= name)
            break;
        if (!str_eq(json_inner(d, other), json_inner(d, name)))
            continue;
        document_place(&m->doc, other, &line, &column);
        return complain_at(&m->doc, name, e, "expected %s once, found it here and at %u:%u",
                           text_quoted(json_inner(d, name), shown), line, column);
    }
    return 0;
}

static int read_arguments(struct manifest *m, struct entry_spec *entry, json_ref list,
                          struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    entry->argument = calloc(d->node[list].count, sizeof(*entry->argument));
    entry->complete = calloc(d->node[list].count, sizeof(*entry->complete));
    if (!entry->argument || !entry->complete)
        return err_set(e, -ENOMEM, "%s: out of memory", m->doc.path);
    json_each (d, list, it) {
        json_ref name = json_get(d, it, STR("name")), required = json_get(d, it, STR("required"));
        json_ref complete = json_get(d, it, STR("complete"));
        struct prompt_argument *argument = &entry->argument[entry->arguments];
        int r = text_value(&m->texts, d, name, &argument->name, e);
        if (r)
            return r;
        argument->required = required && json_is(d, required, JSON_TRUE);
        r = refuse_twin(m, list, name, e);
        if (r)
            return r;
        entry->arguments++;
        if (complete)
            completion_read(m, argument->name, complete, &entry->complete[entry->completes++]);
    }
    return 0;
}

/* The array as clients may see it: our `complete` is left out. */
static int write_arguments(struct manifest *m, struct entry_spec *entry, json_ref list,
                           struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    struct buf out = BUF_INIT(d->len);
    if (!entry->completes) {
        entry->json_arguments = json_raw(d, list);
        return 0;
    }
    buf_byte(&out, '[');
    json_each (d, list, it) {
        buf_str(&out, it == list + 1 ? STR("{") : STR(",{"));
        bool first = true;
        json_each_member (d, it, k) {
            if (json_string_eq(d, k, STR("complete")))
                continue;
            if (!first)
                buf_byte(&out, ',');
            first = false;
            buf_str(&out, json_raw(d, k));
            buf_byte(&out, ':');
            buf_str(&out, json_raw(d, k + 1));
        }
        buf_byte(&out, '}');
    }
    buf_byte(&out, ']');
    int r = out.failed ? err_set(e, out.failed, "%s: out of memory", m->doc.path)
                       : text_keep(&m->texts, buf_view(&out), &entry->json_arguments, e);
    buf_release(&out);
    return r;
}

static bool is_argument(const struct entry_spec *entry, struct str name)
{
    for (uint32_t i = 0; i < entry->arguments; i++) {
        if (str_eq(entry->argument[i].name, name))
            return true;
    }
    return false;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return false;
    }
    return s.n > 0;
}

/* {{x}} stays as it is when no argument is called x: most likely a slip, maybe meant. */
static void warn_unknown(struct manifest *m, const struct entry_spec *entry, json_ref text)
{
    struct str s = json_inner(&m->doc.json, text);
    char shown[TEXT_SHOWN];
    for (const char *open; (open = memmem(s.p, s.n, "{{", 2));) {
        s = (struct str){open + 2, s.n - (size_t)(open + 2 - s.p)};
        const char *close = memmem(s.p, s.n, "}}", 2);
        struct str name = {s.p, close ? (size_t)(close - s.p) : 0};
        if (is_name(name) && !is_argument(entry, name))
            manifest_warn(m, &m->doc, text, "expected the name of an argument in {{ }}, found %s",
                          text_quoted(name, shown));
    }
}

int prompt_read(struct manifest *m, struct entry_spec *entry, struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    json_ref arguments = json_get(d, entry->node, STR("arguments"));
    json_ref messages = json_get(d, entry->node, STR("messages"));
    int r = 0;
    if (arguments && d->node[arguments].count) {
        r = read_arguments(m, entry, arguments, e);
        r = r ? r : write_arguments(m, entry, arguments, e);
    }
    if (r || !messages)
        return r;
    entry->needs_library = false;
    entry->json_messages = json_raw(d, messages);
    json_each (d, messages, it)
        warn_unknown(m, entry, json_get(d, it, STR("text")));
    return 0;
}
