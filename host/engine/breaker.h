/* host/engine/breaker.h - the circuit breaker of one plugin (breaker: of the manifest).
 *
 *   closed     every call passes; `failures` within `within` open it
 *   open       no call passes until `cooldown` is over
 *   half-open  exactly one call passes, the trial: its success closes, its failure opens again
 *
 * Failures are faults of the plugin, its timeouts and what breaks the contract;
 * not isError results, wrong arguments or resources that are not there.  A
 * plugin that holds the loop over limits.loop_block for the third time within
 * `within` opens it too.  failures: 0 turns all of it off.
 *
 * Told the time, keeps none itself.  The window moves in steps of within/16. */
#ifndef MANIFOLD_ENGINE_BREAKER_H
#define MANIFOLD_ENGINE_BREAKER_H

#include <stdbool.h>
#include "config/settings.h"

enum { BREAKER_SLICES = 16, BREAKER_HOLDS = 3 };
enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker_window {
    uint64_t slice; /* number of the newest slice since the clock's zero */
    uint32_t count[BREAKER_SLICES];
};

/* All zero: closed. */
struct breaker {
    enum breaker_state state;
    uint64_t until;  /* open: ns */
    uint64_t opened; /* how often */
    uint64_t trial;  /* half-open: number of the trial that runs; 0: none */
    uint64_t trials;
    struct breaker_window failures, holds;
};

/* May a call pass?  False: *ret_wait is how many ns until it is worth another try. */
bool breaker_admits(struct breaker *b, const struct breaker_spec *spec, uint64_t now,
                    uint64_t *ret_wait);
/* The call that passed is taken.  Not 0: it is the trial of this number, whose end is to be told
 * with it. */
uint64_t breaker_take(struct breaker *b);
/* A call failed.  True: that opened it. */
bool breaker_failed(struct breaker *b, const struct breaker_spec *spec, uint64_t now,
                    uint64_t trial);
/* The trial succeeded.  True: that closed it. */
bool breaker_succeeded(struct breaker *b, uint64_t trial);
/* The trial ended without telling anything (cancelled, never run): the next call is one. */
void breaker_undecided(struct breaker *b, uint64_t trial);
/* The plugin held the loop for too long.  True: that opened it. */
bool breaker_held(struct breaker *b, const struct breaker_spec *spec, uint64_t now);
/* Failures that count at `now`. */
uint32_t breaker_failures(const struct breaker *b, const struct breaker_spec *spec, uint64_t now);
/* "closed", "open", "half-open" */
const char *breaker_state_name(enum breaker_state s);

#endif
