/* What older revisions can't say, said in what they can (docs/internals/protocol.md).  Only the
 * answers of clients that need it are read again. */
#include "mcp/internal.h"

#include <errno.h>

/* A resource_link to a client that has none: the model still reads name and address. */
static void write_link_as_text(const struct json_doc *d, json_ref block, struct buf *b)
{
    json_ref name = json_get(d, block, STR("title")), uri = json_get(d, block, STR("uri"));
    if (!name || !json_is(d, name, JSON_STRING))
        name = json_get(d, block, STR("name"));
    buf_lit(b, "{\"type\":\"text\",\"text\":\"");
    if (name && json_is(d, name, JSON_STRING))
        buf_str(b, json_inner(d, name));
    buf_lit(b, ": ");
    if (uri && json_is(d, uri, JSON_STRING))
        buf_str(b, json_inner(d, uri));
    buf_lit(b, "\"}");
}

/* Audio to a client that has none: the bytes as an embedded resource, named by their place. */
static void write_audio_as_resource(const struct json_doc *d, json_ref block, uint32_t place,
                                    struct buf *b)
{
    json_ref type = json_get(d, block, STR("mimeType")), data = json_get(d, block, STR("data"));
    buf_lit(b, "{\"type\":\"resource\",\"resource\":{\"uri\":\"manifold://content/");
    json_write_int(b, place);
    buf_lit(b, "\"");
    if (type) {
        buf_lit(b, ",\"mimeType\":");
        buf_str(b, json_raw(d, type));
    }
    buf_lit(b, ",\"blob\":");
    buf_str(b, data ? json_raw(d, data) : STR("\"\""));
    buf_lit(b, "}}");
}

/* The object without its _meta. */
static void write_bare(const struct json_doc *d, json_ref object, struct buf *b)
{
    bool first = true;
    if (!json_get(d, object, STR("_meta"))) {
        buf_str(b, json_raw(d, object));
        return;
    }
    buf_byte(b, '{');
    json_each_member (d, object, k) {
        if (json_string_eq(d, k, STR("_meta")))
            continue;
        if (!first)
            buf_byte(b, ',');
        first = false;
        buf_str(b, json_raw(d, k));
        buf_byte(b, ':');
        buf_str(b, json_raw(d, k + 1));
    }
    buf_byte(b, '}');
}

static void write_block(const struct json_doc *d, json_ref block, uint32_t place,
                        enum revision revision, struct buf *b)
{
    json_ref type = json_get(d, block, STR("type"));
    if (type && revision < R_2025_06_18 && json_string_eq(d, type, STR("resource_link")))
        write_link_as_text(d, block, b);
    else if (type && revision < R_2025_03_26 && json_string_eq(d, type, STR("audio")))
        write_audio_as_resource(d, block, place, b);
    else if (type)
        write_bare(d, block, b);
    else
        buf_str(b, json_raw(d, block));
}

static void write_message(const struct json_doc *d, json_ref message, uint32_t place,
                          enum revision revision, struct buf *b)
{
    bool first = true;
    if (!json_is(d, message, JSON_OBJECT)) {
        buf_str(b, json_raw(d, message));
        return;
    }
    buf_byte(b, '{');
    json_each_member (d, message, k) {
        if (!first)
            buf_byte(b, ',');
        first = false;
        buf_str(b, json_raw(d, k));
        buf_byte(b, ':');
        if (json_string_eq(d, k, STR("content")))
            write_block(d, k + 1, place, revision, b);
        else
            buf_str(b, json_raw(d, k + 1));
    }
    buf_byte(b, '}');
}

/* The items are JSON that was accepted before, so that only memory may be missing. */
static void convert(struct session *s, struct str items, enum revision revision, struct buf *b,
                    void (*write)(const struct json_doc *d, json_ref n, uint32_t place,
                                  enum revision revision, struct buf *b))
{
    struct json_limits limits = {.bytes = 64u << 20, .depth = 128, .nodes = 1000000};
    struct json_error e;
    struct buf text = BUF_INIT(items.n + 2);
    uint32_t place = 0;
    buf_lit(&text, "[");
    buf_str(&text, items);
    buf_lit(&text, "]");
    if (text.failed || json_read(&s->aux, buf_view(&text), &limits, &e)) {
        b->failed = -ENOMEM;
    } else {
        json_each (&s->aux, 0, n) {
            if (place++)
                buf_byte(b, ',');
            write(&s->aux, n, place, revision, b);
        }
    }
    buf_release(&text);
    json_doc_trim(&s->aux, TAPE_KEEP);
}

void downconvert_blocks(struct session *s, struct str items, enum revision revision, struct buf *b)
{
    convert(s, items, revision, b, write_block);
}

void downconvert_messages(struct session *s, struct str items, enum revision revision,
                          struct buf *b)
{
    convert(s, items, revision, b, write_message);
}
