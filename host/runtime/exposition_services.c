/* What Prometheus is told of the services: the cache, its Redis, and the HTTP client. */
#include "runtime/internal.h"
#include "runtime/prom.h"

static const struct cache_family {
    const char *name, *type, *help;
    size_t counter; /* offset in struct cache_counters, of a uint64_t */
} cache_families[] = {
#define CACHE(name, type, member, help)                           \
    {                                                             \
        name, type, help, offsetof(struct cache_counters, member) \
    }
    CACHE("manifold_cache_memory_hits_total", "counter", all.memory_hits, "Found in memory."),
    CACHE("manifold_cache_redis_hits_total", "counter", all.redis_hits, "Found in Redis."),
    CACHE("manifold_cache_misses_total", "counter", all.misses, "Found in neither."),
    CACHE("manifold_cache_sets_total", "counter", all.sets, "Values given to be kept."),
    CACHE("manifold_cache_deletes_total", "counter", all.deletes, "Keys dropped."),
    CACHE("manifold_cache_prefix_deletes_total", "counter", all.prefix_deletes,
          "Prefixes dropped."),
    CACHE("manifold_cache_entries", "gauge", entries, "Values in memory."),
    CACHE("manifold_cache_bytes", "gauge", bytes, "Memory they take."),
    CACHE("manifold_cache_limit_bytes", "gauge", memory, "Memory they may take."),
    CACHE("manifold_cache_evictions_total", "counter", evictions, "Dropped for want of room."),
    CACHE("manifold_cache_expired_total", "counter", expired, "Dropped since their time was over."),
    CACHE("manifold_cache_refused_total", "counter", refused, "Not kept in memory."),
    CACHE("manifold_cache_redis_commands_total", "counter", commands, "Sent to Redis."),
    CACHE("manifold_cache_redis_errors_total", "counter", errors, "Answered with an error."),
    CACHE("manifold_cache_redis_timeouts_total", "counter", timeouts, "Not answered in time."),
    CACHE("manifold_cache_redis_reconnects_total", "counter", reconnects, "Connections made anew."),
    CACHE("manifold_cache_redis_pending", "gauge", pending, "Commands without a reply."),
    CACHE("manifold_cache_redis_owed", "gauge", owed, "Deletes that Redis has yet to be told."),
    CACHE("manifold_cache_invalidations_received_total", "counter", invalidations_in,
          "Told by other hosts."),
#undef CACHE
};

static void write_cache(struct buf *b, const struct figures *f)
{
    for (size_t i = 0; i < sizeof(cache_families) / sizeof(cache_families[0]); i++) {
        const struct cache_family *c = &cache_families[i];
        const char *counters = (const char *)&f->cache;
        const uint64_t *value = (const uint64_t *)(const void *)(counters + c->counter);
        prom_one(b, c->name, c->type, c->help, (double)*value);
    }
    prom_one(b, "manifold_cache_redis_up", "gauge", "1: Redis answers.",
             f->cache.link == CACHE_LINK_UP);
    if (f->hit_ratio >= 0)
        prom_one(b, "manifold_window_cache_hit_ratio", "gauge", "Of the window.", f->hit_ratio);
}

/* --- per plugin --- */

#define OF_HTTP(name, member)                         \
    static double name(const struct http_counters *c) \
    {                                                 \
        return (double)c->member;                     \
    }
OF_HTTP(requests, requests)
OF_HTTP(errors, errors)
OF_HTTP(denied, denied)
OF_HTTP(timeouts, timeouts)
OF_HTTP(retries, retries)
OF_HTTP(sent, sent)
OF_HTTP(received, received)
OF_HTTP(connections, connections)
OF_HTTP(active, active)
OF_HTTP(waiting, waiting)

static const struct http_family {
    const char *name, *type, *help;
    double (*of)(const struct http_counters *c);
} http_families[] = {
    {"manifold_http_requests_total", "counter", "Requests of plugins.", requests},
    {"manifold_http_errors_total", "counter", "Ended without an answer.", errors},
    {"manifold_http_denied_total", "counter", "Not granted.", denied},
    {"manifold_http_timeouts_total", "counter", "Not answered in time.", timeouts},
    {"manifold_http_retries_total", "counter", "Tried once more.", retries},
    {"manifold_http_sent_bytes_total", "counter", "Bodies sent.", sent},
    {"manifold_http_received_bytes_total", "counter", "Bodies received, decoded.", received},
    {"manifold_http_connections_total", "counter", "Connections opened.", connections},
    {"manifold_http_active", "gauge", "Requests under way.", active},
    {"manifold_http_waiting", "gauge", "Requests that wait for their turn.", waiting},
};

struct http_writer {
    struct buf *b, *labels;
    const struct http_family *family;
};

static void write_http(void *arg, const struct plugin_figures *p)
{
    struct http_writer *w = arg;
    if (!p->http || !p->http->requests)
        return;
    buf_clear(w->labels, PROM_LABELS);
    prom_label(w->labels, "plugin", str_of(p->name));
    prom_sample(w->b, w->family->name, "", buf_view(w->labels), w->family->of(p->http));
}

void exposition_services(struct buf *b, struct buf *labels, const struct host *h,
                         const struct figures *f)
{
    write_cache(b, f);
    for (size_t i = 0; i < sizeof(http_families) / sizeof(http_families[0]); i++) {
        struct http_writer w = {b, labels, &http_families[i]};
        prom_head(b, w.family->name, w.family->type, w.family->help);
        figures_each_plugin(h, write_http, &w);
    }
}
