/* tests/sdk/test_data.c - plugins/data on the mock host. */
#include <manifold/json.h>
#include <manifold/work.h>
#include <math.h>
#include "plugin_frame.h"

static const mf_mock_result *process(const char *args)
{
    const mf_mock_result *r = mf_mock_wait(m, mf_mock_tool(m, "process_batches", args), 10000);
    ck_assert_ptr_nonnull(r);
    return r;
}

static double number(const mf_mock_result *r, const char *path)
{
    double d;
    ck_assert_int_eq(r->how, MF_DONE);
    ck_assert_int_eq(mfj_double(mfj_find(mfj_read(r->structured), path), &d), MF_OK);
    return d;
}

/* `items` times {"value":i,"name":..}; to be freed. */
static char *many(size_t items, const char *more)
{
    char *args = malloc(items * 40 + 100), *p = args + sprintf(args, "{\"data\":[");
    for (size_t i = 0; i < items; i++)
        p += sprintf(p, "%s{\"name\":\"]},{\",\"value\":%zu}", i ? " ," : "", i);
    sprintf(p, "]%s}", more);
    return args;
}

START_TEST(the_fields_of_the_answer)
{
    ck_assert_ptr_null(mf_mock_lint(&manifold_plugin_v1));
    const mf_mock_result *r = process("{\"data\":[{\"value\":1},{\"value\":2.5},{},{\"x\":9}]}");
    ck_assert_str_eq(r->structured.data,
                     "{\"result\":{\"count\":4,\"sum\":3.5},\"performance\":{\"processing_time\":0,"
                     "\"items_processed\":4,\"throughput\":0,\"batches_used\":1}}");
    r = process("{\"data\":[]}");
    ck_assert(number(r, "result/count") == 0 && number(r, "performance/batches_used") == 0);
}
END_TEST

START_TEST(batches_of_every_size_give_the_same)
{
    static const struct {
        const char *args;
        double batches;
    } sizes[] = {{",\"batch_size\":1", 1001},
                 {",\"batch_size\":7", 143},
                 {"", 11},
                 {",\"batch_size\":1000", 2},
                 {",\"batch_size\":1001", 1},
                 {",\"batch_size\":100000", 1},
                 {",\"batch_size\":7,\"use_parallel\":false", 1}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *args = many(1001, sizes[i].args);
        const mf_mock_result *r = process(args);
        ck_assert(number(r, "result/sum") == 500500 && number(r, "result/count") == 1001);
        ck_assert(number(r, "performance/items_processed") == 1001);
        ck_assert(number(r, "performance/batches_used") == sizes[i].batches);
        free(args);
    }
}
END_TEST

START_TEST(sums_are_exact_where_they_can_be)
{
    /* Beyond 2^53, where doubles have gaps. */
    const mf_mock_result *r = process("{\"data\":[{\"value\":9007199254740993},{\"value\":1}]}");
    ck_assert_ptr_nonnull(strstr(r->structured.data, "\"sum\":9007199254740994}"));
    /* Over 64 bits: as near as a double comes, whichever batch runs over. */
    for (int size = 1; size < 3; size++) {
        char args[200];
        snprintf(args, sizeof(args),
                 "{\"batch_size\":%d,\"data\":[{\"value\":9223372036854775807},{\"value\":1},"
                 "{\"value\":-9223372036854775808}]}",
                 size);
        ck_assert(fabs(number(process(args), "result/sum")) <= 1024);
    }
    ck_assert(number(process("{\"batch_size\":2,\"data\":[{\"value\":1e16},{\"value\":0.5},"
                             "{\"value\":0.5},{\"value\":-1e16}]}"),
                     "result/sum") == 1);
}
END_TEST

START_TEST(a_sum_that_is_no_number_is_an_error)
{
    const mf_mock_result *r = process("{\"data\":[{\"value\":1e308},{\"value\":1e308}]}");
    ck_assert_int_eq(r->how, MF_TOOL_ERROR);
    ck_assert_ptr_nonnull(strstr(r->text.data, "largest double"));
    ck_assert_int_eq(process("{\"data\":[{\"value\":1e999}]}")->how, MF_TOOL_ERROR);
}
END_TEST

START_TEST(cancelled_at_any_time)
{
    char *args = many(2000, ",\"batch_size\":10");
    int cancelled = 0;
    for (int i = 0; i < 100; i++) {
        mf_call call = mf_mock_tool(m, "process_batches", args);
        for (int turn = 0; turn < i % 4; turn++)
            mf_mock_run(m);
        mf_mock_cancel(m, call);
        const mf_mock_result *r = mf_mock_wait(m, call, 10000);
        ck_assert_ptr_nonnull(r);
        ck_assert(r->status == MF_ECANCELED || (r->status == MF_OK && r->how == MF_DONE));
        cancelled += r->status == MF_ECANCELED;
    }
    ck_assert_int_ge(cancelled, 25); /* those that no thread had seen */
    free(args);
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

START_TEST(more_than_the_host_takes_is_refused)
{
    enum { CALLS = MF_OPS_MAX + 1 };
    static mf_call call[CALLS];
    for (int i = 0; i < CALLS; i++)
        call[i] = mf_mock_tool(m, "process_batches", "{\"data\":[{\"value\":1}]}");
    const mf_mock_result *r = mf_mock_wait(m, call[CALLS - 1], 0);
    ck_assert(r != NULL && r->how == MF_TOOL_ERROR);
    ck_assert_ptr_nonnull(strstr(r->text.data, "try again later"));
    for (int i = 0; i < CALLS - 1; i++)
        ck_assert(number(mf_mock_wait(m, call[i], 10000), "result/sum") == 1);
}
END_TEST

int main(void)
{
    TCase *t = plugin_case();
    tcase_add_test(t, the_fields_of_the_answer);
    tcase_add_test(t, batches_of_every_size_give_the_same);
    tcase_add_test(t, sums_are_exact_where_they_can_be);
    tcase_add_test(t, a_sum_that_is_no_number_is_an_error);
    tcase_add_test(t, cancelled_at_any_time);
    tcase_add_test(t, without_threads_it_does_not_open);
    tcase_add_test(t, more_than_the_host_takes_is_refused);
    return plugin_main("data", t);
}
