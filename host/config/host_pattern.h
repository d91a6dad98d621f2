/* host/config/host_pattern.h - "a.example", "*.example" and "*", and the hosts of URLs.  Any
 * thread. */
#ifndef MANIFOLD_CONFIG_HOST_PATTERN_H
#define MANIFOLD_CONFIG_HOST_PATTERN_H

#include "base/str.h"

enum { HOST_BYTES = 256 };

/* Lower case, without a dot at the end and without brackets; an IPv6 address in its one short
 * spelling.  In `out`, NUL-terminated; empty: it is too long. */
struct str host_plain(struct str host, char out[HOST_BYTES]);

/* The rest takes what host_plain() has made. */

/* Nothing but what names and addresses are made of?  (Other scripts come as xn--.) */
bool host_is_name(struct str host);
/* Would a URL parser take it for an address?  (WHATWG URL: the last label is a number.) */
bool host_is_address(struct str host);
/* Is it "*"? */
bool host_is_any(struct str pattern);
/* "*.example" covers every name below example, not example itself and no address. */
bool host_covered(struct str pattern, struct str host);
/* Is all that `narrow` covers covered by `wide`? */
bool host_is_within(struct str narrow, struct str wide);

#endif
