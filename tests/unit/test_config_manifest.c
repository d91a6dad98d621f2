/* Manifests: defaults, resolution, entries, config, files, and the sentence of each slip.
 *
 * With `--bench N` it prints what reading a small and the complete manifest N times takes. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "config/builtin.h"
#include "config/manifest.h"

#define H "manifold: 1\nid: a.b\n"
#define S UINT64_C(1000000000)

static const struct source untrusted = {.path = "/p"}, trusted = {.path = "/p", .trust = true};

static char *temporary(const char *text)
{
    static char path[64];
    snprintf(path, sizeof(path), "/tmp/test_config_manifest.XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

/* Settings of a host config's text (NULL: of --plugins) and of some --set. */
static struct settings *settings_of(const char *host, const char *const *set, uint32_t sets)
{
    static const char *const plugins[] = {"/p"};
    struct settings_args args = {.set = set, .set_count = sets};
    struct settings *s = NULL;
    struct err e = {{0}};
    char *path = host ? temporary(host) : NULL;
    args.config = path;
    args.plugins = host ? NULL : plugins;
    args.plugins_count = host ? 0 : 1;
    int r = settings_read(&args, &s, &e);
    if (path)
        unlink(path);
    ck_assert_msg(r == 0, "%s", e.text);
    return s;
}

static struct manifest *read_with(const struct settings *s, const struct source *source,
                                  const char *yaml)
{
    struct manifest *m = NULL;
    struct err e = {{0}};
    int r = manifest_parse(s, source, str_of(yaml), "/p/w.yaml", &m, &e);
    ck_assert_msg(r == 0, "%s", e.text);
    return m;
}

static struct manifest *read_one(const char *yaml)
{
    struct settings *s = settings_of(NULL, NULL, 0);
    struct manifest *m = read_with(s, &untrusted, yaml);
    settings_free(s);
    return m;
}

static void refuse(const struct settings *s, const char *yaml, const char *sentence)
{
    struct manifest *m;
    struct err e = {{0}};
    ck_assert_int_lt(manifest_parse(s, &untrusted, str_of(yaml), "w.yaml", &m, &e), 0);
    ck_assert_str_eq(e.text, sentence);
}

#define ck_str(s, z)                                            \
    do {                                                        \
        struct str str_ = (s), z_ = str_of(z);                  \
        ck_assert_msg(str_eq(str_, z_), "%.*s", STR_FMT(str_)); \
    } while (0)

static const struct {
    const char *yaml, *sentence;
} refused[] = {
    {"---\n", "2:1: expected object, found null"},
    {"just text", "1:1: expected object, found string \"just text\""},
    {"- a\n", "1:1: expected object, found array of 1 item"},
    {"id: a.b\n", "1:1: expected property \"manifold\", found no \"manifold\""},
    {"manifold: 1\n", "1:1: expected property \"id\", found no \"id\""},
    {"manifold: 2\nid: a.b\n", "1:11: manifold: expected 1, found number 2"},
    {"manifold: '1'\nid: a.b\n", "1:11: manifold: expected 1, found string \"1\""},
    {"manifold: 1\nid: weather\n",
     "2:5: id: expected a reverse DNS name such as org.example.weather, found string \"weather\""},
    {"manifold: 1\nid: 5\n",
     "2:5: id: expected a reverse DNS name such as org.example.weather, found number 5"},
    {"manifold: 1\nid: a b.c\n",
     "2:5: id: expected a reverse DNS name such as org.example.weather, found string \"a b.c\""},
    {H "foo: 1\n",
     "3:1: unknown key \"foo\", expected one of manifold, id, name, version, title, description, "
     "homepage, library, instructions, prefix, isolation, load, reload, catalogue, config, "
     "config_schema, permissions, limits, breaker, worker, tools, resources, prompts"},
    {H "limts: {}\n", "3:1: unknown key \"limts\", expected \"limits\"?"},
    {H "tool: []\n", "3:1: unknown key \"tool\", expected \"tools\"?"},
    {H "Tools: []\n", "3:1: unknown key \"Tools\", expected \"tools\"?"},
    {H "limits: {time_out: 5s}\n",
     "3:10: unknown key \"time_out\" in limits, expected \"timeout\"?"},
    {H "limits: {timeouts: 5s}\n",
     "3:10: unknown key \"timeouts\" in limits, expected \"timeout\"?"},
    {H "limits: {zzz: 5s}\n",
     "3:10: unknown key \"zzz\" in limits, expected one of concurrency, queue, queue_wait, "
     "timeout, drain, rate, request, result, log, loop_block"},
    {H "tools:\n  - name: a\n    input_schema: {type: object}\n",
     "5:5: unknown key \"input_schema\" in tools[0], expected \"inputSchema\"?"},
    {H "tools:\n  - nam: a\n", "4:5: unknown key \"nam\" in tools[0], expected \"name\"?"},
    {H "tools:\n  - {}\n", "4:5: tools[0]: expected property \"name\", found no \"name\""},
    {H "tools:\n  - description: x\n",
     "4:5: tools[0]: expected property \"name\", found no \"name\""},
    {H "tools: {}\n", "3:8: tools: expected array, found object with 0 properties"},
    {H "tools:\n", "3:7: tools: expected array, found null"},
    {H "name: Weather\n", "3:7: name: expected an instance name of at most 32 of a-z, 0-9, _ and "
                          "-, that begins with a letter, found string \"Weather\""},
    {H "name: 1a\n", "3:7: name: expected an instance name of at most 32 of a-z, 0-9, _ and -, "
                     "that begins with a letter, found string \"1a\""},
    {H "name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
     "3:7: name: expected an instance name of at most 32 of a-z, 0-9, _ and -, that begins with a "
     "letter, found string \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""},
    {H "name: ''\n", "3:7: name: expected an instance name of at most 32 of a-z, 0-9, _ and -, "
                     "that begins with a letter, found string \"\""},
    {H "version: 1.2\n", "3:10: version: expected string, found number 1.2: quote it"},
    {H "version: ''\n",
     "3:10: version: expected at least 1 character, found string of 0 characters"},
    {H "title: 5\n", "3:8: title: expected string, found number 5: quote it"},
    {H "title: true\n", "3:8: title: expected string, found true: quote it"},
    {H "title: 2024\n", "3:8: title: expected string, found number 2024: quote it"},
    {H "title: null\n", "3:8: title: expected string, found null"},
    {H "library: a/b.so\n", "3:10: library: expected a file name without '/' that does not begin "
                            "with '.', found string \"a/b.so\""},
    {H "library: ../b.so\n", "3:10: library: expected a file name without '/' that does not begin "
                             "with '.', found string \"../b.so\""},
    {H "library: ..\n", "3:10: library: expected a file name without '/' that does not begin with "
                        "'.', found string \"..\""},
    {H "library: ''\n", "3:10: library: expected a file name without '/' that does not begin with "
                        "'.', found string \"\""},
    {H "prefix: a b\n", "3:9: prefix: expected a prefix of at most 32 of A-Z, a-z, 0-9, _, . and "
                        "-, or \"\" for none, found string \"a b\""},
    {H "prefix: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
     "3:9: prefix: expected a prefix of at most 32 of A-Z, a-z, 0-9, _, . and -, or \"\" for none, "
     "found string \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""},
    {H "isolation: thread\n",
     "3:12: isolation: expected worker or inproc, found string \"thread\""},
    {H "isolation: true\n", "3:12: isolation: expected worker or inproc, found true"},
    {H "load: now\n", "3:7: load: expected lazy or eager, found string \"now\""},
    {H "reload: swap\n", "3:9: reload: expected overlap or handover, found string \"swap\""},
    {H "catalogue: {ttl: 60}\n",
     "3:18: catalogue.ttl: expected a duration such as 250ms, 30s, 5m or 1h, found number 60"},
    {H "catalogue: {ttl: 1 day}\n", "3:18: catalogue.ttl: expected a duration such as 250ms, 30s, "
                                    "5m or 1h, found string \"1 day\""},
    {H "catalogue: {ttl: 10001h}\n",
     "3:18: catalogue.ttl: expected a duration of at most 10000h, found \"10001h\""},
    {H "catalogue: {scope: all}\n",
     "3:20: catalogue.scope: expected public or private, found string \"all\""},
    {H "catalogue: {dynamic: yes}\n", "3:22: catalogue.dynamic: expected boolean, found string "
                                      "\"yes\": only true and false are boolean"},
    {H "catalogue: {dynamic: on}\n", "3:22: catalogue.dynamic: expected boolean, found string "
                                     "\"on\": only true and false are boolean"},
    {H "catalogue: {dynamic: 1}\n", "3:22: catalogue.dynamic: expected boolean, found number 1"},
    {H "limits: {concurrency: 0}\n",
     "3:23: limits.concurrency: expected at least 1, found number 0"},
    {H "limits: {concurrency: -1}\n",
     "3:23: limits.concurrency: expected at least 1, found number -1"},
    {H "limits: {concurrency: 1.5}\n",
     "3:23: limits.concurrency: expected integer, found number 1.5"},
    {H "limits: {concurrency: many}\n",
     "3:23: limits.concurrency: expected integer, found string \"many\""},
    {H "limits: {queue: 64KiB}\n", "3:17: limits.queue: expected integer, found string \"64KiB\""},
    {H "limits: {timeout: 30}\n",
     "3:19: limits.timeout: expected a duration such as 250ms, 30s, 5m or 1h, found number 30"},
    {H "limits: {timeout: 0s}\n", "3:19: limits.timeout: expected at least 1ms, found \"0s\""},
    {H "limits: {timeout: 99999h}\n",
     "3:19: limits.timeout: expected a duration of at most 10000h, found \"99999h\""},
    {H "limits: {request: 4MB}\n", "3:19: limits.request: expected a size such as 512B, 16KiB, "
                                   "4MiB or 1GiB, found string \"4MB\""},
    {H "limits: {result: 0B}\n", "3:18: limits.result: expected at least 1B, found \"0B\""},
    {H "limits: {request: 9999999GiB}\n",
     "3:19: limits.request: expected a size of at most 1024GiB, found \"9999999GiB\""},
    {H "limits: {rate: 50}\n", "3:16: limits.rate: expected a rate such as 50/s, \"50/s burst "
                               "100\" or none, found number 50"},
    {H "limits: {rate: 50/m}\n", "3:16: limits.rate: expected a rate such as 50/s, \"50/s burst "
                                 "100\" or none, found string \"50/m\""},
    {H "limits: {rate: 0/s}\n",
     "3:16: limits.rate: expected a rate and a burst from 1 to 1000000, found \"0/s\""},
    {H "limits: {log: 5/s burst 0}\n",
     "3:15: limits.log: expected a rate and a burst from 1 to 1000000, found \"5/s burst 0\""},
    {H "limits: 5\n", "3:9: limits: expected object, found number 5"},
    {H "limits: [5]\n", "3:9: limits: expected object, found array of 1 item"},
    {H "breaker: {failures: -1}\n", "3:21: breaker.failures: expected at least 0, found number -1"},
    {H "breaker: {within: 0s}\n", "3:19: breaker.within: expected at least 1ms, found \"0s\""},
    {H "worker: {cpu: 0}\n", "3:15: worker.cpu: expected more than 0, found number 0"},
    {H "worker: {cpu: all}\n", "3:15: worker.cpu: expected number, found string \"all\""},
    {H "worker: {backoff: [30s]}\n",
     "3:19: worker.backoff: expected at least 2 items, found array of 1 item"},
    {H "worker: {backoff: [30s, 100ms]}\n",
     "3:19: worker.backoff: expected the shorter wait first, found it second"},
    {H "worker: {backoff: [1, 2]}\n",
     "3:20: worker.backoff[0]: expected a duration such as 250ms, 30s, 5m or 1h, found number 1"},
    {H "worker: {backoff: 30s}\n", "3:19: worker.backoff: expected array, found string \"30s\""},
    {H "worker: {fds: 3}\n", "3:15: worker.fds: expected at least 16, found number 3"},
    {H "worker: {quarantine: {crashes: 0}}\n",
     "3:32: worker.quarantine.crashes: expected at least 1, found number 0"},
    {H "worker: {quarantine: {within: 10001h}}\n",
     "3:31: worker.quarantine.within: expected a duration of at most 10000h, found \"10001h\""},
    {H "permissions: {net: []}\n",
     "3:15: unknown key \"net\" in permissions, expected one of http, files, tcp, process, env"},
    {H "permissions: {http: [{name: a}]}\n",
     "3:22: permissions.http[0]: expected property \"host\", found no \"host\""},
    {H "permissions: {http: [{name: a, host: \"a.*\"}]}\n",
     "3:38: permissions.http[0].host: expected a host name, *.DOMAIN or *, found string \"a.*\""},
    {H "permissions: {http: [{name: a, host: b, ports: [0]}]}\n",
     "3:49: permissions.http[0].ports[0]: expected at least 1, found number 0"},
    {H "permissions: {http: [{name: a, host: b, methods: [get]}]}\n",
     "3:51: permissions.http[0].methods[0]: expected an HTTP method in upper case, found string "
     "\"get\""},
    {H "permissions: {files: [{name: a, mode: w}]}\n",
     "3:39: permissions.files[0].mode: expected r or rw, found string \"w\""},
    {H "permissions: {process: [{name: a, path: git}]}\n",
     "3:41: permissions.process[0].path: expected an absolute path, found string \"git\""},
    {H "permissions: {env: [A-B]}\n", "3:21: permissions.env[0]: expected the name of an "
                                      "environment variable, found string \"A-B\""},
    {H "permissions: {env: LANG}\n",
     "3:20: permissions.env: expected array, found string \"LANG\""},
    {H "tools:\n  - name: a b\n", "4:11: tools[0].name: expected a name of 1 to 64 of A-Z, a-z, "
                                  "0-9, _, . and -, found string \"a b\""},
    {H "tools:\n  - name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
     "4:11: tools[0].name: expected a name of 1 to 64 of A-Z, a-z, 0-9, _, . and -, found string "
     "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""},
    {H "tools:\n  - name: ''\n", "4:11: tools[0].name: expected a name of 1 to 64 of A-Z, a-z, "
                                 "0-9, _, . and -, found string \"\""},
    {H "tools:\n  - name: 5\n", "4:11: tools[0].name: expected a name of 1 to 64 of A-Z, a-z, 0-9, "
                                "_, . and -, found number 5"},
    {H "tools:\n  - name: a\n  - name: a\n",
     "5:11: tools[1].name: expected \"a\" once, found it here and at 4:11"},
    {H "tools:\n  - name: a\n    inputSchema: {type: string}\n",
     "5:18: tools[0].inputSchema: expected a schema whose root has type: object, found another"},
    {H "tools:\n  - name: a\n    inputSchema: {}\n",
     "5:18: tools[0].inputSchema: expected a schema whose root has type: object, found another"},
    {H "tools:\n  - name: a\n    inputSchema: true\n",
     "5:18: tools[0].inputSchema: expected object, found true"},
    {H "tools:\n  - name: a\n    inputSchema: {type: object, properties: {p: {type: strin}}}\n",
     "5:56: tools[0].inputSchema.properties.p.type: expected one of \"null\", \"boolean\", "
     "\"integer\", \"number\", \"string\", \"array\", \"object\", or a list of them, found string "
     "\"strin\""},
    {H "tools:\n  - name: a\n    inputSchema: {type: object, propertys: {}}\n",
     "5:33: tools[0].inputSchema.propertys: expected a keyword of JSON Schema 2020-12, found "
     "\"propertys\""},
    {H "tools:\n  - name: a\n    inputSchema: {type: object, properties: {p: {pattern: \"(\"}}}\n",
     "5:59: tools[0].inputSchema.properties.p.pattern: expected a pattern of ECMA-262, found a "
     "pattern that is not valid: missing closing parenthesis"},
    {H "tools:\n  - name: a\n    inputSchema: {type: object, $ref: \"https://example.org/x\"}\n",
     "5:39: tools[0].inputSchema.$ref: expected a reference into this document (nothing is ever "
     "fetched), found \"https://example.org/x\""},
    {H "tools:\n  - name: a\n    inputSchema: {type: object, required: place}\n",
     "5:43: tools[0].inputSchema.required: expected a list of property names, found string "
     "\"place\""},
    {H "tools:\n  - name: a\n    outputSchema: 5\n",
     "5:19: tools[0].outputSchema: expected boolean or object, found number 5"},
    {H "tools:\n  - name: a\n    outputSchema: {type: objec}\n",
     "5:26: tools[0].outputSchema.type: expected one of \"null\", \"boolean\", \"integer\", "
     "\"number\", \"string\", \"array\", \"object\", or a list of them, found string \"objec\""},
    {H "tools:\n  - name: a\n    limits: {drain: 5s}\n",
     "5:14: unknown key \"drain\" in tools[0].limits, expected one of concurrency, queue, timeout, "
     "rate, result"},
    {H "tools:\n  - name: a\n    limits: {timeout: soon}\n",
     "5:23: tools[0].limits.timeout: expected a duration such as 250ms, 30s, 5m or 1h, found "
     "string \"soon\""},
    {H "tools:\n  - name: a\n    limits: {timeout: 10001h}\n",
     "5:23: tools[0].limits.timeout: expected a duration of at most 10000h, found \"10001h\""},
    {H "tools:\n  - name: a\n    cache: {scope: public}\n",
     "5:12: tools[0].cache: expected property \"ttl\", found no \"ttl\""},
    {H "tools:\n  - name: a\n    cache: {ttl: 60s, scope: shared}\n",
     "5:30: tools[0].cache.scope: expected private or public, found string \"shared\""},
    {H "tools:\n  - name: a\n    cache: 60s\n",
     "5:12: tools[0].cache: expected object, found string \"60s\""},
    {H "tools:\n  - name: a\n    retry: always\n",
     "5:12: tools[0].retry: expected never or safe, found string \"always\""},
    {H "tools:\n  - name: a\n    task: {support: maybe}\n",
     "5:21: tools[0].task.support: expected forbidden, optional or required, found string "
     "\"maybe\""},
    {H "tools:\n  - name: a\n    task: {timeout: 0s}\n",
     "5:21: tools[0].task.timeout: expected at least 1ms, found \"0s\""},
    {H "tools:\n  - name: a\n    slow: fast\n", "5:11: tools[0].slow: expected a duration such as "
                                                "250ms, 30s, 5m or 1h, found string \"fast\""},
    {H "tools:\n  - name: a\n    icons: [{}]\n",
     "5:13: tools[0].icons[0]: expected property \"src\", found no \"src\""},
    {H "tools:\n  - name: a\n    annotations: []\n",
     "5:18: tools[0].annotations: expected object, found array of 0 items"},
    {H "tools:\n  - name: a\n    handler: f\n",
     "5:5: unknown key \"handler\" in tools[0], expected one of name, title, description, icons, "
     "annotations, _meta, inputSchema, outputSchema, limits, cache, retry, task, slow"},
    {H "resources:\n  - {name: a}\n",
     "4:5: resources[0]: expected uri or uriTemplate, found neither"},
    {H "resources:\n  - {name: a, uri: \"a:b\", uriTemplate: \"a:{b}\"}\n",
     "4:40: resources[0].uriTemplate: expected either uri or uriTemplate, found both"},
    {H "resources:\n  - {name: a, uri: stations}\n",
     "4:20: resources[0].uri: expected a URI such as weather://stations, found \"stations\""},
    {H "resources:\n  - {name: a, uri: \"1a:b\"}\n",
     "4:20: resources[0].uri: expected a URI such as weather://stations, found \"1a:b\""},
    {H "resources:\n  - {name: a, uri: \"a:b c\"}\n",
     "4:20: resources[0].uri: expected a URI such as weather://stations, found \"a:b c\""},
    {H "resources:\n  - {name: a, uri: ''}\n",
     "4:20: resources[0].uri: expected at least 1 character, found string of 0 characters"},
    {H "resources:\n  - {name: a, uriTemplate: ''}\n",
     "4:28: resources[0].uriTemplate: expected at least 1 character, found string of 0 characters"},
    {H "resources:\n  - {name: a, uri: \"a:b\", complete: {x: library}}\n",
     "4:37: resources[0].complete: expected it beside a uriTemplate, found it beside a uri"},
    {H "resources:\n  - {name: a, uriTemplate: \"a:{b}\", complete: {b: plugin}}\n",
     "4:51: resources[0].complete.b: expected library or a list of values, found string "
     "\"plugin\""},
    {H "resources:\n  - {name: a, uriTemplate: \"a:{b}\", complete: {b: [1]}}\n",
     "4:52: resources[0].complete.b[0]: expected string, found number 1: quote it"},
    {H "resources:\n  - {name: a, uri: \"a:b\"}\n  - {name: b, uri: \"a:b\"}\n",
     "5:20: resources[1].uri: expected \"a:b\" once, found it here and at 4:20"},
    {H "resources:\n  - {name: a, uri: \"a:b\"}\n  - {name: a, uriTemplate: \"a:{b}\"}\n",
     "5:12: resources[1].name: expected \"a\" once, found it here and at 4:12"},
    {H "resources:\n  - {name: a, uri: \"a:b\", size: -1}\n",
     "4:33: resources[0].size: expected at least 0, found number -1"},
    {H "resources:\n  - {name: a, uri: \"a:b\", subscribe: yes}\n",
     "4:38: resources[0].subscribe: expected boolean, found string \"yes\": only true and false "
     "are boolean"},
    {H "resources:\n  - {name: a, url: \"a:b\"}\n",
     "4:15: unknown key \"url\" in resources[0], expected \"uri\"?"},
    {H "prompts:\n  - {name: a, arguments: [{required: true}]}\n",
     "4:27: prompts[0].arguments[0]: expected property \"name\", found no \"name\""},
    {H "prompts:\n  - {name: a, arguments: [{name: x}, {name: x}]}\n",
     "4:45: prompts[0].arguments[1].name: expected \"x\" once, found it here and at 4:34"},
    {H "prompts:\n  - {name: a, arguments: [{name: x, required: on}]}\n",
     "4:47: prompts[0].arguments[0].required: expected boolean, found string \"on\": only true and "
     "false are boolean"},
    {H "prompts:\n  - {name: a, arguments: [{name: x, complete: {}}]}\n",
     "4:47: prompts[0].arguments[0].complete: expected library or a list of values, found object "
     "with 0 properties"},
    {H "prompts:\n  - {name: a, messages: []}\n",
     "4:25: prompts[0].messages: expected at least 1 item, found array of 0 items"},
    {H "prompts:\n  - {name: a, messages: [{role: system, text: x}]}\n",
     "4:33: prompts[0].messages[0].role: expected user or assistant, found string \"system\""},
    {H "prompts:\n  - {name: a, messages: [{role: user}]}\n",
     "4:26: prompts[0].messages[0]: expected property \"text\", found no \"text\""},
    {H "prompts:\n  - {name: a}\n  - {name: a}\n",
     "5:12: prompts[1].name: expected \"a\" once, found it here and at 4:12"},
    {H "prompts:\n  - {name: a, complete: {x: library}}\n",
     "4:15: unknown key \"complete\" in prompts[0], expected one of name, title, description, "
     "icons, _meta, arguments, messages"},
    {H "config: []\n", "3:9: config: expected object, found array of 0 items"},
    {H "config: {a: \"${env:HOME}\"}\n", "3:13: config.a: plugin w does not ask for env \"HOME\"; "
                                         "permissions: {env: [\"HOME\"]} in its "
                                         "manifest asks for it"},
    {H "permissions: {env: [HOME]}\nconfig: {a: \"${env:HOME}\"}\n",
     "4:13: config.a: plugin w asks for env \"HOME\" (for ${env:...} in config), which is not "
     "granted; grant it with --grant w.env.HOME or plugins: {w: {grants: {env: [HOME]}}} in the "
     "host config"},
    {H "config: {a: \"${file:/etc/passwd}\"}\n",
     "3:13: config.a: expected ${file:...} in the host config alone, found it in a manifest"},
    {H "config: {a: \"${foo}\"}\n", "3:13: config.a: expected ${env:NAME} or ${data}, found ${...} "
                                    "with \"foo\": write $${ for a literal ${"},
    {H "config: {a: \"${data\"}\n",
     "3:13: config.a: expected '}' behind ${, found the end of the text"},
    {H "config: {a: \"${env:}\"}\n",
     "3:13: config.a: expected ${env:NAME}, found \"\" as the name"},
    {H "config: {a: 5}\nconfig_schema: {type: object, properties: {a: {type: string}}}\n",
     "3:13: config.a: expected string, found number 5"},
    {H "config_schema: {type: object, required: [a]}\n",
     "3:16: config: expected property \"a\", found no \"a\""},
    {H "config: {}\nconfig_schema: {type: object, required: [a]}\n",
     "3:9: config: expected property \"a\", found no \"a\""},
    {H "config_schema: {type: objekt}\n",
     "3:23: config_schema.type: expected one of \"null\", \"boolean\", \"integer\", \"number\", "
     "\"string\", \"array\", \"object\", or a list of them, found string \"objekt\""},
    {H "config_schema: 5\n", "3:16: config_schema: expected boolean or object, found number 5"},
    {H "config: {a: {b: [1, x]}}\nconfig_schema: {properties: {a: {properties: {b: {items: {type: "
       "integer}}}}}}\n",
     "3:21: config.a.b[1]: expected integer, found string \"x\""},
};

START_TEST(each_slip_has_its_sentence)
{
    struct settings *s = settings_of(NULL, NULL, 0);
    char sentence[1024];
    snprintf(sentence, sizeof(sentence), "w.yaml:%s", refused[_i].sentence);
    refuse(s, refused[_i].yaml, sentence);
    settings_free(s);
}
END_TEST

START_TEST(instructions_have_2_kib)
{
    char yaml[4096];
    struct settings *s = settings_of(NULL, NULL, 0);
    int head = snprintf(yaml, sizeof(yaml), H "instructions: ");
    memset(yaml + head, 'x', 2049);
    yaml[head + 2049] = 0;
    refuse(s, yaml, "w.yaml:3:15: instructions: expected at most 2KiB, found 2049 bytes");
    yaml[head + 2048] = 0;
    struct manifest *m = read_with(s, &untrusted, yaml);
    ck_assert_uint_eq(m->instructions.n, 2048);
    manifest_free(m);
    settings_free(s);
}
END_TEST

/* Every default of manifests/examples/complete.yaml. */
START_TEST(defaults)
{
    struct manifest *m = read_one(H "tools: [{name: t}]\nresources: [{name: r, uri: \"a:b\"}]\n");
    const struct limits *l = &m->instance.limits;
    const struct breaker_spec *b = &m->instance.breaker;
    const struct worker_spec *w = &m->instance.worker;
    ck_str(m->id, "a.b");
    ck_str(m->name, "w");
    ck_assert_ptr_null(m->version.p);
    ck_assert_str_eq(m->library, "w.so");
    ck_assert_str_eq(m->directory, "/p");
    ck_assert_uint_eq(m->instructions.n, 0);
    ck_assert_uint_eq(m->prefix.n, 0);
    ck_assert(!m->trusted && m->enabled && !m->isolation_asked && !m->dynamic);
    ck_assert_int_eq(m->instance.isolation, ISOLATION_WORKER);
    ck_assert_int_eq(m->instance.load, LOAD_LAZY);
    ck_assert_int_eq(m->instance.reload, RELOAD_OVERLAP);
    ck_assert_uint_eq(m->catalogue_ttl, 60 * S);
    ck_assert_int_eq(m->catalogue_scope, CACHE_PUBLIC);
    ck_str(buf_view(&m->config), "{}");
    ck_assert_ptr_null(m->json_permissions.p);
    ck_assert(l->concurrency == 8 && l->queue == 64 && l->queue_wait == 5 * S);
    ck_assert(l->timeout == 30 * S && l->drain == 10 * S && l->loop_block == S / 20);
    ck_assert(l->request == 4 << 20 && l->result == 4 << 20);
    ck_assert(l->rate.per_second == 0 && l->log.per_second == 200 && l->log.burst == 200);
    ck_assert(b->failures == 5 && b->within == 60 * S && b->cooldown == 30 * S);
    ck_assert(w->processes == 1 && w->spare == 0 && w->idle == 300 * S && w->memory == 128 << 20);
    ck_assert(w->cpu == 1.0 && w->threads == 8 && w->fds == 64 && w->grace == S / 4);
    ck_assert(w->backoff_min == S / 10 && w->backoff_max == 30 * S);
    ck_assert(w->quarantine_crashes == 5 && w->quarantine_within == 60 * S);
    ck_assert_uint_eq(m->entries, 2);
    const struct entry_spec *t = &m->entry[0], *r = &m->entry[1];
    ck_str(t->json_input_schema, "{\"type\":\"object\"}");
    ck_assert_ptr_nonnull(t->input);
    ck_assert(!t->output && !t->json_output_schema.p && !t->cached && t->retry == RETRY_NEVER);
    ck_assert(t->task == TASK_FORBIDDEN && t->slow == S && t->needs_library);
    ck_assert_mem_eq(&t->limits, l, sizeof(*l));
    ck_assert(!t->json_title.p && !t->json_description.p && !t->json_icons.p);
    ck_assert(!t->json_annotations.p && !t->json_meta.p);
    ck_assert(r->kind == ENTRY_RESOURCE && !r->completes && !r->json_mime_type.p);
    ck_assert_uint_eq(m->dormants, 0);
    ck_assert_uint_eq(m->warnings, 0);
    manifest_free(m);
}
END_TEST

/* What the schemas tell an editor are the defaults that the host takes. */
START_TEST(schema_defaults_agree)
{
    static const char *const defs[] = {"limits", "breaker", "worker"};
    struct json_doc d = {0};
    struct json_error je;
    struct buf yaml = BUF_INIT(1 << 16);
    struct manifest *plain = read_one(H);
    ck_assert_int_eq(json_read(&d, builtin_text(BUILTIN_MANIFEST), &json_limits_default, &je), 0);
    buf_str(&yaml, STR(H));
    for (size_t i = 0; i < 3; i++) {
        json_ref def = json_get(&d, json_get(&d, 0, STR("$defs")), str_of(defs[i]));
        json_ref properties = json_get(&d, def, STR("properties"));
        buf_printf(&yaml, "%s:\n", defs[i]);
        json_each_member (&d, properties, k) {
            json_ref value = json_get(&d, k + 1, STR("default"));
            if (value)
                buf_printf(&yaml, "  %.*s: %.*s\n", STR_FMT(json_inner(&d, k)),
                           STR_FMT(json_raw(&d, value)));
            else
                ck_assert(json_string_eq(&d, k, STR("quarantine")));
        }
    }
    struct manifest *written = read_one(buf_cstr(&yaml));
    ck_assert_mem_eq(&written->instance, &plain->instance, sizeof(plain->instance));
    manifest_free(plain);
    manifest_free(written);
    buf_release(&yaml);
    json_doc_release(&d);
}
END_TEST

/* The parts that both schemas have are the same. */
START_TEST(schemas_share_their_definitions)
{
    static const char *const defs[] = {"duration", "size",   "rate",    "instance_name", "prefix",
                                       "env_name", "limits", "breaker", "worker"};
    struct json_doc m = {0}, h = {0};
    struct json_error je;
    ck_assert_int_eq(json_read(&m, builtin_text(BUILTIN_MANIFEST), &json_limits_default, &je), 0);
    ck_assert_int_eq(json_read(&h, builtin_text(BUILTIN_HOST), &json_limits_default, &je), 0);
    for (size_t i = 0; i < sizeof(defs) / sizeof(defs[0]); i++) {
        json_ref a = json_get(&m, json_get(&m, 0, STR("$defs")), str_of(defs[i]));
        json_ref b = json_get(&h, json_get(&h, 0, STR("$defs")), str_of(defs[i]));
        ck_assert_msg(a && b && json_equal(&m, a, &h, b), "%s", defs[i]);
    }
    json_doc_release(&m);
    json_doc_release(&h);
}
END_TEST

START_TEST(entries_are_verbatim_and_in_order)
{
    struct manifest *m = read_one(
        H "prompts: [{name: p, title: P, messages: [{role: user, text: Hi}]}]\n"
          "resources:\n"
          "- {name: t, uriTemplate: \"w:{id}\", complete: {id: library, x: [a, \"b\"]}}\n"
          "- {name: r, uri: \"w:s\", mimeType: a/b, size: 7, cache: {ttl: 5m, scope: public}}\n"
          "tools:\n"
          "- name: z\n"
          "  title: \"Z\\u00e9\"\n"
          "  description: \"a\\nb\"\n"
          "  icons: [{src: x, sizes: [any]}]\n"
          "  annotations: {readOnlyHint: true}\n"
          "  _meta: {a/b: [1.0]}\n"
          "  inputSchema: {properties: {b: {}, a: true}, type: object}\n"
          "  outputSchema: {type: array}\n"
          "  cache: {ttl: 60s}\n"
          "  retry: safe\n"
          "  task: {support: required}\n"
          "  slow: 2s\n"
          "- name: a\n");
    ck_assert_uint_eq(m->entries, 5);
    const struct entry_spec *z = &m->entry[0], *r = &m->entry[2], *t = &m->entry[3],
                            *p = &m->entry[4];
    ck_str(z->name, "z");
    ck_str(z->json_title, "\"Z\xC3\xA9\"");
    ck_str(z->json_description, "\"a\\nb\"");
    ck_str(z->json_icons, "[{\"src\":\"x\",\"sizes\":[\"any\"]}]");
    ck_str(z->json_annotations, "{\"readOnlyHint\":true}");
    ck_str(z->json_meta, "{\"a/b\":[1.0]}");
    ck_str(z->json_input_schema, "{\"properties\":{\"b\":{},\"a\":true},\"type\":\"object\"}");
    ck_str(z->json_output_schema, "{\"type\":\"array\"}");
    ck_assert(z->input && z->output && z->cached && z->cache_scope == CACHE_PRIVATE);
    ck_assert(z->cache_ttl == 60 * S && z->retry == RETRY_SAFE && z->task == TASK_REQUIRED);
    ck_assert(z->slow == 2 * S);
    ck_str(m->entry[1].name, "a");
    ck_assert(r->kind == ENTRY_RESOURCE && r->cache_scope == CACHE_PUBLIC &&
              r->cache_ttl == 300 * S);
    ck_str(r->uri, "w:s");
    ck_str(r->json_mime_type, "\"a/b\"");
    ck_str(r->json_size, "7");
    ck_assert(t->kind == ENTRY_TEMPLATE && t->completes == 2 && t->complete[0].library);
    ck_str(t->uri, "w:{id}");
    ck_str(t->complete[1].argument, "x");
    ck_str(t->complete[1].json_values, "[\"a\",\"b\"]");
    ck_assert(p->kind == ENTRY_PROMPT && !p->needs_library);
    ck_str(p->json_messages, "[{\"role\":\"user\",\"text\":\"Hi\"}]");
    ck_str(p->json_title, "\"P\"");
    manifest_free(m);
}
END_TEST

START_TEST(prompt_arguments)
{
    struct manifest *m =
        read_one(H "prompts:\n- name: p\n  arguments:\n"
                   "  - {name: x, description: d, required: true, complete: [u, v]}\n"
                   "  - {name: y, complete: library}\n"
                   "  messages: [{role: assistant, text: \"{{x}} {{y}} {{ z }} {{\"}]\n"
                   "- {name: q, arguments: [{name: x, title: X}]}\n");
    const struct entry_spec *p = &m->entry[0], *q = &m->entry[1];
    ck_assert(p->arguments == 2 && p->argument[0].required && !p->argument[1].required);
    ck_str(p->argument[1].name, "y");
    ck_str(p->json_arguments,
           "[{\"name\":\"x\",\"description\":\"d\",\"required\":true},{\"name\":\"y\"}]");
    ck_assert(p->completes == 2 && !p->complete[0].library && p->complete[1].library);
    ck_str(p->complete[0].json_values, "[\"u\",\"v\"]");
    ck_str(q->json_arguments, "[{\"name\":\"x\",\"title\":\"X\"}]");
    ck_assert(q->needs_library && !p->needs_library && m->warnings == 0);
    manifest_free(m);
    m = read_one(H "prompts: [{name: p, messages: [{role: user, text: \"{{x}}\"}]}]\n");
    ck_assert_uint_eq(m->warnings, 1);
    ck_assert_str_eq(m->warning[0],
                     "/p/w.yaml:3:51: prompts[0].messages[0].text: expected the name "
                     "of an argument in {{ }}, found \"x\"");
    manifest_free(m);
}
END_TEST

START_TEST(library_only_where_needed)
{
    static const struct {
        const char *yaml, *library;
    } t[] = {
        {H "prompts: [{name: p, messages: [{role: user, text: Hi}]}]\n", NULL},
        {H "library: x.so\nprompts: [{name: p, messages: [{role: user, text: Hi}]}]\n", "x.so"},
        {H "prompts: [{name: p, arguments: [{name: a, complete: library}], messages: [{role: user, "
           "text: Hi}]}]\n",
         "w.so"},
        {H "prompts: [{name: p}]\n", "w.so"},
        {H "catalogue: {dynamic: true}\n", "w.so"},
        {H "tools: [{name: t}]\nlibrary: other.so\n", "other.so"},
    };
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct manifest *m = read_one(t[i].yaml);
        if (t[i].library)
            ck_assert_str_eq(m->library, t[i].library);
        else
            ck_assert_ptr_null(m->library);
        manifest_free(m);
    }
}
END_TEST

START_TEST(names_from_the_file)
{
    struct settings *s = settings_of(NULL, NULL, 0);
    struct manifest *m;
    struct err e;
    ck_assert_int_eq(manifest_parse(s, &untrusted, STR(H), "weather-2.yml", &m, &e), 0);
    ck_str(m->name, "weather-2");
    ck_assert_str_eq(m->directory, ".");
    ck_assert_str_eq(m->library, "weather-2.so");
    manifest_free(m);
    ck_assert_int_lt(manifest_parse(s, &untrusted, STR(H), "/p/My Tools.yaml", &m, &e), 0);
    ck_assert_str_eq(e.text,
                     "/p/My Tools.yaml:1:1: expected `name` with [a-z][a-z0-9_-]{0,31}, found "
                     "none, and the file's stem \"My Tools\" is no such name");
    ck_assert_int_eq(manifest_parse(s, &untrusted, STR(H "name: w2\n"), "/My Tools.yaml", &m, &e),
                     0);
    ck_str(m->name, "w2");
    ck_assert_str_eq(m->directory, "/");
    ck_assert_str_eq(m->library, "My Tools.so");
    manifest_free(m);
    settings_free(s);
}
END_TEST

/* built-in, defaults, manifest, plugins.NAME, --set: each wins over what stands before it. */
START_TEST(later_layers_win)
{
    static const char *const set[] = {"w.limits.queue=5", "w.config.e=[5]", "w.config.o.e=5"};
    struct settings *s = settings_of(
        "manifold: 1\n"
        "defaults: {load: eager, reload: handover, limits: {concurrency: 2, timeout: 2s, queue: 2, "
        "request: 2KiB}, breaker: {failures: 2}, worker: {threads: 2, quarantine: {crashes: 2}}}\n"
        "plugins: {w: {limits: {timeout: 4s, queue: 4}, prefix: host, worker: {threads: 4}, "
        "config: {b: 4, c: {x: 4}, d: 4, e: 4, o: {d: 4, e: 4}}}, other: {limits: {timeout: "
        "9s}}}\n",
        set, 3);
    struct manifest *m =
        read_with(s, &untrusted,
                  H "limits: {concurrency: 3, timeout: 3s, queue: 3}\nprefix: mine\n"
                    "breaker: {failures: 3}\nload: lazy\n"
                    "config: {a: 3, b: 3, c: {x: 3, y: 3}, d: {z: 3}, e: 3, o: {a: 3}}\n");
    const struct limits *l = &m->instance.limits;
    ck_assert_uint_eq(l->drain, 10 * S);
    ck_assert_uint_eq(l->request, 2048);
    ck_assert_uint_eq(l->concurrency, 3);
    ck_assert_uint_eq(l->timeout, 4 * S);
    ck_assert_uint_eq(l->queue, 5);
    ck_assert_uint_eq(m->instance.breaker.failures, 3);
    ck_assert_uint_eq(m->instance.worker.threads, 4);
    ck_assert_uint_eq(m->instance.worker.quarantine_crashes, 2);
    ck_assert_int_eq(m->instance.load, LOAD_LAZY);
    ck_assert_int_eq(m->instance.reload, RELOAD_HANDOVER);
    ck_str(m->prefix, "host");
    ck_str(buf_view(&m->config), "{\"a\":3,\"b\":4,\"c\":{\"x\":4,\"y\":3},\"d\":4,\"e\":[5],"
                                 "\"o\":{\"a\":3,\"d\":4,\"e\":5}}");
    manifest_free(m);
    settings_free(s);
}
END_TEST

START_TEST(prefixes)
{
    struct settings *s = settings_of("manifold: 1\nplugins: {x: {prefix: \"\"}}\n", NULL, 0);
    const struct source with = {.path = "/p", .prefix = STR("src")};
    struct manifest *m = read_with(s, &with, H);
    ck_str(m->prefix, "src");
    manifest_free(m);
    m = read_with(s, &with, H "prefix: \"\"\n");
    ck_assert(m->prefix.p && m->prefix.n == 0);
    manifest_free(m);
    m = read_with(s, &with, H "name: x\nprefix: wx\n");
    ck_assert(m->prefix.p && m->prefix.n == 0);
    manifest_free(m);
    settings_free(s);
}
END_TEST

START_TEST(ceilings_cut_with_a_warning)
{
    static const char *const set[] = {"w.limits.timeout=20m"};
    struct settings *s = settings_of("manifold: 1\nceilings: {limits: {queue: 10, rate: 5/s, "
                                     "concurrency: 4}, worker: {cpu: 1.5}}\n",
                                     set, 1);
    struct manifest *m = read_with(
        s, &untrusted, H "limits: {queue: 20, result: 9MiB}\nworker: {cpu: 2, memory: 2GiB}\n");
    const struct limits *l = &m->instance.limits;
    ck_assert(l->queue == 10 && l->timeout == 600 * S && l->result == 8 << 20 &&
              l->concurrency == 4);
    ck_assert(l->rate.per_second == 5 && m->instance.worker.cpu == 1.5);
    ck_assert_uint_eq(m->instance.worker.memory, 1 << 30);
    /* What nobody wrote (concurrency, rate) is cut in silence. */
    ck_assert_uint_eq(m->warnings, 5);
    ck_assert_str_eq(
        m->warning[0],
        "/p/w.yaml:3:17: limits.queue: expected at most the host's ceiling 10, found 20: cut");
    ck_assert_str_eq(m->warning[1],
                     "--set w.limits.timeout: plugins.w.limits.timeout: expected at most "
                     "the host's ceiling 10m, found 20m: cut");
    ck_assert_str_eq(m->warning[2],
                     "/p/w.yaml:3:29: limits.result: expected at most the host's ceiling "
                     "8MiB, found 9MiB: cut");
    manifest_free(m);
    settings_free(s);
}
END_TEST

START_TEST(tool_limits_stay_below_the_plugins)
{
    struct manifest *m = read_one(
        H "limits: {concurrency: 4, queue: 0, timeout: 5s, rate: 10/s}\n"
          "tools:\n- {name: a, limits: {concurrency: 2, timeout: 1s, rate: 20/s, result: 1KiB}}\n"
          "- {name: b, limits: {queue: 3, timeout: 6s}}\n- {name: c}\n");
    const struct limits *a = &m->entry[0].limits, *b = &m->entry[1].limits,
                        *c = &m->entry[2].limits;
    ck_assert(a->concurrency == 2 && a->timeout == S && a->rate.per_second == 10 &&
              a->result == 1024);
    ck_assert(b->concurrency == 4 && b->queue == 0 && b->timeout == 5 * S);
    ck_assert_mem_eq(c, &m->instance.limits, sizeof(*c));
    ck_assert_uint_eq(m->warnings, 3);
    ck_assert_str_eq(m->warning[0],
                     "/p/w.yaml:5:57: tools[0].limits.rate: expected at most the plugin's "
                     "10/s, found 20/s: cut");
    ck_assert_str_eq(m->warning[2], "/p/w.yaml:6:41: tools[1].limits.timeout: expected at most the "
                                    "plugin's 5s, found 6s: cut");
    manifest_free(m);
}
END_TEST

START_TEST(warnings_are_bounded)
{
    struct manifest *m =
        read_one(H "tools:\n- name: a\n  limits: {queue: 65, concurrency: 9, timeout: 31s}\n"
                   "- name: b\n  limits: {queue: 65, concurrency: 9, timeout: 31s}\n"
                   "- name: c\n  limits: {queue: 65, concurrency: 9, timeout: 31s}\n");
    ck_assert_uint_eq(m->warnings, 8);
    ck_assert_str_eq(m->warning[7], "/p/w.yaml: there are more warnings than these");
    manifest_free(m);
}
END_TEST

START_TEST(inproc_only_where_trusted)
{
    struct settings *s =
        settings_of("manifold: 1\nplugins: {no: {trust: false}, yes: {trust: true}}\n", NULL, 0);
    struct manifest *m = read_with(s, &trusted, H "isolation: inproc\n");
    ck_assert(m->instance.isolation == ISOLATION_INPROC && m->isolation_asked && !m->warnings);
    manifest_free(m);
    m = read_with(s, &untrusted, H "isolation: inproc\n");
    ck_assert(m->instance.isolation == ISOLATION_WORKER && m->isolation_asked && m->warnings == 1);
    ck_assert_str_eq(m->warning[0],
                     "/p/w.yaml:3:12: isolation: expected worker where the source is not "
                     "trusted, found inproc: it runs as worker");
    manifest_free(m);
    m = read_with(s, &trusted, H "isolation: inproc\nname: no\n");
    ck_assert(!m->trusted && m->instance.isolation == ISOLATION_WORKER);
    manifest_free(m);
    m = read_with(s, &untrusted, H "isolation: inproc\nname: yes\n");
    ck_assert(m->trusted && m->instance.isolation == ISOLATION_INPROC);
    manifest_free(m);
    settings_free(s);
    s = settings_of("manifold: 1\ndefaults: {isolation: inproc}\n", NULL, 0);
    m = read_with(s, &untrusted, H);
    ck_assert(m->instance.isolation == ISOLATION_WORKER && m->isolation_asked && m->warnings == 1);
    manifest_free(m);
    m = read_with(s, &trusted, H "isolation: worker\n");
    ck_assert(m->instance.isolation == ISOLATION_WORKER && m->isolation_asked && !m->warnings);
    manifest_free(m);
    settings_free(s);
}
END_TEST

START_TEST(hidden_entries_are_gone)
{
    struct settings *s = settings_of(
        "manifold: 1\nplugins:\n  w:\n    enabled: false\n    hide: [\"debug_*\", p, \"x?\"]\n",
        NULL, 0);
    struct manifest *m = read_with(
        s, &untrusted,
        H
        "tools: [{name: debug_a}, {name: a}, {name: debug_b}, {name: xy}]\nprompts: [{name: p}]\n");
    ck_assert(!m->enabled && m->entries == 1 && m->warnings == 0);
    ck_str(m->entry[0].name, "a");
    manifest_free(m);
    m = read_with(s, &untrusted, H "tools: [{name: debug_a}, {name: p}]\n");
    ck_assert(m->entries == 0 && m->warnings == 1);
    ck_assert_ptr_nonnull(
        strstr(m->warning[0],
               ":5:26: plugins.w.hide[2]: expected a glob that matches an entry, found \"x?\""));
    manifest_free(m);
    settings_free(s);
}
END_TEST

START_TEST(expansion)
{
    char host[512];
    setenv("TEST_A", "va\"lue ${env:TEST_B}", 1);
    setenv("TEST_BAD", "\xFF", 1);
    unsetenv("TEST_UNSET");
    char secret[64];
    snprintf(secret, sizeof(secret), "%s", temporary("s3cret\n"));
    snprintf(host, sizeof(host),
             "manifold: 1\ndata: /d\nplugins: {w: {config: {f: \"<${file:%s}>\", e: "
             "\"${env:TEST_A}\", d: \"${data}\"}}, "
             "u: {config: {e: \"${env:TEST_UNSET}\"}}, b: {config: {e: \"${env:TEST_BAD}\"}}, m: "
             "{config: {f: \"${file:/nonexistent}\"}}, k: {config: {f: \"${file:/}\"}}}\n",
             secret);
    struct settings *s = settings_of(host, NULL, 0);
    struct manifest *m = read_with(s, &untrusted,
                                   H "config: {a: \"${data}/x\", b: \"$${env:X} $$ $x\", "
                                     "\"${data}\": [\"${data}\"], c: \"$$${data}\"}\n");
    /* One pass: what a variable brings is not read again. */
    ck_str(
        buf_view(&m->config),
        "{\"a\":\"/d/w/x\",\"b\":\"${env:X} $$ $x\",\"${data}\":[\"/d/w\"],"
        "\"c\":\"$${data}\",\"f\":\"<s3cret>\",\"e\":\"va\\\"lue ${env:TEST_B}\",\"d\":\"/d/w\"}");
    manifest_free(m);
    static const struct {
        const char *yaml, *sentence;
    } t[] = {{H "name: u\n", "expected the environment variable TEST_UNSET, found it unset"},
             {H "name: b\n",
              "expected UTF-8 in the environment variable TEST_BAD, found something else"},
             {H "name: m\n", "/nonexistent: can't be opened: No such file or directory"},
             {H "name: k\n", "/: expected a regular file, found something else"}};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct err e = {{0}};
        ck_assert_int_lt(manifest_parse(s, &untrusted, str_of(t[i].yaml), "w.yaml", &m, &e), 0);
        ck_assert_msg(strstr(e.text, t[i].sentence) && strstr(e.text, ":3:"), "%s", e.text);
    }
    unlink(secret);
    settings_free(s);
}
END_TEST

START_TEST(expansion_is_bounded)
{
    struct settings *s =
        settings_of("manifold: 1\ndata: /a/rather/long/path/to/the/data/of/plugins\n", NULL, 0);
    struct buf yaml = BUF_INIT(1 << 18);
    buf_lit(&yaml, H "config: {a: \"");
    for (int i = 0; i < 30000; i++)
        buf_lit(&yaml, "${data}");
    buf_lit(&yaml, "\"}\n");
    refuse(s, buf_cstr(&yaml),
           "w.yaml:3:13: config.a: expected at most 1 MiB after expansion, found more");
    buf_clear(&yaml, 0);
    buf_lit(&yaml, H "config: {a: [");
    for (int i = 0; i < 15000; i++)
        buf_lit(&yaml, "\"${data}${data}\",");
    buf_lit(&yaml, "]}\n");
    refuse(s, buf_cstr(&yaml),
           "w.yaml:3:9: config: expected at most 1 MiB of config after expansion, found more");
    buf_release(&yaml);
    settings_free(s);
}
END_TEST

START_TEST(variables_need_request_and_grant)
{
    static const char asks[] = H "permissions: {env: [TEST_A]}\nconfig: {a: \"${env:TEST_A}\"}\n";
    static const char *const set[] = {"w.grants=asked"};
    setenv("TEST_A", "v", 1);
    struct settings *none = settings_of(NULL, NULL, 0), *asked = settings_of(NULL, set, 1);
    struct settings *named =
        settings_of("manifold: 1\nplugins: {w: {grants: {env: [TEST_A]}}}\n", NULL, 0);
    struct settings *others =
        settings_of("manifold: 1\nplugins: {w: {grants: {env: [TEST_B]}}}\n", NULL, 0);
    const struct {
        const struct settings *s;
        const struct source *source;
        bool ok;
    } t[] = {{none, &trusted, true},
             {none, &untrusted, false},
             {asked, &untrusted, true},
             {named, &untrusted, true},
             {others, &untrusted, false}};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        struct manifest *m = NULL;
        struct err e;
        int r = manifest_parse(t[i].s, t[i].source, str_of(asks), "w.yaml", &m, &e);
        ck_assert_int_eq(r == 0, t[i].ok);
        if (t[i].ok)
            ck_str(buf_view(&m->config), "{\"a\":\"v\"}");
        else
            ck_assert_str_eq(
                e.text,
                "w.yaml:4:13: config.a: plugin w asks for env \"TEST_A\" (for ${env:...} in "
                "config), "
                "which is not granted; grant it with --grant w.env.TEST_A or plugins: {w: {grants: "
                "{env: [TEST_A]}}} in the host config");
        manifest_free(r ? NULL : m);
    }
    /* A grant of what was not asked for grants nothing. */
    refuse(named, H "config: {a: \"${env:TEST_A}\"}\n",
           "w.yaml:3:13: config.a: plugin w does not ask for env \"TEST_A\"; permissions: {env: "
           "[\"TEST_A\"]} in its manifest asks for it");
    settings_free(none);
    settings_free(asked);
    settings_free(named);
    settings_free(others);
}
END_TEST

START_TEST(config_is_checked_after_merging)
{
    static const char yaml[] = H "config: {a: x}\nconfig_schema: {type: object, properties: {a: "
                                 "{type: string, maxLength: 3}}, required: [b]}\n";
    setenv("TEST_SECRET", "verysecret", 1);
    struct settings *s = settings_of("manifold: 1\nplugins: {w: {config: {b: 1}}, x: {config: {a: "
                                     "\"${env:TEST_SECRET}\", b: 1}}}\n",
                                     NULL, 0);
    struct manifest *m = read_with(s, &untrusted, yaml);
    ck_str(buf_view(&m->config), "{\"a\":\"x\",\"b\":1}");
    manifest_free(m);
    struct err e;
    ck_assert_int_lt(manifest_parse(s, &untrusted, str_of(yaml), "x.yaml", &m, &e), 0);
    ck_assert_msg(strstr(e.text, ":2:48: plugins.x.config.a: expected at most 3 characters, found "
                                 "something else after expansion"),
                  "%s", e.text);
    ck_assert_int_lt(manifest_parse(s, &untrusted, str_of(yaml), "y.yaml", &m, &e), 0);
    ck_assert_str_eq(e.text, "y.yaml:3:9: config: expected property \"b\", found no \"b\"");
    settings_free(s);
}
END_TEST

START_TEST(dormant_keys_are_those_that_were_written)
{
    static const char *const expected[] = {"catalogue.dynamic", "tools.retry", "grants.tcp"};
    struct settings *s = settings_of(
        "manifold: 1\nplugins: {w: {grants: {tcp: {a: {}}, env: []}, reload: overlap}}\n", NULL, 0);
    struct manifest *m = read_with(
        s, &untrusted,
        H "reload: overlap\nlimits: {drain: 1s, timeout: 1s}\ncatalogue: {dynamic: true, ttl: 1s}\n"
          "tools: [{name: a}, {name: b, retry: safe}, {name: c, retry: safe}]\n"
          "resources: [{name: r, uri: \"a:b\", subscribe: true}]\n");
    ck_assert_uint_eq(m->dormants, 3);
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_str_eq(m->dormant[i], expected[i]);
    ck_assert(m->entry[3].kind == ENTRY_RESOURCE && m->entry[3].subscribe);
    manifest_free(m);
    settings_free(s);
}
END_TEST

static int read_file(int dirfd, const char *file, struct err *e)
{
    const struct source source = {.path = "/shown"};
    struct settings *s = settings_of(NULL, NULL, 0);
    struct manifest *m = NULL;
    int r = manifest_read(s, &source, dirfd, file, &m, e);
    if (!r)
        ck_assert_str_eq(m->directory, "/shown");
    manifest_free(m);
    settings_free(s);
    return r;
}

START_TEST(files_must_be_our_own_and_regular)
{
    char dir[] = "/tmp/test_config_manifest.XXXXXX";
    struct err e;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    int at = open(dir, O_RDONLY | O_DIRECTORY);
    int fd = openat(at, "a.yaml", O_CREAT | O_WRONLY, 0644);
    ck_assert_int_eq(write(fd, H, sizeof(H) - 1), sizeof(H) - 1);
    ck_assert_int_eq(read_file(at, "a.yaml", &e), 0);
    ck_assert_int_eq(fchmod(fd, 0646), 0);
    ck_assert_int_lt(read_file(at, "a.yaml", &e), 0);
    ck_assert_str_eq(
        e.text, "/shown/a.yaml: expected a file that not everybody can write, found mode 0646");
    /* The private group has the number of the user. */
    if (geteuid() == 0) {
        ck_assert_int_eq(fchmod(fd, 0664), 0);
        ck_assert_int_eq(read_file(at, "a.yaml", &e), 0);
        ck_assert_int_eq(fchown(fd, 0, 12345), 0);
        ck_assert_int_lt(read_file(at, "a.yaml", &e), 0);
        ck_assert_str_eq(e.text, "/shown/a.yaml: expected a file that only its owner can write, "
                                 "found mode 0664 and group 12345");
        ck_assert_int_eq(fchmod(fd, 0644), 0);
        ck_assert_int_eq(fchown(fd, 12345, 0), 0);
        ck_assert_int_lt(read_file(at, "a.yaml", &e), 0);
        ck_assert_str_eq(
            e.text, "/shown/a.yaml: expected a file of root or of user 0, found one of user 12345");
    }
    ck_assert_int_eq(symlinkat("a.yaml", at, "l.yaml"), 0);
    ck_assert_int_eq(read_file(at, "l.yaml", &e), -ELOOP);
    ck_assert_str_eq(e.text, "/shown/l.yaml: expected a regular file, found a symbolic link");
    ck_assert_int_eq(mkfifoat(at, "f.yaml", 0600), 0);
    ck_assert_int_lt(read_file(at, "f.yaml", &e), 0);
    ck_assert_str_eq(e.text, "/shown/f.yaml: expected a regular file, found a pipe");
    ck_assert_int_eq(mkdirat(at, "d.yaml", 0700), 0);
    ck_assert_int_lt(read_file(at, "d.yaml", &e), 0);
    ck_assert_str_eq(e.text, "/shown/d.yaml: expected a regular file, found a directory");
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s/s.yaml", dir);
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(sock, (struct sockaddr *)&name, sizeof(name)), 0);
    ck_assert_int_lt(read_file(at, "s.yaml", &e), 0);
    ck_assert_str_eq(e.text, "/shown/s.yaml: expected a regular file, found a socket");
    ck_assert_int_eq(read_file(at, "none.yaml", &e), -ENOENT);
    ck_assert_str_eq(e.text, "/shown/none.yaml: can't be opened: No such file or directory");
    static const char *const files[] = {"a.yaml", "l.yaml", "f.yaml", "s.yaml"};
    for (size_t i = 0; i < 4; i++)
        unlinkat(at, files[i], 0);
    unlinkat(at, "d.yaml", AT_REMOVEDIR);
    close(sock);
    close(fd);
    close(at);
    rmdir(dir);
}
END_TEST

/* Empty, so that reading it fails, when there is none. */
static char *example(const char *name)
{
    static char text[65536];
    char path[1024];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof(path), "%.*s../../manifests/examples/%s", (int)(slash + 1 - __FILE__),
             __FILE__, name);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    text[n] = 0;
    if (f)
        fclose(f);
    return text;
}

START_TEST(examples_are_read)
{
    struct settings *s = settings_of(NULL, NULL, 0);
    struct manifest *minimal = read_with(s, &untrusted, example("minimal.yaml"));
    struct manifest *plain = read_with(s, &untrusted, H);
    struct manifest *complete = read_with(s, &untrusted, example("complete.yaml"));
    ck_assert_uint_eq(minimal->entries, 1);
    ck_assert_uint_eq(complete->entries, 4);
    ck_assert_uint_eq(complete->warnings, 0);
    /* Its limits, breaker and worker are the defaults. */
    ck_assert_mem_eq(&complete->instance, &plain->instance, sizeof(plain->instance));
    manifest_free(minimal);
    manifest_free(plain);
    manifest_free(complete);
    settings_free(s);
}
END_TEST

/* complete.yaml has every key of the schema, so that none is forgotten in either. */
START_TEST(the_complete_example_is_complete)
{
    struct settings *s = settings_of(NULL, NULL, 0);
    struct manifest *m = read_with(s, &untrusted, example("complete.yaml"));
    struct json_doc d = {0};
    struct json_error je;
    ck_assert_int_eq(json_read(&d, builtin_text(BUILTIN_MANIFEST), &json_limits_default, &je), 0);
    json_ref properties = json_get(&d, 0, STR("properties"));
    json_ref tool = json_get(&d, json_get(&d, 0, STR("$defs")), STR("tool"));
    json_each_member (&d, properties, k)
        ck_assert_msg(json_get(&m->doc.json, 0, json_inner(&d, k)), "%.*s",
                      STR_FMT(json_inner(&d, k)));
    tool = json_get(&d, tool, STR("properties"));
    json_each_member (&d, tool, k)
        ck_assert_msg(json_get(&m->doc.json, m->entry[0].node, json_inner(&d, k)), "%.*s",
                      STR_FMT(json_inner(&d, k)));
    json_doc_release(&d);
    manifest_free(m);
    settings_free(s);
}
END_TEST

static void bench_one(const struct settings *s, const char *name, unsigned n)
{
    struct manifest **m = calloc(n, sizeof(struct manifest *));
    struct str text = str_of(example(name));
    struct err e;
    uint64_t start = clock_ns();
    if (manifest_parse(s, &untrusted, text, "w.yaml", &m[0], &e))
        return;
    uint64_t first = clock_ns() - start;
    manifest_free(m[0]);
    size_t before = mallinfo2().uordblks;
    start = clock_ns();
    for (unsigned i = 0; i < n; i++)
        manifest_parse(s, &untrusted, text, "w.yaml", &m[i], &e);
    uint64_t all = clock_ns() - start;
    printf("%s: first %.0f us, then %.1f us and %zu bytes each\n", name, (double)first / 1000,
           (double)all / 1000 / n, (mallinfo2().uordblks - before) / n);
    for (unsigned i = 0; i < n; i++)
        manifest_free(m[i]);
    free(m);
}

static int bench(unsigned n)
{
    static const char *const plugins[] = {"/p"};
    const struct settings_args args = {.plugins = plugins, .plugins_count = 1};
    struct settings *s;
    struct err e;
    if (settings_read(&args, &s, &e))
        return 1;
    bench_one(s, "minimal.yaml", n);
    bench_one(s, "complete.yaml", n);
    settings_free(s);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--bench") == 0 && atoi(argv[2]) > 0)
        return bench((unsigned)atoi(argv[2]));
    Suite *s = suite_create("config manifest");
    TCase *t = tcase_create("all");
    tcase_add_loop_test(t, each_slip_has_its_sentence, 0, sizeof(refused) / sizeof(refused[0]));
    tcase_add_test(t, instructions_have_2_kib);
    tcase_add_test(t, defaults);
    tcase_add_test(t, schema_defaults_agree);
    tcase_add_test(t, schemas_share_their_definitions);
    tcase_add_test(t, entries_are_verbatim_and_in_order);
    tcase_add_test(t, prompt_arguments);
    tcase_add_test(t, library_only_where_needed);
    tcase_add_test(t, names_from_the_file);
    tcase_add_test(t, later_layers_win);
    tcase_add_test(t, prefixes);
    tcase_add_test(t, ceilings_cut_with_a_warning);
    tcase_add_test(t, tool_limits_stay_below_the_plugins);
    tcase_add_test(t, warnings_are_bounded);
    tcase_add_test(t, inproc_only_where_trusted);
    tcase_add_test(t, hidden_entries_are_gone);
    tcase_add_test(t, expansion);
    tcase_add_test(t, expansion_is_bounded);
    tcase_add_test(t, variables_need_request_and_grant);
    tcase_add_test(t, config_is_checked_after_merging);
    tcase_add_test(t, dormant_keys_are_those_that_were_written);
    tcase_add_test(t, files_must_be_our_own_and_regular);
    tcase_add_test(t, examples_are_read);
    tcase_add_test(t, the_complete_example_is_complete);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}
