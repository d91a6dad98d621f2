/* What a reload does on its own thread: reading.  It sees the host's settings, which nobody changes
 * while it runs, and nothing else of the host. */
#include "runtime/reload_internal.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "config/text.h"

static bool is_loaded(const void *arg, struct str name)
{
    const struct reload *r = arg;
    for (uint32_t i = 0; i < r->loadeds; i++) {
        if (str_eq(str_of(r->loaded[i]), name))
            return true;
    }
    return false;
}

static void note_fixed(const char *key)
{
    log_warn("reload: %s can't change while the host runs: the old value stays until a restart",
             key);
}

static bool same_http_client(const struct http_client_spec *a, const struct http_client_spec *b)
{
    return a->total == b->total && a->per_host == b->per_host && a->idle == b->idle &&
           a->dns_ttl == b->dns_ttl && a->connect_timeout == b->connect_timeout;
}

/* What is set up once keeps its value. */
static int keep_fixed(struct settings *now, const struct settings *old, struct err *e)
{
    int r = 0;
    if (!str_eq(now->server_name, old->server_name)) {
        note_fixed("server.name");
        r = text_keep(&now->texts, old->server_name, &now->server_name, e);
    }
    if (strcmp(now->data, old->data) != 0) {
        note_fixed("data");
        char *data = str_dup(str_of(old->data));
        if (!data)
            return err_set(e, -ENOMEM, "out of memory");
        free(now->data);
        now->data = data;
    }
    if (now->message.bytes != old->message.bytes || now->message.depth != old->message.depth ||
        now->message.nodes != old->message.nodes) {
        note_fixed("limits.message, depth or nodes");
        now->message = old->message;
    }
    if (now->output != old->output) {
        note_fixed("limits.output");
        now->output = old->output;
    }
    if (!cache_spec_same(&now->cache, &old->cache)) {
        note_fixed("cache");
        cache_spec_release(&now->cache);
        if (cache_spec_copy(&old->cache, &now->cache))
            return err_set(e, -ENOMEM, "out of memory");
    }
    if (!same_http_client(&now->http_client, &old->http_client)) {
        note_fixed("http_client");
        now->http_client = old->http_client;
    }
    if (now->admin != old->admin || !text_same(now->admin_path, old->admin_path))
        note_fixed("admin"); /* nobody looks at it again */
    if (now->calls != old->calls) {
        note_fixed("limits.calls");
        now->calls = old->calls;
    }
    if (now->log_level != old->log_level || now->log_format != old->log_format) {
        note_fixed("log");
        now->log_level = old->log_level;
        now->log_format = old->log_format;
    }
    return r;
}

static void build(struct reload *r)
{
    struct host *h = r->host;
    if (h->options.settings) {
        r->error = h->options.settings(h->options.arg, &r->settings, &r->e);
        if (r->error)
            r->settings = NULL;
        else
            r->error = keep_fixed(r->settings, h->settings, &r->e);
        r->config_bad = r->error;
    }
    if (!r->error) {
        r->stage.settings = r->settings ? r->settings : h->settings;
        r->error = stage_read(&r->stage, is_loaded, r, h->options.keep_libraries, &r->e);
    }
    atomic_store(&r->built, true);
    uv_async_send(&r->step);
}

static void *builder(void *arg)
{
    /* Calls come first.  (On Linux the number of a thread stands for that thread alone.) */
    setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
    build(arg);
    return NULL;
}

int reload_build(struct reload *r, struct err *e)
{
    if (protection_off("builder")) { /* calls wait for it: bench/reload.py */
        build(r);
        return 0;
    }
    int error = pthread_create(&r->builder, NULL, builder, r);
    r->building = !error;
    return error ? err_set(e, -error, "there is no thread to build with: %s", strerror(error)) : 0;
}
