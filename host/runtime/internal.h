/* host/runtime/internal.h - private to runtime/. */
#ifndef MANIFOLD_RUNTIME_INTERNAL_H
#define MANIFOLD_RUNTIME_INTERNAL_H

#include <errno.h>
#include "base/clock.h"
#include "base/list.h"
#include "runtime/host.h"
#include "runtime/process.h"
#include "services/cache/cache.h"
#include "services/http/http.h"
#include "services/metrics/series.h"

/* --- figures.c: what perf://metrics and Prometheus are told --- */

struct figures {
    struct window_view window;
    struct process_figures process;
    struct series_usage series;
    struct cache_counters cache;
    const struct http_counters *http;
    double up, cpu;   /* seconds; processors in use, on average over the window */
    double hit_ratio; /* of the cache, over the window; negative: it was not asked */
    uint32_t connections, subscriptions;
};
void figures_take(const struct host *h, struct figures *ret);
/* For engine_measure(); arg: the host. */
void figures_levels(void *arg, uint64_t ret[WINDOW_LEVELS]);

/* Of one plugin, its draining generations included. */
struct plugin_figures {
    const struct instance *instance; /* the one that serves; NULL: it was removed */
    const char *name;
    uint32_t running, queued, orphans, operations;
    struct series_usage series;
    const struct http_counters *http; /* of the one that serves; NULL: none */
};
/* Calls `one` for each plugin that has an instance. */
void figures_each_plugin(const struct host *h,
                         void (*one)(void *arg, const struct plugin_figures *p), void *arg);

/* Owned; grows. */
struct problems {
    struct problem *problem;
    uint32_t count;
    bool no_memory; /* one at least is not among them, the log alone has it */
};

/* Notes what could not be served and logs it.  `plugin` is copied.  Any thread that owns `p`. */
void problem_add(struct problems *p, const char *plugin, bool fatal, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void problems_release(struct problems *p);

/* One manifest file as it was read. */
struct staged {
    char *path;                /* owned */
    char *stem;                /* owned; names the plugin where there is no manifest */
    char *name;                /* owned; the instance's; NULL where there is no manifest */
    struct manifest *manifest; /* owned; NULL: it can't be read, `e` says why */
    struct library *library;   /* NULL: not asked for, or bad */
    char sha256[LIBRARY_HEX];  /* of the library, where a lock wants to know; "": not asked for */
    int library_error;         /* bad, or not what the lock says: `e` says which */
    bool unapproved;           /* it is the lock */
    struct err e;
};

/* What the sources hold: made beside what runs, by any one thread. */
struct stage {
    const struct settings *settings;
    bool for_lock;         /* hashes are wanted, and nothing is compared with the lock */
    struct staged *plugin; /* owned; in source and file order */
    uint32_t plugins;
    struct problems problems;
};

/* `loaded`: is a plugin of this name loaded, so that its library has to be staged too?  NULL: none
 * is.  What is wrong with a source or a manifest becomes a problem of the stage.  -ENOMEM, -EMFILE
 * or -ENFILE with the sentence when the host has not what it takes to read them all: then the stage
 * is not whole. */
int stage_read(struct stage *st, bool (*loaded)(const void *arg, struct str name), const void *arg,
               const char *keep_libraries, struct err *e);
/* What is left in it. */
void stage_release(struct stage *st);

/* --- lock_stage.c --- */

/* Compares what was read with the lock file, as settings.lock says: what differs is bad, or a
 * problem. */
void lock_apply(struct stage *st);

/* Of the settings, manifests and instances of h, the next after h->generation.  What can't be
 * served becomes a problem.  NULL: there is no memory for all of it, and h is as it was. */
struct catalogue *catalogue_build(struct host *h, struct problems *p);
/* NULL: nothing. */
void catalogue_free(struct catalogue *c);

/* Says what is to be said of a manifest that is served from now on. */
void manifest_note(const struct manifest *m, const char *name);
/* One line for all that ask for isolation. */
void host_note_isolation(const struct host *h);

/* Parts of exposition_step(): exposition_entries.c, exposition_services.c. */
void exposition_entries(struct buf *b, struct buf *labels, const struct host *h);
void exposition_services(struct buf *b, struct buf *labels, const struct host *h,
                         const struct figures *f);

/* --- notices.c: telling the listeners --- */

struct notices;
/* What clients know is what is served now; before the first change.  NULL: no memory. */
struct notices *notices_open(struct host *h);
/* Lists may differ from what clients know: they are compared and told after a while.  After
 * notices_open(). */
void notices_lists(struct host *h);
/* For services_listen(); arg: the host. */
void notices_updated(void *arg, struct instance *in, const struct entry_spec *spec, struct str uri);
void notices_lists_changed(void *arg, struct instance *in, unsigned kinds);
/* The handles go with the loop's next turn. */
void notices_close(struct host *h);

/* --- reload.c --- */

struct reload;
/* Ends what is under way; the handles go with the loop's next turn. */
void reload_close(struct host *h);
/* Sees to it that the source directories are watched, or not, as the settings say. */
void reload_watch(struct host *h);

#endif
