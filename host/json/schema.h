/* host/json/schema.h - JSON Schema 2020-12, compiled once, run on the reader's tape.
 *
 * The whole of 2020-12 but for what would have to be fetched: $ref and
 * $dynamicRef lead within the document (by pointer, $anchor or an $id in it), any other is
 * refused.  `format` and content* are annotations.  A `$schema` of draft-07 selects
 * that dialect ($ref hides its neighbours, items as a list, additionalItems); any
 * other dialect is refused.  A keyword that is not known is an error at
 * compilation, never ignored; names that begin with "x-" are annotations.
 *
 * Patterns are ECMA-262 spelling translated for PCRE2, without JIT.  All work, that of patterns
 * too, is counted in steps, so no schema and no value takes long: 100,000 steps
 * are some 2 ms. */
#ifndef MANIFOLD_JSON_SCHEMA_H
#define MANIFOLD_JSON_SCHEMA_H

#include "json/reader.h"

struct schema; /* owned by the caller; immutable once compiled, so any thread may validate */

struct schema_error {
    json_ref node;      /* the offending value in the instance; compile: in the schema document */
    bool is_key;        /* node is a member's key, not a value */
    bool budget;        /* not invalid: the step, match or depth limit was reached */
    char path[256];     /* JSON pointer into the instance (or the schema), "" for the root, of the
                           object when is_key; cut with "..." */
    char expected[256]; /* "string", "one of \"a\", \"b\"", "at most 3 items" */
    char found[128];    /* "number 3", "no \"place\"" */
};

enum { SCHEMA_STEPS = 100000, SCHEMA_MAX_SUBSCHEMAS = 10000 };

/* Compiles the schema at `root` of `d`.  The schema copies what it keeps, so d may go.
 * 0, or -EINVAL or -ENOMEM, with *e filled (node and path: place in d). */
int schema_compile(const struct json_doc *d, json_ref root, struct schema **ret,
                   struct schema_error *e);
void schema_free(struct schema *s);
/* 0 valid; -EINVAL with *e filled (the first failure in document order; of anyOf and oneOf that of
 * the alternative which got furthest); -E2BIG when over `steps` steps, a pattern's limits, 512
 * schemas inside one another, -ENOMEM (both: e->budget).  *e is untouched when valid. */
int schema_validate(const struct schema *s, const struct json_doc *d, json_ref value,
                    uint32_t steps, struct schema_error *e);
/* Is the root's `type` exactly "object" (or no type, when `or_none`)? */
bool schema_root_is_object(const struct schema *s, bool or_none);
/* "arguments/place: expected string, found number 3".  `what` names the root. */
void schema_error_text(const struct schema_error *e, const char *what, struct err *out);

#endif
