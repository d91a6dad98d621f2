#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"

enum { RING = 256 * 1024, LINE = 4096, EXIT_FLUSH = 200 /* ms */ };

/* Everything below `lock` is shared; the log thread alone reads the descriptors. */
static struct {
    atomic_int threshold, format;
    int real;  /* the real standard error */
    int drain; /* reading end of the pipe behind descriptors 1 and 2; -1 before log_start() */
    int wake;  /* eventfd */
    pthread_mutex_t lock;
    pthread_cond_t empty; /* CLOCK_MONOTONIC */
    char *ring;
    size_t head, len;     /* ring[head .. head+len), modulo RING */
    bool writing;         /* the thread holds bytes outside the ring */
    bool draining;        /* ... or bytes of the pipe that are not yet in it */
    uint64_t dropped_now; /* lines since the last note about it */
    atomic_uint_fast64_t dropped;
} g = {
    .real = 2, .drain = -1, .wake = -1, .threshold = LOG_INFO, .lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const level_name[] = {"debug", "info", "warn", "error"};

void log_configure(enum log_level threshold, enum log_format format)
{
    atomic_store(&g.threshold, (int)threshold);
    atomic_store(&g.format, (int)format);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&g.threshold, memory_order_relaxed);
}

uint64_t log_dropped(void)
{
    return atomic_load(&g.dropped);
}

void log_emergency(const char *text)
{
    struct {
        const char *p;
        size_t n;
    } part[2] = {{text, strlen(text)}, {"\n", 1}};
    for (int i = 0; i < 2; i++) {
        if (write(g.real, part[i].p, part[i].n) < 0)
            return;
    }
}

/* Control characters would let one line pass for several, or drive a terminal. */
static size_t escape_into(char *out, size_t room, const char *s, size_t n, bool json)
{
    size_t o = 0;
    for (size_t i = 0; i < n && o + 8 < room; i++) {
        unsigned char c = (unsigned char)s[i];
        if (json && (c == '"' || c == '\\')) {
            out[o++] = '\\';
            out[o++] = (char)c;
        } else if (c < 0x20 || c == 0x7f) {
            o += (size_t)snprintf(out + o, room - o, "\\u%04x", c);
        } else {
            out[o++] = (char)c;
        }
    }
    return o;
}

/* RFC 3339 in UTC.  gmtime_r() would read the time zone file, which costs every start seven system
 * calls.  (Days to a date: H. Hinnant, chrono-compatible low-level date algorithms.) */
static void format_stamp(char *out, size_t room)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    long days = t.tv_sec / 86400, second = t.tv_sec % 86400;
    long z = days + 719468, era = z / 146097, doe = z - era * 146097;
    long yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    long doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    long day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    long year = yoe + era * 400 + (month <= 2);
    snprintf(out, room, "%04ld-%02ld-%02ldT%02ld:%02ld:%02ld.%03ldZ", year, month, day,
             second / 3600, second / 60 % 60, second % 60, t.tv_nsec / 1000000);
}

static size_t format_line(char *out, size_t room, enum log_level level, const char *who,
                          const char *text, size_t n)
{
    char stamp[160];
    format_stamp(stamp, sizeof(stamp));
    bool json = atomic_load(&g.format) == LOG_JSON;
    int head = snprintf(out, room,
                        json ? "{\"time\":\"%s\",\"level\":\"%s\",\"plugin\":\"%s\",\"text\":\""
                             : "%s %-5s %s: ",
                        stamp, level_name[level],
                        who    ? who
                        : json ? ""
                               : "manifold");
    size_t o = (size_t)head;
    o += escape_into(out + o, room - o - 4, text, n, json);
    if (json) {
        out[o++] = '"';
        out[o++] = '}';
    }
    out[o++] = '\n';
    return o;
}

static void drop(void)
{
    g.dropped_now++;
    atomic_fetch_add(&g.dropped, 1);
}

/* Whole lines or nothing. */
static bool ring_put(const char *line, size_t n)
{
    if (n > RING - g.len) {
        drop();
        return false;
    }
    size_t at = (g.head + g.len) % RING;
    size_t first = n < RING - at ? n : RING - at;
    memcpy(g.ring + at, line, first);
    memcpy(g.ring, line + first, n - first);
    g.len += n;
    return true;
}

static void emit(const char *line, size_t n)
{
    pthread_mutex_lock(&g.lock);
    if (!g.ring) {
        if (write(g.real, line, n) < 0)
            drop();
    } else if (ring_put(line, n)) {
        uint64_t one = 1;
        if (write(g.wake, &one, sizeof(one)) < 0)
            g.dropped_now += 0; /* the counter is full: the thread is awake already */
    }
    pthread_mutex_unlock(&g.lock);
}

void log_line(enum log_level level, const char *who, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    char text[LINE / 2];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    char line[LINE];
    size_t len = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    emit(line, format_line(line, sizeof(line), level, who, text, len));
}

static void set_draining(bool draining)
{
    pthread_mutex_lock(&g.lock);
    g.draining = draining;
    pthread_mutex_unlock(&g.lock);
}

/* What plugins print, cut into lines; a line over the buffer is cut there. */
static void drain_output(void)
{
    static char held[LINE / 2];
    static size_t held_len;
    char chunk[16384];
    set_draining(true);
    ssize_t n = read(g.drain, chunk, sizeof(chunk));
    for (ssize_t i = 0; i < n; i++) {
        if (chunk[i] != '\n' && held_len < sizeof(held)) {
            held[held_len++] = chunk[i];
            if (held_len < sizeof(held))
                continue;
        }
        if (held_len) {
            char line[LINE];
            emit(line, format_line(line, sizeof(line), LOG_INFO, "output", held, held_len));
        }
        held_len = 0;
    }
    set_draining(false);
}

/* Takes at most a pipe's atomic write out of the ring, whole bytes in order. */
static size_t ring_take(char *out, size_t room)
{
    pthread_mutex_lock(&g.lock);
    if (g.dropped_now && RING - g.len > LINE) {
        char text[64], line[256];
        int t = snprintf(text, sizeof(text), "%llu log lines dropped: standard error is not read",
                         (unsigned long long)g.dropped_now);
        if (ring_put(line, format_line(line, sizeof(line), LOG_WARN, NULL, text, (size_t)t)))
            g.dropped_now = 0;
    }
    size_t n = g.len < room ? g.len : room;
    size_t first = n < RING - g.head ? n : RING - g.head;
    memcpy(out, g.ring + g.head, first);
    memcpy(out + first, g.ring, n - first);
    g.head = (g.head + n) % RING;
    g.len -= n;
    g.writing = n > 0;
    if (!n)
        pthread_cond_broadcast(&g.empty);
    pthread_mutex_unlock(&g.lock);
    return n;
}

/* Writes only what poll() promised room for: a pipe that is writable takes
 * PIPE_BUF bytes without blocking (POSIX), so an undrained stderr stops this
 * function, not the thread, which must go on draining the plugins' output. */
static void *log_thread(void *arg)
{
    (void)arg;
    char out[4096];
    size_t have = 0;
    for (;;) {
        if (!have)
            have = ring_take(out, sizeof(out));
        struct pollfd p[3] = {{.fd = g.wake, .events = POLLIN},
                              {.fd = g.drain, .events = POLLIN},
                              {.fd = have ? g.real : -1, .events = POLLOUT}};
        if (poll(p, 3, -1) < 0)
            continue;
        uint64_t count;
        if (p[0].revents && read(g.wake, &count, sizeof(count)) < 0)
            continue;
        if (p[1].revents & POLLIN)
            drain_output();
        if (have && p[2].revents) {
            ssize_t n = write(g.real, out, have);
            if (n < 0 && (errno == EAGAIN || errno == EINTR))
                continue;
            if (n < 0)
                n = (ssize_t)have; /* nobody reads any more: throw it away, stay alive */
            memmove(out, out + n, have - (size_t)n);
            have -= (size_t)n;
        }
    }
    return NULL;
}

/* Runs after the exit handlers of every plugin, because it was registered before any was mapped:
 * what they leave in the buffers of stdio is the last that can be said. */
static void flush_at_exit(void)
{
    fflush(NULL);
    if (write(1, "\n", 1) == 1) /* ends a last line that has no end */
        log_flush(EXIT_FLUSH);
}

int log_start(struct err *e)
{
    int pipefd[2];
    g.real = fcntl(2, F_DUPFD_CLOEXEC, 10);
    g.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (g.real < 0 || g.wake < 0 || pipe2(pipefd, O_CLOEXEC) < 0)
        return err_set(e, -errno, "the log can't be started: %s", strerror(errno));
    g.drain = fcntl(pipefd[0], F_DUPFD_CLOEXEC, 10);
    close(pipefd[0]);
    dup2(pipefd[1], 1);
    dup2(pipefd[1], 2);
    close(pipefd[1]);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g.empty, &attr);
    pthread_condattr_destroy(&attr);
    g.ring = xcalloc(RING, 1);
    atexit(flush_at_exit);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    int r = pthread_create(&thread, &small, log_thread, NULL);
    pthread_attr_destroy(&small);
    if (!r)
        return 0;
    /* Nobody reads the pipe: what is said from here on must go out directly. */
    dup2(g.real, 1);
    dup2(g.real, 2);
    free(g.ring);
    g.ring = NULL;
    return err_set(e, -r, "the log thread can't be started: %s", strerror(r));
}

/* Bytes still in the pipe count too: they are what was printed last. */
static bool pipe_empty(void)
{
    struct pollfd p = {.fd = g.drain, .events = POLLIN};
    return poll(&p, 1, 0) <= 0;
}

void log_flush(unsigned ms)
{
    if (!g.ring)
        return;
    struct timespec until = clock_after(ms);
    pthread_mutex_lock(&g.lock);
    uint64_t one = 1;
    while ((g.len || g.writing || !pipe_empty() || g.draining) &&
           write(g.wake, &one, sizeof(one)) > 0 &&
           pthread_cond_timedwait(&g.empty, &g.lock, &until) == 0)
        ;
    pthread_mutex_unlock(&g.lock);
}
