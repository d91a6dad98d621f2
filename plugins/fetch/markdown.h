/* markdown.h - HTML as Markdown, with the rules and the spelling of Python's markdownify, which the
 * reference fetch server uses. */
#ifndef FETCH_MARKDOWN_H
#define FETCH_MARKDOWN_H

#include "html.h"
#include "text.h"

/* Appends the children of `root` but for those that are left out; `headings`: h1 becomes h2, as
 * Readability does. */
void markdown_write(const GumboNode *root, bool headings, struct text *out);

#endif
