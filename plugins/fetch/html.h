/* html.h - HTML5 by gumbo, with memory and time that have an end.
 *
 * Pages exist that make any HTML parser build a tree many thousand times as large as they are, or
 * look at every open element for every tag.  So gumbo gets its memory from an arena with a maximum,
 * and its allocator looks at the clock; where either is used up, parsing is left by longjmp() and
 * the arena, that is all of it, given back.  Nothing of gumbo is called to free the tree, which it
 * would do by recursion. */
#ifndef FETCH_HTML_H
#define FETCH_HTML_H

#include <gumbo.h>
#include <stdbool.h>
#include <stddef.h>

enum { HTML_ARENA = 64 << 20 }; /* bytes */

struct html; /* a parsed page */

/* `text` is UTF-8 and outlives it.  NULL: over its limits, or no memory.  Any thread. */
struct html *html_parse(const char *text, size_t len);
/* The element <html>. */
const GumboNode *html_root(const struct html *h);
void html_free(struct html *h); /* NULL is fine */
/* Memory that lives as long as the page; NULL: over the limit. */
void *html_alloc(struct html *h, size_t size);

/* What later passes know of a node.  Numbers are given by the first pass (content.c). */
static inline bool html_is_element(const GumboNode *n)
{
    return n->type == GUMBO_NODE_ELEMENT || n->type == GUMBO_NODE_TEMPLATE;
}
static inline bool html_is_text(const GumboNode *n)
{
    return n->type == GUMBO_NODE_TEXT || n->type == GUMBO_NODE_WHITESPACE ||
           n->type == GUMBO_NODE_CDATA;
}
static inline bool html_is(const GumboNode *n, GumboTag tag)
{
    return html_is_element(n) && n->v.element.tag == tag;
}
/* The attribute's value; NULL: it has none of that name. */
static inline const char *html_attribute(const GumboNode *n, const char *name)
{
    const GumboAttribute *a = gumbo_get_attribute(&n->v.element.attributes, name);
    return a ? a->value : NULL;
}
/* "page furniture": left out of the Markdown.  Kept in a bit that gumbo does not use. */
enum { HTML_LEFT_OUT = 1 << 30 };
static inline bool html_is_left_out(const GumboNode *n)
{
    return ((int)n->parse_flags & HTML_LEFT_OUT) != 0;
}
static inline void html_leave_out(const GumboNode *n, bool out)
{
    GumboNode *own = (GumboNode *)n;
    int flags = (int)n->parse_flags;
    own->parse_flags = (GumboParseFlags)(out ? flags | HTML_LEFT_OUT : flags & ~HTML_LEFT_OUT);
}

#endif
