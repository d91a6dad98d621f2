/* An instance with two roots in a directory of its own, and each function of manifold.files/1 as
 * one that waits: what the callback got is in t.got. */
#ifndef FILES_FIXTURE_H
#define FILES_FIXTURE_H

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "engine/engine.h"
#include "engine/internal.h"
#include "services/files/files.h"

static const char manifest_text[] =
    "manifold: 1\n"
    "id: org.example.fake\n"
    "name: fake\n"
    "permissions:\n"
    "  files: [{ name: rw, mode: rw }, { name: ro }, { name: none }]\n"
    "tools:\n"
    "  - { name: act, description: d, limits: { timeout: 10s } }\n";

enum { RW, RO };

/* What one callback was told; copied, since it is lent. */
struct got {
    unsigned ends, batches, changes;
    mf_status status;
    int error;
    char why[1024];
    mf_file file;
    mf_stat stat;
    bool has_stat;
    char path[PATH_MAX];
    char *bytes; /* of read; NUL-terminated */
    size_t len;
    unsigned entries;
    char names[16384]; /* each followed by '\n' */
    char changed[16384];
};

static struct {
    char dir[PATH_MAX]; /* holds rw/, ro/, outside/ */
    uv_loop_t loop;
    struct settings *settings;
    struct source source;
    struct manifest *manifest;
    struct services *services;
    struct engine *engine;
    struct instance *in;
    const mf_host *host;
    const mf_files *files;
    struct got got;
    mf_call call; /* of a running tool */
    bool call_done, stopped;
} t;

static mf_bytes lit(const char *s)
{
    return (mf_bytes){s, strlen(s)};
}

static const char *at(const char *name)
{
    static char path[4][2 * PATH_MAX];
    static unsigned turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof(path[0]), "%s/%s", t.dir, name);
    return p;
}

static void put(const char *name, const char *text)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* What a file holds; "-" when there is none. */
static const char *slurp(const char *name)
{
    static char text[65536];
    int fd = open(at(name), O_RDONLY);
    if (fd < 0)
        return "-";
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return text;
}

/* --- callbacks --- */

static void keep(const mf_file_end *end)
{
    t.got.ends++;
    t.got.status = end->end.status;
    t.got.error = end->error;
    snprintf(t.got.why, sizeof(t.got.why), "%.*s", (int)end->end.why.len, end->end.why.data);
}

static void on_end(void *arg, const mf_file_end *end)
{
    ck_assert_ptr_eq(arg, &t);
    ck_assert_uint_eq(end->end.size, sizeof(*end));
    keep(end);
}

static void on_stated(void *arg, const mf_stated *s)
{
    ck_assert_ptr_eq(arg, &t);
    ck_assert_uint_eq(s->end.end.size, sizeof(*s));
    keep(&s->end);
    t.got.file = s->file;
    t.got.has_stat = s->stat;
    if (s->stat)
        t.got.stat = *s->stat;
    snprintf(t.got.path, sizeof(t.got.path), "%.*s", (int)s->path.len, s->path.data);
}

static void on_read(void *arg, const mf_read *r)
{
    ck_assert_ptr_eq(arg, &t);
    keep(&r->end);
    free(t.got.bytes);
    t.got.bytes = calloc(1, r->bytes.len + 1);
    if (r->bytes.len)
        memcpy(t.got.bytes, r->bytes.data, r->bytes.len);
    t.got.len = r->bytes.len;
}

static void on_entries(void *arg, const mf_dirent *entry, size_t count)
{
    ck_assert_ptr_eq(arg, &t);
    ck_assert_uint_gt(count, 0);
    t.got.batches++;
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(t.got.names);
        t.got.entries++;
        t.got.stat = entry[i].stat;
        if (len + 300 < sizeof(t.got.names))
            snprintf(t.got.names + len, sizeof(t.got.names) - len, "%.*s\n", (int)entry[i].name.len,
                     entry[i].name.data);
    }
}

/* --- waiting --- */

static void begin(void)
{
    char *bytes = t.got.bytes;
    t.got = (struct got){.bytes = bytes};
}

static mf_status wait_end(mf_op op)
{
    ck_assert_uint_ne(op, 0);
    ck_assert_uint_eq(t.got.ends, 0);
    while (!t.got.ends)
        uv_run(&t.loop, UV_RUN_ONCE);
    ck_assert_uint_eq(t.got.ends, 1);
    ck_assert_msg((t.got.status == MF_OK) == !*t.got.why || t.got.status == MF_ECANCELED,
                  "status %d, why %s", t.got.status, t.got.why);
    return t.got.status;
}

static mf_status do_stat(uint32_t root, const char *path, uint32_t flags)
{
    begin();
    return wait_end(t.files->stat(t.host, 0, root, lit(path), flags, on_stated, &t));
}

static mf_status do_open(uint32_t root, const char *path, uint32_t flags)
{
    begin();
    return wait_end(t.files->open(t.host, 0, root, lit(path), flags, on_stated, &t));
}

static mf_status do_read(mf_file file, uint64_t offset, size_t max)
{
    begin();
    return wait_end(t.files->read(t.host, 0, file, offset, max, on_read, &t));
}

static mf_status do_write(mf_file file, const char *text)
{
    begin();
    return wait_end(t.files->write(t.host, 0, file, lit(text), on_end, &t));
}

static mf_status do_commit(mf_file file)
{
    begin();
    return wait_end(t.files->commit(t.host, 0, file, on_end, &t));
}

static mf_status do_list(uint32_t root, const char *path, uint32_t flags)
{
    begin();
    return wait_end(t.files->list(t.host, 0, root, lit(path), flags, on_entries, on_end, &t));
}

static mf_status do_make(uint32_t root, const char *path)
{
    begin();
    return wait_end(t.files->make_directory(t.host, 0, root, lit(path), on_end, &t));
}

static mf_status do_move(uint32_t root, const char *from, uint32_t to_root, const char *to)
{
    begin();
    return wait_end(t.files->move(t.host, 0, root, lit(from), to_root, lit(to), on_end, &t));
}

static mf_status do_remove(uint32_t root, const char *path)
{
    begin();
    return wait_end(t.files->remove(t.host, 0, root, lit(path), on_end, &t));
}

/* What can be read at a path; the status as text when nothing can. */
static const char *look(uint32_t root, const char *path)
{
    static char status[32];
    if (do_open(root, path, MF_OPEN_READ) != MF_OK) {
        snprintf(status, sizeof(status), "%d", t.got.status);
        return status;
    }
    mf_file file = t.got.file;
    ck_assert_int_eq(do_read(file, 0, 4096), MF_OK);
    ck_assert_int_eq(t.files->close(t.host, file), MF_OK);
    return t.got.bytes;
}

static mf_status save(uint32_t root, const char *path, uint32_t flags, const char *text)
{
    if (do_open(root, path, MF_OPEN_CREATE | flags) != MF_OK)
        return t.got.status;
    mf_file file = t.got.file;
    if (do_write(file, text) != MF_OK) {
        mf_status failed = t.got.status;
        ck_assert_int_eq(t.files->close(t.host, file), MF_OK);
        return failed;
    }
    return do_commit(file);
}

/* --- a call of the plugin's, for operations that follow it --- */

static void plugin_call(void *self, const mf_request *rq)
{
    (void)self;
    t.call = rq->call;
}

static void plugin_close(void *self)
{
    (void)self;
}

static const mf_plugin fake = {
    .size = sizeof(mf_plugin), .call = plugin_call, .close = plugin_close};

static void on_call_done(void *user, const struct outcome *o)
{
    (void)user;
    (void)o;
    t.call_done = true;
}

static inline struct call *start_call(void)
{
    static const struct call_sink sink = {.done = on_call_done};
    t.call_done = false;
    return call_start(
        t.engine,
        &(struct call_request){
            .instance = t.in, .kind = MF_TOOL, .args = STR("{}"), .sink = &sink, .log_level = -1});
}

/* --- the fixture --- */

static void setup_with(const char *const *grant, uint32_t grants)
{
    struct err e;
    memset(&t, 0, sizeof(t));
    snprintf(t.dir, sizeof(t.dir), "/tmp/manifold-files-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(t.dir));
    ck_assert_int_eq(mkdir(at("rw"), 0755) | mkdir(at("ro"), 0755) | mkdir(at("outside"), 0755), 0);
    put("outside/secret", "secret");
    put("ro/plain", "read only");
    put("rw/plain", "inside");
    char text[3][PATH_MAX];
    const char *given[8];
    uint32_t count = 0;
    snprintf(text[0], sizeof(text[0]), "fake.files.rw.path=%.1000s/rw/", t.dir);
    snprintf(text[1], sizeof(text[1]), "fake.files.ro.path=%.1000s/ro", t.dir);
    given[count++] = text[0];
    given[count++] = text[1];
    for (uint32_t i = 0; i < grants; i++)
        given[count++] = grant[i];
    const char *dirs[] = {"/nonexistent"};
    struct settings_args args = {
        .plugins = dirs, .plugins_count = 1, .grant = given, .grant_count = count};
    ck_assert_int_eq(uv_loop_init(&t.loop), 0);
    ck_assert_msg(settings_read(&args, &t.settings, &e) == 0, "%s", e.text);
    t.source.path = (char *)"/nonexistent";
    ck_assert_msg(manifest_parse(t.settings, &t.source, str_of(manifest_text), "fake.yaml",
                                 &t.manifest, &e) == 0,
                  "%s", e.text);
    ck_assert_int_eq(services_open(&t.loop, t.settings, &t.services, &e), 0);
    struct engine_options o = {.calls = 16, .services = services_for_engine(t.services)};
    ck_assert_int_eq(engine_open(&t.loop, &o, &t.engine, &e), 0);
    t.in = instance_new(t.engine, t.manifest);
    t.in->plugin = &fake;
    t.in->state = INSTANCE_READY;
    t.host = &t.in->host;
    t.files = t.host->extension(t.host, MF_EXT_FILES);
    ck_assert_ptr_nonnull(t.files);
}

static void on_stopped(void *arg)
{
    (void)arg;
    t.stopped = true;
}

static void remove_all(void)
{
    char command[PATH_MAX + 32];
    snprintf(command, sizeof(command), "rm -rf '%s'", t.dir);
    ck_assert_int_eq(system(command), 0);
}

static void teardown(void)
{
    engine_stop(t.engine, 5000, on_stopped, NULL);
    while (!t.stopped)
        uv_run(&t.loop, UV_RUN_ONCE);
    t.stopped = false;
    services_close(t.services, on_stopped, NULL);
    while (!t.stopped)
        uv_run(&t.loop, UV_RUN_ONCE);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    ck_assert(engine_free(t.engine));
    services_free(t.services);
    manifest_free(t.manifest);
    settings_free(t.settings);
    ck_assert_int_eq(uv_loop_close(&t.loop), 0);
    free(t.got.bytes);
    remove_all();
}

static inline int run_suite(Suite *s)
{
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
