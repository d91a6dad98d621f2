/* host/services/cache/internal.h - private to cache/: both tiers under one roof.
 *
 * cache.c   spaces, the memory tier's side of everything, open and close
 * flight.c  reads on their way to Redis
 * remote.c  sets on their way to Redis, the log, what comes from other hosts
 * owed.c    what Redis must be told, whatever happens to it */
#ifndef MANIFOLD_SERVICES_CACHE_INTERNAL_H
#define MANIFOLD_SERVICES_CACHE_INTERNAL_H

#include <errno.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "services/cache/cache.h"
#include "services/cache/memory.h"
#include "services/cache/wire.h"
#include "services/redis/link.h"

enum { SWEEP_ENTRIES = 512, LOG_BYTES = 4096, OWED_MAX = 4096, SET_CLASSES = 4096 };

/* What Redis is to be told, now or as soon as it can be. */
enum owed_what {
    OWED_KEY,     /* the key is gone; the other hosts are told */
    OWED_CROSSED, /* the same, since a set of ours may have come behind a delete of theirs */
    OWED_SET,     /* a value does not reach Redis: what it holds is older */
    OWED_PREFIX,  /* the other hosts are told */
    OWED_ALL,     /* all of the space; the other hosts are told */
    OWED_UNLINK   /* the same, where Redis has no room for a new log */
};

struct owed {
    struct redis_op op; /* first */
    struct list in_cache;
    struct cache_space *space;
    enum owed_what what;
    bool no_room; /* Redis said so */
    uint16_t len;
    char *key; /* behind this; NULL: none */
};

/* The sets of a class of keys. */
struct set_class {
    uint64_t at;      /* ns: when one was last on its way */
    uint32_t pending; /* on their way */
};

struct cache_space {
    struct map_node in_cache;
    struct cache *cache;
    uint32_t id;
    enum cache_use use;
    char *tag;        /* owned; use and name of the instance: "vweather" */
    char *keys, *log; /* owned; in front of every key in Redis; the name of the log */
    uint64_t epoch;   /* of the log as it was last seen; 0: not known */
    uint32_t at;      /* its length then */
    struct owed all;  /* so that it needs no memory when there is none */
    bool owes_all;    /* unsent: it covers whatever else the space owes */
    bool all_sent;    /* and no reply yet */
    struct cache_tally tally;
};

struct cache {
    uv_loop_t *loop;
    struct cache_spec spec;  /* its strings are owned */
    struct memory *memory;   /* NULL until the first space */
    struct redis_link *link; /* NULL: none, or not yet */
    struct map spaces;
    uint32_t space_count;
    uv_idle_t sweep;
    struct map flights;     /* struct cache_flight that somebody waits for, by space and key */
    struct list owed;       /* struct owed that is not sent */
    uint32_t owed_count;    /* unsent */
    struct set_class *sets; /* owned, SET_CLASSES by hash */
    char self[WIRE_SENDER];
    uint64_t dropped, invalidations_in;
    bool closing;
    unsigned handles;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* Bytes of a map key for a space's key. */
enum { FLIGHT_ID_MAX = 4 + CACHE_KEY_MAX };

/* --- cache.c --- */

void cache_sweep(struct cache *c);
/* NULL: nobody has asked for it. */
struct cache_space *cache_find_space(struct cache *c, enum cache_use use, struct str instance);

/* `now` ns. */
static inline struct cache_value cache_value_of(struct memory_entry *e, uint64_t now)
{
    return (struct cache_value){memory_value(e), e->expires > now ? e->expires - now : 0,
                                e->foreign, e};
}

/* --- flight.c --- */

/* False: Redis is not to be asked now. */
bool flight_join(struct cache_space *s, const struct memory_key *k, struct cache_read *r);
/* A local cache_set() of the key: what Redis is about to answer is older. */
void flight_overtake(struct cache_space *s, struct str key);

/* --- remote.c --- */

extern const struct redis_link_events remote_events;

bool remote_may_ask(const struct cache *c);
/* `since`: of the miss for which the value was made, or NULL. */
void remote_set(struct cache_space *s, const struct memory_key *k, const struct memory_entry *e,
                uint64_t ttl_ms, const struct cache_stamp *since);
/* What a log that Redis answered says of the space; STR_NONE: there is none. */
void remote_see_log(struct cache_space *s, struct str log);
/* Reads the log anew. */
void remote_look(struct cache_space *s);
/* The commands that begin a log, unless there is one; or make a new one.  The epoch it would have.
 */
uint64_t remote_write_log(struct redis_conn *to, const struct cache_space *s, bool unless);
/* An error after which Redis is of no use: the link is rejected. */
bool remote_is_fatal(struct cache *c, const struct reply *r);

/* --- owed.c --- */

void owed_add(struct cache_space *s, enum owed_what what, struct str key);
/* Sends what it can of it. */
void owed_pay(struct cache *c);
void owed_forget(struct cache *c);

#endif
