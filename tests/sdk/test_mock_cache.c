/* tests/sdk/test_mock_cache.c - the mock's cache/1 keeps what manifold/cache.h promises. */
#include <manifold/cache.h>
#include <manifold/mock.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { MS = 1000000 };

/* ---- a plugin whose tool does nothing; the test does it ---------------------- */

static mf_status fixture_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    (void)config;
    *ret_self = (void *)(uintptr_t)host;
    return MF_OK;
}

static void fixture_call(void *self, const mf_request *request)
{
    (void)self;
    (void)request;
}

static void fixture_close(void *self)
{
    (void)self;
}

static const mf_entry tool = {sizeof(mf_entry), 0, "tool"};
static const mf_entry *const tools[] = {&tool, NULL};
static const mf_plugin plugin = {.size = sizeof(mf_plugin),
                                 .id = "org.example.fixture",
                                 .version = "1.0.0",
                                 .tools = tools,
                                 .open = fixture_open,
                                 .call = fixture_call,
                                 .close = fixture_close};

struct seen {
    int ends;
    mf_status status;
    char value[16];
    size_t len;
};

static mf_mock *m;
static const mf_host *host;
static const mf_cache *cache;

static void setup(void)
{
    m = mf_mock_new(&plugin);
    ck_assert_int_eq(mf_mock_open(m, NULL), MF_OK);
    host = mf_mock_host(m);
    cache = host->extension(host, MF_EXT_CACHE);
    ck_assert_ptr_nonnull(cache);
}

static void finish(mf_call call)
{
    ck_assert_int_eq(host->finish(host, call, MF_DONE, MF_LIT("")), MF_OK);
}

static void teardown(void)
{
    ck_assert_int_eq(mf_mock_close(m, 1000), MF_OK);
    mf_mock_free(m);
}

static mf_bytes bytes(const char *text)
{
    return (mf_bytes){text, strlen(text)};
}

static void on_value(void *arg, const mf_cached *cached)
{
    struct seen *s = arg;
    ck_assert_uint_eq(cached->end.size, sizeof(*cached));
    s->ends++;
    s->status = cached->end.status;
    s->len = cached->value.len;
    if (s->len)
        memcpy(s->value, cached->value.data, s->len < 16 ? s->len : 16);
}

static void set(const char *key, const char *value, uint64_t ttl_ms)
{
    ck_assert_int_eq(cache->set(host, bytes(key), bytes(value), ttl_ms), MF_OK);
}

/* Is this what is there?  NULL: nothing. */
static int has(const char *key, const char *value)
{
    struct seen s = {0};
    ck_assert_uint_ne(cache->get(host, 0, bytes(key), 0, on_value, &s), 0);
    ck_assert_int_eq(s.ends, 0);
    mf_mock_run(m);
    ck_assert_int_eq(s.ends, 1);
    if (value == NULL)
        return s.status == MF_ENOENT && s.len == 0;
    return s.status == MF_OK && s.len == strlen(value) && memcmp(s.value, value, s.len) == 0;
}

START_TEST(a_value_is_there_until_its_time_is_over)
{
    ck_assert(has("k", NULL));
    set("k", "v", 10);
    set("", "empty key", 100);
    set("k2", "", 100);
    ck_assert(has("k", "v") && has("", "empty key") && has("k2", ""));
    set("k", "w", 20);
    ck_assert(has("k", "w"));
    mf_mock_advance(m, 20 * MS - 1);
    ck_assert(has("k", "w"));
    mf_mock_advance(m, 1);
    ck_assert(has("k", NULL) && has("k2", ""));
    mf_mock_forget(m);
    ck_assert(has("k2", NULL));
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 0);
}
END_TEST

START_TEST(dropped_is_gone)
{
    set("a:1", "v", 100);
    set("a:2", "v", 100);
    set("b:1", "v", 100);
    ck_assert_int_eq(cache->drop(host, bytes("a:1")), MF_OK);
    ck_assert(has("a:1", NULL) && has("a:2", "v"));
    ck_assert_int_eq(cache->drop_prefix(host, bytes("a:")), MF_OK);
    ck_assert(has("a:2", NULL) && has("b:1", "v"));
    ck_assert_int_eq(cache->drop_prefix(host, bytes("")), MF_OK);
    ck_assert(has("b:1", NULL));
}
END_TEST

START_TEST(limits_and_mistakes)
{
    char *large = calloc(1, MF_CACHE_VALUE_MAX + 1);
    mf_bytes k = MF_LIT("k"), key = {large, MF_CACHE_KEY_MAX + 1};
    mf_bytes value = {large, MF_CACHE_VALUE_MAX + 1};
    ck_assert_int_eq(cache->set(host, key, k, 1), MF_ELIMIT);
    ck_assert_int_eq(cache->set(host, k, value, 1), MF_ELIMIT);
    ck_assert_int_eq(cache->drop(host, key), MF_ELIMIT);
    ck_assert_int_eq(cache->drop_prefix(host, key), MF_ELIMIT);
    key.len--;
    value.len--;
    ck_assert_int_eq(cache->set(host, key, value, 1), MF_OK);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 0);
    key.len++;
    ck_assert_int_eq(cache->set(host, k, k, 0), MF_EINVAL);
    ck_assert_uint_eq(cache->get(host, 0, key, 0, NULL, NULL), 0);
    ck_assert_uint_eq(cache->get(host, 0, k, 2, NULL, NULL), 0);
    ck_assert_uint_eq(cache->get(host, 0, k, MF_CACHE_LEASE, NULL, NULL), 0);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 4);
    free(large);
}
END_TEST

static mf_op lease(mf_call call, struct seen *s)
{
    mf_op op = cache->get(host, call, MF_LIT("k"), MF_CACHE_LEASE, on_value, s);
    ck_assert_uint_ne(op, 0);
    return op;
}

START_TEST(the_first_is_to_set_it)
{
    struct seen s[4] = {{0}};
    mf_call call[4];
    for (int i = 0; i < 4; i++) {
        call[i] = mf_mock_tool(m, "tool", NULL);
        lease(call[i], &s[i]);
    }
    mf_mock_run(m);
    ck_assert(s[0].ends == 1 && s[0].status == MF_ENOENT);
    ck_assert(s[1].ends == 0 && s[2].ends == 0);
    ck_assert(has("k", NULL)); /* who asks without does not wait */
    /* Its call ends without: the next one is the first.  A client cancels: so is the one after. */
    finish(call[0]);
    mf_mock_run(m);
    ck_assert(s[1].ends == 1 && s[1].status == MF_ENOENT && s[2].ends == 0);
    mf_mock_cancel(m, call[1]);
    mf_mock_run(m);
    ck_assert(s[2].ends == 1 && s[2].status == MF_ENOENT && s[3].ends == 0);
    set("k", "v", 100);
    mf_mock_run(m);
    ck_assert(s[3].ends == 1 && s[3].status == MF_OK && s[3].len == 1);
    ck_assert_int_eq(host->finish(host, call[1], MF_DONE, MF_LIT("")), MF_ECANCELED);
    finish(call[2]);
    finish(call[3]);
    ck_assert_uint_eq(mf_mock_run(m), 0);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), 0);
}
END_TEST

START_TEST(nobody_waits_for_himself)
{
    struct seen s[2] = {{0}};
    mf_call call = mf_mock_tool(m, "tool", NULL);
    lease(call, &s[0]);
    lease(call, &s[1]);
    mf_mock_run(m);
    ck_assert(s[0].status == MF_ENOENT && s[1].ends == 1 && s[1].status == MF_ENOENT);
    finish(call);
}
END_TEST

START_TEST(what_was_dropped_meanwhile_is_not_kept)
{
    struct seen s[2] = {{0}};
    mf_call call[2] = {mf_mock_tool(m, "tool", NULL), mf_mock_tool(m, "tool", NULL)};
    lease(call[0], &s[0]);
    lease(call[1], &s[1]);
    mf_mock_run(m);
    ck_assert_int_eq(cache->drop(host, MF_LIT("k")), MF_OK);
    set("k", "old", 100);
    ck_assert(has("k", NULL));
    ck_assert(s[1].ends == 1 && s[1].status == MF_ENOENT); /* and is to set it now */
    set("k", "new", 100);
    ck_assert(has("k", "new"));
    finish(call[0]);
    finish(call[1]);
}
END_TEST

START_TEST(abort_ends_a_wait)
{
    struct seen s[2] = {{0}};
    mf_call call[2] = {mf_mock_tool(m, "tool", NULL), mf_mock_tool(m, "tool", NULL)};
    lease(call[0], &s[0]);
    mf_op op = lease(call[1], &s[1]);
    mf_mock_run(m);
    ck_assert_int_eq(cache->abort(host, op), MF_OK);
    mf_mock_run(m);
    ck_assert(s[1].ends == 1 && s[1].status == MF_ECANCELED);
    finish(call[0]);
    finish(call[1]);
    ck_assert_uint_eq(mf_mock_run(m), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mock cache");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_value_is_there_until_its_time_is_over);
    tcase_add_test(t, dropped_is_gone);
    tcase_add_test(t, limits_and_mistakes);
    tcase_add_test(t, the_first_is_to_set_it);
    tcase_add_test(t, nobody_waits_for_himself);
    tcase_add_test(t, what_was_dropped_meanwhile_is_not_kept);
    tcase_add_test(t, abort_ends_a_wait);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
