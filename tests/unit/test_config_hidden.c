/* Characters that a model reads and a person does not see. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include "config/hidden.h"
#include "config/manifest.h"

static size_t encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)((0xFF00u >> n) | c);
    return n;
}

/* Each in the middle of plain text. */
START_TEST(everything_that_is_not_shown_is_found)
{
    static const struct {
        uint32_t from, to;
    } t[] = {{0, 8},           {0xB, 0x1F},      {0x7F, 0x9F},       {0xAD, 0xAD},
             {0x200B, 0x200F}, {0x2028, 0x202E}, {0x2060, 0x206F},   {0xFE00, 0xFE0F},
             {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE0FFF}, {0x61C, 0x61C},
             {0x180B, 0x180E}, {0x3164, 0x3164}, {0x34F, 0x34F}};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        for (uint32_t c = t[i].from; c <= t[i].to; c++) {
            char text[16] = "ab";
            uint32_t found = 0;
            size_t at = 0, n = 2 + encode(c, text + 2);
            text[n] = 'c';
            ck_assert_msg(hidden_find((struct str){text, n + 1}, &found, &at) != NULL, "U+%04X", c);
            ck_assert_uint_eq(found, c);
            ck_assert_uint_eq(at, 2);
        }
    }
}
END_TEST

START_TEST(what_scripts_and_emoji_need_is_allowed)
{
    static const char *const t[] = {
        "",
        "plain text\n\twith lines",
        "Gr\u00fc\u00dfe, \u65e5\u672c\u8a9e",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", /* Persian, with a non-joiner */
        "\u0d28\u0d4d\u200d",                               /* Malayalam chillu */
        "(\u200f\u05e2\u05d1\u05e8\u05d9\u05ea\u200e)",     /* marks beside Hebrew */
        "\U0001F468\u200D\U0001F469\u200D\U0001F467",       /* a family */
        "\u2764\uFE0F\u200D\U0001F525",
        "\U0001F3F3\uFE0F\u200D\U0001F308",
        "1\uFE0F\u20E3",
        "\u00A9\uFE0F",
        "\u0645 \u200f\u0645",
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint32_t c = 0;
        size_t at;
        const char *what = hidden_find(str_of(t[i]), &c, &at);
        ck_assert_msg(!what, "%zu: %s U+%04X", i, what ? what : "", c);
    }
}
END_TEST

START_TEST(rows_of_joiners_are_no_joiners)
{
    static const char *const t[] = {
        "\u05d0\u200c\u200d\u05d1",
        "\u05d0\u200e\u200f\u05d1",
        "\U0001F600\uFE0F\uFE0E",
        "\U0001F600\uFE01\uFE02\uFE03",
        "a\u200db",
        "a\uFE0Fb",
        "1\uFE0F",
        "\uFE0F",
        "\u200d",
        "\u05d0 \u200d b",
        "\U0001F3F4\U000E0067\U000E007F",
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        uint32_t c;
        size_t at;
        ck_assert_msg(hidden_find(str_of(t[i]), &c, &at) != NULL, "%zu", i);
    }
}
END_TEST

/* Wherever it stands, but for config. */
START_TEST(a_manifest_with_them_is_refused)
{
    static const struct source source = {.path = "/p"};
    static const char *const plugins[] = {"/p"};
    struct settings_args args = {.plugins = plugins, .plugins_count = 1};
    struct settings *s;
    struct err e;
    ck_assert_int_eq(settings_read(&args, &s, &e), 0);
    static const struct {
        const char *yaml, *expected;
    } t[] = {
        {"title: \"a\\u202Eb\"\n",
         "w.yaml:3:8: title: expected text without hidden characters, "
         "found an override of the writing direction (U+202E) behind \"a\""},
        {"tools: [{name: a, description: \"Weather\\u200B for\"}]\n",
         "w.yaml:3:32: tools[0].description: expected text without hidden characters, found a "
         "zero-width space (U+200B) behind \"Weather\""},
        {"tools: [{name: a, inputSchema: {type: object, properties: {\"x\\U000E0041\": {type: "
         "string}}}}]\n",
         "found a Unicode tag (U+E0041) behind \"x\""},
        {"prompts: [{name: a, messages: [{role: user, text: \"x\\e[0m\"}]}]\n",
         "prompts[0].messages[0].text: expected text without hidden characters, found a control "
         "character (U+001B) behind \"x\""},
        {"instructions: \""
         "0123456789012345678901234567890123456789"
         "\\u00fc\\u2066\"\n",
         "U+2066) behind \"23456789012345678901234567890123456789\u00fc\""},
        {"config: {a: \"\\u200B\", \"\\u200Bb\": [\"\\u200B\"]}\ntitle: x\n", NULL},
        {"title: x\nconfig: {a: \"\\u200B\"}\n", NULL},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char yaml[512];
        struct manifest *m = NULL;
        snprintf(yaml, sizeof(yaml), "manifold: 1\nid: a.b\n%s", t[i].yaml);
        int r = manifest_parse(s, &source, str_of(yaml), "w.yaml", &m, &e);
        if (!t[i].expected) {
            ck_assert_msg(r == 0, "%s", e.text);
            manifest_free(m);
            continue;
        }
        ck_assert_int_lt(r, 0);
        ck_assert_msg(strstr(e.text, t[i].expected) != NULL, "%s", e.text);
    }
    settings_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config hidden");
    TCase *t = tcase_create("hidden");
    tcase_add_test(t, everything_that_is_not_shown_is_found);
    tcase_add_test(t, what_scripts_and_emoji_need_is_allowed);
    tcase_add_test(t, rows_of_joiners_are_no_joiners);
    tcase_add_test(t, a_manifest_with_them_is_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
