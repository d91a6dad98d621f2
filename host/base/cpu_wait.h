/* host/base/cpu_wait.h - how long a thread was ready to run and had no CPU: what a busy machine
 * does to it, and nobody in it.
 *
 * Linux keeps the sum in the second field of /proc/PID/task/TID/schedstat, in nanoseconds
 * (Documentation/scheduler/sched-stats). */
#ifndef MANIFOLD_BASE_CPU_WAIT_H
#define MANIFOLD_BASE_CPU_WAIT_H

#include <stdint.h>

/* A descriptor for the calling thread, the caller's, at least 10 and close-on-exec; -1: this kernel
 * does not tell. */
int cpu_wait_open(void);
/* Nanoseconds since the thread began; 0 for -1, or when it can't be read.  Any thread. */
uint64_t cpu_wait_read(int fd);

#endif
