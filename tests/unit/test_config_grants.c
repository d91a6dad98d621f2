/* What a plugin asks for, what the operator gives, and what is in force of it. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "config/manifest.h"

#define H  "manifold: 1\nid: a.b\n"
#define HC "manifold: 1\n"
#define S  UINT64_C(1000000000)

static const struct source untrusted = {.path = "/nowhere/plugins"},
                           trusted = {.path = "/nowhere/plugins", .trust = true};
static char directory[64];

/* A directory of its own for each test: plugins/, home/, work/ and config/. */
static void setup(void)
{
    char path[PATH_MAX];
    static const char *const below[] = {"plugins", "home", "work", "work/in", "config"};
    snprintf(directory, sizeof(directory), "/tmp/test_config_grants.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, below[i]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    snprintf(path, sizeof(path), "%s/home", directory);
    setenv("HOME", path, 1);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static void teardown(void)
{
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static char *in_directory(const char *name)
{
    static char path[256][PATH_MAX];
    static unsigned n;
    n = (n + 1) % 256;
    snprintf(path[n], PATH_MAX, "%s/%s", directory, name);
    return path[n];
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static int try_settings(const char *host, const char *const *grant, uint32_t grants,
                        struct settings **ret, struct err *e)
{
    char *plugins = in_directory("plugins"), *config = in_directory("config/manifold.yaml");
    const char *const sources[] = {plugins};
    struct settings_args args = {.grant = grant, .grant_count = grants};
    if (host)
        write_file(config, host);
    args.config = host ? config : NULL;
    args.plugins = host ? NULL : sources;
    args.plugins_count = host ? 0 : 1;
    return settings_read(&args, ret, e);
}

static struct settings *settings_of(const char *host, const char *const *grant, uint32_t grants)
{
    struct settings *s = NULL;
    struct err e = {{0}};
    int r = try_settings(host, grant, grants, &s, &e);
    ck_assert_msg(r == 0, "%s", e.text);
    return s;
}

static struct manifest *read_with(const struct settings *s, const struct source *source,
                                  const char *permissions)
{
    struct manifest *m = NULL;
    struct err e = {{0}};
    char yaml[8192];
    snprintf(yaml, sizeof(yaml), H "permissions: %s\n", permissions);
    int r = manifest_parse(s, source, str_of(yaml), "/nowhere/plugins/w.yaml", &m, &e);
    ck_assert_msg(r == 0, "%s", e.text);
    return m;
}

/* The manifest of `permissions` with the host config `host` and one --grant (both may be NULL). */
static struct manifest *grants_of(const char *permissions, const char *host, const char *grant)
{
    struct settings *s = settings_of(host, &grant, grant ? 1 : 0);
    struct manifest *m = read_with(s, &untrusted, permissions);
    settings_free(s);
    return m;
}

static void ck_str(struct str found, const char *expected)
{
    ck_assert_msg(str_eq(found, str_of(expected)), "expected \"%s\", found \"%.*s\"", expected,
                  STR_FMT(found));
}

static void ck_given(const struct manifest *m, uint32_t i, const char *expected)
{
    ck_assert_uint_lt(i, m->grants.ask_count);
    ck_assert_int_eq(m->grants.ask[i].granted, expected != NULL);
    if (expected)
        ck_str(m->grants.ask[i].given, expected);
}

static void ck_warning(const struct manifest *m, const char *expected)
{
    ck_assert_uint_eq(m->warnings, expected ? 1 : 0);
    if (expected)
        ck_assert_msg(strstr(m->warning[0], expected) != NULL, "expected \"...%s...\", found %s",
                      expected, m->warning[0]);
}

static void ck_denied(const struct manifest *m, enum grant_kind kind, const char *name,
                      const char *expected)
{
    struct err e = {{0}};
    ck_assert_int_eq(grants_denied(&m->grants, m->name, kind, str_of(name), &e), -EACCES);
    ck_assert_str_eq(e.text, expected);
}

START_TEST(nothing_is_granted_by_asking)
{
    struct manifest *m =
        grants_of("{http: [{name: web, host: \"*\"}], files: [{name: root}, {name: "
                  "own, mode: rw, path: \"${data}/x\"}], env: [LANG]}",
                  NULL, NULL);
    ck_assert_uint_eq(m->grants.ask_count, 4);
    for (uint32_t i = 0; i < 4; i++)
        ck_given(m, i, NULL);
    ck_assert_ptr_null(grants_http(&m->grants, STR("web")));
    ck_assert_ptr_null(grants_files(&m->grants, STR("root")));
    ck_assert(!grants_has(&m->grants, GRANT_ENV, STR("LANG")));
    ck_denied(m, GRANT_HTTP, "web",
              "plugin w asks for http \"web\" (host \"*\"), which is not granted; grant it with "
              "--grant w.http.web or plugins: {w: {grants: {http: {web: {}}}}} in the host config");
    ck_denied(m, GRANT_FILES, "root",
              "plugin w asks for files \"root\" (mode r), which is not granted; grant it with "
              "--grant w.files.root.path=DIRECTORY or plugins: {w: {grants: {files: {root: {path: "
              "DIRECTORY}}}}} in the host config");
    ck_denied(
        m, GRANT_FILES, "own",
        "plugin w asks for files \"own\" (mode rw, path \"${data}/x\"), which is not granted; "
        "grant it with --grant w.files.own or plugins: {w: {grants: {files: {own: {}}}}} in "
        "the host config");
    ck_denied(m, GRANT_ENV, "LANG",
              "plugin w asks for env \"LANG\" (for ${env:...} in config), which is not granted; "
              "grant it with --grant w.env.LANG or plugins: {w: {grants: {env: [LANG]}}} in the "
              "host config");
    ck_denied(
        m, GRANT_TCP, "db",
        "plugin w does not ask for tcp \"db\"; permissions: {tcp: [{name: \"db\", host: HOST, "
        "port: PORT}]} in its manifest asks for it");
    ck_warning(m, NULL);
    manifest_free(m);
}
END_TEST

START_TEST(what_the_sentence_proposes_grants_it)
{
    static const char asks[] = "{http: [{name: web, host: a.example}], files: [{name: own, path: "
                               "\"${data}\"}], tcp: [{name: db, host: d, port: 1}], process: "
                               "[{name: git, path: /usr/bin/git}], env: [LANG]}";
    static const char *const option[] = {"w.http.web", "w.files.own", "w.tcp.db", "w.process.git",
                                         "w.env.LANG"};
    static const char *const host[] = {HC "plugins: {w: {grants: {http: {web: {}}}}}\n",
                                       HC "plugins: {w: {grants: {files: {own: {}}}}}\n",
                                       HC "plugins: {w: {grants: {tcp: {db: {}}}}}\n",
                                       HC "plugins: {w: {grants: {process: {git: {}}}}}\n",
                                       HC "plugins: {w: {grants: {env: [LANG]}}}\n"};
    for (uint32_t i = 0; i < 5; i++) {
        struct manifest *a = grants_of(asks, NULL, option[i]);
        struct manifest *b = grants_of(asks, host[i], NULL);
        for (uint32_t k = 0; k < 5; k++) {
            ck_assert_int_eq(a->grants.ask[k].granted, k == i);
            ck_assert_int_eq(b->grants.ask[k].granted, k == i);
        }
        manifest_free(a);
        manifest_free(b);
    }
    struct manifest *m = grants_of(asks, NULL, "w=asked");
    for (uint32_t k = 0; k < 5; k++)
        ck_assert(m->grants.ask[k].granted);
    manifest_free(m);
}
END_TEST

START_TEST(trust_grants_as_asked)
{
    struct settings *s = settings_of(NULL, NULL, 0);
    struct manifest *m =
        read_with(s, &trusted,
                  "{http: [{name: web, host: \"*\", methods: [GET, POST], ports: \"*\"}], files: "
                  "[{name: root}, {name: own, mode: rw, path: \"${data}/x\"}], env: [LANG]}");
    char expected[PATH_MAX];
    ck_given(m, 0, "host \"*\", any port, methods GET POST");
    ck_given(m, 1, NULL); /* without a wish it is the operator's to name one */
    snprintf(expected, sizeof(expected), "mode rw, path \"%s/w/x\"", s->data);
    ck_given(m, 2, expected);
    ck_assert(grants_has(&m->grants, GRANT_ENV, STR("LANG")));
    const struct http_grant *h = grants_http(&m->grants, STR("web"));
    ck_assert(h->any_port && !h->any_method && !h->private_ranges && !h->inject);
    ck_assert_uint_eq(h->redirects, 5);
    ck_assert_uint_eq(h->per_host, 0);
    ck_assert_uint_eq(h->response, 2 << 20);
    ck_assert_uint_eq(h->timeout, 30 * S);
    ck_warning(m, NULL);
    manifest_free(m);
    settings_free(s);
}
END_TEST

START_TEST(http_is_narrowed_and_never_widened)
{
    static const struct {
        const char *asks, *grant, *given, *warning;
    } t[] = {
        {"host: a.example", "{}", "host \"a.example\", methods GET", NULL},
        {"host: A.Example.", "{}", "host \"a.example\", methods GET", NULL},
        {"host: \"*\"", "{host: a.example}", "host \"a.example\", methods GET", NULL},
        {"host: \"*\"", "{host: \"*.b\"}", "host \"*.b\", methods GET", NULL},
        {"host: \"*.b\"", "{host: x.y.B}", "host \"x.y.b\", methods GET", NULL},
        {"host: \"*.b\"", "{host: \"*.a.b\"}", "host \"*.a.b\", methods GET", NULL},
        {"host: \"*.b\"", "{host: \"*.b\"}", "host \"*.b\", methods GET", NULL},
        {"host: \"*.a.b\"", "{host: \"*.b\"}", "host \"*.a.b\", methods GET",
         "plugins.w.grants.http.web.host: expected a host that the manifest asks for, found "
         "\"*.b\": a grant narrows and never widens"},
        {"host: \"*.b\"", "{host: b}", NULL, "found \"b\""},
        {"host: \"*.b\"", "{host: ab}", NULL, "found \"ab\""},
        {"host: a.example", "{host: \"*\"}", "host \"a.example\", methods GET", "found \"*\""},
        {"host: a.example", "{host: b.example}", NULL, "found \"b.example\""},
        {"host: \"::1\"", "{host: \"0:0:0:0:0:0:0:1\"}", "host \"::1\", methods GET", NULL},
        {"host: a, ports: [1, 2, 3]", "{ports: [3, 1]}", "host \"a\", ports 3 1, methods GET",
         NULL},
        {"host: a, ports: [1]", "{ports: [2]}", NULL, "web.ports[0]: expected a port"},
        {"host: a, ports: [1]", "{ports: \"*\"}", "host \"a\", ports 1, methods GET",
         "web.ports: expected ports"},
        {"host: a, ports: \"*\"", "{ports: [9]}", "host \"a\", ports 9, methods GET", NULL},
        {"host: a", "{ports: [443]}", "host \"a\", ports 443, methods GET", NULL},
        {"host: a", "{ports: [8443]}", NULL, "web.ports[0]"},
        {"host: a", "{ports: \"*\"}", "host \"a\", methods GET", "web.ports"},
        {"host: a, methods: [GET, POST]", "{methods: [POST]}", "host \"a\", methods POST", NULL},
        {"host: a", "{methods: [GET, POST]}", "host \"a\", methods GET", "web.methods[1]"},
        {"host: a, methods: \"*\"", "{methods: [PUT]}", "host \"a\", methods PUT", NULL},
        {"host: a, methods: \"*\"", "{methods: \"*\"}", "host \"a\", any method", NULL},
        {"host: a, methods: [POST]", "{methods: \"*\"}", "host \"a\", methods POST", "web.methods"},
        {"host: a", "{private: true, redirects: 0, per_host: 2, response: 1KiB, timeout: 2s}",
         "host \"a\", methods GET, private addresses", NULL},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char asks[256], host[256];
        snprintf(asks, sizeof(asks), "{http: [{name: web, %s}]}", t[i].asks);
        snprintf(host, sizeof(host), HC "plugins: {w: {grants: {http: {web: %s}}}}\n", t[i].grant);
        struct manifest *m = grants_of(asks, host, NULL);
        ck_given(m, 0, t[i].given);
        ck_warning(m, t[i].warning);
        ck_assert_int_eq(grants_http(&m->grants, STR("web")) != NULL, t[i].given != NULL);
        manifest_free(m);
    }
}
END_TEST

START_TEST(the_operators_bounds_are_read)
{
    struct manifest *m = grants_of(
        "{http: [{name: web, host: a}], files: [{name: f, mode: rw}]}",
        HC
        "plugins: {w: {grants: {http: {web: {private: true, redirects: 0, per_host: 2, response: "
        "1KiB, timeout: 2s}}, files: {f: {mode: r, path: [/usr, /etc], quota: 1MiB}}}}}\n",
        NULL);
    const struct http_grant *h = grants_http(&m->grants, STR("web"));
    ck_assert(h->private_ranges);
    ck_assert_uint_eq(h->redirects, 0);
    ck_assert_uint_eq(h->per_host, 2);
    ck_assert_uint_eq(h->response, 1024);
    ck_assert_uint_eq(h->timeout, 2 * S);
    const struct files_grant *f = grants_files(&m->grants, STR("f"));
    ck_assert(!f->write);
    ck_assert_uint_eq(f->paths, 2);
    ck_assert_str_eq(f->path[0].p, "/usr");
    ck_assert_str_eq(f->path[1].p, "/etc");
    ck_assert_uint_eq(f->quota, 1 << 20);
    ck_given(m, 1, "mode r, paths \"/usr\" \"/etc\", quota 1MiB");
    manifest_free(m);
}
END_TEST

START_TEST(grants_add_up_and_the_later_wins)
{
    static const char *const grant[] = {"w.http.web.host=b.example",
                                        "w.http.web.private=true",
                                        "w.http.web.host=c.example",
                                        "w.env.B",
                                        "w.env=[C]",
                                        "other.http.web"};
    struct settings *s = settings_of(
        HC "plugins: {w: {grants: {http: {web: {host: a.example, redirects: 1}}, env: [A]}}}\n",
        grant, 6);
    struct manifest *m =
        read_with(s, &untrusted, "{http: [{name: web, host: \"*\"}], env: [A, B, C, D]}");
    ck_given(m, 0, "host \"c.example\", methods GET, private addresses");
    ck_assert_uint_eq(grants_http(&m->grants, STR("web"))->redirects, 1);
    ck_assert(grants_has(&m->grants, GRANT_ENV, STR("A")));
    ck_assert(grants_has(&m->grants, GRANT_ENV, STR("B")));
    ck_assert(grants_has(&m->grants, GRANT_ENV, STR("C")));
    ck_assert(!grants_has(&m->grants, GRANT_ENV, STR("D")));
    ck_warning(m, NULL);
    manifest_free(m);
    settings_free(s);
}
END_TEST

START_TEST(what_is_not_asked_for_is_not_granted)
{
    struct manifest *m = grants_of("{http: [{name: web, host: a}], env: [A]}",
                                   HC "plugins:\n  w:\n    grants:\n      env: [A, B]\n", NULL);
    ck_warning(m,
               "/config/manifold.yaml:5:16: plugins.w.grants.env[1]: expected what "
               "permissions.env of the manifest asks for, found \"B\": nothing is granted by it");
    manifest_free(m);
    m = grants_of("{http: [{name: web, host: a}]}", NULL, "w.files.web.path=/usr");
    ck_warning(m, "--grant w.files.web.path: plugins.w.grants.files.web: expected what "
                  "permissions.files of the manifest asks for, found \"web\"");
    ck_given(m, 0, NULL);
    manifest_free(m);
    m = grants_of("{}",
                  HC "plugins: {w: {grants: {process: {x: {}}, tcp: {y: {}}, http: {z: "
                     "{}}}}}\n",
                  NULL);
    ck_assert_uint_eq(m->warnings, 3);
    ck_assert_uint_eq(m->grants.ask_count, 0);
    manifest_free(m);
}
END_TEST

static void refuse(const char *asks, const char *host, const char *grant,
                   const struct source *source, const char *expected)
{
    struct settings *s = NULL;
    struct manifest *m = NULL;
    struct err e = {{0}};
    char yaml[1024];
    int r = try_settings(host, &grant, grant ? 1 : 0, &s, &e);
    snprintf(yaml, sizeof(yaml), H "permissions: %s\n", asks);
    if (!r)
        r = manifest_parse(s, source, str_of(yaml), "w.yaml", &m, &e);
    ck_assert_msg(r < 0, "%s %s %s was accepted", asks, host ? host : "", grant ? grant : "");
    ck_assert_msg(strstr(e.text, expected) != NULL, "expected \"...%s...\", found \"%s\"", expected,
                  e.text);
    settings_free(s);
}

START_TEST(what_is_never_granted_is_an_error)
{
    static const char web[] = "{http: [{name: web, host: \"*\"}]}";
    refuse(web, NULL, "w.http.web.private=true", &untrusted,
           "--grant w.http.web.private: plugins.w.grants.http.web.private: expected a host that is "
           "narrower than \"*\" beside it");
    refuse(web,
           HC "secrets: {K: v}\nplugins: {w: {grants: {http: {web: {inject: {header: A, secret: "
              "K}}}}}}\n",
           NULL, &untrusted,
           "3:45: plugins.w.grants.http.web.inject: expected a host that is "
           "narrower than \"*\"");
    refuse("{http: [{name: web, host: \"*.1\"}]}", NULL, NULL, &trusted,
           "w.yaml:3:40: permissions.http[0].host: expected a domain behind \"*.\"");
    refuse("{http: [{name: web, host: a}, {name: web, host: b}]}", NULL, NULL, &untrusted,
           "w.yaml:3:51: permissions.http[1].name: expected web once, found it again");
    refuse("{env: [A, A]}", NULL, NULL, &untrusted, "permissions.env[1]: expected A once");
    refuse("{files: [{name: f, path: x}]}", NULL, NULL, &trusted,
           "w.yaml:3:39: permissions.files[0].path: expected an absolute path, one below ~ or one "
           "below ${data}, found \"x\"");
    refuse("{files: [{name: f, path: \"/${env:HOME}\"}]}", NULL, NULL, &trusted,
           "expected ${data} alone in a path, found ${env:HOME}");
    refuse("{files: [{name: f}]}", NULL, "w.files.f.path=/etc/passwd", &untrusted,
           "/etc/passwd: expected a directory, found something else");
}
END_TEST

START_TEST(roots_that_are_nobodys_to_write)
{
    char *home = in_directory("home"), *plugins = in_directory("plugins");
    char *config = in_directory("config"), *in = in_directory("work/in"), linked[PATH_MAX];
    const struct source source = {.path = plugins};
    snprintf(linked, sizeof(linked), "%s/linked", directory);
    ck_assert_int_eq(symlink(home, linked), 0);
    char dotted[PATH_MAX + 8], host[PATH_MAX], path[PATH_MAX + 32];
    snprintf(dotted, sizeof(dotted), "%s//./../home/", in_directory("work"));
    snprintf(host, sizeof(host), HC "sources: [{path: %s}]\n", plugins);
    const struct {
        const char *path;
        bool read, write;
    } t[] = {
        {"/", true, false},
        {home, true, false},
        {linked, true, false},
        {dotted, true, false},
        {"~", true, false},
        {directory, true, false},
        {"/tmp", true, false},
        {plugins, true, false},
        {config, true, false},
        {"/proc", false, false},
        {"/proc/self", false, false},
        {"/proc/self/../sys", false, false},
        {"/sys", true, false},
        {"/sys/kernel", true, false},
        {"/dev", true, false},
        {"/dev/shm", true, false},
        {in, true, true},
        {in_directory("work"), true, true},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        for (int write = 0; write < 2; write++) {
            const char *asks = write ? "{files: [{name: f, mode: rw}]}" : "{files: [{name: f}]}";
            const char *grant = path;
            struct settings *s;
            struct manifest *m = NULL;
            struct err e = {{0}};
            char yaml[256];
            snprintf(path, sizeof(path), "w.files.f.path=%s", t[i].path);
            s = settings_of(host, &grant, 1);
            snprintf(yaml, sizeof(yaml), H "permissions: %s\n", asks);
            int r = manifest_parse(s, &source, str_of(yaml), "w.yaml", &m, &e);
            ck_assert_msg((r == 0) == (write ? t[i].write : t[i].read), "%s for %s: %s", t[i].path,
                          write ? "writing" : "reading", r ? e.text : "granted");
            if (r)
                ck_assert_msg(strstr(e.text, "--grant w.files.f.path: ") == e.text, "%s", e.text);
            else
                manifest_free(m);
            settings_free(s);
        }
    }
}
END_TEST

/* What is opened later is looked at as it is then. */
START_TEST(a_root_is_checked_by_what_was_opened)
{
    char grant[PATH_MAX];
    snprintf(grant, sizeof(grant), "w.files.f.path=%s", in_directory("work/later"));
    struct manifest *m = grants_of("{files: [{name: f, mode: rw}]}", NULL, grant);
    ck_warning(m, "work/later: expected a directory, found: No such file or directory");
    const struct files_grant *f = grants_files(&m->grants, STR("f"));
    ck_assert_int_eq(symlink(in_directory("home"), f->path[0].p), 0);
    struct err e;
    int fd = open(f->path[0].p, O_PATH | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(grants_check_root(&m->grants, fd, true, f->path[0].p, &e), -EPERM);
    ck_assert_msg(strstr(e.text, "does not hold the home directory"), "%s", e.text);
    ck_assert_int_eq(grants_check_root(&m->grants, fd, false, f->path[0].p, &e), 0);
    close(fd);
    manifest_free(m);
}
END_TEST

START_TEST(hosts_are_matched_whole)
{
    static const struct {
        const char *pattern, *host;
        bool covers;
    } t[] = {
        {"a.example", "a.example", true},
        {"a.example", "A.EXAMPLE.", true},
        {"a.example", "b.a.example", false},
        {"a.example", "a.example.evil", false},
        {"a.example", "aaexample", false},
        {"*.example", "a.example", true},
        {"*.example", "a.b.example", true},
        {"*.example", "example", false},
        {"*.example", ".example", false},
        {"*.example", "aexample", false},
        {"*.example", "*.example", false},
        {"*", "anything", true},
        {"*", "127.0.0.1", true},
        {"*", "", false},
        {"*.1", "10.0.0.1", false},
        {"*.0x1", "a.0x1", false},
        {"::1", "[::1]", true},
        {"::1", "[0:0::0:1]", true},
        {"::1", "::2", false},
        {"*.b", "::1.b", false},
        {"*", "a b", false},
        {"*", "a\xC3\xBC", false},
        {"*", "a%20b", false},
        {"*", "u@a", false},
        {"*", "a\0b", false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        bool last = i + 1 == sizeof(t) / sizeof(t[0]);
        struct str host = {t[i].host, last ? 3 : strlen(t[i].host)};
        ck_assert_msg(host_pattern_covers(str_of(t[i].pattern), host) == t[i].covers, "%s %s",
                      t[i].pattern, t[i].host);
    }
}
END_TEST

START_TEST(a_request_is_checked_by_host_port_and_method)
{
    struct manifest *m =
        grants_of("{http: [{name: a, host: a.example, methods: [GET, POST]}, {name: "
                  "b, host: b.example, ports: [8080]}]}",
                  NULL, "w=asked");
    const struct http_grant *a = grants_http(&m->grants, STR("a"));
    struct err e;
    const struct {
        const char *host, *method;
        uint16_t port;
        bool default_port, ok;
    } t[] = {
        {"a.example", "GET", 443, true, true},     {"a.example", "GET", 80, true, true},
        {"a.example", "HEAD", 443, true, true},    {"a.example", "POST", 443, true, true},
        {"a.example", "DELETE", 443, true, false}, {"a.example", "get", 443, true, false},
        {"a.example", "GET", 8080, false, false},  {"a.example", "GET", 80, false, false},
        {"b.example", "GET", 443, true, false},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
        ck_assert_int_eq(http_grant_check(a, STR("w"), str_of(t[i].host), t[i].port,
                                          t[i].default_port, str_of(t[i].method), &e),
                         t[i].ok ? 0 : -EACCES);
    ck_assert_str_eq(e.text,
                     "plugin w is granted http \"a\" (host \"a.example\", methods GET POST), "
                     "which does not cover host \"b.example\"");
    ck_assert_ptr_eq(grants_http_for(&m->grants, STR("b.example"), 8080, false, STR("GET")),
                     grants_http(&m->grants, STR("b")));
    ck_assert_ptr_null(grants_http_for(&m->grants, STR("b.example"), 80, true, STR("GET")));
    manifest_free(m);
}
END_TEST

START_TEST(secrets_are_injected_by_the_host_alone)
{
    static const char asks[] = "{http: [{name: web, host: a.example}]}";
    write_file(in_directory("config/key"), "from a file\n");
    setenv("TEST_SECRET", "from the environment", 1);
    struct manifest *m =
        grants_of(asks,
                  HC "secrets: {F: \"${file:key}\", E: \"Bearer ${env:TEST_SECRET}\"}\n"
                     "plugins: {w: {grants: {http: {web: {host: a.example, inject: {header: "
                     "X-Api-Key, secret: F}}}}}}\n",
                  NULL);
    const struct http_grant *h = grants_http(&m->grants, STR("web"));
    ck_str(h->inject_header, "X-Api-Key");
    ck_str(secret_value(h->inject), "from a file");
    ck_given(m, 0, "host \"a.example\", methods GET, adds header X-Api-Key");
    struct buf shown = BUF_INIT(65536);
    grants_write(&m->grants, &shown);
    ck_str(buf_view(&shown),
           "[{\"kind\":\"http\",\"name\":\"web\",\"asked\":\"host \\\"a.example\\\"\",\"granted\":"
           "true,\"given\":\"host \\\"a.example\\\", methods GET, adds header X-Api-Key\"}]");
    buf_release(&shown);
    manifest_free(m);
    static const struct {
        const char *secrets, *inject, *expected;
    } t[] = {
        {"{A: x}", "{header: X, secret: B}",
         "inject.secret: expected a name that stands under secrets, found \"B\""},
        {"{A: \"topsecret\\r\\nEvil: 1\"}", "{header: X, secret: A}",
         "expected a secret of one line that fits a header, found \"A\""},
        {"{A: \"\"}", "{header: X, secret: A}", "expected a secret of one line"},
        {"{A: topsecret}", "{header: Host, secret: A}", "expected a header such as Authorization"},
        {"{A: topsecret}", "{header: content-LENGTH, secret: A}", "expected a header such as"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char host[512];
        struct settings *s;
        struct err e = {{0}};
        snprintf(host, sizeof(host),
                 HC "secrets: %s\nplugins: {w: {grants: {http: {web: {inject: %s}}}}}\n",
                 t[i].secrets, t[i].inject);
        s = settings_of(host, NULL, 0);
        ck_assert_int_lt(manifest_parse(s, &untrusted,
                                        STR(H "permissions: {http: [{name: web, host: "
                                              "a.example}]}\n"),
                                        "w.yaml", &m, &e),
                         0);
        ck_assert_msg(strstr(e.text, t[i].expected) != NULL, "%s", e.text);
        ck_assert_ptr_null(strstr(e.text, "topsecret"));
        settings_free(s);
    }
}
END_TEST

START_TEST(what_an_operator_should_know)
{
    char home[PATH_MAX + 32];
    snprintf(home, sizeof(home), "w.files.f.path=%s", in_directory("config"));
    const struct {
        const char *grant, *note;
    } t[] = {
        {"w.http.web", "reaches every public host"},
        {"w.http.web.host=a", NULL},
        {"w.files.f.path=/", "reaches all that the host's user can read"},
        {"w.files.f.path=/proc/../.", "reaches all that the host's user can read"},
        {home, "reaches the host config, with what it holds of secrets"},
        {"w.files.f.path=/usr", NULL},
        {"w.env.A", NULL},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct manifest *m = grants_of(
            "{http: [{name: web, host: \"*\"}], files: [{name: f}], env: [A]}", HC, t[i].grant);
        for (uint32_t k = 0; k < m->grants.ask_count; k++) {
            const struct grant_ask *ask = &m->grants.ask[k];
            const char *note = ask->granted ? grants_lint(&m->grants, ask) : NULL;
            const char *expected = ask->granted ? t[i].note : NULL;
            ck_assert_msg(!note == !expected && (!note || strcmp(note, expected) == 0), "%s: %s",
                          t[i].grant, note ? note : "");
        }
        manifest_free(m);
    }
}
END_TEST

START_TEST(other_grants_make_another_plugin)
{
    static const char asks[] = "{http: [{name: web, host: \"*\", ports: [1, 2], methods: [GET, "
                               "PUT]}], files: [{name: f, mode: rw}], env: [A]}";
    static const char *const grant[] = {"w.http.web",
                                        "w.http.web.host=a",
                                        "w.http.web.ports=[1]",
                                        "w.http.web.methods=[GET]",
                                        "w.http.web.redirects=1",
                                        "w.http.web.per_host=1",
                                        "w.http.web.response=1KiB",
                                        "w.http.web.timeout=1s",
                                        "w.env.A",
                                        "w.files.f.path=/usr/share",
                                        "w.files.f.path=/usr/lib",
                                        "w.files.f.path=[/usr/lib, /usr/share]"};
    enum { N = sizeof(grant) / sizeof(grant[0]) };
    struct manifest *m[N + 1] = {grants_of(asks, NULL, NULL)}, *again;
    for (size_t i = 0; i < N; i++)
        m[i + 1] = grants_of(asks, NULL, grant[i]);
    for (size_t i = 0; i <= N; i++) {
        again = grants_of(asks, NULL, i ? grant[i - 1] : NULL);
        for (size_t k = 0; k <= N; k++)
            ck_assert_msg(manifest_same(again, m[k]) == (i == k), "%zu %zu", i, k);
        manifest_free(again);
    }
    for (size_t i = 0; i <= N; i++)
        manifest_free(m[i]);
    /* A rotated secret, too. */
    struct manifest *r[2];
    for (int i = 0; i < 2; i++)
        r[i] = grants_of(asks,
                         i ? HC "secrets: {K: one}\nplugins: {w: {grants: {http: {web: {host: a, "
                                "inject: {header: X, secret: K}}}}}}\n"
                           : HC "secrets: {K: two}\nplugins: {w: {grants: {http: {web: {host: a, "
                                "inject: {header: X, secret: K}}}}}}\n",
                         NULL);
    ck_assert(!manifest_same(r[0], r[1]));
    manifest_free(r[0]);
    manifest_free(r[1]);
}
END_TEST

START_TEST(the_option_takes_plain_text_for_hosts_and_paths)
{
    static const char asks[] = "{http: [{name: web, host: \"*\"}], files: [{name: f}], env: [A]}";
    static const struct {
        const char *grant, *error;
        uint32_t ask;
        const char *given;
    } t[] = {
        {"w.http.web.host=*", NULL, 0, "host \"*\", methods GET"},
        {"w.http.web.host=\"*\"", NULL, 0, "host \"*\", methods GET"},
        {"w.http.web={host: b, redirects: 2}", NULL, 0, "host \"b\", methods GET"},
        {"w.http.web={}", NULL, 0, "host \"*\", methods GET"},
        {"w.files.f.path=/usr/share/# no: comment", NULL, 1,
         "mode r, path \"/usr/share/# no: comment\""},
        {"w.files.f.path=[/usr, /etc]", NULL, 1, "mode r, paths \"/usr\" \"/etc\""},
        {"w.env=[A]", NULL, 2, "for ${env:...} in config"},
        {"", "--grant: expected NAME.KIND.KEY, NAME.KIND.KEY.FIELD=VALUE or NAME=asked, found \"\"",
         0, NULL},
        {"w", "found \"w\"", 0, NULL},
        {"w=all", "found \"w=all\"", 0, NULL},
        {"w.http", "found \"w.http\"", 0, NULL},
        {"w.http.web.host", "found \"w.http.web.host\"", 0, NULL},
        {"w.http.web.host=", "found \"w.http.web.host=\"", 0, NULL},
        {"w.http.web.inject.header=X", "found \"w.http.web.inject.header=X\"", 0, NULL},
        {"w..web", "found \"w..web\"", 0, NULL},
        {"w.env.A=x", "found \"w.env.A=x\"", 0, NULL},
        {"w.net.x", "--grant w.net.x: unknown key \"net\" in plugins.w.grants", 0, NULL},
        {"w.http.web.privat=true", "--grant w.http.web.privat: unknown key \"privat\"", 0, NULL},
        {"W.http.web", "--grant W.http.web: ", 0, NULL},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct settings *s = NULL;
        struct err e = {{0}};
        int r = try_settings(NULL, &t[i].grant, 1, &s, &e);
        ck_assert_msg((r != 0) == (t[i].error != NULL), "%s: %s", t[i].grant, e.text);
        if (r) {
            ck_assert_msg(strstr(e.text, t[i].error) != NULL, "%s: %s", t[i].grant, e.text);
            continue;
        }
        struct manifest *m = read_with(s, &untrusted, asks);
        ck_given(m, t[i].ask, t[i].given);
        manifest_free(m);
        settings_free(s);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("config grants");
    TCase *t = tcase_create("grants");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, nothing_is_granted_by_asking);
    tcase_add_test(t, what_the_sentence_proposes_grants_it);
    tcase_add_test(t, trust_grants_as_asked);
    tcase_add_test(t, http_is_narrowed_and_never_widened);
    tcase_add_test(t, the_operators_bounds_are_read);
    tcase_add_test(t, grants_add_up_and_the_later_wins);
    tcase_add_test(t, what_is_not_asked_for_is_not_granted);
    tcase_add_test(t, what_is_never_granted_is_an_error);
    tcase_add_test(t, roots_that_are_nobodys_to_write);
    tcase_add_test(t, a_root_is_checked_by_what_was_opened);
    tcase_add_test(t, hosts_are_matched_whole);
    tcase_add_test(t, a_request_is_checked_by_host_port_and_method);
    tcase_add_test(t, secrets_are_injected_by_the_host_alone);
    tcase_add_test(t, what_an_operator_should_know);
    tcase_add_test(t, other_grants_make_another_plugin);
    tcase_add_test(t, the_option_takes_plain_text_for_hosts_and_paths);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
