/* From a message's bytes to its method: envelope, era, dispatch.
 * (docs/internals/protocol.md; MCP 2026-07-28 basic/versioning.mdx) */
#include "mcp/internal.h"

#include "json/idscan.h"

enum root { ROOT_JSONRPC, ROOT_ID, ROOT_METHOD, ROOT_PARAMS, ROOT_RESULT, ROOT_ERROR, ROOTS };

static const struct str root_key[ROOTS] = {
    {"jsonrpc", 7}, {"id", 2}, {"method", 6}, {"params", 6}, {"result", 6}, {"error", 5},
};
static const struct str param_key[PARAMS] = {
    [PARAM_META] = {"_meta", 5},
    [PARAM_NAME] = {"name", 4},
    [PARAM_ARGUMENTS] = {"arguments", 9},
    [PARAM_URI] = {"uri", 3},
    [PARAM_CURSOR] = {"cursor", 6},
    [PARAM_VERSION] = {"protocolVersion", 15},
    [PARAM_LEVEL] = {"level", 5},
    [PARAM_REQUEST_ID] = {"requestId", 9},
    [PARAM_REF] = {"ref", 3},
    [PARAM_ARGUMENT] = {"argument", 8},
    [PARAM_CONTEXT] = {"context", 7},
};
static const struct str meta_key[METAS] = {
    [META_VERSION] = {"io.modelcontextprotocol/protocolVersion", 39},
    [META_CAPABILITIES] = {"io.modelcontextprotocol/clientCapabilities", 42},
    [META_LOG_LEVEL] = {"io.modelcontextprotocol/logLevel", 32},
    [META_PROGRESS_TOKEN] = {"progressToken", 13},
};

void members_collect(const struct json_doc *d, json_ref object, const struct str *key,
                     unsigned keys, json_ref *ret)
{
    json_each_member (d, object, k) {
        struct str name = json_inner(d, k);
        bool plain = !(d->node[k].flags & JSON_ESCAPED);
        for (unsigned i = 0; i < keys; i++) {
            if (plain ? name.n == key[i].n && !memcmp(name.p, key[i].p, name.n)
                      : json_string_eq(d, k, key[i])) {
                ret[i] = k + 1;
                break;
            }
        }
    }
}

bool message_string(struct session *s, const struct message *m, json_ref n, const char *what,
                    struct str *ret)
{
    if (!n || !json_is(&s->doc, n, JSON_STRING)) {
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE, "%s: expected string, found %s", what,
                    n ? json_type_name(json_type(&s->doc, n)) : "nothing");
        return false;
    }
    s->scratch.len = 0;
    *ret = json_string(&s->doc, n, &s->scratch);
    if (!s->scratch.failed)
        return true;
    buf_clear(&s->scratch, 0);
    reply_error(&m->answer, ERROR_INTERNAL, STR_NONE, "%s: the host is out of memory for it", what);
    return false;
}

/* 2026-07-28 basic/index.mdx: what _meta of a request must have. */
static bool envelope_valid(struct session *s, struct message *m)
{
    const struct json_doc *d = &s->doc;
    static const struct {
        enum meta key;
        enum json_type type;
    } must[] = {{META_VERSION, JSON_STRING}, {META_CAPABILITIES, JSON_OBJECT}};
    for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++) {
        json_ref n = m->meta[must[i].key];
        if (n && json_is(d, n, must[i].type))
            continue;
        reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                    "params/_meta: expected \"%.*s\" to be %s, found %s",
                    STR_FMT(meta_key[must[i].key]), json_type_name(must[i].type),
                    n ? json_type_name(json_type(d, n)) : "no such key");
        return false;
    }
    return true;
}

static bool version_served(struct session *s, struct message *m)
{
    const struct json_doc *d = &s->doc;
    json_ref n = m->meta[META_VERSION];
    if (json_string_eq(d, n, revision_name[R_2026_07_28]))
        return true;
    struct str raw = json_raw(d, n);
    struct buf data = BUF_INIT(raw.n + 64);
    buf_lit(&data, "{\"supported\":[\"");
    buf_str(&data, revision_name[R_2026_07_28]);
    buf_lit(&data, "\"],\"requested\":");
    buf_str(&data, raw);
    buf_lit(&data, "}");
    reply_error(&m->answer, ERROR_VERSION, data.failed ? STR_NONE : buf_view(&data),
                "expected protocol version %s, found %.*s", revision_name[R_2026_07_28].p,
                STR_FMT(raw));
    buf_release(&data);
    return false;
}

static bool log_level_valid(struct session *s, struct message *m)
{
    json_ref n = m->meta[META_LOG_LEVEL];
    m->log_level = n ? log_level_find(&s->doc, n) : -1;
    if (!n || m->log_level >= 0)
        return true;
    reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                "params/_meta: expected \"io.modelcontextprotocol/logLevel\" to be one of debug, "
                "info, notice, warning, error, critical, alert, emergency, found %.*s",
                STR_FMT(json_raw(&s->doc, n)));
    return false;
}

static void refuse_claimless(const struct message *m)
{
    bool version = m->meta[META_VERSION], capabilities = m->meta[META_CAPABILITIES];
    reply_error(&m->answer, ERROR_PARAMS, STR_NONE,
                "expected%s%s%s in params/_meta, or an initialize request before this one, "
                "found neither",
                version ? "" : " \"io.modelcontextprotocol/protocolVersion\"",
                version || capabilities ? "" : " and",
                capabilities ? "" : " \"io.modelcontextprotocol/clientCapabilities\"");
}

static void refuse_method(const struct message *m, struct str name)
{
    reply_error(&m->answer, ERROR_METHOD, STR_NONE, "there is no method \"%.*s\" in %s",
                STR_FMT(name), revision_name[m->answer.revision].p);
}

/* The rules of docs/internals/protocol.md, Era, in order.  NULL: answered. */
static const struct method *era_decide(struct session *s, struct message *m, struct str name)
{
    const struct method *method = method_find(name);
    if (method && (method->flags & METHOD_NOTIFICATION))
        method = NULL;
    if (m->meta[META_VERSION]) {
        m->answer.revision = R_2026_07_28;
        if (m->batch) {
            reply_error(&m->answer, ERROR_REQUEST, STR_NONE,
                        "expected no 2026-07-28 request inside a batch, found one");
            return NULL;
        }
        if (!envelope_valid(s, m) || !version_served(s, m) || !log_level_valid(s, m))
            return NULL;
        if (method && (method->flags & METHOD_MODERN))
            return method;
        refuse_method(m, name);
        return NULL;
    }
    m->answer.revision = s->revision;
    m->log_level = s->log_level;
    if (method && (method->flags & METHOD_OPEN))
        return method;
    if (!s->initialized || (method && !(method->flags & METHOD_LEGACY))) {
        refuse_claimless(m);
        return NULL;
    }
    if (!method)
        refuse_method(m, name);
    return method;
}

static void run_request(struct session *s, struct message *m, struct str name)
{
    const struct method *method = era_decide(s, m, name);
    if (!method)
        return;
    if (m->batch && (method->flags & METHOD_ALONE)) {
        reply_error(&m->answer, ERROR_REQUEST, STR_NONE,
                    "expected %.*s alone in a message, found it inside a batch", STR_FMT(name));
        return;
    }
    if ((s->in_flight.count && map_find(&s->in_flight, m->answer.id)) ||
        (s->listen_count && listen_find(s, m->answer.id))) {
        reply_error(&m->answer, ERROR_REQUEST, STR_NONE,
                    "expected an id that is not in use, found that of a request in flight");
        return;
    }
    method->run(s, m);
}

static void run_notification(struct session *s, struct message *m, struct str name)
{
    const struct method *method = method_find(name);
    if (method && (method->flags & METHOD_NOTIFICATION))
        method->run(s, m);
}

/* Strings and integers only; 1.5, null and objects can't be echoed (2026-07-28 basic/index.mdx). */
static bool id_usable(const struct json_doc *d, json_ref n)
{
    return d->node[n].len <= ID_MAX &&
           (json_is(d, n, JSON_STRING) ||
            (json_is(d, n, JSON_NUMBER) && (d->node[n].flags & JSON_INTEGER)));
}

/* Takes params and _meta apart.  False: answered, or dropped where there is no id. */
static bool params_open(struct session *s, struct message *m, json_ref n)
{
    const struct json_doc *d = &s->doc;
    if (!n || json_is(d, n, JSON_NULL))
        return true;
    if (!json_is(d, n, JSON_OBJECT)) {
        if (m->answer.id.n)
            reply_error(&m->answer, ERROR_PARAMS, STR_NONE, "params: expected object, found %s",
                        json_type_name(json_type(d, n)));
        return false;
    }
    m->params = n;
    members_collect(d, n, param_key, PARAMS, m->param);
    json_ref meta = m->param[PARAM_META];
    if (meta && json_is(d, meta, JSON_OBJECT))
        members_collect(d, meta, meta_key, METAS, m->meta);
    return true;
}

/* False: answered, or dropped. */
static bool envelope_open(struct session *s, struct message *m, json_ref *root)
{
    const struct json_doc *d = &s->doc;
    const struct answer *a = &m->answer;
    /* This build sends no requests, so a response is to none of them. */
    if (!root[ROOT_METHOD] && (root[ROOT_RESULT] || root[ROOT_ERROR]))
        return false;
    if (root[ROOT_ID]) {
        if (!id_usable(d, root[ROOT_ID])) {
            reply_error(a, ERROR_REQUEST, STR_NONE,
                        "id: expected a string or an integer of at most %d bytes, found %.*s",
                        ID_MAX, STR_FMT(json_raw(d, root[ROOT_ID])));
            return false;
        }
        m->answer.id = json_raw(d, root[ROOT_ID]);
    }
    if (!root[ROOT_JSONRPC] || !json_string_eq(d, root[ROOT_JSONRPC], STR("2.0"))) {
        reply_error(
            a, ERROR_REQUEST, STR_NONE, "jsonrpc: expected \"2.0\", found %.*s",
            STR_FMT(root[ROOT_JSONRPC] ? json_raw(d, root[ROOT_JSONRPC]) : STR("no such member")));
        return false;
    }
    if (!root[ROOT_METHOD] || !json_is(d, root[ROOT_METHOD], JSON_STRING)) {
        reply_error(a, ERROR_REQUEST, STR_NONE, "method: expected string, found %s",
                    root[ROOT_METHOD] ? json_type_name(json_type(d, root[ROOT_METHOD]))
                                      : "no such member");
        return false;
    }
    return true;
}

void message_run(struct session *s, json_ref n, struct stream *to, struct stream *out,
                 struct batch *batch)
{
    struct message m = {
        .answer = {.to = to, .revision = s->revision}, .out = out, .batch = batch, .log_level = -1};
    json_ref root[ROOTS] = {0};
    if (!json_is(&s->doc, n, JSON_OBJECT)) {
        reply_error(&m.answer, ERROR_REQUEST, STR_NONE, "expected a JSON-RPC object, found %s",
                    json_type_name(json_type(&s->doc, n)));
        return;
    }
    members_collect(&s->doc, n, root_key, ROOTS, root);
    if (!envelope_open(s, &m, root) || !params_open(s, &m, root[ROOT_PARAMS]))
        return;
    s->scratch.len = 0;
    struct str name = json_string(&s->doc, root[ROOT_METHOD], &s->scratch);
    if (s->scratch.failed) {
        buf_clear(&s->scratch, 0);
        if (m.answer.id.n)
            reply_error(&m.answer, ERROR_INTERNAL, STR_NONE,
                        "method: the host is out of memory for it");
        return;
    }
    if (m.answer.id.n)
        run_request(s, &m, name);
    else
        run_notification(s, &m, name);
}

static void refuse_unreadable(struct session *s, struct str message, const struct json_error *e,
                              struct stream *out)
{
    struct idscan scan;
    idscan_start(&scan);
    idscan_feed(&scan, message);
    struct answer a = {.to = out, .id = idscan_id(&scan), .revision = s->revision};
    int code = e->kind == JSON_BAD_SYNTAX  ? ERROR_PARSE
               : e->kind == JSON_NO_MEMORY ? ERROR_INTERNAL
                                           : ERROR_REQUEST;
    reply_error(&a, code, STR_NONE, "%s", e->text);
}

void session_message(struct session *s, struct str message, struct stream *out)
{
    struct json_error e;
    session_enter(s);
    if (json_read(&s->doc, message, &s->host->settings->message, &e))
        refuse_unreadable(s, message, &e, out);
    else if (json_is(&s->doc, 0, JSON_ARRAY))
        batch_run(s, 0, out);
    else
        message_run(s, 0, out, out, NULL);
    json_doc_trim(&s->doc, TAPE_KEEP);
    json_doc_trim(&s->aux, TAPE_KEEP);
    buf_clear(&s->scratch, SCRATCH_KEEP);
    buf_clear(&s->vars, SCRATCH_KEEP);
    buf_clear(&s->made, SCRATCH_KEEP);
    session_leave(s);
}
