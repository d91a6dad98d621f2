/* host/config/complain.h - what a document has wrong, in a sentence that names place and remedy.
 *
 * The validator says what it expected in the schema's terms.  This walks down
 * both, document and schema, to the offending node, names it as an author would
 * (limits.timeout, tools[0].name), and for an unknown key suggests the nearest
 * known one.  In a schema node with a `pattern`, `title` says what is expected. */
#ifndef MANIFOLD_CONFIG_COMPLAIN_H
#define MANIFOLD_CONFIG_COMPLAIN_H

#include "config/document.h"
#include "json/schema.h"

/* Always -EINVAL, with the sentence. */
int complain(const struct document *d, const struct json_doc *schema, const struct schema_error *se,
             struct err *e);
/* document_error() with the name of node n in front: "limits.timeout: ...". */
int complain_at(const struct document *d, json_ref n, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Appends the name of node n below `top`: "limits.timeout", "tools[0].name"; nothing for `top`. */
void complain_path(const struct json_doc *d, json_ref top, json_ref n, struct buf *out);

#endif
