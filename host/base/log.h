/* host/base/log.h - the log: one line an event, to standard error, by a thread of its own.
 *
 * A caller never waits: a line goes into a bounded ring that the log thread
 * empties to the real standard error.  When the ring is full the line is
 * dropped and counted, and the count is written once there is room.  After
 * log_start() descriptors 1 and 2 are a pipe that the same thread drains, so
 * whatever a plugin or library prints becomes log lines and neither blocks on
 * an undrained stderr nor reaches a client. */
#ifndef MANIFOLD_BASE_LOG_H
#define MANIFOLD_BASE_LOG_H

#include <stdint.h>
#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* Starts the thread and takes descriptors 1 and 2 over; call once, after
 * standard output was moved away.  Before it, and in processes that never call
 * it (check, list, tests), lines go straight to descriptor 2. */
int log_start(struct err *e);
void log_configure(enum log_level threshold, enum log_format format);
bool log_enabled(enum log_level level);
/* Any thread.  `who` is a plugin's instance name or NULL for the host. */
void log_line(enum log_level level, const char *who, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define log_debug(...) (log_enabled(LOG_DEBUG) ? log_line(LOG_DEBUG, NULL, __VA_ARGS__) : (void)0)
#define log_info(...)  log_line(LOG_INFO, NULL, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, NULL, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, NULL, __VA_ARGS__)
/* Waits until all that was logged or printed is written, at most `ms` milliseconds. */
void log_flush(unsigned ms);
/* Lines dropped since the start, and bytes of plugin output dropped. */
uint64_t log_dropped(void);
/* Straight to the real standard error, no lock, no allocation; for BUG(). */
void log_emergency(const char *text);

#endif
