#include "engine/internal.h"

#include <inttypes.h>
#include <unistd.h>
#include "base/cpu_wait.h"

static const char *const where_name[] = {
    [IN_CALL] = "call()",       [IN_CANCEL] = "cancel()",     [IN_OPEN] = "open()",
    [IN_QUIESCE] = "quiesce()", [IN_SAVE] = "save()",         [IN_RESTORE] = "restore()",
    [IN_CLOSE] = "close()",     [IN_CALLBACK] = "a callback",
};

enum { LOOK = 500 };                      /* ms between two looks while plugins are entered */
#define SAY_EVERY    UINT64_C(1000000000) /* ns between two lines about one instance */
#define BASELINE_AGE UINT64_C(20000000)   /* ns; each is a system call */

static uint64_t ms(uint64_t ns)
{
    return ns / 1000000;
}

/* --- how long the loop has waited for a CPU --- */

static void note_baseline(struct watchdog *w, uint64_t waited)
{
    /* After the reading, so that no wait of a later entry is in it. */
    w->base = (struct cpu_baseline){clock_ns(), waited};
}

/* Of the time since the baseline's: a wait in front of the entry is in it, too. */
static uint64_t waited_since_baseline(struct watchdog *w)
{
    if (w->cpu_wait <= 0 || protection_off("starvation"))
        return 0;
    uint64_t before = w->base.waited, now = cpu_wait_read(w->cpu_wait);
    note_baseline(w, now);
    return now > before ? now - before : 0;
}

/* --- on the loop --- */

static void say(enum log_level level, const struct instance *in, const struct entry_spec *spec,
                int where, const char *what, uint64_t ns, const char *more)
{
    char limit[UNITS_SHOWN];
    struct str name = spec ? spec->name : STR("-");
    log_line(level, in->name, "%.*s: %s %s the loop for %" PRIu64 " ms%s (limits.loop_block %s)",
             STR_FMT(name), where_name[where], what, ms(ns), more,
             units_show_duration(in->manifest->instance.limits.loop_block, limit));
}

static void wake(struct watchdog *w)
{
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->asleep, false);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void watchdog_enter(struct engine *en, struct instance *in, enum plugin_entry where,
                    const struct entry_spec *spec)
{
    struct watchdog *w = &en->watchdog;
    if (protection_off("watchdog"))
        return;
    if (w->cpu_wait > 0 && en->now >= w->base.at + BASELINE_AGE)
        note_baseline(w, cpu_wait_read(w->cpu_wait));
    atomic_store_explicit(&w->instance, in, memory_order_release);
    atomic_store_explicit(&w->spec, spec, memory_order_release);
    atomic_store_explicit(&w->where, (int)where, memory_order_release);
    atomic_store_explicit(&w->entered, en->now > w->base.at ? en->now : w->base.at,
                          memory_order_release);
    /* No fence between the store and the load: the thread looks once more after it has said that it
     * sleeps. */
    if (atomic_load_explicit(&w->asleep, memory_order_relaxed))
        wake(w);
}

/* Over limits.loop_block, by the clock. */
static void too_long(struct engine *en, struct instance *in, uint64_t held)
{
    struct watchdog *w = &en->watchdog;
    uint64_t waited = waited_since_baseline(w);
    if (held <= waited || held - waited <= in->manifest->instance.limits.loop_block)
        return;
    char more[64] = "";
    if (waited > held / 10)
        snprintf(more, sizeof(more), ", of which it had no CPU for %" PRIu64 " ms at most",
                 ms(waited));
    in->loop_blocks++;
    /* Not under limits.log, which a flood of the plugin's own may have used up. */
    if (!in->loop_said || en->now - in->loop_said >= SAY_EVERY) {
        in->loop_said = en->now;
        say(LOG_WARN, in, atomic_load(&w->spec), atomic_load(&w->where), "held", held, more);
    }
    gate_held(in);
}

void watchdog_leave(struct engine *en)
{
    struct watchdog *w = &en->watchdog;
    if (protection_off("watchdog"))
        return;
    uint64_t entered = atomic_load_explicit(&w->entered, memory_order_relaxed);
    atomic_store_explicit(&w->entered, 0, memory_order_release);
    en->now = clock_ns();
    uint64_t held = en->now - entered;
    struct instance *in = atomic_load_explicit(&w->instance, memory_order_relaxed);
    in->loop_time += held;
    if (held > in->loop_longest)
        in->loop_longest = held;
    if (held > in->manifest->instance.limits.loop_block)
        too_long(en, in, held);
}

/* --- the thread --- */

static void sleep_until(struct watchdog *w, uint64_t ns)
{
    struct timespec until = {.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
    if (!w->stopping)
        pthread_cond_timedwait(&w->wake, &w->lock, &until);
}

/* Nothing has been entered for two looks: until the next entry, which wakes it. */
static void sleep_long(struct watchdog *w)
{
    atomic_store(&w->asleep, true);
    /* An entry that was made just now may not have seen that. */
    sleep_until(w, clock_ns() + LOOK * UINT64_C(1000000));
    if (atomic_load(&w->entered))
        atomic_store(&w->asleep, false);
    while (!w->stopping && atomic_load(&w->asleep))
        pthread_cond_wait(&w->wake, &w->lock);
}

static void *watchdog_main(void *arg)
{
    struct watchdog *w = arg;
    uint64_t named = 0;
    unsigned idle = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        uint64_t now = clock_ns();
        uint64_t entered = atomic_load_explicit(&w->entered, memory_order_acquire);
        if (!entered || entered == named) {
            idle = entered ? 0 : idle + 1;
            if (idle > 2) {
                sleep_long(w);
                idle = 0;
            } else {
                sleep_until(w, now + LOOK * UINT64_C(1000000));
            }
        } else if (now < entered + WATCHDOG_PATIENCE) {
            idle = 0;
            sleep_until(w, entered + WATCHDOG_PATIENCE);
        } else {
            struct instance *in = atomic_load(&w->instance);
            const struct entry_spec *spec = atomic_load(&w->spec);
            int where = atomic_load(&w->where);
            if (atomic_load(&w->entered) != entered)
                continue; /* it has returned just now */
            /* If it returns now it still can't be freed: that would wait for the lock. */
            named = entered;
            say(LOG_ERROR, in, spec, where, "holds", now - entered, " and has not returned");
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

void watchdog_start(struct engine *en)
{
    struct watchdog *w = &en->watchdog;
    if (w->started || protection_off("watchdog"))
        return;
    if (!w->cpu_wait)
        w->cpu_wait = cpu_wait_open();
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&w->lock, NULL);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 * 1024);
    int r = pthread_create(&w->thread, &small, watchdog_main, w);
    pthread_attr_destroy(&small);
    w->started = r == 0;
    if (r)
        log_warn("no thread for the watchdog: %s; a plugin that holds the loop is named only "
                 "when it returns",
                 strerror(r));
}

void watchdog_forget(struct engine *en)
{
    struct watchdog *w = &en->watchdog;
    if (!w->started)
        return;
    pthread_mutex_lock(&w->lock);
    pthread_mutex_unlock(&w->lock);
}

void watchdog_stop(struct engine *en)
{
    struct watchdog *w = &en->watchdog;
    if (w->cpu_wait > 0)
        close(w->cpu_wait);
    w->cpu_wait = -1;
    if (!w->started)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    w->started = false;
}
