/* Operations wait for their replies in the order in which they were sent; all have the same time,
 * so the oldest is late first. */
#include "services/redis/link_internal.h"

enum { PING_SILENT = 100, GIVE_UP_MS = 2000, PING_IDLE = 10000 }; /* milliseconds */
enum { SILENT_TIMEOUTS = 3, SILENT_LATE = 8 };

static void go_silent(struct redis_link *l);
static void arm(struct redis_link *l);

static void on_op_time(uv_timer_t *t)
{
    struct redis_link *l = t->data;
    uint64_t now = clock_ns();
    while (l->timely && l->timely->sent + l->spec->timeout <= now &&
           !protection_off("cache_timeout")) {
        struct redis_op *op = l->timely;
        l->timely = op->next;
        op->is_late = true;
        l->count.timeouts++;
        if (op->kind->late) {
            l->late_in_row++;
            op->kind->late(op); /* may add operations, no more */
        }
    }
    uint64_t since = l->first && l->first->sent > l->heard ? l->first->sent : l->heard;
    if (l->state == LINK_UP && l->first && !protection_off("cache_timeout") &&
        (now - since >= SILENT_TIMEOUTS * l->spec->timeout || l->late_in_row >= SILENT_LATE))
        go_silent(l);
    arm(l);
}

static void arm(struct redis_link *l)
{
    if (!l->first || l->closing) {
        uv_timer_stop(&l->op_timer);
        return;
    }
    uint64_t now = clock_ns();
    uint64_t due = (l->timely ? l->timely->sent : now) + l->spec->timeout;
    uv_update_time(l->loop);
    /* Never 0: the loop runs such a timer again before it does anything else. */
    uv_timer_start(&l->op_timer, on_op_time, due > now ? (due - now + 999999) / 1000000 : 1, 0);
}

struct redis_conn *redis_link_batch(struct redis_link *l)
{
    bool there = l->state == LINK_UP || l->state == LINK_SILENT;
    return there && l->count.pending < LINK_OPS ? l->half[COMMANDS].conn : NULL;
}

void redis_link_expect(struct redis_link *l, struct redis_op *op)
{
    bool idle = !l->first;
    op->next = NULL;
    op->is_late = false;
    op->sent = clock_ns();
    *l->last = op;
    l->last = &op->next;
    if (!l->timely)
        l->timely = op;
    l->count.pending++;
    l->count.commands += op->replies;
    if (idle)
        arm(l);
}

static void take_first(struct redis_link *l)
{
    struct redis_op *op = l->first;
    l->first = op->next;
    if (!l->first)
        l->last = &l->first;
    if (l->timely == op)
        l->timely = op->next;
    l->count.pending--;
}

void link_lose_all(struct redis_link *l)
{
    while (l->first) {
        struct redis_op *op = l->first;
        take_first(l);
        op->kind->lost(op);
    }
    uv_timer_stop(&l->op_timer);
}

void link_reply(struct redis_link *l, const struct reply *r)
{
    struct redis_op *op = l->first;
    if (!op) {
        link_fail(l, true, "expected no reply, found one");
        return;
    }
    l->heard = clock_ns();
    l->count.replies++;
    if (r->type == REPLY_ERROR)
        l->count.errors++;
    if (op->kind->late && !op->is_late)
        l->late_in_row = 0;
    if (--op->replies == 0)
        take_first(l);
    op->kind->reply(op, r); /* may free it, and may reject the link */
    if (!l->first)
        uv_timer_stop(&l->op_timer);
}

/* --- silence --- */

static void ping_lost(struct redis_op *op)
{
    container_of(op, struct redis_link, ping)->half[COMMANDS].pinged = false;
}

static void on_ping(struct redis_op *op, const struct reply *r)
{
    struct redis_link *l = container_of(op, struct redis_link, ping);
    l->half[COMMANDS].pinged = false;
    if (!reply_is_ok(r, STR("PONG"))) {
        link_fail(l, true, "expected PONG, found something else");
        return;
    }
    if (l->state != LINK_SILENT || clock_ns() - l->ping_sent > l->spec->timeout)
        return;
    l->state = LINK_UP;
    l->late_in_row = 0;
    link_say(l, LOG_INFO, "it answers again");
    link_watch(l);
}

static void ping_commands(struct redis_link *l)
{
    static const struct redis_op_kind kind = {.reply = on_ping, .lost = ping_lost};
    struct redis_conn *c = l->half[COMMANDS].conn;
    if (l->half[COMMANDS].pinged)
        return;
    redis_conn_begin(c);
    redis_conn_command(c, 1);
    redis_conn_arg(c, STR("PING"));
    if (redis_conn_end(c))
        return;
    l->half[COMMANDS].pinged = true;
    l->ping = (struct redis_op){.kind = &kind, .replies = 1};
    l->ping_sent = clock_ns();
    redis_link_expect(l, &l->ping);
}

static void on_time_silent(uv_timer_t *t)
{
    struct redis_link *l = t->data;
    uint64_t since = l->heard > l->silent_since ? l->heard : l->silent_since;
    if (clock_ns() - since >= GIVE_UP_MS * UINT64_C(1000000))
        link_fail(l, false, "it does not answer");
    else
        ping_commands(l);
}

static void go_silent(struct redis_link *l)
{
    l->state = LINK_SILENT;
    l->silent_since = clock_ns();
    snprintf(l->why, sizeof(l->why), "it does not answer in time: it is not asked until it does");
    link_say(l, LOG_WARN, l->why);
    ping_commands(l);
    uv_timer_start(&l->timer, on_time_silent, PING_SILENT, PING_SILENT);
}

/* Each while, so that what lies between does not take the connections for dead, nor we them. */
static void on_time_up(uv_timer_t *t)
{
    struct redis_link *l = t->data;
    struct half *channel = &l->half[CHANNEL];
    if (channel->pinged) {
        link_fail(l, false, "its channel does not answer");
        return;
    }
    redis_conn_begin(channel->conn);
    redis_conn_command(channel->conn, 1);
    redis_conn_arg(channel->conn, STR("PING"));
    channel->pinged = redis_conn_end(channel->conn) == 0;
    ping_commands(l);
}

void link_watch(struct redis_link *l)
{
    uv_timer_start(&l->timer, on_time_up, PING_IDLE, PING_IDLE);
}
