/* One spelling for every value: equal values give equal bytes, others never do. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "json/canonical.h"
#include "json/writer.h"

static struct json_doc one, two;

static void load(struct json_doc *d, struct str text)
{
    struct json_error e;
    ck_assert_msg(json_read(d, text, &json_limits_default, &e) == 0, "%.*s: %s", STR_FMT(text),
                  e.text);
}

static void write(struct json_doc *d, struct str text, struct buf *b)
{
    load(d, text);
    buf_clear(b, SIZE_MAX);
    ck_assert_int_eq(json_write_canonical(b, d, 0), 0);
}

START_TEST(examples)
{
    static const char *const pairs[][2] = {
        {"42", "42"},
        {"-42", "-42"},
        {"42.0", "42"},
        {"4.2e1", "42"},
        {"420E-1", "42"},
        {"0", "0"},
        {"-0", "0"},
        {"0.000", "0"},
        {"-0e99", "0"},
        {"100", "1e2"},
        {"1E+2", "1e2"},
        {"1.50", "15e-1"},
        {"-0.0015", "-15e-4"},
        {"9007199254740993", "9007199254740993"},
        {"9007199254740992", "9007199254740992"},
        {"12345678901234567890.000", "1234567890123456789e1"},
        {"1e400", "1e400"},
        {"\"a\\u0041\\/\\u00e9\\ud83d\\ude00\\u007f\"", "\"aA/\xC3\xA9\xF0\x9F\x98\x80\x7F\""},
        {"\"\\u000a\\u0000\\\"\\\\\"", "\"\\n\\u0000\\\"\\\\\""},
        {"[ true , false , null , [ ] , { } ]", "[true,false,null,[],{}]"},
        {"{ \"b\" : 1, \"a\" : { \"d\": [2.0], \"c\": 3 } }",
         "{\"a\":{\"c\":3,\"d\":[2]},\"b\":1}"},
        {"{\"aa\":1,\"a\":2,\"\":3}", "{\"\":3,\"a\":2,\"aa\":1}"},
        {"{\"\\u0062\":1,\"a\":2,\"\\u0061b\":3}", "{\"a\":2,\"ab\":3,\"b\":1}"},
        {"{\"\xF0\x9F\x98\x80\":1,\"\\uffff\":2}", "{\"\xEF\xBF\xBF\":2,\"\xF0\x9F\x98\x80\":1}"},
    };
    struct buf b = BUF_INIT(1000);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        write(&one, str_of(pairs[i][0]), &b);
        ck_assert_msg(str_eq(buf_view(&b), str_of(pairs[i][1])), "%s: %.*s", pairs[i][0],
                      STR_FMT(buf_view(&b)));
    }
    buf_release(&b);
}
END_TEST

START_TEST(objects_of_every_size_are_sorted)
{
    struct buf text = BUF_INIT(1 << 20), a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
    for (int members = 1; members <= 200; members += members < 40 ? 1 : 20) {
        for (int turn = 0; turn < 2; turn++) {
            buf_clear(&text, SIZE_MAX);
            for (int i = 0; i < members; i++) {
                int k = turn ? i * 7 % members : members - 1 - i;
                if (turn && members % 7 == 0)
                    k = i;
                buf_printf(&text, "%c\"%s%d\":%d", i ? ',' : '{', k % 3 ? "k" : "\\u006b", k, k);
            }
            buf_lit(&text, "}");
            write(&one, buf_view(&text), turn ? &b : &a);
        }
        ck_assert(str_eq(buf_view(&a), buf_view(&b)));
    }
    buf_release(&text);
    buf_release(&a);
    buf_release(&b);
}
END_TEST

START_TEST(no_more_than_the_buffer_holds)
{
    struct buf b = BUF_INIT(8);
    load(&one, STR("{\"b\":[1,2],\"a\":[3,4]}"));
    ck_assert_int_eq(json_write_canonical(&b, &one, 0), -ENOBUFS);
    ck_assert_uint_le(b.len, 8);
    buf_release(&b);
}
END_TEST

/* --- random values, spelled at random --- */

static unsigned seed;

static unsigned any(unsigned below)
{
    return (unsigned)rand_r(&seed) % below;
}

static void spell_number(struct buf *b)
{
    static const char *const spelled[][4] = {{"0", "-0", "0.0", "0e7"},
                                             {"1", "1.0", "10e-1", "0.1E1"},
                                             {"10", "1e1", "10.00", "100e-1"},
                                             {"-1.5", "-15e-1", "-0.15e+1", "-1.50"},
                                             {"11", "1.1e1", "110e-1", "11.0"}};
    buf_str(b, str_of(spelled[any(5)][any(4)]));
}

static void spell_string(struct buf *b)
{
    static const char *const piece[][3] = {{"a", "\\u0061", "a"},
                                           {"b", "b", "\\u0062"},
                                           {"/", "\\/", "\\u002F"},
                                           {"\\n", "\\u000a", "\\u000A"}};
    buf_byte(b, '"');
    for (unsigned n = any(3); n > 0; n--)
        buf_str(b, str_of(piece[any(4)][any(3)]));
    buf_byte(b, '"');
}

static void spell(struct buf *b, unsigned depth)
{
    unsigned what = any(depth ? 6 : 4);
    if (what < 2) {
        spell_number(b);
    } else if (what == 2) {
        spell_string(b);
    } else if (what == 3) {
        buf_str(b, any(2) ? STR("true") : STR("null"));
    } else {
        unsigned n = any(3);
        buf_byte(b, what == 4 ? '[' : '{');
        for (unsigned i = 0; i < n; i++) {
            buf_str(b, i ? any(2) ? STR(", ") : STR(",") : STR(""));
            /* Keys that differ, in either order. */
            if (what == 5)
                buf_str(b, (i ^ any(n)) & 1 ? STR("\"x\":") : STR("\"y\" : "));
            spell(b, depth - 1);
        }
        buf_byte(b, what == 4 ? ']' : '}');
    }
}

static bool read_random(struct json_doc *d, struct buf *text)
{
    struct json_error e;
    buf_clear(text, SIZE_MAX);
    spell(text, 3);
    return json_read(d, buf_view(text), &json_limits_default, &e) == 0; /* else: a key twice */
}

START_TEST(the_same_bytes_if_and_only_if_equal)
{
    struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20), a = BUF_INIT(1 << 20),
               b = BUF_INIT(1 << 20);
    unsigned equal = 0, pairs = 0;
    struct json_doc again = {0};
    seed = 20261125;
    while (pairs < 300000) {
        if (!read_random(&one, &x) || !read_random(&two, &y))
            continue;
        pairs++;
        buf_clear(&a, SIZE_MAX);
        buf_clear(&b, SIZE_MAX);
        ck_assert_int_eq(json_write_canonical(&a, &one, 0), 0);
        ck_assert_int_eq(json_write_canonical(&b, &two, 0), 0);
        bool same = str_eq(buf_view(&a), buf_view(&b));
        ck_assert_msg(same == json_equal(&one, 0, &two, 0), "%.*s and %.*s: %.*s and %.*s",
                      STR_FMT(buf_view(&x)), STR_FMT(buf_view(&y)), STR_FMT(buf_view(&a)),
                      STR_FMT(buf_view(&b)));
        equal += same;
        /* What is written is JSON, of the same value, and its own canonical form. */
        write(&again, buf_view(&a), &b);
        ck_assert(json_equal(&one, 0, &again, 0) && str_eq(buf_view(&a), buf_view(&b)));
    }
    ck_assert_uint_gt(equal, pairs / 100);
    ck_assert_uint_lt(equal, pairs / 2);
    json_doc_release(&again);
    buf_release(&x);
    buf_release(&y);
    buf_release(&a);
    buf_release(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("json canonical");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, examples);
    tcase_add_test(c, objects_of_every_size_are_sorted);
    tcase_add_test(c, no_more_than_the_buffer_holds);
    tcase_add_test(c, the_same_bytes_if_and_only_if_equal);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    json_doc_release(&one);
    json_doc_release(&two);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
