#include "engine/window.h"

#include <string.h>
#include <sys/mman.h>
#include "base/bug.h"

#define SLICES_BYTES (WINDOW_SLICES * sizeof(struct window_slice))

static void look(const struct window *w, uint64_t ret[WINDOW_LEVELS])
{
    memset(ret, 0, WINDOW_LEVELS * sizeof(*ret));
    if (w->levels)
        w->levels(w->arg, ret);
}

/* Not all of a slice that was never needed: it takes no memory. */
static void forget(struct window *w, struct window_slice *s)
{
    if (s->calls)
        memset(s->part, 0, sizeof(s->part));
    w->old_calls += s->calls;
    w->old_failed += s->failed;
    s->began = s->calls = s->failed = 0;
}

void window_open(struct window *w, uint64_t span, uint64_t now)
{
    for (int i = 0; w->now && i < WINDOW_SLICES; i++) /* else nothing has been written on */
        forget(w, &w->slice[i]);
    if (!w->slice) {
        /* A slice takes memory when its time has come; calloc() may write on all of them. */
        void *p =
            mmap(NULL, SLICES_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            out_of_memory();
        w->slice = p;
    }
    w->width = span / WINDOW_SLICES;
    w->since = now;
    w->until = 0;
    w->now = NULL;
    look(w, w->level);
}

void window_release(struct window *w)
{
    if (w->slice)
        munmap(w->slice, SLICES_BYTES);
    w->slice = NULL;
}

void window_turn(struct window *w, uint64_t now)
{
    uint64_t number = now / w->width;
    struct window_slice *s = &w->slice[number % WINDOW_SLICES];
    forget(w, s);
    s->number = number;
    s->began = now | 1;
    look(w, s->level);
    w->now = s;
    w->until = (number + 1) * w->width;
}

/* What the durations come to that count, up to the part of each rank. */
static void read_durations(const struct window *w, uint64_t first, struct window_view *ret)
{
    const struct {
        double q;
        uint64_t *to;
    } wanted[] = {{0.5, &ret->p50}, {0.95, &ret->p95}, {0.99, &ret->p99}};
    uint64_t seen = 0;
    double sum = 0;
    int done = 0;
    for (uint32_t p = 0; p < WINDOW_PARTS && seen < ret->timed; p++) {
        uint64_t value = histogram_value(p * WINDOW_COARSE + WINDOW_COARSE / 2), here = 0;
        for (int i = 0; i < WINDOW_SLICES; i++) {
            if (w->slice[i].began && w->slice[i].number >= first)
                here += w->slice[i].part[p];
        }
        seen += here;
        sum += (double)here * (double)value;
        while (done < 3 && (double)seen >= wanted[done].q * (double)ret->timed && seen)
            *wanted[done++].to = value;
    }
    ret->mean = seen ? (uint64_t)(sum / (double)seen) : 0;
}

/* Growth is counted from the last look before the window's second slice. */
static void read_levels(const struct window *w, uint64_t now, uint64_t first,
                        struct window_view *ret)
{
    uint64_t began = w->since, level[WINDOW_LEVELS];
    const uint64_t *base = w->level;
    for (int i = 0; i < WINDOW_SLICES; i++) {
        const struct window_slice *s = &w->slice[i];
        if (s->began > began && s->number <= first) {
            began = s->began;
            base = s->level;
        }
    }
    look(w, level);
    ret->level_ns = now > began ? now - began : 0;
    for (int i = 0; i < WINDOW_LEVELS; i++)
        ret->grown[i] = level[i] - base[i];
}

void window_read(const struct window *w, uint64_t now, struct window_view *ret)
{
    uint64_t newest = now / w->width;
    uint64_t first = newest < WINDOW_SLICES ? 0 : newest - WINDOW_SLICES + 1;
    uint64_t begin = first * w->width > w->since ? first * w->width : w->since;
    *ret = (struct window_view){.ns = now > begin ? now - begin : 0,
                                .all_calls = w->old_calls,
                                .all_failed = w->old_failed};
    for (int i = 0; i < WINDOW_SLICES; i++) {
        const struct window_slice *s = &w->slice[i];
        ret->all_calls += s->calls;
        ret->all_failed += s->failed;
        if (!s->began || s->number < first)
            continue;
        ret->calls += s->calls;
        ret->failed += s->failed;
        for (uint32_t p = 0; p < WINDOW_PARTS; p++)
            ret->timed += s->part[p];
    }
    read_durations(w, first, ret);
    read_levels(w, now, first, ret);
}
