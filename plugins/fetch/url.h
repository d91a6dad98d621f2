/* url.h - the little a plugin needs to know of a URL; the host reads and checks it. */
#ifndef FETCH_URL_H
#define FETCH_URL_H

#include "text.h"

/* As a browser's address bar shows it: scheme and host in lower case, a path.  False: it has no
 * scheme or no host. */
bool url_normalise(const char *url, size_t len, struct text *out);
/* The page of rules of its site: SCHEME://HOST[:PORT]/robots.txt.  `url` is normalised. */
void url_robots(const struct text *url, struct text *out);
/* Same scheme, host and port? */
bool url_same_site(const struct text *a, const struct text *b);
/* Path and query, what robots.txt is about; borrowed from `url`. */
const char *url_path(const struct text *url, size_t *ret_len);

#endif
