/* sleeper.h - sleeping calls, all on one thread of the instance.
 *
 * The loop must not block and there is no timer service, so a sleep is an entry
 * in a list that one thread watches.  The thread is made for the first sleep. */
#ifndef ECHO_SLEEPER_H
#define ECHO_SLEEPER_H

#include <manifold/plugin.h>

enum { SLEEPER_MAX = 1024 }; /* sleeps at one time */

struct sleeper;

/* NULL: no memory.  `host` must outlive it. */
struct sleeper *sleeper_new(const mf_host *host);

/* Reports progress nine times (fewer below 10 ms) in `ms` milliseconds, then answers "Slept <ms>
 * ms" and finishes the call, from the thread.  0; -EBUSY: SLEEPER_MAX sleep already; another
 * negative errno: no memory or no thread.  Then the call is still the caller's. */
int sleeper_add(struct sleeper *s, mf_call call, uint32_t ms);

/* Ends the sleep of this call at once, if there is one. */
void sleeper_cancel(struct sleeper *s, mf_call call);

/* Joins the thread.  No call may be asleep. */
void sleeper_free(struct sleeper *s);

#endif
