/* A result grows as JSON text in one bounded buffer; nothing is parsed twice and
 * nothing is serialised again.  With the call's lock held. */
#include "engine/internal.h"

#include <errno.h>
#include "json/writer.h"

/* Reading JSON that a plugin gave needs a tape.  The loop has one for itself,
 * all other threads share one: their JSON is rare and short. */
static struct {
    struct json_doc loop, shared;
    pthread_mutex_t lock;
} docs = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const struct json_limits plugin_json = {
    .bytes = 64u * 1024 * 1024, .depth = 64, .nodes = 1000000, .duplicates = false};

static struct json_doc *doc_take(const struct call *c)
{
    if (on_loop(c->engine))
        return &docs.loop;
    pthread_mutex_lock(&docs.lock);
    return &docs.shared;
}

static void doc_give(struct json_doc *d)
{
    json_doc_trim(d, 64 * 1024);
    if (d == &docs.shared)
        pthread_mutex_unlock(&docs.lock);
}

void result_docs_release(void)
{
    json_doc_release(&docs.loop);
    json_doc_release(&docs.shared);
}

/* Remembers that the result is not whole, and says so to the plugin. */
static mf_status status_of(struct call *c, int error)
{
    switch (error) {
    case 0:
        return MF_OK;
    case -ENOBUFS:
        c->result.over = true;
        return MF_ELIMIT;
    case -ENOMEM:
        c->result.no_memory = true;
        return MF_ENOMEM;
    default:
        return MF_EINVAL;
    }
}

static bool no_room(struct call *c, size_t n)
{
    struct result *r = &c->result;
    return r->items.len + r->structured.len + n > r->limit;
}

static void begin_item(struct call *c)
{
    if (c->result.items.len)
        buf_byte(&c->result.items, ',');
}

/* {"uri":...,"mimeType":..., of a resource's contents */
static void begin_contents(struct call *c)
{
    struct buf *b = &c->result.items;
    begin_item(c);
    buf_lit(b, "{\"uri\":");
    json_write_string(b, c->uri);
    if (c->spec->json_mime_type.n) {
        buf_lit(b, ",\"mimeType\":");
        buf_str(b, c->spec->json_mime_type);
    }
}

void result_close(struct call *c)
{
    struct result *r = &c->result;
    struct buf *b = &r->items;
    if (r->blob_open) {
        base64_append(b, (struct str){(const char *)r->carry, r->carried});
        r->carried = 0;
        buf_lit(b, "\"}");
    } else if (r->text_open && c->kind == MF_PROMPT) {
        buf_lit(b, "\"}}");
    } else if (r->text_open) {
        buf_lit(b, "\"}");
    }
    r->text_open = r->blob_open = false;
}

static void open_text(struct call *c)
{
    struct buf *b = &c->result.items;
    if (c->kind == MF_RESOURCE) {
        begin_contents(c);
        buf_lit(b, ",\"text\":\"");
    } else {
        begin_item(c);
        if (c->kind == MF_PROMPT)
            buf_lit(b, "{\"role\":\"user\",\"content\":{\"type\":\"text\",\"text\":\"");
        else
            buf_lit(b, "{\"type\":\"text\",\"text\":\"");
    }
    c->result.text_open = true;
}

mf_status result_text(struct call *c, mf_bytes text)
{
    struct buf *b = &c->result.items;
    if (c->kind == MF_COMPLETION || (text.len && !text.data))
        return MF_EINVAL;
    if (no_room(c, text.len))
        return status_of(c, -ENOBUFS);
    bool fresh = !c->result.text_open;
    if (fresh)
        result_close(c);
    size_t before = b->len;
    if (fresh)
        open_text(c);
    int r = json_write_escaped(b, (struct str){text.data, text.len}, false);
    if (r == -EILSEQ && fresh) { /* refused text leaves no empty block behind */
        b->len = before;
        c->result.text_open = false;
    }
    return status_of(c, r ? r : b->failed);
}

mf_status result_blob(struct call *c, mf_bytes raw)
{
    struct result *r = &c->result;
    struct buf *b = &r->items;
    if (c->kind != MF_RESOURCE || (raw.len && !raw.data))
        return MF_EINVAL;
    if (no_room(c, raw.len))
        return status_of(c, -ENOBUFS);
    if (!r->blob_open) {
        result_close(c);
        begin_contents(c);
        buf_lit(b, ",\"blob\":\"");
        r->blob_open = true;
    }
    /* Base64 goes by three bytes: what is left over waits for the next piece. */
    while (r->carried && r->carried < 3 && raw.len) {
        unsigned char three[3] = {r->carry[0], r->carry[1], 0};
        three[r->carried] = (unsigned char)*raw.data;
        raw.data++;
        raw.len--;
        if (r->carried == 2) {
            base64_append(b, (struct str){(const char *)three, 3});
            r->carried = 0;
        } else {
            r->carry[r->carried++] = three[1];
        }
    }
    size_t rest = raw.len % 3;
    base64_append(b, (struct str){raw.data, raw.len - rest});
    for (size_t i = 0; i < rest; i++)
        r->carry[r->carried++] = (unsigned char)raw.data[raw.len - rest + i];
    return status_of(c, b->failed);
}

/* Reads JSON of the plugin; 0, or MF_EINVAL with a line in the log. */
static mf_status read_json(struct call *c, struct json_doc *d, mf_bytes json, const char *what)
{
    struct json_error e;
    struct str text = {json.data, json.data ? json.len : 0};
    if (!json_read(d, text, &plugin_json, &e))
        return MF_OK;
    if (e.kind == JSON_NO_MEMORY)
        return status_of(c, -ENOMEM);
    log_line(LOG_WARN, c->instance->name, "%.*s: %s is not JSON: %s", STR_FMT(c->spec->name), what,
             e.text);
    return MF_EINVAL;
}

mf_status result_block(struct call *c, mf_bytes json)
{
    struct buf *b = &c->result.items;
    if (c->kind == MF_COMPLETION)
        return MF_EINVAL;
    if (no_room(c, json.len))
        return status_of(c, -ENOBUFS);
    struct json_doc *d = doc_take(c);
    mf_status s = read_json(c, d, json, "block()");
    if (!s && !json_is(d, 0, JSON_OBJECT))
        s = MF_EINVAL;
    if (!s) {
        result_close(c);
        begin_item(c);
        int r = json_write_compact(b, json_raw(d, 0));
        s = status_of(c, r ? r : b->failed);
    }
    doc_give(d);
    return s;
}

mf_status result_structured(struct call *c, mf_bytes json)
{
    struct result *r = &c->result;
    struct buf *b = &r->structured;
    if (c->kind != MF_TOOL && c->kind != MF_COMPLETION)
        return MF_EINVAL;
    buf_clear(b, SIZE_MAX);
    r->structured_bad = false;
    if (no_room(c, json.len))
        return status_of(c, -ENOBUFS);
    struct json_doc *d = doc_take(c);
    mf_status s = read_json(c, d, json, "structured()");
    struct schema_error e;
    if (s) {
        r->structured_bad = true;
    } else if (c->kind == MF_TOOL && c->spec->output &&
               schema_validate(c->spec->output, d, 0, SCHEMA_STEPS, &e)) {
        struct err text;
        schema_error_text(&e, "structured", &text);
        log_line(LOG_WARN, c->instance->name, "%.*s: %s", STR_FMT(c->spec->name), text.text);
        r->structured_bad = true;
        s = MF_EINVAL;
    } else {
        int w = json_write_compact(b, json_raw(d, 0));
        s = status_of(c, w ? w : b->failed);
    }
    doc_give(d);
    return s;
}
