/* base/: the bounded buffer, the map, the error sentence. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"

START_TEST(buf_never_exceeds_its_maximum)
{
    for (size_t max = 0; max < 300; max += 7) {
        struct buf b = BUF_INIT(max);
        for (size_t i = 0; i < max; i++)
            ck_assert_int_eq(buf_byte(&b, 'x'), 0);
        ck_assert_uint_eq(b.len, max);
        ck_assert_int_eq(buf_byte(&b, 'y'), -ENOBUFS);
        ck_assert_int_eq(buf_lit(&b, "yy"), -ENOBUFS);
        ck_assert_int_eq(buf_reserve(&b, 1), -ENOBUFS);
        ck_assert_int_eq(buf_printf(&b, "%d", 1), -ENOBUFS);
        ck_assert_uint_eq(b.len, max);
        ck_assert_int_eq(b.failed, -ENOBUFS);
        const char *z = buf_cstr(&b);
        ck_assert_uint_eq(strlen(z), max);
        buf_release(&b);
    }
}
END_TEST

START_TEST(buf_keeps_its_content_on_error)
{
    struct buf b = BUF_INIT(8);
    ck_assert_int_eq(buf_lit(&b, "12345"), 0);
    ck_assert_int_eq(buf_lit(&b, "6789"), -ENOBUFS);
    ck_assert(str_eq(buf_view(&b), STR("12345")));
    ck_assert_int_eq(buf_lit(&b, "678"), 0);
    ck_assert(str_eq(buf_view(&b), STR("12345678")));
    ck_assert_int_eq(b.failed, -ENOBUFS);
    buf_clear(&b, 100);
    ck_assert_int_eq(b.failed, 0);
    ck_assert_uint_gt(b.cap, 0);
    buf_clear(&b, 0);
    ck_assert_uint_eq(b.cap, 0);
}
END_TEST

START_TEST(buf_printf_of_any_length)
{
    struct buf b = BUF_INIT(1000);
    char long_text[600];
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = 0;
    ck_assert_int_eq(buf_printf(&b, "<%s>", long_text), 0);
    ck_assert_uint_eq(b.len, 601);
    ck_assert_int_eq(buf_printf(&b, "<%s>", long_text), -ENOBUFS);
    ck_assert_uint_eq(b.len, 601);
    buf_release(&b);
}
END_TEST

START_TEST(map_holds_each_key_once)
{
    enum { N = 1000 };
    static struct map_node node[N], again;
    static char key[N][16];
    struct map m = {0};
    ck_assert_ptr_null(map_find(&m, STR("x")));
    for (int i = 0; i < N; i++) {
        snprintf(key[i], sizeof(key[i]), "key%d", i);
        ck_assert(map_add(&m, &node[i], str_of(key[i])));
        ck_assert(!map_add(&m, &again, str_of(key[i])));
    }
    for (int i = 0; i < N; i += 2)
        map_remove(&m, &node[i]);
    for (int i = 0; i < N; i++)
        ck_assert_ptr_eq(map_find(&m, str_of(key[i])), i % 2 ? &node[i] : NULL);
    ck_assert_uint_eq(m.count, N / 2);
    map_release(&m);
}
END_TEST

START_TEST(err_is_cut_at_a_character)
{
    struct err e;
    char text[sizeof(e.text) + 10];
    for (size_t i = 0; i + 2 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[sizeof(text) - 1 - (sizeof(text) - 1) % 2] = 0;
    ck_assert_int_eq(err_set(&e, -EINVAL, "%s", text), -EINVAL);
    ck_assert_uint_eq(strlen(e.text) % 2, 0);
    ck_assert_uint_gt(strlen(e.text), sizeof(e.text) - 4);
    err_set(&e, -EINVAL, "b");
    err_prefix(&e, "a:%d", 1);
    ck_assert_str_eq(e.text, "a:1: b");
    ck_assert_int_eq(err_set(NULL, -EIO, "x"), -EIO);
}
END_TEST

START_TEST(list_nodes_come_and_go)
{
    struct list head, a = {0}, b = {0};
    list_init(&head);
    list_remove(&a);
    list_append(&head, &a);
    list_append(&head, &b);
    ck_assert(list_linked(&a));
    ck_assert_ptr_eq(list_pop(&head), &a);
    ck_assert(!list_linked(&a));
    list_remove(&b);
    ck_assert(list_empty(&head));
    ck_assert_ptr_null(list_pop(&head));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base");
    TCase *c = tcase_create("base");
    tcase_add_test(c, buf_never_exceeds_its_maximum);
    tcase_add_test(c, buf_keeps_its_content_on_error);
    tcase_add_test(c, buf_printf_of_any_length);
    tcase_add_test(c, map_holds_each_key_once);
    tcase_add_test(c, err_is_cut_at_a_character);
    tcase_add_test(c, list_nodes_come_and_go);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
