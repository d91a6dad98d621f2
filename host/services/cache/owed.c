/* What Redis must be told, whatever happens to it.
 *
 * An invalidation is owed until Redis has confirmed it, over any number of connections; a set that
 * was not confirmed is owed as the invalidation of its key, since Redis may hold an older value, or
 * this one behind a delete of which we have not heard.
 * While anything is owed and not sent, nothing is read.  All of it may be told twice.  More than
 * OWED_MAX become one for each space, which needs no memory. */
#include "services/cache/internal.h"

/* It has been told, or need not be. */
static void give(struct owed *o)
{
    struct cache_space *s = o->space;
    if (o != &s->all) {
        free(o);
        return;
    }
    s->all_sent = false;
    if (s->owes_all) /* once more, for what came since it was sent */
        list_append(&s->cache->owed, &o->in_cache);
}

static void add_all(struct cache_space *s)
{
    if (s->owes_all)
        return;
    s->owes_all = true;
    s->cache->owed_count++;
    if (!s->all_sent) /* else give() does it */
        list_append(&s->cache->owed, &s->all.in_cache);
}

static void collapse(struct cache *c)
{
    struct list old;
    list_init(&old);
    for (struct list *it; (it = list_pop(&c->owed));)
        list_append(&old, it);
    for (struct list *it; (it = list_pop(&old));) {
        struct owed *o = container_of(it, struct owed, in_cache);
        struct cache_space *s = o->space;
        if (o == &s->all) {
            list_append(&c->owed, it);
            continue;
        }
        c->owed_count--;
        free(o);
        add_all(s);
    }
}

/* Takes o over, unsent. */
static void keep(struct owed *o)
{
    struct cache_space *s = o->space;
    struct cache *c = s->cache;
    if (c->closing || s->owes_all) {
        give(o);
        return;
    }
    if (o == &s->all) {
        s->all_sent = false;
        add_all(s);
        return;
    }
    list_append(&c->owed, &o->in_cache);
    if (++c->owed_count > OWED_MAX)
        collapse(c);
}

void owed_add(struct cache_space *s, enum owed_what what, struct str key)
{
    struct cache *c = s->cache;
    if (!c->link || c->closing)
        return;
    struct owed *o = what == OWED_ALL ? NULL : malloc(sizeof(*o) + key.n);
    if (o) {
        *o =
            (struct owed){.space = s, .what = what, .len = (uint16_t)key.n, .key = (char *)(o + 1)};
        if (key.n)
            memcpy(o->key, key.p, key.n);
        keep(o);
    } else {
        add_all(s);
    }
    owed_pay(c);
}

static void publish(struct redis_conn *to, const struct owed *o)
{
    const struct cache_space *s = o->space;
    const struct cache *c = s->cache;
    struct wire_message m = {.prefix = o->what != OWED_KEY && o->what != OWED_CROSSED,
                             .crossed = o->what == OWED_CROSSED,
                             .use = s->use,
                             .name = str_of(s->tag + 1),
                             .key = {o->key, o->len}};
    memcpy(m.sender, c->self, sizeof(m.sender));
    char head[WIRE_MESSAGE];
    wire_message_head(head, &m);
    struct str channel[] = {str_of(c->spec.name_space), STR(":invalidate")};
    struct str payload[] = {{head, sizeof(head)}, m.name, m.key};
    redis_conn_command(to, 3);
    redis_conn_arg(to, STR("PUBLISH"));
    redis_conn_pieces(to, channel, 2);
    redis_conn_pieces(to, payload, 3);
}

static void write_unlink(struct redis_conn *to, const struct str *name, unsigned pieces)
{
    redis_conn_command(to, 2);
    redis_conn_arg(to, STR("UNLINK"));
    redis_conn_pieces(to, name, pieces);
}

static void write_append(struct redis_conn *to, const struct cache_space *s, struct str prefix)
{
    char head[WIRE_RECORD];
    struct str record[] = {{head, sizeof(head)}, prefix};
    wire_record(head, prefix);
    redis_conn_command(to, 3);
    redis_conn_arg(to, STR("APPEND"));
    redis_conn_arg(to, str_of(s->log));
    redis_conn_pieces(to, record, 2);
}

/* How many commands it takes.  *ret_epoch: of the log that it makes, 0: none that we know. */
static uint32_t write_owed(struct redis_conn *to, const struct owed *o, uint64_t *ret_epoch)
{
    const struct cache_space *s = o->space;
    struct str key = {o->key, o->len}, name[] = {str_of(s->keys), key}, log = str_of(s->log);
    *ret_epoch = s->epoch;
    switch (o->what) {
    case OWED_SET:
        write_unlink(to, name, 2);
        return 1;
    case OWED_KEY:
    case OWED_CROSSED:
        write_unlink(to, name, 2);
        publish(to, o);
        return 2;
    case OWED_PREFIX:
        remote_write_log(to, s, true);
        write_append(to, s, key);
        publish(to, o);
        return 3;
    case OWED_ALL:
        *ret_epoch = remote_write_log(to, s, false);
        publish(to, o);
        return 2;
    default: /* OWED_UNLINK */
        *ret_epoch = 0;
        write_unlink(to, &log, 1);
        publish(to, o);
        return 2;
    }
}

static void owed_lost(struct redis_op *op)
{
    keep(container_of(op, struct owed, op));
}

static void owed_reply(struct redis_op *op, const struct reply *r)
{
    struct owed *o = container_of(op, struct owed, op);
    struct cache_space *s = o->space;
    struct cache *c = s->cache;
    bool log = o->what == OWED_PREFIX || o->what == OWED_ALL;
    if (r->type == REPLY_ERROR && log && strcmp(reply_error_code(r), "OOM") == 0) {
        o->no_room = true;
    } else if (r->type == REPLY_ERROR) {
        /* It is told again on the next connection. */
        if (!op->replies)
            keep(o);
        if (!remote_is_fatal(c, r))
            redis_link_reject(c->link, "it refuses to delete");
        return;
    }
    if (op->replies)
        return;
    bool no_room = o->no_room, prefix = o->what == OWED_PREFIX;
    give(o);
    if (no_room)
        owed_add(s, OWED_UNLINK, STR_NONE); /* it takes deletes when it takes nothing else */
    else if (prefix)
        remote_look(s);
    owed_pay(c);
}

static bool send_owed(struct cache *c, struct owed *o)
{
    static const struct redis_op_kind kind = {.reply = owed_reply, .lost = owed_lost};
    struct cache_space *s = o->space;
    struct redis_conn *to = redis_link_batch(c->link);
    uint64_t epoch;
    if (!to)
        return false;
    redis_conn_begin(to);
    uint32_t commands = write_owed(to, o, &epoch);
    if (redis_conn_end(to))
        return false;
    if (epoch != s->epoch) {
        s->epoch = epoch;
        s->at = epoch ? WIRE_EPOCH : 0;
    }
    list_remove(&o->in_cache);
    c->owed_count--;
    if (o == &s->all) {
        s->owes_all = false;
        s->all_sent = true;
    }
    o->no_room = false;
    o->op = (struct redis_op){.kind = &kind, .replies = commands};
    redis_link_expect(c->link, &o->op);
    return true;
}

void owed_pay(struct cache *c)
{
    while (!list_empty(&c->owed) && send_owed(c, container_of(c->owed.next, struct owed, in_cache)))
        continue;
}

void owed_forget(struct cache *c)
{
    for (struct list *it; (it = list_pop(&c->owed));) {
        struct owed *o = container_of(it, struct owed, in_cache);
        if (o != &o->space->all)
            free(o);
    }
}
