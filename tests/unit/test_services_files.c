/* manifold.files/1: what its functions do, how they end, and a file system that hangs. */
#include "files_fixture.h"

#include <dirent.h>
#include <sys/syscall.h>

/* --- a file system that hangs: reading a file named "hang" --- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool armed;
    unsigned held;
} hang = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0};

/* Stands in front of libc's. */
ssize_t pread(int fd, void *buf, size_t n, off_t offset)
{
    char self[64], path[PATH_MAX];
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(self, path, sizeof(path) - 1);
    path[len > 0 ? len : 0] = 0;
    const char *name = strrchr(path, '/');
    pthread_mutex_lock(&hang.lock);
    if (hang.armed && name && strcmp(name, "/hang") == 0) {
        hang.held++;
        pthread_cond_broadcast(&hang.changed);
        while (hang.armed)
            pthread_cond_wait(&hang.changed, &hang.lock);
        hang.held--;
        pthread_cond_broadcast(&hang.changed);
    }
    pthread_mutex_unlock(&hang.lock);
    return syscall(SYS_pread64, fd, buf, n, offset);
}

static void hang_arm(void)
{
    put("rw/hang", "at last");
    pthread_mutex_lock(&hang.lock);
    hang.armed = true;
    pthread_mutex_unlock(&hang.lock);
}

static void hang_wait(unsigned held)
{
    pthread_mutex_lock(&hang.lock);
    while (hang.held < held)
        pthread_cond_wait(&hang.changed, &hang.lock);
    pthread_mutex_unlock(&hang.lock);
}

static void hang_end(void)
{
    pthread_mutex_lock(&hang.lock);
    hang.armed = false;
    pthread_cond_broadcast(&hang.changed);
    while (hang.held)
        pthread_cond_wait(&hang.changed, &hang.lock);
    pthread_mutex_unlock(&hang.lock);
}

/* --- helpers --- */

static void setup(void)
{
    setup_with(NULL, 0);
}

static void setup_quota(void)
{
    static const char *const grant[] = {"fake.files.rw.quota=1000B"};
    setup_with(grant, 1);
}

/* Entries of a directory, hidden ones too. */
static unsigned count_in(const char *name)
{
    DIR *d = opendir(at(name));
    unsigned n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

/* Closing is done by a thread; it is soon. */
static void wait_count(const char *name, unsigned expected)
{
    uint64_t until = clock_ns() + 10000000000u;
    while (count_in(name) != expected && clock_ns() < until)
        sched_yield();
    ck_assert_uint_eq(count_in(name), expected);
}

static mf_file create(const char *path, uint32_t flags)
{
    ck_assert_int_eq(do_open(RW, path, MF_OPEN_CREATE | flags), MF_OK);
    ck_assert(!t.got.has_stat);
    return t.got.file;
}

static mode_t mode_of(const char *name)
{
    struct stat st;
    ck_assert_int_eq(lstat(at(name), &st), 0);
    return st.st_mode & 07777;
}

/* --- stat, read --- */

START_TEST(stat_tells)
{
    ck_assert_int_eq(chmod(at("rw/plain"), 0640), 0);
    ck_assert_int_eq(symlink("plain", at("rw/link")), 0);
    ck_assert_int_eq(do_stat(RW, "link", 0), MF_OK);
    ck_assert_uint_eq(t.got.stat.kind, MF_KIND_FILE);
    ck_assert_uint_eq(t.got.stat.bytes, 6);
    ck_assert_uint_eq(t.got.stat.mode, 0640);
    ck_assert_uint_eq(t.got.stat.links, 1);
    ck_assert_int_gt(t.got.stat.modified_ns, 1000000000000000000);
    ck_assert_uint_eq(t.got.file, 0);
    ck_assert_str_eq(t.got.path, at("rw/plain"));
    ck_assert_int_eq(do_stat(RW, "link", MF_STAT_LINK), MF_OK);
    ck_assert_uint_eq(t.got.stat.kind, MF_KIND_LINK);
    ck_assert_str_eq(t.got.path, at("rw/link"));
    ck_assert_int_eq(do_stat(RW, "", 0), MF_OK);
    ck_assert_uint_eq(t.got.stat.kind, MF_KIND_DIRECTORY);
    ck_assert_int_eq(do_stat(RW, "none/none", 0), MF_ENOENT);
    ck_assert_int_eq(t.got.error, ENOENT);
    ck_assert_str_eq(t.got.why, "\"none/none\": No such file or directory");
    ck_assert_int_eq(do_stat(RW, "plain/none", 0), MF_ENOTDIR);
}
END_TEST

START_TEST(reading_in_ranges)
{
    static char big[3 << 20];
    for (size_t i = 0; i < sizeof(big) - 1; i++)
        big[i] = (char)('a' + i % 23);
    put("rw/big", big);
    ck_assert_int_eq(do_open(RW, "big", MF_OPEN_READ), MF_OK);
    ck_assert_uint_eq(t.got.stat.bytes, sizeof(big) - 1);
    mf_file file = t.got.file;
    ck_assert_int_eq(do_read(file, 1000, 5), MF_OK);
    ck_assert(t.got.len == 5 && memcmp(t.got.bytes, big + 1000, 5) == 0);
    ck_assert_int_eq(do_read(file, 100, MF_FILES_READ_MAX), MF_OK);
    ck_assert(t.got.len == MF_FILES_READ_MAX && memcmp(t.got.bytes, big + 100, t.got.len) == 0);
    ck_assert_int_eq(do_read(file, sizeof(big) - 3, 100), MF_OK);
    ck_assert_uint_eq(t.got.len, 2);
    ck_assert_int_eq(do_read(file, 1ull << 40, 100), MF_OK);
    ck_assert_uint_eq(t.got.len, 0);
    ck_assert_int_eq(do_read(file, 0, 0), MF_OK);
    ck_assert_int_eq(do_read(file, 0, MF_FILES_READ_MAX + 1), MF_EINVAL);
    ck_assert_int_eq(do_read(file, UINT64_MAX - 5, 1), MF_EINVAL);
    ck_assert_int_eq(do_write(file, "x"), MF_EINVAL);
    ck_assert_int_eq(t.files->close(t.host, file), MF_OK);
    ck_assert_int_eq(t.files->close(t.host, file), MF_ESTALE);
    ck_assert_int_eq(do_read(file, 0, 1), MF_ESTALE);
    ck_assert_int_eq(do_read(0, 0, 1), MF_ESTALE);
    ck_assert_int_eq(do_read(UINT64_MAX, 0, 1), MF_ESTALE);
}
END_TEST

START_TEST(open_files_are_bounded)
{
    mf_file file[MF_FILES_OPEN_MAX];
    for (int i = 0; i < MF_FILES_OPEN_MAX; i++) {
        ck_assert_int_eq(do_open(RW, "plain", MF_OPEN_READ), MF_OK);
        file[i] = t.got.file;
        for (int k = 0; k < i; k++)
            ck_assert_uint_ne(file[k], file[i]);
    }
    ck_assert_int_eq(do_open(RW, "plain", MF_OPEN_READ), MF_ELIMIT);
    ck_assert_int_eq(t.files->close(t.host, file[7]), MF_OK);
    ck_assert_int_eq(do_open(RW, "none", MF_OPEN_READ), MF_ENOENT); /* gives its place back */
    ck_assert_int_eq(do_open(RW, "plain", MF_OPEN_READ), MF_OK);
    ck_assert_uint_ne(t.got.file, file[7]);
    ck_assert_int_eq(do_read(file[7], 0, 1), MF_ESTALE);
} /* what is still open is closed with the instance */
END_TEST

/* --- writing --- */

START_TEST(writing_replaces_in_one_step)
{
    ck_assert_int_eq(chmod(at("rw/plain"), 0600), 0);
    mf_file file = create("plain", 0);
    ck_assert_int_eq(do_write(file, "new "), MF_OK);
    ck_assert_int_eq(do_write(file, "content"), MF_OK);
    ck_assert_int_eq(do_read(file, 0, 1), MF_EINVAL);
    ck_assert_str_eq(slurp("rw/plain"), "inside");
    ck_assert_uint_eq(count_in("rw"), 2);
    ck_assert_int_eq(do_commit(file), MF_OK);
    ck_assert_str_eq(slurp("rw/plain"), "new content");
    ck_assert_uint_eq(mode_of("rw/plain"), 0600);
    ck_assert_uint_eq(count_in("rw"), 1);
    ck_assert_int_eq(do_commit(file), MF_ESTALE);
    ck_assert_int_eq(t.files->close(t.host, file), MF_ESTALE);
}
END_TEST

START_TEST(the_bits_are_those_of_what_is_there)
{
    mode_t mask = umask(027);
    ck_assert_int_eq(save(RW, "fresh", 0, "x"), MF_OK);
    ck_assert_uint_eq(mode_of("rw/fresh"), 0640);
    ck_assert_int_eq(chmod(at("rw/fresh"), 0757), 0);
    ck_assert_int_eq(save(RW, "fresh", 0, "y"), MF_OK);
    ck_assert_uint_eq(mode_of("rw/fresh"), 0757);
    /* What is written for a private file is private from its first byte on. */
    ck_assert_int_eq(chmod(at("rw/fresh"), 0600), 0);
    mf_file file = create("fresh", 0);
    DIR *d = opendir(at("rw"));
    unsigned seen = 0;
    for (const struct dirent *e; (e = readdir(d));) {
        char name[NAME_MAX + 8];
        snprintf(name, sizeof(name), "rw/%s", e->d_name);
        if (e->d_name[0] == '.' && strstr(e->d_name, ".tmp") && ++seen)
            ck_assert_uint_eq(mode_of(name), 0600);
    }
    closedir(d);
    ck_assert_uint_eq(seen, 1);
    ck_assert_int_eq(t.files->close(t.host, file), MF_OK);
    umask(mask);
}
END_TEST

START_TEST(what_is_not_committed_is_gone)
{
    mf_file file = create("new", 0);
    ck_assert_int_eq(do_write(file, "lost"), MF_OK);
    ck_assert_uint_eq(count_in("rw"), 2);
    ck_assert_int_eq(t.files->close(t.host, file), MF_OK);
    wait_count("rw", 1);
    create("left-open", 0);
    ck_assert_uint_eq(count_in("rw"), 2);
    /* As a reload does it: what the instance left open is closed with it. */
    files_leave(t.in->services->files, 0);
    t.in->services->files = NULL;
    wait_count("rw", 1);
}
END_TEST

START_TEST(new_is_never_over_something)
{
    ck_assert_int_eq(save(RW, "plain", MF_OPEN_NEW, "x"), MF_EEXIST);
    ck_assert_int_eq(symlink("nowhere", at("rw/dangling")), 0);
    ck_assert_int_eq(save(RW, "dangling", MF_OPEN_NEW, "x"), MF_EEXIST);
    mf_file file = create("new", MF_OPEN_NEW);
    put("rw/new", "faster");
    ck_assert_int_eq(do_commit(file), MF_EEXIST);
    ck_assert_str_eq(slurp("rw/new"), "faster");
    ck_assert_int_eq(save(RW, "newer", MF_OPEN_NEW, "first"), MF_OK);
    ck_assert_str_eq(slurp("rw/newer"), "first");
    wait_count("rw", 4);
    ck_assert_int_eq(save(RW, "none/new", MF_OPEN_NEW, "x"), MF_ENOENT);
}
END_TEST

START_TEST(one_write_at_a_time)
{
    mf_file file = create("plain", 0);
    begin();
    mf_op first = t.files->write(t.host, 0, file, lit("a"), on_end, &t);
    mf_op second = t.files->write(t.host, 0, file, lit("b"), on_end, &t);
    ck_assert(first && second);
    while (t.got.ends < 2)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_int_eq(do_write(file, "c"), MF_OK);
    begin();
    char *large = calloc(1, MF_FILES_WRITE_MAX + 1);
    mf_bytes bytes = {large, MF_FILES_WRITE_MAX + 1};
    ck_assert_int_eq(wait_end(t.files->write(t.host, 0, file, bytes, on_end, &t)), MF_EINVAL);
    free(large);
    ck_assert_int_eq(do_commit(file), MF_OK);
    ck_assert_str_eq(slurp("rw/plain"), "ac");
}
END_TEST

static mf_file chained;

static void then_commit(void *arg, const mf_file_end *end)
{
    ck_assert_int_eq(end->end.status, MF_OK);
    ck_assert_uint_ne(t.files->commit(t.host, 0, chained, on_end, arg), 0);
}

static void then_write(void *arg, const mf_file_end *end)
{
    ck_assert_int_eq(end->end.status, MF_OK);
    ck_assert_uint_ne(t.files->write(t.host, 0, chained, lit("b"), then_commit, arg), 0);
}

START_TEST(the_next_step_may_be_begun_in_the_callback)
{
    chained = create("plain", 0);
    begin();
    ck_assert_int_eq(wait_end(t.files->write(t.host, 0, chained, lit("a"), then_write, &t)), MF_OK);
    ck_assert_str_eq(slurp("rw/plain"), "ab");
}
END_TEST

START_TEST(after_an_aborted_write_nothing_is_put_in_place)
{
    mf_file file = create("plain", 0);
    begin();
    mf_op op = t.files->write(t.host, 0, file, lit("half"), on_end, &t);
    ck_assert_int_eq(t.files->abort(t.host, op), MF_OK);
    wait_end(op);
    /* A write that was faster than the abort is good, else the file is of no more use. */
    if (t.got.status == MF_ECANCELED) {
        ck_assert_int_ne(do_write(file, " more"), MF_OK);
        ck_assert_int_ne(do_commit(file), MF_OK);
        ck_assert_str_eq(slurp("rw/plain"), "inside");
    } else {
        ck_assert_int_eq(t.files->close(t.host, file), MF_OK);
    }
    wait_count("rw", 1);
}
END_TEST

/* --- directories and names --- */

START_TEST(listing_comes_in_batches)
{
    char name[64];
    ck_assert_int_eq(do_list(RW, "", 0), MF_OK);
    ck_assert_str_eq(t.got.names, "plain\n");
    ck_assert_uint_eq(t.got.stat.kind, MF_KIND_FILE);
    ck_assert_uint_eq(t.got.stat.bytes, 0);
    ck_assert_int_eq(do_list(RW, "", MF_LIST_STAT), MF_OK);
    ck_assert_uint_eq(t.got.stat.bytes, 6);
    ck_assert_int_eq(mkdir(at("rw/many"), 0755), 0);
    ck_assert_int_eq(do_list(RW, "many", 0), MF_OK);
    ck_assert_uint_eq(t.got.batches, 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "rw/many/%d", i);
        put(name, "");
    }
    ck_assert_int_eq(do_list(RW, "many", 0), MF_OK);
    ck_assert_uint_eq(t.got.entries, 1000);
    ck_assert_uint_eq(t.got.batches, 4);
    ck_assert_int_eq(do_list(RW, "plain", 0), MF_ENOTDIR);
    ck_assert_int_eq(do_list(RW, "none", 0), MF_ENOENT);
}
END_TEST

static mf_op listing;

static void on_entries_abort(void *arg, const mf_dirent *entry, size_t count)
{
    on_entries(arg, entry, count);
    ck_assert_int_eq(t.files->abort(t.host, listing), MF_OK);
    ck_assert_int_eq(t.files->abort(t.host, listing), MF_OK);
}

START_TEST(listing_can_be_aborted_in_its_callback)
{
    char name[64];
    for (int i = 0; i < 600; i++) {
        snprintf(name, sizeof(name), "rw/%d", i);
        put(name, "");
    }
    begin();
    listing = t.files->list(t.host, 0, RW, lit(""), 0, on_entries_abort, on_end, &t);
    ck_assert_int_eq(wait_end(listing), MF_ECANCELED);
    ck_assert_uint_eq(t.got.batches, 1);
    ck_assert_int_eq(t.files->abort(t.host, listing), MF_ESTALE);
}
END_TEST

START_TEST(directories_are_made_with_what_is_above)
{
    ck_assert_int_eq(do_make(RW, "a/b//c/"), MF_OK);
    ck_assert_int_eq(do_make(RW, "a/b/c"), MF_OK);
    ck_assert_int_eq(do_make(RW, ""), MF_OK);
    ck_assert_int_eq(do_make(RW, "a/b/../d"), MF_OK);
    ck_assert_uint_eq(count_in("rw/a"), 2);
    ck_assert_int_eq(do_make(RW, "plain"), MF_EEXIST);
    ck_assert_int_eq(do_make(RW, "plain/x"), MF_ENOTDIR);
    ck_assert_int_eq(symlink("a", at("rw/link")), 0);
    ck_assert_int_eq(do_make(RW, "link/e/f"), MF_OK);
    ck_assert_uint_eq(count_in("rw/a/e"), 1);
    static char deep[4000];
    for (size_t i = 0; i + 2 < sizeof(deep); i += 2)
        memcpy(deep + i, "d/", 2);
    ck_assert_int_eq(do_make(RW, deep), MF_OK);
    ck_assert_int_eq(do_stat(RW, deep, 0), MF_OK);
}
END_TEST

START_TEST(moving)
{
    ck_assert_int_eq(do_make(RW, "dir"), MF_OK);
    ck_assert_int_eq(do_move(RW, "plain", RW, "dir/moved"), MF_OK);
    ck_assert_str_eq(slurp("rw/dir/moved"), "inside");
    put("rw/other", "other");
    ck_assert_int_eq(do_move(RW, "other", RW, "dir/moved"), MF_EEXIST);
    ck_assert_int_eq(do_move(RW, "other", RW, "dir"), MF_EEXIST);
    ck_assert_int_eq(do_move(RW, "none", RW, "new"), MF_ENOENT);
    ck_assert_int_eq(do_move(RW, "other", RW, "none/new"), MF_ENOENT);
    ck_assert_int_eq(do_move(RW, "dir", RW, "dir/into"), MF_EINVAL);
    ck_assert_int_eq(do_move(RW, "dir/", RW, "renamed"), MF_OK);
    ck_assert_str_eq(slurp("rw/renamed/moved"), "inside");
    ck_assert_int_eq(symlink("../outside/secret", at("rw/link")), 0);
    ck_assert_int_eq(do_move(RW, "link", RW, "link-too"), MF_OK);
    ck_assert_str_eq(slurp("outside/secret"), "secret");
    ck_assert_str_eq(slurp("rw/other"), "other");
}
END_TEST

START_TEST(removing)
{
    ck_assert_int_eq(do_make(RW, "dir/sub"), MF_OK);
    ck_assert_int_eq(do_remove(RW, "dir"), MF_ENOTEMPTY);
    ck_assert_int_eq(do_remove(RW, "dir/sub/"), MF_OK);
    ck_assert_int_eq(do_remove(RW, "dir"), MF_OK);
    ck_assert_int_eq(symlink("../outside/secret", at("rw/link")), 0);
    ck_assert_int_eq(do_remove(RW, "link"), MF_OK);
    ck_assert_int_eq(do_remove(RW, "plain"), MF_OK);
    ck_assert_int_eq(do_remove(RW, "plain"), MF_ENOENT);
    ck_assert_uint_eq(count_in("rw"), 0);
    ck_assert_str_eq(slurp("outside/secret"), "secret");
}
END_TEST

/* --- quota: 1,000 bytes in rw --- */

static const char *bytes(size_t n)
{
    static char text[2048];
    memset(text, 'q', n);
    text[n] = 0;
    return text;
}

START_TEST(a_quota_counts_all_that_lies_below)
{
    ck_assert_int_eq(mkdir(at("rw/dir"), 0755), 0);
    put("rw/dir/there", bytes(500)); /* and 6 in plain */
    ck_assert_int_eq(save(RW, "a", 0, bytes(494)), MF_OK);
    ck_assert_int_eq(save(RW, "b", 0, "x"), MF_ENOSPC);
    ck_assert_int_eq(t.got.error, EDQUOT);
    ck_assert_str_eq(t.got.why, "the quota of files \"rw\" is full: expected at most 1000B in all");
    wait_count("rw", 3); /* nothing of it is left */
    /* Old and new are there at the same time. */
    ck_assert_int_eq(save(RW, "plain", 0, "x"), MF_ENOSPC);
    ck_assert_int_eq(do_remove(RW, "a"), MF_OK);
    ck_assert_int_eq(save(RW, "plain", 0, bytes(400)), MF_OK);
    ck_assert_int_eq(save(RW, "b", 0, bytes(100)), MF_OK);
    ck_assert_int_eq(save(RW, "c", 0, bytes(1)), MF_ENOSPC);
    ck_assert_int_eq(do_make(RW, "more"), MF_OK);
}
END_TEST

START_TEST(what_others_remove_is_found_out)
{
    put("rw/there", bytes(990));
    ck_assert_int_eq(save(RW, "a", 0, bytes(100)), MF_ENOSPC);
    ck_assert_int_eq(unlink(at("rw/there")), 0);
    struct files_quota *q = t.in->services->files->root[RW].quota;
    ck_assert_uint_eq(q->measures, 1);
    ck_assert_int_eq(save(RW, "a", 0, bytes(100)), MF_ENOSPC); /* not at once: a walk costs */
    ck_assert_uint_eq(q->measures, 1);
    q->at -= 1000000000u; /* a second later */
    ck_assert_int_eq(save(RW, "a", 0, bytes(100)), MF_OK);
    ck_assert_uint_eq(q->measures, 2);
    ck_assert_uint_eq(q->used, 106);
    ck_assert_uint_eq(q->under_way, 0);
}
END_TEST

/* --- watch --- */

static void on_changed(void *arg, mf_bytes name)
{
    ck_assert_ptr_eq(arg, &t);
    size_t len = strlen(t.got.changed);
    t.got.changes++;
    if (len + 300 < sizeof(t.got.changed))
        snprintf(t.got.changed + len, sizeof(t.got.changed) - len, "%.*s\n", (int)name.len,
                 name.data);
}

static void wait_changed(const char *name)
{
    while (!strstr(t.got.changed, name)) {
        ck_assert_uint_eq(t.got.ends, 0);
        uv_run(&t.loop, UV_RUN_ONCE);
    }
}

/* The operation has begun when it sees something. */
static mf_op watch(const char *path, const char *probe)
{
    begin();
    mf_op op = t.files->watch(t.host, 0, RW, lit(path), on_changed, on_end, &t);
    ck_assert_uint_ne(op, 0);
    for (int i = 0; !t.got.changes && !t.got.ends; i++) {
        put(probe, "x");
        uv_run(&t.loop, UV_RUN_NOWAIT);
    }
    return op;
}

START_TEST(watching)
{
    ck_assert_int_eq(mkdir(at("rw/dir"), 0755), 0);
    mf_op op = watch("dir", "rw/dir/probe");
    put("rw/dir/new", "x");
    wait_changed("new\n");
    ck_assert_int_eq(rename(at("rw/dir/new"), at("rw/dir/renamed")), 0);
    wait_changed("renamed\n");
    put("rw/elsewhere", "x");
    ck_assert_int_eq(unlink(at("rw/dir/renamed")), 0);
    ck_assert_int_eq(save(RW, "dir/committed", 0, "x"), MF_OK);
    t.got.ends = 0;
    wait_changed("committed\n");
    ck_assert_ptr_null(strstr(t.got.changed, "elsewhere"));
    t.got.ends = 0;
    ck_assert_int_eq(t.files->abort(t.host, op), MF_OK);
    ck_assert_int_eq(wait_end(op), MF_ECANCELED);
    begin();
    op = t.files->watch(t.host, 0, RW, lit("plain"), on_changed, on_end, &t);
    ck_assert_int_eq(wait_end(op), MF_ENOTDIR);
}
END_TEST

START_TEST(a_watched_directory_that_goes_ends_it)
{
    for (int move = 0; move < 2; move++) {
        ck_assert_int_eq(mkdir(at("rw/dir"), 0755), 0);
        watch("dir", "rw/dir/probe");
        if (move)
            ck_assert_int_eq(rename(at("rw/dir"), at("outside/dir")), 0);
        else
            ck_assert_int_eq(unlink(at("rw/dir/probe")) | rmdir(at("rw/dir")), 0);
        while (!t.got.ends)
            uv_run(&t.loop, UV_RUN_ONCE);
        ck_assert_int_eq(t.got.status, MF_ENOENT);
    }
}
END_TEST

START_TEST(watches_are_bounded)
{
    mf_op op[MF_FILES_WATCH_MAX];
    begin();
    for (int i = 0; i < MF_FILES_WATCH_MAX; i++)
        op[i] = t.files->watch(t.host, 0, RW, lit(""), on_changed, on_end, &t);
    mf_op more = t.files->watch(t.host, 0, RW, lit(""), on_changed, on_end, &t);
    ck_assert_int_eq(wait_end(more), MF_ELIMIT);
    for (int i = 0; i < MF_FILES_WATCH_MAX; i++)
        ck_assert_int_eq(t.files->abort(t.host, op[i]), MF_OK);
    while (t.got.ends <= MF_FILES_WATCH_MAX)
        uv_run(&t.loop, UV_RUN_ONCE);
    watch("", "rw/probe");
} /* one is left to the end of the instance */
END_TEST

/* --- abort, calls, and what hangs --- */

START_TEST(what_hangs_is_aborted_at_once_and_others_go_on)
{
    hang_arm();
    ck_assert_int_eq(do_open(RW, "hang", MF_OPEN_READ), MF_OK);
    mf_file file = t.got.file;
    mf_op op[FILES_THREADS + 1];
    begin();
    for (int i = 0; i < FILES_THREADS + 1; i++) /* the last one finds no thread */
        op[i] = t.files->read(t.host, 0, file, 0, 100, on_read, &t);
    hang_wait(FILES_THREADS);
    /* Another instance of the same plugin has threads of its own. */
    struct instance *in = t.in, *other = instance_new(t.engine, t.manifest);
    other->plugin = &fake;
    other->state = INSTANCE_READY;
    t.host = &other->host;
    ck_assert_ptr_eq(t.host->extension(t.host, MF_EXT_FILES), t.files);
    ck_assert_str_eq(look(RW, "plain"), "inside");
    t.host = &in->host;
    begin();
    uint64_t start = clock_ns();
    for (int i = 0; i < FILES_THREADS + 1; i++)
        ck_assert_int_eq(t.files->abort(t.host, op[i]), MF_OK);
    while (t.got.ends < FILES_THREADS + 1)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_int_eq(t.got.status, MF_ECANCELED);
    ck_assert_uint_lt(clock_ns() - start, 1000000000u);
    ck_assert_int_eq(t.files->close(t.host, file), MF_OK);
    hang_end();
    ck_assert_str_eq(look(RW, "plain"), "inside");
}
END_TEST

static void *end_later(void *arg)
{
    (void)arg;
    hang_wait(2);
    hang_end();
    return NULL;
}

START_TEST(an_instance_ends_while_its_threads_hang)
{
    hang_arm();
    create("left-open", 0);
    ck_assert_int_eq(do_open(RW, "hang", MF_OPEN_READ), MF_OK);
    mf_file file = t.got.file;
    begin();
    for (int i = 0; i < 2; i++)
        ck_assert_uint_ne(t.files->read(t.host, 0, file, 0, 100, on_read, &t), 0);
    hang_wait(2);
    uint64_t start = clock_ns();
    instance_abort_ops(t.in, true);
    while (t.got.ends < 2)
        uv_run(&t.loop, UV_RUN_ONCE);
    files_leave(t.in->services->files, 0); /* what release() does at a reload */
    t.in->services->files = NULL;
    ck_assert_uint_lt(clock_ns() - start, 1000000000u);
    wait_count("rw", 2); /* a thread that is free has tidied up */
    pthread_t id;
    ck_assert_int_eq(pthread_create(&id, NULL, end_later, NULL), 0);
    pthread_join(id, NULL);
}
END_TEST

START_TEST(operations_follow_their_call)
{
    hang_arm();
    ck_assert_int_eq(do_open(RW, "hang", MF_OPEN_READ), MF_OK);
    mf_file file = t.got.file;
    struct call *call = start_call();
    begin();
    mf_op op = t.files->read(t.host, t.call, file, 0, 100, on_read, &t);
    hang_wait(1);
    call_cancel(call);
    ck_assert_int_eq(wait_end(op), MF_ECANCELED);
    begin();
    ck_assert_int_eq(wait_end(t.files->read(t.host, t.call, file, 0, 1, on_read, &t)),
                     MF_ECANCELED);
    t.host->finish(t.host, t.call, MF_DONE, lit(""));
    while (t.in->running)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_uint_eq(t.files->stat(t.host, t.call, RW, lit(""), 0, on_stated, &t), 0);
    hang_end();
    /* What was not begun has done nothing: the file is still there to be closed. */
    file = create("new", 0);
    ck_assert_uint_eq(t.files->commit(t.host, t.call, file, on_end, &t), 0);
    ck_assert_int_eq(t.files->close(t.host, file), MF_OK);
    ck_assert_str_eq(slurp("rw/new"), "-");
}
END_TEST

START_TEST(functions_are_required)
{
    ck_assert_uint_eq(t.files->stat(t.host, 0, RW, lit("plain"), 0, NULL, &t), 0);
    ck_assert_uint_eq(t.files->open(t.host, 0, RW, lit("plain"), 0, NULL, &t), 0);
    ck_assert_uint_eq(t.files->list(t.host, 0, RW, lit(""), 0, NULL, on_end, &t), 0);
    ck_assert_uint_eq(t.files->watch(t.host, 0, RW, lit(""), NULL, on_end, &t), 0);
}
END_TEST

/* Many at a time, from a thread of the plugin's, half of them aborted: each ends once. */

enum { ROUNDS = 400 };

static struct {
    atomic_uint begun, ended, opened;
} storm;

static void storm_end(void *arg, const mf_file_end *end)
{
    (void)arg;
    (void)end;
    atomic_fetch_add(&storm.ended, 1);
}

static void storm_stated(void *arg, const mf_stated *s)
{
    storm_end(arg, &s->end);
    if (s->file)
        ck_assert_int_eq(t.files->close(t.host, s->file), MF_OK);
    atomic_fetch_add(&storm.opened, s->file != 0);
}

static void storm_entries(void *arg, const mf_dirent *entry, size_t count)
{
    (void)arg;
    (void)entry;
    (void)count;
}

static void *storm_thread(void *arg)
{
    (void)arg;
    unsigned seed = 7;
    for (int i = 0; i < ROUNDS; i++) {
        mf_op op = 0;
        switch (rand_r(&seed) % 5) {
        case 0:
            op = t.files->open(t.host, 0, RW, lit("plain"), MF_OPEN_READ, storm_stated, &t);
            break;
        case 1:
            op = t.files->open(t.host, 0, RW, lit("new"), MF_OPEN_CREATE, storm_stated, &t);
            break;
        case 2:
            op = t.files->stat(t.host, 0, RW, lit("plain"), 0, storm_stated, &t);
            break;
        case 3:
            op = t.files->list(t.host, 0, RW, lit(""), 0, storm_entries, storm_end, &t);
            break;
        default:
            op = t.files->make_directory(t.host, 0, RW, lit("a/b"), storm_end, &t);
        }
        atomic_fetch_add(&storm.begun, op != 0);
        if (op && rand_r(&seed) % 2)
            t.files->abort(t.host, op);
    }
    return NULL;
}

START_TEST(a_storm_from_a_thread_ends_each_once)
{
    pthread_t id;
    memset(&storm, 0, sizeof(storm));
    ck_assert_int_eq(pthread_create(&id, NULL, storm_thread, NULL), 0);
    while (atomic_load(&storm.ended) < ROUNDS / 2)
        uv_run(&t.loop, UV_RUN_ONCE);
    pthread_join(id, NULL);
    while (atomic_load(&storm.ended) < atomic_load(&storm.begun))
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_uint_eq(storm.ended, storm.begun);
    ck_assert_uint_gt(storm.opened, 0);
    ck_assert_uint_eq(instance_ops(t.in), 0);
    wait_count("rw", 2);                        /* plain and a: no temporary file is left */
    for (int i = 0; i < MF_FILES_OPEN_MAX; i++) /* nor a place lost */
        ck_assert_int_eq(do_open(RW, "plain", MF_OPEN_READ), MF_OK);
}
END_TEST

int main(void)
{
    log_configure(LOG_ERROR, LOG_TEXT);
    Suite *s = suite_create("files");
    TCase *c = tcase_create("files");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, stat_tells);
    tcase_add_test(c, reading_in_ranges);
    tcase_add_test(c, open_files_are_bounded);
    tcase_add_test(c, writing_replaces_in_one_step);
    tcase_add_test(c, the_bits_are_those_of_what_is_there);
    tcase_add_test(c, what_is_not_committed_is_gone);
    tcase_add_test(c, new_is_never_over_something);
    tcase_add_test(c, one_write_at_a_time);
    tcase_add_test(c, the_next_step_may_be_begun_in_the_callback);
    tcase_add_test(c, after_an_aborted_write_nothing_is_put_in_place);
    tcase_add_test(c, listing_comes_in_batches);
    tcase_add_test(c, listing_can_be_aborted_in_its_callback);
    tcase_add_test(c, directories_are_made_with_what_is_above);
    tcase_add_test(c, moving);
    tcase_add_test(c, removing);
    tcase_add_test(c, watching);
    tcase_add_test(c, a_watched_directory_that_goes_ends_it);
    tcase_add_test(c, watches_are_bounded);
    tcase_add_test(c, what_hangs_is_aborted_at_once_and_others_go_on);
    tcase_add_test(c, an_instance_ends_while_its_threads_hang);
    tcase_add_test(c, operations_follow_their_call);
    tcase_add_test(c, functions_are_required);
    tcase_add_test(c, a_storm_from_a_thread_ends_each_once);
    suite_add_tcase(s, c);
    TCase *q = tcase_create("quota");
    tcase_add_checked_fixture(q, setup_quota, teardown);
    tcase_add_test(q, a_quota_counts_all_that_lies_below);
    tcase_add_test(q, what_others_remove_is_found_out);
    suite_add_tcase(s, q);
    return run_suite(s);
}
