/* bench/walk.h - enough JSON to check an answer: walks text in place, allocates nothing.
 *
 * A slice is borrowed from the text it was found in and lives as long. */
#ifndef MANIFOLD_BENCH_WALK_H
#define MANIFOLD_BENCH_WALK_H

#include <stdbool.h>
#include <stddef.h>

struct slice {
    const char *p;
    size_t len;
};

/* Is `text` one JSON value and nothing else? */
bool json_whole(struct slice text);
/* The value of member `key` of the object `text`, as it stands there; false when
 * `text` is no object or has no such member.  Keys are compared as written. */
bool json_member(struct slice text, const char *key, struct slice *ret_value);
/* The first element of the array `text`. */
bool json_first(struct slice text, struct slice *ret_value);
/* Does the JSON string `text` (with its quotes) mean exactly these UTF-8 bytes? */
bool json_string_is(struct slice text, struct slice meaning);
bool slice_is(struct slice s, const char *literal);

#endif
