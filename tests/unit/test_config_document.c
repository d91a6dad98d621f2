/* YAML as one JSON text with places: what is carried over, and what is refused in which words. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "config/document.h"

#define H "manifold: 1\nid: a.b\n"

static const struct {
    const char *yaml, *sentence;
} refused[] = {
    {"", "1:1: expected a mapping, found an empty file"},
    {"# nothing\n", "1:1: expected a mapping, found an empty file"},
    {H "---\nx: 1\n", "3:1: expected one document, found a second one"},
    {H "title: &a x\n", "3:8: expected no anchors, found &a: write the value out"},
    {H "title: *a\n", "3:8: expected no aliases, found *a: quote text that begins with '*'"},
    {H "title: !!str 5\n",
     "3:8: expected no tags, found \"tag:yaml.org,2002:str\": quote text that begins with '!'"},
    {H "title: !x y\n", "3:8: expected no tags, found \"!x\": quote text that begins with '!'"},
    {H "<<: {title: x}\n", "3:1: expected no merge keys, found <<: write the members out"},
    {H "title: x\ntitle: y\n", "4:1: expected key \"title\" once, found it here and at 3:1"},
    {H "config: {a: 1, b: {c: 1, \"c\": 2}}\n",
     "3:26: expected key \"c\" once, found it here and at 3:20"},
    {H "config: {a: ${env:X}}\n",
     "3:13: expected quotes around a value with ${...} inside { } or [ ], found none"},
    {H "config: [${data}]\n",
     "3:10: expected quotes around a value with ${...} inside { } or [ ], found none"},
    {H "config: { a: b${data} }\n",
     "3:15: expected quotes around a value with ${...} inside { } or [ ], found none"},
    {H "config: {a: 0755}\n",
     "3:13: expected a number in JSON's spelling, found \"0755\": quote it when it is text"},
    {H "config: {a: 12:30}\n",
     "3:13: expected a number in JSON's spelling, found \"12:30\": quote it when it is text"},
    {H "config: {a: 1_000}\n",
     "3:13: expected a number in JSON's spelling, found \"1_000\": quote it when it is text"},
    {H "config: {a: 0x1F}\n",
     "3:13: expected a number in JSON's spelling, found \"0x1F\": quote it when it is text"},
    {H "config: {a: 0o17}\n",
     "3:13: expected a number in JSON's spelling, found \"0o17\": quote it when it is text"},
    {H "config: {a: .5}\n",
     "3:13: expected a number in JSON's spelling, found \".5\": quote it when it is text"},
    {H "config: {a: +1}\n",
     "3:13: expected a number in JSON's spelling, found \"+1\": quote it when it is text"},
    {H "config: {a: .inf}\n",
     "3:13: expected a number in JSON's spelling, found \".inf\": quote it when it is text"},
    {H "config: {1: a}\n", "3:10: expected text as key, found \"1\": quote it"},
    {H "config: {true: a}\n", "3:10: expected text as key, found \"true\": quote it"},
    {H "config: {~: a}\n", "3:10: expected text as key, found \"~\": quote it"},
    {H "config:\n  : a\n", "4:3: expected a key in line with the keys above it: mend the "
                           "indentation or quote the text, found ':'"},
    {H "config: {[a]: b}\n", "3:10: expected text as key, found a list"},
    {H "config:\n  ? {a: b}\n  : c\n", "4:5: expected text as key, found a mapping"},
    {H "config:\n\ta: 1\n", "4:1: expected spaces, found a tab character"},
    {H "title: @x\n", "3:8: expected a value, found '@': quote text that begins with it"},
    {H "title: `x`\n", "3:8: expected a value, found '`': quote text that begins with it"},
    {H "title: %x\n", "3:8: expected a value, found '%': quote text that begins with it"},
    {H "title: *.example.com\n", "3:9: expected no aliases, found '*' at the beginning of a value: "
                                 "quote text that begins with it"},
    {H "title: &\n", "3:9: expected no anchors, found '&' at the beginning of a value: quote text "
                     "that begins with it"},
    {H "title: a: b\n", "3:9: expected no second ': ' on this line: quote text that holds one, or "
                        "mend the indentation, found ':'"},
    {H "  title: x\n", "3:8: expected no second ': ' on this line: quote text that holds one, or "
                       "mend the indentation, found ':'"},
    {H "config:\n  a: 1\n b: 2\n", "5:2: expected a key in line with the keys above it: mend the "
                                   "indentation or quote the text, found 'b'"},
    {H "tools:\n  - name: a\n - name: b\n", "5:2: expected a key in line with the keys above it: "
                                            "mend the indentation or quote the text, found '-'"},
    {H "config: {a: 1\n", "4:1: expected ',' or '}' inside { }, found the end of the file"},
    {H "config: {a: 1]\n", "3:14: expected ',' or '}' inside { }, found ']'"},
    {H "config: [1, 2\nid: x\n", "4:3: expected ',' or ']' inside [ ], found ':'"},
    {H "title: \"x\n", "4:1: expected a closing quote, found the end of the file"},
    {H "title: 'x\n", "4:1: expected a closing quote, found the end of the file"},
    {H "title: \"\\q\"\n", "3:9: expected an escape that YAML knows behind '\\': write '\\\\' or "
                           "use single quotes, found '\\'"},
    {H "title: \"\\ud800\"\n",
     "3:11: expected the escape of a Unicode character, found one of none"},
    {H "title\n", "4:1: expected ':' behind this key, found the end of the file"},
    {H "title: \x01\n", "3:8: expected text, found a control character"},
    {H "title: \"a\\0b\"\n", "3:8: expected text, found a NUL character in it"},
    {H "title: |x\n", "3:9: expected YAML, found 'x': while scanning a block scalar, did not find "
                      "expected comment or line break"},
    {H "%YAML 1.2\n",
     "4:1: expected YAML, found the end of the file: did not find expected <document start>"},
    {"%YAML 2.0\n---\nmanifold: 1\n",
     "1:1: expected YAML, found '%': found incompatible YAML document"},
};

START_TEST(each_slip_has_its_sentence)
{
    struct document d;
    struct err e;
    char expected[sizeof(e.text)];
    ck_assert_int_lt(document_parse(&d, str_of(refused[_i].yaml), "w.yaml", &e), 0);
    snprintf(expected, sizeof(expected), "w.yaml:%s", refused[_i].sentence);
    ck_assert_str_eq(e.text, expected);
}
END_TEST

static const struct {
    const char *yaml, *json;
} carried[] = {
    {"a: 1", "{\"a\":1}"},
    {"{b: 1, a: [x, \"y\", 'z']}", "{\"b\":1,\"a\":[\"x\",\"y\",\"z\"]}"},
    {"b:\n  d: 1.50\n  c: 1e3\na:\n- -0\n- 1E+2\n",
     "{\"b\":{\"d\":1.50,\"c\":1e3},\"a\":[-0,1E+2]}"},
    {"[true, false, null, ~, ]", "[true,false,null,null]"},
    {"a:\nb: ''\n", "{\"a\":null,\"b\":\"\"}"},
    {"[yes, no, on, off, True, FALSE, Null, y]",
     "[\"yes\",\"no\",\"on\",\"off\",\"True\",\"FALSE\",\"Null\",\"y\"]"},
    {"[2024-01-01, 1.2.3, 10.0.0.1, \"0755\", '12:30']",
     "[\"2024-01-01\",\"1.2.3\",\"10.0.0.1\",\"0755\",\"12:30\"]"},
    {"{\"1\": a, 'true': b}", "{\"1\":\"a\",\"true\":\"b\"}"},
    {"a: |\n  x\n  \"y\"\n", "{\"a\":\"x\\n\\\"y\\\"\\n\"}"},
    {"a: >\n  x\n  y\n", "{\"a\":\"x y\\n\"}"},
    {"a: \"\\u00e9\\t\"\n", "{\"a\":\"\xC3\xA9\\t\"}"},
    {"a: ${env:X}/y\n", "{\"a\":\"${env:X}/y\"}"},
    {"[\"${data}\"]", "[\"${data}\"]"},
    {"{}", "{}"},
    {"a: []\nb: {}\n", "{\"a\":[],\"b\":{}}"},
    {"\xEF\xBB\xBF"
     "a: 1\n",
     "{\"a\":1}"},
    {"a: 1\r\nb: 2\r\n", "{\"a\":1,\"b\":2}"},
    {"%YAML 1.1\n---\na: 1\n...\n", "{\"a\":1}"},
    {"inputSchema:\n  type: object\n  properties:\n    z: { $ref: '#/$defs/q' }\n    a: { enum: "
     "[1, 1.0, null] }\n",
     "{\"inputSchema\":{\"type\":\"object\",\"properties\":{\"z\":{\"$ref\":\"#/$defs/q\"},"
     "\"a\":{\"enum\":[1,1.0,null]}}}}"},
};

START_TEST(values_are_carried_over_verbatim)
{
    struct document d;
    struct err e;
    int r = document_parse(&d, str_of(carried[_i].yaml), "w.yaml", &e);
    ck_assert_msg(r == 0, "%s: %s", carried[_i].yaml, r ? e.text : "");
    ck_assert_int_eq(d.text.len, strlen(carried[_i].json));
    ck_assert_mem_eq(d.text.data, carried[_i].json, d.text.len);
    document_release(&d);
}
END_TEST

START_TEST(every_node_has_its_place)
{
    static const struct {
        unsigned line, column;
    } places[] = {{1, 1}, {1, 1}, {1, 4}, {2, 1}, {3, 3}, {3, 3}, {3, 6}, {4, 5}};
    struct document d;
    struct err e;
    ck_assert_int_eq(document_parse(&d, STR("a: 1\nb:\n  \xC3\xA9: [\n    x]\n"), "w.yaml", &e), 0);
    ck_assert_uint_eq(d.json.nodes, 8);
    for (json_ref n = 0; n < 8; n++) {
        unsigned line, column;
        document_place(&d, n, &line, &column);
        ck_assert_uint_eq(line, places[n].line);
        ck_assert_uint_eq(column, places[n].column);
    }
    ck_assert_int_eq(document_error(&d, 7, &e, "%s", "no"), -EINVAL);
    ck_assert_str_eq(e.text, "w.yaml:4:5: no");
    document_release(&d);
}
END_TEST

static int parse_repeated(const char *head, const char *piece, size_t times, const char *tail,
                          struct err *e)
{
    struct buf b = BUF_INIT(1 << 20);
    struct document d;
    buf_str(&b, str_of(head));
    for (size_t i = 0; i < times; i++)
        buf_str(&b, str_of(piece));
    buf_str(&b, str_of(tail));
    int r = document_parse(&d, buf_view(&b), "w.yaml", e);
    if (!r)
        document_release(&d);
    buf_release(&b);
    return r;
}

START_TEST(limits_are_exact)
{
    struct err e;
    /* The root is the first level. */
    ck_assert_int_eq(parse_repeated("", "{a: ", 31, "{}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}", &e), 0);
    ck_assert_int_lt(parse_repeated("", "[", 33, "", &e), 0);
    ck_assert_str_eq(e.text,
                     "w.yaml:1:33: expected at most 32 levels of mappings and lists, found more");
    ck_assert_int_eq(parse_repeated("#", "x", 256 * 1024 - 4, "\n[]", &e), 0);
    ck_assert_int_eq(parse_repeated("#", "x", 256 * 1024 - 3, "\n[]", &e), -E2BIG);
    ck_assert_str_eq(e.text, "w.yaml:1:1: expected at most 256 KiB, found more");
    ck_assert_int_eq(parse_repeated("[", "1,", 19999, "]", &e), 0);
    ck_assert_int_lt(parse_repeated("[", "1,", 20000, "]", &e), 0);
    ck_assert_str_eq(e.text,
                     "w.yaml:1:40000: expected at most 20000 keys and values in all, found more");
}
END_TEST

/* docs/internals/config.md: libyaml takes 10 s for 128 KiB of brackets. */
START_TEST(hostile_nesting_is_cheap)
{
    static const char *const pieces[] = {"[", "{", "- ", "? ", "[[a]: ", "{a: ", "&a [", "!x ["};
    struct err e;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        uint64_t start = clock_ns();
        ck_assert_int_lt(parse_repeated("", pieces[i], 128 * 1024 / strlen(pieces[i]), "", &e), 0);
        ck_assert_msg(clock_ns() - start < 1000000000u, "%s takes too long", pieces[i]);
    }
}
END_TEST

START_TEST(raw_bytes_that_are_no_text)
{
    struct document d;
    struct err e;
    ck_assert_int_lt(document_parse(&d, STR("a: 1\nb: \xFF\n"), "w.yaml", &e), 0);
    ck_assert_str_eq(e.text, "w.yaml:2:4: expected UTF-8, found a byte sequence that is none");
    ck_assert_int_lt(document_parse(&d, STR("a: 1\nb: x\0y\n"), "w.yaml", &e), 0);
    ck_assert_str_eq(e.text, "w.yaml:2:5: expected text, found a control character");
}
END_TEST

START_TEST(files_are_read_from_their_start)
{
    char path[] = "/tmp/test_config_document.XXXXXX";
    struct document d;
    struct err e;
    char byte;
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    unlink(path);
    ck_assert_int_eq(write(fd, "a: 1\n", 5), 5);
    ck_assert_int_eq(document_read(&d, fd, "w.yaml", &e), 0);
    ck_assert_mem_eq(d.text.data, "{\"a\":1}", 7);
    document_release(&d);
    ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 5);
    ck_assert_int_eq(pread(fd, &byte, 1, 0), 1);
    ck_assert_int_eq(ftruncate(fd, 256 * 1024 + 1), 0);
    ck_assert_int_eq(document_read(&d, fd, "w.yaml", &e), -E2BIG);
    ck_assert_str_eq(e.text, "w.yaml:1:1: expected at most 256 KiB, found more");
    close(fd);
    ck_assert_int_lt(document_read(&d, fd, "w.yaml", &e), 0);
}
END_TEST

START_TEST(made_json_has_no_places)
{
    struct document d;
    struct err e;
    struct buf json = BUF_INIT(100);
    buf_lit(&json, "{\"a\":1}");
    ck_assert_int_eq(document_take_json(&d, &json, "--set", &e), 0);
    ck_assert_ptr_null(json.data);
    document_error(&d, 2, &e, "no");
    ck_assert_str_eq(e.text, "--set: no");
    document_release(&d);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config document");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, each_slip_has_its_sentence, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_loop_test(t, values_are_carried_over_verbatim, 0,
                        sizeof(carried) / sizeof(carried[0]));
    tcase_add_test(t, every_node_has_its_place);
    tcase_add_test(t, limits_are_exact);
    tcase_add_test(t, hostile_nesting_is_cheap);
    tcase_add_test(t, raw_bytes_that_are_no_text);
    tcase_add_test(t, files_are_read_from_their_start);
    tcase_add_test(t, made_json_has_no_places);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}
