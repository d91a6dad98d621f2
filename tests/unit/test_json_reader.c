/* The reader against RFC 8259, its limits and its memory bound.
 *   test_json_reader --check [--duplicates] FILE...   accept or refuse, one line a file
 *   test_json_reader --bench                          MB/s and ns a message */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "json/reader.h"
#include "json_tape.h"

static struct json_doc doc;
static struct json_error error;

static int read_str(struct str text, const struct json_limits *limits)
{
    memset(&error, 0, sizeof(error));
    /* A copy of exactly that size, so that a sanitizer sees a read behind the end. */
    char *copy = malloc(text.n ? text.n : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text.p, text.n);
    int r = json_read(&doc, (struct str){copy, text.n}, limits, &error);
    const char *wrong = tape_check(&doc, r == 0);
    ck_assert_msg(!wrong, "%.*s: %s", STR_FMT(text), wrong);
    if (r) {
        ck_assert_int_eq(r, -EINVAL);
        ck_assert_int_ne(error.kind, 0);
        ck_assert_int_ne(error.text[0], 0);
        ck_assert_uint_le(error.off, text.n);
    }
    free(copy);
    return r;
}

static int read_text(const char *text)
{
    return read_str(str_of(text), &json_limits_default);
}

static const char *const good[] = {
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "10",
    "0.5",
    "-0.5e-3",
    "1E+2",
    "1e2",
    "123.456e78",
    "\"\"",
    "\"a\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u0000\"",
    "\"\\u00e9\\uABCD\\uabcd\"",
    "\"\\ud83d\\ude00\"",
    "\"\\uDBFF\\uDFFF\"",
    "\"\\ud800\\udc00\"",
    "\"\x7f\"",
    "\"\xc2\x80\"",
    "\"\xdf\xbf\"",
    "\"\xe0\xa0\x80\"",
    "\"\xed\x9f\xbf\"",
    "\"\xee\x80\x80\"",
    "\"\xef\xbf\xbf\"",
    "\"\xf0\x90\x80\x80\"",
    "\"\xf4\x8f\xbf\xbf\"",
    "\"\xe2\x80\xa8\"",
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "{\"\":{}}",
    "[1,2,3]",
    "{\"a\":1,\"b\":[true,null]}",
    " \t\r\n[ 1 , { \"a\" : \"b\" , \"c\" : [ ] } , { } ] \n",
    "{\"a\":1,\"A\":2,\"a \":3}",
    "[\"0123456789abcdef0123456789abcdef\"]",
    "{\"a\":{\"a\":{\"a\":1}}}",
    "[0,-0,0e0,0.0E-0]",
};

START_TEST(accepts)
{
    ck_assert_msg(read_text(good[_i]) == 0, "%s: %s", good[_i], error.text);
}
END_TEST

static const struct {
    const char *text;
    uint32_t off;
    const char *says;
} bad[] = {
    {"", 0, "expected a JSON value, found the end of the text at byte 0"},
    {"  ", 2, "expected a JSON value, found the end"},
    {"\xef\xbb\xbf{}", 0, "found a byte order mark"},
    {"nul", 3, "expected \"null\", found the end"},
    {"nulL", 3, "expected \"null\", found 'L'"},
    {"True", 0, "expected a JSON value, found 'T'"},
    {"truee", 4, "expected the end of the text, found 'e'"},
    {"1 2", 2, "expected the end of the text, found '2'"},
    {"{}}", 2, "expected the end of the text, found '}'"},
    {"01", 1, "no digit behind a leading 0"},
    {"-01", 2, "no digit behind a leading 0"},
    {"-", 1, "expected a digit"},
    {"+1", 0, "expected a JSON value, found '+'"},
    {".5", 0, "expected a JSON value"},
    {"1.", 2, "expected a digit, found the end"},
    {"1.e1", 2, "expected a digit, found 'e'"},
    {"1e", 2, "expected a digit"},
    {"1e+", 3, "expected a digit"},
    {"0x1", 1, "expected the end of the text, found 'x'"},
    {"NaN", 0, "expected a JSON value"},
    {"-Infinity", 1, "expected a digit, found 'I'"},
    {"'a'", 0, "expected a JSON value"},
    {"[1,]", 3, "expected a JSON value, found ']'"},
    {"[,1]", 1, "expected a JSON value, found ','"},
    {"[1 2]", 3, "expected ',' or ']', found '2'"},
    {"[1}", 2, "expected ',' or ']', found '}'"},
    {"[1", 2, "expected ',' or ']', found the end"},
    {"[ ", 2, "expected a JSON value"},
    {"{\"a\":1]", 6, "expected ',' or '}', found ']'"},
    {"{\"a\":1,}", 7, "expected a key in quotes, found '}'"},
    {"{\"a\" 1}", 5, "expected ':', found '1'"},
    {"{\"a\"}", 4, "expected ':', found '}'"},
    {"{\"a\":}", 5, "expected a JSON value, found '}'"},
    {"{a:1}", 1, "expected a key in quotes or '}', found 'a'"},
    {"{1:1}", 1, "expected a key in quotes"},
    {"{\"a\":1 \"b\":2}", 7, "expected ',' or '}'"},
    {"[1]//", 3, "expected the end of the text"},
    {"[1\f]", 2, "found byte 0x0c"},
    {"[1\xc2\xa0]", 2, "found byte 0xc2"},
    {"\"", 1, "expected '\"' at the end of a string"},
    {"\"abc", 4, "expected '\"' at the end of a string"},
    {"\"a\nb\"", 2, "an escape for a control character, found byte 0x0a"},
    {"\"0123456789abcdef\x01\"", 17, "an escape for a control character, found byte 0x01"},
    {"\"\\x41\"", 2, "behind a backslash, found 'x'"},
    {"\"\\", 2, "behind a backslash, found the end"},
    {"\"\\u12g4\"", 5, "four hexadecimal digits behind \\u, found 'g'"},
    {"\"\\u12", 5, "four hexadecimal digits"},
    {"\"\\U1234\"", 2, "behind a backslash"},
    {"\"\\ud800\"", 7, "a low surrogate behind a high one"},
    {"\"\\ud800\\n\"", 7, "a low surrogate behind a high one"},
    {"\"\\ud800\\ud800\"", 7, "a low surrogate behind a high one"},
    {"\"\\ud800\\u0041\"", 7, "a low surrogate behind a high one"},
    {"\"\\udc00\"", 1, "a high surrogate before a low one"},
    {"\"\x80\"", 1, "expected UTF-8, found byte 0x80"},
    {"\"\xc0\x80\"", 1, "expected UTF-8"},
    {"\"\xc1\xbf\"", 1, "expected UTF-8"},
    {"\"\xc2\"", 1, "expected UTF-8"},
    {"\"\xc3\xa9\xc3\"", 3, "expected UTF-8"},
    {"\"\xe0\x9f\xbf\"", 1, "expected UTF-8"},
    {"\"\xe2\x82\"", 1, "expected UTF-8"},
    {"\"\xed\xa0\x80\"", 1, "expected UTF-8"},
    {"\"\xed\xbf\xbf\"", 1, "expected UTF-8"},
    {"\"\xf0\x8f\xbf\xbf\"", 1, "expected UTF-8"},
    {"\"\xf4\x90\x80\x80\"", 1, "expected UTF-8"},
    {"\"\xf5\x80\x80\x80\"", 1, "expected UTF-8"},
    {"\"\xf0\x9f\x98", 1, "expected UTF-8"},
    {"\"\xff\"", 1, "expected UTF-8"},
    {"\"0123456789abcde\xe9 0123456789abcdef\"", 16, "expected UTF-8"},
    {"[[[[", 3, "expected 3 closing brackets, found too little text"},
};

START_TEST(refuses)
{
    ck_assert_int_eq(read_text(bad[_i].text), -EINVAL);
    ck_assert_int_eq(error.kind, JSON_BAD_SYNTAX);
    ck_assert_msg(strstr(error.text, bad[_i].says), "%s: %s", bad[_i].text, error.text);
    ck_assert_msg(error.off == bad[_i].off, "%s: %s", bad[_i].text, error.text);
    char at[32];
    snprintf(at, sizeof(at), "byte %u", bad[_i].off);
    ck_assert_msg(strstr(error.text, at), "%s", error.text);
}
END_TEST

/* Every byte at every place of a block: the wide scan and its remainder agree with the table. */
START_TEST(each_byte_at_each_place)
{
    for (unsigned len = 1; len <= 40; len++) {
        for (unsigned at = 0; at < len; at++) {
            for (unsigned c = 0; c < 256; c++) {
                char text[42];
                memset(text, 'a', sizeof(text));
                text[0] = text[len + 1] = '"';
                text[at + 1] = (char)c;
                bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
                int r = read_str((struct str){text, len + 2}, &json_limits_default);
                ck_assert_msg((r == 0) == plain, "byte %u at %u of %u: %s", c, at, len, error.text);
            }
        }
    }
}
END_TEST

START_TEST(raw_nul_is_no_end)
{
    ck_assert_int_eq(read_str(STR("1\0"), &json_limits_default), -EINVAL);
    ck_assert_uint_eq(error.off, 1);
    ck_assert_int_eq(read_str(STR("\"a\0b\""), &json_limits_default), -EINVAL);
    ck_assert_uint_eq(error.off, 2);
    ck_assert_int_eq(read_str(STR("{\0}"), &json_limits_default), -EINVAL);
    ck_assert_uint_eq(error.off, 1);
}
END_TEST

START_TEST(tape_says_what_is_there)
{
    ck_assert_int_eq(json_read(&doc, STR(" {\"a\":[1,-2.5,\"x\\u0000\"],\"b\\n\":{}} "),
                               &json_limits_default, &error),
                     0);
    static const struct json_node want[] = {
        {1, 33, 8, 2, JSON_OBJECT, 0},
        {2, 3, 2, 0, JSON_STRING, 0},
        {6, 18, 6, 3, JSON_ARRAY, 0},
        {7, 1, 4, 0, JSON_NUMBER, JSON_INTEGER},
        {9, 4, 5, 0, JSON_NUMBER, 0},
        {14, 9, 6, 0, JSON_STRING, JSON_ESCAPED | JSON_NUL},
        {25, 5, 7, 0, JSON_STRING, JSON_ESCAPED},
        {31, 2, 8, 0, JSON_OBJECT, 0},
    };
    ck_assert_uint_eq(doc.nodes, sizeof(want) / sizeof(*want));
    for (json_ref n = 0; n < doc.nodes; n++) {
        const struct json_node *is = &doc.node[n], *w = &want[n];
        ck_assert_msg(is->off == w->off && is->len == w->len && is->next == w->next &&
                          is->count == w->count && is->type == w->type && is->flags == w->flags,
                      "node %u: off %u len %u next %u count %u type %u flags %u", n, is->off,
                      is->len, is->next, is->count, is->type, is->flags);
    }
}
END_TEST

/* A message that breaks off still shows what came before: id and method for the answer. */
START_TEST(error_keeps_what_was_read)
{
    struct str text = STR("{\"id\":7,\"params\":{\"a\":[1,{\"b\":2,\"c\":x");
    ck_assert_int_eq(json_read(&doc, text, &json_limits_default, &error), -EINVAL);
    ck_assert_ptr_null(tape_check(&doc, false));
    ck_assert_uint_eq(json_get(&doc, 0, STR("id")), 2);
    json_ref params = json_get(&doc, 0, STR("params"));
    json_ref a = json_get(&doc, params, STR("a"));
    ck_assert_uint_eq(doc.node[a].count, 2);
    ck_assert_uint_ne(json_get(&doc, a + 2, STR("b")), 0);
    ck_assert_uint_eq(json_get(&doc, a + 2, STR("c")), 0);
}
END_TEST

static void repeat(struct buf *b, struct str piece, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buf_str(b, piece);
    BUG_ON(b->failed);
}

START_TEST(depth_limit)
{
    struct json_limits limits = json_limits_default;
    for (unsigned depth = 1; depth <= 200; depth += 63) {
        struct buf b = BUF_INIT(1 << 20);
        limits.depth = depth;
        repeat(&b, STR("["), depth);
        repeat(&b, STR("]"), depth);
        ck_assert_int_eq(read_str(buf_view(&b), &limits), 0);
        buf_clear(&b, SIZE_MAX);
        repeat(&b, STR("{\"a\":"), depth);
        repeat(&b, STR("{}"), 1);
        repeat(&b, STR("}"), depth);
        ck_assert_int_eq(read_str(buf_view(&b), &limits), -EINVAL);
        ck_assert_int_eq(error.kind, JSON_OVER_LIMIT);
        ck_assert_uint_eq(error.off, 5 * depth);
        ck_assert_ptr_nonnull(strstr(error.text, "levels"));
        buf_release(&b);
    }
    limits.depth = 0;
    ck_assert_int_eq(read_str(STR("1"), &limits), 0);
    ck_assert_int_eq(read_str(STR("[]"), &limits), -EINVAL);
}
END_TEST

/* Depth costs no stack: a million levels are read when they are allowed. */
START_TEST(depth_is_not_recursion)
{
    struct json_limits limits = {.bytes = 4u << 20, .depth = 1u << 20, .nodes = 1u << 21};
    struct buf b = BUF_INIT(4u << 20);
    repeat(&b, STR("["), 1u << 20);
    repeat(&b, STR("]"), 1u << 20);
    ck_assert_int_eq(json_read(&doc, buf_view(&b), &limits, &error), 0);
    ck_assert_uint_eq(doc.nodes, 1u << 20);
    buf_release(&b);
    json_doc_release(&doc);
}
END_TEST

START_TEST(node_limit)
{
    struct json_limits limits = json_limits_default;
    limits.nodes = 5;
    ck_assert_int_eq(read_str(STR("[1,2,3,4]"), &limits), 0);
    ck_assert_int_eq(read_str(STR("{\"a\":1,\"b\":2}"), &limits), 0);
    ck_assert_int_eq(read_str(STR("[1,2,3,4,5]"), &limits), -EINVAL);
    ck_assert_int_eq(error.kind, JSON_OVER_LIMIT);
    ck_assert_uint_eq(error.off, 9);
    ck_assert_uint_eq(doc.nodes, 5);
    ck_assert_int_eq(read_str(STR("{\"a\":1,\"b\":2,\"c\":3}"), &limits), -EINVAL);
    ck_assert_int_eq(error.kind, JSON_OVER_LIMIT);
}
END_TEST

START_TEST(byte_limit)
{
    struct json_limits limits = json_limits_default;
    limits.bytes = 4;
    ck_assert_int_eq(read_str(STR("[12]"), &limits), 0);
    ck_assert_int_eq(read_str(STR("[12] "), &limits), -EINVAL);
    ck_assert_int_eq(error.kind, JSON_OVER_LIMIT);
    ck_assert_uint_eq(doc.nodes, 0);
}
END_TEST

static const char *const twice[] = {
    "{\"a\":1,\"a\":1}",
    "{\"a\":1,\"\\u0061\":2}",
    "{\"\\u0061\":1,\"a\":2}",
    "{\"\":1,\"\":2}",
    "{\"\\n\":1,\"\\u000A\":2}",
    "{\"\\ud83d\\ude00\":1,\"b\":0,\"\xf0\x9f\x98\x80\":2}",
    "{\"\\/\":1,\"/\":2}",
    "[0,{\"x\":{\"a\":1,\"b\":[{}],\"a\":1}}]",
    "{\"method\":\"a\",\"id\":1,\"method\":\"b\"}",
    "{\"abcdefghijklmnopqrstuvwxyz\":1,\"abcdefghijklmnopqrstuvwxy\\u007a\":1}",
};

START_TEST(duplicate_keys)
{
    struct json_limits allowed = json_limits_default;
    allowed.duplicates = true;
    ck_assert_int_eq(read_text(twice[_i]), -EINVAL);
    ck_assert_int_eq(error.kind, JSON_DUPLICATE);
    ck_assert_ptr_nonnull(strstr(error.text, "expected each key once"));
    ck_assert_int_eq(read_str(str_of(twice[_i]), &allowed), 0);
}
END_TEST

/* Keys k0 to k(n-1); key `again`, spelled with an escape, once more at the end. */
static void many_keys(struct buf *b, unsigned n, int again)
{
    buf_clear(b, SIZE_MAX);
    buf_byte(b, '{');
    for (unsigned i = 0; i < n; i++)
        buf_printf(b, "%s\"%s%u\":%u", i ? "," : "", i % 3 ? "k" : "\\u006b", i, i);
    if (again >= 0)
        buf_printf(b, ",\"\\u006B%d\":0", again);
    buf_byte(b, '}');
    BUG_ON(b->failed);
}

START_TEST(duplicate_among_many)
{
    struct buf b = BUF_INIT(1 << 20);
    static const unsigned sizes[] = {2, 15, 16, 17, 18, 33, 100, 10000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        unsigned n = sizes[i];
        many_keys(&b, n, -1);
        ck_assert_msg(read_str(buf_view(&b), &json_limits_default) == 0, "%u: %s", n, error.text);
        for (unsigned again = 0; again < n; again += n / 8 + 1) {
            many_keys(&b, n, (int)again);
            ck_assert_int_eq(read_str(buf_view(&b), &json_limits_default), -EINVAL);
            ck_assert_int_eq(error.kind, JSON_DUPLICATE);
            ck_assert_uint_eq(error.off, strrchr(buf_cstr(&b), ',') + 1 - b.data);
        }
    }
    buf_release(&b);
}
END_TEST

/* Keys that differ only far behind the first block of the hash, and a large one with escapes. */
START_TEST(duplicate_long_keys)
{
    struct buf b = BUF_INIT(1 << 20);
    for (int same = 0; same < 2; same++) {
        buf_clear(&b, SIZE_MAX);
        buf_byte(&b, '{');
        for (unsigned i = 0; i < 20; i++) {
            buf_lit(&b, "\"");
            repeat(&b, STR("0123456789"), 100);
            if (i == 19)
                repeat(&b, STR("\\u0061"), 400);
            else
                repeat(&b, STR("a"), 400);
            buf_printf(&b, "%u\":0,", same && i == 19 ? 7 : i);
        }
        buf_lit(&b, "\"z\":0}");
        ck_assert_int_eq(read_str(buf_view(&b), &json_limits_default), same ? -EINVAL : 0);
    }
    buf_release(&b);
}
END_TEST

/* 4 MiB of what costs most for its size; complete or broken, the array stays
 * within 8 bytes for each byte read. */
START_TEST(memory_bound)
{
    static const struct {
        struct str begin, piece, end;
    } shape[] = {
        {STR("["), STR("{},"), STR("{}]")},
        {STR("["), STR("1,"), STR("1]")},
        {STR("{"), STR("\"\":1,"), STR("\"\":1}")},
        {STR(""), STR("["), STR("")},
        {STR(""), STR("{\"\":"), STR("")},
        {STR(""), STR("[[],"), STR("")},
        {STR("[[[[[["), STR("{},"), STR("{}]")},
        {STR("["), STR("\"\","), STR("")},
        {STR("["), STR("{\"\":0,\"a\":0},"), STR("0]")},
    };
    struct json_limits limits = {
        .bytes = 8u << 20, .depth = UINT32_MAX, .nodes = UINT32_MAX, .duplicates = false};
    struct buf b = BUF_INIT(8u << 20);
    for (size_t i = 0; i < sizeof(shape) / sizeof(*shape); i++) {
        for (size_t bytes = 100; bytes <= 4u << 20; bytes = bytes * 7 / 2) {
            buf_clear(&b, SIZE_MAX);
            repeat(&b, shape[i].begin, 1);
            repeat(&b, shape[i].piece, bytes / shape[i].piece.n);
            repeat(&b, shape[i].end, 1);
            struct json_doc d = {0};
            int r = json_read(&d, buf_view(&b), &limits, &error);
            ck_assert(r == 0 || r == -EINVAL);
            size_t used = d.cap * sizeof(*d.node), most = 8 * (b.len + 2);
            ck_assert_msg(used <= (most > 1024 ? most : 1024), "shape %zu: %zu for %zu", i, used,
                          b.len);
            json_doc_release(&d);
        }
    }
    buf_release(&b);
}
END_TEST

/* Distinct keys as short as can be, of every count, at every depth: the index
 * of the keys always fits behind the tape and nothing valid is refused for room. */
START_TEST(index_fits)
{
    static const char digit[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-+";
    struct buf b = BUF_INIT(1 << 20);
    for (unsigned n = 1; n < 600; n++) {
        for (unsigned depth = 0; depth < 3; depth++) {
            buf_clear(&b, SIZE_MAX);
            repeat(&b, STR("["), depth);
            buf_byte(&b, '{');
            for (unsigned i = 0; i < n; i++) {
                if (i)
                    buf_byte(&b, ',');
                buf_byte(&b, '"');
                for (unsigned k = i; k; k /= 64)
                    buf_byte(&b, digit[k % 64]);
                buf_lit(&b, "\":0");
            }
            buf_byte(&b, '}');
            repeat(&b, STR("]"), depth);
            struct json_doc d = {0};
            int r = json_read(&d, buf_view(&b), &json_limits_default, &error);
            ck_assert_msg(r == 0, "%u keys: %s", n, error.text);
            ck_assert_uint_eq(d.node[depth].count, n);
            ck_assert_uint_le(d.cap, b.len / 2 + 1 > 64 ? b.len / 2 + 1 : 64);
            json_doc_release(&d);
        }
    }
    buf_release(&b);
}
END_TEST

START_TEST(arrays_are_reused)
{
    ck_assert_int_eq(read_text("[1,2,3]"), 0);
    const struct json_node *kept = doc.node;
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(read_text("{\"a\":[1,2,3],\"b\":[]}"), 0);
    ck_assert_ptr_eq(doc.node, kept);
    json_doc_trim(&doc, doc.cap * sizeof(*doc.node));
    ck_assert_ptr_eq(doc.node, kept);
    json_doc_trim(&doc, doc.cap * sizeof(*doc.node) - 1);
    ck_assert_ptr_null(doc.node);
    ck_assert_uint_eq(doc.nodes, 0);
    ck_assert_int_eq(read_text("[1]"), 0);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

static Suite *suite(void)
{
    Suite *s = suite_create("json reader");
    TCase *t = tcase_create("all");
    suite_add_tcase(s, t);
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, accepts, 0, COUNT(good));
    tcase_add_loop_test(t, refuses, 0, COUNT(bad));
    tcase_add_loop_test(t, duplicate_keys, 0, COUNT(twice));
    tcase_add_test(t, each_byte_at_each_place);
    tcase_add_test(t, raw_nul_is_no_end);
    tcase_add_test(t, tape_says_what_is_there);
    tcase_add_test(t, error_keeps_what_was_read);
    tcase_add_test(t, depth_limit);
    tcase_add_test(t, depth_is_not_recursion);
    tcase_add_test(t, node_limit);
    tcase_add_test(t, byte_limit);
    tcase_add_test(t, duplicate_among_many);
    tcase_add_test(t, duplicate_long_keys);
    tcase_add_test(t, memory_bound);
    tcase_add_test(t, index_fits);
    tcase_add_test(t, arrays_are_reused);
    return s;
}

static int check_files(int argc, char **argv)
{
    struct json_limits limits = json_limits_default;
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "--duplicates")) {
            limits.duplicates = true;
            continue;
        }
        FILE *f = fopen(argv[i], "rb");
        if (!f) {
            perror(argv[i]);
            return 2;
        }
        struct buf b = BUF_INIT(64u << 20);
        char block[65536];
        for (size_t n; (n = fread(block, 1, sizeof(block), f)) > 0;)
            buf_append(&b, block, n);
        fclose(f);
        int r = b.failed ? b.failed : json_read(&doc, buf_view(&b), &limits, &error);
        printf("%s %s%s%s\n", r ? "refuse" : "accept", argv[i], r ? ": " : "", r ? error.text : "");
        buf_release(&b);
    }
    return 0;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(const char *what, struct str text)
{
    struct json_limits limits = json_limits_default;
    limits.nodes = 1u << 20;
    double best = 1e9;
    /* The best of many short turns: on a busy machine one of them is left alone. */
    unsigned rounds = (unsigned)((256u << 10) / text.n) + 1;
    for (int i = 0; i < 300; i++) {
        double begin = now();
        for (unsigned k = 0; k < rounds; k++) {
            if (json_read(&doc, text, &limits, &error)) {
                printf("%s: %s\n", what, error.text);
                return;
            }
        }
        double took = (now() - begin) / rounds;
        best = took < best ? took : best;
    }
    printf("%-28s %8zu bytes %8u nodes %9.0f MB/s %12.0f ns\n", what, text.n, doc.nodes,
           (double)text.n / best / 1e6, best * 1e9);
}

static void measure_repeated(const char *what, struct str begin, struct str piece, struct str end)
{
    struct buf b = BUF_INIT(2u << 20);
    repeat(&b, begin, 1);
    repeat(&b, piece, (1u << 20) / piece.n);
    repeat(&b, end, 1);
    measure(what, buf_view(&b));
    buf_release(&b);
}

static int bench(void)
{
    measure("tools/call, legacy", STR("{\"jsonrpc\":\"2.0\",\"id\":12345,\"method\":\"tools/call\","
                                      "\"params\":{\"name\":\"echo\",\"arguments\":{\"message\":"
                                      "\"hello\"}}}"));
    measure(
        "tools/call, modern",
        STR("{\"jsonrpc\":\"2.0\",\"id\":12345,\"method\":\"tools/call\",\"params\":{\"name\":"
            "\"echo\",\"arguments\":{\"message\":\"hello\"},\"_meta\":{\"io.modelcontextprotocol/"
            "protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientInfo\":{\"name\":"
            "\"bench\",\"version\":\"1.0.0\"},\"io.modelcontextprotocol/clientCapabilities\":{}}"
            "}}"));
    measure_repeated("one string, ASCII", STR("\""), STR("The quick brown fox "), STR("\""));
    measure_repeated("one string, Cyrillic", STR("\""), STR("\xd0\x9c\xd0\xb8\xd1\x80 "),
                     STR("\""));
    measure_repeated("one string, CJK", STR("\""), STR("\xe4\xbd\xa0\xe5\xa5\xbd"), STR("\""));
    measure_repeated("one string, code", STR("\""), STR("    return \\\"x\\\";\\n"), STR("\""));
    measure_repeated("integers", STR("["), STR("12345,"), STR("0]"));
    measure_repeated("small objects", STR("["), STR("{\"id\":17,\"name\":\"ab\",\"ok\":true},"),
                     STR("0]"));
    measure_repeated("{},", STR("["), STR("{},"), STR("0]"));
    struct buf b = BUF_INIT(2u << 20);
    many_keys(&b, 50000, -1);
    measure("50,000 keys", buf_view(&b));
    buf_release(&b);
    return 0;
}

int main(int argc, char **argv)
{
    int result = 0;
    if (argc > 1 && !strcmp(argv[1], "--check")) {
        result = check_files(argc, argv);
    } else if (argc > 1 && !strcmp(argv[1], "--bench")) {
        result = bench();
    } else {
        SRunner *r = srunner_create(suite());
        srunner_run_all(r, CK_NORMAL);
        result = srunner_ntests_failed(r) != 0;
        srunner_free(r);
    }
    json_doc_release(&doc);
    return result;
}
