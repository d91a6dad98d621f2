/* tests/unit/mcp_client.h - a host with a plugin inside the test program, and a client on a stream
 * that keeps what it is sent.  Every message is checked to be one line of JSON. */
#ifndef TESTS_UNIT_MCP_CLIENT_H
#define TESTS_UNIT_MCP_CLIENT_H

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include "json/writer.h"
#include "mcp/session.h"
#include "runtime/internal.h"

static const char client_manifest[] =
    "manifold: 1\n"
    "id: org.example.fake\n"
    "name: fake\n"
    "instructions: Ask it.\n"
    "limits: { concurrency: 64, queue: 1, request: 4KiB, result: 64KiB, timeout: 20s }\n"
    "catalogue: { ttl: 5s, scope: private }\n"
    "tools:\n"
    "  - name: echo\n"
    "    title: An echo\n"
    "    description: Says it again\n"
    "    annotations: { readOnlyHint: true }\n"
    "    icons: [{ src: \"https://example.org/i.png\" }]\n"
    "    _meta: { \"example.org/x\": 1 }\n"
    "    inputSchema: { type: object, properties: { place: { type: string } } }\n"
    "  - { name: needs, description: d, inputSchema: { type: object, required: [place] } }\n"
    "  - { name: blocks, description: d }\n"
    "  - { name: number, description: d, outputSchema: { \"$schema\": "
    "\"https://json-schema.org/draft/2020-12/schema\", \"$ref\": \"#/$defs/n\", \"$defs\": { n: { "
    "type: integer } } } }\n"
    "  - { name: pair, description: d, outputSchema: { type: object, properties: { a: { type: "
    "integer } } } }\n"
    "  - { name: bare, description: d }\n"
    "  - { name: hold, description: d }\n"
    "  - { name: noisy, description: d }\n"
    "  - { name: fail, description: d }\n"
    "  - { name: badparams, description: d }\n"
    "  - { name: fault, description: d }\n"
    "  - { name: single, description: d, limits: { concurrency: 1 } }\n"
    "resources:\n"
    "  - { name: notes, uri: \"x://notes\", mimeType: text/plain, title: Notes, subscribe: true }\n"
    "  - { name: cached, uri: \"x://cached\", cache: { ttl: 7s, scope: public } }\n"
    "  - { name: gone, uri: \"x://gone\" }\n"
    "  - { name: broken, uri: \"x://broken\" }\n"
    "  - { name: item, uriTemplate: \"x://item/{id}\", complete: { id: library }, subscribe: true "
    "}\n"
    "prompts:\n"
    "  - name: brief\n"
    "    title: Brief\n"
    "    description: A brief\n"
    "    arguments: [{ name: place, required: true, complete: [Paris, Parma, \"caf\xc3\xa9\"] }, "
    "{ name: when }]\n"
    "    messages: [{ role: user, text: \"Weather in {{place}} {{ when }}, {{place}}!\" }, { role: "
    "assistant, text: \"a \\\"quote\\\"\" }]\n"
    "  - { name: asked, description: d, arguments: [{ name: q, required: true }] }\n";

static struct client {
    uv_loop_t loop;
    struct host host;
    struct source source;
    struct session *session;
    struct stream stream;
    struct buf out; /* lines */
    size_t mark;    /* where the message begins */
    size_t limit;   /* longest message that fits */
    bool is_congested, stopped;
    unsigned idle;
    mf_call held[600];
    unsigned helds, cancels;
    char args[8192], uri[256], meta[1024]; /* of the last call */
} client;

/* --- the plugin --- */

static mf_bytes client_lit(const char *s)
{
    return (mf_bytes){s, strlen(s)};
}

static const mf_host *client_api(void)
{
    return &client.host.instance[0]->host;
}

static void client_keep(char *out, size_t size, mf_bytes b)
{
    snprintf(out, size, "%.*s", (int)b.len, b.len ? b.data : "");
}

static void client_finish(mf_call call, int how, const char *detail)
{
    client_api()->finish(client_api(), call, how, client_lit(detail));
}

static void client_blocks(mf_call call)
{
    const mf_host *h = client_api();
    h->text(h, call, client_lit("t"));
    h->block(h, call,
             client_lit("{\"type\":\"audio\",\"data\":\"AAAA\",\"mimeType\":\"audio/wav\"}"));
    h->block(h, call,
             client_lit("{\"type\":\"resource_link\",\"uri\":\"x://n\",\"name\":\"N \\\"q\\\"\"}"));
    h->block(h, call, client_lit("{\"type\":\"text\",\"text\":\"m\",\"_meta\":{\"a\":1}}"));
}

static void client_completion(mf_call call, const char *args)
{
    const mf_host *h = client_api();
    char text[4096] = "{\"values\":[\"0\"", *p = text + strlen(text);
    bool bad = strstr(args, "\"bad\"") != NULL, many = strstr(args, "\"many\"") != NULL;
    for (int i = 1; many && i < 150; i++)
        p += snprintf(p, 16, ",\"%d\"", i);
    snprintf(p, 32, "%s],\"total\":%d,\"x\":1}", bad ? ",3" : "", many ? 150 : 1);
    h->structured(h, call, client_lit(text));
}

static void client_call(void *self, const mf_request *rq)
{
    const mf_host *h = self;
    struct str name = client.host.manifest[0]->entry[rq->index].name;
    client_keep(client.args, sizeof(client.args), rq->args);
    client_keep(client.uri, sizeof(client.uri), rq->uri);
    client_keep(client.meta, sizeof(client.meta), rq->meta);
    int how = MF_DONE;
    if (rq->kind == MF_COMPLETION)
        client_completion(rq->call, client.args);
    else if (str_eq(name, STR("blocks")))
        client_blocks(rq->call);
    else if (str_eq(name, STR("number")))
        h->structured(h, rq->call, client_lit("42"));
    else if (str_eq(name, STR("bare")))
        h->structured(h, rq->call, client_lit("[1]"));
    else if (str_eq(name, STR("pair")))
        h->structured(h, rq->call, client_lit("{\"a\":1}"));
    else if (str_eq(name, STR("badparams")))
        how = MF_BAD_PARAMS;
    else if (str_eq(name, STR("gone")))
        how = MF_NOT_FOUND;
    else if (str_eq(name, STR("fault")) || str_eq(name, STR("broken")))
        how = MF_FAULT;
    else
        h->text(h, rq->call, rq->args);
    if (str_eq(name, STR("fail")))
        how = MF_TOOL_ERROR;
    if (str_eq(name, STR("noisy"))) {
        h->progress(h, rq->call, 0.5, 2, client_lit("half"));
        h->log(h, MF_LOG_INFO, rq->call, client_lit("an \"info\""));
        h->log(h, MF_LOG_DEBUG, rq->call, client_lit("a debug"));
    }
    if (str_eq(name, STR("hold")) || str_eq(name, STR("noisy")) || str_eq(name, STR("single")))
        client.held[client.helds++] = rq->call;
    else
        client_finish(rq->call, how, "no good");
}

static void client_cancel(void *self, mf_call call)
{
    (void)self, (void)call;
    client.cancels++;
}

static void client_close(void *self)
{
    (void)self;
}

static const mf_plugin client_plugin = {.size = sizeof(mf_plugin),
                                        .id = "org.example.fake",
                                        .version = "1",
                                        .call = client_call,
                                        .cancel = client_cancel,
                                        .close = client_close};

/* --- the stream --- */

static struct buf *client_begin(struct stream *s)
{
    (void)s;
    client.mark = client.out.len;
    client.out.max = client.mark + client.limit;
    return &client.out;
}

static int client_end(struct stream *s)
{
    (void)s;
    struct str message = {client.out.data + client.mark, client.out.len - client.mark};
    if (client.out.failed) {
        client.out.failed = 0;
        client.out.len = client.mark;
        return -ENOBUFS;
    }
    struct json_doc d = {0};
    struct json_error e;
    ck_assert_msg(!memchr(message.p, '\n', message.n) && !memchr(message.p, '\r', message.n),
                  "not one line: %.*s", STR_FMT(message));
    ck_assert_msg(!json_read(&d, message, &json_limits_default, &e), "%s: %.*s", e.text,
                  STR_FMT(message));
    json_doc_release(&d);
    client.out.max++;
    buf_byte(&client.out, '\n');
    return 0;
}

static bool client_congested(const struct stream *s)
{
    (void)s;
    return client.is_congested;
}

/* --- the host --- */

static void client_idle(void *arg)
{
    (void)arg;
    client.idle++;
}

static void client_load(const char *yaml)
{
    struct host *h = &client.host;
    struct err e;
    h->manifest = xcalloc(1, sizeof(*h->manifest));
    h->instance = xcalloc(1, sizeof(*h->instance));
    ck_assert_msg(!manifest_parse(h->settings, &client.source, str_of(yaml), "fake.yaml",
                                  &h->manifest[0], &e),
                  "%s", e.text);
    /* There is no library to be read, and a result is not kept before it is known of which. */
    memset(h->manifest[0]->library_sha256, 'a', sizeof(h->manifest[0]->library_sha256) - 1);
    struct instance *in = instance_new(h->engine, h->manifest[0]);
    in->plugin = &client_plugin;
    in->self = &in->host;
    in->state = INSTANCE_READY;
    for (uint32_t i = 0; i < h->manifest[0]->entries; i++)
        in->entry[i].binding.index = i;
    h->instance[0] = in;
    h->manifests = 1;
}

/* yaml NULL: no plugin at all */
static void client_open(const char *yaml)
{
    struct err e;
    memset(&client, 0, sizeof(client));
    ck_assert_int_eq(uv_loop_init(&client.loop), 0);
    const char *dirs[] = {"/nonexistent"};
    struct settings_args args = {.plugins = dirs, .plugins_count = 1};
    ck_assert_msg(!settings_read(&args, &client.host.settings, &e), "%s", e.text);
    client.source.path = (char *)"/nonexistent";
    client.source.trust = true;
    client.host.loop = &client.loop;
    ck_assert_msg(!services_open(&client.loop, client.host.settings, &client.host.services, &e),
                  "%s", e.text);
    struct engine_options o = {.calls = 500, .services = services_for_engine(client.host.services)};
    ck_assert_int_eq(engine_open(&client.loop, &o, &client.host.engine, &e), 0);
    if (yaml)
        client_load(yaml);
    list_init(&client.host.listeners);
    struct problems problems = {0};
    client.host.catalogue = catalogue_build(&client.host, &problems);
    problems_release(&problems);
    client.stream = (struct stream){client_begin, client_end, client_congested};
    client.limit = 16 << 20;
    client.session = session_new(&client.host);
    session_on_idle(client.session, client_idle, NULL);
}

static void client_setup(void)
{
    client_open(client_manifest);
}

static void client_on_closed(void *arg)
{
    (void)arg;
    client.stopped = true;
}

static void client_on_stopped(void *arg)
{
    (void)arg;
    services_close(client.host.services, client_on_closed, NULL);
}

static void client_teardown(void)
{
    struct host *h = &client.host;
    session_free(client.session);
    for (unsigned i = 0; i < client.helds; i++)
        client_finish(client.held[i], MF_DONE, "");
    engine_stop(h->engine, 1000, client_on_stopped, NULL);
    while (!client.stopped)
        uv_run(&client.loop, UV_RUN_ONCE);
    uv_run(&client.loop, UV_RUN_DEFAULT);
    engine_free(h->engine);
    services_free(h->services);
    catalogue_free(h->catalogue);
    for (uint32_t i = 0; i < h->manifests; i++)
        manifest_free(h->manifest[i]);
    free(h->manifest);
    free(h->instance);
    struct problems problems = {.problem = h->problem, .count = h->problems};
    problems_release(&problems);
    settings_free(h->settings);
    buf_release(&client.out);
    ck_assert_int_eq(uv_loop_close(&client.loop), 0);
}

/* --- talking --- */

/* What came since the last time, lines joined by '\n', without the last one. */
static const char *heard(void)
{
    static char text[2 << 20];
    uv_run(&client.loop, UV_RUN_NOWAIT);
    size_t n = client.out.len;
    ck_assert_uint_lt(n, sizeof(text));
    if (n)
        memcpy(text, client.out.data, n - 1);
    text[n ? n - 1 : 0] = 0;
    client.out.len = 0;
    return text;
}

/* Sends one message from memory that is gone afterwards, and returns what came. */
static const char *say(const char *message)
{
    size_t n = strlen(message);
    char *copy = malloc(n + 1);
    memcpy(copy, message, n);
    session_message(client.session, (struct str){copy, n}, &client.stream);
    free(copy);
    return heard();
}

/* `...` with every ' written as ": what a test says and hears reads better so. */
static const char *q(const char *text)
{
    static char ring[8][16384];
    static unsigned next;
    char *out = ring[next++ % 8];
    size_t i = 0;
    for (; text[i] && i < sizeof(ring[0]) - 1; i++)
        out[i] = text[i] == '\'' ? '"' : text[i];
    out[i] = 0;
    return out;
}

#define MODERN                                                         \
    "'_meta':{'io.modelcontextprotocol/protocolVersion':'2026-07-28'," \
    "'io.modelcontextprotocol/clientCapabilities':{}}"
#define TAIL                                                                                     \
    ",'resultType':'complete','_meta':{'io.modelcontextprotocol/serverInfo':{'name':'manifold'," \
    "'version':'" MANIFOLD_VERSION "'}}}}"
#define SAYS(message, answer) ck_assert_str_eq(say(q(message)), q(answer))
#define HAS(message, part)                                                                      \
    do {                                                                                        \
        const char *has_got = say(q(message));                                                  \
        ck_assert_msg(strstr(has_got, q(part)) != NULL, "%s\nis not in\n%s", q(part), has_got); \
    } while (0)

static void greet_as(const char *version)
{
    char text[256];
    snprintf(text, sizeof(text),
             "{'jsonrpc':'2.0','id':0,'method':'initialize','params':{'protocolVersion':'%s'}}",
             version);
    char want[128];
    snprintf(want, sizeof(want), "{'jsonrpc':'2.0','id':0,'result':{'protocolVersion':'%s'",
             version);
    HAS(text, want);
    SAYS("{'jsonrpc':'2.0','method':'notifications/initialized'}", "");
}

static int run_suite(TCase *tc, const char *name)
{
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif
