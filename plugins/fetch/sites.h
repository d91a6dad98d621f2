/* sites.h - the robots.txt of the sites that were asked lately: one request for each, however many
 * pages wait for it. */
#ifndef FETCH_SITES_H
#define FETCH_SITES_H

#include "page.h"

enum { SITES_MAX = 128 };
#define SITES_TTL UINT64_C(600000000000) /* ns */

struct sites;

struct sites *sites_new(const mf_host *host, const mf_http *http); /* NULL: no memory */
/* Nobody waits any more. */
void sites_free(struct sites *s);

/* why NULL: the page may be asked for; else a text for the model. */
typedef void sites_done(void *arg, const struct text *why);

/* `url` is normalised and lives until `done`, which is called once, perhaps inside. */
void sites_ask(struct sites *s, mf_call call, const struct text *url, const char *agent,
               sites_done *done, void *arg);

#endif
