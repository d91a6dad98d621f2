#include <check.h>
#include <stdlib.h>
#include "engine/trace.h"

#define PARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static const struct {
    const char *meta, *parent, *state; /* parent NULL: none */
} rows[] = {
    {"{}", NULL, ""},
    {"", NULL, ""},
    {"{\"traceparent\":\"" PARENT "\"}", PARENT, ""},
    {"{\"traceparent\":\"" PARENT "\",\"tracestate\":\"a=1,b=2\"}", PARENT, "a=1,b=2"},
    {"{\"tracestate\":\"a=1\"}", NULL, ""},
    {"{\"traceparent\":\"" PARENT "\",\"tracestate\":\"a=1\\r\\nX: y\"}", PARENT, ""},
    {"{\"traceparent\":\"" PARENT "\\n\"}", NULL, ""},
    {"{\"traceparent\":\"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01\"}", NULL, ""},
    {"{\"traceparent\":\"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}", NULL, ""},
    {"{\"traceparent\":7}", NULL, ""},
    {"{\"x\":{\"traceparent\":\"" PARENT "\"}}", NULL, ""},
    {"{\"traceparent\":\"00-", NULL, ""},
};

START_TEST(test_trace)
{
    struct trace t;
    bool found = trace_read(str_of(rows[_i].meta), &t);
    ck_assert_int_eq(found, rows[_i].parent != NULL);
    if (found) {
        ck_assert_str_eq(t.parent, rows[_i].parent);
        ck_assert_str_eq(t.state, rows[_i].state);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("engine_trace");
    TCase *t = tcase_create("trace");
    tcase_add_loop_test(t, test_trace, 0, sizeof(rows) / sizeof(rows[0]));
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
