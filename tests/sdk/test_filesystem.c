/* The plugin filesystem: its parts by tables, and the whole on the mock host where a file system
 * must fail or hang.  That its answers are those of the reference server is shown end to end. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <manifold/mock_files.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "diff.h"
#include "glob.h"
#include "text.h"

/* ---- parts ----------------------------------------------------------------- */

START_TEST(patterns)
{
    static const struct {
        const char *pattern, *path;
        int hit;
    } row[] = {
        {"*", "a", 1},          {"*", "a/b", 0},          {"**", "a/b", 1},
        {"a/**", "a", 0},       {"a/**", "a/b/c", 1},     {"**/c", "c", 1},
        {"**/c", "a/b/c", 1},   {"a/**/c", "a/c", 1},     {"*.c", "a.c", 1},
        {"*.c", ".c", 1},       {".*", ".git", 1},        {"?", "\xC3\xA9", 1},
        {"[ab]", "b", 1},       {"[!ab]", "b", 0},        {"[a-c]x", "bx", 1},
        {"[]]", "]", 1},        {"[[:digit:]]", "7", 1},  {"[a", "[a", 1},
        {"{a,b}", "b", 1},      {"{a,b{1..3}}", "b2", 1}, {"{a}", "{a}", 1},
        {"{a..e..2}", "c", 1},  {"{01..03}", "02", 1},    {"x{,y}", "x", 1},
        {"\\*", "*", 1},        {"\\*", "a", 0},          {"!a", "b", 1},
        {"!a", "a", 0},         {"!!a", "a", 1},          {"#a", "#a", 0},
        {"+(a|b)", "abba", 1},  {"@(a|b)", "ab", 0},      {"?(a)b", "b", 1},
        {"*(a)", "aaa", 1},     {"x!(a)", "xb", 1},       {"x!(a)", "xa", 0},
        {"x!(a).c", "xa.c", 0}, {"x!(a|b).c", "xc.c", 1}, {"a/../b", "b", 1},
        {"/a", "a", 0},         {"a/", "a", 0},           {"a.b", "axb", 0},
        {"(a)", "(a)", 1},      {"a^$", "a^$", 1},        {"+(a", "+(a", 1},
        {"", "a", 0},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct text why = TEXT_INIT(1000);
        struct glob *g = glob_new(bytes_of(row[i].pattern), &why);
        ck_assert_msg(g != NULL, "%s: %s", row[i].pattern, text_string(&why));
        ck_assert_msg(glob_match(g, row[i].path) == row[i].hit, "%s, %s", row[i].pattern,
                      row[i].path);
        glob_free(g);
    }
}
END_TEST

/* Patterns that would run, or grow, without an end. */
START_TEST(patterns_are_bounded)
{
    struct text big = TEXT_INIT(1 << 20), why = TEXT_INIT(1000);
    for (int i = 0; i < 40; i++)
        text_cat(&big, "{a,b}");
    ck_assert_ptr_null(glob_new(text_bytes(&big), &why));
    ck_assert_str_eq(text_string(&why), "The pattern stands for too many others");
    text_free(&big);
    for (int i = 0; i < 40; i++)
        text_cat(&big, "x!(a)");
    text_free(&why);
    ck_assert_ptr_null(glob_new(text_bytes(&big), &why));
    ck_assert_str_eq(text_string(&why), "The pattern is too large");
    text_free(&big);
    for (int i = 0; i < 1000; i++)
        text_cat(&big, "{");
    for (int i = 0; i < 1000; i++)
        text_cat(&big, "a,b}");
    text_free(&why);
    ck_assert_ptr_null(glob_new(text_bytes(&big), &why));
    struct glob *g = glob_new(bytes_of("+(+(+(a|aa)))b"), &why);
    ck_assert_int_eq(glob_match(g, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabx"), -1);
    glob_free(g);
    text_free(&big);
    text_free(&why);
}
END_TEST

static void check_patch(const char *old, const char *new_text, const char *hunks)
{
    struct text out = TEXT_INIT(1 << 20);
    ck_assert(diff_patch(bytes_of("f"), bytes_of(old), bytes_of(new_text), &out));
    const char *at = strstr(text_string(&out), "\tmodified\n");
    ck_assert_ptr_nonnull(at);
    ck_assert_str_eq(at + strlen("\tmodified\n"), hunks);
    text_free(&out);
}

START_TEST(patches)
{
    check_patch("a\nb\n", "a\nb\n", "");
    check_patch("a\nb\nc\n", "a\nB\nc\n", "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
    check_patch("", "a\n", "@@ -0,0 +1,1 @@\n+a\n");
    check_patch("a\n", "", "@@ -1,1 +0,0 @@\n-a\n");
    check_patch("a", "b",
                "@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+b\n"
                "\\ No newline at end of file\n");
    check_patch("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\n6\n7\n8\n9\nX\n",
                "@@ -6,4 +6,5 @@\n 6\n 7\n 8\n 9\n+X\n");
}
END_TEST

/* Too different for the shortest way: shown as a whole, and soon. */
START_TEST(patches_are_bounded)
{
    enum { LINES = 6000 };
    struct text old = TEXT_INIT(1 << 20), new_text = TEXT_INIT(1 << 20), out = TEXT_INIT(1 << 20);
    for (int i = 0; i < LINES; i++) {
        text_printf(&old, "%s %d\n", i == 0 || i == LINES - 1 ? "same" : "old", i);
        text_printf(&new_text, "%s %d\n", i == 0 || i == LINES - 1 ? "same" : "new", i);
    }
    ck_assert(diff_patch(bytes_of("f"), text_bytes(&old), text_bytes(&new_text), &out));
    ck_assert_ptr_nonnull(strstr(text_string(&out), "@@ -1,6000 +1,6000 @@\n same 0\n-old 1\n"));
    ck_assert_ptr_nonnull(strstr(text_string(&out), "-old 5998\n+new 1\n"));
    text_free(&old);
    text_free(&new_text);
    text_free(&out);
}
END_TEST

START_TEST(text_as_javascript_has_it)
{
    static const struct {
        const char *from, *to;
    } repaired[] = {{"a\xFF"
                     "b",
                     "a\xEF\xBF\xBD"
                     "b"},
                    {"\xE2\x82", "\xEF\xBF\xBD"},
                    {"\xC3(", "\xEF\xBF\xBD("},
                    {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
                    {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"}};
    for (size_t i = 0; i < sizeof(repaired) / sizeof(repaired[0]); i++) {
        struct text t = TEXT_INIT(100);
        text_repaired(&t, bytes_of(repaired[i].from));
        ck_assert_str_eq(text_string(&t), repaired[i].to);
        ck_assert(utf8_is_valid(text_bytes(&t)));
        text_free(&t);
    }
    struct text t = TEXT_INIT(100);
    text_json(&t, (mf_bytes){"\"\\\n\0\x1F\x7F/", 7});
    ck_assert_str_eq(text_string(&t), "\\\"\\\\\\n\\u0000\\u001f\x7F/");
    text_free(&t);
    text_base64(&t, bytes_of("abcd"));
    ck_assert_str_eq(text_string(&t), "YWJjZA==");
    text_free(&t);
    ck_assert_uint_eq(utf16_length(bytes_of("a\xC3\xA9\xF0\x9F\x98\x80")), 4);
    mf_bytes trim = trimmed(bytes_of("\xC2\xA0 \t a b\xE2\x80\xA8\xEF\xBB\xBF\n"));
    ck_assert(trim.len == 3 && memcmp(trim.data, "a b", 3) == 0);
    for (int i = 0; i < 30; i++)
        text_cat(&t, "12345");
    ck_assert(t.over && t.len == 100);
    text_free(&t);
}
END_TEST

/* ---- the whole ------------------------------------------------------------- */

static struct {
    char dir[64], path[256], args[512];
    mf_mock *m;
} t;

static const char *at(const char *name)
{
    snprintf(t.path, sizeof(t.path), "%s/%s", t.dir, name);
    return t.path;
}

static void put(const char *name, const char *text)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    snprintf(t.dir, sizeof(t.dir), "/tmp/mock-filesystem-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(t.dir));
    ck_assert_int_eq(mkdir(at("root"), 0755) | mkdir(at("other"), 0755), 0);
    put("root/a", "one\ntwo\n");
    put("other/b", "b");
    t.m = mf_mock_new(&manifold_plugin_v1);
    mf_mock_files_grant(t.m, "root", at("root"), MF_ROOT_WRITE);
    mf_mock_files_grant(t.m, "root", at("other"), MF_ROOT_WRITE);
}

static void teardown(void)
{
    char command[128];
    ck_assert_uint_eq(mf_mock_files_open(t.m), 0);
    ck_assert_int_eq(mf_mock_close(t.m, 5000), MF_OK);
    ck_assert_uint_eq(mf_mock_mistakes(t.m, NULL), 0);
    mf_mock_free(t.m);
    snprintf(command, sizeof(command), "rm -rf '%s'", t.dir);
    ck_assert_int_eq(system(command), 0);
}

static const mf_mock_result *result_of(mf_call call)
{
    const mf_mock_result *r = mf_mock_wait(t.m, call, 10000);
    ck_assert_ptr_nonnull(r);
    return r;
}

static void expect(const char *tool, const char *args, int how, const char *text)
{
    const mf_mock_result *r = result_of(mf_mock_tool(t.m, tool, args));
    ck_assert_msg(r->how == how && strstr(r->text.data, text) != NULL, "%s %s: %d %s", tool, args,
                  r->how, r->text.data);
}

START_TEST(answers_are_text_and_structured)
{
    ck_assert_ptr_null(mf_mock_lint(&manifold_plugin_v1));
    ck_assert_int_eq(mf_mock_open(t.m, NULL), MF_OK);
    const mf_mock_result *r = result_of(mf_mock_tool(t.m, "read_text_file", "{\"path\":\"a\"}"));
    ck_assert_int_eq(r->how, MF_DONE);
    ck_assert_str_eq(r->text.data, "one\ntwo\n");
    ck_assert_str_eq(r->structured.data, "{\"content\":\"one\\ntwo\\n\"}");
    expect("write_file", "{\"path\":\"n\",\"content\":\"x\"}", MF_DONE, "Successfully wrote to n");
    expect("directory_tree", "{\"path\":\".\"}", MF_DONE, "\"name\": \"n\"");
}
END_TEST

START_TEST(what_the_disk_says_is_told)
{
    ck_assert_int_eq(mf_mock_open(t.m, NULL), MF_OK);
    mf_mock_files_fail(t.m, "a", MF_EIO, EIO, "the disk is broken");
    expect("read_text_file", "{\"path\":\"a\"}", MF_TOOL_ERROR, "EIO: i/o error, realpath '");
    mf_mock_files_fail(t.m, "a", MF_EDENIED, EACCES, "no");
    expect("read_text_file", "{\"path\":\"a\"}", MF_TOOL_ERROR, "EACCES: permission denied");
    mf_mock_files_fail(t.m, "a", MF_EIO, 0, "words of the host alone");
    expect("read_text_file", "{\"path\":\"a\"}", MF_TOOL_ERROR, "words of the host alone");
    expect("read_multiple_files", "{\"paths\":[\"a\",\"n\"]}", MF_DONE,
           "a: Error - words of the host alone\n---\nn: Error - ENOENT");
}
END_TEST

START_TEST(a_call_that_is_cancelled_ends)
{
    ck_assert_int_eq(mf_mock_open(t.m, NULL), MF_OK);
    expect("read_text_file", "{\"path\":\"a\"}", MF_DONE, "one");
    mf_mock_files_hang(t.m, "a", 1);
    mf_call call = mf_mock_tool(t.m, "read_text_file", "{\"path\":\"a\"}");
    ck_assert_ptr_null(mf_mock_wait(t.m, call, 20));
    mf_mock_cancel(t.m, call);
    ck_assert_int_eq(result_of(call)->status, MF_ECANCELED);
}
END_TEST

/* One granted directory on a mount that hangs: it costs the first call a second, and no other. */
START_TEST(a_root_that_hangs_is_not_waited_for)
{
    ck_assert_int_eq(mf_mock_open(t.m, NULL), MF_OK);
    mf_mock_files_hang(t.m, "", 1);
    expect("list_allowed_directories", NULL, MF_TOOL_ERROR, "/root does not answer");
    mf_mock_files_hang(t.m, "", 0);
    mf_mock_run(t.m); /* the look that hung ends */
    expect("list_allowed_directories", NULL, MF_DONE, "/other");
}
END_TEST

START_TEST(no_files_no_tools)
{
    mf_mock_set_extension(t.m, MF_EXT_FILES, NULL);
    ck_assert_int_eq(mf_mock_open(t.m, NULL), MF_OK);
    expect("read_text_file", "{\"path\":\"a\"}", MF_TOOL_ERROR, "This host gives plugins no files");
}
END_TEST

START_TEST(limits_of_the_config)
{
    ck_assert_int_eq(mf_mock_open(t.m, "{\"max_read\":4,\"max_entries\":2}"), MF_OK);
    expect("read_text_file", "{\"path\":\"a\"}", MF_TOOL_ERROR, "8 bytes are more than the 4");
    put("root/b", "");
    put("root/c", "");
    expect("search_files", "{\"path\":\".\",\"pattern\":\"x\"}", MF_TOOL_ERROR,
           "There are more entries than one call may look at (2)");
    expect("list_directory", "{\"path\":\".\"}", MF_TOOL_ERROR, "more entries");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("filesystem");
    TCase *parts = tcase_create("parts");
    tcase_set_timeout(parts, 60);
    tcase_add_test(parts, patterns);
    tcase_add_test(parts, patterns_are_bounded);
    tcase_add_test(parts, patches);
    tcase_add_test(parts, patches_are_bounded);
    tcase_add_test(parts, text_as_javascript_has_it);
    suite_add_tcase(s, parts);
    TCase *c = tcase_create("calls");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, answers_are_text_and_structured);
    tcase_add_test(c, what_the_disk_says_is_told);
    tcase_add_test(c, a_call_that_is_cancelled_ends);
    tcase_add_test(c, a_root_that_hangs_is_not_waited_for);
    tcase_add_test(c, no_files_no_tools);
    tcase_add_test(c, limits_of_the_config);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
