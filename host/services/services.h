/* host/services/services.h - what a plugin may ask of the host: a const table by extension id.
 *
 * One struct services a host, opened before the first plugin is loaded and closed after the
 * engine has stopped.  What it keeps for one instance hangs on instance.services.
 *
 * A new service is one file here, one header in the SDK and one row in services.c. */
#ifndef MANIFOLD_SERVICES_SERVICES_H
#define MANIFOLD_SERVICES_SERVICES_H

#include "engine/engine.h"

struct cache;
struct services;
struct series_set;
struct cache_counters;
struct http_counters;

/* Nothing is connected or loaded yet: that is done when the first plugin asks.  `settings` is
 * borrowed for this function only.  0, or negative errno with the sentence. */
int services_open(uv_loop_t *loop, const struct settings *settings, struct services **ret,
                  struct err *e);
/* Other settings are in force from now on; borrowed for this function only.  Loop thread. */
void services_settings(struct services *s, const struct settings *settings);
/* Who is told of what plugins notify; on the loop. */
struct services_listener {
    /* The plugin says that the content of this URI has changed, which is one of `spec`, an entry of
     * its manifest. */
    void (*updated)(void *arg, struct instance *in, const struct entry_spec *spec, struct str uri);
    /* It says that lists have changed: bits 1 << ENTRY_*. */
    void (*lists_changed)(void *arg, struct instance *in, unsigned kinds);
    void *arg;
};
/* Before the first plugin is loaded; copied. */
void services_listen(struct services *s, const struct services_listener *l);
/* For engine_options.services. */
struct engine_services services_for_engine(struct services *s);
/* After engine_stop(): closes what the loop knows of; `done` once, on the loop, perhaps inside. */
void services_close(struct services *s, void (*done)(void *arg), void *arg);
/* After that and engine_free().  NULL is fine. */
void services_free(struct services *s);

/* --- for status and metrics; loop thread --- */

/* The figures of plugins; NULL: none has any. */
struct series_set *services_series(struct services *s);
void services_cache_count(const struct services *s, struct cache_counters *ret);
/* Of one plugin, in its life; `in` NULL: of all.  NULL: it has asked for no service yet. */
const struct http_counters *services_http_count(const struct services *s,
                                                const struct instance *in);

#endif
