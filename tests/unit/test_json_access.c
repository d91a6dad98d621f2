/* Asking the tape: members, strings, numbers, equality; and what a random document survives. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "json/reader.h"
#include "json_tape.h"

static struct json_doc one, two;

static void load(struct json_doc *d, struct str text)
{
    struct json_error e;
    struct json_limits limits = json_limits_default;
    limits.nodes = 1u << 20;
    ck_assert_msg(json_read(d, text, &limits, &e) == 0, "%.*s: %s", STR_FMT(text), e.text);
}

static void loads(struct json_doc *d, const char *text)
{
    load(d, str_of(text));
}

START_TEST(get)
{
    loads(&one, "{\"a\":1,\"\\u0062\":[],\"\":2,\"c\\\\d\":3,\"o\":{\"a\":4},\"n\\u0000l\":5}");
    ck_assert_uint_eq(json_get(&one, 0, STR("a")), 2);
    ck_assert_uint_eq(json_get(&one, 0, STR("b")), 4);
    ck_assert_uint_eq(json_get(&one, 0, STR("")), 6);
    ck_assert_uint_eq(json_get(&one, 0, STR("c\\d")), 8);
    ck_assert_uint_eq(json_get(&one, 0, STR("c\\\\d")), 0);
    ck_assert_uint_eq(json_get(&one, 0, STR("n\0l")), 14);
    ck_assert_uint_eq(json_get(&one, 0, STR("n")), 0);
    ck_assert_uint_eq(json_get(&one, 0, STR("A")), 0);
    ck_assert_uint_eq(json_get(&one, 0, STR("\\u0062")), 0);
    ck_assert_uint_eq(json_get(&one, json_get(&one, 0, STR("o")), STR("a")), 12);
    /* Of what is no object, nothing. */
    ck_assert_uint_eq(json_get(&one, 2, STR("a")), 0);
    ck_assert_uint_eq(json_get(&one, 4, STR("a")), 0);
}
END_TEST

START_TEST(first_accepted_duplicate_is_found)
{
    struct json_limits limits = json_limits_default;
    struct json_error e;
    limits.duplicates = true;
    ck_assert_int_eq(json_read(&one, STR("{\"a\":1,\"a\":2}"), &limits, &e), 0);
    ck_assert_uint_eq(json_get(&one, 0, STR("a")), 2);
}
END_TEST

START_TEST(strings)
{
    struct buf b = BUF_INIT(64);
    loads(&one, "[\"plain\",\"a\\u00e9\\ud83d\\ude00\\\"\\/\\n\\u20ac\",\"\",\"\\u0000x\",1]");
    ck_assert_ptr_eq(json_string(&one, 1, &b).p, one.text + 2);
    ck_assert(str_eq(json_string(&one, 1, &b), STR("plain")));
    ck_assert(str_eq(json_string(&one, 2, &b), STR("a\xc3\xa9\xf0\x9f\x98\x80\"/\n\xe2\x82\xac")));
    ck_assert(str_eq(json_string(&one, 3, &b), STR("")));
    ck_assert_ptr_nonnull(json_string(&one, 3, &b).p);
    ck_assert(str_eq(json_string(&one, 4, &b), STR("\0x")));
    ck_assert(json_string_eq(&one, 1, STR("plain")));
    ck_assert(!json_string_eq(&one, 1, STR("plain2")));
    ck_assert(!json_string_eq(&one, 1, STR("plai")));
    ck_assert(json_string_eq(&one, 2, STR("a\xc3\xa9\xf0\x9f\x98\x80\"/\n\xe2\x82\xac")));
    ck_assert(!json_string_eq(&one, 2, STR("a\xc3\xa9\xf0\x9f\x98\x80\"/\n\xe2\x82")));
    ck_assert(json_string_eq(&one, 4, STR("\0x")));
    ck_assert(!json_string_eq(&one, 5, STR("1")));
    /* Too little room: an error, and what was there stays. */
    struct buf small = BUF_INIT(5);
    ck_assert_int_eq(buf_lit(&small, "ab"), 0);
    ck_assert_ptr_null(json_string(&one, 2, &small).p);
    ck_assert_uint_eq(small.len, 2);
    ck_assert_int_eq(small.failed, -ENOBUFS);
    buf_release(&small);
    buf_release(&b);
}
END_TEST

static const struct {
    const char *text;
    bool is;
    int64_t value;
} integers[] = {
    {"0", true, 0},
    {"-0", true, 0},
    {"-0.0e5", true, 0},
    {"0e999999999999999999999", true, 0},
    {"42", true, 42},
    {"42.0", true, 42},
    {"4.2e1", true, 42},
    {"4200e-2", true, 42},
    {"0.042E3", true, 42},
    {"0.000000000000000000000000000042e30", true, 42},
    {"420000000000000000000000000000e-28", true, 42},
    {"1e2", true, 100},
    {"1.0", true, 1},
    {"1.5", false, 0},
    {"1.50e1", true, 15},
    {"1.55e1", false, 0},
    {"1e-1", false, 0},
    {"9007199254740992", true, INT64_C(9007199254740992)},
    {"9007199254740993", true, INT64_C(9007199254740993)},
    {"9007199254740993.0", true, INT64_C(9007199254740993)},
    {"9223372036854775807", true, INT64_MAX},
    {"9223372036854775807.000", true, INT64_MAX},
    {"9.223372036854775807e18", true, INT64_MAX},
    {"9223372036854775808", false, 0},
    {"-9223372036854775808", true, INT64_MIN},
    {"-9223372036854775809", false, 0},
    {"18446744073709551616", false, 0},
    {"18446744073709551617", false, 0},
    {"1e18", true, INT64_C(1000000000000000000)},
    {"9e18", true, INT64_C(9000000000000000000)},
    {"1e19", false, 0},
    {"99e18", false, 0},
    {"1e400", false, 0},
    {"1e99999999999999999999999", false, 0},
    {"1e-99999999999999999999999", false, 0},
    {"1234567890123456789012345678901234567890", false, 0},
    {"0.1", false, 0},
    {"\"1\"", false, 0},
    {"true", false, 0},
    {"[1]", false, 0},
};

START_TEST(integer)
{
    int64_t v = 77;
    loads(&one, integers[_i].text);
    ck_assert_msg(json_int(&one, 0, &v) == integers[_i].is, "%s", integers[_i].text);
    ck_assert_msg(v == (integers[_i].is ? integers[_i].value : 77), "%s: %lld", integers[_i].text,
                  (long long)v);
}
END_TEST

static const char *const doubles[] = {
    "0",
    "1",
    "-1",
    "0.1",
    "1.5",
    "123456789012345",
    "1e22",
    "1e23",
    "8.5e-23",
    "3.141592653589793",
    "9007199254740993",
    "0.30000000000000004",
    "2.2250738585072011e-308",
    "2.2250738585072014e-308",
    "4.9e-324",
    "2e-324",
    "1.7976931348623157e308",
    "1.7976931348623159e308",
    "1e400",
    "-1e400",
    "1e-400",
    "0.000000000000000000000000000000000000000000001",
    "12345678901234567890e-10",
    "1e999999999999999999999",
    "100000000000000000000000000000000000000000000000000000000000001e-60",
};

/* By the C library, which rounds rightly; ours must agree bit for bit. */
START_TEST(doubles_agree_with_strtod)
{
    double v, want = strtod(doubles[_i], NULL);
    loads(&one, doubles[_i]);
    ck_assert(json_double(&one, 0, &v));
    ck_assert_msg(!memcmp(&v, &want, sizeof(v)), "%s: %a, expected %a", doubles[_i], v, want);
}
END_TEST

/* Half way between two doubles, and the digit that decides is the 900th. */
START_TEST(double_of_many_digits)
{
    struct buf b = BUF_INIT(4096);
    buf_lit(&b, "9007199254740993.");
    for (int i = 0; i < 900; i++)
        buf_byte(&b, '0');
    double v;
    load(&one, buf_view(&b));
    ck_assert(json_double(&one, 0, &v));
    ck_assert(v == 9007199254740992.0);
    buf_byte(&b, '1');
    load(&one, buf_view(&b));
    ck_assert(json_double(&one, 0, &v));
    ck_assert(v == 9007199254740994.0);
    loads(&one, "-0.0");
    ck_assert(json_double(&one, 0, &v) && v == 0 && signbit(v));
    loads(&one, "\"1\"");
    ck_assert(!json_double(&one, 0, &v));
    buf_release(&b);
}
END_TEST

static const struct {
    const char *a, *b;
    bool equal;
} pairs[] = {
    {"1", "1.0", true},
    {"1", "10e-1", true},
    {"-0", "0.0", true},
    {"0e5", "0", true},
    {"1", "-1", false},
    {"100", "1e2", true},
    {"0.001", "1e-3", true},
    {"1.0010", "1001e-3", true},
    {"1.001", "1.0011", false},
    {"9007199254740993", "9007199254740992", false},
    {"9007199254740993", "9007199254740993.0", true},
    {"1e400", "1e401", false},
    {"1e400", "10e399", true},
    {"12", "1.2", false},
    {"12", "21", false},
    {"\"a\"", "\"\\u0061\"", true},
    {"\"\\n\"", "\"\\u000a\"", true},
    {"\"a\"", "\"b\"", false},
    {"\"a\"", "\"ab\"", false},
    {"\"\\u0061b\"", "\"\\u0061\"", false},
    {"\"\\u0000\"", "\"\"", false},
    {"\"1\"", "1", false},
    {"null", "false", false},
    {"true", "false", false},
    {"true", "true", true},
    {"[]", "{}", false},
    {"[1,2]", "[1.0,2]", true},
    {"[1,2]", "[2,1]", false},
    {"[1,2]", "[1,2,3]", false},
    {"[[1],[]]", "[[],[1]]", false},
    {"{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"\\u0061\":1}", true},
    {"{\"a\":1,\"b\":2}", "{\"a\":2,\"b\":1}", false},
    {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
    {"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
    {"{\"a\":{\"x\":1,\"y\":2},\"c\":0,\"b\":[]}", "{\"b\":[],\"a\":{\"y\":2,\"x\":1},\"c\":0}",
     true},
};

START_TEST(equality)
{
    loads(&one, pairs[_i].a);
    loads(&two, pairs[_i].b);
    ck_assert_msg(json_equal(&one, 0, &two, 0) == pairs[_i].equal, "%s and %s", pairs[_i].a,
                  pairs[_i].b);
    ck_assert_msg(json_equal(&two, 0, &one, 0) == pairs[_i].equal, "%s and %s", pairs[_i].b,
                  pairs[_i].a);
    ck_assert(json_equal(&one, 0, &one, 0));
}
END_TEST

static void keys(struct buf *b, unsigned n, bool backwards, unsigned changed)
{
    buf_clear(b, SIZE_MAX);
    buf_byte(b, '{');
    for (unsigned i = 0; i < n; i++) {
        unsigned k = backwards ? n - 1 - i : i;
        buf_printf(b, "%s\"k%u\":%u", i ? "," : "", k, k == changed ? n : k);
    }
    buf_byte(b, '}');
}

/* In reverse order each search by comparing goes to the far end: 50,000 keys
 * take two minutes that way, a fraction of a second by the index. */
START_TEST(equality_of_large_objects)
{
    struct buf a = BUF_INIT(4 << 20), b = BUF_INIT(4 << 20);
    static const unsigned sizes[] = {2, 16, 17, 18, 50000};
    clock_t begin = clock();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        unsigned n = sizes[i];
        keys(&a, n, false, n);
        load(&one, buf_view(&a));
        keys(&b, n, true, n);
        load(&two, buf_view(&b));
        ck_assert(json_equal(&one, 0, &two, 0));
        keys(&b, n, true, n / 2);
        load(&two, buf_view(&b));
        ck_assert(!json_equal(&one, 0, &two, 0));
    }
    ck_assert_int_lt((clock() - begin) / CLOCKS_PER_SEC, 20);
    buf_release(&a);
    buf_release(&b);
}
END_TEST

START_TEST(walking)
{
    loads(&one, "{\"a\":[1,[2,3],{}],\"b\":[]}");
    unsigned members = 0, elements = 0;
    json_each_member (&one, 0, k) {
        ck_assert(json_is(&one, k, JSON_STRING));
        members++;
    }
    json_each (&one, 2, it)
        elements++;
    ck_assert_uint_eq(members, 2);
    ck_assert_uint_eq(elements, 3);
    ck_assert_uint_eq(json_first(&one, 0), 1);
    ck_assert_uint_eq(json_first(&one, 2), 3);
    ck_assert_uint_eq(json_first(&one, json_get(&one, 0, STR("b"))), 0);
    ck_assert_str_eq(json_type_name(json_type(&one, 2)), "array");
    ck_assert_str_eq(json_type_name(JSON_TRUE), "boolean");
}
END_TEST

static uint64_t state;

static unsigned draw(unsigned n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 11) % n;
}

static void random_string(struct buf *b)
{
    static const char *const piece[] = {
        "a",
        "id",
        "0123456789abcdefg",
        "\\n",
        "\\\\",
        "\\\"",
        "\\/",
        "\\u0000",
        "\\u00e9",
        "\xc3\xa9",
        "\\ud83d\\ude00",
        "\xf0\x9f\x98\x80",
        "\xe2\x82\xac",
        " ",
        "{",
        "]",
        "\x7f",
    };
    buf_byte(b, '"');
    for (unsigned n = draw(5); n; n--)
        buf_str(b, str_of(piece[draw(sizeof(piece) / sizeof(*piece))]));
}

static void random_value(struct buf *b, unsigned depth)
{
    unsigned n = draw(draw(8) ? 5 : 40);
    switch (draw(depth ? 9 : 6)) {
    case 0:
        buf_str(b, str_of((const char *[]){"null", "true", "false"}[draw(3)]));
        break;
    case 1:
        buf_printf(b, "%s%u", draw(2) ? "-" : "", draw(1u << draw(31)));
        break;
    case 2:
        buf_printf(b, "%u.%03ue%s%u", draw(100), draw(1000), draw(2) ? "-" : "", draw(30));
        break;
    case 3:
    case 4:
    case 5:
        random_string(b);
        buf_byte(b, '"');
        break;
    case 6:
    case 7:
        /* Keys end in their number, so they differ. */
        buf_byte(b, '{');
        for (unsigned i = 0; i < n; i++) {
            if (i)
                buf_byte(b, ',');
            random_string(b);
            buf_printf(b, "#%u\":", i);
            random_value(b, depth - 1);
        }
        buf_byte(b, '}');
        break;
    default:
        buf_byte(b, '[');
        for (unsigned i = 0; i < n; i++) {
            if (i)
                buf_byte(b, ',');
            random_value(b, depth - 1);
        }
        buf_byte(b, ']');
    }
}

/* read, write anew, read: equal.  compact: equal and one line.  One byte
 * changed: whatever the answer, the tape is well formed. */
START_TEST(round_trip)
{
    const char *given = getenv("JSON_SEED");
    state = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u | 1;
    printf("JSON_SEED=0x%llx\n", (unsigned long long)state);
    struct buf text = BUF_INIT(64 << 20), again = BUF_INIT(64 << 20), scratch = BUF_INIT(1 << 20);
    for (int i = 0; i < 3000; i++) {
        buf_clear(&text, SIZE_MAX);
        buf_clear(&again, SIZE_MAX);
        random_value(&text, draw(5));
        load(&one, buf_view(&text));
        const char *wrong = tape_check(&one, true);
        ck_assert_msg(!wrong, "%s: %.*s", wrong, STR_FMT(buf_view(&text)));
        tape_write(&one, 0, draw(2) ? STR("") : STR(" \r\n\t"), &again, &scratch);
        load(&two, buf_view(&again));
        ck_assert_msg(json_equal(&one, 0, &two, 0), "%.*s", STR_FMT(buf_view(&text)));
        buf_clear(&scratch, SIZE_MAX);
        ck_assert_int_eq(json_write_compact(&scratch, buf_view(&again)), 0);
        ck_assert_ptr_null(scratch.len ? memchr(scratch.data, '\n', scratch.len) : NULL);
        load(&two, buf_view(&scratch));
        ck_assert(json_equal(&two, 0, &one, 0));
        struct json_error e;
        text.data[draw((unsigned)text.len)] = (char)draw(256);
        bool ok = json_read(&one, buf_view(&text), &json_limits_default, &e) == 0;
        wrong = tape_check(&one, ok);
        ck_assert_msg(!wrong, "%s: %.*s", wrong, STR_FMT(buf_view(&text)));
    }
    buf_release(&text);
    buf_release(&again);
    buf_release(&scratch);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

int main(void)
{
    Suite *s = suite_create("json access");
    TCase *t = tcase_create("all");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, get);
    tcase_add_test(t, first_accepted_duplicate_is_found);
    tcase_add_test(t, strings);
    tcase_add_loop_test(t, integer, 0, COUNT(integers));
    tcase_add_loop_test(t, doubles_agree_with_strtod, 0, COUNT(doubles));
    tcase_add_test(t, double_of_many_digits);
    tcase_add_loop_test(t, equality, 0, COUNT(pairs));
    tcase_add_test(t, equality_of_large_objects);
    tcase_add_test(t, walking);
    tcase_add_test(t, round_trip);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    json_doc_release(&one);
    json_doc_release(&two);
    return failed != 0;
}
