/* content.h - what of a page is its content: after the ideas of Mozilla's Readability, which the
 * reference fetch server uses, not after its code.
 *
 * Scripts, forms, navigation, advertisements and the like are left out.  Then paragraphs give
 * points to what they stand in, by their length and commas; the element with most, less for a share
 * of links, is the content, together with those siblings that look alike.  A page that has too
 * little of that is taken whole. */
#ifndef FETCH_CONTENT_H
#define FETCH_CONTENT_H

#include "html.h"

/* Marks what is left out and returns the element whose children are the content; NULL: there is no
 * text at all, or no memory. */
const GumboNode *content_find(struct html *h);

#endif
