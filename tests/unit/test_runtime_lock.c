/* The lock file: what it holds, what differs, what is refused, and that it is replaced whole. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "runtime/lock.h"

#define H "manifold: 1\nid: a.b\n"

static const char hash_a[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char hash_b[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
static char directory[64], path[PATH_MAX];
static struct settings *settings;

static void setup(void)
{
    static const char *const plugins[] = {"/p"};
    struct settings_args args = {.plugins = plugins, .plugins_count = 1};
    struct err e;
    snprintf(directory, sizeof(directory), "/tmp/test_runtime_lock.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/manifold.lock", directory);
    ck_assert_int_eq(settings_read(&args, &settings, &e), 0);
}

static int remove_one(const char *file, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(file);
}

static void teardown(void)
{
    settings_free(settings);
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct manifest *manifest_of(const char *yaml, const char *name)
{
    static const struct source source = {.path = "/p"};
    struct manifest *m = NULL;
    struct err e = {{0}};
    char text[8192], file[64];
    snprintf(text, sizeof(text), H "%s", yaml);
    snprintf(file, sizeof(file), "/p/%s.yaml", name);
    int r = manifest_parse(settings, &source, str_of(text), file, &m, &e);
    ck_assert_msg(r == 0, "%s", e.text);
    return m;
}

static struct lock *lock_of(const char *yaml, const char *sha256)
{
    struct lock *l = calloc(1, sizeof(*l));
    struct manifest *m = manifest_of(yaml, "w");
    struct err e;
    ck_assert_int_eq(lock_add(l, m, sha256, &e), 0);
    manifest_free(m);
    return l;
}

static void note(void *arg, const struct lock_field *before, const struct lock_field *after)
{
    struct buf *b = arg;
    const struct lock_field *f = after ? after : before;
    buf_printf(b, "%s%.*s %.*s > %.*s", b->len ? "; " : "", STR_FMT(f->key),
               STR_FMT(before ? before->value : STR_NONE),
               STR_FMT(after ? after->value : STR_NONE));
}

static void ck_differs(const struct lock_plugin *before, const struct lock_plugin *after,
                       const char *expected)
{
    struct buf b = BUF_INIT(65536);
    uint32_t n = lock_compare(before, after, note, &b);
    ck_assert_uint_eq(lock_compare(before, after, NULL, NULL), n);
    ck_assert_int_eq(n == 0, !*expected);
    ck_assert_str_eq(b.len ? buf_cstr(&b) : "", expected);
    buf_release(&b);
}

static const char whole[] =
    "version: 1.0.0\ntitle: T\ndescription: D\ninstructions: I\nprefix: x\n"
    "permissions: {http: [{name: web, host: \"*\"}], env: [A]}\n"
    "tools: [{name: t, title: TT, description: TD, annotations: {readOnlyHint: true}, _meta: {a/b: "
    "1}, icons: [{src: \"data:,\"}], inputSchema: {type: object}, outputSchema: {type: object}}]\n"
    "resources: [{name: r, uri: \"a:b\", mimeType: text/plain, size: 3}, {name: s, uriTemplate: "
    "\"a:{x}\", complete: {x: [one]}}]\n"
    "prompts: [{name: p, arguments: [{name: a, description: AD}], messages: [{role: user, text: "
    "M}]}]\n";

/* Each text that a client sees is a field of its own. */
START_TEST(every_text_counts)
{
    static const struct {
        const char *from, *to, *expected;
    } t[] = {
        {"version: 1.0.0", "version: 1.0.1", "version \"1.0.0\" > \"1.0.1\""},
        {"title: T\n", "title: U\n", "title \"T\" > \"U\""},
        {"\ndescription: D", "\ndescription: E", "description \"D\" > \"E\""},
        {"instructions: I", "instructions: J", "instructions \"I\" > \"J\""},
        {"prefix: x", "prefix: y", "prefix \"x\" > \"y\""},
        {"host: \"*\"", "host: \"b\"",
         "permissions/http/web {\"name\":\"web\",\"host\":\"*\"} > "
         "{\"name\":\"web\",\"host\":\"b\"}"},
        {"env: [A]", "env: [B]", "permissions/env/A \"A\" > ; permissions/env/B  > \"B\""},
        {"title: TT", "title: TU", "tools/t/title \"TT\" > \"TU\""},
        {"description: TD", "description: TE", "tools/t/description \"TD\" > \"TE\""},
        {", description: TD", "", "tools/t/description \"TD\" > "},
        {"readOnlyHint: true", "readOnlyHint: false",
         "tools/t/annotations {\"readOnlyHint\":true} > {\"readOnlyHint\":false}"},
        {"a/b: 1", "a/b: 2", "tools/t/_meta {\"a/b\":1} > {\"a/b\":2}"},
        {"data:,", "data:,x", "tools/t/icons [{\"src\":\"data:,\"}] > [{\"src\":\"data:,x\"}]"},
        {"inputSchema: {type: object}", "inputSchema: {type: object, title: x}",
         "tools/t/inputSchema {\"type\":\"object\"} > {\"type\":\"object\",\"title\":\"x\"}"},
        {", outputSchema: {type: object}", "", "tools/t/outputSchema {\"type\":\"object\"} > "},
        {"uri: \"a:b\"", "uri: \"a:c\"", "resources/r/uri \"a:b\" > \"a:c\""},
        {"text/plain", "text/html", "resources/r/mimeType \"text/plain\" > \"text/html\""},
        {"size: 3", "size: 4", "resources/r/size 3 > 4"},
        {"[one]", "[two]", "resources/s/complete/x [\"one\"] > [\"two\"]"},
        {"description: AD", "description: AE",
         "prompts/p/arguments [{\"name\":\"a\",\"description\":\"AD\"}] > "
         "[{\"name\":\"a\",\"description\":\"AE\"}]"},
        {"text: M", "text: N",
         "prompts/p/messages [{\"role\":\"user\",\"text\":\"M\"}] > "
         "[{\"role\":\"user\",\"text\":\"N\"}]"},
        /* What a client does not see is not in it. */
        {"permissions:", "limits: {timeout: 1s}\npermissions:", ""},
        {"permissions:", "config: {a: 1}\npermissions:", ""},
        {"title: TT", "title:    TT", ""},
    };
    struct lock *before = lock_of(whole, hash_a);
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char yaml[4096];
        const char *at = strstr(whole, t[i].from);
        ck_assert_ptr_nonnull(at);
        snprintf(yaml, sizeof(yaml), "%.*s%s%s", (int)(at - whole), whole, t[i].to,
                 at + strlen(t[i].from));
        struct lock *after = lock_of(yaml, hash_a);
        ck_differs(&before->plugin[0], &after->plugin[0], t[i].expected);
        lock_free(after);
    }
    struct lock *library = lock_of(whole, hash_b), *none = lock_of(whole, "");
    ck_differs(&before->plugin[0], &library->plugin[0], "library  > ");
    ck_differs(&before->plugin[0], &none->plugin[0], "library  > ");
    ck_assert_uint_eq(lock_compare(NULL, &before->plugin[0], NULL, NULL), before->plugin[0].fields);
    ck_assert_uint_eq(lock_compare(&before->plugin[0], NULL, NULL, NULL), before->plugin[0].fields);
    lock_free(library);
    lock_free(none);
    lock_free(before);
}
END_TEST

static void write_lock(const struct lock *l)
{
    const struct lock_plugin *all[8];
    struct err e = {{0}};
    ck_assert_uint_le(l->plugins, 8);
    for (uint32_t i = 0; i < l->plugins; i++)
        all[i] = &l->plugin[i];
    int r = lock_write(path, all, l->plugins, &e);
    ck_assert_msg(r == 0, "%s", e.text);
}

static struct lock *read_lock(void)
{
    struct lock *l = NULL;
    struct err e = {{0}};
    int r = lock_read(path, &l, &e);
    ck_assert_msg(r == 0, "%s", e.text);
    return l;
}

static size_t read_file(char *text, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ssize_t n = read(fd, text, room - 1);
    ck_assert_int_ge(n, 0);
    text[n] = 0;
    close(fd);
    return (size_t)n;
}

START_TEST(what_is_written_is_read_again)
{
    struct lock *l = calloc(1, sizeof(*l));
    static const char *const names[] = {"w", "a", "m"};
    struct err e;
    for (int i = 0; i < 3; i++) {
        struct manifest *m = manifest_of(
            i ? "tools: [{name: t, description: \"a \\\" b \\n \\u00fc\"}]\n" : whole, names[i]);
        ck_assert_int_eq(lock_add(l, m, i ? "" : hash_a, &e), 0);
        manifest_free(m);
    }
    write_lock(l);
    struct lock *again = read_lock();
    ck_assert_uint_eq(again->plugins, 3);
    for (uint32_t i = 0; i < 3; i++)
        ck_differs(&l->plugin[i], lock_find(again, l->plugin[i].name), "");
    ck_assert_ptr_null(lock_find(again, STR("x")));
    /* In one order, whatever order they came in; and nothing else beside it. */
    char first[16384], second[16384];
    read_file(first, sizeof(first));
    write_lock(again);
    read_file(second, sizeof(second));
    ck_assert_str_eq(first, second);
    ck_assert(strstr(first, "\"a\": {") < strstr(first, "\"m\": {"));
    ck_assert(strstr(first, "\"m\": {") < strstr(first, "\"w\": {"));
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(directory), 0);
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    lock_free(again);
    lock_free(l);
}
END_TEST

static void put(const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void refuse(int code, const char *expected)
{
    struct lock *l = NULL;
    struct err e = {{0}};
    ck_assert_int_eq(lock_read(path, &l, &e), code);
    ck_assert_msg(strncmp(e.text, path, strlen(path)) == 0 && strstr(e.text, expected) != NULL,
                  "expected \"%s...%s\", found \"%s\"", path, expected, e.text);
}

START_TEST(what_is_no_lock_is_refused)
{
    static const char *const t[][2] = {
        {"", ": expected a JSON value"},
        {"[]", ": expected a lock file of format 1"},
        {"{\"manifold-lock\": 2, \"plugins\": {}}", ": expected a lock file of format 1"},
        {"{\"manifold-lock\": 1}", ": expected a lock file of format 1"},
        {"{\"manifold-lock\": 1, \"plugins\": []}", ": expected a lock file of format 1"},
        {"{\"manifold-lock\": 1, \"plugins\": {\"w\": 1}}", ": w: it: expected an object"},
        {"{\"manifold-lock\": 1, \"plugins\": {\"w\": {\"id\": 1}}}",
         ": w: id: expected a sha256 in hex"},
        {"{\"manifold-lock\": 1, \"plugins\": {\"w\": {\"id\": {\"sha256\": \"ab\"}}}}",
         ": w: id: expected a sha256 in hex"},
        {"{\"manifold-lock\": 1, \"plugins\": {\"w\": {}, \"w\": {}}}", "\"w\""},
    };
    refuse(-ENOENT, ": can't be opened");
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        put(t[i][0]);
        refuse(-EINVAL, t[i][1]);
    }
    struct lock *l = lock_of(whole, hash_a);
    write_lock(l);
    lock_free(l);
    ck_assert_int_eq(chmod(path, 0666), 0);
    refuse(-EPERM, ": expected a file that not everybody can write");
    ck_assert_int_eq(chmod(path, 0600), 0);
    lock_free(read_lock());
    /* A text that was changed beside its hash, and a hash beside its text. */
    char text[16384];
    read_file(text, sizeof(text));
    char *value = strstr(text, "\"TD\"");
    value[1] = 'X';
    put(text);
    refuse(-EINVAL, ": w: tools/t/description: expected a value that fits its sha256: the file was "
                    "changed by hand");
    value[1] = 'T';
    value = strstr(strstr(text, "tools/t/description"), "sha256\": \"") + 10;
    value[0] = value[0] == '0' ? '1' : '0';
    put(text);
    refuse(-EINVAL, ": w: tools/t/description: expected a value that fits its sha256");
}
END_TEST

START_TEST(a_file_that_can_not_be_written_stays)
{
    struct lock *l = lock_of(whole, hash_a);
    struct err e;
    const struct lock_plugin *all[] = {&l->plugin[0]};
    char below[PATH_MAX + 8];
    write_lock(l);
    snprintf(below, sizeof(below), "%s/x", path);
    ck_assert_int_eq(lock_write(below, all, 1, &e), -ENOTDIR);
    ck_assert_msg(strstr(e.text, "can't be made: Not a directory") != NULL, "%s", e.text);
    lock_free(read_lock());
    /* What stands in the way of the name is an error, and nothing is left behind. */
    snprintf(below, sizeof(below), "%s/d", directory);
    ck_assert_int_eq(mkdir(below, 0700), 0);
    ck_assert_int_eq(lock_write(below, all, 1, &e), -EISDIR);
    ck_assert_int_eq(rmdir(below), 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(rmdir(directory), 0);
    ck_assert_int_eq(mkdir(directory, 0700), 0);
    lock_free(l);
}
END_TEST

START_TEST(long_texts_are_kept_whole)
{
    char *yaml = malloc(200000), *at = yaml;
    struct err e;
    struct manifest *m = NULL;
    static const struct source source = {.path = "/p"};
    at += snprintf(at, 100, H "tools:\n");
    for (int i = 0; i < 1000; i++)
        at += snprintf(at, 200, "  - { name: t%d, description: \"%0100d\" }\n", i, i);
    ck_assert_int_eq(manifest_parse(settings, &source, str_of(yaml), "/p/w.yaml", &m, &e), 0);
    struct lock l = {0};
    ck_assert_int_eq(lock_add(&l, m, "", &e), 0);
    manifest_free(m);
    write_lock(&l);
    struct lock *again = read_lock();
    ck_assert_uint_eq(again->plugin[0].fields, 3001);
    ck_differs(&l.plugin[0], &again->plugin[0], "");
    lock_free(again);
    free(l.plugin[0].field);
    free(l.plugin);
    text_pool_free(l.texts);
    free(yaml);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("runtime lock");
    TCase *t = tcase_create("lock");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_text_counts);
    tcase_add_test(t, what_is_written_is_read_again);
    tcase_add_test(t, what_is_no_lock_is_refused);
    tcase_add_test(t, a_file_that_can_not_be_written_stays);
    tcase_add_test(t, long_texts_are_kept_whole);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
