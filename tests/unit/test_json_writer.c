#include <check.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "json/reader.h"
#include "json/writer.h"

static struct buf out = BUF_INIT(1 << 20);

#define FFFD "\xef\xbf\xbd"
#define IS(lit)                                                                           \
    do {                                                                                  \
        ck_assert_msg(str_eq(buf_view(&out), STR(lit)), "%.*s", STR_FMT(buf_view(&out))); \
        buf_clear(&out, SIZE_MAX);                                                        \
    } while (0)

static const struct {
    struct str from, to;
} texts[] = {
    {STR(""), STR("\"\"")},
    {STR("plain"), STR("\"plain\"")},
    {STR("\"\\/"), STR("\"\\\"\\\\/\"")},
    {STR("\b\f\n\r\t"), STR("\"\\b\\f\\n\\r\\t\"")},
    {STR("\0\x01\x1f\x7f"), STR("\"\\u0000\\u0001\\u001f\x7f\"")},
    {STR("0123456789abcdef\n0123456789abcdef"), STR("\"0123456789abcdef\\n0123456789abcdef\"")},
    {STR("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), STR("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"")},
    {STR("\xc3\xa9\"\xc3\xa9"), STR("\"\xc3\xa9\\\"\xc3\xa9\"")},
    /* One U+FFFD for each maximal part: the table of Unicode, section 3.9. */
    {STR("\x80"), STR("\"" FFFD "\"")},
    {STR("a\xff"
         "b"),
     STR("\"a" FFFD "b\"")},
    {STR("\xc0\x80"), STR("\"" FFFD FFFD "\"")},
    {STR("\xed\xa0\x80"), STR("\"" FFFD FFFD FFFD "\"")},
    {STR("\xf0\x90\x80x"), STR("\"" FFFD "x\"")},
    {STR("\xf4\x90\x80\x80"), STR("\"" FFFD FFFD FFFD FFFD "\"")},
    {STR("\xe2\x82"), STR("\"" FFFD "\"")},
    {STR("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), STR("\"" FFFD FFFD FFFD FFFD "A\"")},
};

START_TEST(string)
{
    ck_assert_int_eq(json_write_string(&out, texts[_i].from), 0);
    ck_assert_msg(str_eq(buf_view(&out), texts[_i].to), "%.*s", STR_FMT(buf_view(&out)));
    struct json_doc d = {0};
    struct json_error e;
    ck_assert_msg(json_read(&d, buf_view(&out), &json_limits_default, &e) == 0, "%s", e.text);
    json_doc_release(&d);
    buf_clear(&out, SIZE_MAX);
}
END_TEST

/* Strict pieces are whole characters; lossy ones have one replacement for each part that is not. */
START_TEST(pieces)
{
    const char *const bad[] = {"b\xf0\x9f\x98", "b\xf0\x9f", "b\xf0", "b\xc3",
                               "\xc3\x41",      "a\x80z",    "\xff"};
    ck_assert_int_eq(json_write_escaped(&out, STR("a\n"), false), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(json_write_escaped(&out, str_of(bad[i]), false), -EILSEQ);
    ck_assert_int_eq(out.failed, 0);
    IS("a\\n");
    ck_assert_int_eq(json_write_escaped(&out, STR("b\xf0\x9f\x98\x80"), false), 0);
    ck_assert_int_eq(json_write_escaped(&out, STR("\xc3\x41"), true), 0);
    ck_assert_int_eq(json_write_escaped(&out, STR("\x80\x80\x80\x80"), true), 0);
    ck_assert_int_eq(json_write_escaped(&out, STR("\xff"), true), 0);
    ck_assert_int_eq(json_write_escaped(&out, STR("c\xf0\x9f\x98"), true), 0);
    IS("b\xf0\x9f\x98\x80" FFFD "A" FFFD FFFD FFFD FFFD FFFD "c" FFFD);
}
END_TEST

START_TEST(valid)
{
    ck_assert(utf8_valid(STR("")));
    ck_assert(utf8_valid(STR("a\0\"\x01\x7f\xc3\xa9")));
    ck_assert(utf8_valid(STR("0123456789abcdef\xf4\x8f\xbf\xbf")));
    ck_assert(!utf8_valid(STR("01234567\xed\xa0\x80")));
    ck_assert(!utf8_valid(STR("0123456\xc3")));
    ck_assert(!utf8_valid(STR("\x80")));
}
END_TEST

/* Over the maximum: an error, and nothing of the value is left behind. */
START_TEST(maximum)
{
    struct str kinds[] = {STR("0123456789"), STR("01234\n6789"),
                          STR("0123\n"
                              "\xff"
                              "678"),
                          STR("\xc3\xa9\xc3\xa9\xc3\xa9\"\xc3\xa9\xc3\xa9")};
    for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
        struct buf whole = BUF_INIT(100);
        ck_assert_int_eq(json_write_string(&whole, kinds[k]), 0);
        for (size_t max = 0; max <= whole.len; max++) {
            struct buf b = BUF_INIT(max);
            int r = json_write_string(&b, kinds[k]);
            ck_assert_int_eq(r, max == whole.len ? 0 : -ENOBUFS);
            ck_assert_uint_eq(b.len, r ? 0 : whole.len);
            ck_assert_int_eq(b.failed, r);
            buf_release(&b);
        }
        buf_release(&whole);
    }
}
END_TEST

START_TEST(integer)
{
    static const int64_t v[] = {0, 1, -1, 42, -1000000, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        char want[32];
        snprintf(want, sizeof(want), "%lld", (long long)v[i]);
        ck_assert_int_eq(json_write_int(&out, v[i]), 0);
        ck_assert_str_eq(buf_cstr(&out), want);
        buf_clear(&out, SIZE_MAX);
    }
}
END_TEST

static const struct {
    double v;
    const char *text;
} doubles[] = {
    {0, "0"},
    {-0.0, "-0"},
    {1, "1"},
    {-3, "-3"},
    {100000, "100000"},
    {1e15, "1000000000000000"},
    {9007199254740992.0, "9007199254740992"},
    {0.1, "0.1"},
    {1.5, "1.5"},
    {-2.25, "-2.25"},
    {0.1 + 0.2, "0.30000000000000004"},
    {1e22, "1e22"},
    {1.5e300, "1.5e300"},
    {1e-7, "1e-7"},
    {1e100, "1e100"},
    {1.25e-10, "1.25e-10"},
    {5e-324, "5e-324"},
    {DBL_MAX, "1.7976931348623157e308"},
    {DBL_MIN, "2.2250738585072014e-308"},
    {M_PI, "3.141592653589793"},
    {1.0 / 3, "0.3333333333333333"},
    {NAN, "null"},
    {INFINITY, "null"},
    {-INFINITY, "null"},
};

START_TEST(real)
{
    ck_assert_int_eq(json_write_double(&out, doubles[_i].v), 0);
    ck_assert_str_eq(buf_cstr(&out), doubles[_i].text);
    if (isfinite(doubles[_i].v)) {
        struct json_doc d = {0};
        struct json_error e;
        double back;
        ck_assert_int_eq(json_read(&d, buf_view(&out), &json_limits_default, &e), 0);
        ck_assert(json_double(&d, 0, &back));
        ck_assert(!memcmp(&back, &doubles[_i].v, sizeof(back)));
        json_doc_release(&d);
    }
    buf_clear(&out, SIZE_MAX);
}
END_TEST

/* Any bits that are a number read back as the same number. */
START_TEST(real_round_trip)
{
    uint64_t state = 88172645463325252u;
    struct json_doc d = {0};
    struct json_error e;
    for (int i = 0; i < 20000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        double v, back;
        memcpy(&v, &state, sizeof(v));
        if (!isfinite(v))
            continue;
        buf_clear(&out, SIZE_MAX);
        ck_assert_int_eq(json_write_double(&out, v), 0);
        ck_assert_int_eq(json_read(&d, buf_view(&out), &json_limits_default, &e), 0);
        ck_assert(json_double(&d, 0, &back));
        ck_assert_msg(back == v, "%a became %.*s", v, STR_FMT(buf_view(&out)));
    }
    buf_clear(&out, SIZE_MAX);
    json_doc_release(&d);
}
END_TEST

START_TEST(base64)
{
    /* RFC 4648 section 10, and the last two digits of the alphabet. */
    static const char *const pair[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"},
    };
    for (size_t i = 0; i < sizeof(pair) / sizeof(*pair); i++) {
        ck_assert_int_eq(base64_append(&out, str_of(pair[i][0])), 0);
        ck_assert_str_eq(buf_cstr(&out), pair[i][1]);
        buf_clear(&out, SIZE_MAX);
    }
    struct buf b = BUF_INIT(4);
    ck_assert_int_eq(base64_append(&b, STR("abc")), 0);
    ck_assert_uint_eq(b.len, 4);
    ck_assert_int_eq(base64_append(&b, STR("a")), -ENOBUFS);
    ck_assert_uint_eq(b.len, 4);
    buf_release(&b);
}
END_TEST

START_TEST(compact)
{
    /* Without a line break it is a copy. */
    ck_assert_int_eq(json_write_compact(&out, STR("{ \"a\" : [ 1 ,\t2 ] }")), 0);
    IS("{ \"a\" : [ 1 ,\t2 ] }");
    ck_assert_int_eq(
        json_write_compact(&out, STR("{\r\n \"a b\\\" \" : [ 1 ,\n\t-2e5, true ]\n}\n")), 0);
    IS("{\"a b\\\" \":[1,-2e5,true]}");
    ck_assert_int_eq(json_write_compact(&out, STR("\r\"  \\\\\"")), 0);
    IS("\"  \\\\\"");
    ck_assert_int_eq(json_write_compact(&out, STR("")), 0);
    IS("");
    struct buf b = BUF_INIT(4);
    ck_assert_int_eq(json_write_compact(&b, STR("[1,\n2]")), -ENOBUFS);
    ck_assert_uint_eq(b.len, 0);
    buf_release(&b);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

int main(void)
{
    Suite *s = suite_create("json writer");
    TCase *t = tcase_create("all");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, string, 0, COUNT(texts));
    tcase_add_test(t, pieces);
    tcase_add_test(t, valid);
    tcase_add_test(t, maximum);
    tcase_add_test(t, integer);
    tcase_add_loop_test(t, real, 0, COUNT(doubles));
    tcase_add_test(t, real_round_trip);
    tcase_add_test(t, base64);
    tcase_add_test(t, compact);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    buf_release(&out);
    return failed != 0;
}
