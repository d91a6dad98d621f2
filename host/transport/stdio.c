#include "transport/stdio.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include "base/log.h"
#include "transport/framer.h"
#include "transport/output.h"

enum {
    READ_MAX = 256 * 1024, /* bytes a turn, so that other handles get theirs */
    TURN_MAX = 8,          /* milliseconds a turn may hand lines over before it writes */
    TIDY = 1000            /* milliseconds without traffic until memory goes back */
};

enum phase {
    SERVING,
    LAST_LINES, /* the input's writer is gone; what it wrote before goes on to the session */
    DRAINING,   /* nothing more is read or handed over; calls may still end by themselves */
    FLUSHING,   /* no call is left; unsent bytes go out */
    ENDED
};

struct stdio {
    uv_loop_t *loop;
    struct session *session;
    struct stdio_options opt;
    struct channel in;
    struct framer framer;
    struct output out;
    uv_idle_t again;   /* active while there is work without an event to come */
    uv_prepare_t turn; /* once a turn, before the loop waits */
    uv_timer_t limit;  /* of the phase */
    uv_timer_t tidy;
    enum phase phase;
    const char *why;
    bool held;             /* lines may be left in the framer */
    bool input_end;        /* no more bytes will come */
    bool hung_up;          /* nobody writes any more; bytes may be left to read */
    bool late;             /* the phase's time is over */
    uint64_t received;     /* bytes */
    uint64_t seen_moved;   /* received and written at the last look of `tidy` */
    uint64_t seen_written; /* written when `limit` was started */
    int watched;           /* UV_* events of the input */
    int open_handles;
};

static void on_input(uv_poll_t *p, int status, int events);
static void on_again(uv_idle_t *h);

/* Who is asked next: the input, the framer, or nobody until the reader takes something. */
static void update_watch(struct stdio *s)
{
    bool serving = s->phase <= LAST_LINES && !s->out.full;
    bool direct = s->in.kind == CHANNEL_DIRECT;
    bool again = serving && (s->held || (direct && !s->input_end));
    int watched = 0;
    if (s->phase <= LAST_LINES && !s->input_end && !direct) {
        if (serving && !s->held)
            watched = UV_READABLE;
        else if (!serving && !s->hung_up)
            watched = UV_DISCONNECT; /* the end of a client that has stopped reading */
    }
    if (again != (bool)uv_is_active((uv_handle_t *)&s->again)) {
        if (again)
            uv_idle_start(&s->again, on_again);
        else
            uv_idle_stop(&s->again);
    }
    if (watched != s->watched) {
        s->watched = watched;
        channel_watch(&s->in, watched, on_input);
    }
}

/* Good to 4 ms and cheap enough to ask after every message. */
static uint64_t coarse_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void hand_over(struct stdio *s)
{
    uint64_t until = coarse_ms() + TURN_MAX;
    s->held = true;
    while (!s->out.full && !s->out.dead) {
        struct str line;
        enum framer_event ev = framer_next(&s->framer, &line);
        if (ev == FRAMER_NONE) {
            s->held = false;
            break;
        }
        if (ev == FRAMER_LINE)
            session_message(s->session, line, &s->out.stream);
        else
            session_refuse_oversize(s->session, line, s->opt.message, &s->out.stream);
        if (coarse_ms() > until)
            break;
    }
}

static void end_input(struct stdio *s)
{
    s->input_end = true;
    s->held = true; /* an unfinished line counts */
    framer_end(&s->framer);
}

static void take_in(struct stdio *s)
{
    size_t room;
    char *to = framer_space(&s->framer, &room);
    ssize_t n = channel_read(&s->in, to, room < READ_MAX ? room : READ_MAX);
    if (n > 0) {
        s->received += (uint64_t)n;
        framer_fed(&s->framer, (size_t)n);
        s->held = true;
    } else if (n != -EAGAIN) {
        if (n < 0 && n != -ECONNRESET)
            log_error("the input can't be read: %s", strerror((int)-n));
        end_input(s);
    }
}

static void serve_turn(struct stdio *s)
{
    if (!s->held && !s->input_end)
        take_in(s);
    if (s->held)
        hand_over(s);
    /* At once, not at the end of the loop's turn: the client waits for it. */
    output_flush(&s->out);
    update_watch(s);
}

static void on_again(uv_idle_t *h)
{
    serve_turn(h->data);
}

static void on_input(uv_poll_t *p, int status, int events)
{
    struct stdio *s = p->data;
    (void)events;
    bool paused = s->watched == UV_DISCONNECT;
    if (status < 0)
        s->watched = 0; /* libuv has stopped watching; a read says what is wrong */
    if (paused) {
        s->hung_up = true;
        update_watch(s);
    } else {
        serve_turn(s);
    }
}

static void on_output_changed(void *arg)
{
    update_watch(arg);
}

static void on_limit(uv_timer_t *t)
{
    struct stdio *s = t->data;
    s->late = true;
}

static void enter(struct stdio *s, enum phase phase, unsigned ms)
{
    s->phase = phase;
    s->late = false;
    s->seen_written = s->out.written;
    uv_timer_start(&s->limit, on_limit, ms, 0);
    update_watch(s);
}

void stdio_stop(struct stdio *s, const char *why)
{
    if (s->phase > LAST_LINES)
        return;
    s->why = why;
    session_end_listening(s->session);
    enter(s, DRAINING, STDIO_GRACE);
}

/* A reader that takes its time is waited for, one that has stopped is not. */
static bool stalled(struct stdio *s)
{
    if (!s->late)
        return false;
    if (s->out.written == s->seen_written)
        return true;
    enter(s, s->phase, STDIO_STALL);
    return false;
}

/* Every step of the end is taken here and nowhere else: this is the one place from which nothing
 * of the session or the engine is on the stack. */
static void advance(struct stdio *s)
{
    if (s->out.dead)
        stdio_stop(s, "the client has closed the output");
    if (s->phase == SERVING && (s->input_end || s->hung_up))
        enter(s, LAST_LINES, STDIO_STALL);
    if (s->phase == LAST_LINES && ((s->input_end && !s->held) || (s->out.full && stalled(s))))
        stdio_stop(s, "the input has ended");
    if (s->phase == DRAINING && (s->late || session_calls(s->session) == 0)) {
        session_cancel_all(s->session);
        enter(s, FLUSHING, STDIO_STALL);
    }
    if (s->phase == FLUSHING && (output_unsent(&s->out) == 0 || stalled(s))) {
        s->phase = ENDED;
        uv_timer_stop(&s->limit);
        uv_prepare_stop(&s->turn);
        uv_timer_stop(&s->tidy);
        s->opt.ended(s->opt.arg, s->why);
    }
}

/* Runs a second after traffic has grown a buffer, again while there still is traffic. */
static void on_tidy(uv_timer_t *t)
{
    struct stdio *s = t->data;
    if (s->seen_moved != s->received + s->out.written) {
        s->seen_moved = s->received + s->out.written;
        return;
    }
    framer_trim(&s->framer);
    output_trim(&s->out);
    malloc_trim(0);
    uv_timer_stop(t);
}

static void on_turn(uv_prepare_t *h)
{
    struct stdio *s = h->data;
    output_flush(&s->out);
    if (s->framer.cap > FRAMER_FIRST || s->out.buf.cap > OUTPUT_KEEP) {
        if (!uv_is_active((uv_handle_t *)&s->tidy))
            uv_timer_start(&s->tidy, on_tidy, TIDY, TIDY);
    }
    if (s->phase != SERVING || s->input_end || s->hung_up || s->out.dead)
        advance(s);
}

int stdio_open(uv_loop_t *loop, struct session *session, const struct stdio_options *o,
               struct stdio **ret, struct err *e)
{
    struct stdio *s = xcalloc(1, sizeof(*s));
    *s = (struct stdio){.loop = loop, .session = session, .opt = *o};
    int r = channel_open(&s->in, loop, o->in, CHANNEL_READ, e);
    if (r == 0)
        r = output_open(&s->out, loop, o->out, (size_t)o->output, on_output_changed, s, e);
    if (r < 0)
        return r; /* the process ends: what libuv holds stays with it */
    s->in.poll.data = s;
    framer_init(&s->framer, (size_t)o->message);
    uv_idle_init(loop, &s->again);
    uv_prepare_init(loop, &s->turn);
    uv_timer_init(loop, &s->limit);
    uv_timer_init(loop, &s->tidy);
    s->again.data = s->turn.data = s->limit.data = s->tidy.data = s;
    uv_unref((uv_handle_t *)&s->tidy);
    uv_prepare_start(&s->turn, on_turn);
    update_watch(s);
    *ret = s;
    return 0;
}

static void on_part_closed(void *arg)
{
    struct stdio *s = arg;
    if (--s->open_handles)
        return;
    framer_release(&s->framer);
    free(s);
}

static void on_handle_closed(uv_handle_t *h)
{
    on_part_closed(h->data);
}

void stdio_close(struct stdio *s)
{
    uv_handle_t *part[] = {(uv_handle_t *)&s->again, (uv_handle_t *)&s->turn,
                           (uv_handle_t *)&s->limit, (uv_handle_t *)&s->tidy};
    s->open_handles = 6;
    for (size_t i = 0; i < 4; i++)
        uv_close(part[i], on_handle_closed);
    channel_close(&s->in, on_part_closed, s);
    output_close(&s->out, on_part_closed, s);
}
