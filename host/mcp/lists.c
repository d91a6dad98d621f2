/* tools/list, resources/list, resources/templates/list, prompts/list: results prepared once for a
 * catalogue and revision, so that an answer is the id and one copy. */
#include "mcp/internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum { LIST_BYTES = 256 << 20, CURSOR_MAX = 40 };

/* What members an entry has, in which order, and from which revision on. */
struct field {
    struct str key;
    size_t offset; /* of a struct str with raw JSON in struct entry_spec */
    enum revision since;
};
#define FIELD(key, member, since)                                                      \
    {                                                                                  \
        {",\"" key "\":", sizeof(key) + 3}, offsetof(struct entry_spec, member), since \
    }

static const struct field tool_fields[] = {
    FIELD("title", json_title, R_2025_06_18),
    FIELD("description", json_description, R_2024_10_07),
    FIELD("inputSchema", json_input_schema, R_2024_10_07),
    FIELD("outputSchema", json_output_schema, R_2025_06_18),
    FIELD("annotations", json_annotations, R_2025_03_26),
    FIELD("icons", json_icons, R_2025_11_25),
    FIELD("_meta", json_meta, R_2025_06_18),
};
static const struct field resource_fields[] = {
    FIELD("title", json_title, R_2025_06_18),
    FIELD("description", json_description, R_2024_10_07),
    FIELD("mimeType", json_mime_type, R_2024_10_07),
    FIELD("size", json_size, R_2024_10_07),
    FIELD("annotations", json_annotations, R_2024_10_07),
    FIELD("icons", json_icons, R_2025_11_25),
    FIELD("_meta", json_meta, R_2025_06_18),
};
static const struct field prompt_fields[] = {
    FIELD("title", json_title, R_2025_06_18),
    FIELD("description", json_description, R_2024_10_07),
    FIELD("arguments", json_arguments, R_2024_10_07),
    FIELD("icons", json_icons, R_2025_11_25),
    FIELD("_meta", json_meta, R_2025_06_18),
};

#define FIELDS(f) f, sizeof(f) / sizeof((f)[0])
static const struct kind {
    struct str name; /* of the array in the result */
    struct str uri;  /* the member for spec.uri, if there is one */
    char cursor;     /* so that a cursor of one list does not fit another */
    const struct field *field;
    size_t fields;
} kinds[ENTRY_KINDS] = {
    [ENTRY_TOOL] = {{"tools", 5}, {NULL, 0}, 't', FIELDS(tool_fields)},
    [ENTRY_RESOURCE] = {{"resources", 9}, {"uri", 3}, 'r', FIELDS(resource_fields)},
    [ENTRY_TEMPLATE] = {{"resourceTemplates", 17},
                        {"uriTemplate", 11},
                        'u',
                        FIELDS(resource_fields)},
    [ENTRY_PROMPT] = {{"prompts", 7}, {NULL, 0}, 'p', FIELDS(prompt_fields)},
};

static void write_field(struct buf *b, const struct entry_spec *spec, const struct field *f,
                        enum revision revision)
{
    const struct str *raw = (const struct str *)(const void *)((const char *)spec + f->offset);
    if (!raw->n || revision < f->since)
        return;
    buf_str(b, f->key);
    if (raw == &spec->json_output_schema && outschema_wraps(spec, revision, STR_NONE))
        outschema_wrap(*raw, b);
    else
        json_write_compact(b, *raw);
}

static void write_entry(struct buf *b, const struct kind *k, const struct entry *en,
                        enum revision revision)
{
    buf_lit(b, "{\"name\":");
    json_write_string(b, str_of(en->name));
    if (k->uri.n) {
        buf_lit(b, ",\"");
        buf_str(b, k->uri);
        buf_lit(b, "\":");
        json_write_string(b, en->spec->uri);
    }
    for (size_t i = 0; i < k->fields; i++)
        write_field(b, en->spec, &k->field[i], revision);
    buf_byte(b, '}');
}

/* --- cursors: opaque to clients, checked against the list as it is now --- */

static void cursor_write(const struct catalogue *c, enum entry_kind kind, uint32_t first,
                         char out[CURSOR_MAX])
{
    snprintf(out, CURSOR_MAX, "%c%016" PRIx64 "-%" PRIu32, kinds[kind].cursor, c->digest[kind],
             first);
}

/* NULL: it is none that this list has given out. */
static const struct page *cursor_find(const struct listing *l, enum entry_kind kind,
                                      struct str cursor)
{
    char text[CURSOR_MAX];
    for (uint32_t i = 1; i < l->pages; i++) {
        cursor_write(l->of, kind, l->page[i].first, text);
        if (str_eq(cursor, str_of(text)))
            return &l->page[i];
    }
    return NULL;
}

/* --- preparing --- */

void listing_release(struct listing *l)
{
    buf_release(&l->bytes);
    free(l->page);
    *l = (struct listing){0};
}

bool listing_current(const struct session *s, struct listing *l)
{
    const struct catalogue *c = s->host->catalogue;
    if (l->of == c && l->number == c->number)
        return true;
    listing_release(l);
    buf_init(&l->bytes, LIST_BYTES);
    l->of = c;
    l->number = c->number;
    return false;
}

/* Entries from `first` on, up to the limits of a page; returns the one behind them. */
static uint32_t write_page(const struct session *s, struct buf *b, enum entry_kind kind,
                           enum revision revision, uint32_t first)
{
    const struct catalogue *c = s->host->catalogue;
    const struct kind *k = &kinds[kind];
    struct answer a = {.revision = revision};
    size_t start = b->len;
    uint32_t i = first;
    buf_lit(b, "{\"");
    buf_str(b, k->name);
    buf_lit(b, "\":[");
    while (i < c->count[kind] && i - first < PAGE_ENTRIES && b->len - start < PAGE_BYTES) {
        if (i > first)
            buf_byte(b, ',');
        write_entry(b, k, &c->entry[kind][i++], revision);
    }
    buf_byte(b, ']');
    if (i < c->count[kind]) {
        char cursor[CURSOR_MAX];
        cursor_write(c, kind, i, cursor);
        buf_lit(b, ",\"nextCursor\":");
        json_write_string(b, str_of(cursor));
    }
    reply_cache(&a, b, c->ttl_ms, c->scope);
    reply_tail(s, revision, b, STR_NONE);
    return i;
}

/* False: there is no memory for it; it is tried again for the next request. */
static bool prepare(struct session *s, struct listing *l, enum entry_kind kind,
                    enum revision revision)
{
    if (listing_current(s, l))
        return true;
    const struct catalogue *c = s->host->catalogue;
    l->page = calloc(c->count[kind] + 1, sizeof(*l->page));
    if (!l->page) {
        listing_release(l);
        return false;
    }
    uint32_t first = 0;
    do {
        struct page *p = &l->page[l->pages++];
        p->first = first;
        p->off = l->bytes.len;
        first = write_page(s, &l->bytes, kind, revision, first);
        p->len = l->bytes.len - p->off;
    } while (first < c->count[kind]);
    if (!l->bytes.failed)
        return true;
    listing_release(l);
    return false;
}

static void list(struct session *s, const struct message *m, enum entry_kind kind)
{
    enum revision revision = m->answer.revision;
    struct listing *l = &s->list[kind][revision];
    if (!prepare(s, l, kind, revision)) {
        reply_error(&m->answer, ERROR_INTERNAL, STR_NONE, "the host is out of memory for the list");
        return;
    }
    const struct page *p = &l->page[0];
    json_ref n = m->param[PARAM_CURSOR];
    if (n && !json_is(&s->doc, n, JSON_NULL)) {
        struct str cursor;
        if (!message_string(s, m, n, "params/cursor", &cursor))
            return;
        p = cursor_find(l, kind, cursor);
        if (!p) {
            reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                        "params/cursor: expected the nextCursor of this list as it is now, "
                        "found \"%.*s\"; begin without a cursor",
                        STR_FMT(cursor));
            return;
        }
    }
    reply_raw(&m->answer, (struct str){l->bytes.data + p->off, p->len});
}

void tools_list(struct session *s, const struct message *m)
{
    list(s, m, ENTRY_TOOL);
}

void resources_list(struct session *s, const struct message *m)
{
    list(s, m, ENTRY_RESOURCE);
}

void templates_list(struct session *s, const struct message *m)
{
    list(s, m, ENTRY_TEMPLATE);
}

void prompts_list(struct session *s, const struct message *m)
{
    list(s, m, ENTRY_PROMPT);
}
