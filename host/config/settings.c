#include "config/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "config/builtin.h"
#include "config/complain.h"
#include "config/dormant.h"
#include "config/expand.h"
#include "config/file.h"
#include "config/resolve.h"
#include "config/sets.h"
#include "config/text.h"

#define USER_CONFIG   ".config/manifold/manifold.yaml"
#define SYSTEM_CONFIG "/etc/manifold/manifold.yaml"
#define USER_PLUGINS  "~/.local/share/manifold/plugins"
#define USER_DATA     "~/.local/share/manifold/data"
#define LOCK_FILE     "manifold.lock"
#define SYSTEM_DATA   "/var/lib/manifold/data"

/* Reads and checks s->doc.  `must` is false for the default places, which need not exist. */
static int read_file(struct settings *s, const char *path, bool must, struct err *e)
{
    int fd;
    int r = file_open(AT_FDCWD, path, false, path, &fd, e);
    if (r == -ENOENT && !must)
        return 0;
    if (r)
        return r;
    r = document_read(&s->doc, fd, path, e);
    close(fd);
    return r ? r : builtin_check(BUILTIN_HOST, &s->doc, e);
}

static int find_file(struct settings *s, const char *config, struct err *e)
{
    const char *home = path_home();
    char *path = NULL;
    int r = 0;
    if (config)
        return read_file(s, config, true, e);
    if (home) {
        r = path_expand(STR(USER_CONFIG), home, &path, e);
        r = r ? r : read_file(s, path, false, e);
        free(path);
    }
    if (!r && !s->doc.path)
        r = read_file(s, SYSTEM_CONFIG, false, e);
    return r;
}

/* The member behind a path of keys; 0 when there is none or no file. */
static json_ref lookup(const struct document *d, const char *first, const char *second)
{
    json_ref n = d->path ? json_get(&d->json, 0, str_of(first)) : 0;
    return n && second ? json_get(&d->json, n, str_of(second)) : n;
}

static int set_path(struct settings *s, json_ref n, const char *base, char **ret, struct err *e)
{
    struct err why = {{0}};
    struct str text;
    int r = text_value(&s->texts, &s->doc.json, n, &text, e);
    if (r)
        return r;
    r = path_expand(text, base, ret, &why);
    return r ? complain_at(&s->doc, n, e, "%s", why.text) : 0;
}

static int add_sources(struct settings *s, json_ref list, const char *base, struct err *e)
{
    const struct json_doc *d = &s->doc.json;
    s->source = calloc(d->node[list].count + 1, sizeof(*s->source));
    if (!s->source)
        return err_set(e, -ENOMEM, "%s: out of memory", s->doc.path);
    json_each (d, list, it) {
        struct source *source = &s->source[s->sources++];
        json_ref trust = json_get(d, it, STR("trust"));
        source->trust = trust && json_is(d, trust, JSON_TRUE);
        int r = set_path(s, json_get(d, it, STR("path")), base, &source->path, e);
        r = r ? r : text_value(&s->texts, d, json_get(d, it, STR("prefix")), &source->prefix, e);
        if (r)
            return r;
    }
    return 0;
}

/* As it was given.  0 or -ENOMEM. */
static int add_source(struct settings *s, const char *path, struct source source, struct err *e)
{
    source.path = str_dup(str_of(path));
    if (!source.path)
        return err_set(e, -ENOMEM, "%s: out of memory", path);
    s->source[s->sources++] = source;
    return 0;
}

static int add_default_sources(struct settings *s, const char *installed, struct err *e)
{
    int r = 0;
    s->source = calloc(2, sizeof(*s->source));
    if (!s->source)
        return err_set(e, -ENOMEM, "out of memory for the sources");
    if (installed)
        r = add_source(s, installed, (struct source){.trust = true, .optional = true}, e);
    char *path;
    if (r || !path_home())
        return r;
    r = path_expand(STR(USER_PLUGINS), NULL, &path, e);
    if (!r)
        s->source[s->sources++] = (struct source){.path = path, .optional = true};
    return r;
}

static int add_given_sources(struct settings *s, const struct settings_args *args, struct err *e)
{
    int r = 0;
    s->source = calloc(args->plugins_count, sizeof(*s->source));
    if (!s->source)
        return err_set(e, -ENOMEM, "out of memory for the sources");
    for (uint32_t i = 0; !r && i < args->plugins_count; i++)
        r = add_source(s, args->plugins[i], (struct source){.trust = args->trust}, e);
    return r;
}

static void set_count(const struct document *d, json_ref object, const char *key, uint32_t *ret)
{
    json_ref n = json_get(&d->json, object, str_of(key));
    int64_t v;
    if (n && json_int(&d->json, n, &v))
        *ret = (uint32_t)v;
}

static int set_host_limits(struct settings *s, json_ref limits, struct err *e)
{
    uint64_t message = s->message.bytes;
    set_count(&s->doc, limits, "depth", &s->message.depth);
    set_count(&s->doc, limits, "nodes", &s->message.nodes);
    set_count(&s->doc, limits, "calls", &s->calls);
    int r = resolve_size(&s->doc, limits, "output", 1024, &s->output, e);
    r = r ? r : resolve_size(&s->doc, limits, "message", 1024, &message, e);
    if (!r && message > 1 << 30)
        r = complain_at(&s->doc, json_get(&s->doc.json, limits, STR("message")), e,
                        "expected at most 1GiB, found more");
    s->message.bytes = (uint32_t)message;
    return r;
}

static void set_log(struct settings *s, json_ref log)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    json_ref level = json_get(&s->doc.json, log, STR("level"));
    json_ref format = json_get(&s->doc.json, log, STR("format"));
    for (int i = 0; level && i < 4; i++) {
        if (json_string_eq(&s->doc.json, level, str_of(levels[i])))
            s->log_level = (enum log_level)i;
    }
    if (format && json_string_eq(&s->doc.json, format, STR("json")))
        s->log_format = LOG_JSON;
}

static int set_ceilings(struct settings *s, json_ref ceilings, struct err *e)
{
    json_ref limits = json_get(&s->doc.json, ceilings, STR("limits"));
    json_ref worker = json_get(&s->doc.json, ceilings, STR("worker"));
    int r = limits ? limits_apply(&s->ceiling, &s->doc, limits, e) : 0;
    return !r && worker ? worker_apply(&s->worker_ceiling, &s->doc, worker, e) : r;
}

/* Where "${env:N}" and "${file:PATH}" mean something in the host config. */
static bool may_expand(struct str path)
{
    struct str plugins = STR("plugins."), config = STR(".config.");
    if (str_eq(path, STR("server.state_key")) || str_eq(path, STR("cache.password")) ||
        str_starts(path, STR("secrets.")))
        return true;
    if (!str_starts(path, plugins))
        return false;
    /* An instance's name holds no dot. */
    struct str rest = {path.p + plugins.n, path.n - plugins.n};
    const char *dot = memchr(rest.p, '.', rest.n);
    return dot && str_starts((struct str){dot, rest.n - (size_t)(dot - rest.p)}, config);
}

static int refuse_stray_expansions(const struct document *d, struct err *e)
{
    for (json_ref n = 0; n < d->json.nodes; n++) {
        struct str raw = json_raw(&d->json, n);
        if (!json_is(&d->json, n, JSON_STRING) ||
            (!memmem(raw.p, raw.n, "${env:", 6) && !memmem(raw.p, raw.n, "${file:", 7)))
            continue;
        struct buf path = BUF_INIT(240);
        complain_path(&d->json, 0, n, &path);
        bool ok = may_expand(buf_view(&path));
        buf_release(&path);
        if (!ok)
            return complain_at(d, n, e,
                               "expected ${env:...} and ${file:...} in secrets, server.state_key, "
                               "cache.password and plugins.NAME.config alone, found one here");
    }
    return 0;
}

/* What is unset or unreadable is reported now, whoever uses it later. */
static int check_secret(const struct expand *x, json_ref n, struct err *e)
{
    struct buf value = BUF_INIT(EXPAND_BYTES);
    int r = n ? expand_string(x, n, &value, e) : 0;
    if (value.data)
        explicit_bzero(value.data, value.len);
    buf_release(&value);
    return r;
}

static int add_secret(struct settings *s, const struct expand *x, json_ref key, struct err *e)
{
    struct buf value = BUF_INIT(EXPAND_BYTES);
    struct named_secret *one = &s->secret[s->secrets];
    /* In one piece from the start: growing would leave copies behind. */
    int r = buf_reserve(&value, EXPAND_FILE_BYTES + json_raw(&s->doc.json, key + 1).n);
    r = r ? err_set(e, r, "out of memory") : expand_string(x, key + 1, &value, e);
    r = r ? r : secret_new(buf_view(&value), &one->value, e);
    one->name = json_inner(&s->doc.json, key);
    s->secrets += r ? 0 : 1;
    if (value.data)
        explicit_bzero(value.data, value.len);
    buf_release(&value);
    return r;
}

static int read_secrets(struct settings *s, const char *base, struct err *e)
{
    const struct expand x = {.doc = &s->doc, .host = true, .directory = base};
    json_ref secrets = lookup(&s->doc, "secrets", NULL);
    int r = check_secret(&x, lookup(&s->doc, "server", "state_key"), e);
    if (r || !secrets || !s->doc.json.node[secrets].count)
        return r;
    s->secret = calloc(s->doc.json.node[secrets].count, sizeof(*s->secret));
    if (!s->secret)
        return err_set(e, -ENOMEM, "out of memory");
    for (json_ref k = secrets + 1; !r && k < s->doc.json.node[secrets].next;
         k = s->doc.json.node[k + 1].next)
        r = add_secret(s, &x, k, e);
    return r;
}

static int set_admin(struct settings *s, json_ref n, const char *base, struct err *e)
{
    if (json_string_eq(&s->doc.json, n, STR("auto")))
        return 0;
    s->admin = !json_string_eq(&s->doc.json, n, STR("none"));
    return s->admin ? set_path(s, n, base, &s->admin_path, e) : 0;
}

static int set_lock(struct settings *s, json_ref lock, const char *base, struct err *e)
{
    const struct json_doc *d = &s->doc.json;
    json_ref mode = json_get(d, lock, STR("mode")), file = json_get(d, lock, STR("file"));
    if (mode)
        s->lock = json_string_eq(d, mode, STR("enforce")) ? LOCK_ENFORCE
                  : json_string_eq(d, mode, STR("warn"))  ? LOCK_WARN
                                                          : LOCK_NONE;
    return file ? set_path(s, file, base, &s->lock_file, e) : 0;
}

/* Other processes are told of it, so it does not depend on where this one was started. */
static int place_lock(struct settings *s, struct err *e)
{
    char *base = NULL, *here = NULL, *full = NULL;
    int r = s->doc.path ? path_directory(s->doc.path, &base, e) : 0;
    r = r || s->lock_file ? r : path_expand(STR(LOCK_FILE), base, &s->lock_file, e);
    if (!r && s->lock_file[0] != '/') {
        here = getcwd(NULL, 0);
        r = here ? path_expand(str_of(s->lock_file), here, &full, e)
                 : err_set(e, -errno, "the working directory can't be told: %s", strerror(errno));
    }
    if (full) {
        free(s->lock_file);
        s->lock_file = full;
    }
    free(here);
    free(base);
    return r;
}

static int set_http_client(struct settings *s, json_ref n, struct err *e)
{
    struct http_client_spec *c = &s->http_client;
    set_count(&s->doc, n, "total", &c->total);
    set_count(&s->doc, n, "per_host", &c->per_host);
    int r = resolve_duration(&s->doc, n, "idle", 1000000000u, &c->idle, e);
    r = r ? r : resolve_duration(&s->doc, n, "dns_ttl", 0, &c->dns_ttl, e);
    return r ? r : resolve_duration(&s->doc, n, "connect_timeout", 1000000, &c->connect_timeout, e);
}

/* Everything that the file says, but for its plugins. */
static int apply_file(struct settings *s, const char *base, struct err *e)
{
    json_ref n = lookup(&s->doc, "server", "name");
    int r = refuse_stray_expansions(&s->doc, e);
    r = r || !n ? r : text_value(&s->texts, &s->doc.json, n, &s->server_name, e);
    n = lookup(&s->doc, "server", "instructions");
    r = r || !n ? r : text_value(&s->texts, &s->doc.json, n, &s->server_instructions, e);
    n = lookup(&s->doc, "sources", NULL);
    r = r || !n ? r : add_sources(s, n, base, e);
    n = lookup(&s->doc, "data", NULL);
    r = r || !n ? r : set_path(s, n, base, &s->data, e);
    n = lookup(&s->doc, "defaults", NULL);
    r = r || !n ? r : instance_apply(&s->defaults, &(struct layer){&s->doc, n}, e);
    n = lookup(&s->doc, "ceilings", NULL);
    r = r || !n ? r : set_ceilings(s, n, e);
    n = lookup(&s->doc, "limits", NULL);
    r = r || !n ? r : set_host_limits(s, n, e);
    n = lookup(&s->doc, "admin", NULL);
    r = r || !n ? r : set_admin(s, n, base, e);
    n = lookup(&s->doc, "http_client", NULL);
    r = r || !n ? r : set_http_client(s, n, e);
    n = lookup(&s->doc, "log", NULL);
    if (n) {
        set_log(s, n);
        r = r ? r : resolve_duration(&s->doc, n, "slow", 0, &s->log_slow, e);
    }
    n = lookup(&s->doc, "metrics", NULL);
    if (n) {
        set_count(&s->doc, n, "series", &s->metrics_series);
        r = r ? r : resolve_duration(&s->doc, n, "window", 1000000000u, &s->metrics_window, e);
    }
    n = lookup(&s->doc, "lock", NULL);
    r = r || !n ? r : set_lock(s, n, base, e);
    n = lookup(&s->doc, "cache", NULL);
    r = r || !n ? r : cache_spec_read(&s->cache, &s->doc, n, base, e);
    n = lookup(&s->doc, "on_collision", NULL);
    s->collision_first = n && json_string_eq(&s->doc.json, n, STR("first"));
    n = lookup(&s->doc, "watch", NULL);
    s->watch = n && json_is(&s->doc.json, n, JSON_TRUE);
    dormant_of_host(&s->doc, s->dormant, &s->dormants);
    return r ? r : read_secrets(s, base, e);
}

static void set_builtin(struct settings *s)
{
    s->server_name = STR("manifold");
    s->message = json_limits_default;
    s->calls = 4096;
    s->output = 4 << 20;
    s->defaults = instance_builtin;
    s->ceiling = limits_ceiling_builtin;
    s->worker_ceiling = worker_ceiling_builtin;
    s->http_client = (struct http_client_spec){.total = 100,
                                               .per_host = 6,
                                               .idle = 60 * UINT64_C(1000000000),
                                               .dns_ttl = 300 * UINT64_C(1000000000),
                                               .connect_timeout = 5 * UINT64_C(1000000000)};
    s->log_level = LOG_INFO;
    s->log_format = LOG_TEXT;
    s->log_slow = 1000000000u;
    s->metrics_window = 60000000000u;
    s->metrics_series = 10000;
    s->cache = cache_spec_builtin();
    s->admin = true;
}

static int read_grants(struct settings *s, const struct settings_args *args, struct err *e)
{
    int r = 0;
    s->grant = calloc(args->grant_count + 1, sizeof(*s->grant));
    if (!s->grant)
        return err_set(e, -ENOMEM, "out of memory");
    for (uint32_t i = 0; !r && i < args->grant_count; i++) {
        r = sets_read_grant(args->grant[i], &s->grant[i], e);
        s->grants += r ? 0 : 1;
    }
    return r;
}

int settings_read(const struct settings_args *args, struct settings **ret, struct err *e)
{
    struct settings *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(e, -ENOMEM, "out of memory for the settings");
    set_builtin(s);
    int r = sets_read(args->set, args->set_count, &s->sets, e);
    r = r ? r : read_grants(s, args, e);
    if (!r && !args->plugins_count)
        r = find_file(s, args->config, e);
    if (!r && s->doc.path) {
        char *base = NULL;
        r = path_directory(s->doc.path, &base, e);
        r = r ? r : apply_file(s, base, e);
        free(base);
    }
    if (!r)
        r = place_lock(s, e);
    if (!r && args->plugins_count)
        r = add_given_sources(s, args, e);
    else if (!r && !s->source)
        r = add_default_sources(s, args->installed, e);
    if (!r && !s->data)
        r = path_expand(path_home() ? STR(USER_DATA) : STR(SYSTEM_DATA), NULL, &s->data, e);
    if (r)
        settings_free(s);
    else
        *ret = s;
    return r;
}

void settings_free(struct settings *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->sources; i++)
        free(s->source[i].path);
    free(s->source);
    free(s->data);
    free(s->admin_path);
    free(s->lock_file);
    cache_spec_release(&s->cache);
    for (uint32_t i = 0; i < s->secrets; i++)
        secret_unref(s->secret[i].value);
    free(s->secret);
    for (uint32_t i = 0; i < s->grants; i++)
        document_release(&s->grant[i]);
    free(s->grant);
    text_pool_free(s->texts);
    document_release(&s->sets);
    document_release(&s->doc);
    free(s);
}

uint32_t settings_layers(const struct settings *s)
{
    return 2 + s->grants;
}

const struct document *settings_layer(const struct settings *s, uint32_t which)
{
    return which == 0 ? &s->doc : which == 1 ? &s->sets : &s->grant[which - 2];
}

struct secret *settings_secret(const struct settings *s, struct str name)
{
    for (uint32_t i = 0; i < s->secrets; i++) {
        if (str_eq(s->secret[i].name, name))
            return s->secret[i].value;
    }
    return NULL;
}

const struct document *settings_plugin(const struct settings *s, uint32_t which, struct str name,
                                       json_ref *ret_ref)
{
    const struct document *d = settings_layer(s, which);
    json_ref plugins = lookup(d, "plugins", NULL);
    json_ref n = plugins ? json_get(&d->json, plugins, name) : 0;
    if (!n)
        return NULL;
    *ret_ref = n;
    return d;
}
