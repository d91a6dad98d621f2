/* host/mcp/internal.h - private to mcp/: what the method families share.
 *
 * A message is read once into the session's tape; everything that is handed on
 * is a slice of it.  What outlives session_message() is copied into a request.
 * Loop thread. */
#ifndef MANIFOLD_MCP_INTERNAL_H
#define MANIFOLD_MCP_INTERNAL_H

#include "base/list.h"
#include "json/writer.h"
#include "mcp/session.h"
#include "services/results/results.h"

/* Oldest first, so that "since" is >=.  The last one is the modern era. */
enum revision {
    R_2024_10_07,
    R_2024_11_05,
    R_2025_03_26,
    R_2025_06_18,
    R_2025_11_25,
    R_2026_07_28,
    REVISIONS
};
extern const struct str revision_name[REVISIONS];
/* REVISIONS when there is none of that name. */
enum revision revision_find(struct str name);

enum {
    ERROR_PARSE = -32700,
    ERROR_REQUEST = -32600,
    ERROR_METHOD = -32601,
    ERROR_PARAMS = -32602,
    ERROR_INTERNAL = -32603,
    ERROR_VERSION = -32022,           /* 2026-07-28 basic/versioning.mdx */
    ERROR_RESOURCE_NOT_FOUND = -32002 /* legacy only */
};

enum {
    ID_MAX = 1024,         /* bytes of an id or progress token */
    BATCH_MAX = 256,       /* messages in one 2025-03-26 batch */
    PAGE_ENTRIES = 250,    /* of a list */
    PAGE_BYTES = 1 << 20,  /* of a list; one entry more may go over it */
    COMPLETIONS_MAX = 100, /* server/utilities/completion.mdx */
    LISTENS_MAX = 64,      /* subscriptions/listen of one client */
    WATCHES_MAX = 1024,    /* resources that one client has subscribed to, in all its feeds */
    WATCH_URI_MAX = 2048,  /* bytes, as in manifold/notify.h */
    SCRATCH_KEEP = 16384,  /* memory that stays between messages */
    TAPE_KEEP = 1 << 20
};

/* buf_append() where there mostly is room already: reply_begin() has reserved it. */
static inline void put(struct buf *b, const void *data, size_t n)
{
    if (n < b->cap - b->len && n <= b->max - b->len) {
        memcpy(b->data + b->len, data, n);
        b->len += n;
    } else {
        buf_append(b, data, n);
    }
}
#define put_lit(b, lit) put((b), "" lit, sizeof(lit) - 1)
static inline void put_str(struct buf *b, struct str s)
{
    if (s.n)
        put(b, s.p, s.n);
}

/* Where one response goes. */
struct answer {
    struct stream *to;
    struct str id; /* raw token; {NULL,0}: it could not be read, so the response has none */
    enum revision revision;
};

static inline bool answer_modern(const struct answer *a)
{
    return a->revision >= R_2026_07_28;
}

/* Members of params and of _meta that any method reads. */
enum param {
    PARAM_META,
    PARAM_NAME,
    PARAM_ARGUMENTS,
    PARAM_URI,
    PARAM_CURSOR,
    PARAM_VERSION,
    PARAM_LEVEL,
    PARAM_REQUEST_ID,
    PARAM_REF,
    PARAM_ARGUMENT,
    PARAM_CONTEXT,
    PARAMS
};
enum meta { META_VERSION, META_CAPABILITIES, META_LOG_LEVEL, META_PROGRESS_TOKEN, METAS };

/* One message while session_message() runs.  Refs are into session.doc, 0 where absent. */
struct message {
    struct answer answer;
    struct stream *out;  /* for notifications; answer.to may be a batch instead */
    struct batch *batch; /* NULL: not in one */
    json_ref method, params;
    json_ref param[PARAMS];
    json_ref meta[METAS];
    int log_level; /* MF_LOG_* that this request asks for; -1: none */
};

struct method {
    struct str name;
    unsigned flags;
    void (*run)(struct session *s, const struct message *m);
};
enum {
    METHOD_MODERN = 1 << 0,
    METHOD_LEGACY = 1 << 1,
    METHOD_OPEN = 1 << 2,         /* legacy: also where no session was initialized */
    METHOD_NOTIFICATION = 1 << 3, /* never answered */
    METHOD_ALONE = 1 << 4         /* not inside a batch */
};

struct request;
/* Writes the answer, once. */
typedef void finish_fn(struct request *r, const struct outcome *o);

/* A request that a plugin works on.  Owned by the session's pool. */
struct request {
    struct map_node node; /* in session.in_flight by raw id, once it is pending */
    struct list link;     /* in session.pending or session.idle_requests */
    struct session *session;
    struct answer answer;  /* id points into keep */
    struct stream *notify; /* progress and log */
    struct batch *batch;
    struct ticket ticket; /* none until results_start() returned one */
    const struct entry_spec *spec;
    finish_fn *finish;
    struct str token, uri; /* into keep */
    struct buf keep;
};

/* One stream of unasked messages: what it was promised to carry, and what is to be told. */
struct feed {
    struct session *session;
    struct stream *to; /* NULL: nobody listens yet */
    struct str id;     /* raw: subscriptionId; {NULL,0}: the legacy session's */
    unsigned kinds;    /* 1 << ENTRY_*: lists whose changes it hears of */
    unsigned changed;  /* of these: to be told */
    struct map by_uri;
    struct list watches, dirty; /* struct watch; dirty: to be told */
};

/* A resource it hears of. */
struct watch {
    struct map_node node;
    struct list in_feed, in_dirty;
    char uri[];
};

/* A subscriptions/listen in flight. */
struct listen {
    struct map_node node; /* in session.listening, by raw id */
    struct list in_session;
    struct feed feed;
    char id[];
};

/* The prepared result of a list, page by page, for one catalogue and revision. */
struct page {
    size_t off, len; /* of the whole result object, in listing.bytes */
    uint32_t first;  /* entry it begins with */
};
struct listing {
    struct buf bytes;
    struct page *page;
    uint32_t pages;
    const struct catalogue *of; /* what it was made from, perhaps gone; NULL: nothing yet */
    uint64_t number;            /* of that catalogue */
};

struct session {
    struct host *host;
    struct host_listener listener; /* linked while the session lives */
    struct feed own;               /* of the legacy session */
    struct map listening;          /* struct listen, by id */
    struct list listens;           /* the same, oldest first */
    uint32_t listen_count, watches;
    bool initialized; /* a legacy session was begun */
    enum revision revision;
    int log_level;           /* legacy, by logging/setLevel; -1: none */
    struct json_doc doc;     /* the message */
    struct json_doc aux;     /* what a manifest or a plugin gave */
    struct json_doc nothing; /* {} for absent arguments */
    struct buf scratch;      /* decoded strings of the message */
    struct buf vars;         /* variables of a template, arguments of a completion */
    struct buf made;         /* results that are built before they are sent */
    struct buf server_info;  /* {"name":..,"version":..} */
    struct buf tail;         /* ends a modern result: resultType and serverInfo */
    struct map in_flight;
    struct list pending; /* struct request */
    struct list pool;    /* struct request, to be used again */
    uint32_t pooled, calls;
    struct listing list[ENTRY_KINDS][REVISIONS];
    struct listing greeting[REVISIONS]; /* of initialize or server/discover; one page */
    void (*idle)(void *arg);
    void *idle_arg;
    bool entered, idle_due;
};

/* --- session.c --- */

/* Between the two nobody is told that the session is idle; leave() tells it, and then the session
 * may be gone. */
void session_enter(struct session *s);
void session_leave(struct session *s);

/* --- feed.c --- */

void feed_init(struct feed *f, struct session *s);
/* Forgets all that it was to tell. */
void feed_clear(struct feed *f);
/* 0, also when it does so already; -ENOSPC: over WATCHES_MAX; -ENOMEM. */
int feed_watch(struct feed *f, struct str uri);
void feed_unwatch(struct feed *f, struct str uri);
/* "_meta":{...} that says whose it is. */
void feed_tag(const struct feed *f, struct buf *b);
/* For session.listener. */
void session_lists_changed(struct host_listener *l, unsigned kinds);
void session_resource_updated(struct host_listener *l, struct str uri);
bool session_tell(struct host_listener *l);

/* --- subscribe.c --- */

/* NULL: none of this id. */
struct listen *listen_find(const struct session *s, struct str id);
/* Nothing more is sent for it. */
void listen_cancel(struct listen *l);
/* The same for all. */
void session_drop_listening(struct session *s);

/* --- message.c --- */

/* Answers one message at node n of session.doc; batch.c calls it for each element. */
void message_run(struct session *s, json_ref n, struct stream *to, struct stream *out,
                 struct batch *batch);
/* The string at `n` (a param of m), decoded.  False: it is missing or no string, and the error is
 * answered.  It lives in the message or in session.scratch until the next string is asked for. */
bool message_string(struct session *s, const struct message *m, json_ref n, const char *what,
                    struct str *ret);
/* The values of the members of `object` named key[i] into ret[i]; absent ones stay as they were. */
void members_collect(const struct json_doc *d, json_ref object, const struct str *key,
                     unsigned keys, json_ref *ret);

/* --- method.c --- */

/* NULL: no such method. */
const struct method *method_find(struct str name);

/* --- reply.c: one response each; what does not fit becomes a small error --- */

void reply_error(const struct answer *a, int code, struct str data, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* `result` is a whole JSON object that suits the revision. */
void reply_raw(const struct answer *a, struct str result);
/* Opens the result object, with room for `n` bytes; the caller appends members, at least one.
 * reply_end() adds what the revision demands, with `meta` (members of _meta, or empty). */
struct buf *reply_begin(const struct answer *a, size_t n);
void reply_end(const struct session *s, const struct answer *a, struct buf *b, struct str meta);
/* Appends what closes a result object of this revision. */
void reply_tail(const struct session *s, enum revision revision, struct buf *b, struct str meta);
/* ,"ttlMs":..,"cacheScope":.. where the revision has them. */
void reply_cache(const struct answer *a, struct buf *b, uint64_t ttl_ms, enum cache_scope scope);
/* The member of _meta that says whether a result was kept; empty where none are.  In `space`. */
enum { REPLY_KEPT = 96 };
struct str reply_kept(const struct outcome *o, char space[REPLY_KEPT]);
/* A tools/call result with isError and one text; `r` NULL: no limit was hit. */
void reply_tool_error(const struct session *s, const struct answer *a, const char *text,
                      const struct refusal *r);
/* -32603 with the refusal as data. */
void reply_refusal(const struct answer *a, const struct refusal *r);
void reply_not_found(const struct answer *a, struct str uri);

/* --- call.c --- */

/* Of `rq` kind, args and uri are set; the rest comes from the entry and the message.
 *
 * call_answer_kept() first: true where a result was kept, which is the answer.  Else, if the
 * arguments fit, call_begin() starts the call; its request is given back after `finish`. */
bool call_answer_kept(struct session *s, const struct message *m, const struct entry *en,
                      struct call_request *rq, finish_fn *finish);
void call_begin(struct session *s, const struct message *m, const struct entry *en,
                struct call_request *rq, finish_fn *finish);
/* Nothing is sent for it any more.  `listening` false: neither for the batch it is part of. */
void request_cancel(struct request *r, bool listening);
/* Answers what every method but tools/call answers alike.  False: o is a result. */
bool finish_failed(const struct request *r, const struct outcome *o);

/* --- batch.c --- */

void batch_run(struct session *s, json_ref array, struct stream *out);
/* An answer of this batch is still to come. */
void batch_hold(struct batch *b);
/* It has come, or will not come.  `send` false: the client is gone. */
void batch_drop(struct batch *b, bool send);

/* --- lists.c --- */

/* Is l still what the host serves?  If not it is emptied, to be made again. */
bool listing_current(const struct session *s, struct listing *l);
void listing_release(struct listing *l);

/* --- downconvert.c --- */

/* Content blocks (tools) or messages (prompts) as a client of that revision knows them.
 * `items`: comma separated. */
void downconvert_blocks(struct session *s, struct str items, enum revision revision, struct buf *b);
void downconvert_messages(struct session *s, struct str items, enum revision revision,
                          struct buf *b);

/* --- outschema.c --- */

/* Does a result of this tool go out as {"result": ...}?  `value` tells where there is no schema. */
bool outschema_wraps(const struct entry_spec *spec, enum revision revision, struct str value);
/* An output schema as that of {"result": ...}. */
void outschema_wrap(struct str schema, struct buf *b);

/* --- the methods, by file --- */

void initialize(struct session *s, const struct message *m); /* greeting.c */
void ping(struct session *s, const struct message *m);
void discover(struct session *s, const struct message *m);
void tools_list(struct session *s, const struct message *m); /* lists.c */
void resources_list(struct session *s, const struct message *m);
void templates_list(struct session *s, const struct message *m);
void prompts_list(struct session *s, const struct message *m);
void tools_call(struct session *s, const struct message *m);          /* tools.c */
void resources_read(struct session *s, const struct message *m);      /* resources.c */
void resources_subscribe(struct session *s, const struct message *m); /* subscribe.c */
void resources_unsubscribe(struct session *s, const struct message *m);
void subscriptions_listen(struct session *s, const struct message *m);
void prompts_get(struct session *s, const struct message *m);         /* prompts.c */
void completion_complete(struct session *s, const struct message *m); /* completion.c */
void logging_set_level(struct session *s, const struct message *m);   /* logging.c */
/* MF_LOG_*, or -1. */
int log_level_find(const struct json_doc *d, json_ref n);
struct str log_level_name(int level);
void cancelled(struct session *s, const struct message *m); /* cancel.c */

#endif
