#include "config/document.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>
#include "config/scalar.h"
#include "config/text.h"
#include "config/yaml_error.h"
#include "json/writer.h"

struct document_place {
    uint32_t line, column;
};

/* A control character takes two bytes in YAML ("\a") and six in JSON, so that no text of
 * DOCUMENT_BYTES comes out longer than this. */
enum { JSON_BYTES = 4 * DOCUMENT_BYTES };

struct writing {
    struct document *d;
    struct str yaml;
    struct err *e;
    struct {
        bool map, key; /* key: the next node is a member's key */
        bool first;
    } level[DOCUMENT_DEPTH];
    unsigned depth, documents;
    uint32_t room; /* places allocated */
};

#define fail(w, mark, ...)                  \
    (err_set((w)->e, -EINVAL, __VA_ARGS__), \
     err_prefix((w)->e, "%s:%zu:%zu", (w)->d->path, (mark).line + 1, (mark).column + 1), -EINVAL)

static struct str slice(const yaml_char_t *z)
{
    return str_of((const char *)z);
}

static int refuse_properties(struct writing *w, const yaml_event_t *ev, const yaml_char_t *anchor,
                             const yaml_char_t *tag)
{
    char shown[TEXT_SHOWN];
    if (anchor)
        return fail(w, ev->start_mark, "expected no anchors, found &%.64s: write the value out",
                    (const char *)anchor);
    if (tag)
        return fail(w, ev->start_mark,
                    "expected no tags, found %s: quote text that begins with '!'",
                    text_quoted(slice(tag), shown));
    return 0;
}

/* Notes the place of the node that begins here. */
static int add_place(struct writing *w, yaml_mark_t mark)
{
    struct document *d = w->d;
    if (d->places == DOCUMENT_NODES)
        return fail(w, mark, "expected at most %d keys and values in all, found more",
                    DOCUMENT_NODES);
    if (d->places == w->room) {
        uint32_t room = w->room ? w->room * 2 : 64;
        struct document_place *place = realloc(d->place, room * sizeof(*place));
        if (!place)
            return fail(w, mark, "out of memory");
        d->place = place;
        w->room = room;
    }
    d->place[d->places++] =
        (struct document_place){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
    return 0;
}

/* What stands in front of a node: ',' or ':'. */
static int begin_node(struct writing *w, const yaml_event_t *ev)
{
    int r = add_place(w, ev->start_mark);
    if (r || w->depth == 0)
        return r;
    struct buf *out = &w->d->text;
    unsigned i = w->depth - 1;
    bool value = w->level[i].map && !w->level[i].key;
    if (value)
        r = buf_byte(out, ':');
    else if (!w->level[i].first)
        r = buf_byte(out, ',');
    w->level[i].first = false;
    w->level[i].key = value;
    return r;
}

static bool is_key(const struct writing *w)
{
    return w->depth && w->level[w->depth - 1].map && w->level[w->depth - 1].key;
}

static int refuse_key(struct writing *w, const yaml_event_t *ev, struct str text)
{
    char shown[TEXT_SHOWN];
    if (text.n == 0)
        return fail(w, ev->start_mark, "expected a key in front of ':', found none");
    return fail(w, ev->start_mark, "expected text as key, found %s: quote it",
                text_quoted(text, shown));
}

static int on_scalar(struct writing *w, const yaml_event_t *ev)
{
    struct str text = {(const char *)ev->data.scalar.value, ev->data.scalar.length};
    char shown[TEXT_SHOWN];
    bool plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE, key = is_key(w);
    int r = refuse_properties(w, ev, ev->data.scalar.anchor, ev->data.scalar.tag);
    if (r)
        return r;
    if (memchr(text.p, 0, text.n))
        return fail(w, ev->start_mark, "expected text, found a NUL character in it");
    if (plain && key && str_eq(text, STR("<<")))
        return fail(w, ev->start_mark, "expected no merge keys, found <<: write the members out");
    enum scalar_kind kind = plain ? scalar_kind(text) : SCALAR_STRING;
    if (key && kind != SCALAR_STRING)
        return refuse_key(w, ev, text);
    if (kind == SCALAR_AMBIGUOUS)
        return fail(w, ev->start_mark,
                    "expected a number in JSON's spelling, found %s: quote it when it is text",
                    text_quoted(text, shown));
    r = begin_node(w, ev);
    if (r)
        return r;
    if (kind == SCALAR_STRING)
        return json_write_string(&w->d->text, text);
    return kind == SCALAR_NULL ? buf_lit(&w->d->text, "null") : buf_str(&w->d->text, text);
}

static int on_open(struct writing *w, const yaml_event_t *ev)
{
    bool map = ev->type == YAML_MAPPING_START_EVENT;
    int r =
        map ? refuse_properties(w, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag)
            : refuse_properties(w, ev, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
    if (r)
        return r;
    if (is_key(w))
        return fail(w, ev->start_mark, "expected text as key, found %s",
                    map ? "a mapping" : "a list");
    if (w->depth == DOCUMENT_DEPTH)
        return fail(w, ev->start_mark,
                    "expected at most %d levels of mappings and lists, found more", DOCUMENT_DEPTH);
    r = begin_node(w, ev);
    w->level[w->depth].map = w->level[w->depth].key = map;
    w->level[w->depth].first = true;
    w->depth++;
    return r ? r : buf_byte(&w->d->text, map ? '{' : '[');
}

static int on_event(struct writing *w, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (w->documents++)
            return fail(w, ev->start_mark, "expected one document, found a second one");
        return 0;
    case YAML_ALIAS_EVENT:
        return fail(w, ev->start_mark,
                    "expected no aliases, found *%.64s: quote text that begins with '*'",
                    (const char *)ev->data.alias.anchor);
    case YAML_SCALAR_EVENT:
        return on_scalar(w, ev);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return on_open(w, ev);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        w->depth--;
        return buf_byte(&w->d->text, ev->type == YAML_MAPPING_END_EVENT ? '}' : ']');
    default:
        return 0;
    }
}

/* Runs libyaml over the text; the events become d->text and d->place. */
static int write_events(struct writing *w)
{
    yaml_parser_t p;
    if (!yaml_parser_initialize(&p))
        return err_set(w->e, -ENOMEM, "%s: out of memory while reading it", w->d->path);
    yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p, (const unsigned char *)w->yaml.p, w->yaml.n);
    int r = 0;
    for (bool end = false; !r && !end;) {
        yaml_event_t ev;
        if (!yaml_parser_parse(&p, &ev)) {
            r = yaml_error_set(&p, w->yaml, w->d->path, w->e);
            break;
        }
        end = ev.type == YAML_STREAM_END_EVENT;
        r = on_event(w, &ev);
        if (w->d->text.failed)
            r = err_set(w->e, w->d->text.failed, "%s: out of memory while reading it", w->d->path);
        yaml_event_delete(&ev);
    }
    yaml_parser_delete(&p);
    if (!r && !w->documents)
        r = err_set(w->e, -EINVAL, "%s:1:1: expected a mapping, found an empty file", w->d->path);
    return r;
}

/* The reader stopped at the second key, at byte `off` of the text. */
static int duplicate_error(struct document *d, struct json_limits limits, uint32_t off,
                           struct err *e)
{
    struct json_error je;
    struct buf scratch = BUF_INIT(JSON_BYTES);
    char shown[TEXT_SHOWN];
    json_ref object = 0, second = 0;
    limits.duplicates = true;
    if (json_read(&d->json, buf_view(&d->text), &limits, &je))
        return err_set(e, -EINVAL, "%s: %s", d->path, je.text);
    /* The innermost object around the byte comes last. */
    while (second < d->json.nodes && d->json.node[second].off < off) {
        if (json_is(&d->json, second, JSON_OBJECT) &&
            off < d->json.node[second].off + d->json.node[second].len)
            object = second;
        second++;
    }
    BUG_ON(second == d->json.nodes || !json_is(&d->json, object, JSON_OBJECT));
    struct str key = json_string(&d->json, second, &scratch);
    json_ref first = json_get(&d->json, object, key);
    unsigned line, column;
    document_place(d, first - 1, &line, &column);
    int r = document_error(d, second, e, "expected key %s once, found it here and at %u:%u",
                           text_quoted(key, shown), line, column);
    buf_release(&scratch);
    return r;
}

static int read_tape(struct document *d, struct err *e)
{
    const struct json_limits limits = {
        .bytes = JSON_BYTES, .depth = DOCUMENT_DEPTH, .nodes = DOCUMENT_NODES};
    struct json_error je;
    if (json_read(&d->json, buf_view(&d->text), &limits, &je) == 0)
        return 0;
    if (je.kind == JSON_DUPLICATE)
        return duplicate_error(d, limits, je.off, e);
    return err_set(e, je.kind == JSON_NO_MEMORY ? -ENOMEM : -EINVAL, "%s: %s", d->path, je.text);
}

static void shrink(void **memory, size_t bytes)
{
    void *less = bytes ? realloc(*memory, bytes) : NULL;
    if (less)
        *memory = less;
}

/* Documents live as long as their manifest: what growing left over goes back. */
static void document_compact(struct document *d)
{
    shrink((void **)&d->text.data, d->text.len);
    d->text.cap = d->text.len;
    shrink((void **)&d->json.node, d->json.nodes * sizeof(*d->json.node));
    d->json.cap = d->json.nodes;
    shrink((void **)&d->place, d->places * sizeof(*d->place));
    d->json.text = d->text.data;
}

static int document_start(struct document *d, const char *path, struct err *e)
{
    *d = (struct document){.text = BUF_INIT(JSON_BYTES)};
    d->path = str_dup(str_of(path));
    return d->path ? 0 : err_set(e, -ENOMEM, "%s: out of memory", path);
}

int document_parse(struct document *d, struct str yaml, const char *path, struct err *e)
{
    struct writing w = {.d = d, .yaml = yaml, .e = e};
    int r = document_start(d, path, e);
    if (!r && yaml.n > DOCUMENT_BYTES)
        r = err_set(e, -E2BIG, "%s:1:1: expected at most 256 KiB, found more", path);
    r = r ? r : write_events(&w);
    r = r ? r : read_tape(d, e);
    if (r) {
        document_release(d);
        return r;
    }
    BUG_ON(d->places != d->json.nodes);
    document_compact(d);
    return 0;
}

int document_read(struct document *d, int fd, const char *path, struct err *e)
{
    *d = (struct document){0};
    struct stat st;
    if (fstat(fd, &st))
        return err_set(e, -errno, "%s: can't be read: %s", path, strerror(errno));
    size_t room =
        st.st_size > 0 && st.st_size < DOCUMENT_BYTES ? (size_t)st.st_size : DOCUMENT_BYTES;
    size_t n = 0;
    ssize_t got = 1;
    char *text = malloc(++room); /* one more, to see the end */
    if (!text)
        return err_set(e, -ENOMEM, "%s: out of memory while reading it", path);
    while (n < room && (got = pread(fd, text + n, room - n, (off_t)n)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        n += (size_t)got;
        if (n == room && room <= DOCUMENT_BYTES) {
            /* The file has grown since fstat(). */
            char *more = realloc(text, DOCUMENT_BYTES + 1);
            if (!more) {
                free(text);
                return err_set(e, -ENOMEM, "%s: out of memory while reading it", path);
            }
            text = more;
            room = DOCUMENT_BYTES + 1;
        }
    }
    int r = got < 0 ? err_set(e, -errno, "%s: can't be read: %s", path, strerror(errno))
                    : document_parse(d, (struct str){text, n}, path, e);
    free(text);
    return r;
}

int document_take_json(struct document *d, struct buf *json, const char *path, struct err *e)
{
    int r = document_start(d, path, e);
    d->text = *json;
    *json = (struct buf){.max = json->max};
    r = r ? r : read_tape(d, e);
    if (r)
        document_release(d);
    else
        document_compact(d);
    return r;
}

void document_release(struct document *d)
{
    free(d->path);
    free(d->place);
    json_doc_release(&d->json);
    buf_release(&d->text);
    *d = (struct document){0};
}

void document_place(const struct document *d, json_ref n, unsigned *ret_line, unsigned *ret_column)
{
    bool known = n < d->places;
    *ret_line = known ? d->place[n].line : 0;
    *ret_column = known ? d->place[n].column : 0;
}

int document_error(const struct document *d, json_ref n, struct err *e, const char *fmt, ...)
{
    char text[sizeof(e->text)];
    unsigned line, column;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    document_place(d, n, &line, &column);
    if (line)
        return err_set(e, -EINVAL, "%s:%u:%u: %s", d->path, line, column, text);
    return err_set(e, -EINVAL, "%s: %s", d->path, text);
}
