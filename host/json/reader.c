#include "json/reader.h"

#include <errno.h>
#include <stdlib.h>
#include "json/scan.h"

enum { NODES_FIRST = 64, NODES_MOST = (1 << 24) - 1, PAIRWISE_MOST = SCAN_INDEX_FROM - 1 };

const struct json_limits json_limits_default = {
    .bytes = 4u << 20,
    .depth = 64,
    .nodes = 100000,
};

/* While a container is open, its `next` holds its parent: that is the whole
 * stack, so depth costs no memory and nothing recurses. */
struct reader {
    struct json_doc *d;
    struct json_node *node; /* d->node */
    const char *end;
    uint32_t n;     /* nodes on the tape                                     */
    uint32_t stop;  /* the next node beyond this one needs reader_more()     */
    uint32_t limit; /* nodes that the caller allows                          */
    uint32_t whole; /* nodes that a complete text of this length can have    */
    uint32_t depth;
    uint32_t depth_limit;
    json_ref open; /* innermost open container, when depth > 0              */
    bool duplicates;
    const char *reached; /* after an error: how far the text was read             */
    struct json_error *e;
};

static const char *fail(struct reader *r, enum json_error_kind kind, const char *at)
{
    r->e->kind = kind;
    r->e->off = (uint32_t)(at - r->d->text);
    r->reached = at;
    return NULL;
}

static void describe(char *out, size_t size, const char *at, const char *end)
{
    if (at >= end)
        snprintf(out, size, "the end of the text");
    else if (*at > 0x20 && *at < 0x7f)
        snprintf(out, size, "'%c'", *at);
    else if (end - at >= 3 && !memcmp(at, "\xef\xbb\xbf", 3))
        snprintf(out, size, "a byte order mark");
    else
        snprintf(out, size, "byte 0x%02x", (unsigned)(unsigned char)*at);
}

static const char *fail_syntax(struct reader *r, const char *at, const char *expected)
{
    char found[32];
    describe(found, sizeof(found), at, r->end);
    fail(r, JSON_BAD_SYNTAX, at);
    snprintf(r->e->text, sizeof(r->e->text), "expected %s, found %s at byte %u", expected, found,
             r->e->off);
    return NULL;
}

/* Every node of a complete text takes two bytes of it, one of which may be a
 * bracket still to come.  A tape that outgrows that can't be completed, so the
 * text need not be looked at any further and memory stays at 8 times its size. */
static const char *fail_short(struct reader *r, const char *at)
{
    fail(r, JSON_BAD_SYNTAX, at);
    snprintf(r->e->text, sizeof(r->e->text),
             "expected %u closing brackets, found too little text for them behind byte %u",
             r->depth, r->e->off);
    return NULL;
}

/* Makes room for `want` nodes in all, at most r->whole. */
static const char *reader_grow(struct reader *r, const char *at, uint32_t want)
{
    uint64_t most = r->whole > NODES_FIRST ? r->whole : NODES_FIRST;
    uint64_t cap = r->d->cap ? (uint64_t)r->d->cap * 2 : NODES_FIRST;
    while (cap < want)
        cap *= 2;
    if (cap > most)
        cap = most;
    struct json_node *node = realloc(r->node, cap * sizeof(*node));
    if (!node) {
        fail(r, JSON_NO_MEMORY, at);
        snprintf(r->e->text, sizeof(r->e->text), "expected memory for %llu values, found none",
                 (unsigned long long)cap);
        return NULL;
    }
    r->d->node = r->node = node;
    r->d->cap = (uint32_t)cap;
    return at;
}

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
    a = a < b ? a : b;
    return a < c ? a : c;
}

/* Room for one more node, or NULL with the error filled. */
static __attribute__((noinline)) const char *reader_more(struct reader *r, const char *at)
{
    if (r->n >= r->limit) {
        fail(r, JSON_OVER_LIMIT, at);
        snprintf(r->e->text, sizeof(r->e->text),
                 "expected at most %u values and keys, found more at byte %u", r->limit, r->e->off);
        return NULL;
    }
    if (r->n >= r->whole)
        return fail_short(r, at);
    if (!reader_grow(r, at, r->n + 1))
        return NULL;
    r->stop = min3(r->d->cap, r->limit, r->whole);
    return at;
}

/* Puts a node on the tape that is complete, from `at` to `behind`. */
static inline const char *add(struct reader *r, enum json_type type, unsigned flags, const char *at,
                              const char *behind)
{
    if (__builtin_expect(r->n == r->stop, 0) && !reader_more(r, at))
        return NULL;
    uint32_t n = r->n++;
    r->node[n] = (struct json_node){.off = (uint32_t)(at - r->d->text),
                                    .len = (uint32_t)(behind - at),
                                    .next = n + 1,
                                    .type = type,
                                    .flags = flags & 15};
    return behind;
}

static inline const char *read_string(struct reader *r, const char *p)
{
    unsigned flags = 0;
    struct scan_error e;
    const char *behind = scan_string(p + 1, r->end, &flags, &e);
    if (!behind)
        return fail_syntax(r, e.at, e.expected);
    return add(r, JSON_STRING, flags, p, behind);
}

static inline const char *read_number(struct reader *r, const char *p)
{
    unsigned flags = 0;
    struct scan_error e;
    const char *behind = scan_number(p, r->end, &flags, &e);
    if (!behind)
        return fail_syntax(r, e.at, e.expected);
    return add(r, JSON_NUMBER, flags, p, behind);
}

static const char *read_word(struct reader *r, const char *p, struct str word, enum json_type type)
{
    size_t left = (size_t)(r->end - p);
    size_t same = 1;
    while (same < word.n && same < left && p[same] == word.p[same])
        same++;
    if (same < word.n) {
        char expected[16];
        snprintf(expected, sizeof(expected), "\"%s\"", word.p);
        return fail_syntax(r, p + same, expected);
    }
    return add(r, type, 0, p, p + word.n);
}

static const char *open_container(struct reader *r, const char *p, enum json_type type)
{
    if (r->depth == r->depth_limit) {
        fail(r, JSON_OVER_LIMIT, p);
        snprintf(r->e->text, sizeof(r->e->text),
                 "expected at most %u levels of arrays and objects, found more at byte %u",
                 r->depth_limit, r->e->off);
        return NULL;
    }
    json_ref n = r->n;
    if (!add(r, type, 0, p, p + 1))
        return NULL;
    r->node[n].next = r->open;
    r->open = n;
    r->depth++;
    return p + 1;
}

static inline const char *read_value(struct reader *r, const char *p)
{
    switch (p < r->end ? *p : 0) {
    case '"':
        return read_string(r, p);
    case '{':
        return open_container(r, p, JSON_OBJECT);
    case '[':
        return open_container(r, p, JSON_ARRAY);
    case 't':
        return read_word(r, p, STR("true"), JSON_TRUE);
    case 'f':
        return read_word(r, p, STR("false"), JSON_FALSE);
    case 'n':
        return read_word(r, p, STR("null"), JSON_NULL);
    case '-':
    case '0' ... '9':
        return read_number(r, p);
    default:
        return fail_syntax(r, p, "a JSON value");
    }
}

/* Few bits of a key that differ for most keys; 64 kinds. */
static inline uint64_t key_kind(struct str key)
{
    unsigned char first = key.n ? (unsigned char)key.p[0] : 0;
    unsigned char last = key.n ? (unsigned char)key.p[key.n - 1] : 0;
    return (uint64_t)1 << ((first + last * 5u + key.n * 9u) & 63);
}

/* Most objects have a handful of keys that differ in length, first or last
 * byte: then no two are ever compared. */
static json_ref duplicate_of_few(const struct json_doc *d, json_ref object)
{
    uint64_t seen = 0;
    json_each_member (d, object, key) {
        struct str s = json_inner(d, key);
        unsigned flags = d->node[key].flags;
        uint64_t kind = flags & JSON_ESCAPED ? UINT64_MAX : key_kind(s);
        if (seen & kind) {
            json_each_member (d, object, other) {
                if (other == key)
                    break;
                if (scan_equal(json_inner(d, other), d->node[other].flags, s, flags))
                    return key;
            }
        }
        seen |= kind;
    }
    return 0;
}

/* NULL with the error filled when the object, just closed, has a key twice. */
static const char *check_keys(struct reader *r, json_ref object, const char *p)
{
    uint32_t count = r->node[object].count;
    json_ref twice;
    if (count <= PAIRWISE_MOST) {
        twice = duplicate_of_few(r->d, object);
    } else {
        /* The index lives behind the tape, in the same array: together they
         * are within the bound for every text that can still be completed. */
        uint64_t need = r->n + (SCAN_INDEX_SLOTS((uint64_t)count) + 3) / 4;
        if (need > r->whole)
            return fail_short(r, p);
        if (need > r->d->cap) {
            if (!reader_grow(r, p, (uint32_t)need))
                return NULL;
            r->stop = min3(r->d->cap, r->limit, r->whole);
        }
        twice = scan_index_build(r->d, object, (uint32_t *)(void *)(r->node + r->n));
    }
    if (!twice)
        return p;
    struct str key = json_inner(r->d, twice);
    fail(r, JSON_DUPLICATE, r->d->text + r->node[twice].off);
    r->reached = p;
    /* Cut between characters. */
    size_t shown = key.n < 60 ? key.n : 60;
    while (shown < key.n && shown && ((unsigned char)key.p[shown] & 0xc0) == 0x80)
        shown--;
    snprintf(r->e->text, sizeof(r->e->text),
             "expected each key once, found \"%.*s%s\" again at byte %u", (int)shown, key.p,
             shown < key.n ? "..." : "", r->e->off);
    return NULL;
}

/* Ends the innermost container; `behind` is the place behind its bracket. */
static inline const char *close_container(struct reader *r, const char *behind)
{
    json_ref n = r->open, parent = r->node[n].next;
    struct json_node *node = &r->node[n];
    node->len = (uint32_t)(behind - r->d->text) - node->off;
    node->next = r->n;
    if (node->type == JSON_OBJECT && node->count > 1 && !r->duplicates &&
        !check_keys(r, n, behind)) {
        r->node[n].next = parent;
        return NULL;
    }
    r->open = parent;
    r->depth--;
    return behind;
}

static inline const char *read_key(struct reader *r, const char *p, const char *expected)
{
    if (p == r->end || *p != '"')
        return fail_syntax(r, p, expected);
    p = read_string(r, p);
    if (!p)
        return NULL;
    p = scan_blanks(p, r->end);
    if (p == r->end || *p != ':')
        return fail_syntax(r, p, "':'");
    return p + 1;
}

/* Behind a value, inside a container: takes the separator and, in an object,
 * the next key; or the bracket that ends the container, as often as there is
 * one.  Returns the place of the next value; the end of the text when the root
 * is complete (r->depth is 0). */
static inline const char *read_between(struct reader *r, const char *p)
{
    while (r->depth) {
        struct json_node *node = &r->node[r->open];
        bool object = node->type == JSON_OBJECT;
        node->count++;
        p = scan_blanks(p, r->end);
        char c = p < r->end ? *p : 0;
        if (c == ',') {
            p = scan_blanks(p + 1, r->end);
            return object ? read_key(r, p, "a key in quotes") : p;
        }
        if (c != (object ? '}' : ']'))
            return fail_syntax(r, p, object ? "',' or '}'" : "',' or ']'");
        p = close_container(r, p + 1);
        if (!p)
            return NULL;
    }
    return p;
}

/* Behind an opening bracket: the first key of an object is read; an empty container is closed. */
static inline const char *read_first(struct reader *r, const char *p, bool *ret_closed)
{
    bool object = r->node[r->open].type == JSON_OBJECT;
    p = scan_blanks(p, r->end);
    *ret_closed = p < r->end && *p == (object ? '}' : ']');
    if (*ret_closed)
        return close_container(r, p + 1);
    return object ? read_key(r, p, "a key in quotes or '}'") : p;
}

static bool read_text(struct reader *r, const char *p)
{
    do {
        uint32_t depth = r->depth;
        p = read_value(r, scan_blanks(p, r->end));
        bool complete = true;
        if (p && r->depth > depth)
            p = read_first(r, p, &complete);
        if (p && complete)
            p = read_between(r, p);
        if (!p)
            return false;
    } while (r->depth);
    p = scan_blanks(p, r->end);
    return p == r->end || fail_syntax(r, p, "the end of the text");
}

/* After an error: a key without its value goes, what is open ends here. */
static void mend(struct reader *r)
{
    if (r->depth && r->node[r->open].type == JSON_OBJECT) {
        json_ref at = r->open + 1;
        for (uint32_t i = 0; i < r->node[r->open].count; i++)
            at = r->node[at + 1].next;
        if (at < r->n)
            r->n = at;
    }
    for (; r->depth; r->depth--) {
        struct json_node *node = &r->node[r->open];
        json_ref parent = node->next;
        node->len = (uint32_t)(r->reached - r->d->text) - node->off;
        node->next = r->n;
        if (r->depth > 1)
            r->node[parent].count++;
        r->open = parent;
    }
}

int json_read(struct json_doc *d, struct str text, const struct json_limits *limits,
              struct json_error *e)
{
    d->text = text.p ? text.p : "";
    d->nodes = 0;
    d->len = 0;
    if (text.n > limits->bytes || text.n > UINT32_MAX - 16) {
        *e = (struct json_error){.kind = JSON_OVER_LIMIT, .off = limits->bytes};
        snprintf(e->text, sizeof(e->text), "expected at most %u bytes, found %zu", limits->bytes,
                 text.n);
        return -EINVAL;
    }
    d->len = (uint32_t)text.n;
    struct reader r = {
        .d = d,
        .node = d->node,
        .end = d->text + text.n,
        .limit = limits->nodes < NODES_MOST ? limits->nodes : NODES_MOST,
        .whole = d->len / 2 + 1,
        .depth_limit = limits->depth,
        .duplicates = limits->duplicates,
        .e = e,
    };
    r.stop = min3(d->cap, r.limit, r.whole);
    bool ok = read_text(&r, d->text);
    if (!ok)
        mend(&r);
    d->nodes = r.n;
    return ok ? 0 : -EINVAL;
}

void json_doc_release(struct json_doc *d)
{
    free(d->node);
    *d = (struct json_doc){0};
}

void json_doc_trim(struct json_doc *d, size_t keep)
{
    if ((size_t)d->cap * sizeof(*d->node) > keep)
        json_doc_release(d);
}
