/* host/engine/internal.h - private to engine/: the call, the engine, and what the files tell each
 * other.
 *
 * Two kinds of fields: those "under lock" are shared with plugin threads, the
 * rest belong to the loop thread.  Lock order: a call's lock, then the post
 * queue's; never two calls. */
#ifndef MANIFOLD_ENGINE_INTERNAL_H
#define MANIFOLD_ENGINE_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include "base/clock.h"
#include "base/list.h"
#include "engine/instance.h"
#include "engine/op.h"
#include "engine/pool.h"
#include "engine/trace.h"
#include "engine/watchdog.h"
#include "engine/window.h"

/* --- post.c: from other threads to the loop, and from the loop to its next turn --- */

struct post_queue {
    uv_async_t async;
    pthread_mutex_t lock;
    struct post *first, **last; /* under lock */
    bool closed;                /* under lock: the loop is gone, posts are dropped */
    uv_idle_t idle;             /* active while there is something for later */
    struct post *later, **later_last;
};

int post_open(struct post_queue *q, uv_loop_t *loop);
/* Any thread.  False: the queue is closed and p was not taken. */
bool post_send(struct post_queue *q, struct post *p);
/* On the loop, for what must not happen on the stack of a plugin: in this turn or the next, in
 * order, without the wake-up that post_send() costs. */
void post_later(struct engine *en, struct post *p);
void post_close(struct post_queue *q, uv_close_cb closed);

/* --- the call --- */

enum call_state {
    SLOT_FREE,
    SLOT_QUEUED,  /* waits for the library or a permit; the plugin does not know it */
    SLOT_RUNNING, /* the plugin has it */
    SLOT_ENDED    /* the plugin has finished it; not settled yet */
};

enum client_state { CLIENT_WAITS, CLIENT_CANCELLED, CLIENT_TIMED_OUT };

struct result {
    struct buf items;      /* JSON items, comma separated */
    struct buf structured; /* last structured() */
    uint64_t limit;        /* bytes, both together */
    bool text_open, blob_open;
    bool over, no_memory;   /* something did not fit: the result is not whole */
    bool structured_bad;    /* the last structured() did not fit the outputSchema */
    unsigned char carry[2]; /* blob(): bytes that wait for a third */
    uint8_t carried;
};

struct call {
    pthread_mutex_t lock;
    uint32_t slot, generation; /* generation: under lock */
    enum call_state state;     /* under lock */
    enum client_state client;  /* under lock */
    struct result result;      /* under lock until SLOT_ENDED, then the loop's */
    double progress;           /* under lock: the last value */
    uint32_t events;           /* under lock: progress and log posts not yet run */
    int how;                   /* under lock: of finish() */
    char detail[512];          /* under lock: of finish(), cut */
    uint32_t detail_len;
    struct post ended, returned;

    struct engine *engine;
    struct instance *instance;
    const struct entry_spec *spec;
    uint32_t entry, kind;
    const struct call_sink *sink;
    void *user;
    bool wants_progress;
    int log_level;
    uint64_t arrival, deadline; /* ns */
    uint64_t due;               /* ns: key in the deadline heap */
    uint32_t heap;              /* index in it + 1; 0: not in it */
    bool in_call;               /* call() of the plugin is on the stack of the loop */
    bool ended_inside;          /* finish() came within it, on the loop */
    uint64_t trial;             /* its number as the breaker's trial, or 0 */
    bool ran;                   /* the plugin got it */
    uint64_t waited;            /* ns in the queue until then */
    bool blocking;              /* runs on a thread of the plugin */
    bool thread_done;           /* blocking: call() has returned */
    bool end_seen;              /* finish() has reached the loop */
    bool settled;               /* the client was answered, or needs no answer */
    struct list waiting;        /* in instance.waiting */
    struct pool_job job;        /* blocking */
    struct list ops;            /* struct op.in_call: what was begun for it */
    struct trace *trace;        /* owned; NULL: its client sent none */
    struct buf input; /* copy of args, uri and meta, where they must outlive call_start() */
    struct str args, uri, meta;
    struct call *next_free;
};

/* Once for every slot. */
void call_posts_init(struct call *c);

/* --- table.c: slots --- */

enum { CHUNK = 16, MAX_CHUNKS = 512 };

struct call_table {
    struct call *_Atomic chunk[MAX_CHUNKS]; /* never freed while the engine lives */
    uint32_t slots, used, max;
    struct call *free;
    size_t kept; /* bytes of buffer memory that free slots hold */
};

struct call *table_take(struct engine *en);
void table_give(struct engine *en, struct call *c);
void table_release(struct engine *en);
mf_call call_handle(const struct call *c);
/* The call with its lock held, or NULL when the handle is stale, forged or not of `in`.  Any
 * thread. */
struct call *call_lock(struct instance *in, mf_call handle);
/* The same where `in` may be gone: it is only compared. */
struct call *call_lock_of(struct engine *en, const struct instance *in, mf_call handle);

/* --- op.c --- */

struct op_slot;

struct op_table {
    pthread_mutex_t lock; /* also over instance.ops and .ops_shut */
    struct op_slot *slot; /* owned */
    uint32_t slots, used, free;
};

void ops_init(struct op_table *t);
void ops_release(struct op_table *t);
/* Nobody waits for what was begun for this call. */
void call_abort_ops(struct call *c);
/* Those of no call, or all; from now on none of no call can be begun. */
void instance_abort_ops(struct instance *in, bool all);
/* Before close(): from now on none can be begun, from any thread.  False: there are some, and
 * nothing has changed. */
bool instance_shut_ops(struct instance *in);
/* Its open() has failed: aborts all without a word to the plugin, and none can be begun. */
void instance_mute_ops(struct instance *in);

/* --- deadline.c --- */

struct deadlines {
    uv_timer_t timer;
    struct call **heap; /* earliest first */
    uint32_t count, cap;
    uint64_t armed; /* ns; 0: not armed */
};

/* A place for each of so many calls, so that none that is running fails for want of one.  False: no
 * memory. */
bool deadlines_reserve(struct engine *en, uint32_t calls);
void deadline_set(struct engine *en, struct call *c, uint64_t due);
void deadline_clear(struct engine *en, struct call *c);

/* --- the engine --- */

struct engine {
    uv_loop_t *loop;
    pthread_t loop_thread;
    struct engine_options options;
    struct post_queue posts;
    struct deadlines deadlines;
    struct call_table calls;
    struct op_table ops;
    struct watchdog watchdog;
    uint64_t
        now; /* the last reading of the clock: on arrival, after an entry, per batch of posts */
    struct window window;
    struct entry_metrics uncounted; /* of entries for which there was no memory */
    struct list instances;
    bool stopping, stopped;
    uv_timer_t stop_timer;
    unsigned handles_open;
    uv_timer_t drain_timer; /* of what instance_retire() took */
    void (*gone)(void *arg, const char *name);
    void *gone_arg;
    void (*stop_done)(void *);
    void *stop_arg;
};

static inline bool on_loop(const struct engine *en)
{
    return pthread_equal(pthread_self(), en->loop_thread);
}

/* --- settle.c --- */

/* The client is told that no result will come; `text` NULL: in the words of refusal.h. */
void call_answer_refusal(struct call *c, enum refusal_reason reason, const char *text);
/* Refused before it has a slot; `wait` as in refusal_fill().  NULL. */
struct call *call_refuse_after(const struct call_request *rq, enum refusal_reason reason,
                               uint64_t wait);
/* The plugin has finished it: the client gets the result, if it still waits. */
void call_settle(struct call *c);
/* Everything the plugin owed has come: slot and permits are free, the next one comes in. */
void call_give_back(struct call *c);

/* --- call.c --- */

/* Its deadline (or longest wait) has come. */
void call_due(struct call *c);
void call_run(struct call *c);
/* Refuses every call that waits for this instance. */
void instance_refuse_waiting(struct instance *in, enum refusal_reason reason, const char *text);
/* The library is there: from now on it is the plugin's queue that makes them wait. */
void instance_restart_waits(struct instance *in);
/* Runs what waits, oldest first, as far as there are permits. */
void instance_dispatch(struct instance *in);
void engine_check_stopped(struct engine *en);
/* Cancels every running call of the instance and answers its client. */
void instance_cut_calls(struct instance *in, const char *text);

/* --- gate.c: rate and breaker --- */

/* Neither rate nor breaker has a say: most plugins have no rates, and their breaker is closed. */
static inline bool gate_is_open(const struct instance *in, uint32_t entry)
{
    const struct manifest *m = in->manifest;
    return in->breaker.state == BREAKER_CLOSED && !m->instance.limits.rate.per_second &&
           !m->entry[entry].limits.rate.per_second;
}
/* May a call come in now?  False: *ret says which of the two refuses, *ret_wait for how many ns. */
bool gate_admits(struct instance *in, uint32_t entry, enum refusal_reason *ret, uint64_t *ret_wait);
/* It came in: takes the tokens, and makes it the trial where one is due. */
void gate_take(struct call *c);
/* Its client is answered, or waits no more (o NULL).  Only a refusal or the end of a trial makes a
 * difference. */
void gate_told(struct call *c, const struct outcome *o);
static inline void gate_tell(struct call *c, const struct outcome *o)
{
    if (c->trial || (o && o->refusal))
        gate_told(c, o);
}
/* The instance held the loop over its limit. */
void gate_held(struct instance *in);

/* --- metrics.c --- */

/* Made at the first call: an idle plugin has none.  Never NULL. */
struct entry_metrics *metrics_make(struct instance *in, uint32_t entry);
static inline struct entry_metrics *metrics_of(struct instance *in, uint32_t entry)
{
    struct entry_metrics *m = in->entry[entry].metrics;
    return m ? m : metrics_make(in, entry);
}
static inline struct instance_entry *call_entry(const struct call *c)
{
    return &c->instance->entry[c->entry];
}
static inline struct instance_counters *call_count(const struct call *c)
{
    return &metrics_of(c->instance, c->entry)->count;
}
/* It leaves the queue to be run. */
void metrics_waited(struct call *c);
/* Its client is answered. */
void metrics_answered(struct call *c, const struct outcome *o);
/* A call is refused before it was one. */
void metrics_refused(struct engine *en);
void metrics_release(struct instance *in);

/* --- slow.c --- */

/* It took so many ns, which is over its entry's `slow`. */
void slow_call(struct call *c, uint64_t took, const struct outcome *o);

/* --- check.c --- */

/* The first invariant of the engine that does not hold, as a sentence; NULL: all do.  On the loop,
 * outside of plugins.  For tests; builds without NDEBUG check an instance after each dispatch. */
const char *engine_check(struct engine *en);
const char *instance_check(struct instance *in);

/* --- core.c: the functions a plugin sees --- */

void host_vtable_fill(mf_host *h);
static inline struct instance *instance_of(const mf_host *h)
{
    return container_of((mf_host *)(uintptr_t)h, struct instance, host);
}

/* --- result.c; all with the call's lock held, except result_close() --- */

mf_status result_text(struct call *c, mf_bytes text);
mf_status result_blob(struct call *c, mf_bytes raw);
mf_status result_block(struct call *c, mf_bytes json);
mf_status result_structured(struct call *c, mf_bytes json);
/* Ends what text() or blob() left open. */
void result_close(struct call *c);
/* Gives the tapes back that all results are read with. */
void result_docs_release(void);

/* --- instance.c --- */

void instance_close(struct instance *in);
void instance_free(struct instance *in);
/* Opens what instance_prepare() with handover has probed; `from`: its predecessor, whose state it
 * gets, or NULL. */
void instance_open_heir(struct instance *in, struct buf *state);

/* --- drain.c --- */

struct instance_drain {
    struct instance *heir;
    uint64_t due; /* ns: of the next step */
    bool quiesced, cut, stuck;
    bool discarded; /* never served */
};

/* Something of a retired instance has ended: looks at it in the loop's next turn. */
void drain_look(struct engine *en);
void drain_timer_init(struct engine *en);

/* --- refusal.c --- */

/* wait: ns, of RATE and BREAKER; else 0 */
void refusal_fill(struct refusal *r, enum refusal_reason reason, const struct instance *in,
                  const struct entry_spec *spec, uint64_t wait);

#endif
