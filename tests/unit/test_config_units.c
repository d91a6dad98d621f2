/* Durations, sizes, rates and plain scalars as manifests write them. */
#include <check.h>
#include "config/scalar.h"
#include "config/text.h"
#include "config/units.h"

#define MS UINT64_C(1000000)

START_TEST(duration_texts)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"250ms", 250 * MS},  {"30s", 30000 * MS}, {"5m", 300000 * MS},
                {"1h", 3600000 * MS}, {"0s", 0},           {"10000h", UNITS_DURATION_MAX},
                {"007s", 7000 * MS}};
    static const char *const bad[] = {"",      "30",    "s",  "1.5s",   "-1s",          "30 s",
                                      "30sec", "1h30m", "5M", "10001h", "99999999999s", "5us",
                                      "0x5s"};
    uint64_t ns;
    struct err e;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_int_eq(units_duration(str_of(good[i].text), &ns, &e), 0);
        ck_assert_uint_eq(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ns = 42;
        ck_assert_msg(units_duration(str_of(bad[i]), &ns, &e) < 0, "%s", bad[i]);
        ck_assert_uint_eq(ns, 42);
    }
    units_duration(STR("5 min"), &ns, &e);
    ck_assert_str_eq(e.text, "expected a duration such as 250ms, 30s, 5m or 1h, found \"5 min\"");
    units_duration(STR("10001h"), &ns, &e);
    ck_assert_str_eq(e.text, "expected a duration of at most 10000h, found \"10001h\"");
}
END_TEST

START_TEST(size_texts)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0B", 0},         {"512B", 512},     {"16KiB", 16384},
                {"4MiB", 4 << 20}, {"1GiB", 1 << 30}, {"1024GiB", UNITS_SIZE_MAX}};
    static const char *const bad[] = {"",    "4",       "4MB", "4Mi",  "4mib",
                                      "-4B", "1025GiB", "B",   "4 MiB"};
    uint64_t bytes;
    struct err e;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_int_eq(units_size(str_of(good[i].text), &bytes, &e), 0);
        ck_assert_uint_eq(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(units_size(str_of(bad[i]), &bytes, &e) < 0, "%s", bad[i]);
    units_size(STR("4MB"), &bytes, &e);
    ck_assert_str_eq(e.text, "expected a size such as 512B, 16KiB, 4MiB or 1GiB, found \"4MB\"");
    units_size(STR("2000GiB"), &bytes, &e);
    ck_assert_str_eq(e.text, "expected a size of at most 1024GiB, found \"2000GiB\"");
}
END_TEST

START_TEST(rate_texts)
{
    static const char *const bad[] = {
        "",    "50",          "50/m",      "50/s burst", "50/s burst x", "/s", "50/s burst 5 ",
        "0/s", "5/s burst 0", "1000001/s", "None"};
    struct rate r;
    struct err e;
    ck_assert_int_eq(units_rate(STR("50/s"), &r, &e), 0);
    ck_assert(r.per_second == 50 && r.burst == 50);
    ck_assert_int_eq(units_rate(STR("50/s burst 100"), &r, &e), 0);
    ck_assert(r.per_second == 50 && r.burst == 100);
    ck_assert_int_eq(units_rate(STR("none"), &r, &e), 0);
    ck_assert(r.per_second == 0 && r.burst == 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(units_rate(str_of(bad[i]), &r, &e) < 0, "%s", bad[i]);
    units_rate(STR("50/m"), &r, &e);
    ck_assert_str_eq(e.text,
                     "expected a rate such as 50/s, \"50/s burst 100\" or none, found \"50/m\"");
}
END_TEST

START_TEST(shown_values_read_back)
{
    static const char *const durations[] = {"250ms", "30s", "5m", "1h", "90s", "1500ms", "0ms"};
    static const char *const sizes[] = {"512B", "4MiB", "1GiB", "1536KiB", "0B"};
    static const char *const rates[] = {"none", "50/s", "50/s burst 100"};
    char shown[UNITS_SHOWN];
    uint64_t v;
    struct rate r;
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        ck_assert_int_eq(units_duration(str_of(durations[i]), &v, NULL), 0);
        ck_assert_str_eq(units_show_duration(v, shown), durations[i]);
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ck_assert_int_eq(units_size(str_of(sizes[i]), &v, NULL), 0);
        ck_assert_str_eq(units_show_size(v, shown), sizes[i]);
    }
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        ck_assert_int_eq(units_rate(str_of(rates[i]), &r, NULL), 0);
        ck_assert_str_eq(units_show_rate(r, shown), rates[i]);
    }
}
END_TEST

START_TEST(plain_scalars)
{
    static const struct {
        enum scalar_kind kind;
        const char *text;
    } t[] = {
        {SCALAR_NULL, ""},
        {SCALAR_NULL, "~"},
        {SCALAR_NULL, "null"},
        {SCALAR_STRING, "Null"},
        {SCALAR_BOOLEAN, "true"},
        {SCALAR_BOOLEAN, "false"},
        {SCALAR_STRING, "True"},
        {SCALAR_STRING, "yes"},
        {SCALAR_STRING, "no"},
        {SCALAR_STRING, "on"},
        {SCALAR_STRING, "off"},
        {SCALAR_NUMBER, "0"},
        {SCALAR_NUMBER, "-0"},
        {SCALAR_NUMBER, "42"},
        {SCALAR_NUMBER, "-1.5"},
        {SCALAR_NUMBER, "1e3"},
        {SCALAR_NUMBER, "1.5E-3"},
        {SCALAR_NUMBER, "1e+9"},
        {SCALAR_AMBIGUOUS, "0755"},
        {SCALAR_AMBIGUOUS, "0o17"},
        {SCALAR_AMBIGUOUS, "0x1F"},
        {SCALAR_AMBIGUOUS, "0b10"},
        {SCALAR_AMBIGUOUS, "00"},
        {SCALAR_AMBIGUOUS, "12:30"},
        {SCALAR_AMBIGUOUS, "1:30:59.5"},
        {SCALAR_AMBIGUOUS, "1_000"},
        {SCALAR_AMBIGUOUS, ".5"},
        {SCALAR_AMBIGUOUS, "5."},
        {SCALAR_AMBIGUOUS, "+1"},
        {SCALAR_AMBIGUOUS, ".inf"},
        {SCALAR_AMBIGUOUS, "-.Inf"},
        {SCALAR_AMBIGUOUS, ".nan"},
        {SCALAR_AMBIGUOUS, "-012"},
        {SCALAR_AMBIGUOUS, "1.e3"},
        {SCALAR_STRING, "1.2.3"},
        {SCALAR_STRING, "10.0.0.1"},
        {SCALAR_STRING, "2024-01-01"},
        {SCALAR_STRING, "2024-01-01T10:00:00Z"},
        {SCALAR_STRING, "8080:80"},
        {SCALAR_STRING, "12:60"},
        {SCALAR_STRING, "-"},
        {SCALAR_STRING, "."},
        {SCALAR_STRING, "..."},
        {SCALAR_STRING, "1e"},
        {SCALAR_STRING, "0x"},
        {SCALAR_STRING, "0o8"},
        {SCALAR_STRING, "30s"},
        {SCALAR_STRING, "-x"},
        {SCALAR_STRING, "+"},
        {SCALAR_STRING, "1:"},
        {SCALAR_STRING, "Infinity"},
        {SCALAR_STRING, "NaN"},
        {SCALAR_STRING, "12a"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        ck_assert_msg(scalar_kind(str_of(t[i].text)) == t[i].kind, "%s is %d", t[i].text,
                      scalar_kind(str_of(t[i].text)));
}
END_TEST

START_TEST(near_words)
{
    ck_assert(text_near(STR("limts"), STR("limits")));
    ck_assert(text_near(STR("limtis"), STR("limits")));
    ck_assert(text_near(STR("limitss"), STR("limits")));
    ck_assert(text_near(STR("input_schema"), STR("inputSchema")));
    ck_assert(text_near(STR("desc"), STR("description")));
    ck_assert(!text_near(STR("foo"), STR("limits")));
    ck_assert(!text_near(STR("x"), STR("y")));
    ck_assert(!text_near(STR("id"), STR("uri")));
}
END_TEST

START_TEST(quoted_text)
{
    char out[TEXT_SHOWN], longer[400];
    ck_assert_str_eq(text_quoted(STR("a\nb"), out), "\"a?b\"");
    ck_assert_str_eq(text_quoted(STR_NONE, out), "\"\"");
    /* The cut never falls inside a character of two bytes. */
    for (size_t i = 0; i < sizeof(longer); i += 2)
        memcpy(longer + i, "\xC3\xA9", 2);
    for (size_t from = 0; from < 2; from++) {
        longer[0] = 'x';
        longer[1] = 'x';
        text_quoted((struct str){longer + from, sizeof(longer) - from}, out);
        size_t n = strlen(out);
        ck_assert(n < TEXT_SHOWN && strcmp(out + n - 4, "...\"") == 0);
        ck_assert_int_eq((unsigned char)out[n - 5], 0xA9);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config units");
    TCase *t = tcase_create("all");
    tcase_add_test(t, duration_texts);
    tcase_add_test(t, size_texts);
    tcase_add_test(t, rate_texts);
    tcase_add_test(t, shown_values_read_back);
    tcase_add_test(t, plain_scalars);
    tcase_add_test(t, near_words);
    tcase_add_test(t, quoted_text);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}
