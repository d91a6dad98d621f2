/* robots.h - robots.txt, RFC 9309. */
#ifndef FETCH_ROBOTS_H
#define FETCH_ROBOTS_H

#include <stdbool.h>
#include <stddef.h>

/* May `agent` (the first product of a User-Agent) ask for this path and query?  Only the first
 * 500 KiB count. */
bool robots_allow(const char *rules, size_t len, const char *agent, const char *path,
                  size_t path_len);

#endif
