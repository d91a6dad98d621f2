/* manifold://status: what every plugin is doing and what could not be served. */
#include "runtime/internal.h"

#include <inttypes.h>
#include "json/writer.h"
#include "services/cache/cache.h"

static void member(struct buf *b, const char *key, uint64_t value)
{
    buf_printf(b, ",\"%s\":%" PRIu64, key, value);
}

static void text_member(struct buf *b, const char *key, struct str value)
{
    buf_printf(b, ",\"%s\":", key);
    json_write_string(b, value);
}

static void write_counters(struct buf *b, const struct instance_counters *c)
{
    member(b, "calls", c->calls);
    member(b, "errors", c->errors);
    member(b, "timeouts", c->timeouts);
    member(b, "refusals", c->refusals);
    member(b, "cancelled", c->cancelled);
    member(b, "late", c->late);
    member(b, "slow", c->slow);
    member(b, "hits", c->hits);
    member(b, "misses", c->misses);
    member(b, "shared", c->shared);
}

static void write_refused(struct buf *b, const struct instance_counters *c)
{
    bool first = true;
    buf_lit(b, ",\"refusedBy\":{");
    for (int i = 0; i < REFUSED_REASONS; i++) {
        if (!c->refused[i])
            continue;
        buf_printf(b, "%s\"%s\":%" PRIu64, first ? "" : ",", refusal_name(i), c->refused[i]);
        first = false;
    }
    buf_byte(b, '}');
}

/* In microseconds; left out where there is nothing. */
static void write_histogram(struct buf *b, const char *key, const struct histogram *h)
{
    static const struct {
        const char *name;
        double q;
    } quantile[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"max", 1}};
    if (!h->count)
        return;
    buf_printf(b, ",\"%s\":{\"count\":%" PRIu64, key, h->count);
    for (int i = 0; i < 4; i++)
        buf_printf(b, ",\"%s\":%.3f", quantile[i].name,
                   (double)histogram_quantile(h, quantile[i].q) / 1e3);
    buf_byte(b, '}');
}

static void write_breaker(struct buf *b, const struct instance *in)
{
    const struct breaker *k = &in->breaker;
    const struct breaker_spec *spec = &in->manifest->instance.breaker;
    uint64_t now = clock_ns();
    buf_lit(b, ",\"breaker\":{\"state\":");
    json_write_string(b, spec->failures ? str_of(breaker_state_name(k->state)) : STR("off"));
    member(b, "failures", breaker_failures(k, spec, now));
    member(b, "opened", k->opened);
    if (k->state == BREAKER_OPEN)
        member(b, "retryAfterMs", now < k->until ? (k->until - now + 999999) / 1000000 : 0);
    buf_byte(b, '}');
}

static const struct instance_counters *count_of(const struct instance *in, uint32_t entry)
{
    static const struct instance_counters none;
    const struct entry_metrics *m = in->entry[entry].metrics;
    return m ? &m->count : &none;
}

static struct instance_counters total_of(const struct instance *in)
{
    struct instance_counters t = {0};
    for (uint32_t i = 0; i < in->manifest->entries; i++) {
        const struct instance_counters *c = count_of(in, i);
        t.calls += c->calls;
        t.errors += c->errors;
        t.timeouts += c->timeouts;
        t.refusals += c->refusals;
        t.cancelled += c->cancelled;
        t.late += c->late;
        t.slow += c->slow;
        t.hits += c->hits;
        t.misses += c->misses;
        t.shared += c->shared;
        for (int k = 0; k < REFUSED_REASONS; k++)
            t.refused[k] += c->refused[k];
    }
    return t;
}

static void write_isolation(struct buf *b, const struct manifest *m)
{
    bool worker = m->instance.isolation == ISOLATION_WORKER;
    text_member(b, "isolation", worker ? STR("worker") : STR("inproc"));
    if (worker && m->library)
        text_member(b, "isolationNote",
                    STR("this build has no sandbox yet: the plugin runs inside the host"));
}

/* Any client reads this: names and no more, neither paths nor hosts. */
static void write_permissions(struct buf *b, const struct grants *g)
{
    buf_lit(b, ",\"permissions\":[");
    for (uint32_t i = 0; i < g->ask_count; i++) {
        const struct grant_ask *ask = &g->ask[i];
        buf_printf(b, "%s{\"kind\":\"%s\"", i ? "," : "", grant_kind_name(ask->kind));
        text_member(b, "name", ask->name);
        buf_printf(b, ",\"granted\":%s}", ask->granted ? "true" : "false");
    }
    buf_byte(b, ']');
}

static void write_entries(struct buf *b, const struct instance *in)
{
    buf_lit(b, ",\"entries\":[");
    for (uint32_t i = 0; i < in->manifest->entries; i++) {
        if (i)
            buf_byte(b, ',');
        buf_lit(b, "{\"name\":");
        json_write_string(b, in->manifest->entry[i].name);
        member(b, "running", in->entry[i].running);
        member(b, "queued", in->entry[i].queued);
        write_counters(b, count_of(in, i));
        write_refused(b, count_of(in, i));
        if (in->entry[i].metrics) {
            write_histogram(b, "queueWaitUs", &in->entry[i].metrics->queue_wait);
            write_histogram(b, "durationUs", &in->entry[i].metrics->duration);
        }
        buf_byte(b, '}');
    }
    buf_byte(b, ']');
}

static void write_plugin(struct buf *b, const struct manifest *m, const struct instance *in)
{
    buf_lit(b, "{\"name\":");
    json_write_string(b, m->name);
    text_member(b, "id", m->id);
    text_member(b, "manifest", str_of(m->doc.path));
    bool loaded = in && in->plugin && in->plugin->version;
    text_member(b, "version", loaded ? str_of(in->plugin->version) : m->version);
    if (in)
        member(b, "generation", in->generation);
    text_member(b, "state", in ? str_of(instance_state_name(in->state)) : STR("not served"));
    write_isolation(b, m);
    if (in && in->error)
        text_member(b, "error", str_of(in->error));
    if (in && in->last_error)
        text_member(b, "lastError", str_of(in->last_error));
    if (in && in->library)
        text_member(b, "sha256", str_of(library_hash(in->library)));
    write_permissions(b, &m->grants);
    json_write_strings(b, "notInForce", m->dormant, m->dormants);
    json_write_strings(b, "warnings", (const char *const *)m->warning, m->warnings);
    if (in) {
        struct instance_counters t = total_of(in);
        member(b, "running", in->running);
        member(b, "queued", in->queued);
        member(b, "operations", instance_ops(in));
        member(b, "orphans", in->orphans);
        member(b, "leaked", in->leaked);
        member(b, "cancelledRunning", in->orphans - in->leaked);
        write_breaker(b, in);
        member(b, "loopTimeUs", in->loop_time / 1000);
        member(b, "loopBlocks", in->loop_blocks);
        member(b, "loopLongestUs", in->loop_longest / 1000);
        write_counters(b, &t);
        write_refused(b, &t);
        member(b, "misuse", in->misuse);
        member(b, "loads", in->loads);
        member(b, "logDropped", in->log_dropped);
        write_entries(b, in);
    }
    buf_byte(b, '}');
}

/* Generations that a reload has replaced and that still have calls. */
static void write_retired(struct buf *b, const struct host *h)
{
    const char *comma = "";
    buf_lit(b, ",\"draining\":[");
    for (struct instance *in = NULL; (in = engine_next_retired(h->engine, in));) {
        buf_printf(b, "%s{\"name\":", comma);
        json_write_string(b, str_of(in->name));
        member(b, "generation", in->generation);
        text_member(b, "state", instance_is_stuck(in) ? STR("stuck") : STR("draining"));
        member(b, "running", in->running);
        member(b, "queued", in->queued);
        member(b, "operations", instance_ops(in));
        member(b, "orphans", in->orphans);
        buf_byte(b, '}');
        comma = ",";
    }
    buf_byte(b, ']');
}

static void write_redis(struct buf *b, const struct cache_counters *c)
{
    buf_lit(b, ",\"redis\":{\"state\":");
    json_write_string(b, str_of(cache_link_name(c->link)));
    if (c->link_error)
        text_member(b, "why", str_of(c->link_error));
    member(b, "commands", c->commands);
    member(b, "replies", c->replies);
    member(b, "errors", c->errors);
    member(b, "timeouts", c->timeouts);
    member(b, "dropped", c->dropped);
    member(b, "reconnects", c->reconnects);
    member(b, "invalidationsIn", c->invalidations_in);
    member(b, "pending", c->pending);
    member(b, "owed", c->owed);
    buf_byte(b, '}');
}

static void write_cache(struct buf *b, const struct host *h)
{
    struct cache_counters c;
    services_cache_count(h->services, &c);
    buf_printf(b, ",\"cache\":{\"memory\":%" PRIu64, c.memory);
    member(b, "bytes", c.bytes);
    member(b, "entries", c.entries);
    member(b, "memoryHits", c.all.memory_hits);
    member(b, "redisHits", c.all.redis_hits);
    member(b, "misses", c.all.misses);
    member(b, "sets", c.all.sets);
    member(b, "deletes", c.all.deletes);
    member(b, "prefixDeletes", c.all.prefix_deletes);
    member(b, "evictions", c.evictions);
    member(b, "expired", c.expired);
    member(b, "invalidated", c.invalidated);
    member(b, "refused", c.refused);
    write_redis(b, &c);
    buf_byte(b, '}');
}

void status_write(const struct host *h, struct buf *b)
{
    buf_lit(b, "{\"server\":{\"name\":");
    json_write_string(b, h->settings->server_name);
    text_member(b, "version", STR(MANIFOLD_VERSION));
    member(b, "uptimeMs", (clock_ns() - h->started_ns) / 1000000);
    member(b, "generation", h->generation);
    member(b, "reloads", h->reloads);
    if (h->last_reload)
        text_member(b, "lastReload", str_of(h->last_reload));
    member(b, "logDropped", log_dropped());
    if (h->settings->lock != LOCK_NONE) {
        bool warn = h->settings->lock == LOCK_WARN;
        buf_printf(b, ",\"lock\":{\"mode\":\"%s\"", warn ? "warn" : "enforce");
        text_member(b, "file", str_of(h->settings->lock_file));
        buf_byte(b, '}');
    }
    buf_byte(b, '}');
    json_write_strings(b, "notInForce", h->settings->dormant, h->settings->dormants);
    buf_lit(b, ",\"plugins\":[");
    for (uint32_t i = 0; i < h->manifests; i++) {
        if (i)
            buf_byte(b, ',');
        write_plugin(b, h->manifest[i], h->instance[i]);
    }
    buf_byte(b, ']');
    write_retired(b, h);
    write_cache(b, h);
    buf_lit(b, ",\"problems\":[");
    for (uint32_t i = 0; i < h->problems; i++) {
        if (i)
            buf_byte(b, ',');
        buf_lit(b, "{\"plugin\":");
        json_write_string(b, str_of(h->problem[i].plugin));
        text_member(b, "problem", str_of(h->problem[i].sentence));
        buf_printf(b, ",\"served\":%s}", h->problem[i].fatal ? "false" : "true");
    }
    buf_lit(b, "]}");
}
