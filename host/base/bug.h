/* host/base/bug.h - our own broken invariants, and the functions nobody may call.
 *
 * BUG() is for mistakes of this program alone.  Nothing that a client, a
 * manifest, a plugin or the network does may reach it: they get an ordinary
 * error.  Every .c file of the host includes this header, directly or through
 * another of base/. */
#ifndef MANIFOLD_BASE_BUG_H
#define MANIFOLD_BASE_BUG_H

#include <stddef.h>

/* Writes the sentence to the real standard error and aborts. */
_Noreturn void bug_at(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define BUG(...)     bug_at(__FILE__, __LINE__, __VA_ARGS__)
#define BUG_ON(cond) ((cond) ? BUG("%s", #cond) : (void)0)

/* Allocation of fixed-size host objects at the start: zeroed, and out of memory ends the
 * process with one sentence and exit code 71 (EX_OSERR).  What input sizes goes into a
 * struct buf instead (buf.h); what is made while the host serves comes from calloc() or str_dup().
 * There it is an ordinary error. */
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
_Noreturn void out_of_memory(void); /* the same end, for whoever asked malloc() */
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));

/* Fault controls.  A build with -DMANIFOLD_CONTROLS=ON (never a release) lets
 * MANIFOLD_WITHOUT=a,b switch single protections off, so that each fault test
 * can show that it fails without the protection it tests. */
#ifdef MANIFOLD_CONTROLS
int protection_off(const char *name);
#elif defined(MANIFOLD_BARE)
/* What limits and reload cost is measured against a build without (bench/limits.py, reload.py). */
#define protection_off(name)                                                        \
    (!__builtin_strcmp(name, "permits") || !__builtin_strcmp(name, "queue") ||      \
     !__builtin_strcmp(name, "queue_wait") || !__builtin_strcmp(name, "timeout") || \
     !__builtin_strcmp(name, "rate") || !__builtin_strcmp(name, "breaker") ||       \
     !__builtin_strcmp(name, "watchdog") || !__builtin_strcmp(name, "metrics") ||   \
     !__builtin_strcmp(name, "clock") || !__builtin_strcmp(name, "threads") ||      \
     !__builtin_strcmp(name, "builder"))
#else
#define protection_off(name) 0
#endif

#include "base/banned.h"

#endif
