/* Channels and the output queue over real descriptors: order, bounds, the end of the reader, and
 * that descriptors others share stay as they were. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "transport/output.h"

enum { HIGH = 1 << 20, LINE = 1000 };

static struct {
    uv_loop_t loop;
    struct output out;
    unsigned changes;
    bool closed;
} t;

static void on_changed(void *arg)
{
    (void)arg;
    t.changes++;
}

static void on_closed(void *arg)
{
    (void)arg;
    t.closed = true;
}

static void begin(int fd)
{
    struct err e;
    t.changes = 0;
    t.closed = false;
    signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(uv_loop_init(&t.loop), 0);
    ck_assert_int_eq(output_open(&t.out, &t.loop, fd, HIGH, on_changed, NULL, &e), 0);
}

static void finish(void)
{
    output_close(&t.out, on_closed, NULL);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    ck_assert(t.closed);
    ck_assert_int_eq(uv_loop_close(&t.loop), 0);
}

/* A line of LINE bytes that begins with its number. */
static int put(unsigned number)
{
    struct stream *s = &t.out.stream;
    struct buf *b = s->begin(s);
    char text[LINE];
    memset(text, '.', sizeof(text));
    snprintf(text, sizeof(text), "%08u", number);
    text[8] = ' ';
    buf_append(b, text, LINE - 1);
    return s->end(s);
}

static void read_exactly(int fd, char *to, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t r = read(fd, to + done, n - done);
        ck_assert_int_gt(r, 0);
        done += (size_t)r;
    }
}

static void expect_line(int fd, unsigned number)
{
    char line[LINE], want[9];
    read_exactly(fd, line, LINE);
    snprintf(want, sizeof(want), "%08u", number);
    ck_assert_mem_eq(line, want, 8);
    ck_assert_int_eq(line[LINE - 1], '\n');
}

/* Fills the queue beyond `high` while nobody reads, then reads it all. */
static void slow_reader(int writer, int reader, enum channel_kind kind)
{
    begin(writer);
    ck_assert_int_eq(t.out.channel.kind, kind);
    unsigned count = 0;
    while (!t.out.full) {
        ck_assert_int_eq(put(count++), 0);
        output_flush(&t.out);
        ck_assert_uint_lt(count, 1u << 20);
    }
    ck_assert(t.out.waiting);
    ck_assert(t.out.stream.congested(&t.out.stream));
    ck_assert_uint_gt(output_unsent(&t.out), HIGH);
    ck_assert_uint_le(output_unsent(&t.out), HIGH + LINE);
    ck_assert_int_eq(put(count++), 0); /* a call in flight may still answer */
    for (unsigned i = 0; i < count; i++) {
        expect_line(reader, i);
        bool half = output_unsent(&t.out) <= HIGH / 2;
        ck_assert_int_eq(t.out.full, !half);
        uv_run(&t.loop, UV_RUN_NOWAIT);
    }
    ck_assert_uint_eq(output_unsent(&t.out), 0);
    ck_assert_uint_eq(t.changes, 1);
    ck_assert_uint_eq(t.out.written, (uint64_t)count * LINE);
    output_trim(&t.out);
    ck_assert_uint_le(t.out.buf.cap, OUTPUT_KEEP);
    finish();
}

START_TEST(slow_reader_of_a_pipe)
{
    int fd[2];
    ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
    int shared = dup(fd[1]);
    slow_reader(fd[1], fd[0], CHANNEL_OWN);
    ck_assert_int_eq(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
    close(shared);
    close(fd[0]);
}
END_TEST

/* As under sudo -u: the pipe belongs to somebody else and /proc refuses to open it anew. */
START_TEST(slow_reader_of_a_pipe_of_another_user)
{
    int fd[2];
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
    int shared = dup(fd[1]);
    ck_assert_int_eq(seteuid(65534), 0);
    slow_reader(fd[1], fd[0], CHANNEL_SHARED);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
    close(shared);
    close(fd[0]);
}
END_TEST

START_TEST(slow_reader_of_a_socket)
{
    int fd[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    int shared = dup(fd[1]);
    slow_reader(fd[1], fd[0], CHANNEL_SOCKET);
    ck_assert_int_eq(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
    close(shared);
    close(fd[0]);
}
END_TEST

/* A reader that keeps up but never catches up: what is written must not stay in memory. */
START_TEST(queue_that_is_never_empty_stays_small)
{
    int fd[2];
    ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
    begin(fd[1]);
    unsigned count = 0, taken = 0;
    while (output_unsent(&t.out) < HIGH / 4) {
        ck_assert_int_eq(put(count++), 0);
        output_flush(&t.out);
    }
    while (taken < 20000) {
        expect_line(fd[0], taken++);
        ck_assert_int_eq(put(count++), 0);
        uv_run(&t.loop, UV_RUN_NOWAIT);
        ck_assert_uint_gt(output_unsent(&t.out), 0);
        ck_assert_uint_le(t.out.buf.cap, 2 * HIGH);
    }
    finish();
    close(fd[0]);
}
END_TEST

START_TEST(file_keeps_its_offset)
{
    char name[] = "/tmp/manifold-output-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    int reader = dup(fd);
    ck_assert_int_eq(write(fd, "before\n", 7), 7);
    begin(fd);
    ck_assert_int_eq(t.out.channel.kind, CHANNEL_DIRECT);
    put(5);
    output_flush(&t.out);
    ck_assert_uint_eq(output_unsent(&t.out), 0);
    char text[7];
    ck_assert_int_eq(pread(reader, text, 7, 0), 7);
    ck_assert_mem_eq(text, "before\n", 7);
    ck_assert_int_eq(lseek(reader, 7, SEEK_SET), 7);
    expect_line(reader, 5);
    finish();
    close(reader);
}
END_TEST

START_TEST(null_and_full_devices)
{
    begin(open("/dev/null", O_WRONLY | O_CLOEXEC));
    ck_assert_int_eq(t.out.channel.kind, CHANNEL_DIRECT);
    put(1);
    output_flush(&t.out);
    ck_assert_uint_eq(output_unsent(&t.out), 0);
    ck_assert(!t.out.dead);
    finish();

    begin(open("/dev/full", O_WRONLY | O_CLOEXEC));
    put(1);
    output_flush(&t.out);
    ck_assert(t.out.dead);
    ck_assert_uint_eq(t.changes, 1);
    ck_assert_int_eq(put(2), 0);
    ck_assert_uint_eq(output_unsent(&t.out), 0);
    finish();
}
END_TEST

/* Nothing is being written: the loop itself has to notice. */
static void reader_goes(int writer, int reader)
{
    begin(writer);
    close(reader);
    uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert(t.out.dead);
    ck_assert_uint_eq(t.changes, 1);
    finish();
}

START_TEST(end_of_an_idle_reader_is_noticed)
{
    int fd[2];
    ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
    reader_goes(fd[1], fd[0]);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    reader_goes(fd[1], fd[0]);
}
END_TEST

/* The client of a socket may end its own sending side and still read. */
START_TEST(half_closed_socket_still_gets_answers)
{
    int fd[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    begin(fd[1]);
    ck_assert_int_eq(shutdown(fd[0], SHUT_WR), 0);
    uv_run(&t.loop, UV_RUN_NOWAIT);
    ck_assert(!t.out.dead);
    put(3);
    output_flush(&t.out);
    expect_line(fd[0], 3);
    finish();
    close(fd[0]);
}
END_TEST

START_TEST(message_over_the_maximum_is_taken_back)
{
    int fd[2];
    ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
    begin(fd[1]);
    put(1);
    struct stream *s = &t.out.stream;
    struct buf *b = s->begin(s);
    static const char piece[1 << 20];
    for (int i = 0; i < (OUTPUT_MESSAGE >> 20) + 1; i++)
        buf_append(b, piece, sizeof(piece));
    ck_assert_int_ne(b->failed, 0);
    ck_assert_int_eq(s->end(s), -ENOBUFS);
    ck_assert_uint_eq(output_unsent(&t.out), LINE);
    ck_assert_int_eq(put(2), 0);
    output_flush(&t.out);
    expect_line(fd[0], 1);
    expect_line(fd[0], 2);
    finish();
    close(fd[0]);
}
END_TEST

/* Whatever calls in flight answer, memory has an end; a short error always has a place. */
START_TEST(hard_limit_leaves_room_for_short_messages)
{
    int fd[2];
    ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
    begin(fd[1]);
    static const char piece[8 << 20];
    struct stream *s = &t.out.stream;
    while (output_unsent(&t.out) < HIGH + OUTPUT_HARD) {
        buf_append(s->begin(s), piece, sizeof(piece));
        ck_assert_int_eq(s->end(s), 0);
    }
    size_t before = output_unsent(&t.out);
    ck_assert_uint_lt(before, (size_t)HIGH + OUTPUT_HARD + OUTPUT_MESSAGE);
    buf_append(s->begin(s), piece, OUTPUT_SHORT);
    ck_assert_int_eq(s->end(s), -ENOBUFS);
    ck_assert_uint_eq(output_unsent(&t.out), before);
    ck_assert_int_eq(put(9), 0);
    finish();
    close(fd[0]);
}
END_TEST

START_TEST(input_of_each_kind)
{
    static const char text[] = "{}\n";
    int pipes[2], pair[2];
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    const struct {
        int reader, writer;
        enum channel_kind kind;
    } c[] = {{pipes[0], pipes[1], CHANNEL_OWN}, {pair[0], pair[1], CHANNEL_SOCKET}};
    uv_loop_t loop;
    struct err e;
    char got[16];
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    for (size_t i = 0; i < 2; i++) {
        struct channel in;
        int shared = dup(c[i].reader);
        ck_assert_int_eq(channel_open(&in, &loop, c[i].reader, CHANNEL_READ, &e), 0);
        ck_assert_int_eq(in.kind, c[i].kind);
        ck_assert_int_eq(fcntl(shared, F_GETFL) & O_NONBLOCK, 0);
        ck_assert_int_eq(channel_read(&in, got, sizeof(got)), -EAGAIN);
        ck_assert_int_eq(write(c[i].writer, text, 3), 3);
        ck_assert_int_eq(channel_read(&in, got, sizeof(got)), 3);
        close(c[i].writer);
        ck_assert_int_eq(channel_read(&in, got, sizeof(got)), 0);
        channel_close(&in, NULL, NULL);
        uv_run(&loop, UV_RUN_DEFAULT);
        close(shared);
    }
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("output");
    TCase *c = tcase_create("output");
    tcase_add_test(c, slow_reader_of_a_pipe);
    tcase_add_test(c, slow_reader_of_a_pipe_of_another_user);
    tcase_add_test(c, slow_reader_of_a_socket);
    tcase_add_test(c, queue_that_is_never_empty_stays_small);
    tcase_add_test(c, file_keeps_its_offset);
    tcase_add_test(c, null_and_full_devices);
    tcase_add_test(c, end_of_an_idle_reader_is_noticed);
    tcase_add_test(c, half_closed_socket_still_gets_answers);
    tcase_add_test(c, message_over_the_maximum_is_taken_back);
    tcase_add_test(c, hard_limit_leaves_room_for_short_messages);
    tcase_add_test(c, input_of_each_kind);
    suite_add_tcase(suite, c);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}
