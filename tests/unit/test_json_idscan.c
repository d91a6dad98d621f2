#include <check.h>
#include <stdlib.h>
#include "json/idscan.h"
#include "json/reader.h"

static struct idscan scan;

static struct str id_of(struct str text, size_t step)
{
    idscan_start(&scan);
    for (size_t at = 0; at < text.n; at += step) {
        size_t n = text.n - at < step ? text.n - at : step;
        char *piece = malloc(n);
        ck_assert_ptr_nonnull(piece);
        memcpy(piece, text.p + at, n);
        idscan_feed(&scan, (struct str){piece, n});
        free(piece);
    }
    return idscan_id(&scan);
}

static const struct {
    const char *text, *id;
} texts[] = {
    {"{\"id\":1}", "1"},
    {"{\"id\":1,", "1"},
    {"{\"id\":1 ", "1"},
    {"{\"id\":9223372036854775808}", "9223372036854775808"},
    {"{\"id\":-0}", "-0"},
    {" \r\n{ \"id\" : \t-12 , ", "-12"},
    {"{\"id\":\"a\"", "\"a\""},
    {"{\"id\":\"\"", "\"\""},
    {"{\"id\":\"a\\\"\\\\,}\\u00e9\xc3\xa9\"", "\"a\\\"\\\\,}\\u00e9\xc3\xa9\""},
    {"{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"id\":7,\"params\":", "7"},
    {"{\"params\":{\"id\":3,\"a\":[{\"id\":4}]},\"id\":5}", "5"},
    {"{\"a\":\"\\\",\\\"id\\\":8,\",\"id\":9}", "9"},
    {"{\"a\":\"\\\\\",\"id\":9}", "9"},
    {"{\"a\":\"id\",\"id\":9}", "9"},
    {"{\"a\":[}x],\"id\":2}", NULL},
    {"{\"a\":}\"id\":2}", NULL},
    {"{\"a\":[1,2,\"id\",5],\"id\":2}", "2"},
    {"{\"a\":[[[[,,\"id\":3]]]],\"id\":2}", "2"},
    {"{\"a\":tru,\"b\" 1,,\"id\":2}", "2"},
    {"{\"a\":\"\xff\x01\n\",\"id\":2}", "2"},
    {"{\"id\":null,\"id\":2}", "2"},
    {"{\"id\":1,\"id\":2}", "1"},
    {"{\"idx\":1,\"xid\":2,\"i\":3,\"ID\":4,\"\":5,\"i\\u0064\":6,\"id\\n\":7}", NULL},
    {"{\"id\":1", NULL},
    {"{\"id\":\"a", NULL},
    {"{\"id\":\"a\\\"", NULL},
    {"{\"id\":null}", NULL},
    {"{\"id\":true}", NULL},
    {"{\"id\":1.5}", NULL},
    {"{\"id\":1.0}", NULL},
    {"{\"id\":1e5}", NULL},
    {"{\"id\":01}", NULL},
    {"{\"id\":-}", NULL},
    {"{\"id\":--1}", NULL},
    {"{\"id\":+1}", NULL},
    {"{\"id\":12x}", NULL},
    {"{\"id\":1\"}", NULL},
    {"{\"id\":{\"id\":1}}", NULL},
    {"{\"id\":[1]}", NULL},
    {"{\"id\":\"\xff\"}", NULL},
    {"{\"id\":\"\\ud800\"}", NULL},
    {"{\"id\":\"\\x\"}", NULL},
    {"{\"id\":\"a\nb\"}", NULL},
    {"{\"id\" \"id\":5}", NULL},
    {"{\"id\"::5}", NULL},
    {"{\"id\",5}", NULL},
    {"{x\"id\":5}", NULL},
    {"{\"a\":\"id\":5}", NULL},
    {"[{\"id\":1}]", NULL},
    {"\"id\":1", NULL},
    {"}{\"id\":1}", NULL},
    {"{}{\"id\":1}", NULL},
    {"", NULL},
};

START_TEST(finds)
{
    struct str text = str_of(texts[_i].text);
    for (size_t step = 1; step <= text.n + 1; step++) {
        struct str id = id_of(text, step);
        if (texts[_i].id)
            ck_assert_msg(str_eq(id, str_of(texts[_i].id)), "%s in steps of %zu: %.*s",
                          texts[_i].text, step, STR_FMT(id));
        else
            ck_assert_msg(!id.p && !id.n, "%s: %.*s", texts[_i].text, STR_FMT(id));
    }
}
END_TEST

START_TEST(longest)
{
    for (size_t n = IDSCAN_MAX - 4; n <= IDSCAN_MAX + 4; n++) {
        for (int quoted = 0; quoted < 2; quoted++) {
            char text[600];
            memset(text, '1', sizeof(text));
            memcpy(text, "{\"id\":", 6);
            text[6 + n] = ',';
            if (quoted)
                text[6] = text[6 + n - 1] = '"';
            struct str id = id_of((struct str){text, 6 + n + 1}, 100);
            ck_assert_uint_eq(id.n, n <= IDSCAN_MAX ? n : 0);
        }
    }
}
END_TEST

/* Wherever the id stands in a message that is too deep for the reader. */
START_TEST(behind_deep_nesting)
{
    struct buf b = BUF_INIT(1 << 20);
    buf_lit(&b, "{\"a\":");
    for (int i = 0; i < 100000; i++)
        buf_lit(&b, "[");
    for (int i = 0; i < 100000; i++)
        buf_lit(&b, "]");
    buf_lit(&b, ",\"id\":77}");
    ck_assert(str_eq(id_of(buf_view(&b), 4096), STR("77")));
    buf_release(&b);
}
END_TEST

/* Of a text that the reader accepts, both find the same. */
START_TEST(agrees_with_reader)
{
    uint64_t state = 0x2545f4914f6cdd1du;
    struct json_doc d = {0};
    struct json_error e;
    unsigned both = 0;
    static const char *const member[] = {
        "\"id\":7",
        " \"id\" : -12 ",
        "\"id\":\"x\\\"y\"",
        "\"id\":1.5",
        "\"id\":null",
        "\"a\":{\"id\":1}",
        "\"b\":[\"id\",2,{\"id\":3}]",
        "\"c\":\"\\\"id\\\":4,\"",
        "\"d\":\"id\"",
        "\"id \":5",
        "\"ID\":6",
        "\"e\":[{}]",
        "\"f\":{\"id\":{\"id\":8}}",
        "\"\\\\\":9",
    };
    for (int i = 0; i < 20000; i++) {
        char text[256];
        size_t n = 0;
        for (int k = 0; k < 4; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            struct str m = str_of(member[(state >> 33) % (sizeof(member) / sizeof(*member))]);
            text[n++] = k ? ',' : '{';
            memcpy(text + n, m.p, m.n);
            n += m.n;
        }
        text[n++] = '}';
        struct str whole = {text, n}, id = id_of(whole, 7);
        if (json_read(&d, whole, &json_limits_default, &e))
            continue;
        json_ref r = json_get(&d, 0, STR("id"));
        bool counts = r && (json_is(&d, r, JSON_STRING) || (d.node[r].flags & JSON_INTEGER));
        ck_assert_msg(str_eq(id, counts ? json_raw(&d, r) : STR_NONE), "%.*s: %.*s", STR_FMT(whole),
                      STR_FMT(id));
        both += counts;
    }
    ck_assert_uint_gt(both, 1000);
    json_doc_release(&d);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

int main(void)
{
    Suite *s = suite_create("json idscan");
    TCase *t = tcase_create("all");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, finds, 0, COUNT(texts));
    tcase_add_test(t, longest);
    tcase_add_test(t, behind_deep_nesting);
    tcase_add_test(t, agrees_with_reader);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
