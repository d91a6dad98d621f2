/* host/json/reader.h - the one-pass JSON reader of the call path (RFC 8259).
 *
 * It goes over the bytes once and checks grammar, UTF-8, depth, node count and
 * duplicate keys as it goes.  What it leaves is a tape: an array of nodes in
 * document order, 16 bytes each, that point into the input by offset.  Nothing
 * is copied or unescaped; slices of the input are handed on.  Memory: one array
 * of at most 8 bytes for each byte of the longest input so far (1 KiB at least),
 * kept and reused from document to document.
 *
 * Ownership: the document borrows the input text, which must outlive its use.
 * Thread: one document, one thread at a time. */
#ifndef MANIFOLD_JSON_READER_H
#define MANIFOLD_JSON_READER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

enum {
    JSON_ESCAPED = 1 << 0, /* string: has a backslash, so its bytes are not its value */
    JSON_INTEGER = 1 << 1, /* number: no fraction, no exponent in the text            */
    JSON_NUL = 1 << 2      /* string: contains \u0000                                 */
};

/* Index into json_doc.node.  0 is the root, which is never a child, so 0 also
 * means "none" wherever a child, member or sibling is asked for. */
typedef uint32_t json_ref;

struct json_node {
    uint32_t off;        /* of the first byte; strings: of the opening quote          */
    uint32_t len;        /* bytes, quotes and brackets included                       */
    uint32_t next;       /* index just behind this value and all that is in it        */
    uint32_t count : 24; /* array: elements; object: members; else 0             */
    uint32_t type : 4;   /* enum json_type                                       */
    uint32_t flags : 4;
};

struct json_limits {
    uint32_t bytes;  /* longest input; at most UINT32_MAX - 16 */
    uint32_t depth;  /* containers inside one another          */
    uint32_t nodes;  /* values and keys; at most 2^24 - 1      */
    bool duplicates; /* true: duplicate keys are accepted (the first one is found) */
};

/* 4 MiB, depth 64, 100,000 nodes, duplicates refused: `limits` of the host config.
 * (docs/operators.md, Limits) */
extern const struct json_limits json_limits_default;

struct json_doc {
    const char *text; /* borrowed */
    uint32_t len;
    uint32_t nodes;         /* valid entries of node[]; also after an error: what was read */
    struct json_node *node; /* owned */
    uint32_t cap;           /* entries allocated; the free ones serve to find duplicate keys */
};

enum json_error_kind { JSON_BAD_SYNTAX = 1, JSON_OVER_LIMIT, JSON_DUPLICATE, JSON_NO_MEMORY };
struct json_error {
    enum json_error_kind kind;
    uint32_t off;   /* byte at which it was noticed */
    char text[160]; /* "expected ',' or '}', found 'x' at byte 17" */
};

/* Reads exactly one value with optional white space around it.  0, or -EINVAL
 * with *e filled; after that the tape is well formed and holds what was read so
 * far, with the open containers closed where reading stopped.  The document may
 * be read into again and again. */
int json_read(struct json_doc *d, struct str text, const struct json_limits *limits,
              struct json_error *e);
/* Gives the arrays back; a zeroed struct json_doc is an empty one. */
void json_doc_release(struct json_doc *d);
/* Gives the kept array back when it is over `keep` bytes; the tape is then empty. */
void json_doc_trim(struct json_doc *d, size_t keep);

static inline enum json_type json_type(const struct json_doc *d, json_ref n)
{
    return (enum json_type)d->node[n].type;
}
static inline bool json_is(const struct json_doc *d, json_ref n, enum json_type t)
{
    return d->node[n].type == t;
}
/* The value's bytes as they stand in the input; strings with their quotes. */
static inline struct str json_raw(const struct json_doc *d, json_ref n)
{
    return (struct str){d->text + d->node[n].off, d->node[n].len};
}
/* A string's bytes between the quotes, escapes untouched. */
static inline struct str json_inner(const struct json_doc *d, json_ref n)
{
    return (struct str){d->text + d->node[n].off + 1, d->node[n].len - 2};
}
/* First child: element of an array, key of an object; 0 when empty or a scalar. */
static inline json_ref json_first(const struct json_doc *d, json_ref n)
{
    return d->node[n].count ? n + 1 : 0;
}
/* Elements of array a: json_each(d, a, it) { ... it ... } */
#define json_each(d, a, it) \
    for (json_ref it = (a) + 1; it < (d)->node[a].next; it = (d)->node[it].next)
/* Members of object o: the key is `k`, its value k + 1 (a key is one node). */
#define json_each_member(d, o, k) \
    for (json_ref k = (o) + 1; k < (d)->node[o].next; k = (d)->node[(k) + 1].next)

/* The member's value, or 0.  Keys are compared unescaped, byte for byte. */
json_ref json_get(const struct json_doc *d, json_ref object, struct str key);
/* Is string node n equal to s, escapes resolved? */
bool json_string_eq(const struct json_doc *d, json_ref n, struct str s);
/* Appends the string's value, escapes resolved. */
int json_string_append(const struct json_doc *d, json_ref n, struct buf *out);
/* The string's value: the slice itself where there are no escapes, else a copy made in `scratch`
 * (appended; earlier content moves).  {NULL,0} on a buffer error. */
struct str json_string(const struct json_doc *d, json_ref n, struct buf *scratch);
/* True and *ret when n is a number that is an integer in int64 range (42, 4.2e1 and 42.0 count). */
bool json_int(const struct json_doc *d, json_ref n, int64_t *ret);
bool json_double(const struct json_doc *d, json_ref n, double *ret);
/* Equality of JSON values (JSON Schema 2020-12 core 4.2.2): 1 == 1.0, objects without order. */
bool json_equal(const struct json_doc *a, json_ref x, const struct json_doc *b, json_ref y);
/* "null", "boolean", "number", "string", "array", "object"; for sentences. */
const char *json_type_name(enum json_type t);

#endif
