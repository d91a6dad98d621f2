/* host/json/schema_internal.h - the compiled form of a schema; private to schema_*.c.
 *
 * A schema is one block of memory: units (one per subschema), their operations in
 * the order of evaluation, a pool of 32-bit parameter words, the constants of enum and
 * const as a small tape of their own, and text.  Everything refers by index, so the
 * block is built in growing buffers and copied once.  Only PCRE2's code lies elsewhere.
 *
 * Validation never allocates unless a string with escapes must be matched or compared,
 * a container with more than 64 children needs evaluated-tracking, or a large array must be
 * unique. */
#ifndef MANIFOLD_JSON_SCHEMA_INTERNAL_H
#define MANIFOLD_JSON_SCHEMA_INTERNAL_H

#include "json/schema.h"

enum {
    SCHEMA_NONE = 0xffffffff, /* no unit                                             */
    SCHEMA_DEPTH = 512,       /* units inside one another at validation: C recursion */
    SCHEMA_NESTING = 128,     /* subschemas inside one another in the document       */
    SCHEMA_BYTES = 8 << 20,   /* each of the growing buffers of the compiler         */
    SCHEMA_PATTERNS = 1000,
    SCHEMA_PATTERN_BYTES = 4096,
    SCHEMA_CODE_BYTES = 1 << 20, /* PCRE2's code of all patterns of a schema */
    SCHEMA_URI = 1024
};

/* The order is the order of evaluation: what looks at the value alone, then its children, then
 * other schemas for the same value, then what needs the annotations of all those. */
enum schema_kw {
    KW_ENUM,
    KW_MINIMUM,
    KW_MAXIMUM,
    KW_EXCLUSIVE_MINIMUM,
    KW_EXCLUSIVE_MAXIMUM,
    KW_MULTIPLE_OF,
    KW_MIN_LENGTH,
    KW_MAX_LENGTH,
    KW_PATTERN,
    KW_MIN_ITEMS,
    KW_MAX_ITEMS,
    KW_UNIQUE_ITEMS,
    KW_MIN_PROPERTIES,
    KW_MAX_PROPERTIES,
    KW_DEPENDENT_REQUIRED,
    KW_PROPERTY_NAMES,
    KW_OBJECT,
    KW_ITEMS,
    KW_CONTAINS,
    KW_REF,
    KW_DYNAMIC_REF,
    KW_ALL_OF,
    KW_ANY_OF,
    KW_ONE_OF,
    KW_NOT,
    KW_IF,
    KW_DEPENDENT_SCHEMAS,
    KW_UNEVALUATED_ITEMS,
    KW_UNEVALUATED_PROPERTIES,
    KW_COUNT
};

/* Sets of types: bit 1 << enum json_type, and integers that are no other numbers. */
enum {
    TYPES_INTEGER = 1 << 7,
    TYPES_ALL = 0x7f,
    TYPES_NUMBER = 1 << JSON_NUMBER,
    TYPES_STRING = 1 << JSON_STRING,
    TYPES_ARRAY = 1 << JSON_ARRAY,
    TYPES_OBJECT = 1 << JSON_OBJECT,
    TYPES_BOOLEAN = 1 << JSON_FALSE | 1 << JSON_TRUE
};

enum {
    UNIT_TRACKS = 1 << 0, /* has unevaluated*: needs to know which children were evaluated */
    UNIT_FALSE = 1 << 1   /* the schema `false` */
};

struct schema_unit {
    uint32_t op;       /* first of its operations */
    uint16_t ops;      /* how many */
    uint16_t resource; /* schema resource, for the dynamic scope */
    uint8_t types;     /* accepted types */
    uint8_t flags;
};

struct schema_op {
    uint8_t kw;
    uint8_t types; /* values it says anything about */
    uint32_t arg;  /* a count, a unit, a pattern, or an index into the words */
};

/* KW_OBJECT: properties, patternProperties, additionalProperties and required in one go over the
 * members.  `members` rows sorted by length and bytes, then `patterns` rules. */
struct schema_member {
    uint32_t off;          /* name, in the text */
    uint32_t len : 24;     /* bytes */
    uint32_t required : 8; /* 0 no, else 1 + bit in the mask of those seen */
    uint32_t unit;         /* SCHEMA_NONE: named by required alone */
};
struct schema_rule {
    uint32_t pattern, unit;
};
struct schema_object {
    uint32_t members, required, patterns;
    uint32_t additional; /* unit or SCHEMA_NONE */
    struct schema_member member[];
};
enum { SCHEMA_MASKED = 64 }; /* required names that fit the mask; more are looked up */

/* KW_ITEMS, KW_CONTAINS, KW_IF, lists of units and pairs of names, as words. */
struct schema_items {
    uint32_t rest; /* unit or SCHEMA_NONE */
    uint32_t count;
    uint32_t prefix[];
};
struct schema_contains {
    uint32_t unit, min, max;
};
struct schema_if {
    uint32_t test, then, otherwise;
};
struct schema_list {
    uint32_t count;
    uint32_t item[]; /* units; KW_ENUM: nodes of the constants */
};
struct schema_pair {
    uint32_t off, len; /* when the object has this member ...                   */
    uint32_t unit;     /* ... this schema holds, or: offset of the member needed */
    uint32_t need_len;
};
struct schema_pairs {
    uint32_t count;
    struct schema_pair pair[];
};
struct schema_dynamic {
    uint32_t unit, name; /* static target; number of the anchor's name */
};

/* ±digits x 10^exponent, no trailing zeros; `more`: digits behind the nineteenth were cut. */
struct schema_number {
    uint64_t digits;
    int32_t exponent;
    bool negative, more;
};

struct schema_pattern {
    void *code;        /* pcre2_code */
    size_t size;       /* of the code, bytes */
    uint32_t off, len; /* as it was written, in the text */
    uint32_t blind;    /* characters that one item may scan unmetered */
    bool backrefs;     /* ... or a whole subject */
};

struct schema_anchor {
    uint32_t unit;
    uint16_t resource, name;
};

struct schema {
    const struct schema_unit *unit;
    const struct schema_op *op;
    const uint32_t *word;
    struct schema_pattern *pattern;
    const struct schema_anchor *dynamic; /* $dynamicAnchor */
    const char *text;
    struct json_doc kept; /* constants of enum and const; borrows the block */
    uint32_t patterns, dynamics;
    size_t size; /* bytes, with the code of the patterns */
};

/* ---- validation ---- */

/* Which children of one array or object were evaluated (2020-12 core, 11). */
struct schema_seen {
    uint64_t small;
    uint64_t *large; /* owned; when there are more than 64 children */
    uint32_t count;
    bool all;
};

/* What failed, as data; the sentence is made of it once, at the end. */
struct schema_failure {
    const struct schema_op *op; /* NULL: the type, or the schema `false` */
    json_ref node;
    uint32_t unit, detail;
    uint32_t alternatives; /* the nearest of so many */
    uint8_t types;
    bool set, is_key;
};

struct schema_run {
    const struct schema *s;
    const struct json_doc *d;
    uint32_t steps, depth;
    int status;                  /* 0, or why validation can't go on: -E2BIG, -ENOMEM */
    struct schema_failure *fail; /* not NULL: don't stop at the first failure, keep the earliest */
    struct buf scratch;          /* a string without its escapes */
};

/* One unit at work; linked outwards, it is the dynamic scope. */
struct schema_frame {
    struct schema_run *run;
    const struct schema_frame *up;
    struct schema_seen *seen; /* NULL: nobody asks */
    uint32_t unit;
    json_ref node;
};

/* False: not valid, or run->status is set; whoever takes false for an answer asks that first. */
bool schema_run_unit(struct schema_run *r, uint32_t unit, json_ref node, struct schema_seen *seen,
                     const struct schema_frame *up);
/* Notes the failure when it is the first in document order.  Returns false. */
bool schema_fail(const struct schema_frame *f, const struct schema_op *op, json_ref node,
                 bool is_key, uint32_t detail);
bool schema_out_of_steps(struct schema_run *r);
static inline bool schema_step(struct schema_run *r, uint32_t n)
{
    if (r->steps < n)
        return schema_out_of_steps(r);
    r->steps -= n;
    return true;
}

typedef bool schema_op_fn(const struct schema_frame *f, const struct schema_op *op);
schema_op_fn schema_object_run, schema_items_run, schema_contains_run, schema_names_run;
schema_op_fn schema_dependent_required_run, schema_dependent_schemas_run;
schema_op_fn schema_ref_run, schema_dynamic_ref_run, schema_all_run, schema_any_run;
schema_op_fn schema_one_run, schema_not_run, schema_if_run;
schema_op_fn schema_rest_items_run, schema_rest_properties_run;

bool schema_seen_init(struct schema_run *r, struct schema_seen *seen, uint32_t count);
void schema_seen_release(struct schema_seen *seen);
void schema_seen_mark(struct schema_seen *seen, uint32_t child);
bool schema_seen_has(const struct schema_seen *seen, uint32_t child);
void schema_seen_merge(struct schema_seen *to, const struct schema_seen *from);

/* The string's value, without its escapes; valid until the next call.  False: run->status. */
bool schema_string(struct schema_run *r, json_ref node, struct str *ret);
uint32_t schema_string_length(const struct json_doc *d, json_ref node); /* code points */
bool schema_unique(struct schema_run *r, json_ref array, json_ref *ret_twin);

struct schema_number schema_number_parse(struct str text);
int schema_number_compare(struct schema_number a, struct schema_number b);
bool schema_number_is_integer(const struct json_doc *d, json_ref node);
bool schema_number_is_multiple(struct schema_number a, struct schema_number of);

/* ---- patterns ---- */

/* ECMA-262 (with the u flag, a few web spellings accepted) to PCRE2.  0, or -EINVAL with *e. */
int schema_pattern_translate(struct str source, struct buf *out, struct schema_pattern *p,
                             struct err *e);
int schema_pattern_compile(struct str source, struct schema_pattern *p, struct err *e);
void schema_pattern_free(struct schema_pattern *p);
/* Searches; the work is taken from the run's steps.  False and run->status: too much of it. */
bool schema_pattern_match(struct schema_run *r, const struct schema_pattern *p, struct str subject);

/* ---- compilation ---- */

struct schema_place {
    uint32_t resource;
    bool draft7;
};

struct schema_compiler {
    const struct json_doc *d;
    json_ref root;
    struct schema_error *e;
    struct buf units, ops, words, nodes, text, patterns, dynamics;
    struct buf resources, anchors, refs, names; /* while compiling alone */
    uint32_t *unit_of;                          /* per node from root: unit + 1 */
    uint32_t depth;
    size_t code_bytes;
};

/* Operations of one unit while they are gathered. */
struct schema_draft {
    json_ref schema;
    struct schema_place place;
    uint32_t unit;
    uint32_t ops;
    uint8_t types, flags;
    struct schema_op op[48];
};

int schema_compile_error(struct schema_compiler *c, json_ref node, bool is_key,
                         const char *expected, const char *found_fmt, ...)
    __attribute__((format(printf, 5, 6)));
int schema_compile_unit(struct schema_compiler *c, json_ref node, struct schema_place place,
                        uint32_t *ret_unit);
int schema_draft_op(struct schema_compiler *c, struct schema_draft *b, enum schema_kw kw,
                    uint8_t types, uint32_t arg);
/* n words at the end of the pool; their index, or SCHEMA_NONE with the buffer failed. */
uint32_t schema_words(struct schema_compiler *c, uint32_t n);
static inline uint32_t *schema_word(struct schema_compiler *c, uint32_t index)
{
    return (uint32_t *)(void *)c->words.data + index;
}
/* The string's value appended to the text; its offset. */
int schema_keep_string(struct schema_compiler *c, json_ref node, uint32_t *ret_off,
                       uint32_t *ret_len);
int schema_keep_value(struct schema_compiler *c, json_ref node, uint32_t *ret);

/* One keyword of a schema object; `key` is its name's node. */
int schema_keyword(struct schema_compiler *c, struct schema_draft *b, json_ref key);
/* Keywords that work together: properties and their kin, items, contains, if. */
int schema_groups(struct schema_compiler *c, struct schema_draft *b);
/* Compiles the pattern of a string node into the table. */
int schema_keep_pattern(struct schema_compiler *c, json_ref node, uint32_t *ret);
/* A keyword's value that must be an integer, 0 or more. */
int schema_count(struct schema_compiler *c, json_ref value, uint32_t *ret);
/* "expected ..., found" the value as it is. */
int schema_compile_wrong(struct schema_compiler *c, json_ref value, const char *expected);

/* Begins a resource at an $id, or (value 0) at the root. */
int schema_resource_add(struct schema_compiler *c, struct schema_draft *b, json_ref value);
int schema_anchor_add(struct schema_compiler *c, struct schema_draft *b, json_ref value,
                      struct str name, bool dynamic);
int schema_ref_add(struct schema_compiler *c, struct schema_draft *b, json_ref value, bool dynamic);
int schema_refs_resolve(struct schema_compiler *c);
int schema_refs_check_loops(struct schema_compiler *c);

/* RFC 3986 section 5.2; the fragment of `ref` is dropped.  0, -ENOBUFS: longer than SCHEMA_URI, or
 * -ENOMEM. */
int schema_uri_resolve(struct str base, struct str ref, char ret[SCHEMA_URI], size_t *ret_len);

/* ---- errors ---- */

/* JSON pointer from `root` down to `target`, into a buffer of 256. */
void schema_path(const struct json_doc *d, json_ref root, json_ref target, char ret[256]);
/* "string \"a\"", "array of 3 items" */
void schema_describe(const struct json_doc *d, json_ref node, char *ret, size_t size);
void schema_explain(const struct schema_run *r, const struct schema_failure *f, json_ref root,
                    struct schema_error *e);
/* Is `a` one insertion, deletion, replacement or swap from `b`? */
bool schema_one_edit(struct str a, struct str b);

#endif
