#include "engine/breaker.h"

static const char *const state_name[] = {"closed", "open", "half-open"};

const char *breaker_state_name(enum breaker_state s)
{
    return state_name[s];
}

static uint64_t slice_of(uint64_t within, uint64_t now)
{
    uint64_t step = within / BREAKER_SLICES;
    return now / (step ? step : 1);
}

/* How many of the window's slices still count at slice `newest`. */
static uint32_t window_sum(const struct breaker_window *w, uint64_t newest)
{
    uint64_t gone = newest > w->slice ? newest - w->slice : 0;
    uint32_t sum = 0;
    for (uint64_t age = 0; age + gone < BREAKER_SLICES && age <= w->slice; age++)
        sum += w->count[(w->slice - age) % BREAKER_SLICES];
    return sum;
}

static uint32_t window_add(struct breaker_window *w, uint64_t within, uint64_t now)
{
    uint64_t slice = slice_of(within, now);
    for (uint64_t i = 1; slice > w->slice && i <= slice - w->slice && i <= BREAKER_SLICES; i++)
        w->count[(w->slice + i) % BREAKER_SLICES] = 0;
    if (slice > w->slice)
        w->slice = slice;
    uint32_t *count = &w->count[w->slice % BREAKER_SLICES];
    *count += *count < UINT32_MAX / BREAKER_SLICES;
    return window_sum(w, w->slice);
}

static void open_it(struct breaker *b, const struct breaker_spec *spec, uint64_t now)
{
    b->state = BREAKER_OPEN;
    b->trial = 0;
    b->until = now + spec->cooldown;
    b->opened++;
    b->failures = b->holds = (struct breaker_window){0};
}

bool breaker_admits(struct breaker *b, const struct breaker_spec *spec, uint64_t now,
                    uint64_t *ret_wait)
{
    if (b->state == BREAKER_CLOSED)
        return true;
    if (b->state == BREAKER_OPEN) {
        if (now < b->until) {
            *ret_wait = b->until - now;
            return false;
        }
        b->state = BREAKER_HALF_OPEN;
    }
    /* When the trial ends nobody knows: not before a second, nor later than it would open again. */
    *ret_wait = spec->cooldown < 1000000000u ? spec->cooldown : 1000000000u;
    return !b->trial;
}

uint64_t breaker_take(struct breaker *b)
{
    if (b->state != BREAKER_HALF_OPEN)
        return 0;
    b->trial = ++b->trials;
    return b->trial;
}

/* The end of a call that is no longer the trial (the breaker opened meanwhile) says nothing. */
static bool is_trial(const struct breaker *b, uint64_t trial)
{
    return trial && trial == b->trial;
}

bool breaker_failed(struct breaker *b, const struct breaker_spec *spec, uint64_t now,
                    uint64_t trial)
{
    if (!spec->failures)
        return false;
    bool opens = is_trial(b, trial);
    if (b->state == BREAKER_CLOSED)
        opens = window_add(&b->failures, spec->within, now) >= spec->failures;
    if (opens)
        open_it(b, spec, now);
    return opens;
}

bool breaker_succeeded(struct breaker *b, uint64_t trial)
{
    if (!is_trial(b, trial))
        return false;
    b->state = BREAKER_CLOSED;
    b->trial = 0;
    return true;
}

void breaker_undecided(struct breaker *b, uint64_t trial)
{
    if (is_trial(b, trial))
        b->trial = 0;
}

bool breaker_held(struct breaker *b, const struct breaker_spec *spec, uint64_t now)
{
    if (!spec->failures || b->state == BREAKER_OPEN)
        return false;
    bool opens = window_add(&b->holds, spec->within, now) >= BREAKER_HOLDS;
    if (opens)
        open_it(b, spec, now);
    return opens;
}

uint32_t breaker_failures(const struct breaker *b, const struct breaker_spec *spec, uint64_t now)
{
    return window_sum(&b->failures, slice_of(spec->within, now));
}
