/* tests/sdk/test_json.c - manifold/json.h: reading, writing, and that it stays
 * within any text.  The random part is worth most under ASan. */
#include <manifold/json.h>

#include <check.h>
#include <math.h>

static mf_bytes bytes(const char *s)
{
    return MF_INIT_BYTES_(s, strlen(s));
}

static mfj_value parse(const char *s)
{
    return mfj_read(bytes(s));
}

static void expect_string(const char *json, const char *want, size_t len)
{
    char space[256];
    mf_bytes got = {NULL, 0};
    ck_assert_int_eq(mfj_string(parse(json), space, sizeof(space), &got), MF_OK);
    ck_assert_uint_eq(got.len, len);
    ck_assert_mem_eq(got.data, want, len);
}

START_TEST(kinds_and_missing_values)
{
    static const char doc[] = " {\"n\":null,\"b\":true,\"i\":-1,\"s\":\"x\",\"a\":[],\"o\":{}}\n";
    mfj_value v = parse(doc);
    ck_assert_int_eq(mfj_kind(v), MFJ_OBJECT);
    ck_assert_int_eq(mfj_kind(mfj_get(v, "n")), MFJ_NULL);
    ck_assert_int_eq(mfj_kind(mfj_get(v, "b")), MFJ_BOOL);
    ck_assert_int_eq(mfj_kind(mfj_get(v, "i")), MFJ_NUMBER);
    ck_assert_int_eq(mfj_kind(mfj_get(v, "s")), MFJ_STRING);
    ck_assert_int_eq(mfj_kind(mfj_get(v, "a")), MFJ_ARRAY);
    ck_assert_int_eq(mfj_kind(mfj_get(v, "o")), MFJ_OBJECT);
    ck_assert_int_eq(mfj_kind(mfj_get(v, "z")), MFJ_NONE);
    ck_assert_int_eq(mfj_kind(parse("")), MFJ_NONE);
    ck_assert_int_eq(mfj_kind(parse(" x")), MFJ_NONE);
    int64_t n = 7;
    double d = 7;
    int b = 7;
    mf_bytes s;
    mfj_value none = mfj_find(v, "o/deep/er");
    ck_assert_int_eq(mfj_int(none, &n), MF_ENOENT);
    ck_assert_int_eq(mfj_double(none, &d), MF_ENOENT);
    ck_assert_int_eq(mfj_bool(none, &b), MF_ENOENT);
    ck_assert_int_eq(mfj_string(none, NULL, 0, &s), MF_ENOENT);
    ck_assert_int_eq(mfj_is_null(none), 0);
    ck_assert_uint_eq(mfj_raw(none).len, 0);
    ck_assert(n == 7 && d == 7 && b == 7);
}
END_TEST

START_TEST(paths_and_walks)
{
    mfj_value v = parse("{\"a\":{\"b\":[10,{\"c\" : \"x\"},[ ]]},\"a/b\":1,\"\\u0061b\":2,\"\":3}");
    int64_t n;
    ck_assert_int_eq(mfj_int(mfj_find(v, "a/b/0"), &n), MF_OK);
    ck_assert_int_eq(n, 10);
    ck_assert(mfj_string_is(mfj_find(v, "a/b/1/c"), MF_LIT("x")));
    ck_assert_int_eq(mfj_kind(mfj_find(v, "a/b/2")), MFJ_ARRAY);
    ck_assert_int_eq(mfj_kind(mfj_find(v, "a/b/3")), MFJ_NONE);
    ck_assert_int_eq(mfj_kind(mfj_find(v, "a/b/x")), MFJ_NONE);
    ck_assert_int_eq(mfj_kind(mfj_find(v, "a/b/9999999999")), MFJ_NONE);
    ck_assert_int_eq(mfj_int(mfj_get(v, "a/b"), &n), MF_OK);
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(mfj_int(mfj_get(v, "ab"), &n), MF_OK);
    ck_assert_int_eq(n, 2);
    ck_assert_int_eq(mfj_int(mfj_get(v, ""), &n), MF_OK);
    ck_assert_int_eq(n, 3);
    ck_assert(mfj_find(v, "").at == v.at);

    mfj_value key, value;
    mfj_iter it = mfj_iter_open(v);
    int count = 0;
    while (mfj_next(&it, &key, &value))
        count++;
    ck_assert_int_eq(count, 4);
    it = mfj_iter_open(parse("[1, [2,3] ,\"]\\\"\",{\"k\":\"}\"}, 5 ]"));
    for (count = 0; mfj_next(&it, NULL, &value); count++)
        if (count == 3)
            ck_assert(mfj_string_is(mfj_get(value, "k"), MF_LIT("}")));
    ck_assert_int_eq(count, 5);
    ck_assert(mfj_int(value, &n) == MF_OK && n == 5);
    it = mfj_iter_open(parse("[]"));
    ck_assert_int_eq(mfj_next(&it, NULL, &value), 0);
    it = mfj_iter_open(parse("3"));
    ck_assert_int_eq(mfj_next(&it, NULL, &value), 0);
}
END_TEST

START_TEST(raw_slices)
{
    mfj_value v = parse("{\"a\" : {\"x\":\"}\\\\\"} , \"b\":12 ,\"c\":\"q\\\"\"}");
    mf_bytes a = mfj_raw(mfj_get(v, "a")), b = mfj_raw(mfj_get(v, "b")),
             c = mfj_raw(mfj_get(v, "c"));
    ck_assert(a.len == 11 && memcmp(a.data, "{\"x\":\"}\\\\\"}", 11) == 0);
    ck_assert(b.len == 2 && memcmp(b.data, "12", 2) == 0);
    ck_assert(c.len == 5 && memcmp(c.data, "\"q\\\"\"", 5) == 0);
}
END_TEST

START_TEST(strings_are_decoded)
{
    expect_string("\"\"", "", 0);
    expect_string("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz", 10);
    expect_string("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"",
                  "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 10);
    mf_bytes s;
    char space[8];
    /* Zero copy where there are no escapes, even without space. */
    mfj_value plain = parse("\"hello\"");
    ck_assert_int_eq(mfj_string(plain, NULL, 0, &s), MF_OK);
    ck_assert(s.data == plain.at + 1 && s.len == 5);
    ck_assert_int_eq(mfj_string(parse("\"12345678\\n\""), space, 8, &s), MF_ELIMIT);
    ck_assert_int_eq(mfj_string(parse("\"1234567\\n\""), space, 8, &s), MF_OK);
    ck_assert_uint_eq(s.len, 8);
    static const char *const bad[] = {
        "\"",          "\"abc",          "\"\\",    "\"\\u12\"",          "\"\\ud800\"",
        "\"\\udc00\"", "\"\\ud800\\n\"", "\"\\x\"", "\"\\ud800\\u0041\"", "\"\\u00g0\"",
        "12",          "\"\\u0000\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(mfj_string(parse(bad[i]), space, 8, &s) == MF_EINVAL, "%s", bad[i]);
    ck_assert_int_eq(mfj_cstring(parse("\"a\\tb\""), space, 4), MF_OK);
    ck_assert_str_eq(space, "a\tb");
    ck_assert_int_eq(mfj_cstring(parse("\"a\\tb\""), space, 3), MF_ELIMIT);
    ck_assert_str_eq(space, "");
    ck_assert(mfj_string_is(parse("\"a\\u0000b\""), MF_LIT("a\0b")));
    ck_assert(!mfj_string_is(parse("\"a\\\"b\""), MF_LIT("a\\")));
    ck_assert(!mfj_string_is(parse("\"ab\""), MF_LIT("a")));
    ck_assert(!mfj_string_is(parse("\"a\":\"b\""), MF_LIT("a\":\"b")));
    ck_assert(!mfj_string_is(parse("\"a\\\"\""), MF_LIT("a\\\"")));
    ck_assert(mfj_string_is(parse("\"a\\\"\""), MF_LIT("a\"")));
    ck_assert(!mfj_string_is(parse("\"a"), MF_LIT("a")));
    ck_assert(mfj_string_is(parse("\"\""), MF_LIT("")));
    ck_assert(!mfj_string_is(parse("\"a\""), MF_LIT("ab")));
}
END_TEST

/* Puts the pieces of a string together; the number of pieces. */
static int join(mfj_value v, uint32_t flags, size_t cap, char *out, size_t *ret_len,
                mf_status *ret_end)
{
    mfj_chunks c = mfj_chunks_open(v, flags);
    char *buf = malloc(cap ? cap : 1); /* of its exact size, for ASan */
    mf_bytes piece;
    int count = 0;
    *ret_len = 0;
    while ((*ret_end = mfj_chunk(&c, buf, cap, &piece)) == 1) {
        ck_assert_uint_gt(piece.len, 0);
        memcpy(out + *ret_len, piece.data, piece.len);
        *ret_len += piece.len;
        count++;
    }
    ck_assert_int_eq(mfj_chunk(&c, buf, cap, &piece), *ret_end);
    free(buf);
    return count;
}

START_TEST(a_long_string_is_one_slice)
{
    size_t size = 1 << 20;
    char *text = malloc(size + 2);
    memset(text, 'x', size + 2);
    text[0] = text[size + 1] = '"';
    mf_bytes piece;
    mfj_chunks c = mfj_chunks_open(mfj_read(MF_INIT_BYTES_(text, size + 2)), 0);
    char buf[4];
    ck_assert_int_eq(mfj_chunk(&c, buf, sizeof(buf), &piece), 1);
    ck_assert(piece.data == text + 1 && piece.len == size);
    ck_assert_int_eq(mfj_chunk(&c, buf, sizeof(buf), &piece), 0);
    free(text);
}
END_TEST

START_TEST(chunks_give_the_same_for_every_buffer)
{
    char json[4096], want[4096], got[4096];
    size_t n = 0, len, want_len = 0, i, cap;
    mf_status end;
    json[n++] = '"';
    /* Short and long runs between all kinds of escapes. */
    for (i = 0; i < 12; i++) {
        static const char *const raw[] = {"\\n", "\\u00e9", "\\ud83d\\ude00", "\\\\", "\\\""};
        static const char *const dec[] = {"\n", "\xC3\xA9", "\xF0\x9F\x98\x80", "\\", "\""};
        size_t run = i * i * 2;
        memset(json + n, 'a' + (int)i, run);
        memset(want + want_len, 'a' + (int)i, run);
        n += run;
        want_len += run;
        n += (size_t)sprintf(json + n, "%s", raw[i % 5]);
        want_len += (size_t)sprintf(want + want_len, "%s", dec[i % 5]);
    }
    json[n++] = '"';
    json[n] = 0;
    for (cap = 4; cap < 600; cap++) {
        int count = join(parse(json), 0, cap, got, &len, &end);
        ck_assert_int_eq(end, 0);
        ck_assert_uint_eq(len, want_len);
        ck_assert_mem_eq(got, want, len);
        if (cap > 300)
            ck_assert_int_le(count, 6);
    }
    for (cap = 0; cap < 4; cap++) {
        join(parse("\"\\n\""), 0, cap, got, &len, &end);
        ck_assert_int_eq(end, MF_ELIMIT);
    }
    join(parse("\"a\\u0000b\""), MFJ_NUL, 16, got, &len, &end);
    ck_assert(end == 0 && len == 3 && memcmp(got, "a\0b", 3) == 0);
    join(parse("\"a\\u0000b\""), 0, 16, got, &len, &end);
    ck_assert_int_eq(end, MF_EINVAL);
    join(parse("true"), 0, 16, got, &len, &end);
    ck_assert_int_eq(end, MF_EINVAL);
    join(mfj_none(), 0, 16, got, &len, &end);
    ck_assert_int_eq(end, MF_ENOENT);
}
END_TEST

START_TEST(integers)
{
    static const struct {
        const char *text;
        mf_status status;
        int64_t value;
    } cases[] = {
        {"0", MF_OK, 0},
        {"-0", MF_OK, 0},
        {"42", MF_OK, 42},
        {"42.0", MF_OK, 42},
        {"4.2e1", MF_OK, 42},
        {"4200E-2", MF_OK, 42},
        {"0.0000e-99999999999999999999", MF_OK, 0},
        {"0e99999999999999999999", MF_OK, 0},
        {"9223372036854775807", MF_OK, INT64_MAX},
        {"-9223372036854775808", MF_OK, INT64_MIN},
        {"9.223372036854775807e18", MF_OK, INT64_MAX},
        {"9223372036854775808", MF_ELIMIT, 0},
        {"-9223372036854775809", MF_ELIMIT, 0},
        {"18446744073709551616", MF_ELIMIT, 0},
        {"99999999999999999999999.5", MF_EINVAL, 0},
        {"1e19", MF_ELIMIT, 0},
        {"1e99999999999999999999", MF_ELIMIT, 0},
        {"1e-1", MF_EINVAL, 0},
        {"1.5", MF_EINVAL, 0},
        {"1e-99999999999999999999", MF_EINVAL, 0},
        {"01", MF_EINVAL, 0},
        {"-", MF_EINVAL, 0},
        {"1.", MF_EINVAL, 0},
        {"1e", MF_EINVAL, 0},
        {"1e+", MF_EINVAL, 0},
        {"1x", MF_EINVAL, 0},
        {"\"1\"", MF_EINVAL, 0},
        {"null", MF_EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int64_t n = 77;
        mf_status status = mfj_int(parse(cases[i].text), &n);
        ck_assert_msg(status == cases[i].status, "%s: %d", cases[i].text, status);
        ck_assert_msg(n == (status == MF_OK ? cases[i].value : 77), "%s", cases[i].text);
    }
}
END_TEST

static void expect_double(const char *text)
{
    double got = -1, want = strtod(text, NULL);
    ck_assert_msg(mfj_double(parse(text), &got) == MF_OK, "%s", text);
    ck_assert_msg(got == want && signbit(got) == signbit(want), "%s: %.17g, not %.17g", text, got,
                  want);
}

START_TEST(doubles)
{
    static const char *const texts[] = {"0",
                                        "-0.0",
                                        "1",
                                        "0.1",
                                        "3.141592653589793",
                                        "1e23",
                                        "5e-324",
                                        "2.4703282292062327e-324",
                                        "2.4703282292062328e-324",
                                        "1.7976931348623157e308",
                                        "9007199254740993",
                                        "0.000001e6",
                                        "123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        expect_double(texts[i]);
    double d = 7;
    ck_assert_int_eq(mfj_double(parse("1e309"), &d), MF_ELIMIT);
    ck_assert_int_eq(mfj_double(parse("-1e99999999999999999999"), &d), MF_ELIMIT);
    ck_assert_int_eq(mfj_double(parse("\"1\""), &d), MF_EINVAL);
    ck_assert(d == 7);
    /* Halfway between two doubles, decided by a digit far behind. */
    size_t zeros = 5000;
    char *text = malloc(zeros + 64);
    int n = sprintf(text, "9007199254740993.");
    memset(text + n, '0', zeros);
    strcpy(text + n + zeros, "1");
    ck_assert_int_eq(mfj_double(parse(text), &d), MF_OK);
    ck_assert(d == 9007199254740994.0);
    strcpy(text + n + zeros, "0");
    ck_assert_int_eq(mfj_double(parse(text), &d), MF_OK);
    ck_assert(d == 9007199254740992.0);
    /* A million digits of distance between the point and the digits. */
    free(text);
    text = malloc(1000064);
    strcpy(text, "0.");
    memset(text + 2, '0', 1000000);
    strcpy(text + 1000002, "25e1000001");
    ck_assert_int_eq(mfj_double(parse(text), &d), MF_OK);
    ck_assert(d == 2.5);
    int64_t i;
    strcpy(text + 1000002, "25e1000002");
    ck_assert_int_eq(mfj_int(parse(text), &i), MF_OK);
    ck_assert_int_eq(i, 25);
    free(text);
}
END_TEST

START_TEST(words)
{
    int b;
    ck_assert(mfj_bool(parse("true"), &b) == MF_OK && b == 1);
    ck_assert(mfj_bool(parse("false"), &b) == MF_OK && b == 0);
    ck_assert_int_eq(mfj_bool(parse("trues"), &b), MF_EINVAL);
    ck_assert_int_eq(mfj_bool(parse("tru"), &b), MF_EINVAL);
    ck_assert_int_eq(mfj_bool(parse("null"), &b), MF_EINVAL);
    ck_assert_int_eq(mfj_is_null(parse("null")), 1);
    ck_assert_int_eq(mfj_is_null(parse("nul")), 0);
    ck_assert_int_eq(mfj_is_null(parse("nulls")), 0);
}
END_TEST

static void expect_written(mfj_writer *w, const char *want)
{
    mf_bytes got;
    ck_assert_int_eq(mfj_done(w, &got), MF_OK);
    ck_assert_msg(got.len == strlen(want) && memcmp(got.data, want, got.len) == 0, "%.*s",
                  (int)got.len, got.data);
}

static void write_all(mfj_writer *w)
{
    mfj_put_object(w);
    mfj_put_key(w, "a");
    mfj_put_array(w);
    mfj_put_int(w, 0);
    mfj_put_int(w, INT64_MIN);
    mfj_put_double(w, 0.1);
    mfj_put_double(w, 1e300);
    mfj_put_bool(w, 1);
    mfj_put_bool(w, 0);
    mfj_put_null(w);
    mfj_put_object(w);
    mfj_put_end(w);
    mfj_put_array(w);
    mfj_put_end(w);
    mfj_put_end(w);
    mfj_put_key(w, "q\"\n");
    mfj_put_string(w, MF_LIT("\x00\x01\x1f\"\\/\b\f\n\r\t\x7f\xC3\xA9\xF0\x9F\x98\x80"));
    mfj_put_key(w, "r");
    mfj_put_raw(w, MF_LIT("{\"x\":1}"));
    mfj_put_end(w);
}

START_TEST(writing)
{
    static const char want[] =
        "{\"a\":[0,-9223372036854775808,0.1,1e+300,true,false,null,{},[]],\"q\\\"\\n\":"
        "\"\\u0000\\u0001\\u001f\\\"\\\\/\\b\\f\\n\\r\\t\x7f\xC3\xA9\xF0\x9F\x98\x80\","
        "\"r\":{\"x\":1}}";
    char buf[512];
    mfj_writer w;
    mf_bytes got;
    mfj_write(&w, buf, sizeof(buf));
    write_all(&w);
    expect_written(&w, want);
    /* It fits exactly, and one byte less is overflow, at whatever place it falls. */
    for (size_t cap = 0; cap < sizeof(want); cap++) {
        char *exact = malloc(cap ? cap : 1);
        mfj_write(&w, exact, cap);
        write_all(&w);
        ck_assert_int_eq(mfj_done(&w, &got), cap + 1 < sizeof(want) ? MF_ELIMIT : MF_OK);
        free(exact);
    }
    mfj_write(&w, buf, sizeof(buf));
    mfj_put_cstring(&w, "plain");
    expect_written(&w, "\"plain\"");
}
END_TEST

START_TEST(writing_mistakes)
{
    static const char *const not_utf8[] = {"\x80",         "\xC0\x80",         "\xC3",
                                           "\xE0\x80\x80", "\xED\xA0\x80",     "\xF0\x80\x80\x80",
                                           "\xF5\x80\x80", "\xF4\x90\x80\x80", "a\xE2\x82"};
    char buf[512];
    mfj_writer w;
    mf_bytes got;
    for (size_t i = 0; i < sizeof(not_utf8) / sizeof(*not_utf8); i++) {
        mfj_write(&w, buf, sizeof(buf));
        mfj_put_cstring(&w, not_utf8[i]);
        ck_assert_int_eq(mfj_done(&w, &got), MF_EINVAL);
    }
#define MISTAKE(...)                 \
    mfj_write(&w, buf, sizeof(buf)); \
    __VA_ARGS__;                     \
    ck_assert_int_eq(mfj_done(&w, &got), MF_EINVAL)
    MISTAKE((void)0);
    MISTAKE(mfj_put_object(&w));
    MISTAKE(mfj_put_object(&w), mfj_put_int(&w, 1), mfj_put_end(&w));
    MISTAKE(mfj_put_object(&w), mfj_put_key(&w, "a"), mfj_put_end(&w));
    MISTAKE(mfj_put_object(&w), mfj_put_key(&w, "a"), mfj_put_key(&w, "b"));
    MISTAKE(mfj_put_array(&w), mfj_put_key(&w, "a"), mfj_put_end(&w));
    MISTAKE(mfj_put_key(&w, "a"));
    MISTAKE(mfj_put_int(&w, 1), mfj_put_int(&w, 2));
    MISTAKE(mfj_put_end(&w));
    MISTAKE(mfj_put_double(&w, (double)INFINITY));
    MISTAKE(mfj_put_double(&w, (double)NAN));
    MISTAKE(mfj_put_raw(&w, MF_LIT("")));
    mfj_write(&w, buf, sizeof(buf));
    for (int i = 0; i <= MFJ_DEPTH; i++)
        mfj_put_array(&w);
    for (int i = 0; i <= MFJ_DEPTH; i++)
        mfj_put_end(&w);
    ck_assert_int_eq(mfj_done(&w, &got), MF_ELIMIT);
}
END_TEST

/* xorshift: the same inputs in every run. */
static uint64_t seed = 88172645463325252u;
static uint32_t dice(uint32_t sides)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % sides;
}

START_TEST(doubles_round_trip)
{
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = (uint64_t)dice(1u << 31) << 33 ^ (uint64_t)dice(1u << 31) << 8 ^ dice(256);
        double d, back = 0;
        char buf[40];
        mfj_writer w;
        mf_bytes got;
        memcpy(&d, &bits, sizeof(d));
        if (!isfinite(d))
            continue;
        mfj_write(&w, buf, sizeof(buf));
        mfj_put_double(&w, d);
        ck_assert_int_eq(mfj_done(&w, &got), MF_OK);
        ck_assert_int_eq(mfj_double(mfj_read(got), &back), MF_OK);
        ck_assert_msg(back == d, "%.17g", d);
    }
}
END_TEST

/* Calls everything on v and on what is in it. */
static unsigned visit(mfj_value v, int depth)
{
    char space[24];
    mfj_value key, value;
    mfj_chunks c = mfj_chunks_open(v, dice(2));
    mf_bytes s, raw = mfj_raw(v);
    int64_t i;
    double d;
    int b;
    unsigned sum = (unsigned)mfj_kind(v) + (raw.len ? (unsigned char)raw.data[raw.len - 1] : 0);
    if (mfj_string(v, space, dice(sizeof(space)), &s) == MF_OK && s.len)
        sum += (unsigned char)s.data[s.len - 1];
    while (mfj_chunk(&c, space, 4 + dice(8), &s) == 1)
        sum += (unsigned char)s.data[s.len - 1];
    sum += (unsigned)mfj_cstring(v, space, 1 + dice(8)) + (unsigned)mfj_int(v, &i) +
           (unsigned)mfj_double(v, &d) + (unsigned)mfj_bool(v, &b) + (unsigned)mfj_is_null(v) +
           (unsigned)mfj_string_is(v, MF_LIT("abc")) + (unsigned)mfj_kind(mfj_find(v, "a/0/b"));
    mfj_iter it = mfj_iter_open(v);
    for (int n = 0; depth < 6 && n < 8 && mfj_next(&it, &key, &value); n++)
        sum += visit(key, depth + 1) + visit(value, depth + 1);
    return sum;
}

/* What may be cut short, cut short at every byte, each on the heap in its exact size. */
START_TEST(cut_texts_stay_in_bounds)
{
    static const char *const texts[] = {
        "{\"a\" : [ {\"b\": \"c\\n\" } , true, false, null, -1.5e+10 ] , \"d\": { } }",
        "\"\\ud83d\\ude00\\u00e9\\n\\\\\"",
        "[\"\\ud83d\\n\", \"\\u12\"]",
        "true",
        "-0.5e-7",
    };
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        for (size_t len = 1; len <= strlen(texts[i]); len++) {
            char *exact = malloc(len);
            memcpy(exact, texts[i], len);
            sum += visit(mfj_read(MF_INIT_BYTES_(exact, len)), 0);
            free(exact);
        }
    }
    ck_assert_uint_ne(sum, 0);
}
END_TEST

START_TEST(random_texts_stay_in_bounds)
{
    static const char *const pieces[] = {
        "{",  "}",    "[",     "]",    ",",  ":",       "\"",    "\\",      "\\u",   "\"a\":",
        " ",  "true", "false", "null", "-",  "1",       "0.5",   "e9",      "\"b\"", "\\ud83d",
        "\n", "abc",  "\\\"",  "[[",   "]]", "{\"a\":", "\"\\n", "\\u00e9", "x",     "9999999999",
    };
    unsigned sum = 0;
    for (int round = 0; round < 60000; round++) {
        char text[512];
        size_t len = 0, want = 1 + dice(200);
        if (round % 2)
            len = (size_t)sprintf(text, "{\"a\":[{\"b\":");
        while (len < want) {
            const char *p = pieces[dice(sizeof(pieces) / sizeof(*pieces))];
            memcpy(text + len, p, strlen(p));
            len += strlen(p);
            if (dice(40) == 0)
                text[len++] = (char)dice(256);
        }
        /* On the heap in its exact size: a byte too far is seen. */
        char *exact = malloc(len);
        memcpy(exact, text, len);
        sum += visit(mfj_read(MF_INIT_BYTES_(exact, len)), 0);
        free(exact);
    }
    ck_assert_uint_ne(sum, 0);
}
END_TEST

/* A string full of escaped quotes must not be searched over and over. */
START_TEST(escapes_cost_linear_time)
{
    size_t size = 4 << 20, len = 0;
    char *text = malloc(size + 2);
    mf_bytes piece;
    char buf[4096];
    text[0] = text[size + 1] = '"';
    for (size_t i = 1; i <= size; i += 2)
        memcpy(text + i, "\\\"", 2);
    mfj_value v = mfj_read(MF_INIT_BYTES_(text, size + 2));
    mfj_chunks c = mfj_chunks_open(v, 0);
    while (mfj_chunk(&c, buf, sizeof(buf), &piece) == 1)
        len += piece.len;
    ck_assert_uint_eq(len, size / 2);
    ck_assert_uint_eq(mfj_raw(v).len, size + 2);
    free(text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("json.h");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, kinds_and_missing_values);
    tcase_add_test(t, paths_and_walks);
    tcase_add_test(t, raw_slices);
    tcase_add_test(t, strings_are_decoded);
    tcase_add_test(t, a_long_string_is_one_slice);
    tcase_add_test(t, chunks_give_the_same_for_every_buffer);
    tcase_add_test(t, integers);
    tcase_add_test(t, doubles);
    tcase_add_test(t, words);
    tcase_add_test(t, writing);
    tcase_add_test(t, writing_mistakes);
    tcase_add_test(t, doubles_round_trip);
    tcase_add_test(t, cut_texts_stay_in_bounds);
    tcase_add_test(t, random_texts_stay_in_bounds);
    tcase_add_test(t, escapes_cost_linear_time);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
