#include "services/redis/link_internal.h"

#include <stdlib.h>

/* Milliseconds. */
enum {
    HANDSHAKE_MS = 1000,
    ATTEMPT_FIRST = 50,    /* wait after the first failure, doubled from then on */
    ATTEMPT_EVERY = 500,   /* at most */
    ATTEMPT_BROKEN = 1500, /* after one that is no Redis, or refuses us */
    STEADY_MS = 5000       /* once it was up for so long, the next failure is a first one */
};

static void attempt(struct redis_link *l);

/* --- what is said of it --- */

enum { NAME_BYTES = CACHE_WHERE_MAX + 32 };

static void name_redis(const struct redis_link *l, char out[NAME_BYTES])
{
    if (l->spec->redis == CACHE_REDIS_UNIX)
        snprintf(out, NAME_BYTES, "unix:%s", l->spec->where);
    else
        snprintf(out, NAME_BYTES, "redis://%s:%u", l->spec->where, l->spec->port);
}

/* Not the same thing again, and not without end where it comes and goes. */
void link_say(struct redis_link *l, enum log_level level, const char *what)
{
    static const struct rate often = {1, 20};
    char name[NAME_BYTES];
    uint64_t now = clock_ns();
    if (strcmp(l->said, what) == 0 || rate_wait(&l->says, often, now))
        return;
    rate_spend(&l->says, often);
    snprintf(l->said, sizeof(l->said), "%s", what);
    name_redis(l, name);
    log_line(level, NULL, "cache: Redis at %s: %s", name, what);
}

/* --- the handshake --- */

static enum step next_step(const struct redis_link *l, enum step s)
{
    if (s == STEP_AUTH && !l->spec->password)
        s = STEP_SELECT;
    if (s == STEP_SELECT && !l->spec->database)
        s = STEP_LAST;
    return s;
}

static void on_opened(void *user)
{
    struct half *h = user;
    const struct cache_spec *spec = h->link->spec;
    redis_conn_begin(h->conn);
    if (spec->password) {
        redis_conn_command(h->conn, 2);
        redis_conn_arg(h->conn, STR("AUTH"));
        redis_conn_arg(h->conn, str_of(spec->password));
    }
    if (spec->database) {
        redis_conn_command(h->conn, 2);
        redis_conn_arg(h->conn, STR("SELECT"));
        redis_conn_number(h->conn, spec->database);
    }
    bool channel = h == &h->link->half[CHANNEL];
    redis_conn_command(h->conn, channel ? 2 : 1);
    redis_conn_arg(h->conn, channel ? STR("SUBSCRIBE") : STR("PING"));
    if (channel)
        redis_conn_arg(h->conn, str_of(h->link->channel));
    if (redis_conn_end(h->conn))
        link_fail(h->link, false, "no memory for its commands");
}

static void go_up(struct redis_link *l)
{
    l->state = LINK_UP;
    l->heard = l->up_since = clock_ns();
    l->late_in_row = 0;
    l->why[0] = 0;
    l->count.reconnects += l->was_up;
    l->was_up = true;
    link_say(l, LOG_INFO, "connected");
    link_watch(l);
    l->events->up(l->user);
}

/* Never the other side's own words: they may repeat what we sent. */
static void on_handshake(struct half *h, const struct reply *r)
{
    static const char *const expected[] = {
        [STEP_AUTH] = "the password", [STEP_SELECT] = "the database", [STEP_LAST] = "us"};
    struct redis_link *l = h->link;
    bool subscribed = r->type == REPLY_ARRAY && r->elements == 3 && r[1].type == REPLY_STRING &&
                      str_eq(r[1].str, STR("subscribe"));
    bool good = h->step < STEP_LAST      ? reply_is_ok(r, STR("OK"))
                : h == &l->half[CHANNEL] ? subscribed
                                         : reply_is_ok(r, STR("PONG"));
    if (!good) {
        char why[100];
        snprintf(why, sizeof(why), "it refuses %s (%s)", expected[h->step], reply_error_code(r));
        link_fail(l, true,
                  r->type == REPLY_ERROR ? why : "expected a reply of Redis, found another");
        return;
    }
    h->step = next_step(l, h->step + 1);
    if (l->half[0].step == STEP_DONE && l->half[1].step == STEP_DONE)
        go_up(l);
}

static void on_channel(struct redis_link *l, const struct reply *r)
{
    bool array = r->type == REPLY_ARRAY && r->elements && r[1].type == REPLY_STRING;
    if (array && r->elements == 3 && str_eq(r[1].str, STR("message")) && r[3].type == REPLY_STRING)
        l->events->message(l->user, r[3].str);
    else if (array && str_eq(r[1].str, STR("pong")))
        l->half[CHANNEL].pinged = false;
    else
        link_fail(l, true, "expected a message of its channel, found something else");
}

static void on_reply(void *user, const struct reply *r)
{
    struct half *h = user;
    struct redis_link *l = h->link;
    if (h->step != STEP_DONE)
        on_handshake(h, r);
    else if (h == &l->half[CHANNEL])
        on_channel(l, r);
    else if (l->state == LINK_CONNECTING)
        link_fail(l, true, "expected no reply, found one");
    else
        link_reply(l, r);
}

static void on_failed(void *user, bool broken, const char *why)
{
    struct half *h = user;
    h->conn = NULL;
    link_fail(h->link, broken, why);
}

/* --- attempts --- */

static void free_when_gone(struct redis_link *l)
{
    if (--l->handles || !l->closing)
        return;
    if (l->gone)
        l->gone(l->gone_arg);
    free(l->channel);
    free(l);
}

static void on_gone(void *user)
{
    free_when_gone(((struct half *)user)->link);
}

static void on_attempt_time(uv_timer_t *t)
{
    struct redis_link *l = t->data;
    if (l->state == LINK_CONNECTING)
        link_fail(l, false, "it does not answer");
    else
        attempt(l);
}

static void connect_to(struct redis_link *l, const struct redis_address *to)
{
    static const struct redis_conn_events events = {on_opened, on_reply, on_failed, on_gone};
    struct err e;
    for (int i = 0; i < CONNS; i++) {
        struct half *h = &l->half[i];
        *h = (struct half){.link = l, .step = next_step(l, STEP_AUTH)};
        if (redis_conn_open(l->loop, to, &events, h, &h->conn, &e)) {
            link_fail(l, false, e.text);
            return;
        }
        l->handles++;
    }
    uv_update_time(l->loop);
    uv_timer_start(&l->timer, on_attempt_time, HANDSHAKE_MS, 0);
}

static void on_resolved(void *user, const char *why)
{
    struct redis_link *l = user;
    l->resolve = NULL;
    if (why) {
        link_fail(l, false, why);
        return;
    }
    struct redis_address to = l->addresses.at[l->attempt++ % l->addresses.count];
    connect_to(l, &to);
}

/* A name is looked up for each attempt, since that is how a Redis moves. */
static void attempt(struct redis_link *l)
{
    l->state = LINK_CONNECTING;
    uv_timer_stop(&l->timer);
    if (l->spec->redis == CACHE_REDIS_UNIX) {
        struct redis_address to = {.path = l->spec->where};
        connect_to(l, &to);
        return;
    }
    if (redis_address_parse(l->spec->where, l->spec->port, &l->addresses)) {
        on_resolved(l, NULL);
        return;
    }
    int r = redis_resolve_start(l->loop, l->spec->where, l->spec->port, &l->addresses, on_resolved,
                                l, &l->resolve);
    if (r)
        link_fail(l, false, uv_strerror(r));
}

static unsigned next_wait(struct redis_link *l, bool broken)
{
    if (l->up_since && clock_ns() - l->up_since > STEADY_MS * UINT64_C(1000000))
        l->wait = 0;
    l->wait = l->wait ? l->wait * 2 : ATTEMPT_FIRST;
    if (l->wait > ATTEMPT_EVERY)
        l->wait = ATTEMPT_EVERY;
    unsigned wait = broken ? ATTEMPT_BROKEN : l->wait;
    /* Many hosts lose the same Redis at once; a quarter less for some of them. */
    return wait - (unsigned)(clock_ns() / 1000 % (wait / 4));
}

/* What waits is told last, when all else is as it will be. */
void link_fail(struct redis_link *l, bool broken, const char *why)
{
    if (l->closing || l->state == LINK_DOWN)
        return;
    l->state = LINK_DOWN;
    snprintf(l->why, sizeof(l->why), "%s", why);
    for (int i = 0; i < CONNS; i++) {
        if (l->half[i].conn)
            redis_conn_close(l->half[i].conn);
        l->half[i].conn = NULL;
    }
    link_say(l, LOG_WARN, l->why);
    unsigned wait = next_wait(l, broken);
    l->up_since = 0;
    uv_update_time(l->loop);
    uv_timer_start(&l->timer, on_attempt_time, wait, 0);
    link_lose_all(l);
}

void redis_link_reject(struct redis_link *l, const char *why)
{
    link_fail(l, true, why);
}

/* --- open and close --- */

struct redis_link *redis_link_open(uv_loop_t *loop, const struct cache_spec *spec,
                                   struct str channel, const struct redis_link_events *events,
                                   void *user)
{
    struct redis_link *l = calloc(1, sizeof(*l));
    if (!l || !(l->channel = str_dup(channel))) {
        free(l);
        return NULL;
    }
    l->loop = loop;
    l->spec = spec;
    l->events = events;
    l->user = user;
    l->last = &l->first;
    uv_timer_init(loop, &l->timer);
    uv_timer_init(loop, &l->op_timer);
    l->timer.data = l->op_timer.data = l;
    l->handles = 2;
    attempt(l);
    return l;
}

static void on_timer_closed(uv_handle_t *h)
{
    free_when_gone(h->data);
}

void redis_link_close(struct redis_link *l, void (*gone)(void *arg), void *arg)
{
    l->closing = true;
    l->state = LINK_DOWN;
    l->gone = gone;
    l->gone_arg = arg;
    if (l->resolve)
        redis_resolve_forget(l->resolve);
    for (int i = 0; i < CONNS; i++) {
        if (l->half[i].conn)
            redis_conn_close(l->half[i].conn);
    }
    link_lose_all(l);
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
    uv_close((uv_handle_t *)&l->op_timer, on_timer_closed);
}

enum redis_link_state redis_link_state(const struct redis_link *l)
{
    return l->state;
}

const char *redis_link_why(const struct redis_link *l)
{
    return l->state != LINK_UP && l->why[0] ? l->why : NULL;
}

void redis_link_count(const struct redis_link *l, struct redis_link_counters *ret)
{
    *ret = l->count;
}
