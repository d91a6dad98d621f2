/* host/runtime/process.h - what the kernel says of this process; from /proc, which is no disk.
 * Loop thread. */
#ifndef MANIFOLD_RUNTIME_PROCESS_H
#define MANIFOLD_RUNTIME_PROCESS_H

#include <stdint.h>

struct process_figures {
    uint64_t cpu;        /* ns of processor time, all threads */
    uint64_t rss, pss;   /* bytes; 0: not known */
    uint64_t memory;     /* bytes of the machine */
    uint64_t open_files; /* descriptors; 0: not known */
};

/* ns of processor time alone. */
uint64_t process_cpu(void);
void process_read(struct process_figures *ret);
/* Seconds since 1970. */
double process_time(void);

#endif
