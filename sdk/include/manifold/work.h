/* manifold/work.h - "manifold.work/1": threads of the host's making.  See op.h.
 *
 * The outermost frame of each is the host's, so it is joined before close() and
 * may be seen in status.  An instance has as many as its manifest allows (worker.threads), made
 * on demand; what finds none waits its turn.  A function that is running is not
 * interrupted: its operation ends when it returns. */
#ifndef MANIFOLD_WORK_H
#define MANIFOLD_WORK_H

#include "op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_WORK "manifold.work/1"

typedef struct mf_work {
    uint32_t size;
    uint32_t flags; /* 0 */
    /* fn(arg) once on a thread, then the end with MF_OK.  Aborted before it began: fn does not
     * run, MF_ECANCELED.  Aborted while it runs: MF_ECANCELED after it has returned. */
    mf_op (*run)(const mf_host *host, mf_call call, void (*fn)(void *arg), mf_end_cb end,
                 void *arg);
    /* fn(arg, i) once for each i below count, on several threads at a time (as many as there are
     * processors and worker.threads), then one end.  Aborted: no further i is begun, MF_ECANCELED
     * when those that are running have returned.  count 0 ends with MF_OK. */
    mf_op (*each)(const mf_host *host, mf_call call, uint64_t count,
                  void (*fn)(void *arg, uint64_t i), mf_end_cb end, void *arg);
    mf_status (*abort)(const mf_host *host, mf_op op);
} mf_work;

#ifdef __cplusplus
}
#endif
#endif
