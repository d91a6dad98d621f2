/* The host config: defaults, places, sources, --plugins, --set, expansion, and its slips. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config/builtin.h"
#include "config/settings.h"

#define H        "manifold: 1\n"
#define S        UINT64_C(1000000000)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A home of our own, so that no config of this machine is read. */
static char home[64], config[128];

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_msg(f != NULL, "%s", path);
    fputs(text, f);
    fclose(f);
}

static void set_up(void)
{
    char command[128];
    snprintf(home, sizeof(home), "/tmp/test_config_settings.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(home));
    setenv("HOME", home, 1);
    snprintf(command, sizeof(command), "%s/.config", home);
    ck_assert_int_eq(mkdir(command, 0700), 0);
    snprintf(command, sizeof(command), "%s/.config/manifold", home);
    ck_assert_int_eq(mkdir(command, 0700), 0);
    snprintf(config, sizeof(config), "%s/c.yaml", home);
}

static void tear_down(void)
{
    char path[128];
    static const char *const files[] = {"c.yaml", "key", ".config/manifold/manifold.yaml"};
    static const char *const folders[] = {".config/manifold", ".config", ""};
    for (size_t i = 0; i < COUNT(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", home, files[i]);
        unlink(path);
    }
    for (size_t i = 0; i < COUNT(folders); i++) {
        snprintf(path, sizeof(path), "%s/%s", home, folders[i]);
        rmdir(path);
    }
}

static int read_text(const char *text, struct settings **ret, struct err *e)
{
    struct settings_args args = {.config = config, .installed = "/opt/plugins"};
    write_file(config, text);
    return settings_read(&args, ret, e);
}

static struct settings *must_read(const struct settings_args *args)
{
    struct settings *s = NULL;
    struct err e = {{0}};
    int r = settings_read(args, &s, &e);
    ck_assert_msg(r == 0, "%s", e.text);
    return s;
}

static struct settings *must_read_text(const char *text)
{
    struct settings *s = NULL;
    struct err e = {{0}};
    int r = read_text(text, &s, &e);
    ck_assert_msg(r == 0, "%s", e.text);
    return s;
}

/* `sentence` without the path of the file. */
static void ck_refused(const char *text, const char *sentence)
{
    struct settings *s;
    struct err e = {{0}};
    ck_assert_int_lt(read_text(text, &s, &e), 0);
    size_t n = strlen(config);
    ck_assert_msg(strncmp(e.text, config, n) == 0 && e.text[n] == ':', "%s", e.text);
    if (sentence)
        ck_assert_str_eq(e.text + n + 1, sentence);
}

#define ck_str(s, z)                                            \
    do {                                                        \
        struct str str_ = (s), z_ = str_of(z);                  \
        ck_assert_msg(str_eq(str_, z_), "%.*s", STR_FMT(str_)); \
    } while (0)

static void ck_defaults(const struct settings *s)
{
    char path[128];
    ck_str(s->server_name, "manifold");
    ck_assert_uint_eq(s->server_instructions.n, 0);
    ck_assert(!s->collision_first && !s->watch);
    ck_assert(s->message.bytes == 4 << 20 && s->message.depth == 64 && s->message.nodes == 100000);
    ck_assert(!s->message.duplicates);
    ck_assert(s->calls == 4096 && s->output == 4 << 20);
    ck_assert_int_eq(s->defaults.isolation, ISOLATION_WORKER);
    ck_assert(s->defaults.limits.concurrency == 8 && s->defaults.worker.memory == 128 << 20);
    ck_assert(s->ceiling.concurrency == 1024 && s->ceiling.queue == 8192);
    ck_assert(s->ceiling.timeout == 600 * S && s->ceiling.result == 8 << 20);
    ck_assert(!s->ceiling.queue_wait && !s->ceiling.drain && !s->ceiling.request);
    ck_assert(!s->ceiling.rate.per_second && !s->ceiling.log.per_second && !s->ceiling.loop_block);
    ck_assert(s->worker_ceiling.memory == 1 << 30 && s->worker_ceiling.cpu == 2.0);
    ck_assert(s->worker_ceiling.processes == 8 && !s->worker_ceiling.threads);
    ck_assert(s->log_level == LOG_INFO && s->log_format == LOG_TEXT && s->log_slow == S);
    ck_assert(s->metrics_window == 60 * S && s->metrics_series == 10000);
    snprintf(path, sizeof(path), "%s/.local/share/manifold/data", home);
    ck_assert_str_eq(s->data, path);
}

static void ck_default_sources(const struct settings *s)
{
    char path[128];
    ck_assert_uint_eq(s->sources, 2);
    ck_assert_str_eq(s->source[0].path, "/opt/plugins");
    ck_assert(s->source[0].trust && s->source[0].optional && !s->source[0].prefix.p);
    snprintf(path, sizeof(path), "%s/.local/share/manifold/plugins", home);
    ck_assert_str_eq(s->source[1].path, path);
    ck_assert(!s->source[1].trust && s->source[1].optional && !s->source[1].prefix.p);
}

START_TEST(built_in)
{
    const struct settings_args args = {.installed = "/opt/plugins"};
    if (access("/etc/manifold/manifold.yaml", F_OK) == 0)
        return;
    struct settings *s = must_read(&args);
    ck_assert_ptr_null(s->doc.path);
    ck_assert_uint_eq(s->dormants, 0);
    ck_defaults(s);
    ck_default_sources(s);
    settings_free(s);
}
END_TEST

START_TEST(a_file_with_nothing_changes_nothing)
{
    struct settings *s = must_read_text(H);
    ck_defaults(s);
    ck_default_sources(s);
    settings_free(s);
}
END_TEST

START_TEST(places)
{
    struct settings_args args = {0};
    char user[128];
    struct err e;
    struct settings *s;
    snprintf(user, sizeof(user), "%s/.config/manifold/manifold.yaml", home);
    write_file(user, H "server: {name: user}\n");
    write_file(config, H "server: {name: given}\n");
    s = must_read(&args);
    ck_str(s->server_name, "user");
    settings_free(s);
    args.config = config;
    s = must_read(&args);
    ck_str(s->server_name, "given");
    settings_free(s);
    args.config = "/nonexistent.yaml";
    ck_assert_int_eq(settings_read(&args, &s, &e), -ENOENT);
    ck_assert_str_eq(e.text, "/nonexistent.yaml: can't be opened: No such file or directory");
    /* A default place that is there but broken is no reason to go on without it. */
    args.config = NULL;
    ck_assert_int_eq(chmod(user, 0666), 0);
    ck_assert_int_eq(settings_read(&args, &s, &e), -EPERM);
    ck_assert_ptr_nonnull(
        strstr(e.text, "expected a file that not everybody can write, found mode 0666"));
}
END_TEST

START_TEST(given_directories_replace_everything)
{
    static const char *const plugins[] = {"a", "/b"};
    struct settings_args args = {.plugins = plugins,
                                 .plugins_count = 2,
                                 .trust = true,
                                 .config = config,
                                 .installed = "/opt/plugins"};
    write_file(config, "not: a config\n");
    struct settings *s = must_read(&args);
    ck_assert_uint_eq(s->sources, 2);
    ck_assert_str_eq(s->source[0].path, "a");
    ck_assert_str_eq(s->source[1].path, "/b");
    ck_assert(s->source[0].trust && s->source[1].trust && !s->source[0].optional);
    settings_free(s);
    args.trust = false;
    s = must_read(&args);
    ck_assert(!s->source[0].trust);
    settings_free(s);
}
END_TEST

START_TEST(everything_that_can_be_said)
{
    char path[160];
    struct settings *s =
        must_read_text(H "server: {name: \"a\\tb\", instructions: Hello}\n"
                         "sources: [{path: rel/x}, {path: /abs, trust: true, prefix: my}, {path: "
                         "~/p, prefix: \"\"}, {path: \"~\"}]\n"
                         "on_collision: first\nwatch: true\ndata: ~/d\n"
                         "defaults: {isolation: inproc, limits: {queue: 1}}\n"
                         "ceilings: {limits: {queue: 2, rate: 3/s}, worker: {memory: 4MiB}}\n"
                         "limits: {message: 1KiB, depth: 5, nodes: 600, calls: 7, output: 8KiB}\n"
                         "log: {level: debug, format: json, slow: 9ms}\n"
                         "metrics: {window: 7s, series: 3}\n");
    ck_str(s->server_name, "a\tb");
    ck_str(s->server_instructions, "Hello");
    ck_assert_uint_eq(s->sources, 4);
    snprintf(path, sizeof(path), "%s/rel/x", home);
    ck_assert_str_eq(s->source[0].path, path);
    ck_assert(!s->source[0].trust && !s->source[0].optional && !s->source[0].prefix.p);
    ck_assert_str_eq(s->source[1].path, "/abs");
    ck_assert(s->source[1].trust);
    ck_str(s->source[1].prefix, "my");
    snprintf(path, sizeof(path), "%s/p", home);
    ck_assert_str_eq(s->source[2].path, path);
    ck_assert(s->source[2].prefix.p && !s->source[2].prefix.n);
    ck_assert_str_eq(s->source[3].path, home);
    snprintf(path, sizeof(path), "%s/d", home);
    ck_assert_str_eq(s->data, path);
    ck_assert(s->collision_first && s->watch && s->defaults.isolation == ISOLATION_INPROC);
    ck_assert(s->defaults.limits.queue == 1 && s->defaults.limits.concurrency == 8);
    ck_assert(s->ceiling.queue == 2 && s->ceiling.rate.per_second == 3 &&
              s->ceiling.concurrency == 1024);
    ck_assert(s->worker_ceiling.memory == 4 << 20 && s->worker_ceiling.cpu == 2.0);
    ck_assert(s->message.bytes == 1024 && s->message.depth == 5 && s->message.nodes == 600);
    ck_assert(s->calls == 7 && s->output == 8192);
    ck_assert(s->log_level == LOG_DEBUG && s->log_format == LOG_JSON &&
              s->log_slow == S * 9 / 1000);
    ck_assert(s->metrics_window == 7 * S && s->metrics_series == 3);
    settings_free(s);
    s = must_read_text(H "sources: []\n");
    ck_assert_uint_eq(s->sources, 0);
    settings_free(s);
}
END_TEST

START_TEST(admin)
{
    static const char *const text[] = {"data: /x\n", "admin: auto\n", "admin: none\n",
                                       "admin: sub/socket\n", "admin: /abs\n"};
    for (int i = 0; i < 5; i++) {
        char whole[128], path[128];
        snprintf(whole, sizeof(whole), H "%s", text[i]);
        struct settings *s = must_read_text(whole);
        ck_assert_int_eq(s->admin, i != 2);
        ck_assert_uint_eq(s->dormants, 0);
        snprintf(path, sizeof(path), "%s%s", i == 3 ? home : "", i == 3 ? "/sub/socket" : "/abs");
        if (i < 3)
            ck_assert_ptr_null(s->admin_path);
        else
            ck_assert_str_eq(s->admin_path, path);
        settings_free(s);
    }
}
END_TEST

START_TEST(dormant_keys)
{
    static const char *const expected[] = {"server.state_key", "ceilings.worker.cpu", "http",
                                           "unix"};
    struct settings *s = must_read_text(
        H "server: {name: a, state_key: k}\nwatch: false\ndefaults: {limits: {drain: 1s}}\n"
          "ceilings: {worker: {cpu: 1.0, threads: 4}}\nhttp: {}\nunix: /x\nlog: {slow: 1s}\n");
    ck_assert_uint_eq(s->dormants, COUNT(expected));
    for (uint32_t i = 0; i < COUNT(expected); i++)
        ck_assert_str_eq(s->dormant[i], expected[i]);
    settings_free(s);
}
END_TEST

static const struct {
    const char *text, *sentence;
} refused[] = {
    {"server: {}\n", "1:1: expected property \"manifold\", found no \"manifold\""},
    {"manifold: 3\n", "1:11: manifold: expected 1, found number 3"},
    {H "source: []\n", "2:1: unknown key \"source\", expected \"sources\"?"},
    {H "cashe: {}\n", "2:1: unknown key \"cashe\", expected \"cache\"?"},
    {H "server: {nam: x}\n", "2:10: unknown key \"nam\" in server, expected \"name\"?"},
    {H "server: {name: ''}\n",
     "2:16: server.name: expected at least 1 character, found string of 0 characters"},
    {H "sources: [/a]\n", "2:11: sources[0]: expected object, found string \"/a\""},
    {H "sources: [{trust: true}]\n",
     "2:11: sources[0]: expected property \"path\", found no \"path\""},
    {H "sources: [{path: /a, trust: yes}]\n", "2:29: sources[0].trust: expected boolean, found "
                                              "string \"yes\": only true and false are boolean"},
    {H "on_collision: last\n",
     "2:15: on_collision: expected error or first, found string \"last\""},
    {H "watch: 1\n", "2:8: watch: expected boolean, found number 1"},
    {H "lock: {mode: strict}\n",
     "2:14: lock.mode: expected none, warn or enforce, found string \"strict\""},
    {H "defaults: {limits: {timeout: 5}}\n", "2:30: defaults.limits.timeout: expected a duration "
                                             "such as 250ms, 30s, 5m or 1h, found number 5"},
    {H "defaults: {prefix: x}\n", "2:12: unknown key \"prefix\" in defaults, expected one of "
                                  "isolation, load, reload, limits, breaker, worker"},
    {H "ceilings: {breaker: {}}\n",
     "2:12: unknown key \"breaker\" in ceilings, expected one of limits, worker"},
    {H "limits: {message: 2GiB}\n", "2:19: limits.message: expected at most 1GiB, found more"},
    {H "limits: {message: 10B}\n", "2:19: limits.message: expected at least 1KiB, found \"10B\""},
    {H "limits: {depth: 1000}\n", "2:17: limits.depth: expected at most 512, found number 1000"},
    {H "limits: {calls: 0}\n", "2:17: limits.calls: expected at least 1, found number 0"},
    {H "secrets: {a-b: x}\n", "2:11: secrets.a-b: expected the name of an environment variable, "
                              "found property \"a-b\""},
    {H "secrets: {A: 5}\n", "2:14: secrets.A: expected string, found number 5: quote it"},
    {H "plugins: {Weather: {}}\n",
     "2:11: plugins.Weather: expected an instance name of at most 32 of a-z, 0-9, _ and -, that "
     "begins with a letter, found property \"Weather\""},
    {H "plugins: {w: {hid: []}}\n", "2:15: unknown key \"hid\" in plugins.w, expected \"hide\"?"},
    {H "plugins: {w: {tools: []}}\n",
     "2:15: unknown key \"tools\" in plugins.w, expected one of enabled, hide, config, trust, "
     "prefix, isolation, load, reload, limits, breaker, worker, grants"},
    {H "plugins: {w: {enabled: no}}\n", "2:24: plugins.w.enabled: expected boolean, found string "
                                        "\"no\": only true and false are boolean"},
    {H "plugins: {w: {grants: all}}\n",
     "2:23: plugins.w.grants: expected asked, or grants by name, found string \"all\""},
    {H "plugins: {w: {grants: {http: {api: {privat: true}}}}}\n",
     "2:37: unknown key \"privat\" in plugins.w.grants.http.api, expected \"private\"?"},
    {H "cache: {redis: localhost}\n",
     "2:16: cache.redis: expected none, redis://HOST[:PORT][/DATABASE] or unix:PATH, found string "
     "\"localhost\""},
    {H "cache: {redis: \"redis://h:99999\"}\n",
     "2:16: cache.redis: expected none, redis://HOST[:PORT][/DATABASE] or unix:PATH, found "
     "\"redis://h:99999\""},
    {H "cache: {redis: \"redis://me:secret@h\"}\n",
     "2:16: cache.redis: expected none, redis://HOST[:PORT][/DATABASE] or unix:PATH, found one "
     "with "
     "'@': a password goes into cache.password"},
    {H "cache: {memory: 512KiB}\n", "2:17: cache.memory: expected at least 1MiB, found \"512KiB\""},
    {H "cache: {timeout: 0s}\n", "2:18: cache.timeout: expected at least 1ms, found \"0s\""},
    {H "cache: {password: \"\"}\n",
     "2:19: cache.password: expected a password or none, found an empty text"},
    {H "http: {path: mcp}\n",
     "2:14: http.path: expected a path that begins with /, found string \"mcp\""},
    {H "log: {level: trace}\n",
     "2:14: log.level: expected debug, info, warn or error, found string \"trace\""},
    {H "metrics: {window: 10ms}\n", "2:19: metrics.window: expected at least 1s, found \"10ms\""},
    {H "log: {slow: 10001h}\n",
     "2:13: log.slow: expected a duration of at most 10000h, found \"10001h\""},
    {H "data: \"${env:HOME}/x\"\n",
     "2:7: data: expected ${env:...} and ${file:...} in secrets, server.state_key, cache.password "
     "and plugins.NAME.config alone, found one here"},
    {H "plugins: {w: {prefix: x, grants: {files: {s: {path: \"${file:/etc/x}\"}}}}}\n",
     "2:53: plugins.w.grants.files.s.path: expected ${env:...} and ${file:...} in secrets, "
     "server.state_key, cache.password and plugins.NAME.config alone, found one here"},
    {H "secrets: {A: \"${env:TEST_UNSET}\"}\n",
     "2:14: secrets.A: expected the environment variable TEST_UNSET, found it unset"},
    {H "server: {state_key: \"${file:none}\"}\n", NULL},
    {H "cache: {password: \"${data}\"}\n",
     "2:19: cache.password: expected ${env:NAME}, ${file:PATH}, found ${...} with \"data\": write "
     "$${ for a literal ${"},
};

START_TEST(each_slip_has_its_sentence)
{
    char sentence[1024];
    unsetenv("TEST_UNSET");
    snprintf(sentence, sizeof(sentence),
             "2:21: server.state_key: %s/none: can't be opened: No such file or directory", home);
    ck_refused(refused[_i].text, refused[_i].sentence ? refused[_i].sentence : sentence);
}
END_TEST

START_TEST(lock_modes_and_files)
{
    char path[192], expected[192];
    static const struct {
        const char *lock, *file;
        enum lock_mode mode;
    } t[] = {
        {"", "manifold.lock", LOCK_NONE},
        {"lock: {mode: warn}\n", "manifold.lock", LOCK_WARN},
        {"lock: {mode: enforce, file: locks/a.lock}\n", "locks/a.lock", LOCK_ENFORCE},
        {"lock: {file: ~/b.lock}\n", "b.lock", LOCK_NONE},
    };
    for (size_t i = 0; i < COUNT(t); i++) {
        snprintf(path, sizeof(path), H "%s", t[i].lock);
        struct settings *s = must_read_text(path);
        snprintf(expected, sizeof(expected), "%s/%s", home, t[i].file);
        ck_assert_int_eq(s->lock, t[i].mode);
        ck_assert_str_eq(s->lock_file, expected);
        settings_free(s);
    }
    /* Without a config file it is where the program was started. */
    static const char *const plugins[] = {"/p"};
    struct settings *s = must_read(&(struct settings_args){.plugins = plugins, .plugins_count = 1});
    ck_assert_int_eq(s->lock_file[0], '/');
    ck_assert_str_eq(strrchr(s->lock_file, '/'), "/manifold.lock");
    settings_free(s);
}
END_TEST

START_TEST(secrets_that_can_be_read)
{
    char key[128];
    setenv("TEST_A", "x", 1);
    snprintf(key, sizeof(key), "%s/key", home);
    write_file(key, "k\n");
    /* Relative to the config file. */
    struct settings *s =
        must_read_text(H "server: {state_key: \"${file:key}\"}\nsecrets: {A: \"${env:TEST_A}\", B: "
                         "plain}\ncache: {password: \"${file:~/key}\"}\n");
    ck_assert(str_eq(secret_value(settings_secret(s, STR("A"))), STR("x")));
    ck_assert(str_eq(secret_value(settings_secret(s, STR("B"))), STR("plain")));
    ck_assert_ptr_null(settings_secret(s, STR("C")));
    struct secret *kept = secret_ref(settings_secret(s, STR("A")));
    settings_free(s);
    ck_assert(str_eq(secret_value(kept), STR("x")));
    secret_unref(kept);
    ck_assert_int_eq(truncate(key, 65536), 0);
    char sentence[256];
    snprintf(sentence, sizeof(sentence),
             "2:14: secrets.A: %s: expected UTF-8 text, found something else", key);
    ck_refused(H "secrets: {A: \"${file:key}\"}\n", sentence);
    ck_assert_int_eq(truncate(key, 65537), 0);
    snprintf(sentence, sizeof(sentence),
             "2:14: secrets.A: %s: expected at most 64 KiB, found 65537 bytes", key);
    ck_refused(H "secrets: {A: \"${file:key}\"}\n", sentence);
}
END_TEST

static const struct {
    const char *redis, *where;
    enum cache_redis kind;
    unsigned port, database;
} redis_urls[] = {
    {"none", NULL, CACHE_REDIS_NONE, 0, 0},
    {"redis://h", "h", CACHE_REDIS_TCP, 6379, 0},
    {"redis://h/", "h", CACHE_REDIS_TCP, 6379, 0},
    {"redis://h:1", "h", CACHE_REDIS_TCP, 1, 0},
    {"redis://redis.example.org:6380/15", "redis.example.org", CACHE_REDIS_TCP, 6380, 15},
    {"redis://[::1]", "::1", CACHE_REDIS_TCP, 6379, 0},
    {"redis://[fe80::1%eth0]:7/2", "fe80::1%eth0", CACHE_REDIS_TCP, 7, 2},
    {"unix:/run/redis.sock", "/run/redis.sock", CACHE_REDIS_UNIX, 0, 0},
};

START_TEST(where_redis_is)
{
    char text[200];
    snprintf(text, sizeof(text), H "cache: {redis: \"%s\"}\n", redis_urls[_i].redis);
    struct settings *s = must_read_text(text);
    ck_assert_int_eq(s->cache.redis, redis_urls[_i].kind);
    ck_assert_uint_eq(s->cache.port, redis_urls[_i].port);
    ck_assert_uint_eq(s->cache.database, redis_urls[_i].database);
    if (redis_urls[_i].where)
        ck_assert_str_eq(s->cache.where, redis_urls[_i].where);
    else
        ck_assert_str_eq(s->cache.where, "");
    settings_free(s);
}
END_TEST

START_TEST(where_redis_is_not)
{
    static const char *const bad[] = {"redis://",       "redis:///1",      "redis://h:",
                                      "redis://h:0",    "redis://h:65536", "redis://h:x",
                                      "redis://h/x",    "redis://h/65536", "redis://[::1",
                                      "redis://[::1]x", "redis://h?db=1",  "rediss://h",
                                      "unix:"};
    char text[200], name[256];
    for (size_t i = 0; i < COUNT(bad); i++) {
        snprintf(text, sizeof(text), H "cache: {redis: \"%s\"}\n", bad[i]);
        ck_refused(text, NULL);
    }
    memset(name, 'x', sizeof(name));
    snprintf(text, sizeof(text), H "cache: {redis: \"unix:/%.120s\"}\n", name);
    ck_refused(text, "2:16: cache.redis: expected a path of at most 107 bytes for a socket, found "
                     "more");
}
END_TEST

START_TEST(the_cache)
{
    struct settings *s = must_read_text(H);
    ck_assert_uint_eq(s->cache.memory, 64 << 20);
    ck_assert_uint_eq(s->cache.timeout, 50000000);
    ck_assert_str_eq(s->cache.name_space, "manifold");
    ck_assert(!s->cache.password && s->cache.redis == CACHE_REDIS_NONE);
    setenv("TEST_A", "sesame", 1);
    struct settings *t = must_read_text(H "cache: {memory: 1MiB, redis: unix:r.sock, password: "
                                          "\"${env:TEST_A}\", namespace: \"a b\", timeout: 2s}\n");
    char path[128];
    snprintf(path, sizeof(path), "%s/r.sock", home);
    ck_assert_str_eq(t->cache.where, path);
    ck_assert_str_eq(t->cache.password, "sesame");
    ck_assert_str_eq(t->cache.name_space, "a b");
    ck_assert_uint_eq(t->cache.memory, 1 << 20);
    ck_assert_uint_eq(t->cache.timeout, 2000000000);
    struct cache_spec copy;
    ck_assert_int_eq(cache_spec_copy(&t->cache, &copy), 0);
    ck_assert(cache_spec_same(&copy, &t->cache) && !cache_spec_same(&copy, &s->cache));
    copy.password[0]++;
    ck_assert(!cache_spec_same(&copy, &t->cache));
    cache_spec_release(&copy);
    settings_free(s);
    settings_free(t);
}
END_TEST

static void ck_set_refused(const char *set, const char *sentence)
{
    const char *const sets[] = {set};
    static const char *const plugins[] = {"/p"};
    const struct settings_args args = {
        .plugins = plugins, .plugins_count = 1, .set = sets, .set_count = 1};
    struct settings *s;
    struct err e = {{0}};
    ck_assert_int_lt(settings_read(&args, &s, &e), 0);
    ck_assert_str_eq(e.text, sentence);
}

START_TEST(set_on_the_command_line)
{
    static const char *const sets[] = {"w.limits.timeout=5s", "w.limits={queue: 3, timeout: 6s}",
                                       "w.config.a.b=[1, x]", "w.limits.queue=4",
                                       "v.enabled=false",     "w.config.a.c=\"${env:HOME}\""};
    static const char *const plugins[] = {"/p"};
    const struct settings_args args = {
        .plugins = plugins, .plugins_count = 1, .set = sets, .set_count = COUNT(sets)};
    struct settings *s = must_read(&args);
    json_ref n;
    const struct document *d = settings_plugin(s, 1, STR("w"), &n);
    ck_assert_ptr_eq(d, &s->sets);
    ck_str(json_raw(&d->json, n), "{\"limits\":{\"timeout\":\"6s\",\"queue\":4},\"config\":{\"a\":{"
                                  "\"b\":[1,\"x\"],\"c\":\"${env:HOME}\"}}}");
    ck_assert_ptr_nonnull(settings_plugin(s, 1, STR("v"), &n));
    ck_assert_ptr_null(settings_plugin(s, 1, STR("x"), &n));
    ck_assert_ptr_null(settings_plugin(s, 0, STR("w"), &n));
    settings_free(s);
    ck_set_refused("w", "--set: expected NAME.KEY=VALUE, found \"w\"");
    ck_set_refused("w=1", "--set: expected NAME.KEY=VALUE, found \"w=1\"");
    ck_set_refused("w..a=1", "--set: expected NAME.KEY=VALUE, found \"w..a=1\"");
    ck_set_refused("w.a=", "--set: expected NAME.KEY=VALUE, found \"w.a=\"");
    ck_set_refused(".a=1", "--set: expected NAME.KEY=VALUE, found \".a=1\"");
    ck_set_refused("W.load=lazy",
                   "--set W.load: plugins.W: expected an instance name of at most 32 of a-z, 0-9, "
                   "_ and -, that begins with a letter, found property \"W\"");
    ck_set_refused("w.limts.queue=3",
                   "--set w.limts.queue: unknown key \"limts\" in plugins.w, expected \"limits\"?");
    ck_set_refused("w.limits.timeout=5",
                   "--set w.limits.timeout: plugins.w.limits.timeout: expected a duration such as "
                   "250ms, 30s, 5m or 1h, found number 5");
    ck_set_refused("w.config=[", "--set w.config:2:1: expected YAML, found the end of the file: "
                                 "while parsing a flow node, did not find expected node content");
    ck_set_refused("w.config.a=\xFF", "--set: expected UTF-8, found something else");
}
END_TEST

START_TEST(no_home)
{
    const struct settings_args args = {.installed = "/opt/plugins"};
    if (access("/etc/manifold/manifold.yaml", F_OK) == 0)
        return;
    unsetenv("HOME");
    struct settings *s = must_read(&args);
    ck_assert_uint_eq(s->sources, 1);
    ck_assert_str_eq(s->data, "/var/lib/manifold/data");
    settings_free(s);
    ck_refused(H "data: ~/x\n", "2:7: data: expected HOME to be set, since the path begins with ~");
}
END_TEST

START_TEST(the_example_is_read)
{
    char path[1024];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof(path), "%.*s../../manifests/examples/manifold.yaml",
             (int)(slash + 1 - __FILE__), __FILE__);
    const struct settings_args args = {.config = path};
    struct settings *s = must_read(&args);
    struct json_doc d = {0};
    struct json_error je;
    ck_defaults(s);
    ck_assert_uint_eq(s->sources, 2);
    /* It has every key of the schema, so that none is forgotten in either. */
    ck_assert_int_eq(json_read(&d, builtin_text(BUILTIN_HOST), &json_limits_default, &je), 0);
    json_ref properties = json_get(&d, 0, STR("properties"));
    json_each_member (&d, properties, k)
        ck_assert_msg(json_get(&s->doc.json, 0, json_inner(&d, k)), "%.*s",
                      STR_FMT(json_inner(&d, k)));
    json_doc_release(&d);
    settings_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config settings");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, built_in);
    tcase_add_test(t, a_file_with_nothing_changes_nothing);
    tcase_add_test(t, places);
    tcase_add_test(t, given_directories_replace_everything);
    tcase_add_test(t, everything_that_can_be_said);
    tcase_add_test(t, admin);
    tcase_add_test(t, dormant_keys);
    tcase_add_loop_test(t, each_slip_has_its_sentence, 0, COUNT(refused));
    tcase_add_test(t, lock_modes_and_files);
    tcase_add_test(t, secrets_that_can_be_read);
    tcase_add_loop_test(t, where_redis_is, 0, COUNT(redis_urls));
    tcase_add_test(t, where_redis_is_not);
    tcase_add_test(t, the_cache);
    tcase_add_test(t, set_on_the_command_line);
    tcase_add_test(t, no_home);
    tcase_add_test(t, the_example_is_read);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}
