/* The plugin of bench/cache.py: operations of cache/1, as many as it is told to, with `window` of
 * them in flight; and one tool that works as most would, with a key that it looks up first. */
#include <manifold/cache.h>
#include <manifold/json.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cached {
    const mf_host *host;
    const mf_cache *cache;
};

struct run {
    struct cached *c;
    mf_call call;
    int64_t count, keys, size, window, first, begun, ended, hits;
    uint64_t from, seed;
    int sets;
    char *value;
};

static uint64_t any(struct run *r)
{
    r->seed ^= r->seed << 13;
    r->seed ^= r->seed >> 7;
    r->seed ^= r->seed << 17;
    return r->seed;
}

static void finish(const struct cached *c, mf_call call, const char *text)
{
    mf_bytes none = {NULL, 0}, b = {text, strlen(text)};
    c->host->text(c->host, call, b);
    c->host->finish(c->host, call, MF_DONE, none);
}

static mf_bytes key_of(char text[32], uint64_t n)
{
    int len = snprintf(text, 32, "key:%llu", (unsigned long long)n);
    return (mf_bytes){text, (size_t)len};
}

static void end_run(struct run *r)
{
    char text[128];
    double seconds = (double)(r->c->host->now(r->c->host) - r->from) / 1e9;
    snprintf(text, sizeof(text), "{\"ops\":%lld,\"hits\":%lld,\"seconds\":%.6f}",
             (long long)r->ended, (long long)r->hits, seconds);
    finish(r->c, r->call, text);
    free(r->value);
    free(r);
}

static void next_get(struct run *r);

static void on_value(void *arg, const mf_cached *cached)
{
    struct run *r = arg;
    r->ended++;
    r->hits += cached->end.status == MF_OK;
    if (r->ended == r->count)
        end_run(r);
    else
        next_get(r);
}

static void next_get(struct run *r)
{
    char text[32];
    if (r->begun == r->count)
        return;
    r->begun++;
    if (!r->c->cache->get(r->c->host, r->call, key_of(text, any(r) % (uint64_t)r->keys), 0,
                          on_value, r))
        abort();
}

/* Sets have no end: `window` of them, then a get, which comes behind them. */
static void on_batch(void *arg, const mf_cached *cached)
{
    struct run *r = arg;
    char text[32];
    (void)cached;
    for (int64_t i = 0; i < r->window && r->ended < r->count; i++, r->ended++)
        r->c->cache->set(r->c->host, key_of(text, (uint64_t)((r->first + r->ended) % r->keys)),
                         (mf_bytes){r->value, (size_t)r->size}, 3600000);
    if (r->ended == r->count)
        end_run(r);
    else if (!r->c->cache->get(r->c->host, r->call,
                               key_of(text, (uint64_t)(r->first + r->ended - 1)), 0, on_batch, r))
        abort();
}

/* --- the ordinary tool --- */

struct one {
    struct cached *c;
    mf_call call;
    char key[32];
};

static void on_one(void *arg, const mf_cached *cached)
{
    static char value[200];
    struct one *o = arg;
    mf_bytes key = {o->key, strlen(o->key)};
    if (cached->end.status == MF_ENOENT)
        o->c->cache->set(o->c->host, key, (mf_bytes){value, sizeof(value)}, 60000);
    finish(o->c, o->call,
           cached->end.status == MF_OK       ? "hit"
           : cached->end.status == MF_ENOENT ? "made"
                                             : "failed");
    free(o);
}

static void start_one(struct cached *c, const mf_request *request, int64_t n)
{
    struct one *o = calloc(1, sizeof(*o));
    if (!o)
        abort();
    o->c = c;
    o->call = request->call;
    mf_bytes key = key_of(o->key, (uint64_t)n);
    if (!c->cache->get(c->host, request->call, key, 0, on_one, o)) {
        finish(c, request->call, "failed");
        free(o);
    }
}

/* --- the plugin --- */

static mf_status cached_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct cached *c = calloc(1, sizeof(*c));
    (void)config;
    if (!c)
        return MF_ENOMEM;
    c->host = host;
    c->cache = host->extension(host, MF_EXT_CACHE);
    *ret_self = c;
    return c->cache ? MF_OK : MF_ENOTSUP;
}

static void cached_call(void *self, const mf_request *request)
{
    struct cached *c = self;
    mfj_value a = mfj_read(request->args);
    struct run *r;
    int64_t n = 0;
    if (mfj_int(mfj_get(a, "one"), &n) == MF_OK) {
        start_one(c, request, n);
        return;
    }
    r = calloc(1, sizeof(*r));
    if (!r)
        abort();
    *r = (struct run){.c = c,
                      .call = request->call,
                      .count = 1,
                      .keys = 1,
                      .size = 100,
                      .window = 256,
                      .seed = 88172645463325252u,
                      .from = c->host->now(c->host)};
    mfj_int(mfj_get(a, "count"), &r->count);
    mfj_int(mfj_get(a, "keys"), &r->keys);
    mfj_int(mfj_get(a, "size"), &r->size);
    mfj_int(mfj_get(a, "window"), &r->window);
    mfj_int(mfj_get(a, "first"), &r->first);
    mfj_bool(mfj_get(a, "sets"), &r->sets);
    r->value = calloc(1, (size_t)r->size + 1);
    if (r->sets) {
        mf_cached none = {.value = {NULL, 0}};
        on_batch(r, &none);
        return;
    }
    for (int64_t i = 0; i < r->window; i++)
        next_get(r);
}

static void cached_close(void *self)
{
    free(self);
}

static const mf_entry tool = {sizeof(mf_entry), 0, "cached"};
static const mf_entry *const tools[] = {&tool, NULL};

MF_NOTE();
MF_EXPORT const mf_plugin manifold_plugin_v1 = {.size = sizeof(mf_plugin),
                                                .abi_minor = MF_ABI_MINOR,
                                                .id = "org.example.cached",
                                                .version = "1.0.0",
                                                .tools = tools,
                                                .open = cached_open,
                                                .call = cached_call,
                                                .close = cached_close};
