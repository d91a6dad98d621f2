#include "config/grants.h"

#include <errno.h>
#include <stdlib.h>
#include "config/complain.h"
#include "config/grants_parts.h"
#include "config/text.h"

enum { WORDS_BYTES = 400 };

static const char *const kinds[GRANT_KINDS] = {"http", "files", "tcp", "process", "env"};

const char *grant_kind_name(enum grant_kind kind)
{
    return kinds[kind];
}

json_ref grant_member(const struct json_doc *d, json_ref n, const char *key)
{
    return n && json_is(d, n, JSON_OBJECT) ? json_get(d, n, str_of(key)) : 0;
}

int grant_keep(struct grants *g, const struct buf *words, struct str *ret, struct err *e)
{
    /* Too many words are cut: they are for people. */
    if (words->failed == -ENOMEM)
        return err_set(e, -ENOMEM, "out of memory");
    return text_keep(&g->texts, buf_view(words), ret, e);
}

/* grants.KIND.NAME of one layer. */
static json_ref given_by(const struct grant_layer *l, const struct grant_ask *ask)
{
    const struct json_doc *d = &l->doc->json;
    json_ref kind = grant_member(d, l->grants, kinds[ask->kind]);
    return kind && json_is(d, kind, JSON_OBJECT) ? json_get(d, kind, ask->name) : 0;
}

struct grant_value grant_find(const struct granting *of, const struct grant_ask *ask,
                              const char *field)
{
    for (uint32_t i = of->layers; i-- > 0;) {
        json_ref n = given_by(&of->layer[i], ask);
        if (n && field)
            n = grant_member(&of->layer[i].doc->json, n, field);
        if (n)
            return (struct grant_value){of->layer[i].doc, n};
    }
    return (struct grant_value){NULL, 0};
}

int grant_unit(const struct granting *of, const struct grant_ask *ask, const char *field,
               grant_unit_fn *read, uint64_t min, uint64_t *ret, struct err *e)
{
    int r = 0;
    for (uint32_t i = 0; !r && i < of->layers; i++) {
        json_ref n = given_by(&of->layer[i], ask);
        r = n ? read(of->layer[i].doc, n, field, min, ret, e) : 0;
    }
    return r;
}

static bool lists(const struct json_doc *d, json_ref array, struct str text)
{
    if (!array || !json_is(d, array, JSON_ARRAY))
        return false;
    json_each (d, array, it) {
        if (json_string_eq(d, it, text))
            return true;
    }
    return false;
}

static bool is_given(const struct granting *of, const struct grant_ask *ask)
{
    if (of->all)
        return true;
    if (ask->kind != GRANT_ENV)
        return grant_find(of, ask, NULL).doc != NULL;
    for (uint32_t i = 0; i < of->layers; i++) {
        const struct json_doc *d = &of->layer[i].doc->json;
        if (lists(d, grant_member(d, of->layer[i].grants, "env"), ask->name))
            return true;
    }
    return false;
}

static void words_tcp(const struct json_doc *d, json_ref n, struct buf *out)
{
    char shown[TEXT_SHOWN];
    buf_printf(out, "host %s, port %.*s",
               text_quoted(json_inner(d, json_get(d, n, STR("host"))), shown),
               STR_FMT(json_raw(d, json_get(d, n, STR("port")))));
}

static void words_process(const struct json_doc *d, json_ref n, struct buf *out)
{
    char shown[TEXT_SHOWN];
    buf_printf(out, "path %s", text_quoted(json_inner(d, json_get(d, n, STR("path"))), shown));
}

static void words_env(const struct json_doc *d, json_ref n, struct buf *out)
{
    (void)d;
    (void)n;
    buf_lit(out, "for ${env:...} in config");
}

/* tcp and process are read and shown; no service of this build acts on them. */
static int grant_as_asked(struct granting *of, struct grant_ask *ask, json_ref n, struct err *e)
{
    uint64_t unused;
    (void)n;
    ask->given = ask->asked;
    return grant_unit(of, ask, "timeout", resolve_duration, 1000000, &unused, e);
}

static const struct {
    void (*words)(const struct json_doc *d, json_ref n, struct buf *out);
    int (*grant)(struct granting *of, struct grant_ask *ask, json_ref n, struct err *e);
} parts[GRANT_KINDS] = {
    [GRANT_HTTP] = {grant_words_http, grant_http},
    [GRANT_FILES] = {grant_words_files, grant_files},
    [GRANT_TCP] = {words_tcp, grant_as_asked},
    [GRANT_PROCESS] = {words_process, grant_as_asked},
    [GRANT_ENV] = {words_env, grant_as_asked},
};

static struct grant_ask *find_ask(const struct grants *g, enum grant_kind kind, struct str name)
{
    for (uint32_t i = 0; i < g->ask_count; i++) {
        if (g->ask[i].kind == kind && str_eq(g->ask[i].name, name))
            return &g->ask[i];
    }
    return NULL;
}

/* Node n of the manifest: an object with a name, or the name itself (env). */
static int add_ask(struct granting *of, enum grant_kind kind, json_ref n, struct err *e)
{
    const struct json_doc *d = &of->m->doc.json;
    struct grants *g = of->g;
    struct grant_ask *ask = &g->ask[g->ask_count];
    struct buf words = BUF_INIT(WORDS_BYTES);
    json_ref name = kind == GRANT_ENV ? n : json_get(d, n, STR("name"));
    int r = text_value(&g->texts, d, name, &ask->name, e);
    ask->kind = kind;
    ask->needs_path = kind == GRANT_FILES && !json_get(d, n, STR("path"));
    if (!r && find_ask(g, kind, ask->name))
        return complain_at(&of->m->doc, name, e, "expected %.*s once, found it again",
                           STR_FMT(ask->name));
    parts[kind].words(d, n, &words);
    r = r ? r : grant_keep(g, &words, &ask->asked, e);
    buf_release(&words);
    if (r)
        return r;
    g->ask_count++;
    ask->granted = is_given(of, ask);
    return ask->granted ? parts[kind].grant(of, ask, n, e) : 0;
}

static int read_asks(struct granting *of, json_ref permissions, struct err *e)
{
    const struct json_doc *d = &of->m->doc.json;
    uint32_t count[GRANT_KINDS] = {0}, total = 0;
    for (int k = 0; k < GRANT_KINDS; k++) {
        json_ref list = json_get(d, permissions, str_of(kinds[k]));
        count[k] = list ? d->node[list].count : 0;
        total += count[k];
    }
    struct grants *g = of->g;
    if (!total)
        return 0;
    g->ask = calloc(total, sizeof(*g->ask));
    g->http = calloc(count[GRANT_HTTP] + 1, sizeof(*g->http));
    g->files = calloc(count[GRANT_FILES] + 1, sizeof(*g->files));
    if (!g->ask || !g->http || !g->files)
        return err_set(e, -ENOMEM, "%s: out of memory", of->m->doc.path);
    int r = count[GRANT_FILES] ? grant_guard(of, e) : 0;
    for (int k = 0; !r && k < GRANT_KINDS; k++) {
        json_ref list = json_get(d, permissions, str_of(kinds[k]));
        for (json_ref it = list ? json_first(d, list) : 0; !r && it && it < d->node[list].next;
             it = d->node[it].next)
            r = add_ask(of, (enum grant_kind)k, it, e);
    }
    return r;
}

static void warn_unasked(struct granting *of, const struct document *doc, enum grant_kind kind,
                         json_ref name)
{
    struct str text;
    char shown[TEXT_SHOWN];
    if (text_value(&of->g->texts, &doc->json, name, &text, NULL) || find_ask(of->g, kind, text))
        return;
    manifest_warn(of->m, doc, name,
                  "expected what permissions.%s of the manifest asks for, found %s: nothing is "
                  "granted by it",
                  kinds[kind], text_quoted(text, shown));
}

static void warn_of_layer(struct granting *of, const struct grant_layer *l)
{
    const struct json_doc *d = &l->doc->json;
    for (int k = 0; k < GRANT_KINDS; k++) {
        json_ref given = grant_member(d, l->grants, kinds[k]);
        if (!given)
            continue;
        if (json_is(d, given, JSON_ARRAY)) {
            json_each (d, given, it)
                warn_unasked(of, l->doc, (enum grant_kind)k, it);
        } else {
            json_each_member (d, given, key)
                warn_unasked(of, l->doc, (enum grant_kind)k, key);
        }
    }
}

static void find_layers(struct granting *of)
{
    for (uint32_t i = 0; i < settings_layers(of->s); i++) {
        json_ref object;
        const struct document *doc = settings_plugin(of->s, i, of->m->name, &object);
        json_ref grants = doc ? json_get(&doc->json, object, STR("grants")) : 0;
        if (!grants)
            continue;
        of->all |= json_is(&doc->json, grants, JSON_STRING);
        of->layer[of->layers++] = (struct grant_layer){doc, grants};
    }
}

int instance_grants(struct manifest *m, const struct settings *s, struct err *e)
{
    struct granting of = {
        .m = m, .g = &m->grants, .s = s, .all = m->trusted || protection_off("grants")};
    json_ref permissions = json_get(&m->doc.json, 0, STR("permissions"));
    of.layer = calloc(settings_layers(s), sizeof(*of.layer));
    if (!of.layer)
        return err_set(e, -ENOMEM, "%s: out of memory", m->doc.path);
    find_layers(&of);
    int r = permissions ? read_asks(&of, permissions, e) : 0;
    for (uint32_t i = 0; !r && i < of.layers; i++)
        warn_of_layer(&of, &of.layer[i]);
    free(of.layer);
    return r;
}

void grants_release(struct grants *g)
{
    for (uint32_t i = 0; i < g->http_count; i++)
        http_grant_release(&g->http[i]);
    for (uint32_t i = 0; i < g->files_count; i++)
        free(g->files[i].path);
    free(g->http);
    free(g->files);
    free(g->ask);
    grant_guard_release(g);
    text_pool_free(g->texts);
}

const struct http_grant *grants_http(const struct grants *g, struct str name)
{
    for (uint32_t i = 0; i < g->http_count; i++) {
        if (str_eq(g->http[i].name, name))
            return &g->http[i];
    }
    return NULL;
}

const struct files_grant *grants_files(const struct grants *g, struct str name)
{
    for (uint32_t i = 0; i < g->files_count; i++) {
        if (str_eq(g->files[i].name, name))
            return &g->files[i];
    }
    return NULL;
}

bool grants_has(const struct grants *g, enum grant_kind kind, struct str name)
{
    const struct grant_ask *ask = find_ask(g, kind, name);
    return ask && ask->granted;
}

/* The manifest has no such line. */
static int not_asked(struct str plugin, enum grant_kind kind, struct str name, struct err *e)
{
    static const char *const line[GRANT_KINDS] = {[GRANT_HTTP] = "[{name: %s, host: HOST}]",
                                                  [GRANT_FILES] = "[{name: %s, mode: r}]",
                                                  [GRANT_TCP] =
                                                      "[{name: %s, host: HOST, port: PORT}]",
                                                  [GRANT_PROCESS] = "[{name: %s, path: PROGRAM}]",
                                                  [GRANT_ENV] = "[%s]"};
    char shown[TEXT_SHOWN];
    const char *quoted = text_quoted(name, shown), *before = line[kind];
    const char *at = strstr(before, "%s");
    return err_set(
        e, -EACCES,
        "plugin %.*s does not ask for %s %s; permissions: {%s: %.*s%s%s} in its manifest "
        "asks for it",
        STR_FMT(plugin), kinds[kind], quoted, kinds[kind], (int)(at - before), before, quoted,
        at + 2);
}

void grants_option(const struct grant_ask *ask, struct str plugin, struct buf *out)
{
    buf_printf(out, "--grant %.*s.%s.%.*s%s", STR_FMT(plugin), kinds[ask->kind], STR_FMT(ask->name),
               ask->needs_path ? ".path=DIRECTORY" : "");
}

int grants_denied(const struct grants *g, struct str plugin, enum grant_kind kind, struct str name,
                  struct err *e)
{
    const struct grant_ask *ask = find_ask(g, kind, name);
    if (!ask)
        return not_asked(plugin, kind, name, e);
    struct buf option = BUF_INIT(WORDS_BYTES);
    const char *k = kinds[kind], *given = ask->needs_path ? ": {path: DIRECTORY}" : ": {}";
    bool env = kind == GRANT_ENV;
    grants_option(ask, plugin, &option);
    err_set(e, -EACCES,
            "plugin %.*s asks for %s \"%.*s\" (%.*s), which is not granted; grant it with %.*s or "
            "plugins: {%.*s: {grants: {%s: %s%.*s%s%s}}} in the host config",
            STR_FMT(plugin), k, STR_FMT(name), STR_FMT(ask->asked), STR_FMT(buf_view(&option)),
            STR_FMT(plugin), k, env ? "[" : "{", STR_FMT(name), env ? "" : given, env ? "]" : "}");
    buf_release(&option);
    return -EACCES;
}
