/* Sets on their way to Redis, the logs of its spaces, and what comes from other hosts. */
#include "services/cache/internal.h"

/* A message is not later than that behind the reply to a set that Redis has seen before it. */
#define SET_RECENT UINT64_C(1000000000)

/* A value on its way; what becomes of it matters only when it does not arrive. */
struct remote_set {
    struct redis_op op; /* first */
    struct cache_space *space;
    struct set_class *of;
    uint16_t len;
    char key[];
};

struct remote_look {
    struct redis_op op; /* first */
    struct cache_space *space;
};

bool remote_may_ask(const struct cache *c)
{
    return c->link && redis_link_state(c->link) == LINK_UP && !c->owed_count;
}

bool remote_is_fatal(struct cache *c, const struct reply *r)
{
    static const char *const fatal[] = {"NOAUTH",      "NOPERM",     "READONLY",
                                        "MISCONF",     "MASTERDOWN", "LOADING",
                                        "CLUSTERDOWN", "MOVED",      "ASK"};
    if (r->type != REPLY_ERROR)
        return false;
    const char *code = reply_error_code(r);
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
        if (strcmp(code, fatal[i]) == 0) {
            char why[64];
            snprintf(why, sizeof(why), "it refuses commands (%s)", code);
            redis_link_reject(c->link, why);
            return true;
        }
    }
    return false;
}

/* --- the log --- */

void remote_see_log(struct cache_space *s, struct str log)
{
    s->epoch = wire_epoch(log);
    s->at = s->epoch ? (uint32_t)log.n : 0;
    if (log.n > LOG_BYTES)
        owed_add(s, OWED_ALL, STR_NONE);
}

static void look_reply(struct redis_op *op, const struct reply *r)
{
    struct cache_space *s = container_of(op, struct remote_look, op)->space;
    free(container_of(op, struct remote_look, op));
    if (r->type == REPLY_STRING)
        remote_see_log(s, r->str);
    else if (r->type == REPLY_NIL)
        remote_see_log(s, STR_NONE);
    remote_is_fatal(s->cache, r);
}

static void look_lost(struct redis_op *op)
{
    free(container_of(op, struct remote_look, op));
}

void remote_look(struct cache_space *s)
{
    static const struct redis_op_kind kind = {.reply = look_reply, .lost = look_lost};
    struct redis_conn *to = redis_link_batch(s->cache->link);
    struct remote_look *l = to ? malloc(sizeof(*l)) : NULL;
    if (!l)
        return; /* an old position is a safe one */
    *l = (struct remote_look){.op = {.kind = &kind, .replies = 1}, .space = s};
    redis_conn_begin(to);
    redis_conn_command(to, 2);
    redis_conn_arg(to, STR("GET"));
    redis_conn_arg(to, str_of(s->log));
    if (redis_conn_end(to))
        free(l);
    else
        redis_link_expect(s->cache->link, &l->op);
}

uint64_t remote_write_log(struct redis_conn *to, const struct cache_space *s, bool unless)
{
    char epoch[WIRE_EPOCH];
    arc4random_buf(epoch, sizeof(epoch));
    epoch[0] |= 1; /* not 0 */
    redis_conn_command(to, unless ? 4 : 3);
    redis_conn_arg(to, STR("SET"));
    redis_conn_arg(to, str_of(s->log));
    redis_conn_arg(to, (struct str){epoch, sizeof(epoch)});
    if (unless)
        redis_conn_arg(to, STR("NX"));
    return wire_epoch((struct str){epoch, sizeof(epoch)});
}

/* --- sets --- */

static void set_lost(struct redis_op *op)
{
    struct remote_set *set = container_of(op, struct remote_set, op);
    set->of->pending--;
    owed_add(set->space, OWED_CROSSED, (struct str){set->key, set->len});
    free(set);
}

static void set_reply(struct redis_op *op, const struct reply *r)
{
    struct remote_set *set = container_of(op, struct remote_set, op);
    struct cache_space *s = set->space;
    struct cache *c = s->cache;
    if (op->replies) { /* of the log */
        if (r->type == REPLY_NIL) {
            s->epoch = 0; /* there is one, with another epoch than ours */
            remote_look(s);
        }
        remote_is_fatal(c, r);
        return; /* it may be gone */
    }
    set->of->pending--;
    set->of->at = clock_ns();
    if (r->type == REPLY_ERROR)
        owed_add(s, OWED_SET, (struct str){set->key, set->len});
    free(set);
    if (!remote_is_fatal(c, r))
        owed_pay(c);
}

/* From where in the log the value is valid.  Epoch 0: there is perhaps no log yet, and a value that
 * comes with one is valid if that is so.  False: it can't be said. */
static bool find_position(const struct cache_space *s, const struct cache_stamp *since,
                          struct wire_value *ret)
{
    if (since && !since->epoch && s->epoch)
        return false; /* the log was not known at the miss, and may have grown since */
    bool then = since && since->epoch;
    ret->epoch = then ? since->epoch : s->epoch;
    ret->at = then ? since->at : s->at;
    return true;
}

static void write_set(struct redis_conn *to, const struct remote_set *set,
                      const struct wire_value *v)
{
    char head[WIRE_HEADER];
    wire_header(head, v);
    struct str name[] = {str_of(set->space->keys), {set->key, set->len}};
    struct str bytes[] = {{head, sizeof(head)}, v->bytes};
    redis_conn_command(to, 5);
    redis_conn_arg(to, STR("SET"));
    redis_conn_pieces(to, name, 2);
    redis_conn_pieces(to, bytes, 2);
    redis_conn_arg(to, STR("PX"));
    redis_conn_number(to, v->ttl_ms);
}

static bool send_set(struct cache_space *s, const struct memory_key *k, struct wire_value *v)
{
    static const struct redis_op_kind kind = {.reply = set_reply, .lost = set_lost};
    struct redis_conn *to = redis_link_batch(s->cache->link);
    struct remote_set *set = to ? malloc(sizeof(*set) + k->key.n) : NULL;
    if (!set)
        return false;
    bool begins = !v->epoch;
    *set = (struct remote_set){.op = {.kind = &kind, .replies = begins ? 2 : 1},
                               .space = s,
                               .of = &s->cache->sets[k->hash % SET_CLASSES],
                               .len = (uint16_t)k->key.n};
    if (k->key.n)
        memcpy(set->key, k->key.p, k->key.n);
    redis_conn_begin(to);
    if (begins) {
        v->epoch = remote_write_log(to, s, true);
        v->at = WIRE_EPOCH;
    }
    write_set(to, set, v);
    if (redis_conn_end(to)) {
        free(set);
        return false;
    }
    if (begins) { /* until we hear that there is another */
        s->epoch = v->epoch;
        s->at = v->at;
    }
    redis_link_expect(s->cache->link, &set->op);
    set->of->pending++;
    return true;
}

void remote_set(struct cache_space *s, const struct memory_key *k, const struct memory_entry *e,
                uint64_t ttl_ms, const struct cache_stamp *since)
{
    struct cache *c = s->cache;
    struct wire_value v = {.ttl_ms = ttl_ms, .bytes = memory_value(e)};
    if (!c->link || (!c->owed_count && find_position(s, since, &v) && send_set(s, k, &v)))
        return;
    c->dropped++;
    owed_add(s, OWED_SET, k->key);
}

/* --- from outside --- */

/* What others have invalidated until now may have passed us by. */
static void on_up(void *user)
{
    struct cache *c = user;
    if (!protection_off("cache_flush"))
        memory_delete_all(c->memory);
    cache_sweep(c);
    owed_pay(c);
    for (size_t i = 0; i < c->spaces.slots; i++) {
        for (struct map_node *n = c->spaces.slot[i]; n; n = n->next) {
            struct cache_space *s = container_of(n, struct cache_space, in_cache);
            s->epoch = 0;
            remote_look(s);
        }
    }
}

static void on_message(void *user, struct str payload)
{
    struct cache *c = user;
    struct wire_message m;
    if (!wire_message_read(payload, &m) || memcmp(m.sender, c->self, sizeof(m.sender)) == 0)
        return;
    c->invalidations_in++;
    struct cache_space *s = cache_find_space(c, m.use, m.name);
    if (!s)
        return;
    if (m.prefix) {
        memory_delete_prefix(c->memory, s->id, m.key);
        cache_sweep(c);
        remote_look(s);
    } else {
        struct memory_key k = memory_key(s->id, m.key);
        memory_delete(c->memory, &k);
        /* Our own set may have come to Redis between its delete and this message, and whoever has
         * read it since then, even the one that deleted it, keeps it. */
        const struct set_class *sets = &c->sets[k.hash % SET_CLASSES];
        if (!m.crossed && (sets->pending || clock_ns() - sets->at < SET_RECENT))
            owed_add(s, OWED_CROSSED, m.key);
    }
}

const struct redis_link_events remote_events = {on_up, on_message};
