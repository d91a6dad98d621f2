#include "base/bug.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"

void bug_at(const char *file, int line, const char *fmt, ...)
{
    char text[1024];
    int n = snprintf(text, sizeof(text), "manifold: BUG at %s:%d: ", file, line);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
    va_end(ap);
    log_emergency(text);
    abort();
}

void out_of_memory(void)
{
    log_emergency("manifold: out of memory for a fixed-size object; exiting");
    _exit(71);
}

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);
    if (!p)
        out_of_memory();
    return p;
}

char *xstrndup(const char *s, size_t n)
{
    char *p = xcalloc(n + 1, 1);
    if (n)
        memcpy(p, s, n);
    return p;
}

#ifdef MANIFOLD_CONTROLS
int protection_off(const char *name)
{
    const char *list = getenv("MANIFOLD_WITHOUT");
    size_t n = strlen(name);
    for (const char *at = list; at && *at;) {
        size_t len = strcspn(at, ",");
        if (len == n && memcmp(at, name, n) == 0)
            return 1;
        at += len + (at[len] == ',');
    }
    return 0;
}
#endif
