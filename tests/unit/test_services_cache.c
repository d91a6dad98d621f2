/* The cache with both tiers, two hosts on one loop, against a real Redis: that is stopped, killed,
 * refuses, and comes back. */
#include <check.h>
#include <inttypes.h>
#include "base/clock.h"
#include "base/log.h"
#include "redis_server.h"
#include "services/cache/cache.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)
/* For what must come but may take its time: this machine may have other things to do. */
#define PATIENCE (60 * S)
/* The timeout in tests that are not about it, and in those that are. */
#define LONG  (30 * S)
#define SHORT (50 * MS)

static struct redis_server redis;
/* A test that fails leaves its caches and what they wait for: the next one has a loop of its own.
 */
static uv_loop_t *loop;
static uv_timer_t *tick;
static uv_loop_t *apart; /* NULL, or that of a host that is not to hear what the others hear */
static unsigned open_caches;
static uint64_t timeout; /* of the next host that is opened */

struct host {
    struct cache *cache;
    struct cache_space *space;
};

static void on_tick(uv_timer_t *t)
{
    (void)t;
}

static void setup(void)
{
    log_configure(LOG_ERROR, LOG_TEXT);
    loop = xcalloc(1, sizeof(*loop));
    tick = xcalloc(1, sizeof(*tick));
    apart = NULL;
    open_caches = 0;
    timeout = LONG;
    uv_loop_init(loop);
    uv_timer_init(loop, tick);
    uv_timer_start(tick, on_tick, 1, 1);
}

static void turn(void)
{
    uv_run(loop, UV_RUN_ONCE);
    if (apart)
        uv_run(apart, UV_RUN_NOWAIT);
}

static void run_until(uint64_t when)
{
    while (clock_ns() < when)
        turn();
}

static void run_for(uint64_t ns)
{
    run_until(clock_ns() + ns);
}

static void on_closed(void *arg)
{
    (void)arg;
    open_caches--;
}

static void close_cache(struct host *h)
{
    cache_close(h->cache, on_closed, NULL);
    h->cache = NULL;
}

static void teardown(void)
{
    for (uint64_t until = clock_ns() + PATIENCE; open_caches && clock_ns() < until;)
        turn();
    uv_close((uv_handle_t *)tick, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    redis_server_remove(&redis);
    if (open_caches)
        return;
    ck_assert_int_eq(uv_loop_close(loop), 0);
    ck_assert(!apart || uv_loop_close(apart) == 0);
    free(apart);
    free(tick);
    free(loop);
}

static void open_with(struct host *h, const char *where, const char *password)
{
    struct cache_spec spec = {.memory = 4 << 20,
                              .redis = CACHE_REDIS_UNIX,
                              .password = (char *)(uintptr_t)password,
                              .name_space = "test",
                              .timeout = timeout};
    struct err e;
    snprintf(spec.where, sizeof(spec.where), "%s", where);
    ck_assert_int_eq(cache_open(loop, &spec, &h->cache, &e), 0);
    open_caches++;
    h->space = cache_space(h->cache, CACHE_VALUES, STR("plugin"));
    ck_assert_ptr_nonnull(h->space);
}

static struct cache_counters count(const struct host *h)
{
    struct cache_counters c;
    cache_count(h->cache, &c);
    return c;
}

static enum cache_link link_of(const struct host *h)
{
    return count(h).link;
}

/* Until all that was written has been answered; false: not within `ns`. */
static bool settles(const struct host *h, uint64_t ns)
{
    for (uint64_t until = clock_ns() + ns; clock_ns() < until; turn()) {
        struct cache_counters c = count(h);
        if (c.link == CACHE_LINK_UP && !c.pending && !c.owed)
            return true;
    }
    return false;
}

/* A host that is connected. */
static void open_host(struct host *h)
{
    open_with(h, redis.socket, NULL);
    ck_assert(settles(h, PATIENCE));
}

/* The same on a loop of its own. */
static void open_apart(struct host *h)
{
    uv_loop_t *here = loop;
    apart = xcalloc(1, sizeof(*apart));
    uv_loop_init(apart);
    loop = apart;
    open_with(h, redis.socket, NULL);
    loop = here;
    ck_assert(settles(h, PATIENCE));
}

/* --- one read, run to its end --- */

struct question {
    struct cache_read read; /* first */
    struct host *host;
    bool answered, hit;
    char value[256];
    size_t len;
};

static void on_done(struct cache_read *r, const struct cache_value *v)
{
    struct question *q = (struct question *)r;
    ck_assert(!q->answered);
    q->answered = true;
    q->hit = v != NULL;
    q->len = v && v->bytes.n < sizeof(q->value) ? v->bytes.n : 0;
    if (q->len)
        memcpy(q->value, v->bytes.p, q->len);
}

static enum cache_answer begin(struct question *q, struct host *h, const char *key)
{
    struct cache_value v;
    *q = (struct question){.read.done = on_done, .host = h};
    enum cache_answer a = cache_get(h->space, str_of(key), &q->read, &v);
    if (a == CACHE_HIT) {
        on_done(&q->read, &v);
        cache_release(h->space, &v);
    } else if (a == CACHE_MISS) {
        q->answered = true;
    }
    return a;
}

static void finish(struct question *q)
{
    for (uint64_t until = clock_ns() + PATIENCE; !q->answered && clock_ns() < until;)
        turn();
    ck_assert(q->answered);
}

/* Is this what is found?  NULL: nothing. */
static bool finds(struct host *h, const char *key, const char *value)
{
    struct question q;
    begin(&q, h, key);
    finish(&q);
    return q.hit ? value && q.len == strlen(value) && !memcmp(q.value, value, q.len) : !value;
}

static bool finds_in_memory(struct host *h, const char *key)
{
    struct question q;
    enum cache_answer a = begin(&q, h, key);
    finish(&q);
    return a == CACHE_HIT;
}

/* The same where the timeout is short: a read that is late is a miss, and not the last one. */
static bool finds_at_last(struct host *h, const char *key, const char *value)
{
    for (uint64_t until = clock_ns() + PATIENCE; clock_ns() < until; turn()) {
        struct question q;
        begin(&q, h, key);
        finish(&q);
        if (q.hit)
            return q.len == strlen(value) && !memcmp(q.value, value, q.len);
    }
    return false;
}

static int set(struct host *h, const char *key, const char *value)
{
    struct str piece = str_of(value);
    return cache_set(h->space, str_of(key), &piece, 1, 60 * S, NULL);
}

static int set_since(struct host *h, const char *key, const char *value,
                     const struct cache_stamp *since)
{
    struct str piece = str_of(value);
    return cache_set(h->space, str_of(key), &piece, 1, 60 * S, since);
}

/* How long until the key is gone from the host's memory; 0: it stays. */
static uint64_t gone_from_memory(struct host *h, const char *key)
{
    uint64_t from = clock_ns();
    while (clock_ns() - from < PATIENCE) {
        if (!finds_in_memory(h, key))
            return clock_ns() - from;
        turn();
    }
    return 0;
}

/* Until the host is `link`, or is not. */
static bool becomes(const struct host *h, enum cache_link link, bool is)
{
    for (uint64_t until = clock_ns() + PATIENCE; (link_of(h) == link) != is; turn()) {
        if (clock_ns() > until)
            return false;
    }
    return true;
}

/* Until the host says this of its link. */
static bool says(const struct host *h, const char *why)
{
    for (uint64_t until = clock_ns() + PATIENCE; clock_ns() < until; turn()) {
        const char *now = count(h).link_error;
        if (now && strcmp(now, why) == 0)
            return true;
    }
    return false;
}

/* Until `to` has heard of all that Redis has confirmed to `from`: of one more behind it. */
static void pass_on(struct host *from, struct host *to)
{
    ck_assert_int_eq(set(to, "fence", "v"), 0);
    ck_assert(finds_in_memory(to, "fence"));
    ck_assert(settles(to, PATIENCE));
    ck_assert_int_eq(cache_delete(from->space, STR("fence")), 0);
    ck_assert(gone_from_memory(to, "fence"));
}

/* --- tests --- */

START_TEST(without_redis_memory_is_all)
{
    struct host h = {0};
    struct cache_spec spec = {.memory = 1 << 20, .name_space = "test", .timeout = 50 * MS};
    struct err e;
    ck_assert_int_eq(cache_open(loop, &spec, &h.cache, &e), 0);
    open_caches++;
    ck_assert_int_eq(link_of(&h), CACHE_LINK_NONE);
    h.space = cache_space(h.cache, CACHE_VALUES, STR("plugin"));
    ck_assert_ptr_eq(h.space, cache_space(h.cache, CACHE_VALUES, STR("plugin")));
    struct host results = {.cache = h.cache};
    results.space = cache_space(h.cache, CACHE_RESULTS, STR("plugin"));
    ck_assert_ptr_ne(h.space, results.space);
    ck_assert(finds(&h, "k", NULL));
    struct str pieces[] = {STR("one"), STR(""), STR(" and two")};
    ck_assert_int_eq(cache_set(h.space, STR("k"), pieces, 3, S, NULL), 0);
    ck_assert(finds(&h, "k", "one and two"));
    ck_assert(finds(&results, "k", NULL));
    ck_assert_int_eq(cache_delete_prefix(h.space, STR("")), 0);
    ck_assert(finds(&h, "k", NULL));
    ck_assert_int_eq(set(&h, "k", "again"), 0);
    ck_assert_int_eq(cache_delete(h.space, STR("k")), 0);
    ck_assert(finds(&h, "k", NULL));
    static char large[CACHE_VALUE_MAX + 1];
    struct str too_large = {large, sizeof(large)};
    ck_assert_int_eq(set(&h, "k", "older"), 0);
    ck_assert_int_eq(cache_set(h.space, STR("k"), &too_large, 1, S, NULL), -E2BIG);
    ck_assert(finds(&h, "k", NULL));
    ck_assert_int_eq(cache_set(h.space, (struct str){large, CACHE_KEY_MAX + 1}, pieces, 1, S, NULL),
                     -E2BIG);
    ck_assert_int_eq(cache_set(h.space, STR("k"), pieces, 1, 0, NULL), -EINVAL);
    close_cache(&h);
}
END_TEST

START_TEST(another_host_gets_the_hit)
{
    struct host a, b;
    redis_server_start(&redis, NULL);
    open_host(&a);
    open_host(&b);
    ck_assert_int_eq(set(&a, "k", "value"), 0);
    ck_assert(finds(&a, "k", "value"));
    ck_assert(settles(&a, PATIENCE));
    ck_assert(finds(&b, "k", "value"));
    ck_assert_uint_eq(cache_space_count(b.space)->redis_hits, 1);
    ck_assert(finds_in_memory(&b, "k"));
    ck_assert(finds(&b, "other", NULL));
    /* Only the first of them set it, the time is carried over. */
    struct str piece = STR("brief");
    ck_assert_int_eq(cache_set(a.space, STR("brief"), &piece, 1, 2 * S, NULL), 0);
    ck_assert(settles(&a, PATIENCE));
    uint64_t there = clock_ns();
    run_for(S);
    ck_assert(finds(&b, "brief", "brief"));
    run_until(there + 2 * S + 10 * MS);
    ck_assert(finds(&b, "brief", NULL) && finds(&a, "brief", NULL));
    close_cache(&a);
    close_cache(&b);
}
END_TEST

START_TEST(readers_of_one_key_share_one_question)
{
    struct host a;
    struct question q[10];
    redis_server_start(&redis, NULL);
    open_host(&a);
    uint64_t before = count(&a).commands;
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(begin(&q[i], &a, "k"), CACHE_ASKED);
    cache_cancel(&q[3].read);
    cache_cancel(&q[3].read);
    q[3].answered = true; /* done() would say that it runs a second time */
    for (int i = 0; i < 10; i++)
        finish(&q[i]);
    ck_assert_uint_eq(count(&a).commands - before, 2);
    ck_assert_uint_eq(cache_space_count(a.space)->misses, 9);
    /* What is waited for when the cache goes is answered. */
    begin(&q[0], &a, "k");
    close_cache(&a);
    ck_assert(q[0].answered && !q[0].hit);
}
END_TEST

START_TEST(an_invalidation_reaches_the_other_host)
{
    struct host a, b;
    redis_server_start(&redis, NULL);
    open_host(&a);
    open_host(&b);
    /* The quickest of a few: this machine may have other things to do. */
    uint64_t key = S, prefix = S;
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(set(&a, "k", "one") | set(&a, "p:1", "one") | set(&a, "q:1", "one"), 0);
        ck_assert(settles(&a, PATIENCE));
        ck_assert(finds(&b, "k", "one") && finds(&b, "p:1", "one") && finds(&b, "q:1", "one"));
        ck_assert_int_eq(cache_delete(a.space, STR("k")), 0);
        uint64_t took = gone_from_memory(&b, "k");
        key = took < key ? took : key;
        ck_assert_int_eq(cache_delete_prefix(a.space, STR("p:")), 0);
        took = gone_from_memory(&b, "p:1");
        prefix = took < prefix ? took : prefix;
        ck_assert(settles(&a, PATIENCE)); /* what it sets before that is of before the prefix */
    }
    printf("an invalidation reached the other host after %.2f ms, one of a prefix after %.2f ms\n",
           (double)key / 1e6, (double)prefix / 1e6);
    ck_assert(key && key < 100 * MS && prefix && prefix < 100 * MS);
    ck_assert(finds(&b, "k", NULL) && finds(&b, "p:1", NULL) && finds(&b, "q:1", "one"));
    ck_assert(finds(&a, "k", NULL) && finds(&a, "p:1", NULL) && finds(&a, "q:1", "one"));
    /* And a value that is set after it stays. */
    ck_assert_int_eq(set(&a, "p:1", "two"), 0);
    ck_assert(settles(&a, PATIENCE));
    ck_assert(finds(&b, "p:1", "two"));
    ck_assert_int_eq(cache_delete_prefix(b.space, STR("")), 0);
    ck_assert(gone_from_memory(&a, "q:1"));
    ck_assert(finds(&a, "p:1", NULL) && finds(&a, "q:1", NULL));
    close_cache(&a);
    close_cache(&b);
}
END_TEST

/* So many prefixes that the log is begun anew, more than once. */
START_TEST(a_full_log_forgets_too_much_not_too_little)
{
    struct host a, b;
    char key[64];
    redis_server_start(&redis, NULL);
    open_host(&a);
    open_host(&b);
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof(key), "a-rather-long-prefix-%d:", i);
        ck_assert_int_eq(set(&a, key, "v"), 0);
        ck_assert(settles(&a, PATIENCE));
        if (i % 50 == 0)
            ck_assert(finds(&b, key, "v"));
        ck_assert_int_eq(cache_delete_prefix(a.space, str_of(key)), 0);
        ck_assert(settles(&a, PATIENCE));
        if (i % 50 == 0)
            ck_assert(gone_from_memory(&b, key));
        ck_assert(finds(&b, key, NULL));
    }
    char reply[64];
    redis_server_say(&redis, "STRLEN test:lv:plugin", reply, sizeof(reply));
    ck_assert_int_lt(atoi(reply + 1), 4096 + 40);
    close_cache(&a);
    close_cache(&b);
}
END_TEST

START_TEST(a_host_that_only_writes_is_read_by_others)
{
    struct host a, b;
    redis_server_start(&redis, NULL);
    open_host(&b);
    ck_assert_int_eq(cache_delete_prefix(b.space, STR("x")), 0); /* there is a log already */
    ck_assert(settles(&b, PATIENCE));
    open_host(&a);
    ck_assert_int_eq(set(&a, "first", "v"), 0); /* does not know the log; lost for others */
    ck_assert(settles(&a, PATIENCE));
    ck_assert_int_eq(set(&a, "second", "v"), 0);
    ck_assert(settles(&a, PATIENCE));
    ck_assert(finds(&b, "second", "v"));
    ck_assert_int_eq(cache_delete_prefix(b.space, STR("")), 0);
    ck_assert(gone_from_memory(&a, "second"));
    ck_assert(settles(&a, PATIENCE));
    ck_assert_int_eq(set(&a, "third", "v"), 0);
    ck_assert(settles(&a, PATIENCE));
    ck_assert(finds(&b, "third", "v"));
    close_cache(&a);
    close_cache(&b);
}
END_TEST

START_TEST(what_is_older_than_an_invalidation_is_not_kept)
{
    struct host a, b;
    struct question q;
    redis_server_start(&redis, NULL);
    open_host(&a);
    open_host(&b);
    /* Made before, stored after: here. */
    ck_assert(finds(&a, "k", NULL));
    begin(&q, &a, "k");
    finish(&q);
    ck_assert_int_eq(cache_delete(a.space, STR("k")), 0);
    ck_assert_int_eq(set_since(&a, "k", "old", &q.read.stamp), -ESTALE);
    /* It was invalidated on another host, of which this one has not heard. */
    char reply[64];
    ck_assert(finds(&a, "p:1", NULL));
    begin(&q, &a, "p:1");
    finish(&q);
    redis_server_say(&redis, "SET test:lv:plugin epoch678 NX", reply, sizeof(reply));
    begin(&q, &a, "p:1");
    finish(&q);
    redis_server_say(&redis, "APPEND test:lv:plugin \"\\x00\\x02p:\"", reply, sizeof(reply));
    ck_assert(finds(&a, "other", NULL)); /* and has seen the log since */
    ck_assert_int_eq(set_since(&a, "p:1", "old", &q.read.stamp), 0);
    ck_assert_int_eq(set_since(&a, "p2", "new", &q.read.stamp), 0);
    ck_assert(settles(&a, PATIENCE));
    ck_assert(finds(&b, "p:1", NULL) && finds(&b, "p2", "new"));
    /* Read from Redis before, arrived after. */
    ck_assert_int_eq(set(&a, "r", "old"), 0);
    ck_assert(settles(&a, PATIENCE));
    ck_assert_int_eq(begin(&q, &b, "r"), CACHE_ASKED);
    ck_assert_int_eq(cache_delete(b.space, STR("r")), 0);
    finish(&q);
    ck_assert(!q.hit);
    ck_assert(finds(&b, "r", NULL));
    /* A newer value was set while an older one was on its way. */
    ck_assert_int_eq(set(&a, "s", "old"), 0);
    ck_assert(settles(&a, PATIENCE));
    ck_assert_int_eq(begin(&q, &b, "s"), CACHE_ASKED);
    ck_assert_int_eq(set(&b, "s", "new"), 0);
    finish(&q);
    ck_assert(q.hit && !memcmp(q.value, "new", 3));
    ck_assert(finds(&b, "s", "new"));
    close_cache(&a);
    close_cache(&b);
}
END_TEST

/* Redis sees the delete of one host, then the set of another that had not heard of it. */
START_TEST(a_set_that_crosses_a_delete_does_not_stay)
{
    struct host a, b;
    redis_server_start(&redis, NULL);
    open_host(&a);
    open_host(&b);
    for (int i = 0; i < 10; i++) {
        kill(redis.pid, SIGSTOP);
        ck_assert_int_eq(cache_delete(a.space, STR("k")), 0);
        uv_run(loop, UV_RUN_NOWAIT);
        ck_assert_int_eq(set(&b, "k", "crossed"), 0);
        uv_run(loop, UV_RUN_NOWAIT);
        kill(redis.pid, SIGCONT);
        ck_assert(settles(&a, PATIENCE) && settles(&b, PATIENCE));
        pass_on(&a, &b);
        ck_assert(settles(&b, PATIENCE));
        ck_assert(finds(&a, "k", NULL) && finds(&b, "k", NULL));
    }
    close_cache(&a);
    close_cache(&b);
}
END_TEST

/* And before that other one has heard of it, the first reads what it has set. */
START_TEST(a_set_that_crossed_a_delete_does_not_stay_where_it_was_read)
{
    struct host a, b;
    redis_server_start(&redis, NULL);
    open_host(&a);
    open_apart(&b);
    for (int i = 0; i < 10; i++) {
        uv_loop_t *of_b = apart;
        char reply[64] = "";
        apart = NULL;
        ck_assert_int_eq(cache_delete(a.space, STR("k")), 0);
        ck_assert(settles(&a, PATIENCE));
        ck_assert_int_eq(set(&b, "k", "crossed"), 0);
        uv_run(of_b, UV_RUN_NOWAIT); /* it writes before it reads */
        while (strncmp(reply, ":1", 2) != 0)
            redis_server_say(&redis, "EXISTS test:v:plugin:k", reply, sizeof(reply));
        ck_assert(finds(&a, "k", "crossed"));
        apart = of_b;
        pass_on(&a, &b);
        ck_assert(settles(&b, PATIENCE));
        pass_on(&b, &a);
        ck_assert(finds(&a, "k", NULL) && finds(&b, "k", NULL));
    }
    close_cache(&a);
    close_cache(&b);
}
END_TEST

START_TEST(a_stopped_redis_is_asked_a_few_times_only)
{
    struct host a;
    struct question q;
    redis_server_start(&redis, NULL);
    timeout = SHORT;
    open_host(&a);
    ck_assert_int_eq(set(&a, "k", "v"), 0);
    ck_assert(settles(&a, PATIENCE));
    kill(redis.pid, SIGSTOP);
    uint64_t worst = 0, asked = 0;
    for (int i = 0; i < 200; i++) {
        char key[32];
        snprintf(key, sizeof(key), "none:%d", i);
        uint64_t from = clock_ns();
        asked += begin(&q, &a, key) == CACHE_ASKED;
        finish(&q);
        ck_assert(!q.hit);
        worst = clock_ns() - from > worst ? clock_ns() - from : worst;
        ck_assert(finds_in_memory(&a, "k"));
    }
    printf("of 200 reads from a stopped Redis %" PRIu64 " were asked, the longest took %.1f ms\n",
           asked, (double)worst / 1e6);
    ck_assert_uint_le(asked, 8);
    ck_assert_int_eq(link_of(&a), CACHE_LINK_SILENT);
    ck_assert_uint_gt(count(&a).timeouts, 0);
    ck_assert_int_eq(set(&a, "while-stopped", "v"), 0);
    kill(redis.pid, SIGCONT);
    uint64_t from = clock_ns();
    ck_assert(settles(&a, 2 * S));
    printf("it was used again %.1f ms after it went on\n", (double)(clock_ns() - from) / 1e6);
    ck_assert(finds(&a, "k", "v"));
    ck_assert(finds(&a, "while-stopped", "v"));
    ck_assert_uint_eq(count(&a).reconnects, 0);
    /* For so long that the connections are given up. */
    kill(redis.pid, SIGSTOP);
    ck_assert_int_eq(begin(&q, &a, "none"), CACHE_ASKED);
    for (from = clock_ns(); link_of(&a) != CACHE_LINK_CONNECTING && clock_ns() - from < 5 * S;)
        turn();
    ck_assert_int_eq(link_of(&a), CACHE_LINK_CONNECTING);
    ck_assert(finds_in_memory(&a, "k"));
    kill(redis.pid, SIGCONT);
    ck_assert(settles(&a, 2 * S));
    ck_assert(!finds_in_memory(&a, "k")); /* an invalidation may have been missed */
    ck_assert(finds_at_last(&a, "k", "v"));
    close_cache(&a);
}
END_TEST

START_TEST(a_killed_redis_is_back_within_two_seconds)
{
    struct host a;
    redis_server_start(&redis, NULL);
    open_host(&a);
    ck_assert_int_eq(set(&a, "k", "v"), 0);
    ck_assert(settles(&a, PATIENCE));
    for (int i = 0; i < 3; i++) {
        redis_server_kill(&redis);
        ck_assert(becomes(&a, CACHE_LINK_UP, false));
        ck_assert_ptr_nonnull(count(&a).link_error);
        ck_assert(finds_in_memory(&a, "k"));
        ck_assert(finds(&a, "none", NULL));
        run_for(i * 400 * MS);
        redis_server_start(&redis, NULL);
        uint64_t from = clock_ns();
        ck_assert(settles(&a, 2 * S));
        printf("it was used again %.0f ms after its return\n", (double)(clock_ns() - from) / 1e6);
        ck_assert(finds(&a, "k", "v"));
    }
    ck_assert_uint_eq(count(&a).reconnects, 3);
    close_cache(&a);
}
END_TEST

/* What was deleted while Redis was away is not there when it comes back. */
START_TEST(what_redis_missed_it_is_told_later)
{
    struct host a, b;
    redis_server_start(&redis, NULL);
    open_host(&a);
    open_host(&b);
    ck_assert_int_eq(set(&a, "k", "old") | set(&a, "p:1", "old") | set(&a, "s", "old"), 0);
    ck_assert_int_eq(set(&a, "other", "v"), 0);
    ck_assert(settles(&a, PATIENCE));
    redis_server_kill(&redis);
    ck_assert(becomes(&a, CACHE_LINK_UP, false) && becomes(&b, CACHE_LINK_UP, false));
    ck_assert_int_eq(cache_delete(a.space, STR("k")), 0);
    ck_assert_int_eq(cache_delete_prefix(a.space, STR("p:")), 0);
    ck_assert_int_eq(set(&a, "s", "new"), 0);
    ck_assert_uint_eq(count(&a).owed, 3);
    redis_server_start(&redis, NULL);
    ck_assert(settles(&a, PATIENCE) && settles(&b, PATIENCE));
    ck_assert(finds(&b, "k", NULL) && finds(&b, "p:1", NULL) && finds(&b, "s", NULL));
    ck_assert(finds(&a, "k", NULL) && finds(&a, "p:1", NULL));
    ck_assert(finds(&b, "other", "v"));
    /* The same, where it was on its way when Redis died. */
    ck_assert_int_eq(set(&a, "k", "old") | set(&a, "p:1", "old") | set(&a, "s", "old"), 0);
    ck_assert(settles(&a, PATIENCE));
    kill(redis.pid, SIGSTOP);
    ck_assert_int_eq(set(&a, "s", "new"), 0);
    ck_assert_int_eq(cache_delete(a.space, STR("k")), 0);
    ck_assert_int_eq(cache_delete_prefix(a.space, STR("p:")), 0);
    run_for(5 * MS);
    ck_assert_uint_eq(count(&a).owed, 0);
    redis_server_kill(&redis);
    ck_assert(becomes(&a, CACHE_LINK_UP, false) && becomes(&b, CACHE_LINK_UP, false));
    redis_server_start(&redis, NULL);
    ck_assert(settles(&a, PATIENCE) && settles(&b, PATIENCE));
    ck_assert(finds(&b, "k", NULL) && finds(&b, "p:1", NULL) && finds(&b, "s", NULL));
    /* More than can be remembered: all of the space goes. */
    redis_server_kill(&redis);
    ck_assert(becomes(&a, CACHE_LINK_UP, false) && becomes(&b, CACHE_LINK_UP, false));
    for (int i = 0; i < 5000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "m:%d", i);
        ck_assert_int_eq(cache_delete(a.space, str_of(key)), 0);
    }
    ck_assert_uint_le(count(&a).owed, 4096);
    redis_server_start(&redis, NULL);
    ck_assert(settles(&a, PATIENCE) && settles(&b, PATIENCE));
    ck_assert(finds(&b, "other", NULL));
    close_cache(&a);
    close_cache(&b);
}
END_TEST

/* A stopped Redis with a flood of sets: what is kept for it is bounded, and it is right after it.
 */
START_TEST(a_flood_of_sets_is_bounded)
{
    struct host a, b;
    char key[32];
    redis_server_start(&redis, NULL);
    timeout = SHORT;
    open_host(&a);
    open_host(&b);
    ck_assert_int_eq(set(&a, "k:1", "old"), 0);
    ck_assert(settles(&a, PATIENCE));
    kill(redis.pid, SIGSTOP);
    for (int i = 0; i < 60000; i++) {
        snprintf(key, sizeof(key), "k:%d", i);
        ck_assert_int_eq(set(&a, key, "new"), 0);
    }
    struct cache_counters c = count(&a);
    ck_assert_uint_le(c.pending, 32768);
    ck_assert_uint_gt(c.dropped, 0);
    kill(redis.pid, SIGCONT);
    ck_assert(settles(&a, PATIENCE));
    ck_assert(settles(&b, PATIENCE));
    struct question q;
    begin(&q, &b, "k:1");
    finish(&q);
    ck_assert(!q.hit || !memcmp(q.value, "new", 3));
    close_cache(&a);
    close_cache(&b);
}
END_TEST

/* Deletes that could not be sent for want of room: nothing is read before they are. */
START_TEST(nothing_is_read_before_what_is_owed)
{
    static char large[1000];
    struct host a;
    struct question q;
    char key[32];
    redis_server_start(&redis, NULL);
    open_host(&a);
    ck_assert_int_eq(set(&a, "k", "old"), 0);
    ck_assert(settles(&a, PATIENCE));
    kill(redis.pid, SIGSTOP);
    struct str piece = {large, sizeof(large)};
    for (int i = 0; !count(&a).dropped; i++) {
        snprintf(key, sizeof(key), "large:%d", i);
        ck_assert_int_eq(cache_set(a.space, str_of(key), &piece, 1, S, NULL), 0);
    }
    while (!count(&a).owed)
        ck_assert_int_eq(cache_delete(a.space, STR("k")), 0);
    uv_run(loop, UV_RUN_NOWAIT); /* there is room again */
    ck_assert_int_eq(link_of(&a), CACHE_LINK_UP);
    ck_assert_uint_lt(count(&a).pending, 32000);
    ck_assert_int_eq(begin(&q, &a, "k"), CACHE_MISS);
    kill(redis.pid, SIGCONT);
    ck_assert(settles(&a, PATIENCE));
    ck_assert(finds(&a, "k", NULL));
    close_cache(&a);
}
END_TEST

START_TEST(a_wrong_password_is_no_error_and_no_secret)
{
    struct host wrong, none, right;
    redis_server_start(&redis, "correct horse");
    open_with(&wrong, redis.socket, "battery staple");
    open_with(&none, redis.socket, NULL);
    open_with(&right, redis.socket, "correct horse");
    ck_assert(settles(&right, PATIENCE));
    ck_assert(says(&wrong, "it refuses the password (WRONGPASS)"));
    ck_assert_int_eq(link_of(&wrong), CACHE_LINK_CONNECTING);
    ck_assert(says(&none, "it refuses us (NOAUTH)"));
    ck_assert_int_eq(set(&wrong, "k", "v"), 0);
    ck_assert(finds_in_memory(&wrong, "k"));
    /* Taken away while it is connected, and given back. */
    char reply[64];
    ck_assert_int_eq(set(&right, "k", "v"), 0);
    ck_assert(settles(&right, PATIENCE));
    int fd = redis_server_connect(&redis);
    static const char revoke[] = "AUTH \"correct horse\"\r\nCONFIG SET requirepass other\r\n"
                                 "CLIENT KILL TYPE normal SKIPME yes\r\n";
    ck_assert(write(fd, revoke, sizeof(revoke) - 1) > 0);
    ck_assert_int_gt(read(fd, reply, sizeof(reply)), 0);
    ck_assert(becomes(&right, CACHE_LINK_CONNECTING, true));
    ck_assert(finds_in_memory(&right, "k"));
    static const char restore[] = "CONFIG SET requirepass \"correct horse\"\r\n";
    ck_assert(write(fd, restore, sizeof(restore) - 1) > 0);
    ck_assert(settles(&right, PATIENCE));
    ck_assert(finds(&right, "k", "v"));
    close(fd);
    close_cache(&wrong);
    close_cache(&none);
    close_cache(&right);
}
END_TEST

START_TEST(a_full_redis_is_still_told_what_is_gone)
{
    struct host a, b;
    char reply[64];
    redis_server_start(&redis, NULL);
    open_host(&a);
    open_host(&b);
    ck_assert_int_eq(set(&a, "p:1", "old") | set(&a, "k", "old"), 0);
    ck_assert(settles(&a, PATIENCE));
    redis_server_say(&redis, "CONFIG SET maxmemory 1", reply, sizeof(reply));
    ck_assert_int_eq(cache_delete_prefix(a.space, STR("p:")), 0);
    ck_assert_int_eq(set(&a, "k", "new"), 0);
    ck_assert(settles(&a, PATIENCE));
    ck_assert_uint_gt(count(&a).errors, 0);
    ck_assert(finds(&b, "p:1", NULL) && finds(&b, "k", NULL));
    ck_assert(finds(&a, "k", "new"));
    redis_server_say(&redis, "CONFIG SET maxmemory 0", reply, sizeof(reply));
    ck_assert(finds(&a, "p:1", NULL));
    ck_assert_int_eq(set(&a, "p:1", "new"), 0);
    ck_assert(settles(&a, PATIENCE));
    ck_assert(finds(&b, "p:1", "new"));
    close_cache(&a);
    close_cache(&b);
}
END_TEST

START_TEST(nobody_answers)
{
    struct host a;
    open_with(&a, "/nowhere/redis.sock", NULL);
    ck_assert_int_eq(set(&a, "k", "v"), 0);
    for (uint64_t until = clock_ns() + PATIENCE; !count(&a).link_error && clock_ns() < until;)
        turn();
    ck_assert_ptr_nonnull(count(&a).link_error);
    ck_assert_ptr_nonnull(strstr(count(&a).link_error, "no such file"));
    ck_assert(finds_in_memory(&a, "k"));
    ck_assert(finds(&a, "none", NULL));
    close_cache(&a);
}
END_TEST

/* --- a server that is none --- */

static const struct {
    const char *hello; /* what it says to the handshake of the commands' connection */
    const char *says;  /* what it says to everything from then on */
} garbage[] = {
    {"HTTP/1.1 400 Bad Request\r\n\r\n", ""},
    {"", ""},
    {"+PONG\r\n+PONG\r\n", ""},
    {"+PONG\r\n", "+OK\r\n"},
    {"+PONG\r\n", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n"},
    {"+PONG\r\n", "*2147483647\r\n"},
    {"+PONG\r\n", "$536870912\r\nabc"},
    {"+PONG\r\n", ":1000\r\n*2\r\n*1\r\n:1\r\n:2\r\n"},
    {"+PONG\r\n", ":1000\r\n*2\r\n$3\r\nabc\r\n$3\r\nabc\r\n"},
    {"+PONG\r\n", ":1000\r\n*2\r\n:1\r\n:2\r\n"},
    {"+PONG\r\n", ":99999999999999999999999\r\n"},
    {"+PONG\r\n", "-ERR unknown command `MGET`, with args beginning with: `secret`\r\n"},
    {"+PONG\r\n", "-NOAUTH secret\r\n"},
    {"-ERR secret\r\n", ""},
    {"$-1\r\n", ""},
    {"*-1\r\n", ""},
};

struct fake {
    uv_pipe_t listener;
    uv_pipe_t peer[64];
    unsigned peers, kind;
};

static void fake_alloc(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
    static char in[65536];
    (void)h;
    (void)n;
    *buf = uv_buf_init(in, sizeof(in));
}

static void fake_write(uv_stream_t *s, const char *text)
{
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)text, (unsigned)strlen(text));
    if (b.len)
        uv_try_write(s, &b, 1);
}

static void fake_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
    struct fake *f = s->data;
    if (n <= 0) {
        if (n < 0 && !uv_is_closing((uv_handle_t *)s))
            uv_close((uv_handle_t *)s, NULL);
        return;
    }
    if (memmem(buf->base, (size_t)n, "SUBSCRIBE", 9))
        fake_write(s, "*3\r\n$9\r\nsubscribe\r\n$15\r\ntest:invalidate\r\n:1\r\n");
    else if (memmem(buf->base, (size_t)n, "PING", 4))
        fake_write(s, garbage[f->kind].hello);
    else
        fake_write(s, garbage[f->kind].says);
}

static void fake_connection(uv_stream_t *s, int status)
{
    struct fake *f = s->data;
    ck_assert_int_eq(status, 0);
    if (f->peers == 64)
        return;
    uv_pipe_t *p = &f->peer[f->peers++];
    uv_pipe_init(loop, p, 0);
    p->data = f;
    ck_assert_int_eq(uv_accept(s, (uv_stream_t *)p), 0);
    uv_read_start((uv_stream_t *)p, fake_alloc, fake_read);
}

START_TEST(garbage_is_no_error)
{
    char dir[] = "/tmp/manifold-fake-XXXXXX", path[64];
    struct fake f = {.kind = (unsigned)_i};
    struct host a;
    struct question q;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/s", dir);
    uv_pipe_init(loop, &f.listener, 0);
    f.listener.data = &f;
    ck_assert_int_eq(uv_pipe_bind(&f.listener, path), 0);
    ck_assert_int_eq(uv_listen((uv_stream_t *)&f.listener, 16, fake_connection), 0);
    timeout = SHORT;
    open_with(&a, path, NULL);
    run_for(30 * MS);
    ck_assert_int_eq(set(&a, "k", "v"), 0);
    for (int i = 0; i < 3; i++) {
        begin(&q, &a, "none");
        finish(&q);
        ck_assert(!q.hit);
        run_for(5 * MS);
    }
    /* Its own words are not repeated. */
    ck_assert(!count(&a).link_error || !strstr(count(&a).link_error, "secret"));
    run_for(30 * MS);
    ck_assert_int_eq(set(&a, "k", "v"), 0);
    ck_assert(finds_in_memory(&a, "k"));
    close_cache(&a);
    for (unsigned i = 0; i < f.peers; i++) {
        if (!uv_is_closing((uv_handle_t *)&f.peer[i]))
            uv_close((uv_handle_t *)&f.peer[i], NULL);
    }
    uv_close((uv_handle_t *)&f.listener, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    uv_run(loop, UV_RUN_NOWAIT);
    rmdir(dir);
}
END_TEST

/* --- two hosts and a Redis with bad days, against a model --- */

enum { KEYS = 40, HOSTS = 2, ASKING = 64, PENDING = 100 };

/* Of one host that sets a key: its versions come to Redis in their order.  So who has seen one of
 * them has left the older ones behind, but what is on its way may be older than what another host
 * has set meanwhile. */
struct model_versions {
    uint64_t last;         /* that it has set, or 0 */
    uint64_t dead;         /* up to this they are deleted: on all hosts, once it is settled */
    uint64_t known[HOSTS]; /* the last that the host has set or seen */
    /* Up to this they are dead on the host: for who deletes them at once, else when settled. */
    uint64_t dead_on[HOSTS];
};

struct model_read {
    struct cache_read read; /* first */
    int host;
    unsigned key;
    uint64_t dead[HOSTS]; /* when it was asked for: nothing as old as that may come */
    bool busy;
};

static struct model_versions model[KEYS][HOSTS]; /* by who sets it */
static struct host hosts[HOSTS];
static uint64_t hits, misses, random_state;

static uint64_t any(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static void model_name(unsigned i, char out[16])
{
    snprintf(out, 16, "%c:%u", 'a' + (char)(i % 4), i);
}

static void know(int host, unsigned key, int setter, uint64_t version)
{
    if (model[key][setter].known[host] < version)
        model[key][setter].known[host] = version;
}

struct model_value {
    uint64_t version;
    unsigned char key, setter;
};

static void check_hit(int host, unsigned key, const uint64_t dead[HOSTS], struct str bytes)
{
    struct model_value v;
    ck_assert_uint_eq(bytes.n, sizeof(v));
    memcpy(&v, bytes.p, sizeof(v));
    ck_assert_uint_eq(v.key, key);
    ck_assert_uint_lt(v.setter, HOSTS);
    ck_assert_msg(v.version > dead[v.setter],
                  "host %d has version %" PRIu64
                  " of key %u by host %u, dead are those to %" PRIu64,
                  host, v.version, key, v.setter, dead[v.setter]);
    ck_assert_uint_le(v.version, model[key][v.setter].last);
    know(host, key, v.setter, v.version);
    hits++;
}

static void on_model_read(struct cache_read *r, const struct cache_value *v)
{
    struct model_read *m = (struct model_read *)r;
    m->busy = false;
    if (v)
        check_hit(m->host, m->key, m->dead, v->bytes);
    else
        misses++;
}

static void model_get(struct model_read *m)
{
    char name[16];
    struct cache_value v;
    if (m->busy)
        return;
    *m = (struct model_read){
        .read.done = on_model_read, .host = (int)any(HOSTS), .key = (unsigned)any(KEYS)};
    struct host *h = &hosts[m->host];
    for (int i = 0; i < HOSTS; i++)
        m->dead[i] = model[m->key][i].dead_on[m->host];
    model_name(m->key, name);
    enum cache_answer a = cache_get(h->space, str_of(name), &m->read, &v);
    if (a == CACHE_HIT) {
        check_hit(m->host, m->key, m->dead, v.bytes);
        cache_release(h->space, &v);
    }
    m->busy = a == CACHE_ASKED;
}

static void model_set(uint64_t version)
{
    char name[16];
    int host = (int)any(HOSTS);
    unsigned key = (unsigned)any(KEYS);
    struct model_value v;
    memset(&v, 0, sizeof(v));
    v.version = version;
    v.key = (unsigned char)key;
    v.setter = (unsigned char)host;
    struct str piece = {(const char *)&v, sizeof(v)};
    model_name(key, name);
    model[key][host].last = version;
    know(host, key, host, version);
    ck_assert_int_eq(cache_set(hosts[host].space, str_of(name), &piece, 1,
                               any(4) ? 60 * S : (1 + any(20)) * MS, NULL),
                     0);
}

/* What the other host is writing at this moment may still come to Redis, until it is settled. */
static void model_dies(int host, unsigned key)
{
    for (int i = 0; i < HOSTS; i++) {
        struct model_versions *v = &model[key][i];
        v->dead_on[host] = v->known[host];
        v->dead = v->last;
    }
}

static void model_delete(void)
{
    int host = (int)any(HOSTS);
    unsigned key = (unsigned)any(KEYS);
    char name[16];
    model_name(key, name);
    if (any(3)) {
        ck_assert_int_eq(cache_delete(hosts[host].space, str_of(name)), 0);
        model_dies(host, key);
        return;
    }
    name[any(2) + 1] = 0;
    ck_assert_int_eq(cache_delete_prefix(hosts[host].space, str_of(name)), 0);
    for (unsigned i = 0; i < KEYS; i++) {
        char other[16];
        model_name(i, other);
        if (str_starts(str_of(other), str_of(name)))
            model_dies(host, i);
    }
}

/* Everything has been told to everybody: now what is dead is dead on all hosts. */
static void model_settle(void)
{
    for (int i = 0; i < HOSTS; i++)
        ck_assert(settles(&hosts[i], PATIENCE));
    pass_on(&hosts[0], &hosts[1]);
    pass_on(&hosts[1], &hosts[0]);
    pass_on(&hosts[0], &hosts[1]); /* what the first had to say because of it */
    for (int i = 0; i < HOSTS; i++)
        ck_assert(settles(&hosts[i], PATIENCE));
    for (int h = 0; h < HOSTS; h++) {
        for (unsigned i = 0; i < KEYS; i++) {
            for (int by = 0; by < HOSTS; by++) {
                model[i][by].dead_on[h] = model[i][by].dead;
                know(h, i, by, model[i][by].last);
            }
        }
    }
}

/* Redis keeps up, however little of the machine it gets: what waits behind thousands of others is
 * late, and then it is not asked. */
static void model_turn(void)
{
    uv_run(loop, UV_RUN_NOWAIT);
    for (int i = 0; i < HOSTS; i++) {
        while (link_of(&hosts[i]) == CACHE_LINK_UP && count(&hosts[i]).pending > PENDING)
            turn();
    }
}

static void model_bad_day(void)
{
    switch (any(3)) {
    case 0:
        kill(redis.pid, SIGSTOP);
        run_for(any(300) * MS);
        kill(redis.pid, SIGCONT);
        break;
    case 1:
        redis_server_kill(&redis);
        run_for(any(100) * MS);
        redis_server_start(&redis, NULL);
        break;
    default: {
        char reply[64];
        redis_server_say(&redis, "CLIENT KILL TYPE pubsub", reply, sizeof(reply));
        break;
    }
    }
}

START_TEST(two_hosts_never_give_out_what_was_deleted)
{
    static struct model_read reads[ASKING];
    const uint64_t steps = 60000, until = clock_ns() + PATIENCE;
    const char *seed = getenv("SEED");
    random_state = seed ? strtoull(seed, NULL, 10) : 88172645463325252u;
    memset(model, 0, sizeof(model));
    memset(reads, 0, sizeof(reads));
    hits = misses = 0;
    redis_server_start(&redis, NULL);
    timeout = SHORT; /* so that a day on which it is stopped is a bad one */
    for (int i = 0; i < HOSTS; i++)
        open_host(&hosts[i]);
    uint64_t redis_hits = 0, reconnects = 0;
    for (uint64_t step = 1; step <= steps || (redis_hits < 200 && clock_ns() < until); step++) {
        redis_hits = cache_space_count(hosts[0].space)->redis_hits;
        uint64_t what = any(1000);
        if (step % (steps / 12) == 0)
            model_bad_day();
        else if (what < 600)
            model_get(&reads[any(ASKING)]);
        else if (what < 850)
            model_set(step);
        else if (what < 890)
            model_delete();
        else if (what < 891 && !any(4))
            model_settle();
        else
            model_turn();
    }
    model_settle();
    for (int i = 0; i < HOSTS; i++) {
        reconnects += count(&hosts[i]).reconnects;
        close_cache(&hosts[i]);
    }
    printf("model: %" PRIu64 " hits, %" PRIu64 " of them from Redis by one of them, %" PRIu64
           " misses, %" PRIu64 " reconnects\n",
           hits, redis_hits, misses, reconnects);
    ck_assert(hits > steps / 50 && redis_hits >= 200);
}
END_TEST

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (!redis_server_is_there()) {
        printf("there is no redis-server\n");
        return 77;
    }
    Suite *s = suite_create("cache");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, without_redis_memory_is_all);
    tcase_add_test(t, another_host_gets_the_hit);
    tcase_add_test(t, readers_of_one_key_share_one_question);
    tcase_add_test(t, an_invalidation_reaches_the_other_host);
    tcase_add_test(t, a_full_log_forgets_too_much_not_too_little);
    tcase_add_test(t, a_host_that_only_writes_is_read_by_others);
    tcase_add_test(t, what_is_older_than_an_invalidation_is_not_kept);
    tcase_add_test(t, a_set_that_crosses_a_delete_does_not_stay);
    tcase_add_test(t, a_set_that_crossed_a_delete_does_not_stay_where_it_was_read);
    tcase_add_test(t, a_stopped_redis_is_asked_a_few_times_only);
    tcase_add_test(t, a_killed_redis_is_back_within_two_seconds);
    tcase_add_test(t, what_redis_missed_it_is_told_later);
    tcase_add_test(t, a_flood_of_sets_is_bounded);
    tcase_add_test(t, nothing_is_read_before_what_is_owed);
    tcase_add_test(t, a_wrong_password_is_no_error_and_no_secret);
    tcase_add_test(t, a_full_redis_is_still_told_what_is_gone);
    tcase_add_test(t, nobody_answers);
    tcase_add_loop_test(t, garbage_is_no_error, 0, sizeof(garbage) / sizeof(garbage[0]));
    tcase_add_test(t, two_hosts_never_give_out_what_was_deleted);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
