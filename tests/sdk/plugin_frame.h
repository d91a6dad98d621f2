/* tests/sdk/plugin_frame.h - the frame of a bundled plugin's tests: opened on the mock host before
 * each, and held to the contract after each, whatever the test did. */
#ifndef MANIFOLD_TESTS_PLUGIN_FRAME_H
#define MANIFOLD_TESTS_PLUGIN_FRAME_H

#include <check.h>
#include <manifold/mock.h>

static mf_mock *m;

static inline void setup(void)
{
    m = mf_mock_new(&manifold_plugin_v1);
    ck_assert_int_eq(mf_mock_open(m, NULL), MF_OK);
}

static inline void teardown(void)
{
    const char *const *mistakes;
    ck_assert_int_eq(mf_mock_close(m, 10000), MF_OK);
    size_t count = mf_mock_mistakes(m, &mistakes);
    ck_assert_msg(count == 0, "%s", count ? mistakes[0] : "");
    mf_mock_free(m);
}

/* The case that plugin_main() runs. */
static inline TCase *plugin_case(void)
{
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    return t;
}

static inline int plugin_main(const char *name, TCase *t)
{
    Suite *s = suite_create(name);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

#endif
