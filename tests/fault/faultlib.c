/* faultlib.c - preloaded into the host: the n-th allocation since main() fails.
 *
 *   FAULT_NTH=n            which one; 0 or unset: none, they are only counted
 *   FAULT_MODE=once        that one alone (default)
 *   FAULT_MODE=forever     that one and all after it
 *   FAULT_REPORT=path      a file of at least REPORT bytes, made by the driver and mapped here, so
 *                          that it can be read however the process ends: see struct report
 *
 * The libc's start-up before main() does not count, nor does a child: the host gives its probes an
 * empty environment. */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { REPORT = 65536, FRAMES = 24, SITES = 8 };

/* As torture.py reads it. */
struct report {
    _Atomic uint64_t count;  /* allocations since main() */
    _Atomic uint64_t failed; /* of them */
    _Atomic uint32_t length; /* of text: a line for each frame "FILE OFFSET", a blank one behind
                                each failure; the first SITES failures are told */
    char text[REPORT - 24];
};

static struct {
    struct report *report;
    uint64_t nth;
    bool forever;
    _Atomic bool armed;
} g;

/* What the recording of a failure allocates itself is none of the host's. */
static __thread bool inside __attribute__((tls_model("initial-exec")));

/* The real ones; dlsym() may ask for memory before they are known. */
static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
} real;

static char early[65536] __attribute__((aligned(16)));
static size_t early_used;

static void *early_alloc(size_t n)
{
    n = (n + 15) & ~(size_t)15;
    if (n > sizeof(early) - early_used)
        abort();
    early_used += n;
    return early + early_used - n;
}

static void resolve(void)
{
    static bool resolving;
    if (resolving)
        return;
    resolving = true;
    real.calloc = (void *(*)(size_t, size_t))(uintptr_t)dlsym(RTLD_NEXT, "calloc");
    real.realloc = (void *(*)(void *, size_t))(uintptr_t)dlsym(RTLD_NEXT, "realloc");
    real.posix_memalign =
        (int (*)(void **, size_t, size_t))(uintptr_t)dlsym(RTLD_NEXT, "posix_memalign");
    real.aligned_alloc = (void *(*)(size_t, size_t))(uintptr_t)dlsym(RTLD_NEXT, "aligned_alloc");
    real.malloc = (void *(*)(size_t))(uintptr_t)dlsym(RTLD_NEXT, "malloc");
}

static void tell_site(void)
{
    void *frame[FRAMES];
    char text[4096];
    size_t used = 0;
    inside = true;
    int n = backtrace(frame, FRAMES);
    for (int i = 2; i < n; i++) { /* without this function and should_fail() */
        Dl_info info;
        if (!dladdr(frame[i], &info) || !info.dli_fname)
            continue;
        /* One less: inside the call, not at what comes after it. */
        int len = snprintf(text + used, sizeof(text) - used, "%s %#lx\n", info.dli_fname,
                           (unsigned long)((uintptr_t)frame[i] - (uintptr_t)info.dli_fbase - 1));
        if (len < 0 || (size_t)len >= sizeof(text) - used)
            break;
        used += (size_t)len;
    }
    struct report *r = g.report;
    text[used++] = '\n';
    uint32_t at = atomic_fetch_add(&r->length, (uint32_t)used);
    if (at + used <= sizeof(r->text))
        memcpy(r->text + at, text, used);
    inside = false;
}

static bool __attribute__((noinline)) should_fail(void)
{
    if (!atomic_load_explicit(&g.armed, memory_order_relaxed) || inside)
        return false;
    uint64_t n = atomic_fetch_add(&g.report->count, 1) + 1;
    if (!g.nth || n < g.nth || (n > g.nth && !g.forever))
        return false;
    if (atomic_fetch_add(&g.report->failed, 1) < SITES)
        tell_site();
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n)
{
    if (!real.malloc)
        resolve();
    if (!real.malloc)
        return early_alloc(n);
    return should_fail() ? NULL : real.malloc(n);
}

void *calloc(size_t n, size_t size)
{
    if (!real.malloc)
        resolve();
    if (!real.malloc)
        return early_alloc(n * size);
    return should_fail() ? NULL : real.calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    if (!real.malloc)
        resolve();
    if (!real.malloc)
        abort();
    return should_fail() ? NULL : real.realloc(p, n);
}

int posix_memalign(void **ret, size_t alignment, size_t n)
{
    if (!real.malloc)
        resolve();
    return should_fail() ? ENOMEM : real.posix_memalign(ret, alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    if (!real.malloc)
        resolve();
    return should_fail() ? NULL : real.aligned_alloc(alignment, n);
}

static int (*real_main)(int, char **, char **);

static void open_report(void)
{
    const char *path = getenv("FAULT_REPORT"), *nth = getenv("FAULT_NTH");
    const char *mode = getenv("FAULT_MODE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    g.report = mmap(NULL, REPORT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (g.report == MAP_FAILED)
        return;
    g.nth = nth ? strtoull(nth, NULL, 10) : 0;
    g.forever = mode && strcmp(mode, "forever") == 0;
    void *frame[4];
    backtrace(frame, 4); /* the first one loads the unwinder */
    atomic_store(&g.armed, true);
}

static int counted_main(int argc, char **argv, char **envp)
{
    open_report();
    return real_main(argc, argv, envp);
}

int __libc_start_main(int (*start)(int, char **, char **), int argc, char **argv,
                      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                      void *stack_end);
int __libc_start_main(int (*start)(int, char **, char **), int argc, char **argv,
                      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                      void *stack_end)
{
    int (*next)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
                void (*)(void), void *) =
        (int (*)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
                 void (*)(void), void *))(uintptr_t)dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = start;
    return next(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}
