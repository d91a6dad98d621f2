/* tests/sdk/test_echo.c - plugins/echo on the mock host. */
#include <manifold/json.h>
#include <time.h>
#include "plugin_frame.h"
#include "sleeper.h"

static const mf_mock_result *tool(const char *name, const char *args)
{
    const mf_mock_result *r = mf_mock_wait(m, mf_mock_tool(m, name, args), 0);
    ck_assert_ptr_nonnull(r);
    return r;
}

START_TEST(echo)
{
    ck_assert_ptr_null(mf_mock_lint(&manifold_plugin_v1));
    const mf_mock_result *r = tool("echo", "{\"message\":\"hi\"}");
    ck_assert_int_eq(r->how, MF_DONE);
    ck_assert_str_eq(r->text.data, "Echo: hi");
    ck_assert_str_eq(tool("echo", "{\"message\":\"\"}")->text.data, "Echo: ");
    ck_assert_str_eq(
        tool("echo", "{\"message\":\"a\\n\\u00e9\\ud83d\\ude00 \xC3\xA9\"}")->text.data,
        "Echo: a\n\xC3\xA9\xF0\x9F\x98\x80 \xC3\xA9");
    r = tool("echo", "{\"message\":\"a\\u0000b\"}");
    ck_assert(r->text.len == 9 && memcmp(r->text.data, "Echo: a\0b", 9) == 0);
    ck_assert_int_eq(tool("echo", "{}")->how, MF_BAD_PARAMS);
    ck_assert_int_eq(tool("echo", "{\"message\":1}")->how, MF_BAD_PARAMS);
    ck_assert_int_eq(tool("echo", "{\"message\":\"\\ud800\"}")->how, MF_BAD_PARAMS);
}
END_TEST

/* A message of a MiB with an escape at `every` bytes (0: none). */
static char *long_args(size_t every)
{
    static const char head[] = "{\"message\":\"";
    size_t size = 1 << 20, n = sizeof(head) - 1;
    char *args = malloc(n + size + 3);
    memcpy(args, head, n);
    memset(args + n, 'm', size);
    for (size_t i = 0; every != 0 && i + 2 <= size; i += every)
        memcpy(args + n + i, "\\n", 2);
    memcpy(args + n + size, "\"}", 3);
    return args;
}

START_TEST(a_long_message_is_few_pieces)
{
    char *args = long_args(0);
    const mf_mock_result *r = tool("echo", args);
    ck_assert_uint_eq(r->text.len, (1 << 20) + 6);
    ck_assert_uint_eq(r->items[0].appends, 2);
    free(args);
    args = long_args(1000);
    r = tool("echo", args);
    ck_assert_uint_eq(r->text.len, (1 << 20) + 6 - 1049);
    ck_assert_uint_lt(r->items[0].appends, 2200);
    free(args);
    args = long_args(8);
    ck_assert_uint_lt(tool("echo", args)->items[0].appends, 400);
    free(args);
    args = long_args(0);
    mf_mock_set_result_limit(m, 1000);
    ck_assert_int_eq(tool("echo", args)->how, MF_FAULT);
    ck_assert_int_eq(tool("echo_structured", args)->how, MF_FAULT);
    free(args);
}
END_TEST

START_TEST(echo_structured)
{
    const mf_mock_result *r =
        tool("echo_structured", "{\"message\":\"a\\\"\\u00e9\xC3\xA9\\ud83d\\ude00\"}");
    ck_assert_int_eq(r->how, MF_DONE);
    ck_assert_str_eq(r->structured.data,
                     "{\"echo\":\"a\\\"\\u00e9\xC3\xA9\\ud83d\\ude00\",\"length\":5}");
    ck_assert_str_eq(r->text.data, r->structured.data);
    char *args = long_args(0);
    r = tool("echo_structured", args);
    int64_t length = 0;
    ck_assert_int_eq(mfj_int(mfj_get(mfj_read(r->structured), "length"), &length), MF_OK);
    ck_assert_int_eq(length, 1 << 20);
    free(args);
    ck_assert_int_eq(tool("echo_structured", "{}")->how, MF_BAD_PARAMS);
    ck_assert_int_eq(tool("echo_structured", "{\"message\":\"\\udc00\"}")->how, MF_BAD_PARAMS);
}
END_TEST

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

START_TEST(sleep_reports_progress_and_answers)
{
    uint64_t before = now_ms();
    mf_call call = mf_mock_tool(m, "sleep", "{\"ms\":40}");
    const mf_mock_result *r = mf_mock_wait(m, call, 10000);
    ck_assert_ptr_nonnull(r);
    ck_assert_uint_ge(now_ms() - before, 39);
    ck_assert_int_eq(r->how, MF_DONE);
    ck_assert_str_eq(r->text.data, "Slept 40 ms");
    ck_assert_uint_eq(r->progress_count, 9); /* the tenth is the answer */
    for (int i = 0; i < 9; i++)
        ck_assert(r->progress[i].done == 4 * (i + 1) && r->progress[i].total == 40);
    r = mf_mock_wait(m, mf_mock_tool(m, "sleep", "{\"ms\":0}"), 10000);
    ck_assert_str_eq(r->text.data, "Slept 0 ms");
    ck_assert_int_eq(tool("sleep", "{\"ms\":600001}")->how, MF_BAD_PARAMS);
    ck_assert_int_eq(tool("sleep", "{\"ms\":-1}")->how, MF_BAD_PARAMS);
    ck_assert_int_eq(tool("sleep", "{\"ms\":\"1\"}")->how, MF_BAD_PARAMS);
}
END_TEST

START_TEST(sleeps_end_in_the_order_of_their_ends)
{
    mf_call late = mf_mock_tool(m, "sleep", "{\"ms\":600000}");
    mf_call early = mf_mock_tool(m, "sleep", "{\"ms\":5}");
    ck_assert_ptr_nonnull(mf_mock_wait(m, early, 10000));
    ck_assert_ptr_null(mf_mock_wait(m, late, 0));
    uint64_t before = now_ms();
    mf_mock_cancel(m, late);
    const mf_mock_result *r = mf_mock_wait(m, late, 10000);
    ck_assert_ptr_nonnull(r);
    ck_assert_int_eq(r->status, MF_ECANCELED);
    ck_assert_uint_lt(now_ms() - before, 5000);
}
END_TEST

START_TEST(a_deadline_ends_a_sleep)
{
    mf_mock_request q = {
        .kind = MF_TOOL, .name = "sleep", .args = "{\"ms\":600000}", .timeout_ns = 1000};
    mf_call call = mf_mock_start(m, &q);
    mf_mock_advance(m, 1000);
    ck_assert_int_eq(mf_mock_wait(m, call, 10000)->status, MF_ETIMEDOUT);
}
END_TEST

START_TEST(sleeps_are_bounded)
{
    mf_call calls[SLEEPER_MAX];
    for (int i = 0; i < SLEEPER_MAX; i++)
        calls[i] = mf_mock_tool(m, "sleep", "{\"ms\":600000}");
    const mf_mock_result *r = tool("sleep", "{\"ms\":1}");
    ck_assert_int_eq(r->how, MF_TOOL_ERROR);
    ck_assert_str_eq(r->text.data, "1024 calls are asleep already; try again later");
    for (int i = 0; i < SLEEPER_MAX; i++)
        mf_mock_cancel(m, calls[i]);
    for (int i = 0; i < SLEEPER_MAX; i++)
        ck_assert_int_eq(mf_mock_wait(m, calls[i], 10000)->status, MF_ECANCELED);
}
END_TEST

/* Cancelling while steps are being taken: every call is finished once (the
 * teardown looks for second finishes), none is forgotten. */
START_TEST(cancelling_races_with_the_steps)
{
    mf_call calls[200];
    for (int i = 0; i < 200; i++)
        calls[i] = mf_mock_tool(m, "sleep", i % 2 ? "{\"ms\":3}" : "{\"ms\":1}");
    for (int i = 0; i < 200; i++)
        mf_mock_cancel(m, calls[i]);
    for (int i = 0; i < 200; i++)
        ck_assert_ptr_nonnull(mf_mock_wait(m, calls[i], 10000));
}
END_TEST

START_TEST(resources)
{
    const mf_mock_result *r =
        mf_mock_wait(m, mf_mock_read(m, "greeting", "echo://greeting", NULL), 0);
    ck_assert_int_eq(r->how, MF_DONE);
    ck_assert_str_eq(r->text.data, "Hello from echo.\n");
    r = mf_mock_wait(
        m, mf_mock_read(m, "shout", "echo://shout/x", "{\"text\":\"az\\nAZ \xC3\xA9!\"}"), 0);
    ck_assert_str_eq(r->text.data, "AZ\nAZ \xC3\xA9!");
    /* No piece ends within a character; the mock would refuse it. */
    for (int shift = 0; shift < 3; shift++) {
        char args[8000] = "{\"text\":\"";
        strncat(args, "aa", (size_t)shift);
        for (int i = 0; i < 1500; i++)
            strcat(args, "\xE2\x82\xAC");
        strcat(args, "\"}");
        r = mf_mock_wait(m, mf_mock_read(m, "shout", "echo://shout/x", args), 0);
        ck_assert_int_eq(r->how, MF_DONE);
        ck_assert_uint_eq(r->text.len, 4500 + (size_t)shift);
    }
    r = mf_mock_wait(m, mf_mock_read(m, "shout", "echo://shout/x", "{}"), 0);
    ck_assert_int_eq(r->how, MF_BAD_PARAMS);
}
END_TEST

static void expect_completion(const char *value, const char *want)
{
    const mf_mock_result *r =
        mf_mock_wait(m, mf_mock_complete(m, MF_RESOURCE, "shout", "text", value), 0);
    ck_assert_int_eq(r->how, MF_DONE);
    ck_assert_str_eq(r->structured.data, want);
}

START_TEST(completion)
{
    expect_completion("he", "{\"values\":[\"hello\",\"hey\"],\"total\":2,\"hasMore\":false}");
    expect_completion("hello", "{\"values\":[\"hello\"],\"total\":1,\"hasMore\":false}");
    expect_completion("z", "{\"values\":[],\"total\":0,\"hasMore\":false}");
    expect_completion("a word that is far too long",
                      "{\"values\":[],\"total\":0,\"hasMore\":false}");
    expect_completion("", "{\"values\":[\"echo\",\"hallo\",\"hello\",\"hey\",\"hooray\",\"hush\"],"
                          "\"total\":6,\"hasMore\":false}");
}
END_TEST

START_TEST(prompts)
{
    const mf_mock_result *r = mf_mock_wait(m, mf_mock_prompt(m, "reply", NULL), 0);
    ck_assert_str_eq(r->text.data, "Reply to what I say next.");
    r = mf_mock_wait(m, mf_mock_prompt(m, "reply", "{\"style\":\"short\"}"), 0);
    ck_assert_str_eq(r->text.data, "Reply to what I say next, in one sentence.");
    r = mf_mock_wait(m, mf_mock_prompt(m, "reply", "{\"style\":\"rude\"}"), 0);
    ck_assert_int_eq(r->how, MF_BAD_PARAMS);
}
END_TEST

int main(void)
{
    TCase *t = plugin_case();
    tcase_add_test(t, echo);
    tcase_add_test(t, a_long_message_is_few_pieces);
    tcase_add_test(t, echo_structured);
    tcase_add_test(t, sleep_reports_progress_and_answers);
    tcase_add_test(t, sleeps_end_in_the_order_of_their_ends);
    tcase_add_test(t, a_deadline_ends_a_sleep);
    tcase_add_test(t, sleeps_are_bounded);
    tcase_add_test(t, cancelling_races_with_the_steps);
    tcase_add_test(t, resources);
    tcase_add_test(t, completion);
    tcase_add_test(t, prompts);
    return plugin_main("echo", t);
}
