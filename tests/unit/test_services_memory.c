/* The memory tier: what it forgets, what it must never give out, and what it may hold.  The clock
 * is a number that the test moves. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "services/cache/memory.h"

static struct memory *m;
static uint64_t now, random_state;

static void setup(void)
{
    m = memory_open(MEMORY_MIN);
    ck_assert_ptr_nonnull(m);
    now = 1000;
    random_state = 88172645463325252u;
}

static void teardown(void)
{
    ck_assert_ptr_null(memory_check(m));
    memory_close(m);
}

static uint64_t any(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

static struct memory_key key(uint32_t space, const char *text)
{
    return memory_key(space, str_of(text));
}

static bool put_bytes(struct memory_key k, struct str value, uint64_t expires, uint64_t order)
{
    struct memory_entry *e = memory_make(m, &k, value.n, expires, now);
    if (!e)
        return false;
    if (value.n)
        memcpy(e->bytes + e->key_len, value.p, value.n);
    bool put = memory_put(m, e, order);
    memory_unpin(m, e);
    return put;
}

static bool put(uint32_t space, const char *k, const char *value)
{
    return put_bytes(key(space, k), str_of(value), UINT64_MAX, memory_number(m));
}

static bool has(uint32_t space, const char *k, const char *value)
{
    struct memory_key mk = key(space, k);
    struct memory_entry *e = memory_find(m, &mk, now);
    return value ? e && str_eq(memory_value(e), str_of(value)) : !e;
}

static struct memory_counters count(void)
{
    struct memory_counters c;
    memory_count(m, &c);
    return c;
}

START_TEST(a_value_is_found_until_it_is_replaced_or_deleted)
{
    ck_assert(has(1, "a", NULL));
    ck_assert(put(1, "a", "one"));
    ck_assert(has(1, "a", "one"));
    ck_assert(put(1, "a", ""));
    ck_assert(has(1, "a", ""));
    ck_assert(put(1, "", "an empty key"));
    ck_assert(has(1, "", "an empty key"));
    struct memory_key k = key(1, "a");
    memory_delete(m, &k);
    ck_assert(has(1, "a", NULL));
    ck_assert_uint_eq(count().entries, 1);
}
END_TEST

START_TEST(spaces_share_nothing)
{
    ck_assert(put(1, "a", "one") && put(2, "a", "two"));
    ck_assert(has(1, "a", "one") && has(2, "a", "two"));
    memory_delete_prefix(m, 1, STR(""));
    ck_assert(has(1, "a", NULL) && has(2, "a", "two"));
}
END_TEST

START_TEST(time_ends_a_value)
{
    struct memory_key k = key(1, "a");
    ck_assert(put_bytes(k, STR("x"), now + 10, memory_number(m)));
    now += 9;
    ck_assert(has(1, "a", "x"));
    now += 1;
    ck_assert(has(1, "a", NULL));
    ck_assert_uint_eq(count().expired, 1);
    ck_assert_uint_eq(count().entries, 0);
}
END_TEST

START_TEST(a_prefix_is_dead_at_once_and_swept_in_time)
{
    char k[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(k, sizeof(k), "%s:%d", i % 2 ? "odd" : "even", i);
        ck_assert(put(1, k, "v"));
    }
    memory_delete_prefix(m, 1, STR("odd:"));
    for (int i = 0; i < 1000; i += 7) {
        snprintf(k, sizeof(k), "%s:%d", i % 2 ? "odd" : "even", i);
        ck_assert(has(1, k, i % 2 ? NULL : "v"));
    }
    ck_assert(put(1, "odd:1", "new"));
    unsigned steps = 1;
    while (memory_sweep(m, 64, now))
        steps++;
    ck_assert_uint_le(steps, 1000 / 64 + 1); /* each entry once */
    ck_assert_uint_eq(count().entries, 501);
    ck_assert(has(1, "odd:1", "new"));
    ck_assert(has(1, "even:2", "v"));
}
END_TEST

/* More prefixes than are remembered: too much dies, never too little. */
START_TEST(forgotten_prefixes_err_on_the_safe_side)
{
    ck_assert(put(1, "a:old", "v") && put(1, "z", "v"));
    memory_delete_prefix(m, 1, STR("a:"));
    ck_assert(has(1, "z", "v")); /* has seen the prefix */
    for (int i = 0; i < 70; i++) {
        char prefix[8];
        snprintf(prefix, sizeof(prefix), "p%d:", i);
        memory_delete_prefix(m, 1, str_of(prefix));
        if (i == 60)
            ck_assert(has(1, "z", "v"));
    }
    ck_assert(has(1, "a:old", NULL));
    ck_assert(has(1, "z", "v"));
}
END_TEST

START_TEST(what_was_made_before_an_invalidation_is_not_kept)
{
    uint64_t order = memory_number(m);
    struct memory_key k = key(1, "k:1");
    memory_delete(m, &k);
    ck_assert(memory_is_stale(m, &k, order));
    ck_assert(!put_bytes(k, STR("old"), UINT64_MAX, order));
    ck_assert(has(1, "k:1", NULL));
    order = memory_number(m);
    ck_assert(put_bytes(k, STR("new"), UINT64_MAX, order));
    memory_delete_prefix(m, 1, STR("k"));
    ck_assert(!put_bytes(k, STR("old"), UINT64_MAX, order));
    ck_assert(has(1, "k:1", NULL));
    order = memory_number(m);
    memory_delete_all(m);
    ck_assert(!put_bytes(k, STR("old"), UINT64_MAX, order));
    ck_assert(put_bytes(k, STR("new"), UINT64_MAX, memory_number(m)));
    ck_assert(has(1, "k:1", "new"));
}
END_TEST

START_TEST(a_pinned_value_outlives_its_key)
{
    ck_assert(put(1, "a", "one"));
    struct memory_key k = key(1, "a");
    struct memory_entry *e = memory_find(m, &k, now);
    memory_pin(e);
    uint64_t bytes = count().bytes;
    memory_delete(m, &k);
    ck_assert(has(1, "a", NULL));
    ck_assert(str_eq(memory_value(e), STR("one")));
    ck_assert_uint_eq(count().bytes, bytes);
    memory_unpin(m, e);
    ck_assert_uint_lt(count().bytes, bytes);
}
END_TEST

START_TEST(pins_never_break_the_bound)
{
    static char value[60000];
    struct memory_entry *pinned[32];
    unsigned pins = 0, refused = 0;
    for (unsigned i = 0; i < 32; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%u", i);
        struct memory_key k = key(1, text);
        struct memory_entry *e = memory_make(m, &k, sizeof(value), UINT64_MAX, now);
        if (e) {
            memset(e->bytes + e->key_len, 0, sizeof(value));
            memory_put(m, e, memory_number(m));
            pinned[pins++] = e;
        } else {
            refused++;
        }
        ck_assert_uint_le(count().bytes, MEMORY_MIN);
    }
    ck_assert_uint_gt(pins, 10);
    ck_assert_uint_gt(refused, 10);
    ck_assert_uint_eq(count().refused, refused);
    while (pins)
        memory_unpin(m, pinned[--pins]);
    ck_assert(put(1, "again", "v"));
}
END_TEST

/* Those of the small queue are held, all of them: others give way. */
START_TEST(pins_do_not_stand_in_the_way_of_others)
{
    enum { USED = 4000, HELD_NOW = 1000 };
    static struct memory_entry *pinned[HELD_NOW];
    char text[16], value[100] = {0};
    struct str v = {value, sizeof(value)};
    for (int round = 0; round < 4; round++) {
        for (unsigned i = 0; i < USED; i++) {
            snprintf(text, sizeof(text), "used%u", i);
            struct memory_key k = key(1, text);
            if (!memory_find(m, &k, now))
                ck_assert(put_bytes(k, v, UINT64_MAX, memory_number(m)));
        }
    }
    for (unsigned i = 0; i < HELD_NOW; i++) {
        snprintf(text, sizeof(text), "held%u", i);
        struct memory_key k = key(1, text);
        ck_assert(put_bytes(k, v, UINT64_MAX, memory_number(m)));
        pinned[i] = memory_find(m, &k, now);
        memory_pin(pinned[i]);
    }
    for (unsigned i = 0; i < 2 * USED; i++) {
        snprintf(text, sizeof(text), "more%u", i);
        ck_assert(put_bytes(key(1, text), v, UINT64_MAX, memory_number(m)));
    }
    ck_assert_uint_eq(count().refused, 0);
    for (unsigned i = 0; i < HELD_NOW; i++)
        memory_unpin(m, pinned[i]);
}
END_TEST

START_TEST(the_too_large_is_refused)
{
    static char value[MEMORY_MIN];
    ck_assert(!put_bytes(key(1, "a"), (struct str){value, sizeof(value)}, UINT64_MAX, 0));
    ck_assert(!put_bytes(key(1, "a"), (struct str){value, sizeof(value) / 8}, UINT64_MAX, 0));
    ck_assert(put_bytes(key(1, "a"), (struct str){value, sizeof(value) / 10}, UINT64_MAX, 0));
}
END_TEST

/* One read of a hot key; a miss is made good. */
static bool ask(const char *kind, uint64_t id)
{
    char k[32], value[100];
    snprintf(k, sizeof(k), "%s%" PRIu64, kind, id);
    struct memory_key mk = key(1, k);
    if (memory_find(m, &mk, now))
        return true;
    memset(value, 'v', sizeof(value));
    ck_assert(put_bytes(mk, (struct str){value, sizeof(value)}, UINT64_MAX, memory_number(m)));
    return false;
}

/* 2,000 keys that are asked for all the time, and a crawler that asks once for each of ten times
 * what the cache holds.  In LRU the crawler would have washed them out: between two requests for a
 * hot key 40,000 others come, and 5,000 fit. */
START_TEST(a_scan_does_not_wash_out_what_is_used)
{
    enum { HOT = 2000, SCAN = 50000 };
    for (int round = 0; round < 4; round++) {
        for (uint64_t i = 0; i < HOT; i++)
            ask("hot", i);
    }
    for (uint64_t i = 0; i < SCAN; i++)
        ask("scan", i);
    unsigned hits = 0;
    for (uint64_t i = 0; i < HOT; i++)
        hits += ask("hot", i);
    printf("after a scan of %u keys through %" PRIu64 " entries: %u of %u hot keys are there\n",
           SCAN, count().entries, hits, HOT);
    ck_assert_uint_lt(count().entries, SCAN / 5);
    ck_assert_uint_ge(hits, HOT * 95 / 100);
}
END_TEST

/* --- against a model --- */

enum { KEYS = 3000, HELD = 40, OLD_ORDERS = 8, MODEL_SPACES = 2 };

/* What the model knows of a key: every version ever put has its own number, which is its value. */
struct known {
    uint64_t version; /* 0: none, or deleted */
    uint64_t expires;
    uint64_t deleted; /* step of its last invalidation */
};

struct held {
    struct memory_entry *entry;
    uint64_t version;
};

static struct known known[MODEL_SPACES][KEYS];

/* Keys like "a17:1234": a prefix may be a letter, a group or a whole key. */
static struct memory_key model_key(uint32_t space, unsigned i, char text[32])
{
    snprintf(text, 32, "%c%u:%u", 'a' + (char)(i % 3), i % 20, i);
    return key(space, text);
}

static void model_delete_prefix(uint32_t space, uint64_t step)
{
    char prefix[32];
    unsigned at = (unsigned)any(KEYS);
    model_key(space, at, prefix);
    prefix[any(4) ? strcspn(prefix, ":") + 1 : any(2)] = 0;
    memory_delete_prefix(m, space, str_of(prefix));
    for (unsigned i = 0; i < KEYS; i++) {
        char text[32];
        model_key(space, i, text);
        if (str_starts(str_of(text), str_of(prefix))) {
            known[space][i].version = 0;
            known[space][i].deleted = step;
        }
    }
}

static void model_put(uint32_t space, unsigned i, uint64_t step, uint64_t order, uint64_t as_of)
{
    char text[32];
    struct memory_key k = model_key(space, i, text);
    struct known *n = &known[space][i];
    size_t size = 8 + (any(20) ? any(300) : any(80000));
    uint64_t expires = now + 1 + any(2000);
    struct memory_entry *e = memory_make(m, &k, size, expires, now);
    if (!e)
        return;
    memset(e->bytes + e->key_len, (int)(step & 0xff), size);
    memcpy(e->bytes + e->key_len, &step, 8);
    bool kept = memory_put(m, e, order);
    ck_assert(!kept || n->deleted <= as_of); /* nothing that is older than its invalidation */
    if (kept)
        *n = (struct known){step, expires, n->deleted};
    memory_unpin(m, e);
}

static uint64_t version_of(const struct memory_entry *e)
{
    uint64_t v;
    struct str s = memory_value(e);
    memcpy(&v, s.p, 8);
    for (size_t i = 8; i < s.n; i += 97)
        ck_assert_int_eq((unsigned char)s.p[i], (int)(v & 0xff));
    return v;
}

START_TEST(it_forgets_but_never_lies)
{
    const uint64_t steps = 300000;
    struct held held[HELD] = {{0}};
    uint64_t order[OLD_ORDERS] = {0}, as_of[OLD_ORDERS] = {0}, hits = 0, misses = 0;
    memset(known, 0, sizeof(known));
    for (uint64_t step = 1; step <= steps; step++) {
        uint32_t space = (uint32_t)any(MODEL_SPACES);
        unsigned i = (unsigned)any(any(2) ? 200 : KEYS), old = (unsigned)any(OLD_ORDERS);
        char text[32];
        struct memory_key k = model_key(space, i, text);
        struct known *n = &known[space][i];
        struct memory_entry *e;
        now += any(3);
        switch (any(100)) {
        default:
            e = memory_find(m, &k, now);
            if (e) {
                ck_assert_uint_eq(version_of(e), n->version);
                ck_assert_uint_lt(now, n->expires);
            }
            *(e ? &hits : &misses) += 1;
            if (e && !any(8)) { /* hold it, in the place of another */
                struct held *h = &held[any(HELD)];
                if (h->entry) {
                    ck_assert_uint_eq(version_of(h->entry), h->version);
                    memory_unpin(m, h->entry);
                }
                memory_pin(e);
                *h = (struct held){e, n->version};
            }
            break;
        case 0 ... 29:
            model_put(space, i, step, memory_number(m), step);
            break;
        case 30 ... 34: /* as of an earlier time */
            model_put(space, i, step, order[old], as_of[old]);
            break;
        case 35 ... 38:
            memory_delete(m, &k);
            *n = (struct known){0, 0, step};
            break;
        case 39:
            if (!any(3))
                model_delete_prefix(space, step);
            break;
        case 40:
            if (!any(500)) {
                memory_delete_all(m);
                for (unsigned s = 0; s < MODEL_SPACES; s++) {
                    for (unsigned q = 0; q < KEYS; q++)
                        known[s][q] = (struct known){0, 0, step};
                }
            }
            break;
        case 41 ... 44:
            order[old] = memory_number(m);
            as_of[old] = step;
            break;
        case 45 ... 49:
            memory_sweep(m, (uint32_t)any(300), now);
            break;
        }
        ck_assert_uint_le(count().bytes, MEMORY_MIN);
        if (step % 1000 == 0)
            ck_assert_msg(!memory_check(m), "step %" PRIu64 ": %s", step, memory_check(m));
    }
    for (unsigned h = 0; h < HELD; h++) {
        if (held[h].entry) {
            ck_assert_uint_eq(version_of(held[h].entry), held[h].version);
            memory_unpin(m, held[h].entry);
        }
    }
    struct memory_counters c = count();
    printf("model: %" PRIu64 " hits, %" PRIu64 " misses, %" PRIu64 " evicted, %" PRIu64
           " expired, %" PRIu64 " invalidated\n",
           hits, misses, c.evictions, c.expired, c.invalidated);
    /* All of it has happened. */
    ck_assert(hits > steps / 20 && misses > steps / 20 && c.evictions > 1000 && c.expired > 1000 &&
              c.invalidated > 1000);
}
END_TEST

/* --- figures --- */

static double per_second(uint64_t n, uint64_t since)
{
    return (double)n * 1e9 / (double)(clock_ns() - since);
}

START_TEST(figures)
{
    enum { ENTRIES = 100000, GETS = 2000000 };
    static char text[ENTRIES][16];
    teardown();
    m = memory_open(64 << 20);
    char value[100] = {0};
    for (unsigned i = 0; i < ENTRIES; i++) {
        snprintf(text[i], sizeof(text[i]), "key:%u", i);
        ck_assert(put_bytes(key(1, text[i]), (struct str){value, sizeof(value)}, UINT64_MAX, 0));
    }
    uint64_t hits = 0, from = clock_ns();
    for (unsigned i = 0; i < GETS; i++) {
        struct memory_key k = key(1, text[any(ENTRIES)]);
        hits += memory_find(m, &k, clock_ns()) != NULL;
    }
    printf("%.0f gets/s of %u keys\n", per_second(GETS, from), ENTRIES);
    ck_assert_uint_eq(hits, GETS);
    memory_delete_prefix(m, 1, STR("key:"));
    uint64_t worst = 0, all = 0, turns = 0;
    for (bool more = true; more; turns++) {
        from = clock_ns();
        more = memory_sweep(m, 512, from);
        uint64_t took = clock_ns() - from;
        worst = took > worst ? took : worst;
        all += took;
    }
    printf("a prefix with %u keys is swept in %" PRIu64 " turns, %.0f us in all, %.0f us at most\n",
           ENTRIES, turns, (double)all / 1e3, (double)worst / 1e3);
    ck_assert_uint_eq(count().entries, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cache memory");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_value_is_found_until_it_is_replaced_or_deleted);
    tcase_add_test(t, spaces_share_nothing);
    tcase_add_test(t, time_ends_a_value);
    tcase_add_test(t, a_prefix_is_dead_at_once_and_swept_in_time);
    tcase_add_test(t, forgotten_prefixes_err_on_the_safe_side);
    tcase_add_test(t, what_was_made_before_an_invalidation_is_not_kept);
    tcase_add_test(t, a_pinned_value_outlives_its_key);
    tcase_add_test(t, pins_never_break_the_bound);
    tcase_add_test(t, pins_do_not_stand_in_the_way_of_others);
    tcase_add_test(t, the_too_large_is_refused);
    tcase_add_test(t, a_scan_does_not_wash_out_what_is_used);
    tcase_add_test(t, it_forgets_but_never_lies);
    tcase_add_test(t, figures);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
