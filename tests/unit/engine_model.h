/* tests/unit/engine_model.h - what test_engine_model.c knows of calls and generations; its state.
 */
#ifndef TESTS_UNIT_ENGINE_MODEL_H
#define TESTS_UNIT_ENGINE_MODEL_H

#include <inttypes.h>
#include <stdlib.h>
#include "fake_library.h"

static const char manifest_text[] =
    "manifold: 1\n"
    "id: org.example.fake\n"
    "name: fake\n"
    "limits: { concurrency: 3, queue: 4, queue_wait: 5m, timeout: 10m, drain: 5m }\n"
    "breaker: { failures: 0 }\n"
    "tools:\n"
    "  - { name: any, description: d }\n"
    "  - { name: single, description: d, limits: { concurrency: 1, queue: 2 } }\n"
    "  - { name: blocks, description: d, limits: { concurrency: 2, queue: 2 } }\n";

enum { ANY, SINGLE, BLOCKS, TOOLS };
enum { PLUGINS = 2, GENERATIONS = 8, CALLS = 12, RECORDS = 32, OLD = 64 };
static const unsigned concurrency = 3, queue = 4;
static const unsigned tool_concurrency[TOOLS] = {3, 1, 2}, tool_queue[TOOLS] = {4, 2, 2};
static const char *const name_of[PLUGINS] = {"first", "second"};

/* One instance of a plugin: it serves, or it is retired, or it is discarded. */
struct generation {
    struct instance *in; /* NULL: the place is free */
    struct library library;
    int plugin;
    bool fails; /* its open() */
    bool open, closed, retired, discarded, stuck;
    bool cutting; /* limits.drain is over just now */
    bool heir;    /* by handover */
    bool restored;
    unsigned quiesced;
    uint64_t misuse, ran;
    const char *error; /* of instance_prepare() */
};

/* HELD: answered and finished, but the thread of a blocking call has not returned. */
enum state { GONE, STARTING, QUEUED, RUNNING, FINISHING, HELD };

/* A call as the model knows it. */
struct record {
    enum state state;
    struct generation *of;
    int tool;
    uint64_t number; /* rises from call to call */
    struct call *call;
    mf_call handle;
    bool waits; /* a client does */
    bool orphan, leaked;
    bool in_load; /* waits for its generation to open */
    bool finish_in_cancel;
    bool returned; /* of BLOCKS: call() has */
    int inside;    /* how call() ends it itself, -1: not */
};

static struct {
    uv_loop_t loop;
    struct engine *engine;
    struct manifest *manifest;
    struct generation generation[GENERATIONS], *now[PLUGINS];
    struct record record[RECORDS];
    mf_call old[OLD];
    uint64_t numbers, saved[PLUGINS], step, steps, seed, random;
    unsigned gone[PLUGINS]; /* retired ones that are due to be told */
    bool draining, stopping, stopped;
    /* what has happened, so that no kind of it is missing unseen */
    uint64_t ran, queued, refused_queue, refused_calls, done, late, cancelled, timeouts, waits_over,
        raced, stale, disconnects, blocked, held, reloads, handovers, refused_reloads, restored,
        cut, stuck, unstuck, closed;
} t;

static void fail_at(int line, const char *what)
{
    fprintf(stderr, "test_engine_model: line %d, step %" PRIu64 ", seed %" PRIu64 ": %s\n", line,
            t.step, t.seed, what);
    exit(1);
}
#define MUST(cond) ((cond) ? (void)0 : fail_at(__LINE__, #cond))

static uint64_t any(uint64_t below)
{
    t.random ^= t.random << 13;
    t.random ^= t.random >> 7;
    t.random ^= t.random << 17;
    return (t.random >> 11) % below;
}

/* --- calls --- */

static struct record *pick(bool (*fits)(const struct record *r))
{
    uint64_t from = any(RECORDS);
    for (unsigned i = 0; i < RECORDS; i++) {
        struct record *r = &t.record[(from + i) % RECORDS];
        if (fits(r))
            return r;
    }
    return NULL;
}

static bool is_gone(const struct record *r)
{
    return r->state == GONE;
}
static bool is_running(const struct record *r)
{
    return r->state == RUNNING;
}
static bool is_finishing(const struct record *r)
{
    return r->state == FINISHING;
}
static bool has_client(const struct record *r)
{
    return r->state != GONE && r->waits;
}
static bool is_in_thread(const struct record *r)
{
    return r->tool == BLOCKS && r->state >= RUNNING && !r->returned;
}

struct counts {
    unsigned running, queued, orphans, leaked;
};

/* Does it hold a permit?  While posts are drained one that is wholly over may have given it back
 * already. */
static bool holds(const struct record *r)
{
    bool over = r->tool != BLOCKS || r->returned;
    if (r->state == FINISHING)
        return !(t.draining && r->orphan && over);
    return r->state == RUNNING || (r->state == HELD && !(t.draining && over));
}

/* tool -1: of the whole generation. */
static struct counts count(const struct generation *g, int tool)
{
    struct counts n = {0};
    for (unsigned i = 0; i < RECORDS; i++) {
        const struct record *r = &t.record[i];
        if (r->of != g || (tool >= 0 && r->tool != tool))
            continue;
        bool running = holds(r);
        n.running += running;
        n.queued += r->state == QUEUED;
        n.orphans += running && r->orphan;
        n.leaked += running && r->leaked;
    }
    return n;
}

static bool has_permit(const struct generation *g, int tool)
{
    return count(g, -1).running < concurrency && count(g, tool).running < tool_concurrency[tool];
}

static void end(struct record *r)
{
    if (r->handle)
        t.old[any(OLD)] = r->handle;
    r->state = GONE;
}

/* First come, first served. */
static void check_order(const struct record *r)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        const struct record *other = &t.record[i];
        MUST(other->state != QUEUED || other->of != r->of || other->tool != r->tool ||
             other->number >= r->number);
    }
}

/* --- generations --- */

static struct generation *place(void)
{
    for (unsigned i = 0; i < GENERATIONS; i++) {
        if (!t.generation[i].in)
            return &t.generation[i];
    }
    return NULL;
}

static struct generation *generation_of(const struct instance *in)
{
    for (unsigned i = 0; i < GENERATIONS; i++) {
        if (t.generation[i].in == in)
            return &t.generation[i];
    }
    return NULL;
}

static struct generation *retired_of(int plugin)
{
    for (unsigned i = 0; i < GENERATIONS; i++) {
        struct generation *g = &t.generation[i];
        if (g->in && g->plugin == plugin && g->retired)
            return g;
    }
    return NULL;
}

/* Is there nothing that it has yet to begin? */
static bool is_last(const struct generation *g)
{
    return g->in && g->retired && g->open && !count(g, -1).queued;
}

/* Is there nothing that keeps it from ending? */
static bool is_idle(const struct generation *g)
{
    struct counts n = count(g, -1);
    return g->in && (g->retired || g->discarded) && !n.running && !n.queued;
}

#endif
