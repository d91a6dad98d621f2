/* host/engine/engine.h - calls on their way through the host: admission, deadline, one end.
 *
 * The loop thread owns all of it.  Other threads (a plugin's own) enter only
 * through the mf_host functions, which lock the one call they name and post to
 * the loop (core.c).
 *
 *   call_start()  the arguments are valid already; admits at once, queues, or refuses
 *   sink->done()  exactly once for every call that call_start() took, unless it was cancelled
 *
 * A call whose client was answered (deadline) or does not wait (cancel) before
 * the plugin finished it stays with its plugin as an orphan: it holds its slot
 * until the plugin's late finish(). */
#ifndef MANIFOLD_ENGINE_ENGINE_H
#define MANIFOLD_ENGINE_ENGINE_H

#include <uv.h>
#include "config/manifest.h"
#include "engine/post.h"
#include "engine/refusal.h"
#include "engine/window.h"
#include "manifold/plugin.h"

struct engine;
struct instance;
struct call; /* opaque to its user: see the accessors */

/* What stands above: where extension() finds its vtables. */
struct engine_services {
    /* Of mf_host.extension(); NULL: unknown or not granted, and said so.  Any thread. */
    const void *(*extension)(void *arg, struct instance *in, const char *id);
    /* Of an instance whose instance.services is not NULL, on the loop, with no operation left: */
    void (*join)(void *arg, struct instance *in);    /* before close(): ends its threads */
    void (*release)(void *arg, struct instance *in); /* gives all of it back */
    /* The last generation of this plugin was freed while the engine runs on: it is removed.  On
     * the loop; may be NULL. */
    void (*gone)(void *arg, const char *name);
    void *arg;
};

struct engine_options {
    uint32_t calls;                  /* in flight in the whole host: limits.calls */
    struct engine_services services; /* all NULL: there are none */
    const char *keep_libraries; /* --keep-libraries DIR, or NULL; borrowed for the engine's life */
};

/* Out of memory ends the process; otherwise the errors of uv_async_init(). */
int engine_open(uv_loop_t *loop, const struct engine_options *options, struct engine **ret,
                struct err *e);
/* Cancels what is queued, quiesces every instance, gives running calls `grace_ms`, closes the
 * instances that are idle by then and calls `done` once, on the loop.  New calls are refused. */
void engine_stop(struct engine *en, unsigned grace_ms, void (*done)(void *), void *arg);
bool engine_stopping(const struct engine *en);
/* The window of metrics begins anew: its length in ns and where it finds its levels (window.h). */
void engine_measure(struct engine *en, uint64_t span,
                    void (*levels)(void *arg, uint64_t ret[WINDOW_LEVELS]), void *arg);
void engine_window(const struct engine *en, struct window_view *ret);
/* After `done`, once the loop has run its close callbacks.  False: calls were still running, whose
 * threads may touch it, its instances and their manifests until the process ends; all stays. */
bool engine_free(struct engine *en);

/* How a call ended. */
enum call_end {
    CALL_DONE,       /* items and structured are the result                       */
    CALL_TOOL_ERROR, /* the same, with isError                                    */
    CALL_BAD_PARAMS, /* message: for the client, -32602                           */
    CALL_NOT_FOUND,  /* no resource at this URI                                   */
    CALL_REFUSED     /* refusal says why; the plugin's fault included             */
};

/* What results.h makes of a call of an entry with `cache:`. */
struct outcome_kept {
    bool hit;          /* it was kept; no call was made */
    bool shared;       /* a run that another request had begun */
    uint64_t age, ttl; /* ms: since it was made, and for how long it is kept on; of a hit */
};

/* What a call gives back.  Borrowed until sink->done() returns. */
struct outcome {
    enum call_end end;
    /* JSON items, comma separated, without the brackets: content blocks of a tool, `contents` of a
     * resource, `messages` of a prompt.  One line. */
    struct str items;
    struct str structured;           /* JSON; {NULL,0}: none.  Completion: the completion object */
    struct str message;              /* CALL_BAD_PARAMS: plain text; else empty */
    const struct refusal *refusal;   /* CALL_REFUSED */
    const struct outcome_kept *kept; /* NULL: results of the entry are not kept */
};

/* Where a call's answers go; on the loop.  None of them may start a call inside itself. */
struct call_sink {
    /* Once; the call is gone afterwards.  May run inside call_start(). */
    void (*done)(void *user, const struct outcome *o);
    /* Between start and end, only if asked for in the request.  text may be empty; total 0:
     * unknown. */
    void (*progress)(void *user, double done, double total, struct str text);
    /* level: MF_LOG_*; only what is at or above request.log_level. */
    void (*log)(void *user, int level, struct str logger, struct str text);
};

struct call_request {
    struct instance *instance;
    uint32_t entry;  /* index into the instance's manifest entries */
    uint32_t kind;   /* MF_TOOL ... MF_COMPLETION */
    struct str args; /* JSON object; {NULL,0} counts as {} */
    struct str uri;  /* MF_RESOURCE: decoded */
    struct str meta; /* JSON or empty */
    const struct call_sink *sink;
    void *user;
    bool progress; /* the client sent a progressToken */
    int log_level; /* MF_LOG_*: least severe level the client wants; -1: none */
    /* Who asks, for what is kept per principal; {NULL,0}: the only one there is.  The host's word,
     * never the client's. */
    struct str principal;
    uint64_t deadline; /* ns; 0: limits.timeout from now */
    bool keyed;        /* for results.h alone */
};
/* All slices are borrowed until call_start() returns; the engine copies what has to wait.
 * NULL: the call ended inside (sink->done() has run).  Else the call, valid until done() or
 * call_cancel(). */
struct call *call_start(struct engine *en, const struct call_request *rq);
/* May arguments of this size go to the entry?  False: over limits.request, *ret says so, and the
 * call counts as refused.  To be asked before the arguments are validated. */
bool call_request_fits(struct instance *in, uint32_t entry, size_t bytes, struct refusal *ret);
/* Counts a call that ended before call_start(): its arguments did not fit the schema. */
void call_count_misfit(struct instance *in, uint32_t entry);
/* Nobody waits any more: done() will not run, the user pointer is forgotten. */
void call_cancel(struct call *c);
/* Runs p on the loop, in order, also with the ends of calls.  False: the loop is gone, and p was
 * not taken.  Any thread. */
bool engine_post(struct engine *en, struct post *p);
bool engine_on_loop(const struct engine *en);

/* --- for results.h, which answers in place of calls --- */

/* Counts and refuses a request that is no call: sink->done() runs inside. */
void call_refuse(const struct call_request *rq, enum refusal_reason reason);
/* Counted beside the calls: answers that were kept, calls made because none was, requests that
 * share a run with another.  Hits and shared answers count in the window. */
void call_count_hit(struct instance *in, uint32_t entry);
void call_count_miss(struct instance *in, uint32_t entry);
void call_count_shared(struct instance *in, uint32_t entry, const struct outcome *o);

#endif
