/* tests/sdk/test_has.c - MF_HAS() with structs of other sizes than this header's. */
#include <manifold/plugin.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* A struct as a side with an older header made it: only `size` bytes exist, so
 * ASan sees whoever reads on. */
static mf_host *host_of_size(uint32_t size)
{
    mf_host *h = malloc(size);
    memset(h, 0xA5, size);
    h->size = size;
    return h;
}

START_TEST(a_field_is_there_only_as_a_whole)
{
    uint32_t at = (uint32_t)offsetof(mf_host, finish);
    uint32_t len = (uint32_t)sizeof(((mf_host *)0)->finish);
    for (uint32_t size = at; size <= at + len; size++) {
        mf_host *h = host_of_size(size);
        ck_assert_int_eq(MF_HAS(h, finish), size == at + len);
        ck_assert(MF_HAS(h, now));
        ck_assert(!MF_HAS(h, is_cancelled));
        free(h);
    }
}
END_TEST

START_TEST(a_larger_struct_has_all_fields)
{
    mf_host *h = host_of_size((uint32_t)sizeof(mf_host) + 64);
    ck_assert(MF_HAS(h, size) && MF_HAS(h, extension) && MF_HAS(h, is_cancelled));
    free(h);
}
END_TEST

START_TEST(nothing_is_there_without_a_size)
{
    mf_host *h = host_of_size(sizeof(uint32_t));
    ck_assert(MF_HAS(h, size));
    ck_assert(!MF_HAS(h, abi_minor));
    h->size = 0;
    ck_assert(!MF_HAS(h, size));
    free(h);
}
END_TEST

START_TEST(works_on_every_struct)
{
    static const mf_plugin old = {.size = offsetof(mf_plugin, extension)};
    mf_request r = {.size = offsetof(mf_request, meta)};
    mf_entry e = {.size = sizeof(e)};
    ck_assert(MF_HAS(&old, close) && !MF_HAS(&old, extension));
    ck_assert(MF_HAS(&r, state) && !MF_HAS(&r, meta));
    ck_assert(MF_HAS(&e, name));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("MF_HAS");
    TCase *t = tcase_create("all");
    tcase_add_test(t, a_field_is_there_only_as_a_whole);
    tcase_add_test(t, a_larger_struct_has_all_fields);
    tcase_add_test(t, nothing_is_there_without_a_size);
    tcase_add_test(t, works_on_every_struct);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
