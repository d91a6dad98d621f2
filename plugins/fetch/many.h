/* many.h - the tool fetch_many: many pages, each with its own result, none of which fails the
 * others. */
#ifndef FETCH_MANY_H
#define FETCH_MANY_H

#include "page.h"

enum { MANY_URLS = 1000, MANY_AT_ONCE = 100 };

/* Finishes the call. */
void many_start(const struct getter *g, const mf_request *r, const char *agent, bool robots);

#endif
