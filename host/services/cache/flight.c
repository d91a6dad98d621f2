/* Reads on their way to Redis: one for each key, however many ask for it.
 *
 * PTTL and MGET of log and value, in this order: a value that is replaced between the two may have
 * less time than PTTL said, and has at least what its header says. */
#include "services/cache/internal.h"

struct cache_flight {
    struct redis_op op; /* first; two replies */
    struct map_node in_cache;
    struct cache_space *space;
    struct list readers;
    uint64_t order; /* the last invalidation it has seen */
    int64_t ttl_ms; /* PTTL */
    bool overtaken; /* a newer value was set here */
    bool answered;
    uint16_t id_len;
    char id[]; /* space, key */
};

static struct str flight_key(const struct cache_flight *f)
{
    return (struct str){f->id + 4, f->id_len - (size_t)4};
}

static struct str make_id(const struct cache_space *s, struct str key, char id[FLIGHT_ID_MAX])
{
    memcpy(id, &s->id, 4);
    if (key.n)
        memcpy(id + 4, key.p, key.n);
    return (struct str){id, 4 + key.n};
}

static struct cache_flight *find(struct cache_space *s, struct str key)
{
    char id[FLIGHT_ID_MAX];
    if (!s->cache->flights.count)
        return NULL;
    struct map_node *n = map_find(&s->cache->flights, make_id(s, key, id));
    return n ? container_of(n, struct cache_flight, in_cache) : NULL;
}

void flight_overtake(struct cache_space *s, struct str key)
{
    struct cache_flight *f = find(s, key);
    if (f)
        f->overtaken = true;
}

/* Tells all who wait; e NULL: a miss.  They may do anything to the cache meanwhile. */
static void answer(struct cache_flight *f, struct memory_entry *e)
{
    struct cache_space *s = f->space;
    struct cache *c = s->cache;
    uint64_t now = clock_ns();
    f->answered = true;
    map_remove(&c->flights, &f->in_cache);
    for (struct list *it; (it = list_pop(&f->readers));) {
        struct cache_read *r = container_of(it, struct cache_read, waiting);
        r->flight = NULL;
        *(e ? &s->tally.redis_hits : &s->tally.misses) += 1;
        if (e) {
            struct cache_value v = cache_value_of(e, now);
            r->done(r, &v);
        } else {
            r->stamp = cache_stamp_now(s);
            r->done(r, NULL);
        }
    }
    if (e)
        memory_unpin(c->memory, e);
}

/* The value that came, as an entry of the memory tier, pinned; NULL: it is of no use. */
static struct memory_entry *take_value(struct cache_flight *f, struct str log, struct str stored)
{
    struct cache_space *s = f->space;
    struct memory *m = s->cache->memory;
    struct str key = flight_key(f);
    struct memory_key k = memory_key(s->id, key);
    struct wire_value v;
    uint64_t now = clock_ns();
    if (f->overtaken) {
        struct memory_entry *newer = memory_find(m, &k, now);
        if (newer)
            memory_pin(newer);
        return newer;
    }
    if (!wire_read(stored, &v) || !wire_is_valid(log, &v, key) || v.ttl_ms > INT64_MAX / 1000000)
        return NULL;
    uint64_t ms = f->ttl_ms < (int64_t)v.ttl_ms ? (uint64_t)f->ttl_ms : v.ttl_ms;
    uint64_t expires = f->op.sent + ms * 1000000;
    struct memory_entry *e = expires > now ? memory_make(m, &k, v.bytes.n, expires, now) : NULL;
    if (!e)
        return NULL;
    if (v.bytes.n)
        memcpy(e->bytes + e->key_len, v.bytes.p, v.bytes.n);
    e->foreign = true;
    if (memory_put(m, e, f->order))
        return e;
    memory_unpin(m, e); /* invalidated while it was on its way */
    return NULL;
}

static void on_values(struct cache_flight *f, const struct reply *r)
{
    struct memory_entry *e = NULL;
    if (r->type == REPLY_ARRAY && r->elements == 2 && r[1].type != REPLY_ARRAY) {
        struct str log = r[1].type == REPLY_STRING ? r[1].str : STR_NONE;
        remote_see_log(f->space, log);
        if (!f->answered && f->ttl_ms > 0 && r[2].type == REPLY_STRING)
            e = take_value(f, log, r[2].str);
    }
    if (!f->answered)
        answer(f, e);
}

static void flight_reply(struct redis_op *op, const struct reply *r)
{
    struct cache_flight *f = container_of(op, struct cache_flight, op);
    struct cache *c = f->space->cache;
    if (op->replies) {
        f->ttl_ms = r->type == REPLY_INTEGER ? r->integer : 0;
        remote_is_fatal(c, r);
        return; /* it may be gone */
    }
    bool fatal = r->type == REPLY_ERROR;
    on_values(f, r);
    if (fatal)
        remote_is_fatal(c, r);
    free(f);
}

static void flight_late(struct redis_op *op)
{
    answer(container_of(op, struct cache_flight, op), NULL);
}

static void flight_lost(struct redis_op *op)
{
    struct cache_flight *f = container_of(op, struct cache_flight, op);
    if (!f->answered)
        answer(f, NULL);
    free(f);
}

static const struct redis_op_kind flight_kind = {flight_reply, flight_late, flight_lost};

static struct cache_flight *start(struct cache_space *s, const struct memory_key *k)
{
    struct redis_conn *to = redis_link_batch(s->cache->link);
    struct cache_flight *f = to ? malloc(sizeof(*f) + 4 + k->key.n) : NULL;
    if (!f)
        return NULL;
    *f = (struct cache_flight){.op = {.kind = &flight_kind, .replies = 2},
                               .space = s,
                               .order = memory_number(s->cache->memory),
                               .id_len = (uint16_t)(4 + k->key.n)};
    make_id(s, k->key, f->id);
    list_init(&f->readers);
    struct str name[] = {str_of(s->keys), k->key};
    redis_conn_begin(to);
    redis_conn_command(to, 2);
    redis_conn_arg(to, STR("PTTL"));
    redis_conn_pieces(to, name, 2);
    redis_conn_command(to, 3);
    redis_conn_arg(to, STR("MGET"));
    redis_conn_arg(to, str_of(s->log));
    redis_conn_pieces(to, name, 2);
    if (redis_conn_end(to)) {
        free(f);
        return NULL;
    }
    map_add(&s->cache->flights, &f->in_cache, (struct str){f->id, f->id_len});
    redis_link_expect(s->cache->link, &f->op);
    return f;
}

bool flight_join(struct cache_space *s, const struct memory_key *k, struct cache_read *r)
{
    if (!remote_may_ask(s->cache))
        return false;
    struct cache_flight *f = find(s, k->key);
    if (!f && !(f = start(s, k))) {
        s->cache->dropped++;
        return false;
    }
    r->flight = f;
    list_append(&f->readers, &r->waiting);
    return true;
}
