/* host/engine/window.h - what the host has answered in the last seconds (metrics.window).
 *
 * A ring of WINDOW_SLICES slices, begun when something happens and not by a timer, so an idle
 * host is not woken.  A window is as long as asked for, less a part of a slice.  Durations are
 * known to within one part in 60.
 *
 * Told the time, keeps none itself.  Loop thread. */
#ifndef MANIFOLD_ENGINE_WINDOW_H
#define MANIFOLD_ENGINE_WINDOW_H

#include <stdbool.h>
#include "base/histogram.h"

enum {
    WINDOW_SLICES = 16,
    WINDOW_COARSE = 16, /* parts of a histogram that are one here */
    WINDOW_PARTS = HISTOGRAM_ALL / WINDOW_COARSE,
    WINDOW_LEVELS = 3
};

struct window_slice {
    uint64_t number; /* since the clock's zero */
    uint64_t began;  /* ns; 0: not in use */
    uint64_t calls, failed;
    uint64_t level[WINDOW_LEVELS]; /* as they stood when it began */
    uint32_t part[WINDOW_PARTS];   /* durations */
};

struct window {
    uint64_t width; /* ns: of a slice */
    uint64_t until; /* ns: when the newest slice is over */
    struct window_slice *now;
    struct window_slice *slice;     /* owned; WINDOW_SLICES */
    uint64_t old_calls, old_failed; /* of slices that are over */
    uint64_t since;                 /* ns: opened */
    uint64_t level[WINDOW_LEVELS];  /* as they stood then */
    /* Counters kept elsewhere that only grow, of which the window tells the growth; may be NULL. */
    void (*levels)(void *arg, uint64_t ret[WINDOW_LEVELS]);
    void *arg;
};

/* The window as it is at one moment. */
struct window_view {
    uint64_t ns;                    /* so much time `calls` and `failed` are of */
    uint64_t calls, failed;         /* answered, and of these refused or with an error */
    uint64_t all_calls, all_failed; /* since the first opening */
    uint64_t timed;                 /* durations */
    uint64_t mean, p50, p95, p99;   /* ns; 0 without durations */
    uint64_t
        level_ns; /* `grown` is of so much time: the window, or longer where nothing was answered */
    uint64_t grown[WINDOW_LEVELS];
};

/* Zeroed, but for levels and arg.  `span`: ns, at least WINDOW_SLICES.  One that is open begins
 * anew. */
void window_open(struct window *w, uint64_t span, uint64_t now);
void window_release(struct window *w);
/* Begins the slice of `now`; only for what stands below. */
void window_turn(struct window *w, uint64_t now);
void window_read(const struct window *w, uint64_t now, struct window_view *ret);

static inline void window_count(struct window *w, uint64_t now, bool failed)
{
    if (now >= w->until)
        window_turn(w, now);
    w->now->calls++;
    w->now->failed += failed;
}
/* Of the call that was counted last; `part` as of histogram_part(). */
static inline void window_time(struct window *w, uint32_t part)
{
    w->now->part[part / WINDOW_COARSE]++;
}

#endif
