#include "services/cache/internal.h"

/* Ten years: Redis refuses times that its clock can't count to. */
#define TTL_MAX (UINT64_C(10) * 366 * 24 * 3600 * 1000000000)

/* NULL: no memory. */
__attribute__((format(printf, 1, 2))) static char *print(const char *fmt, ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return n < 0 ? NULL : text;
}

int cache_open(uv_loop_t *loop, const struct cache_spec *spec, struct cache **ret, struct err *e)
{
    struct cache *c = calloc(1, sizeof(*c));
    if (!c || cache_spec_copy(spec, &c->spec)) {
        free(c);
        return err_set(e, -ENOMEM, "there is no memory for the cache");
    }
    uv_idle_init(loop, &c->sweep); /* it can't fail */
    c->loop = loop;
    c->sweep.data = c;
    list_init(&c->owed);
    arc4random_buf(c->self, sizeof(c->self));
    *ret = c;
    return 0;
}

/* --- spaces --- */

struct cache_space *cache_find_space(struct cache *c, enum cache_use use, struct str instance)
{
    char tag[64];
    if (instance.n >= sizeof(tag))
        return NULL;
    tag[0] = use == CACHE_RESULTS ? 'r' : 'v';
    if (instance.n)
        memcpy(tag + 1, instance.p, instance.n);
    struct map_node *n = map_find(&c->spaces, (struct str){tag, 1 + instance.n});
    return n ? container_of(n, struct cache_space, in_cache) : NULL;
}

static bool start_redis(struct cache *c)
{
    char *channel = print("%s:invalidate", c->spec.name_space);
    c->sets = calloc(SET_CLASSES, sizeof(*c->sets));
    if (channel && c->sets)
        c->link = redis_link_open(c->loop, &c->spec, str_of(channel), &remote_events, c);
    free(channel);
    if (!c->link)
        free(c->sets);
    return c->link;
}

/* Neither tier is there before somebody wants to use it. */
static bool start(struct cache *c)
{
    if (c->memory)
        return true;
    c->memory = memory_open(c->spec.memory);
    if (c->memory && (c->spec.redis == CACHE_REDIS_NONE || start_redis(c)))
        return true;
    log_error("cache: there is no memory for it; who wants to use it next makes it try again");
    if (c->memory)
        memory_close(c->memory);
    c->memory = NULL;
    return false;
}

static void space_free(struct cache_space *s)
{
    free(s->tag);
    free(s->keys);
    free(s->log);
    free(s);
}

struct cache_space *cache_space(struct cache *c, enum cache_use use, struct str instance)
{
    struct cache_space *s = cache_find_space(c, use, instance);
    if (s || !start(c) || !(s = calloc(1, sizeof(*s))))
        return s;
    char kind = use == CACHE_RESULTS ? 'r' : 'v';
    s->cache = c;
    s->use = use;
    s->tag = print("%c%.*s", kind, STR_FMT(instance));
    s->keys = print("%s:%c:%.*s:", c->spec.name_space, kind, STR_FMT(instance));
    s->log = print("%s:l%c:%.*s", c->spec.name_space, kind, STR_FMT(instance));
    if (!s->tag || !s->keys || !s->log) {
        space_free(s);
        return NULL;
    }
    s->id = ++c->space_count;
    s->all = (struct owed){.space = s, .what = OWED_ALL};
    map_add(&c->spaces, &s->in_cache, str_of(s->tag));
    if (c->link)
        remote_look(s);
    return s;
}

/* --- sweeping --- */

static void on_sweep(uv_idle_t *idle)
{
    struct cache *c = idle->data;
    if (!memory_sweep(c->memory, SWEEP_ENTRIES, clock_ns()))
        uv_idle_stop(idle);
}

void cache_sweep(struct cache *c)
{
    uv_idle_start(&c->sweep, on_sweep);
}

/* --- reading --- */

struct cache_stamp cache_stamp_now(const struct cache_space *s)
{
    return (struct cache_stamp){memory_number(s->cache->memory), s->epoch, s->at};
}

bool cache_find(struct cache_space *s, struct str key, struct cache_value *ret)
{
    if (key.n > CACHE_KEY_MAX)
        return false;
    struct memory *m = s->cache->memory;
    struct memory_key k = memory_key(s->id, key);
    memory_expect(m, &k);
    uint64_t now = clock_ns();
    struct memory_entry *e = memory_find(m, &k, now);
    if (!e)
        return false;
    memory_pin(e);
    s->tally.memory_hits++;
    *ret = cache_value_of(e, now);
    return true;
}

enum cache_answer cache_ask(struct cache_space *s, struct str key, struct cache_read *r)
{
    if (key.n <= CACHE_KEY_MAX && s->cache->link) {
        struct memory_key k = memory_key(s->id, key);
        if (flight_join(s, &k, r))
            return CACHE_ASKED;
    }
    s->tally.misses++;
    r->stamp = cache_stamp_now(s);
    return CACHE_MISS;
}

enum cache_answer cache_get(struct cache_space *s, struct str key, struct cache_read *r,
                            struct cache_value *ret)
{
    return cache_find(s, key, ret) ? CACHE_HIT : cache_ask(s, key, r);
}

void cache_cancel(struct cache_read *r)
{
    if (!r->flight)
        return;
    r->flight = NULL;
    list_remove(&r->waiting);
}

void cache_vouch(const struct cache_value *v)
{
    v->entry->foreign = false;
}

void cache_keep(struct cache_space *s, const struct cache_value *v)
{
    (void)s;
    memory_pin(v->entry);
}

void cache_release(struct cache_space *s, const struct cache_value *v)
{
    memory_unpin(s->cache->memory, v->entry);
}

/* --- writing --- */

/* The value can't be kept, so an older one must not stay either. */
static int refuse(struct cache_space *s, const struct memory_key *k, int why)
{
    memory_delete(s->cache->memory, k);
    owed_add(s, OWED_SET, k->key);
    return why;
}

int cache_set(struct cache_space *s, struct str key, const struct str *piece, unsigned pieces,
              uint64_t ttl, const struct cache_stamp *since)
{
    struct memory *m = s->cache->memory;
    size_t n = 0;
    for (unsigned i = 0; i < pieces; i++) {
        n += piece[i].n;
        if (n > CACHE_VALUE_MAX)
            n = CACHE_VALUE_MAX + 1;
    }
    if (key.n > CACHE_KEY_MAX)
        return -E2BIG;
    if (ttl < 1000000)
        return -EINVAL;
    ttl = ttl < TTL_MAX ? ttl : TTL_MAX;
    struct memory_key k = memory_key(s->id, key);
    if (n > CACHE_VALUE_MAX)
        return refuse(s, &k, -E2BIG);
    if (since && memory_is_stale(m, &k, since->order))
        return -ESTALE;
    uint64_t now = clock_ns();
    struct memory_entry *e = memory_make(m, &k, n, now + ttl, now);
    if (!e)
        return refuse(s, &k, -ENOMEM);
    char *to = e->bytes + e->key_len;
    for (unsigned i = 0; i < pieces; to += piece[i++].n) {
        if (piece[i].n)
            memcpy(to, piece[i].p, piece[i].n);
    }
    memory_put(m, e, since ? since->order : memory_number(m));
    flight_overtake(s, key);
    remote_set(s, &k, e, ttl / 1000000, since);
    memory_unpin(m, e);
    s->tally.sets++;
    return 0;
}

int cache_delete(struct cache_space *s, struct str key)
{
    if (key.n > CACHE_KEY_MAX)
        return -E2BIG;
    struct memory_key k = memory_key(s->id, key);
    memory_delete(s->cache->memory, &k);
    s->tally.deletes++;
    owed_add(s, OWED_KEY, key);
    return 0;
}

int cache_delete_prefix(struct cache_space *s, struct str prefix)
{
    if (prefix.n > CACHE_KEY_MAX)
        return -E2BIG;
    memory_delete_prefix(s->cache->memory, s->id, prefix);
    cache_sweep(s->cache);
    s->tally.prefix_deletes++;
    owed_add(s, prefix.n ? OWED_PREFIX : OWED_ALL, prefix);
    return 0;
}

/* --- what it did --- */

const struct cache_tally *cache_space_count(const struct cache_space *s)
{
    return &s->tally;
}

static void add_tally(struct cache_tally *to, const struct cache_tally *t)
{
    to->memory_hits += t->memory_hits;
    to->redis_hits += t->redis_hits;
    to->misses += t->misses;
    to->sets += t->sets;
    to->deletes += t->deletes;
    to->prefix_deletes += t->prefix_deletes;
}

static enum cache_link link_state(const struct cache *c)
{
    static const enum cache_link states[] = {[LINK_DOWN] = CACHE_LINK_CONNECTING,
                                             [LINK_CONNECTING] = CACHE_LINK_CONNECTING,
                                             [LINK_UP] = CACHE_LINK_UP,
                                             [LINK_SILENT] = CACHE_LINK_SILENT};
    if (c->spec.redis == CACHE_REDIS_NONE)
        return CACHE_LINK_NONE;
    return c->link ? states[redis_link_state(c->link)] : CACHE_LINK_IDLE;
}

void cache_count(const struct cache *c, struct cache_counters *ret)
{
    *ret = (struct cache_counters){.memory = c->spec.memory,
                                   .link = link_state(c),
                                   .dropped = c->dropped,
                                   .invalidations_in = c->invalidations_in,
                                   .owed = c->owed_count};
    for (size_t i = 0; i < c->spaces.slots; i++) {
        for (struct map_node *n = c->spaces.slot[i]; n; n = n->next)
            add_tally(&ret->all, &container_of(n, struct cache_space, in_cache)->tally);
    }
    if (c->memory) {
        struct memory_counters m;
        memory_count(c->memory, &m);
        ret->entries = m.entries;
        ret->bytes = m.bytes;
        ret->evictions = m.evictions;
        ret->expired = m.expired;
        ret->invalidated = m.invalidated;
        ret->refused = m.refused;
    }
    if (c->link) {
        struct redis_link_counters l;
        redis_link_count(c->link, &l);
        ret->link_error = redis_link_why(c->link);
        ret->commands = l.commands;
        ret->replies = l.replies;
        ret->errors = l.errors;
        ret->timeouts = l.timeouts;
        ret->reconnects = l.reconnects;
        ret->pending = l.pending;
    }
}

const char *cache_link_name(enum cache_link link)
{
    static const char *const names[] = {[CACHE_LINK_NONE] = "none",
                                        [CACHE_LINK_IDLE] = "not used yet",
                                        [CACHE_LINK_CONNECTING] = "connecting",
                                        [CACHE_LINK_UP] = "connected",
                                        [CACHE_LINK_SILENT] = "does not answer"};
    return names[link];
}

/* --- the end --- */

static void free_spaces(struct cache *c)
{
    for (size_t i = 0; i < c->spaces.slots; i++) {
        for (struct map_node *n = c->spaces.slot[i], *next; n; n = next) {
            struct cache_space *s = container_of(n, struct cache_space, in_cache);
            next = n->next;
            space_free(s);
        }
    }
    map_release(&c->spaces);
}

static void free_when_gone(struct cache *c)
{
    if (--c->handles)
        return;
    cache_spec_release(&c->spec);
    void (*closed)(void *) = c->closed;
    void *arg = c->closed_arg;
    free(c);
    closed(arg);
}

static void on_link_gone(void *arg)
{
    free_when_gone(arg);
}

static void on_idle_closed(uv_handle_t *h)
{
    free_when_gone(h->data);
}

void cache_close(struct cache *c, void (*done)(void *arg), void *arg)
{
    c->closing = true;
    c->closed = done;
    c->closed_arg = arg;
    c->handles = 1 + (c->link != NULL);
    if (c->link)
        redis_link_close(c->link, on_link_gone, c);
    uv_close((uv_handle_t *)&c->sweep, on_idle_closed);
    owed_forget(c);
    if (c->memory)
        memory_close(c->memory);
    map_release(&c->flights);
    free(c->sets);
    free_spaces(c);
}
