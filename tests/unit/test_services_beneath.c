/* No path leads out of a root: every spelling, every kind of link, and what is no file at all. */
#include "files_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>

static void setup(void)
{
    setup_with(NULL, 0);
    ck_assert_int_eq(mkdir(at("rw/dir"), 0755) | mkdir(at("rw-evil"), 0755), 0);
    put("rw/dir/below", "below");
    put("rw-evil/secret", "secret");
}

static void link_to(const char *target, const char *name)
{
    ck_assert_msg(symlink(target, at(name)) == 0, "%s: %s", name, strerror(errno));
}

START_TEST(paths_that_stay)
{
    static const char *const paths[] = {"plain",         "./plain",    "dir/../plain",
                                        "dir//../plain", ".//./plain", "dir/./../plain"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        ck_assert_str_eq(look(RW, paths[i]), "inside");
    ck_assert_str_eq(look(RW, "dir/below"), "below");
}
END_TEST

/* -6: MF_EDENIED */
START_TEST(paths_that_lead_out)
{
    static const char *const paths[] = {
        "../outside/secret",
        "dir/../../outside/secret",
        "../rw/plain",
        "..",
        "../rw-evil/secret",
        "/etc/passwd",
        "//etc/passwd",
        "dir/../../../etc/passwd",
        "/",
        "../../../../../../../../etc/passwd",
    };
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        ck_assert_msg(strcmp(look(RW, paths[i]), "-6") == 0, "%s: %s", paths[i], t.got.bytes);
        ck_assert_int_eq(t.got.error, EXDEV);
        ck_assert_ptr_nonnull(strstr(t.got.why, "it leads out of the directory that is granted"));
        ck_assert_int_eq(do_stat(RW, paths[i], 0), MF_EDENIED);
        ck_assert_int_eq(do_stat(RW, paths[i], MF_STAT_LINK), MF_EDENIED);
        ck_assert_int_eq(do_list(RW, paths[i], 0), MF_EDENIED);
    }
    char full[PATH_MAX];
    snprintf(full, sizeof(full), "%.2000s/rw/plain", t.dir);
    ck_assert_str_eq(look(RW, full), "-6");
}
END_TEST

START_TEST(nothing_is_decoded)
{
    put("rw/%2e%2e", "literal");
    ck_assert_str_eq(look(RW, "%2e%2e"), "literal");
    ck_assert_str_eq(look(RW, "%2e%2e/outside/secret"), "-12"); /* a file, no directory */
    ck_assert_str_eq(look(RW, "%2e%2e%2foutside%2fsecret"), "-10");
    ck_assert_str_eq(look(RW, "..\\outside\\secret"), "-10");
    ck_assert_str_eq(look(RW, "~/secret"), "-10");
}
END_TEST

START_TEST(writing_leads_out_no_more_than_reading)
{
    static const char *const paths[] = {"../outside/new", "/tmp/manifold-files-new",
                                        "dir/../../outside/new"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        ck_assert_int_eq(save(RW, paths[i], 0, "x"), MF_EDENIED);
        ck_assert_int_eq(do_make(RW, paths[i]), MF_EDENIED);
        ck_assert_int_eq(do_move(RW, "plain", RW, paths[i]), MF_EDENIED);
        ck_assert_int_eq(do_move(RW, paths[i], RW, "new"), MF_EDENIED);
        ck_assert_int_eq(do_remove(RW, paths[i]), MF_EDENIED);
    }
    static const char *const no_names[] = {"", ".", "..", "dir/..", "dir/.", "/"};
    for (size_t i = 0; i < sizeof(no_names) / sizeof(no_names[0]); i++) {
        ck_assert_int_ne(save(RW, no_names[i], 0, "x"), MF_OK);
        ck_assert_int_ne(do_remove(RW, no_names[i]), MF_OK);
        ck_assert_int_ne(do_move(RW, no_names[i], RW, "new"), MF_OK);
    }
    ck_assert_str_eq(slurp("outside/new"), "-");
    ck_assert_str_eq(slurp("outside/secret"), "secret");
    ck_assert_str_eq(slurp("rw/plain"), "inside");
}
END_TEST

START_TEST(links)
{
    link_to("plain", "rw/good");
    link_to("dir", "rw/good-dir");
    link_to("dir/../good", "rw/good-chain");
    link_to("../outside/secret", "rw/bad");
    link_to("../outside", "rw/bad-dir");
    link_to("bad", "rw/bad-chain");
    link_to("dir/../bad-dir", "rw/bad-dir-chain");
    link_to("/etc/passwd", "rw/absolute");
    link_to(at("rw/plain"), "rw/absolute-back");
    link_to("loop-b", "rw/loop-a");
    link_to("loop-a", "rw/loop-b");
    link_to("nowhere", "rw/dangling");
    ck_assert_str_eq(look(RW, "good"), "inside");
    ck_assert_str_eq(look(RW, "good-dir/below"), "below");
    ck_assert_str_eq(look(RW, "good-chain"), "inside");
    static const char *const bad[] = {
        "bad", "bad-dir/secret", "bad-chain", "bad-dir-chain/secret", "absolute", "absolute-back"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(strcmp(look(RW, bad[i]), "-6") == 0, "%s", bad[i]);
    ck_assert_int_eq(do_list(RW, "bad-dir", 0), MF_EDENIED);
    ck_assert_int_eq(do_stat(RW, "loop-a", 0), MF_EINVAL);
    ck_assert_int_eq(t.got.error, ELOOP);
    ck_assert_int_eq(do_stat(RW, "dangling", 0), MF_ENOENT);
    ck_assert_int_eq(do_stat(RW, "bad", MF_STAT_LINK), MF_OK);
    ck_assert_int_eq(t.got.stat.kind, MF_KIND_LINK);
    ck_assert_int_eq(save(RW, "bad-dir/new", 0, "x"), MF_EDENIED);
    ck_assert_int_eq(do_make(RW, "bad-dir/new/deep"), MF_EDENIED);
    ck_assert_int_eq(do_make(RW, "dangling"), MF_EEXIST);
    ck_assert_int_eq(do_remove(RW, "bad-dir/secret"), MF_EDENIED);
    ck_assert_int_eq(do_move(RW, "bad-dir/secret", RW, "mine"), MF_EDENIED);
    /* The name is replaced, what the link leads to is not. */
    ck_assert_int_eq(save(RW, "bad", 0, "mine"), MF_OK);
    ck_assert_str_eq(look(RW, "bad"), "mine");
    ck_assert_str_eq(slurp("outside/secret"), "secret");
}
END_TEST

START_TEST(magic_links_and_proc)
{
    char self[64];
    snprintf(self, sizeof(self), "/proc/%d/root", (int)getpid());
    link_to("/proc/self/root", "rw/magic");
    link_to(self, "rw/magic-too");
    ck_assert_str_eq(look(RW, "magic/etc/passwd"), "-6");
    ck_assert_str_eq(look(RW, "magic-too/etc/passwd"), "-6");
}
END_TEST

START_TEST(hard_links_are_read_and_never_written_through)
{
    ck_assert_int_eq(link(at("outside/secret"), at("rw/hard")), 0);
    ck_assert_str_eq(look(RW, "hard"), "secret");
    ck_assert_int_eq(do_stat(RW, "hard", 0), MF_OK);
    ck_assert_uint_eq(t.got.stat.links, 2);
    ck_assert_int_eq(save(RW, "hard", 0, "mine"), MF_OK);
    ck_assert_str_eq(look(RW, "hard"), "mine");
    ck_assert_str_eq(slurp("outside/secret"), "secret");
}
END_TEST

/* What would block whoever opens it, or do something. */
START_TEST(what_is_no_file_is_refused_at_once)
{
    ck_assert_int_eq(mkfifo(at("rw/fifo"), 0644), 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%.80s/rw/socket", t.dir);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(s, (struct sockaddr *)&name, sizeof(name)), 0);
    bool device = mknod(at("rw/device"), S_IFCHR | 0666, (dev_t)(1 << 8 | 9)) == 0; /* root alone */
    static const char *const names[] = {"fifo", "socket", "device"};
    for (size_t i = 0; i < (device ? 3 : 2); i++) {
        ck_assert_int_eq(do_open(RW, names[i], MF_OPEN_READ), MF_EINVAL);
        ck_assert_int_eq(t.got.error, ENXIO);
        ck_assert_int_eq(do_stat(RW, names[i], 0), MF_OK);
        ck_assert_uint_eq(t.got.stat.kind, MF_KIND_OTHER);
        ck_assert_int_eq(do_open(RW, names[i], MF_OPEN_CREATE), MF_EINVAL);
    }
    ck_assert_str_eq(look(RW, "dir"), "-13");
    ck_assert_int_eq(do_open(RW, "dir", MF_OPEN_CREATE), MF_EISDIR);
    close(s);
}
END_TEST

START_TEST(names_that_are_none)
{
    char path[6000];
    begin();
    ck_assert_int_eq(
        wait_end(t.files->stat(t.host, 0, RW, (mf_bytes){"plain\0x", 7}, 0, on_stated, &t)),
        MF_EINVAL);
    ck_assert_ptr_nonnull(strstr(t.got.why, "NUL"));
    memset(path, 'a', sizeof(path));
    path[NAME_MAX + 1] = 0;
    ck_assert_int_eq(do_stat(RW, path, 0), MF_EINVAL);
    ck_assert_int_eq(t.got.error, ENAMETOOLONG);
    ck_assert_int_eq(save(RW, path, 0, "x"), MF_EINVAL);
    /* 4,095 bytes are a path, 4,096 are none. */
    for (size_t i = 0; i < sizeof(path); i += 2)
        memcpy(path + i, "./", 2);
    memcpy(path + MF_FILES_PATH_MAX - 6, "/plain", 7);
    ck_assert_uint_eq(strlen(path), MF_FILES_PATH_MAX);
    ck_assert_str_eq(look(RW, path), "inside");
    memcpy(path + MF_FILES_PATH_MAX - 5, "/plain", 7);
    ck_assert_str_eq(look(RW, path), "-1");
    ck_assert_ptr_nonnull(strstr(t.got.why, "4095"));
    ck_assert_int_eq(do_stat(7, "plain", 0), MF_EINVAL);
}
END_TEST

START_TEST(reading_is_not_writing)
{
    ck_assert_str_eq(look(RO, "plain"), "read only");
    ck_assert_int_eq(save(RO, "new", 0, "x"), MF_EDENIED);
    ck_assert_ptr_nonnull(strstr(t.got.why, "may only read files \"ro\""));
    ck_assert_int_eq(do_make(RO, "new"), MF_EDENIED);
    ck_assert_int_eq(do_remove(RO, "plain"), MF_EDENIED);
    ck_assert_int_eq(do_move(RO, "plain", RW, "mine"), MF_EDENIED);
    ck_assert_int_eq(do_move(RW, "plain", RO, "mine"), MF_EDENIED);
    ck_assert_str_eq(slurp("ro/plain"), "read only");
}
END_TEST

static void locate(const char *path, int root, const char *rest)
{
    uint32_t found = 99;
    mf_bytes behind = {0}, why = {0};
    mf_status s = t.files->locate(t.host, lit(path), &found, &behind, &why);
    ck_assert_msg((s == MF_OK) == (root >= 0), "%s", path);
    if (s != MF_OK) {
        ck_assert_int_eq(s, MF_EDENIED);
        ck_assert_ptr_nonnull(strstr(why.data, "outside of the directories"));
        return;
    }
    ck_assert_int_eq(found, root);
    ck_assert_msg(behind.len == strlen(rest) && memcmp(behind.data, rest, behind.len) == 0,
                  "%s: %.*s", path, (int)behind.len, behind.data);
}

START_TEST(roots_by_path)
{
    ck_assert_str_eq(t.files->root(t.host, RW)->grant, "rw");
    ck_assert_str_eq(t.files->root(t.host, RW)->path, at("rw"));
    ck_assert_uint_eq(t.files->root(t.host, RW)->flags, MF_ROOT_WRITE);
    ck_assert_uint_eq(t.files->root(t.host, RO)->flags, 0);
    ck_assert_ptr_null(t.files->root(t.host, 2));
    locate(at("rw/a/b"), RW, "a/b");
    locate(at("rw//a//b"), RW, "a//b");
    locate(at("rw"), RW, "");
    locate(at("ro/"), RO, "");
    locate(at("rw-evil/secret"), -1, "");
    locate(at("r"), -1, "");
    locate(at("outside/secret"), -1, "");
    locate("/", -1, "");
    locate("", -1, "");
    locate("plain", -1, "");
    /* It compares names alone; the kernel has the last word. */
    locate(at("rw/../outside/secret"), RW, "../outside/secret");
    ck_assert_str_eq(look(RW, "../outside/secret"), "-6");
}
END_TEST

START_TEST(a_root_that_is_a_link_is_known_by_both_names)
{
    teardown();
    char target[PATH_MAX];
    setup_with(NULL, 0);
    snprintf(target, sizeof(target), "%s", at("outside"));
    ck_assert_int_eq(rename(at("rw"), at("real")) | symlink("real", at("rw")), 0);
    locate(at("real/plain"), -1, "");
    ck_assert_int_eq(do_stat(RW, "", 0), MF_OK);
    ck_assert_str_eq(t.got.path, at("real"));
    locate(at("real/plain"), RW, "plain");
    locate(at("rw/plain"), RW, "plain");
    /* It stays what it was when it was opened. */
    ck_assert_int_eq(unlink(at("rw")) | symlink(target, at("rw")), 0);
    ck_assert_str_eq(look(RW, "secret"), "-10");
    ck_assert_str_eq(look(RW, "plain"), "inside");
}
END_TEST

START_TEST(a_root_that_is_not_there_says_so_until_it_is)
{
    ck_assert_int_eq(rename(at("ro"), at("moved")), 0);
    ck_assert_int_eq(do_stat(RO, "plain", 0), MF_ENOENT);
    ck_assert_ptr_nonnull(strstr(t.got.why, "the directory granted as files \"ro\""));
    ck_assert_int_eq(rename(at("moved"), at("ro")), 0);
    ck_assert_str_eq(look(RO, "plain"), "read only");
}
END_TEST

int main(void)
{
    log_configure(LOG_ERROR, LOG_TEXT);
    Suite *s = suite_create("files: nothing leads out");
    TCase *c = tcase_create("beneath");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, paths_that_stay);
    tcase_add_test(c, paths_that_lead_out);
    tcase_add_test(c, nothing_is_decoded);
    tcase_add_test(c, writing_leads_out_no_more_than_reading);
    tcase_add_test(c, links);
    tcase_add_test(c, magic_links_and_proc);
    tcase_add_test(c, hard_links_are_read_and_never_written_through);
    tcase_add_test(c, what_is_no_file_is_refused_at_once);
    tcase_add_test(c, names_that_are_none);
    tcase_add_test(c, reading_is_not_writing);
    tcase_add_test(c, roots_by_path);
    tcase_add_test(c, a_root_that_is_a_link_is_known_by_both_names);
    tcase_add_test(c, a_root_that_is_not_there_says_so_until_it_is);
    suite_add_tcase(s, c);
    return run_suite(s);
}
