/* Libraries from the file to the mapped descriptor, with the plugins of tests/plugins.  This
 * program is also the probe's child: it answers "probe". */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <nettle/sha2.h>
#include "base/clock.h"
#include "json/reader.h"
#include "plugin/descriptor.h"
#include "plugin/library_internal.h"

static char scratch[] = "/tmp/manifold-library-XXXXXX";
static int scratch_fd;

/* --- files --- */

static char *read_file(const char *path, size_t *ret_len)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s: %s", path, strerror(errno));
    char *data = malloc(4 << 20);
    *ret_len = fread(data, 1, 4 << 20, f);
    fclose(f);
    return data;
}

static void write_file(const char *name, const char *data, size_t n)
{
    int fd = openat(scratch_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, n), (ssize_t)n);
    fchmod(fd, 0644);
    close(fd);
}

/* A copy of a bad plugin in the scratch directory, `tail` bytes longer so that its hash is its own.
 */
static void put_plugin(const char *plugin, const char *name, const char *tail)
{
    char path[512];
    size_t n;
    snprintf(path, sizeof(path), BAD_PLUGINS "/%s/%s.so", plugin, plugin);
    char *data = read_file(path, &n);
    memcpy(data + n, tail, strlen(tail));
    write_file(name, data, n + strlen(tail));
    free(data);
}

static int stage(const char *name, struct library **ret, struct err *e)
{
    e->text[0] = 0;
    return library_stage(scratch_fd, scratch, name, NULL, ret, e);
}

static struct library *staged(const char *name)
{
    struct library *lib = NULL;
    struct err e;
    ck_assert_msg(stage(name, &lib, &e) == 0, "%s", e.text);
    return lib;
}

static void stage_refused(const char *name, int code, const char *fragment)
{
    struct library *lib = NULL;
    struct err e;
    int r = stage(name, &lib, &e);
    ck_assert_msg(r == code, "%s: expected %d, found %d: %s", name, code, r, e.text);
    ck_assert_msg(strstr(e.text, fragment) != NULL, "expected \"%s\" in \"%s\"", fragment, e.text);
    ck_assert_ptr_null(lib);
}

static int count_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

/* --- staging --- */

START_TEST(a_good_library_goes_all_the_way)
{
    put_plugin("plain", "good.so", "");
    struct library *lib = staged("good.so");
    struct err e = {""};
    const mf_plugin *p = NULL, *again = NULL;
    /* Nothing else is open yet in this first test, so a lower number would have been free. */
    ck_assert_int_ge(lib->copy.fd, 10);
    ck_assert_int_eq(library_state(lib), LIBRARY_STAGED);
    ck_assert_int_eq(library_load(lib, &p, &e), -EINVAL);
    ck_assert_msg(library_probe_now(lib, &e) == 0, "%s", e.text);
    ck_assert_int_eq(library_state(lib), LIBRARY_PROBED);
    ck_assert_msg(library_load(lib, &p, &e) == 0, "%s", e.text);
    ck_assert_int_eq(library_state(lib), LIBRARY_LOADED);
    ck_assert_str_eq(p->id, "test.bad.plain");
    ck_assert_int_eq(library_load(lib, &again, &e), 0);
    ck_assert_ptr_eq(p, again);
    ck_assert_int_eq(library_probe_now(lib, &e), 0);
    ck_assert_int_eq(library_state(lib), LIBRARY_LOADED);
}
END_TEST

START_TEST(the_hash_is_that_of_the_file)
{
    put_plugin("plain", "hashed.so", "hash");
    struct library *lib = staged("hashed.so");
    char path[512], hex[65];
    unsigned char digest[32];
    size_t n;
    struct sha256_ctx ctx;
    snprintf(path, sizeof(path), "%s/hashed.so", scratch);
    char *data = read_file(path, &n);
    sha256_init(&ctx);
    sha256_update(&ctx, n, (const unsigned char *)data);
    sha256_digest(&ctx, sizeof(digest), digest);
    free(data);
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    ck_assert_str_eq(library_hash(lib), hex);
}
END_TEST

START_TEST(the_copy_is_sealed_and_out_of_the_way)
{
    put_plugin("plain", "sealed.so", "sealed");
    struct library *lib = staged("sealed.so");
    int fd = lib->copy.fd;
    ck_assert_int_ge(fd, 10);
    ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    int seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    ck_assert_int_eq(fcntl(fd, F_GET_SEALS) & seals, seals);
    ck_assert_int_eq(pwrite(fd, "x", 1, 0), -1);
    ck_assert_int_eq(ftruncate(fd, 0), -1);
}
END_TEST

/* docs/internals/loading.md, the memfd: overwritten, truncated, deleted: no effect. */
START_TEST(what_happens_to_the_file_afterwards_does_not_matter)
{
    put_plugin("plain", "victim.so", "victim");
    struct library *lib = staged("victim.so");
    struct err e = {""};
    const mf_plugin *p;
    int fd = openat(scratch_fd, "victim.so", O_WRONLY | O_CLOEXEC);
    char junk[4096];
    memset(junk, 0xcc, sizeof(junk));
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(write(fd, junk, sizeof(junk)), (ssize_t)sizeof(junk));
    ck_assert_msg(library_probe_now(lib, &e) == 0, "%s", e.text);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    close(fd);
    ck_assert_msg(library_load(lib, &p, &e) == 0, "%s", e.text);
    unlinkat(scratch_fd, "victim.so", 0);
    ck_assert_str_eq(p->tools[0]->name, "plain");
}
END_TEST

START_TEST(equal_bytes_share_one_library)
{
    put_plugin("plain", "one.so", "shared");
    struct library *one = staged("one.so");
    int before = count_fds();
    put_plugin("plain", "two.so", "shared");
    ck_assert_ptr_eq(staged("two.so"), one);
    ck_assert_ptr_eq(staged("one.so"), one);
    ck_assert_int_eq(count_fds(), before);
}
END_TEST

START_TEST(other_bytes_under_the_same_name_are_another_library)
{
    put_plugin("plain", "changing.so", "first");
    struct library *first = staged("changing.so");
    put_plugin("plain", "changing.so", "second, and longer");
    struct library *second = staged("changing.so");
    ck_assert_ptr_ne(first, second);
    ck_assert_str_ne(library_hash(first), library_hash(second));
    put_plugin("plain", "changing.so", "first");
    ck_assert_ptr_eq(staged("changing.so"), first);
}
END_TEST

static long bytes_read(void)
{
    char line[64];
    long n = -1;
    FILE *f = fopen("/proc/self/io", "r");
    if (f && fgets(line, sizeof(line), f))
        n = strtol(line + strlen("rchar:"), NULL, 10);
    if (f)
        fclose(f);
    return n;
}

START_TEST(an_unchanged_file_is_not_read_again)
{
    put_plugin("plain", "still.so", "still");
    long before = bytes_read();
    struct library *lib = staged("still.so");
    long first = bytes_read() - before;
    struct stat st;
    fstatat(scratch_fd, "still.so", &st, 0);
    ck_assert_int_ge(first, st.st_size);
    before = bytes_read();
    ck_assert_ptr_eq(staged("still.so"), lib);
    ck_assert_int_lt(bytes_read() - before, 1024);
}
END_TEST

START_TEST(only_plain_files_of_the_owner_are_taken)
{
    char big[64];
    put_plugin("plain", "real.so", "real");
    symlinkat("real.so", scratch_fd, "link.so");
    stage_refused("link.so", -ELOOP, "found a symbolic link");
    mkfifoat(scratch_fd, "fifo.so", 0644);
    stage_refused("fifo.so", -EINVAL, "expected a regular file");
    mkdirat(scratch_fd, "dir.so", 0755);
    stage_refused("dir.so", -EINVAL, "expected a regular file");
    stage_refused("absent.so", -ENOENT, "absent.so: cannot open it: No such file");
    stage_refused("../real.so", -EINVAL, "expected a file name");
    stage_refused("", -EINVAL, "expected a file name");
    fchmodat(scratch_fd, "real.so", 0646, 0);
    stage_refused("real.so", -EPERM, "found mode 0646");
    fchmodat(scratch_fd, "real.so", 0644, 0);
    staged("real.so");
    snprintf(big, sizeof(big), "big.so");
    write_file(big, "", 0);
    int fd = openat(scratch_fd, big, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(ftruncate(fd, (off_t)LIBRARY_MAX_BYTES + 1), 0);
    close(fd);
    stage_refused(big, -EFBIG, "expected at most 256 MiB");
    unlinkat(scratch_fd, big, 0);
}
END_TEST

START_TEST(groups_and_foreign_owners)
{
    put_plugin("plain", "group.so", "group");
    fchmodat(scratch_fd, "group.so", 0664, 0);
    if (geteuid() == getegid())
        staged("group.so"); /* a private group */
    if (geteuid() != 0)
        return; /* the rest needs to give files away */
    ck_assert_int_eq(fchownat(scratch_fd, "group.so", 0, 4711, 0), 0);
    fchmodat(scratch_fd, "group.so", 0664, 0);
    stage_refused("group.so", -EPERM, "found mode 0664");
    fchmodat(scratch_fd, "group.so", 0644, 0);
    staged("group.so");
    ck_assert_int_eq(fchownat(scratch_fd, "group.so", 4711, 4711, 0), 0);
    stage_refused("group.so", -EPERM, "found one of user 4711");
}
END_TEST

START_TEST(a_directory_where_strangers_write_is_refused)
{
    put_plugin("plain", "indoors.so", "indoors");
    fchmod(scratch_fd, 0777);
    stage_refused("indoors.so", -EPERM, "others can't write to, found mode 0777");
    fchmod(scratch_fd, 01777);
    staged("indoors.so");
    fchmod(scratch_fd, 0700);
    staged("indoors.so");
}
END_TEST

START_TEST(refusals_leak_nothing)
{
    put_plugin("wrong_major", "leak.so", "");
    put_plugin("crash_constructor", "leak2.so", "leak");
    struct library *lib = staged("leak2.so");
    int before = count_fds();
    for (int i = 0; i < 20; i++) {
        struct err e;
        stage_refused("leak.so", -ENOEXEC, "expected ABI major 1, found 2");
        stage_refused("absent.so", -ENOENT, "cannot open");
        ck_assert_int_lt(library_probe_now(staged("leak2.so"), &e), 0);
    }
    ck_assert_int_eq(library_state(lib), LIBRARY_BAD);
    ck_assert_int_eq(count_fds(), before);
}
END_TEST

START_TEST(kept_libraries_are_named_files)
{
    char kept[64], path[128], line[1024];
    bool mapped = false;
    snprintf(kept, sizeof(kept), "%s/kept", scratch);
    mkdirat(scratch_fd, "kept", 0700);
    put_plugin("plain", "debug.so", "debug");
    struct library *lib;
    struct err e;
    const mf_plugin *p;
    ck_assert_msg(library_stage(scratch_fd, scratch, "debug.so", kept, &lib, &e) == 0, "%s",
                  e.text);
    snprintf(path, sizeof(path), "%s/debug@%.8s.so", kept, library_hash(lib));
    ck_assert_int_eq(access(path, R_OK), 0);
    ck_assert_msg(library_probe_now(lib, &e) == 0, "%s", e.text);
    ck_assert_msg(library_load(lib, &p, &e) == 0, "%s", e.text);
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), maps))
        mapped |= strstr(line, path) != NULL;
    fclose(maps);
    ck_assert(mapped);
}
END_TEST

/* --- probing --- */

START_TEST(a_failed_probe_is_repeated_only_when_staged_again)
{
    put_plugin("exit_constructor", "again.so", "again");
    struct library *lib = staged("again.so");
    struct err e = {""};
    ck_assert_int_eq(library_probe_now(lib, &e), -ENOEXEC);
    ck_assert_ptr_nonnull(strstr(e.text, "a constructor of again.so ended the probe with exit code "
                                         "3"));
    /* With a child that can't even be started a second run would say something else. */
    library_probe_configure("/nonexistent/program", 0);
    ck_assert_int_eq(library_probe_now(lib, &e), -ENOEXEC);
    ck_assert_ptr_nonnull(strstr(e.text, "exit code 3"));
    staged("again.so");
    ck_assert_int_eq(library_probe_now(lib, &e), -ENOENT);
    ck_assert_ptr_nonnull(strstr(e.text, "the probe of again.so can't be started"));
    library_probe_configure(NULL, 0);
}
END_TEST

START_TEST(a_child_that_says_nothing_is_an_error)
{
    put_plugin("plain", "mute.so", "mute");
    struct library *lib = staged("mute.so");
    struct err e = {""};
    library_probe_configure("/bin/true", 0);
    ck_assert_int_eq(library_probe_now(lib, &e), -ENOEXEC);
    ck_assert_ptr_nonnull(strstr(e.text, "ended the probe with exit code 0"));
    library_probe_configure("/bin/echo", 0);
    staged("mute.so");
    ck_assert_int_eq(library_probe_now(lib, &e), -ENOEXEC);
    ck_assert_ptr_nonnull(strstr(e.text, "expected an outline from the probe of mute.so"));
    library_probe_configure(NULL, 0);
    staged("mute.so");
    ck_assert_msg(library_probe_now(lib, &e) == 0, "%s", e.text);
}
END_TEST

struct answers {
    int count, status;
    bool inside;
    struct err err;
};

static void on_probed(void *arg, struct library *lib, int status, const struct err *e)
{
    struct answers *a = arg;
    ck_assert(!a->inside);
    ck_assert_int_ne(library_state(lib), LIBRARY_PROBING);
    a->count++;
    a->status = status;
    if (e)
        a->err = *e;
}

static void probe_on(uv_loop_t *loop, struct library *lib, struct answers *a)
{
    a->inside = true;
    library_probe(loop, lib, on_probed, a);
    a->inside = false;
}

START_TEST(probes_answer_later_once_and_to_everyone)
{
    uv_loop_t loop;
    struct answers good[3] = {{0}}, bad[2] = {{0}};
    uv_loop_init(&loop);
    put_plugin("plain", "async.so", "async");
    put_plugin("crash_constructor", "async2.so", "async");
    struct library *a = staged("async.so"), *b = staged("async2.so");
    probe_on(&loop, a, &good[0]);
    probe_on(&loop, a, &good[1]);
    probe_on(&loop, b, &bad[0]);
    ck_assert_int_eq(library_state(a), LIBRARY_PROBING);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(good[0].count, 1);
    ck_assert_int_eq(good[0].status, 0);
    ck_assert_int_eq(good[1].count, 1);
    ck_assert_int_eq(bad[0].count, 1);
    ck_assert_int_eq(bad[0].status, -ENOEXEC);
    ck_assert_ptr_nonnull(strstr(bad[0].err.text, "signal 11 (Segmentation fault)"));
    /* What is known is told later too, without another child. */
    library_probe_configure("/nonexistent/program", 0);
    probe_on(&loop, a, &good[2]);
    probe_on(&loop, b, &bad[1]);
    ck_assert_int_eq(good[2].count, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(good[2].count, 1);
    ck_assert_int_eq(good[2].status, 0);
    ck_assert_ptr_nonnull(strstr(bad[1].err.text, "signal 11"));
    library_probe_configure(NULL, 0);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

START_TEST(a_hanging_constructor_costs_its_time_and_no_more)
{
    put_plugin("hang_constructor", "hang.so", "hang");
    struct library *lib = staged("hang.so");
    struct err e = {""};
    library_probe_configure(NULL, 300);
    uint64_t start = clock_ns();
    ck_assert_int_eq(library_probe_now(lib, &e), -ETIMEDOUT);
    ck_assert_uint_ge(clock_ns() - start, 290000000u);
    ck_assert_ptr_nonnull(strstr(e.text, "a constructor of hang.so did not return within 300 ms"));
    library_probe_configure(NULL, 0);
}
END_TEST

/* Is there a live process "manifold probe" left? */
static bool probe_process_lives(void)
{
    bool lives = false;
    DIR *d = opendir("/proc");
    for (struct dirent *it; (it = readdir(d));) {
        char path[300], text[64] = {0};
        if (it->d_name[0] < '0' || it->d_name[0] > '9')
            continue;
        snprintf(path, sizeof(path), "/proc/%s/cmdline", it->d_name);
        FILE *f = fopen(path, "r"); /* empty for one that is dead already */
        if (!f)
            continue;
        size_t n = fread(text, 1, sizeof(text) - 1, f);
        fclose(f);
        char parent[300];
        snprintf(parent, sizeof(parent), "/proc/%s/exe", it->d_name);
        char exe[512] = {0}, own[512] = {0};
        if (readlink(parent, exe, sizeof(exe) - 1) < 0 ||
            readlink("/proc/self/exe", own, sizeof(own) - 1) < 0)
            continue;
        lives |= n >= 15 && memcmp(text, "manifold\0probe", 15) == 0 && strcmp(exe, own) == 0;
    }
    closedir(d);
    return lives;
}

START_TEST(what_a_constructor_leaves_behind_is_killed)
{
    put_plugin("fork_constructor", "fork.so", "fork");
    struct library *lib = staged("fork.so");
    struct err e = {""};
    ck_assert_msg(library_probe_now(lib, &e) == 0, "%s", e.text);
    uint64_t until = clock_ns() + 10000000000u;
    while (probe_process_lives() && clock_ns() < until)
        usleep(1000);
    ck_assert(!probe_process_lives());
}
END_TEST

START_TEST(the_child_sees_nothing_of_the_host)
{
    struct library *lib;
    struct err e = {""};
    int plain = openat(scratch_fd, "secret", O_RDWR | O_CREAT, 0600); /* not close-on-exec */
    int high = fcntl(plain, F_DUPFD, 200);
    setenv("MANIFOLD_SECRET", "secret", 1);
    put_plugin("nosy_constructor", "nosy.so", "nosy");
    lib = staged("nosy.so");
    ck_assert_msg(library_probe_now(lib, &e) == 0, "%s", e.text);
    close(plain);
    close(high);
}
END_TEST

/* --- the table of tests/plugins --- */

/* The steps of the host up to open(), with a manifest as the plugin's own has it. */
static int walk(const char *plugin, struct err *e)
{
    char directory[512], file[128], id[128];
    struct library *lib;
    const mf_plugin *p;
    struct descriptor_binding binding;
    snprintf(directory, sizeof(directory), BAD_PLUGINS "/%s", plugin);
    snprintf(file, sizeof(file), "%s.so", plugin);
    snprintf(id, sizeof(id), "test.bad.%s", plugin);
    struct entry_spec tool = {.kind = ENTRY_TOOL, .name = str_of(plugin), .needs_library = true};
    struct manifest m = {.id = str_of(id),
                         .name = str_of(plugin),
                         .version = STR("1.0.0"),
                         .library = file,
                         .entry = &tool,
                         .entries = 1};
    int dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_msg(dirfd >= 0, "%s: %s", directory, strerror(errno));
    int r = library_stage(dirfd, directory, file, NULL, &lib, e);
    close(dirfd);
    if (!r)
        r = library_probe_now(lib, e);
    if (!r)
        r = library_load(lib, &p, e);
    return r ? r : descriptor_check(p, &m, &binding, e);
}

/* open() is the engine's: its tests have it. */
static bool fails_later(struct str plugin)
{
    return str_starts(plugin, STR("open_fails"));
}

static void check_case(const struct json_doc *d, json_ref n)
{
    char plugin[64];
    struct str name = json_inner(d, json_get(d, n, STR("plugin")));
    bool bad = json_string_eq(d, json_get(d, n, STR("load")), STR("bad"));
    struct buf b = BUF_INIT(1024);
    struct err e = {""};
    struct str sentence = json_string(d, json_get(d, n, STR("sentence")), &b);
    snprintf(plugin, sizeof(plugin), "%.*s", STR_FMT(name));
    library_probe_configure(NULL, strcmp(plugin, "hang_constructor") == 0 ? 300 : 0);
    if (str_eq(name, STR("gnu_unique")) && access(BAD_PLUGINS "/gnu_unique/gnu_unique.so", F_OK))
        return; /* no C++ compiler here */
    int r = walk(plugin, &e);
    bool expected = bad && !fails_later(name);
    ck_assert_msg((r != 0) == expected, "%s: %d: %s", plugin, r, e.text);
    if (expected)
        ck_assert_msg(memmem(e.text, strlen(e.text), sentence.p, sentence.n) != NULL,
                      "%s: expected \"%.*s\" in \"%s\"", plugin, STR_FMT(sentence), e.text);
    buf_release(&b);
}

START_TEST(every_bad_plugin_has_its_sentence)
{
    size_t n;
    char *text = read_file(BAD_EXPECT, &n);
    struct json_doc d = {0};
    struct json_error error;
    int cases = 0;
    ck_assert_msg(json_read(&d, (struct str){text, n}, &json_limits_default, &error) == 0, "%s",
                  error.text);
    json_each (&d, 0, it) {
        check_case(&d, it);
        cases++;
    }
    ck_assert_int_ge(cases, 60);
    library_probe_configure(NULL, 0);
    json_doc_release(&d);
    free(text);
}
END_TEST

static void clean_up(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", scratch);
    if (system(command))
        fprintf(stderr, "%s is left behind\n", scratch);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "probe") == 0)
        return library_probe_main(3, 1);
    umask(022);
    close_range(3, ~0U, 0); /* so that a copy which is not moved up shows its low number */
    if (!mkdtemp(scratch)) {
        perror(scratch);
        return 1;
    }
    scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    Suite *s = suite_create("plugin library");
    TCase *c = tcase_create("library");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, a_good_library_goes_all_the_way);
    tcase_add_test(c, the_hash_is_that_of_the_file);
    tcase_add_test(c, the_copy_is_sealed_and_out_of_the_way);
    tcase_add_test(c, what_happens_to_the_file_afterwards_does_not_matter);
    tcase_add_test(c, equal_bytes_share_one_library);
    tcase_add_test(c, other_bytes_under_the_same_name_are_another_library);
    tcase_add_test(c, an_unchanged_file_is_not_read_again);
    tcase_add_test(c, only_plain_files_of_the_owner_are_taken);
    tcase_add_test(c, groups_and_foreign_owners);
    tcase_add_test(c, a_directory_where_strangers_write_is_refused);
    tcase_add_test(c, refusals_leak_nothing);
    tcase_add_test(c, kept_libraries_are_named_files);
    tcase_add_test(c, a_failed_probe_is_repeated_only_when_staged_again);
    tcase_add_test(c, a_child_that_says_nothing_is_an_error);
    tcase_add_test(c, probes_answer_later_once_and_to_everyone);
    tcase_add_test(c, a_hanging_constructor_costs_its_time_and_no_more);
    tcase_add_test(c, what_a_constructor_leaves_behind_is_killed);
    tcase_add_test(c, the_child_sees_nothing_of_the_host);
    tcase_add_test(c, every_bad_plugin_has_its_sentence);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    close(scratch_fd);
    clean_up();
    return failed ? 1 : 0;
}
