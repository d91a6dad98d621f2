/* Plugins that keep the loop, a thread or the log busy. */
#if defined(BAD_IS_BLOCKING)
#define BAD_FLAGS MF_TOOL_BLOCKING
#endif
#include "bad.h"

#if defined(BAD_IS_LOG_FLOOD)
static void call(void *self, const mf_request *request)
{
    const mf_host *host = ((struct bad *)self)->host;
    char text[64];
    for (int i = 0; i < 100000; i++) {
        int n = snprintf(text, sizeof(text), "flood line %d", i);
        mf_bytes b = {text, (size_t)n};
        host->log(host, MF_LOG_WARNING, request->call, b);
    }
    bad_answer(host, request->call, "logged 100000 lines");
}

#elif defined(BAD_IS_SLOW_QUIESCE)
static void call(void *self, const mf_request *request)
{
    bad_answer(((struct bad *)self)->host, request->call, "quiesce() will take 300 ms");
}

static void quiesce(void *self)
{
    bad_sleep_ms(300);
    bad_log(((struct bad *)self)->host, "slow quiesce", MF_OK);
}

#elif defined(BAD_IS_BURNS_LOOP)
/* 20 ms of a CPU, however long that takes where the CPU is not to be had: less than it may. */
static uint64_t used_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void call(void *self, const mf_request *request)
{
    uint64_t until = used_ns() + 20000000;
    while (used_ns() < until)
        ;
    bad_answer(((struct bad *)self)->host, request->call, "used the CPU for 20 ms");
}

#else
/* holds_loop: 300 ms on the loop; holds_loop_long: 1.6 s; blocking: 200 ms on a thread of its own,
 * which is allowed. */
static void call(void *self, const mf_request *request)
{
#ifdef BAD_IS_BLOCKING
    bad_sleep_ms(200);
    bad_answer(((struct bad *)self)->host, request->call, "slept 200 ms on its own thread");
#elif defined(BAD_IS_HOLDS_LOOP_LONG)
    bad_sleep_ms(1600);
    bad_answer(((struct bad *)self)->host, request->call, "held the loop for 1600 ms");
#else
    bad_sleep_ms(300);
    bad_answer(((struct bad *)self)->host, request->call, "held the loop for 300 ms");
#endif
}
#endif

#ifdef BAD_IS_SLOW_QUIESCE
#define QUIESCE quiesce
#else
#define QUIESCE NULL
#endif
BAD_PLUGIN(.open = bad_open, .call = call, .quiesce = QUIESCE, .close = bad_close);
