/* manifold/timer.h - "manifold.timer/1": later, and again and again.  See op.h. */
#ifndef MANIFOLD_TIMER_H
#define MANIFOLD_TIMER_H

#include "op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_TIMER "manifold.timer/1"

typedef struct mf_timer {
    uint32_t size;
    uint32_t flags; /* 0 */
    /* Ends with MF_OK after `ns` nanoseconds, a millisecond late at most while the loop is free. */
    mf_op (*after)(const mf_host *host, mf_call call, uint64_t ns, mf_end_cb end, void *arg);
    /* tick(arg) every `ns` nanoseconds (at least 1 ms) until it is aborted; ticks that
     * the loop was too busy for are left out, not made up for. */
    mf_op (*every)(const mf_host *host, mf_call call, uint64_t ns, void (*tick)(void *arg),
                   mf_end_cb end, void *arg);
    mf_status (*abort)(const mf_host *host, mf_op op);
} mf_timer;

#ifdef __cplusplus
}
#endif
#endif
