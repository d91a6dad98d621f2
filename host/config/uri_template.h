/* host/config/uri_template.h - URI templates (RFC 6570), matched without regular expressions.
 *
 * Matching is the inverse of expansion for the operators a resource template
 * uses: literals, {var}, {+var}, {#var}, {/var}, {?a,b}, {&a,b}, with prefix
 * modifiers refused and explode (*) refused at compile.  Linear in the URI times
 * the number of expressions; bounded variables (16) and template length (2 KiB). */
#ifndef MANIFOLD_CONFIG_URI_TEMPLATE_H
#define MANIFOLD_CONFIG_URI_TEMPLATE_H

#include "base/buf.h"
#include "base/err.h"

struct uri_template;

/* 0, or -EINVAL with the sentence (what was expected at which character). */
int uri_template_compile(struct str text, struct uri_template **ret, struct err *e);
void uri_template_free(struct uri_template *t);
/* True when `uri` is an expansion of t; then `vars` (may be NULL) gets the percent-decoded
 * variables as a JSON object of strings, in template order.  A decoded value must be valid UTF-8
 * without NUL. A simple {var} matches one or more characters other than "/" "?" "#" (reserved
 * characters only percent-encoded, RFC 6570 3.2.2); {+var} matches any.  Without memory it is
 * false, and vars->failed says so. */
bool uri_template_match(const struct uri_template *t, struct str uri, struct buf *vars);
uint32_t uri_template_variables(const struct uri_template *t);
struct str uri_template_variable(const struct uri_template *t, uint32_t i);

#endif
