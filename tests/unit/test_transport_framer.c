/* The framer: the same lines come out however the bytes come in. */
#include <check.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "transport/framer.h"

enum { LIMIT = 40, MAX_EVENTS = 32 };

struct seen {
    enum framer_event ev;
    char text[LIMIT + 2];
};

struct log {
    struct seen seen[MAX_EVENTS];
    unsigned count;
};

static void drain(struct framer *f, struct log *log)
{
    struct str s;
    enum framer_event ev;
    while ((ev = framer_next(f, &s)) != FRAMER_NONE) {
        ck_assert_uint_lt(log->count, MAX_EVENTS);
        ck_assert_uint_le(s.n, LIMIT);
        struct seen *to = &log->seen[log->count++];
        to->ev = ev;
        if (s.n)
            memcpy(to->text, s.p, s.n);
        to->text[s.n] = 0;
    }
}

static void feed(struct framer *f, const char *p, size_t n, struct log *log)
{
    while (n) {
        size_t room;
        char *to = framer_space(f, &room);
        ck_assert_ptr_nonnull(to);
        ck_assert_uint_gt(room, 0);
        size_t part = n < room ? n : room;
        memcpy(to, p, part);
        framer_fed(f, part);
        drain(f, log);
        p += part;
        n -= part;
    }
}

#define A10 "aaaaaaaaaa"
#define STREAM                                                                               \
    "{\"id\":1}\n"                                                                           \
    "{\"id\":2}\r\n"                                                                         \
    "\n\r\n  \t \n\r\r\n"                                                                    \
    "\r{\"cr\":\"in front and\rinside\"}\n"                                                  \
    "{\"id\":\"" A10 A10 A10 "3\"}\n"   /* 40 bytes: the limit */                            \
    "{\"id\":\"" A10 A10 A10 "4\"}\r\n" /* the limit, and a CR that does not count */        \
    "{\"id\":\"" A10 A10 A10 "55\"}\n"  /* one more */                                       \
    "{\"method\":\"x\",\"params\":{\"id\":9,\"a\":\"" A10 A10 "\\\"\"},\"id\":\"late\"}\r\n" \
    "[[[[" A10 A10 A10 A10 A10 "\n"                                                          \
    "not json\n"                                                                             \
    "\xff\xfe\x00\x01\n"                                                                     \
    "{\"id\":6,\"rest\":"

static const struct seen expected[] = {
    {FRAMER_LINE, "{\"id\":1}"},
    {FRAMER_LINE, "{\"id\":2}"},
    {FRAMER_LINE, "\r{\"cr\":\"in front and\rinside\"}"},
    {FRAMER_LINE, "{\"id\":\"" A10 A10 A10 "3\"}"},
    {FRAMER_LINE, "{\"id\":\"" A10 A10 A10 "4\"}"},
    {FRAMER_OVERSIZE, "\"" A10 A10 A10 "55\""},
    {FRAMER_OVERSIZE, "\"late\""},
    {FRAMER_OVERSIZE, ""},
    {FRAMER_LINE, "not json"},
    {FRAMER_LINE, "\xff\xfe"}, /* then a NUL, which ends the comparison as a C string */
    {FRAMER_LINE, "{\"id\":6,\"rest\":"},
};
static const char stream[] = STREAM;
enum { STREAM_BYTES = sizeof(stream) - 1, EXPECTED = sizeof(expected) / sizeof(expected[0]) };

static void compare(const struct log *log)
{
    ck_assert_uint_eq(log->count, EXPECTED);
    for (unsigned i = 0; i < EXPECTED; i++) {
        ck_assert_int_eq(log->seen[i].ev, expected[i].ev);
        ck_assert_str_eq(log->seen[i].text, expected[i].text);
    }
}

START_TEST(every_split_gives_the_same_lines)
{
    for (size_t a = 0; a <= STREAM_BYTES; a++) {
        for (size_t b = a; b <= STREAM_BYTES; b += 7) {
            struct framer f;
            struct log log = {.count = 0};
            framer_init(&f, LIMIT);
            feed(&f, stream, a, &log);
            feed(&f, stream + a, b - a, &log);
            feed(&f, stream + b, STREAM_BYTES - b, &log);
            framer_end(&f);
            drain(&f, &log);
            compare(&log);
            framer_release(&f);
        }
    }
}
END_TEST

START_TEST(byte_by_byte_gives_the_same_lines)
{
    struct framer f;
    struct log log = {.count = 0};
    framer_init(&f, LIMIT);
    for (size_t i = 0; i < STREAM_BYTES; i++)
        feed(&f, stream + i, 1, &log);
    framer_end(&f);
    drain(&f, &log);
    compare(&log);
    framer_release(&f);
}
END_TEST

START_TEST(end_in_a_skipped_line_still_names_it)
{
    static const char text[] = "{\"id\":77,\"a\":\"" A10 A10 A10 A10;
    struct framer f;
    struct log log = {.count = 0};
    framer_init(&f, LIMIT);
    feed(&f, text, sizeof(text) - 1, &log);
    ck_assert_uint_eq(log.count, 0);
    framer_end(&f);
    drain(&f, &log);
    ck_assert_uint_eq(log.count, 1);
    ck_assert_int_eq(log.seen[0].ev, FRAMER_OVERSIZE);
    ck_assert_str_eq(log.seen[0].text, "77");
    drain(&f, &log);
    ck_assert_uint_eq(log.count, 1);
    framer_release(&f);
}
END_TEST

START_TEST(nothing_comes_of_nothing)
{
    struct framer f;
    struct log log = {.count = 0};
    framer_init(&f, LIMIT);
    framer_end(&f);
    drain(&f, &log);
    ck_assert_uint_eq(log.count, 0);
    framer_release(&f);

    framer_init(&f, LIMIT);
    feed(&f, "\r\n \t", 4, &log);
    framer_end(&f);
    drain(&f, &log);
    ck_assert_uint_eq(log.count, 0);
    framer_release(&f);
}
END_TEST

START_TEST(overlong_line_takes_constant_memory)
{
    enum { LIMIT_BIG = 1 << 20, PIECE = 65536, PIECES = 1600 };
    static char piece[PIECE];
    memset(piece, 'x', sizeof(piece));
    struct framer f;
    struct log log = {.count = 0};
    framer_init(&f, LIMIT_BIG);
    feed(&f, "{\"a\":\"", 6, &log);
    for (int i = 0; i < PIECES; i++) {
        feed(&f, piece, PIECE, &log);
        ck_assert_uint_le(f.cap, LIMIT_BIG + FRAMER_FIRST);
    }
    static const char rest[] = "\",\"id\":-12}\n{}\n";
    feed(&f, rest, sizeof(rest) - 1, &log);
    ck_assert_uint_eq(log.count, 2);
    ck_assert_int_eq(log.seen[0].ev, FRAMER_OVERSIZE);
    ck_assert_str_eq(log.seen[0].text, "-12");
    ck_assert_str_eq(log.seen[1].text, "{}");
    ck_assert_uint_gt(f.cap, FRAMER_FIRST);
    framer_trim(&f);
    ck_assert_uint_eq(f.cap, FRAMER_FIRST);
    feed(&f, "[]\n", 3, &log);
    ck_assert_str_eq(log.seen[2].text, "[]");
    framer_release(&f);
}
END_TEST

/* A framer that searched a waiting line again with each byte would look at 2 * 10^12 bytes here. */
START_TEST(a_long_line_is_searched_once)
{
    enum { BYTES = 2000000 };
    struct framer f;
    framer_init(&f, BYTES);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    struct str s;
    for (size_t i = 0; i < BYTES; i++) {
        size_t room;
        *framer_space(&f, &room) = 'y';
        framer_fed(&f, 1);
        ck_assert_int_eq(framer_next(&f, &s), FRAMER_NONE);
    }
    size_t room;
    *framer_space(&f, &room) = '\n';
    framer_fed(&f, 1);
    ck_assert_int_eq(framer_next(&f, &s), FRAMER_LINE);
    ck_assert_uint_eq(s.n, BYTES);
    getrusage(RUSAGE_SELF, &after);
    ck_assert_int_lt(after.ru_utime.tv_sec - before.ru_utime.tv_sec, 5);
    framer_release(&f);
}
END_TEST

START_TEST(trim_keeps_what_is_waiting)
{
    enum { BIG = 300000 };
    struct framer f;
    struct str s;
    framer_init(&f, BIG);
    char *line = malloc(BIG + 1);
    memset(line, 'z', BIG);
    line[BIG] = '\n';
    for (size_t done = 0; done <= BIG;) {
        size_t room, left = BIG + 1 - done;
        char *to = framer_space(&f, &room);
        size_t n = room < left ? room : left;
        memcpy(to, line + done, n);
        framer_fed(&f, n);
        done += n;
        ck_assert_int_eq(framer_next(&f, &s), done <= BIG ? FRAMER_NONE : FRAMER_LINE);
    }
    free(line);
    size_t room;
    memcpy(framer_space(&f, &room), "{\"half\":", 8);
    framer_fed(&f, 8);
    ck_assert_int_eq(framer_next(&f, &s), FRAMER_NONE);
    framer_trim(&f);
    ck_assert_uint_eq(f.cap, FRAMER_FIRST);
    memcpy(framer_space(&f, &room), "1}\n", 3);
    framer_fed(&f, 3);
    ck_assert_int_eq(framer_next(&f, &s), FRAMER_LINE);
    ck_assert(str_eq(s, STR("{\"half\":1}")));
    framer_release(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("framer");
    TCase *c = tcase_create("framer");
    tcase_add_test(c, every_split_gives_the_same_lines);
    tcase_add_test(c, byte_by_byte_gives_the_same_lines);
    tcase_add_test(c, end_in_a_skipped_line_still_names_it);
    tcase_add_test(c, nothing_comes_of_nothing);
    tcase_add_test(c, overlong_line_takes_constant_memory);
    tcase_add_test(c, a_long_line_is_searched_once);
    tcase_add_test(c, trim_keeps_what_is_waiting);
    suite_add_tcase(suite, c);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}
