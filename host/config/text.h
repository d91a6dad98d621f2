/* host/config/text.h - what the sentences and names of this layer are made with.  Any thread. */
#ifndef MANIFOLD_CONFIG_TEXT_H
#define MANIFOLD_CONFIG_TEXT_H

#include "base/err.h"
#include "json/reader.h"

enum { TEXT_SHOWN = 96 };

/* s in double quotes, cut to fit, control characters as '?'; returns out. */
const char *text_quoted(struct str s, char out[TEXT_SHOWN]);
/* Is `written` most likely a slip of `known`: one edit away when case, '_' and
 * '-' are left out, or one begins with the other? */
bool text_near(struct str written, struct str known);
/* [a-z][a-z0-9_-]{0,31}, the name of an instance. */
bool text_is_instance_name(struct str s);

/* The same text, or none at both. */
static inline bool text_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Strings that had escapes, so that their values stand nowhere in a document.  NULL is an empty
 * pool; the strings live until text_pool_free(). */
struct text_pool;
void text_pool_free(struct text_pool *pool);
/* *ret is a copy of `text` in the pool.  0 or -ENOMEM. */
int text_keep(struct text_pool **pool, struct str text, struct str *ret, struct err *e);
/* *ret is the value of string node n: in the document's text, or kept in the pool; {NULL,0} when n
 * is 0.  0 or -ENOMEM. */
int text_value(struct text_pool **pool, const struct json_doc *d, json_ref n, struct str *ret,
               struct err *e);

#endif
