/* files/1 of the mock host: what the functions do, rules of the test, mistakes. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <manifold/mock_files.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the smallest plugin --------------------------------------------------- */

static mf_status tiny_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    (void)config;
    *ret_self = (void *)(uintptr_t)host;
    return MF_OK;
}

static void tiny_call(void *self, const mf_request *r)
{
    (void)self;
    (void)r;
}

static void tiny_close(void *self)
{
    (void)self;
}

static const mf_entry act = {.size = sizeof(act), .name = "act"};
static const mf_entry *const tools[] = {&act, NULL};
static const mf_plugin tiny = {.size = sizeof(tiny),
                               .abi_minor = MF_ABI_MINOR,
                               .id = "test.tiny",
                               .version = "1.0.0",
                               .tools = tools,
                               .open = tiny_open,
                               .call = tiny_call,
                               .close = tiny_close};

/* ---- what callbacks saw ---------------------------------------------------- */

static struct {
    char dir[64], path[256];
    mf_mock *m;
    const mf_host *host;
    const mf_files *files;
    int ends, batches, entries;
    mf_status status;
    int32_t error;
    char why[256], real[256], bytes[256], names[4096], changed[256];
    mf_file file;
    mf_stat stat;
    bool has_stat;
} t;

static void copy(char *to, size_t cap, mf_bytes b)
{
    snprintf(to, cap, "%.*s", (int)b.len, b.len ? b.data : "");
}

static void on_end(void *arg, const mf_file_end *end)
{
    ck_assert_ptr_eq(arg, &t);
    t.ends++;
    t.status = end->end.status;
    t.error = end->error;
    copy(t.why, sizeof(t.why), end->end.why);
}

static void on_stated(void *arg, const mf_stated *s)
{
    on_end(arg, &s->end);
    t.file = s->file;
    t.has_stat = s->stat != NULL;
    if (s->stat != NULL)
        t.stat = *s->stat;
    copy(t.real, sizeof(t.real), s->path);
}

static void on_read(void *arg, const mf_read *r)
{
    on_end(arg, &r->end);
    copy(t.bytes, sizeof(t.bytes), r->bytes);
}

static void on_entries(void *arg, const mf_dirent *entry, size_t count)
{
    ck_assert_ptr_eq(arg, &t);
    t.batches++;
    for (size_t i = 0; i < count; i++, t.entries++) {
        size_t len = strlen(t.names);
        t.stat = entry[i].stat;
        snprintf(t.names + len, sizeof(t.names) - len, "%.*s\n", (int)entry[i].name.len,
                 entry[i].name.data);
    }
}

static void on_changed(void *arg, mf_bytes name)
{
    ck_assert_ptr_eq(arg, &t);
    copy(t.changed, sizeof(t.changed), name);
}

/* The status with which the operation ended; 1: it goes on. */
static mf_status end_of(mf_op op)
{
    ck_assert_uint_ne(op, 0);
    t.ends = 0;
    *t.why = 0;
    mf_mock_run(t.m);
    return t.ends ? t.status : 1;
}

static mf_bytes lit(const char *s)
{
    return (mf_bytes){s, strlen(s)};
}

static const char *at(const char *name)
{
    snprintf(t.path, sizeof(t.path), "%s/%s", t.dir, name);
    return t.path;
}

static mf_status do_open(const char *path, uint32_t flags)
{
    return end_of(t.files->open(t.host, 0, 0, lit(path), flags, on_stated, &t));
}

static mf_status do_stat(const char *path, uint32_t flags)
{
    return end_of(t.files->stat(t.host, 0, 0, lit(path), flags, on_stated, &t));
}

static mf_status save(const char *path, uint32_t flags, const char *text)
{
    mf_status s = do_open(path, MF_OPEN_CREATE | flags);
    if (s == MF_OK)
        s = end_of(t.files->write(t.host, 0, t.file, lit(text), on_end, &t));
    if (s == MF_OK)
        s = end_of(t.files->commit(t.host, 0, t.file, on_end, &t));
    return s;
}

static const char *load(const char *path)
{
    if (do_open(path, MF_OPEN_READ) != MF_OK)
        return "-";
    mf_file file = t.file;
    ck_assert_int_eq(end_of(t.files->read(t.host, 0, file, 0, 200, on_read, &t)), MF_OK);
    ck_assert_int_eq(t.files->close(t.host, file), MF_OK);
    return t.bytes;
}

/* ---- the fixture ----------------------------------------------------------- */

static void setup(void)
{
    memset(&t, 0, sizeof(t));
    snprintf(t.dir, sizeof(t.dir), "/tmp/mock-files-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(t.dir));
    ck_assert_int_eq(mkdir(at("root"), 0755) | mkdir(at("ro"), 0755), 0);
    t.m = mf_mock_new(&tiny);
    mf_mock_files_grant(t.m, "spool", at("root"), MF_ROOT_WRITE);
    mf_mock_files_grant(t.m, "lib", at("ro"), 0);
    ck_assert_int_eq(mf_mock_open(t.m, NULL), MF_OK);
    t.host = mf_mock_host(t.m);
    t.files = t.host->extension(t.host, MF_EXT_FILES);
    ck_assert_ptr_nonnull(t.files);
}

static void teardown(void)
{
    char command[128];
    mf_mock_free(t.m);
    snprintf(command, sizeof(command), "rm -rf '%s'", t.dir);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(roots)
{
    ck_assert_str_eq(t.files->root(t.host, 0)->grant, "spool");
    ck_assert_str_eq(t.files->root(t.host, 1)->path, at("ro"));
    ck_assert_uint_eq(t.files->root(t.host, 0)->flags, MF_ROOT_WRITE);
    ck_assert_ptr_null(t.files->root(t.host, 2));
    uint32_t root = 9;
    mf_bytes rest, why;
    ck_assert_int_eq(t.files->locate(t.host, lit(at("ro/a")), &root, &rest, &why), MF_OK);
    ck_assert(root == 1 && rest.len == 1 && *rest.data == 'a');
    ck_assert_int_eq(t.files->locate(t.host, lit("/etc"), &root, &rest, &why), MF_EDENIED);
    ck_assert_uint_gt(why.len, 0);
}
END_TEST

START_TEST(files_are_written_in_one_step)
{
    ck_assert_int_eq(save("a", 0, "one"), MF_OK);
    ck_assert_str_eq(load("a"), "one");
    ck_assert_int_eq(chmod(at("root/a"), 0600), 0);
    ck_assert_int_eq(do_open("a", MF_OPEN_CREATE), MF_OK);
    mf_file file = t.file;
    ck_assert_int_eq(end_of(t.files->write(t.host, 0, file, lit("two"), on_end, &t)), MF_OK);
    ck_assert_str_eq(load("a"), "one");
    ck_assert_int_eq(end_of(t.files->commit(t.host, 0, file, on_end, &t)), MF_OK);
    ck_assert_str_eq(load("a"), "two");
    ck_assert_int_eq(do_stat("a", 0), MF_OK);
    ck_assert(t.stat.mode == 0600 && t.stat.bytes == 3 && t.stat.kind == MF_KIND_FILE);
    ck_assert_str_eq(t.real, at("root/a"));
    ck_assert_int_eq(save("a", MF_OPEN_NEW, "x"), MF_EEXIST);
    ck_assert_int_eq(do_open("b", MF_OPEN_CREATE), MF_OK);
    ck_assert_uint_eq(mf_mock_files_open(t.m), 1);
    ck_assert_int_eq(t.files->close(t.host, t.file), MF_OK);
    ck_assert_uint_eq(mf_mock_files_open(t.m), 0);
    ck_assert_int_eq(do_stat("b", 0), MF_ENOENT);
    ck_assert_int_eq(t.error, ENOENT);
}
END_TEST

START_TEST(nothing_leads_out)
{
    ck_assert_int_eq(symlink("../ro", at("root/out")), 0);
    ck_assert_int_eq(do_stat("out", 0), MF_EDENIED);
    ck_assert_int_eq(t.error, EXDEV);
    ck_assert_int_eq(do_stat("out", MF_STAT_LINK), MF_OK);
    ck_assert_int_eq(do_stat("../ro", 0), MF_EDENIED);
    ck_assert_int_eq(do_stat("/etc", 0), MF_EDENIED);
    ck_assert_int_eq(save("../ro/x", 0, "x"), MF_EDENIED);
    ck_assert_int_eq(end_of(t.files->stat(t.host, 0, 0, (mf_bytes){"a\0b", 3}, 0, on_stated, &t)),
                     MF_EINVAL);
    ck_assert_int_eq(end_of(t.files->stat(t.host, 0, 7, lit("a"), 0, on_stated, &t)), MF_EINVAL);
    ck_assert_int_eq(end_of(t.files->remove(t.host, 0, 1, lit("a"), on_end, &t)), MF_EDENIED);
    ck_assert_int_eq(mkfifo(at("root/pipe"), 0600), 0);
    ck_assert_int_eq(do_open("pipe", 0), MF_EINVAL);
    ck_assert_int_eq(do_open("", 0), MF_EISDIR);
}
END_TEST

START_TEST(directories)
{
    char name[32];
    ck_assert_int_eq(end_of(t.files->make_directory(t.host, 0, 0, lit("d/e/f/"), on_end, &t)),
                     MF_OK);
    ck_assert_int_eq(end_of(t.files->make_directory(t.host, 0, 0, lit("d/e"), on_end, &t)), MF_OK);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "d/%d", i);
        ck_assert_int_eq(save(name, 0, "x"), MF_OK);
    }
    ck_assert_int_eq(
        end_of(t.files->list(t.host, 0, 0, lit("d"), MF_LIST_STAT, on_entries, on_end, &t)), MF_OK);
    ck_assert_int_eq(t.entries, 41);
    ck_assert_int_gt(t.batches, 1);
    ck_assert_ptr_nonnull(strstr(t.names, "39\n"));
    ck_assert_int_eq(end_of(t.files->move(t.host, 0, 0, lit("d/1"), 0, lit("d/2"), on_end, &t)),
                     MF_EEXIST);
    ck_assert_int_eq(end_of(t.files->move(t.host, 0, 0, lit("d/1"), 0, lit("d/e/1"), on_end, &t)),
                     MF_OK);
    ck_assert_int_eq(end_of(t.files->remove(t.host, 0, 0, lit("d/e"), on_end, &t)), MF_ENOTEMPTY);
    ck_assert_int_eq(end_of(t.files->remove(t.host, 0, 0, lit("d/e/1"), on_end, &t)), MF_OK);
    ck_assert_int_eq(end_of(t.files->remove(t.host, 0, 0, lit("d/e/f"), on_end, &t)), MF_OK);
    ck_assert_int_eq(end_of(t.files->list(t.host, 0, 0, lit("none"), 0, on_entries, on_end, &t)),
                     MF_ENOENT);
}
END_TEST

START_TEST(rules_of_the_test)
{
    ck_assert_int_eq(save("a", 0, "x"), MF_OK);
    mf_mock_files_fail(t.m, "a", MF_EIO, EIO, "the disk is broken");
    ck_assert_int_eq(do_stat("a", 0), MF_EIO);
    ck_assert_int_eq(t.error, EIO);
    ck_assert_str_eq(t.why, "the disk is broken");
    mf_mock_files_fail(t.m, "a", MF_OK, 0, NULL);
    ck_assert_int_eq(do_open("a", 0), MF_OK);
    mf_file file = t.file;
    mf_mock_files_hang(t.m, "a", 1);
    mf_op op = t.files->read(t.host, 0, file, 0, 10, on_read, &t);
    ck_assert_int_eq(end_of(op), 1);
    ck_assert_int_eq(t.files->abort(t.host, op), MF_OK);
    ck_assert_int_eq(end_of(op), MF_ECANCELED);
    op = t.files->read(t.host, 0, file, 0, 10, on_read, &t);
    ck_assert_int_eq(end_of(op), 1);
    mf_mock_files_hang(t.m, "a", 0);
    ck_assert_int_eq(end_of(op), MF_OK);
    ck_assert_str_eq(t.bytes, "x");
}
END_TEST

START_TEST(watching)
{
    mf_op op = t.files->watch(t.host, 0, 0, lit(""), on_changed, on_end, &t);
    ck_assert_int_eq(end_of(op), 1);
    mf_mock_files_change(t.m, "elsewhere", "x");
    mf_mock_files_change(t.m, "", "new");
    mf_mock_run(t.m);
    ck_assert_str_eq(t.changed, "new");
    ck_assert_int_eq(t.files->abort(t.host, op), MF_OK);
    ck_assert_int_eq(end_of(op), MF_ECANCELED);
    ck_assert_int_eq(end_of(t.files->watch(t.host, 0, 0, lit("none"), on_changed, on_end, &t)),
                     MF_ENOENT);
}
END_TEST

START_TEST(operations_end_with_their_call)
{
    ck_assert_int_eq(save("a", 0, "x"), MF_OK);
    mf_mock_files_hang(t.m, "a", 1);
    mf_call call = mf_mock_tool(t.m, "act", NULL);
    mf_op op = t.files->stat(t.host, call, 0, lit("a"), 0, on_stated, &t);
    ck_assert_int_eq(end_of(op), 1);
    mf_mock_cancel(t.m, call);
    ck_assert_int_eq(end_of(op), MF_ECANCELED);
    t.host->finish(t.host, call, MF_DONE, lit(""));
}
END_TEST

START_TEST(open_files_are_bounded_and_stale_handles_mistakes)
{
    ck_assert_int_eq(save("a", 0, "x"), MF_OK);
    for (int i = 0; i < MF_FILES_OPEN_MAX; i++)
        ck_assert_int_eq(do_open("a", 0), MF_OK);
    ck_assert_int_eq(do_open("a", 0), MF_ELIMIT);
    ck_assert_uint_eq(mf_mock_files_open(t.m), MF_FILES_OPEN_MAX);
    ck_assert_int_eq(t.files->close(t.host, t.file), MF_ESTALE);
    ck_assert_uint_eq(mf_mock_mistakes(t.m, NULL), 1);
    ck_assert_uint_eq(t.files->stat(t.host, 0, 0, lit("a"), 0, NULL, &t), 0);
    ck_assert_uint_eq(mf_mock_mistakes(t.m, NULL), 2);
}
END_TEST

START_TEST(nothing_granted)
{
    mf_mock *m = mf_mock_new(&tiny);
    ck_assert_int_eq(mf_mock_open(m, NULL), MF_OK);
    const mf_host *host = mf_mock_host(m);
    const mf_files *files = host->extension(host, MF_EXT_FILES);
    ck_assert_ptr_null(files->root(host, 0));
    t.ends = 0;
    ck_assert_uint_ne(files->stat(host, 0, 0, lit("a"), 0, on_stated, &t), 0);
    mf_mock_run(m);
    ck_assert(t.ends == 1 && t.status == MF_EDENIED);
    mf_mock_free(m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mock files");
    TCase *c = tcase_create("files");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, roots);
    tcase_add_test(c, files_are_written_in_one_step);
    tcase_add_test(c, nothing_leads_out);
    tcase_add_test(c, directories);
    tcase_add_test(c, rules_of_the_test);
    tcase_add_test(c, watching);
    tcase_add_test(c, operations_end_with_their_call);
    tcase_add_test(c, open_files_are_bounded_and_stale_handles_mistakes);
    tcase_add_test(c, nothing_granted);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
