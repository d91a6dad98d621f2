/* The admin socket: who gets in, what is answered, and that no client can keep it from others. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "transport/admin.h"
#include "transport/admin_socket.h"

enum { BIG = 8 << 20 };

static struct {
    uv_loop_t loop;
    struct admin *admin;
    char home[64], path[ADMIN_PATH];
    size_t status_bytes;
    unsigned reloads;
    void (*done)(void *, bool, const char *);
    void *done_arg;
} t;

static void status(const struct host *h, struct buf *out)
{
    char piece[4096];
    (void)h;
    memset(piece, 'x', sizeof(piece));
    buf_lit(out, "{\"x\":\"");
    for (size_t left = t.status_bytes; left;) {
        size_t n = left < sizeof(piece) ? left : sizeof(piece);
        buf_append(out, piece, n);
        left -= n;
    }
    buf_lit(out, "\"}");
}

static void reload(struct host *h, void (*done)(void *, bool, const char *), void *arg)
{
    (void)h;
    t.reloads++;
    t.done = done;
    t.done_arg = arg;
}

static void set_up(void)
{
    snprintf(t.home, sizeof(t.home), "/tmp/manifold-admin-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(t.home));
    ck_assert_int_eq(setenv("HOME", t.home, 1), 0);
    snprintf(t.path, sizeof(t.path), "%s/socket", t.home);
    t.status_bytes = 10;
    t.reloads = 0;
    t.admin = NULL;
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    ck_assert_int_eq(uv_loop_init(&t.loop), 0);
}

static void run_all(void)
{
    while (uv_run(&t.loop, UV_RUN_NOWAIT))
        ;
}

static void tear_down(void)
{
    char command[96];
    admin_close(t.admin);
    run_all();
    ck_assert_int_eq(uv_loop_close(&t.loop), 0);
    snprintf(command, sizeof(command), "rm -rf %s", t.home);
    ck_assert_int_eq(system(command), 0);
}

static void begin(const char *path, bool with_reload)
{
    struct admin_options o = {
        .path = path, .status = status, .reload = with_reload ? reload : NULL};
    struct err e = {.text = ""};
    ck_assert_msg(admin_open(&t.loop, &o, &t.admin, &e) == 0, "%s", e.text);
}

/* Non-blocking. */
static int dial(const char *path)
{
    int fd = admin_connect(path, 0);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(-fd));
    return fd;
}

static void say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Turns the loop until the host has closed; the bytes read, at most `room`.  No assertion that
 * holds in the loop: Check keeps a message of each. */
static size_t hear(int fd, char *to, size_t room)
{
    size_t n = 0;
    for (;;) {
        ssize_t r = recv(fd, to + n, room - n, MSG_DONTWAIT);
        if (r == 0 || (r < 0 && errno == ECONNRESET))
            break;
        if (r < 0 && errno != EAGAIN)
            ck_abort_msg("recv: %s", strerror(errno));
        if (r < 0)
            uv_run(&t.loop, UV_RUN_ONCE);
        n += r > 0 ? (size_t)r : 0;
    }
    close(fd);
    return n;
}

static void expect(int fd, const char *answer)
{
    char text[8192];
    size_t n = hear(fd, text, sizeof(text) - 1);
    text[n] = 0;
    ck_assert_ptr_nonnull(strstr(text, answer));
    ck_assert_ptr_eq(strchr(text, '\n'), text + n - 1);
}

static void ask(const char *request, const char *answer)
{
    int fd = dial(admin_path(t.admin));
    say(fd, request);
    expect(fd, answer);
}

START_TEST(commands_are_answered)
{
    char pid[64];
    snprintf(pid, sizeof(pid), "{\"pid\":%d,\"version\":\"" MANIFOLD_VERSION "\"}", (int)getpid());
    begin(t.path, false);
    ask("{\"command\":\"ping\"}\n", pid);
    ask(" {\"command\" : \"ping\", \"more\": [1]}\r\n", pid);
    ask("{\"command\":\"status\"}\n", "{\"x\":\"xxxxxxxxxx\"}\n");
    int fd = dial(t.path);
    say(fd, "{\"command\":\"ping\"}"); /* the end of the input ends the line */
    shutdown(fd, SHUT_WR);
    expect(fd, pid);
}
END_TEST

START_TEST(what_is_no_command_is_refused)
{
    static const char *const bad[] = {"\n",          "frob\n",         "{}\n",
                                      "[1]\n",       "\"ping\"\n",     "{\"command\":1}\n",
                                      "\xff\n",      "{\"command\"\n", "{\"command\":\"frob\"}\n",
                                      "[[[[[[[[[[\n"};
    begin(t.path, false);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ask(bad[i], "{\"error\":\"expected ");
    ask("{\"command\":\"reload\"}\n", "this host, ping, status; found another");
}
END_TEST

START_TEST(requests_have_a_limit)
{
    char text[ADMIN_REQUEST + 1];
    begin(t.path, false);
    memset(text, ' ', sizeof(text));
    int fd = dial(t.path);
    ck_assert_int_eq(send(fd, text, sizeof(text), 0), (ssize_t)sizeof(text));
    expect(fd, "at most 4095 bytes");
    memcpy(text, "{\"command\":\"ping\"}", 18);
    text[ADMIN_REQUEST - 1] = '\n'; /* the longest that is taken */
    fd = dial(t.path);
    ck_assert_int_eq(send(fd, text, ADMIN_REQUEST, 0), ADMIN_REQUEST);
    expect(fd, "\"pid\"");
}
END_TEST

START_TEST(reload_answers_when_it_has_ended)
{
    begin(t.path, true);
    for (int ok = 0; ok < 2; ok++) {
        int fd = dial(t.path);
        say(fd, "{\"command\":\"reload\"}\n");
        for (int i = 0; i < 5; i++)
            uv_run(&t.loop, UV_RUN_NOWAIT);
        ck_assert_uint_eq(t.reloads, (unsigned)ok + 1);
        char byte;
        ck_assert_int_lt(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
        ask("{\"command\":\"ping\"}\n", "\"pid\"");
        t.done(t.done_arg, ok, "one \"x\" changed");
        expect(fd, ok ? "{\"ok\":true,\"summary\":\"one \\\"x\\\" changed\"}\n"
                      : "{\"ok\":false,\"summary\":\"one \\\"x\\\" changed\"}\n");
    }
}
END_TEST

/* The client goes, the whole socket goes: done() may still come, and is the end of the memory. */
START_TEST(reload_outlives_client_and_socket)
{
    begin(t.path, true);
    for (int close_admin = 0; close_admin < 2; close_admin++) {
        int fd = dial(t.path);
        say(fd, "{\"command\":\"reload\"}\n");
        while (t.reloads == (unsigned)close_admin)
            uv_run(&t.loop, UV_RUN_NOWAIT);
        close(fd);
        if (close_admin) {
            admin_close(t.admin);
            t.admin = NULL;
            run_all();
        }
        t.done(t.done_arg, true, "done");
        uv_run(&t.loop, UV_RUN_NOWAIT);
    }
}
END_TEST

START_TEST(four_at_a_time_and_the_others_wait)
{
    int idle[ADMIN_CLIENTS];
    begin(t.path, false);
    for (int i = 0; i < ADMIN_CLIENTS; i++)
        idle[i] = dial(t.path);
    int fd = dial(t.path);
    say(fd, "{\"command\":\"ping\"}\n");
    for (int i = 0; i < 20; i++)
        uv_run(&t.loop, UV_RUN_NOWAIT);
    char byte;
    ck_assert_int_lt(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
    close(idle[2]);
    expect(fd, "\"pid\"");
    for (int i = 0; i < ADMIN_CLIENTS; i++)
        if (i != 2)
            close(idle[i]);
    ask("{\"command\":\"ping\"}\n", "\"pid\"");
}
END_TEST

/* Nor is who does not take the answer waited for.  But who waits for a reload may wait. */
START_TEST(who_says_nothing_is_closed_after_the_limit)
{
    char none[8];
    t.status_bytes = BIG;
    begin(t.path, true);
    uint64_t from = clock_ns();
    int slow = dial(t.path), silent = dial(t.path), stuck = dial(t.path);
    int patient = dial(t.path);
    say(patient, "{\"command\":\"reload\"}\n");
    say(slow, "{\"comm");
    say(stuck, "{\"command\":\"status\"}\n");
    ck_assert_uint_eq(hear(silent, none, sizeof(none)), 0);
    ck_assert_uint_eq(hear(slow, none, sizeof(none)), 0);
    struct pollfd end = {.fd = stuck};
    while (poll(&end, 1, 0) == 0)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_int_ne(end.revents & POLLHUP, 0);
    close(stuck);
    uint64_t ms = (clock_ns() - from) / 1000000;
    ck_assert_uint_ge(ms, ADMIN_LIMIT - 50);
    ck_assert_uint_le(ms, ADMIN_LIMIT + 5000);
    t.done(t.done_arg, true, "at last");
    expect(patient, "at last");
}
END_TEST

START_TEST(long_answers_go_out_piece_by_piece)
{
    t.status_bytes = BIG;
    begin(t.path, false);
    int fd = dial(t.path), stuck = dial(t.path);
    say(stuck, "{\"command\":\"status\"}\n");
    say(fd, "{\"command\":\"status\"}\n");
    char *text = malloc(BIG + 100);
    ck_assert_uint_eq(hear(fd, text, BIG + 100), BIG + 9);
    ck_assert_mem_eq(text + BIG + 6, "\"}\n", 3);
    ask("{\"command\":\"ping\"}\n", "\"pid\""); /* while the other one does not read */
    close(stuck);
    free(text);
}
END_TEST

START_TEST(an_answer_over_the_limit_is_an_error)
{
    t.status_bytes = ADMIN_ANSWER;
    begin(t.path, false);
    ask("{\"command\":\"status\"}\n", "{\"error\":\"the answer is too long\"}\n");
}
END_TEST

START_TEST(socket_and_directory_are_closed_to_others)
{
    struct stat st;
    char directory[ADMIN_PATH];
    mode_t old = umask(0);
    begin(NULL, false);
    umask(old);
    ck_assert_int_eq(stat(admin_path(t.admin), &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    snprintf(directory, sizeof(directory), "%s", admin_path(t.admin));
    *strrchr(directory, '/') = 0;
    ck_assert_int_eq(stat(directory, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    ask("{\"command\":\"ping\"}\n", "\"pid\"");
}
END_TEST

/* As root only: in a child that becomes somebody else; `open` takes the file's protection away. */
static int dial_as_nobody(bool open)
{
    int status_of_child;
    if (open) {
        ck_assert_int_eq(chmod(t.home, 0755), 0);
        ck_assert_int_eq(chmod(t.path, 0666), 0);
    }
    pid_t pid = fork();
    if (pid == 0) {
        if (setgid(65534) || setuid(65534))
            _exit(99);
        struct sockaddr_un to = {.sun_family = AF_UNIX};
        snprintf(to.sun_path, sizeof(to.sun_path), "%s", t.path);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
            _exit(errno);
        char text[64];
        ssize_t n = send(fd, "{\"command\":\"ping\"}\n", 19, MSG_NOSIGNAL);
        n = recv(fd, text, sizeof(text), 0);
        _exit(n > 0 ? 98 : 0);
    }
    while (waitpid(pid, &status_of_child, WNOHANG) == 0)
        uv_run(&t.loop, UV_RUN_NOWAIT);
    ck_assert(WIFEXITED(status_of_child));
    return WEXITSTATUS(status_of_child);
}

START_TEST(another_user_is_refused)
{
    if (geteuid() != 0)
        return;
    begin(t.path, false);
    ck_assert_int_eq(dial_as_nobody(false), EACCES);
    ck_assert_int_eq(dial_as_nobody(true), 0); /* connected, and closed without an answer */
    ask("{\"command\":\"ping\"}\n", "\"pid\"");
}
END_TEST

static void bind_dead(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    close(fd);
}

/* A process number that is free: that of a child that has been waited for. */
static pid_t dead_pid(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    return pid;
}

START_TEST(stale_sockets_go_and_nothing_else)
{
    char directory[ADMIN_PATH], dead[160], living[160], file[160], other[160];
    begin(NULL, false);
    snprintf(directory, sizeof(directory), "%s", admin_path(t.admin));
    *strrchr(directory, '/') = 0;
    int pid = (int)dead_pid();
    snprintf(dead, sizeof(dead), "%s/%d.sock", directory, pid);
    snprintf(living, sizeof(living), "%s/%d.sock", directory, (int)getppid());
    snprintf(other, sizeof(other), "%s/other.sock", directory);
    snprintf(file, sizeof(file), "%s/%d.sock", directory, (int)dead_pid());
    bind_dead(dead);
    bind_dead(living);
    bind_dead(other);
    if (strcmp(file, dead) != 0)
        close(open(file, O_CREAT | O_WRONLY, 0600));
    admin_remove_stale(directory);
    ck_assert_int_lt(access(dead, F_OK), 0);
    ck_assert_int_eq(access(living, F_OK), 0);
    ck_assert_int_eq(access(other, F_OK), 0);
    ck_assert_int_eq(access(file, F_OK), 0);
    ck_assert_int_eq(access(admin_path(t.admin), F_OK), 0);
    unlink(living);
    unlink(other);
    unlink(file);
}
END_TEST

START_TEST(a_path_that_is_taken)
{
    struct admin_options o = {.path = t.path, .status = status};
    struct admin *second = NULL;
    struct err e;
    bind_dead(t.path); /* left by one that was killed */
    begin(t.path, false);
    ck_assert_int_eq(admin_open(&t.loop, &o, &second, &e), -EADDRINUSE);
    ask("{\"command\":\"ping\"}\n", "\"pid\"");
    admin_close(t.admin);
    t.admin = NULL;
    run_all();
    ck_assert_int_lt(access(t.path, F_OK), 0);
    close(open(t.path, O_CREAT | O_WRONLY, 0600)); /* a file is nobody's to remove */
    ck_assert_int_eq(admin_open(&t.loop, &o, &second, &e), -EADDRINUSE);
    ck_assert_int_eq(access(t.path, F_OK), 0);
}
END_TEST

/* Somebody else's socket at our path is not removed at the end. */
START_TEST(only_the_own_socket_is_removed)
{
    begin(t.path, false);
    ck_assert_int_eq(unlink(t.path), 0);
    bind_dead(t.path);
    admin_close(t.admin);
    t.admin = NULL;
    ck_assert_int_eq(access(t.path, F_OK), 0);
}
END_TEST

START_TEST(what_prevents_it_is_a_sentence)
{
    static const char long_path[] =
        "/tmp/0123456789012345678901234567890123456789012345678901234567"
        "890123456789012345678901234567890123456789/socket";
    struct admin_options o = {.path = long_path, .status = status};
    struct admin *none = NULL;
    struct err e;
    ck_assert_int_eq(admin_open(&t.loop, &o, &none, &e), -ENAMETOOLONG);
    ck_assert_ptr_nonnull(strstr(e.text, "at most 107 bytes"));
    o.path = "/nowhere/at/all";
    ck_assert_int_eq(admin_open(&t.loop, &o, &none, &e), -ENOENT);
    ck_assert_ptr_nonnull(strstr(e.text, "/nowhere/at/all"));
    ck_assert_ptr_null(none);
}
END_TEST

/* No descriptor for a client: the loop must not turn over it again and again. */
START_TEST(no_descriptor_is_no_busy_loop)
{
    struct rlimit old, low;
    begin(t.path, false);
    int fd = dial(t.path);
    say(fd, "{\"command\":\"ping\"}\n");
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)fd; /* all below it are taken, or the host's */
    int taken[64];
    int n = 0;
    while (n < 64 && (taken[n] = open("/dev/null", O_RDONLY)) >= 0 && taken[n] < fd)
        n++;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    unsigned turns = 0;
    uint64_t until = clock_ns() + 300000000u;
    while (clock_ns() < until && turns < 1000) {
        uv_run(&t.loop, UV_RUN_ONCE);
        turns++;
    }
    ck_assert_uint_lt(turns, 10);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (int i = 0; i <= n && i < 64; i++)
        if (taken[i] >= 0)
            close(taken[i]);
    expect(fd, "\"pid\"");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {commands_are_answered,
                                  what_is_no_command_is_refused,
                                  requests_have_a_limit,
                                  reload_answers_when_it_has_ended,
                                  reload_outlives_client_and_socket,
                                  four_at_a_time_and_the_others_wait,
                                  who_says_nothing_is_closed_after_the_limit,
                                  long_answers_go_out_piece_by_piece,
                                  an_answer_over_the_limit_is_an_error,
                                  socket_and_directory_are_closed_to_others,
                                  another_user_is_refused,
                                  stale_sockets_go_and_nothing_else,
                                  a_path_that_is_taken,
                                  only_the_own_socket_is_removed,
                                  what_prevents_it_is_a_sentence,
                                  no_descriptor_is_no_busy_loop};
    Suite *s = suite_create("admin");
    TCase *c = tcase_create("admin");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, set_up, tear_down);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    signal(SIGPIPE, SIG_IGN);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
