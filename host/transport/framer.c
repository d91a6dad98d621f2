#include "transport/framer.h"

#include <stdlib.h>
#include "base/bug.h"

enum {
    SLACK = FRAMER_FIRST,
    ROOM_MIN = 16 * 1024 /* a read into less is not worth its system call */
};

void framer_init(struct framer *f, size_t limit)
{
    *f = (struct framer){.data = xcalloc(1, FRAMER_FIRST), .cap = FRAMER_FIRST, .limit = limit};
}

void framer_release(struct framer *f)
{
    free(f->data);
    *f = (struct framer){0};
}

static void move_to_front(struct framer *f)
{
    if (f->start == 0)
        return;
    memmove(f->data, f->data + f->start, f->end - f->start);
    f->searched -= f->start;
    f->end -= f->start;
    f->start = 0;
}

/* From here on the line only passes through. */
static void start_skipping(struct framer *f)
{
    f->skipping = true;
    idscan_start(&f->scan);
    idscan_feed(&f->scan, (struct str){f->data + f->start, f->searched - f->start});
    f->start = f->searched;
}

static bool resize(struct framer *f, size_t cap)
{
    char *data = realloc(f->data, cap);
    if (!data)
        return false;
    f->data = data;
    f->cap = cap;
    return true;
}

/* Room behind a partial line.  A line of the limit's length and its end always fit after a move. */
static void make_room(struct framer *f)
{
    size_t most = f->limit + SLACK;
    move_to_front(f);
    if (f->cap - f->end >= ROOM_MIN || f->cap >= most)
        return;
    if (resize(f, f->cap * 2 < most ? f->cap * 2 : most) || f->cap > f->end)
        return;
    /* No memory for this line: it is treated as too long, so that the rest can go on. */
    start_skipping(f);
    f->start = f->searched = f->end = 0;
}

char *framer_space(struct framer *f, size_t *ret_room)
{
    if (f->start == f->end)
        f->start = f->searched = f->end = 0;
    if (f->cap - f->end < ROOM_MIN)
        make_room(f);
    *ret_room = f->cap - f->end;
    return f->data + f->end;
}

void framer_fed(struct framer *f, size_t n)
{
    BUG_ON(n > f->cap - f->end);
    f->end += n;
}

void framer_end(struct framer *f)
{
    f->ended = true;
}

static bool is_blank(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r')
            return false;
    return true;
}

/* The line at start, which ends before `stop`; `next` is where the one after it begins. */
static enum framer_event take_line(struct framer *f, size_t stop, size_t next, struct str *ret)
{
    struct str whole = {f->data + f->start, stop - f->start}, line = whole;
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    f->start = f->searched = next;
    if (f->skipping || line.n > f->limit) {
        if (!f->skipping)
            idscan_start(&f->scan);
        f->skipping = false;
        /* The CR too: it may have been fed with an earlier piece, and how the bytes came in pieces
         * must not decide whether a number at the end is whole. */
        idscan_feed(&f->scan, whole);
        *ret = idscan_id(&f->scan);
        return FRAMER_OVERSIZE;
    }
    *ret = line;
    return is_blank(line.p, line.n) ? FRAMER_NONE : FRAMER_LINE;
}

enum framer_event framer_next(struct framer *f, struct str *ret)
{
    while (f->searched < f->end) {
        const char *lf = memchr(f->data + f->searched, '\n', f->end - f->searched);
        if (!lf)
            break;
        size_t stop = (size_t)(lf - f->data);
        enum framer_event ev = take_line(f, stop, stop + 1, ret);
        if (ev != FRAMER_NONE)
            return ev;
    }
    f->searched = f->end;
    if (f->ended && (f->skipping || f->start < f->end))
        return take_line(f, f->end, f->end, ret);
    if (f->skipping) {
        idscan_feed(&f->scan, (struct str){f->data + f->start, f->end - f->start});
        f->start = f->end;
    } else if (f->end - f->start > f->limit + 1) { /* one more: it may be a CR */
        start_skipping(f);
    }
    return FRAMER_NONE;
}

void framer_trim(struct framer *f)
{
    if (f->cap <= FRAMER_FIRST || f->end - f->start > FRAMER_FIRST - ROOM_MIN)
        return;
    move_to_front(f);
    /* Shrinking in place may fail only for want of memory: then it stays as it is. */
    resize(f, FRAMER_FIRST);
}
