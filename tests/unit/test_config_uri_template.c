/* URI templates: RFC 6570 examples of the supported operators, matched backwards. */
#include <check.h>
#include <stdlib.h>
#include "base/clock.h"
#include "config/uri_template.h"

static struct uri_template *compiled(const char *text)
{
    struct uri_template *t = NULL;
    struct err e = {""};
    ck_assert_msg(uri_template_compile(str_of(text), &t, &e) == 0, "%s: %s", text, e.text);
    return t;
}

/* want NULL: no match. */
static const struct {
    const char *template, *uri, *want;
} cases[] = {
    /* RFC 6570 3.2.2: simple */
    {"{var}", "value", "{\"var\":\"value\"}"},
    {"{hello}", "Hello%20World%21", "{\"hello\":\"Hello World!\"}"},
    {"map?{x,y}", "map?1024,768", "{\"x\":\"1024\",\"y\":\"768\"}"},
    {"{x,hello,y}", "1024,Hello%20World%21,768",
     "{\"x\":\"1024\",\"hello\":\"Hello World!\",\"y\":\"768\"}"},
    {"O{empty}X", "OX", NULL},
    {"weather://station/{id}", "weather://station/123", "{\"id\":\"123\"}"},
    {"weather://station/{id}", "weather://station/", NULL},
    {"weather://station/{id}", "weather://station/1/2", NULL},
    {"weather://station/{id}", "weather://station/1?x", NULL},
    {"weather://station/{id}", "weather://station/1%2F2", "{\"id\":\"1/2\"}"},
    {"weather://station/{id}", "weather://other/1", NULL},
    {"weather://station/{id}", "weather://station/a@b", "{\"id\":\"a@b\"}"},
    {"test://template/{id}/data", "test://template/123/data", "{\"id\":\"123\"}"},
    {"test://template/{id}/data", "test://template/123/date", NULL},
    {"{name}.{ext}", "a.tar.gz", "{\"name\":\"a.tar\",\"ext\":\"gz\"}"},
    {"a{x}b{y}c", "abbbc", "{\"x\":\"b\",\"y\":\"b\"}"},
    /* 3.2.3: reserved */
    {"{+var}", "value", "{\"var\":\"value\"}"},
    {"{+path}/here", "/foo/bar/here", "{\"path\":\"/foo/bar\"}"},
    {"here?ref={+path}", "here?ref=/foo/bar", "{\"path\":\"/foo/bar\"}"},
    {"{+x,hello,y}", "1024,Hello%20World!,768",
     "{\"x\":\"1024\",\"hello\":\"Hello World!\",\"y\":\"768\"}"},
    {"file:///{+path}", "file:///", "{\"path\":\"\"}"},
    {"{+a}x{b}", "1x2/x3", "{\"a\":\"1x2/\",\"b\":\"3\"}"},
    /* 3.2.4: fragment */
    {"{#var}", "#value", "{\"var\":\"value\"}"},
    {"X{#var}", "X#value", "{\"var\":\"value\"}"},
    {"X{#var}", "X#", "{\"var\":\"\"}"},
    {"X{#var}", "X", "{}"},
    {"{#path}", "#/foo/bar", "{\"path\":\"/foo/bar\"}"},
    /* 3.2.6: path segments */
    {"{/who}", "/fred", "{\"who\":\"fred\"}"},
    {"{/var,empty}", "/value/", "{\"var\":\"value\",\"empty\":\"\"}"},
    {"{/var,x}/here", "/value/1024/here", "{\"var\":\"value\",\"x\":\"1024\"}"},
    {"{/var,undef}", "/value", "{\"var\":\"value\"}"},
    {"{/half,who}", "/50%25/fred", "{\"half\":\"50%\",\"who\":\"fred\"}"},
    {"{/a}", "/b/c", NULL},
    /* 3.2.8, 3.2.9: queries */
    {"{?x,y}", "?x=1024&y=768", "{\"x\":\"1024\",\"y\":\"768\"}"},
    {"{?x,y,empty}", "?x=1024&y=768&empty=", "{\"x\":\"1024\",\"y\":\"768\",\"empty\":\"\"}"},
    {"{?x,y,undef}", "?x=1024&y=768", "{\"x\":\"1024\",\"y\":\"768\"}"},
    {"search{?q,n}", "search?n=1&q=a%26b", "{\"q\":\"a&b\",\"n\":\"1\"}"},
    {"search{?q}", "search", "{}"},
    {"search{?q}", "search?", NULL},
    {"search{?q}", "search?z=1", NULL},
    {"search{?q}", "search?q=1&q=2", NULL},
    {"?fixed=yes{&x}", "?fixed=yes&x=1024", "{\"x\":\"1024\"}"},
    {"{&x,y,empty}", "&x=1024&y=768&empty=", "{\"x\":\"1024\",\"y\":\"768\",\"empty\":\"\"}"},
    {"{?a}{&b}", "?a=1&b=2", "{\"a\":\"1\",\"b\":\"2\"}"},
    {"{?a}{#f}", "?a=1#x", "{\"a\":\"1\",\"f\":\"x\"}"},
    /* decoding */
    {"u:{v}", "u:%E2%82%AC", "{\"v\":\"\xe2\x82\xac\"}"},
    {"u:{v}", "u:%22%5C", "{\"v\":\"\\\"\\\\\"}"},
    {"u:{v}", "u:%00", NULL},
    {"u:{v}", "u:%FF", NULL},
    {"u:{v}", "u:%2", NULL},
    {"u:{v}", "u:%zz", NULL},
    {"u:{v}", "u:a b", NULL},
    {"u:{v}2F", "u:%2F", NULL},
    /* literals: what a URI can't have is encoded by expansion (3.1) */
    {"u:\xc3\xa4/{v}", "u:%C3%A4/1", "{\"v\":\"1\"}"},
    {"plain", "plain", "{}"},
    {"plain", "plai", NULL},
};

START_TEST(matches)
{
    struct uri_template *t = compiled(cases[_i].template);
    struct buf vars = BUF_INIT(4096);
    buf_lit(&vars, "<");
    bool match = uri_template_match(t, str_of(cases[_i].uri), &vars);
    ck_assert_msg(match == (cases[_i].want != NULL), "%s on %s", cases[_i].template, cases[_i].uri);
    ck_assert_str_eq(buf_cstr(&vars) + 1, match ? cases[_i].want : "");
    ck_assert_int_eq(uri_template_match(t, str_of(cases[_i].uri), NULL), match);
    buf_release(&vars);
    uri_template_free(t);
}
END_TEST

static const struct {
    const char *template, *sentence;
} bad[] = {
    {"", "expected 1 to 2048 characters, found 0"},
    {"a{",
     "expected a variable name of letters, digits, '_' and '.', found the end at character 3"},
    {"a{b", "expected '}', found the end at character 4"},
    {"a{}", "expected a variable name of letters, digits, '_' and '.', found '}' at character 3"},
    {"a{b:3}", "expected ',' or '}' (modifiers ':' and '*' are not supported), found ':' at "
               "character 4"},
    {"a{b*}", "found '*' at character 4"},
    {"{;x}", "expected a variable, or one of the operators + # / ? &, found ';' at character 2"},
    {"{a}{a}", "expected every variable once, found 'a' at character 5"},
    {"{#a,b}", "expected one variable behind '#', found ',' at character 4"},
    {"a}b", "found '}' at character 2"},
    {"a b", "found byte 0x20 at character 2"},
    {"a%2", "expected two hexadecimal digits behind '%', found '%' at character 2"},
    {"{a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q}", "expected at most 16 variables, found 'q'"},
};

START_TEST(refuses)
{
    struct uri_template *t = NULL;
    struct err e;
    ck_assert_int_lt(uri_template_compile(str_of(bad[_i].template), &t, &e), 0);
    ck_assert_msg(strstr(e.text, bad[_i].sentence) != NULL, "%s", e.text);
    ck_assert_ptr_null(t);
}
END_TEST

/* A regular expression for this backtracks for longer than anybody waits. */
START_TEST(stays_linear)
{
    struct uri_template *t = compiled("{+a}x{+b}x{+c}x{+d}x{+e}x{+f}x{+g}x{+h}y");
    size_t n = 100 * 1024;
    char *uri = malloc(n);
    memset(uri, 'x', n);
    uint64_t start = clock_ns();
    ck_assert(!uri_template_match(t, (struct str){uri, n}, NULL));
    uri[n - 1] = 'y';
    struct buf vars = BUF_INIT(n * 2);
    ck_assert(uri_template_match(t, (struct str){uri, n}, &vars));
    ck_assert_uint_lt(clock_ns() - start, 2000000000u);
    ck_assert_uint_gt(vars.len, n - 10);
    buf_release(&vars);
    free(uri);
    uri_template_free(t);
}
END_TEST

START_TEST(names_its_variables)
{
    struct uri_template *t = compiled("a/{b}{?c,d.e}");
    ck_assert_uint_eq(uri_template_variables(t), 3);
    ck_assert(str_eq(uri_template_variable(t, 0), STR("b")));
    ck_assert(str_eq(uri_template_variable(t, 2), STR("d.e")));
    uri_template_free(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config/uri_template");
    TCase *tc = tcase_create("uri_template");
    tcase_add_loop_test(tc, matches, 0, sizeof(cases) / sizeof(cases[0]));
    tcase_add_loop_test(tc, refuses, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tc, stays_linear);
    tcase_add_test(tc, names_its_variables);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
