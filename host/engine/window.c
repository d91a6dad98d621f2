#include "engine/window.h"

#include <stdlib.h>
#include <string.h>
#include "base/bug.h"

static void look(const struct window *w, uint64_t ret[WINDOW_LEVELS])
{
    memset(ret, 0, WINDOW_LEVELS * sizeof(*ret));
    if (w->levels)
        w->levels(w->arg, ret);
}

void window_open(struct window *w, uint64_t span, uint64_t now)
{
    for (int i = 0; w->slice && i < WINDOW_SLICES; i++)
        w->slice[i].began = 0;
    if (!w->slice)
        w->slice = xcalloc(WINDOW_SLICES, sizeof(*w->slice));
    w->width = span / WINDOW_SLICES;
    w->since = now;
    w->until = 0;
    w->now = NULL;
    look(w, w->level);
}

void window_release(struct window *w)
{
    free(w->slice);
    w->slice = NULL;
}

void window_turn(struct window *w, uint64_t now)
{
    uint64_t number = now / w->width;
    struct window_slice *s = &w->slice[number % WINDOW_SLICES];
    /* Not all of it: slices that were never needed take no memory. */
    if (s->calls)
        memset(s->part, 0, sizeof(s->part));
    s->number = number;
    s->began = now | 1;
    s->calls = s->failed = 0;
    look(w, s->level);
    w->now = s;
    w->until = (number + 1) * w->width;
}

/* What all durations that count come to, up to the part of each rank. */
static void read_quantiles(const struct window *w, uint64_t first, struct window_view *ret)
{
    const struct {
        double q;
        uint64_t *to;
    } wanted[] = {{0.5, &ret->p50}, {0.95, &ret->p95}, {0.99, &ret->p99}};
    uint64_t seen = 0;
    int done = 0;
    for (uint32_t p = 0; p < WINDOW_PARTS && done < 3; p++) {
        for (int i = 0; i < WINDOW_SLICES; i++) {
            if (w->slice[i].began && w->slice[i].number >= first)
                seen += w->slice[i].part[p];
        }
        while (done < 3 && (double)seen >= wanted[done].q * (double)ret->timed && seen)
            *wanted[done++].to = histogram_value(p * WINDOW_COARSE + WINDOW_COARSE / 2);
    }
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
    *ret = (struct window_view){.ns = now > begin ? now - begin : 0};
    for (int i = 0; i < WINDOW_SLICES; i++) {
        const struct window_slice *s = &w->slice[i];
        if (!s->began || s->number < first)
            continue;
        ret->calls += s->calls;
        ret->failed += s->failed;
        for (uint32_t p = 0; p < WINDOW_PARTS; p++)
            ret->timed += s->part[p];
    }
    read_quantiles(w, first, ret);
    read_levels(w, now, first, ret);
}
