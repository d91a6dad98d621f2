/* tests/sdk/test_perf.c - plugins/perf on the mock host. */
#include <manifold/json.h>
#include <manifold/work.h>
#include "plugin_frame.h"

static const mf_mock_result *read_one(const char *name, const char *args)
{
    const mf_mock_result *r = mf_mock_wait(m, mf_mock_read(m, name, "x:y", args), 10000);
    ck_assert_ptr_nonnull(r);
    return r;
}

static double number(const mf_mock_result *r, const char *path)
{
    double d;
    ck_assert_int_eq(r->how, MF_DONE);
    ck_assert_int_eq(mfj_double(mfj_find(mfj_read(r->text), path), &d), MF_OK);
    return d;
}

START_TEST(figures_of_each_kind)
{
    ck_assert_ptr_null(mf_mock_lint(&manifold_plugin_v1));
    const mf_mock_result *r = read_one("system", NULL);
    ck_assert(number(r, "system/cpu_usage") >= 0 && number(r, "timestamp") > 1.6e9);
    ck_assert(number(r, "system/memory_usage") > 0 && number(r, "system/memory_usage") <= 100);
    ck_assert(number(r, "system/disk_usage") >= 0 && number(r, "system/disk_usage") <= 100);
    r = read_one("data", "{\"data_type\":\"process\"}");
    ck_assert(number(r, "process/cpu_seconds") >= 0 && number(r, "process/largest_memory_mib") > 0);
    ck_assert(mfj_string_is(mfj_get(mfj_read(r->text), "type"), MF_LIT("process")));
    ck_assert_int_eq(read_one("data", "{\"data_type\":\"none\"}")->how, MF_NOT_FOUND);
    /* Three reads so far, of which one found nothing, in a minute. */
    mf_mock_advance(m, UINT64_C(60000000000));
    r = read_one("data", "{\"data_type\":\"analytics\"}");
    ck_assert(number(r, "metrics/requests_per_minute") == 3);
    ck_assert(number(r, "metrics/average_response_time") == 0); /* the clock stood still */
    r = read_one("analytics", NULL);
    ck_assert(number(r, "metrics/error_rate") == 0.25);
}
END_TEST

START_TEST(a_computation_is_a_function_of_its_input)
{
    char first[64];
    const mf_mock_result *r = read_one("cached", "{\"input\":\"a \\\"b\\\" \\u00e9\"}");
    ck_assert(mfj_string_is(mfj_get(mfj_read(r->text), "input"), MF_LIT("a \"b\" \xC3\xA9")));
    ck_assert_int_eq(mfj_cstring(mfj_get(mfj_read(r->text), "result"), first, sizeof(first)),
                     MF_OK);
    ck_assert_int_eq(strncmp(first, "computed_", 9), 0);
    ck_assert(number(r, "computation_time") >= 0);
    r = read_one("cached", "{\"input\":\"a \\\"b\\\" \xC3\xA9\"}");
    ck_assert_ptr_nonnull(strstr(r->text.data, first));
    /* Two others, which would have to be the same one by one chance in 10^8. */
    ck_assert(strstr(read_one("cached", "{\"input\":\"\"}")->text.data, first) == NULL ||
              strstr(read_one("cached", "{\"input\":\"b\"}")->text.data, first) == NULL);
}
END_TEST

START_TEST(inputs_are_bounded)
{
    char args[1100] = "{\"input\":\"";
    size_t n = strlen(args);
    memset(args + n, 'x', 1024);
    memcpy(args + n + 1024, "\"}", 3);
    ck_assert_int_eq(read_one("cached", args)->how, MF_DONE);
    memcpy(args + n + 1022, "\\n\"}", 5);
    ck_assert_int_eq(read_one("cached", args)->how, MF_DONE);
    memset(args + n, 'x', 1025);
    memcpy(args + n + 1025, "\"}", 3);
    ck_assert_int_eq(read_one("cached", args)->how, MF_BAD_PARAMS);
    memset(args + n, 'x', 1030);
    memcpy(args + n + 1028, "\\n\"}", 5);
    ck_assert_int_eq(read_one("cached", args)->how, MF_BAD_PARAMS);
    ck_assert_int_eq(read_one("cached", "{\"input\":\"a\\u0000b\"}")->how, MF_BAD_PARAMS);
    ck_assert_int_eq(read_one("cached", "{}")->how, MF_BAD_PARAMS);
}
END_TEST

START_TEST(cancelled_at_any_time)
{
    for (int i = 0; i < 30; i++) {
        mf_call call = mf_mock_read(m, "cached", "x:y", "{\"input\":\"a\"}");
        for (int turn = 0; turn < i % 3; turn++)
            mf_mock_run(m);
        mf_mock_cancel(m, call);
        ck_assert_ptr_nonnull(mf_mock_wait(m, call, 10000));
    }
}
END_TEST

START_TEST(without_threads_it_does_not_open)
{
    mf_mock *other = mf_mock_new(&manifold_plugin_v1);
    mf_mock_set_extension(other, MF_EXT_WORK, NULL);
    ck_assert_int_eq(mf_mock_open(other, NULL), MF_ENOTSUP);
    mf_mock_free(other);
}
END_TEST

int main(void)
{
    TCase *t = plugin_case();
    tcase_add_test(t, figures_of_each_kind);
    tcase_add_test(t, a_computation_is_a_function_of_its_input);
    tcase_add_test(t, inputs_are_bounded);
    tcase_add_test(t, cancelled_at_any_time);
    tcase_add_test(t, without_threads_it_does_not_open);
    return plugin_main("perf", t);
}
