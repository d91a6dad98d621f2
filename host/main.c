/* host/main.c - the process: its descriptors, its heap, then the command. */
#include <malloc.h>
#include "cli/command.h"
#include "transport/guard.h"

/* glibc's defaults would map each buffer over 128 KiB anew and give 1 MiB back
 * after every large message; a page fault costs more than the message.  What
 * is kept by that is bounded, and given back when the client is quiet (stdio.c).
 * Two arenas: one for the loop, one for all threads. */
static void tune_heap(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 16 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
}

int main(int argc, char **argv)
{
    struct err e;
    if (guard_fill(&e))
        return cli_fail(EXIT_SYSTEM, "%s", e.text);
    tune_heap();
    return cli_main(argc, argv);
}
