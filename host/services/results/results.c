#include "services/results/internal.h"

enum { POOL_MAX = 64, KEEP = 4096 };

static const struct ticket none;

static const struct entry_spec *spec_of(const struct flight *f)
{
    return &f->instance->manifest->entry[f->entry];
}

/* --- flights --- */

static void on_read(struct cache_read *read, const struct cache_value *v);

/* NULL: no memory. */
static struct flight *flight_take(struct results *r)
{
    struct list *it = list_pop(&r->pool);
    struct flight *f = it ? container_of(it, struct flight, in_pool) : calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    r->pooled -= it != NULL;
    f->results = r;
    f->read.done = on_read;
    f->key.max = KEY_MAX;
    list_init(&f->waits);
    return f;
}

static void flight_free(struct flight *f)
{
    buf_release(&f->key);
    buf_release(&f->input);
    free(f);
}

static void flight_give(struct flight *f)
{
    struct results *r = f->results;
    if (r->pooled >= POOL_MAX) {
        flight_free(f);
        return;
    }
    buf_clear(&f->key, KEEP);
    buf_clear(&f->input, KEEP);
    list_append(&r->pool, &f->in_pool);
    r->pooled++;
}

static void flight_begin(struct flight *f, const struct call_request *rq)
{
    f->instance = rq->instance;
    f->entry = rq->entry;
    f->kind = rq->kind;
    f->call = NULL;
    f->deadline = UINT64_MAX;
    f->wait_count = 0;
    f->mapped = f->asks = f->ending = false;
    f->results->runs++;
}

static void flight_end(struct flight *f)
{
    f->results->runs--;
    flight_give(f);
}

/* From now on equal requests come to it. */
static void publish(struct flight *f)
{
    f->mapped = map_add(&f->results->flights, &f->node, key_shared(&f->key));
}

static void withdraw(struct flight *f)
{
    if (f->mapped)
        map_remove(&f->results->flights, &f->node);
    f->mapped = false;
}

static void stop_asking(struct flight *f)
{
    if (f->asks)
        instance_let_go(f->instance);
    f->asks = false;
}

void flight_abandon(struct flight *f)
{
    withdraw(f);
    if (f->asks)
        cache_cancel(&f->read);
    stop_asking(f);
    if (f->call)
        call_cancel(f->call);
    flight_end(f);
}

/* Each of its waits is told; meanwhile any of them may be cancelled. */
static void answer_all(struct flight *f, const struct outcome *o, struct outcome_kept kept)
{
    withdraw(f);
    f->ending = true;
    while (!list_empty(&f->waits))
        wait_answer(container_of(f->waits.next, struct result_wait, in_flight), o, kept);
    flight_end(f);
}

/* --- the run --- */

static void keep(struct flight *f, const struct outcome *o)
{
    struct instance_results *own = results_of(f->results, f->instance);
    if (o->end != CALL_DONE || o->items.n + o->structured.n > RESULTS_VALUE_MAX || !own ||
        !version_know(own, f->instance))
        return;
    key_set_version(&f->key, own->version);
    value_keep(own->space, &f->key, o, spec_of(f)->cache_ttl, &f->read.stamp);
}

static void on_done(void *user, const struct outcome *o)
{
    struct flight *f = user;
    f->call = NULL;
    keep(f, o);
    answer_all(f, o, (struct outcome_kept){0});
}

static void on_progress(void *user, double done, double total, struct str text)
{
    struct flight *f = user;
    list_each_safe (it, &f->waits) {
        struct result_wait *w = container_of(it, struct result_wait, in_flight);
        if (w->progress)
            w->sink->progress(w->user, done, total, text);
    }
}

static void on_log(void *user, int level, struct str logger, struct str text)
{
    struct flight *f = user;
    list_each_safe (it, &f->waits) {
        struct result_wait *w = container_of(it, struct result_wait, in_flight);
        if (w->log_level >= level)
            w->sink->log(w->user, level, logger, text);
    }
}

static const struct call_sink sink = {on_done, on_progress, on_log};

/* Whoever joins may want to hear what the first does not. */
static struct call *start_call(struct flight *f, const struct call_request *rq)
{
    struct call_request own = *rq;
    own.sink = &sink;
    own.user = f;
    own.progress = true;
    own.log_level = MF_LOG_DEBUG;
    call_count_miss(f->instance, f->entry);
    f->results->count.misses++;
    return call_start(f->instance->engine, &own);
}

/* Most tools end inside, and then nobody could have joined. */
static struct ticket run(struct flight *f, const struct call_request *rq)
{
    struct call *c = start_call(f, rq);
    if (!c)
        return none;
    f->call = c;
    f->deadline = clock_ns() + spec_of(f)->limits.timeout;
    f->first.deadline = f->deadline;
    publish(f);
    return (struct ticket){.wait = &f->first};
}

/* --- the cache --- */

/* False: it was no result. */
static bool answer_kept(struct flight *f, const struct cache_value *v)
{
    struct outcome o;
    struct outcome_kept kept = {.hit = true};
    if (!value_read(f->results, v, spec_of(f)->cache_ttl, &o, &kept))
        return false;
    f->results->count.hits += f->wait_count;
    answer_all(f, &o, kept);
    return true;
}

/* Redis had nothing: the run begins, for as long as the first that still waits would have. */
static void run_late(struct flight *f)
{
    struct instance *in = f->instance;
    struct result_wait *w = container_of(f->waits.next, struct result_wait, in_flight);
    struct call_request rq = {.instance = in,
                              .entry = f->entry,
                              .kind = f->kind,
                              .args = f->args,
                              .uri = f->uri,
                              .meta = f->meta,
                              .deadline = w->deadline};
    f->deadline = w->deadline;
    list_each_safe (it, &f->waits)
        wait_limit(container_of(it, struct result_wait, in_flight));
    if (instance_is_cut(in)) {
        rq.sink = &sink;
        rq.user = f;
        call_refuse(&rq, REFUSED_TIMEOUT);
        return;
    }
    struct call *c = start_call(f, &rq);
    if (c)
        f->call = c;
}

static void on_read(struct cache_read *read, const struct cache_value *v)
{
    struct flight *f = container_of(read, struct flight, read);
    struct instance *in = f->instance;
    f->asks = false;
    if (v && answer_kept(f, v)) {
        instance_let_go(in);
        return;
    }
    if (v) { /* what is not a result must not be asked for again */
        struct instance_results *own = results_of(f->results, in);
        cache_delete(own->space, key_kept(&f->key));
        read->stamp = cache_stamp_now(own->space);
    }
    run_late(f);
    instance_let_go(in);
}

static bool keep_input(struct flight *f, const struct call_request *rq)
{
    struct str part[3] = {rq->args, rq->uri, rq->meta};
    f->input.max = part[0].n + part[1].n + part[2].n;
    if (buf_reserve(&f->input, f->input.max))
        return false;
    for (int i = 0; i < 3; i++)
        buf_str(&f->input, part[i]);
    f->args = (struct str){f->input.data, part[0].n};
    f->uri = (struct str){f->input.data + part[0].n, part[1].n};
    f->meta = (struct str){f->input.data + part[0].n + part[1].n, part[2].n};
    return true;
}

/* Until Redis has answered; the request is as good as a call of its instance. */
static struct ticket wait_for_cache(struct flight *f, const struct call_request *rq)
{
    f->asks = true;
    instance_hold(f->instance);
    f->first.deadline = clock_ns() + spec_of(f)->limits.timeout;
    wait_limit(&f->first);
    publish(f);
    if (keep_input(f, rq))
        return (struct ticket){.wait = &f->first};
    wait_end(&f->first);
    flight_abandon(f);
    call_refuse(rq, REFUSED_MEMORY);
    return none;
}

/* --- requests --- */

static struct ticket join(struct flight *f, const struct call_request *rq)
{
    struct results *r = f->results;
    struct result_wait *w = r->waits < r->waits_max ? malloc(sizeof(*w)) : NULL;
    if (!w) {
        call_refuse(rq, r->waits < r->waits_max ? REFUSED_MEMORY : REFUSED_CALLS);
        return none;
    }
    wait_begin(w, f, rq, true);
    w->deadline = clock_ns() + spec_of(f)->limits.timeout;
    wait_limit(w);
    r->count.shared++;
    return (struct ticket){.wait = w};
}

static struct flight *find_shared(struct results *r)
{
    if (!r->flights.count || protection_off("coalesce"))
        return NULL;
    struct map_node *n = map_find(&r->flights, key_shared(&r->key));
    return n ? container_of(n, struct flight, node) : NULL;
}

bool results_find_kept(struct services *s, struct call_request *rq, const struct json_doc *d,
                       json_ref args, struct results_hit *ret)
{
    struct results *r = services_results(s);
    struct instance_results *own = r ? results_of(r, rq->instance) : NULL;
    rq->keyed = own && key_make(&r->key, rq, d, args);
    if (!rq->keyed || !version_know(own, rq->instance))
        return false;
    key_set_version(&r->key, own->version);
    if (!cache_find(own->space, key_kept(&r->key), &ret->value))
        return false;
    ret->space = own->space;
    ret->kept = (struct outcome_kept){.hit = true};
    uint64_t ttl = rq->instance->manifest->entry[rq->entry].cache_ttl;
    if (value_read(r, &ret->value, ttl, &ret->outcome, &ret->kept)) {
        r->count.hits++;
        call_count_hit(rq->instance, rq->entry);
        return true;
    }
    cache_release(own->space, &ret->value);
    cache_delete(own->space, key_kept(&r->key)); /* what is not a result must not stay */
    return false;
}

void results_release(const struct results_hit *hit)
{
    cache_release(hit->space, &hit->value);
}

struct ticket results_start_kept(struct services *s, const struct call_request *rq)
{
    struct results *r = services_results(s);
    struct instance_results *own = results_of(r, rq->instance);
    struct flight *f = find_shared(r);
    if (f)
        return join(f, rq);
    f = flight_take(r);
    if (!f || buf_str(&f->key, buf_view(&r->key))) {
        if (f)
            flight_give(f);
        return (struct ticket){.call = call_start(rq->instance->engine, rq)};
    }
    flight_begin(f, rq);
    enum cache_answer found = CACHE_MISS;
    if (version_know(own, rq->instance))
        found = cache_ask(own->space, key_kept(&r->key), &f->read);
    else
        f->read.stamp = cache_stamp_now(own->space);
    wait_begin(&f->first, f, rq, false);
    return found == CACHE_ASKED ? wait_for_cache(f, rq) : run(f, rq);
}

void results_cancel(struct ticket t)
{
    if (t.call) {
        call_cancel(t.call);
        return;
    }
    struct flight *f = t.wait->flight;
    wait_end(t.wait);
    if (!f->wait_count && !f->ending)
        flight_abandon(f);
}

/* Else nothing can be kept for any URI, and the cache need not hear of it. */
static bool keeps_resources(const struct manifest *m)
{
    bool any = false;
    for (uint32_t i = 0; i < m->entries; i++) {
        enum entry_kind kind = m->entry[i].kind;
        any |= m->entry[i].cached && (kind == ENTRY_RESOURCE || kind == ENTRY_TEMPLATE);
    }
    return any;
}

void results_drop(struct services *s, struct instance *in, struct str uri)
{
    struct results *r = keeps_resources(in->manifest) ? services_results(s) : NULL;
    struct instance_results *own = r ? results_of(r, in) : NULL;
    if (!own || !key_of_uri(&r->key, uri))
        return;
    struct str prefix = buf_view(&r->key);
    cache_delete_prefix(own->space, prefix);
    for (size_t i = 0; i < r->flights.slots; i++) {
        for (struct map_node *n = r->flights.slot[i], *next; n; n = next) {
            struct flight *f = container_of(n, struct flight, node);
            struct str kept = key_kept(&f->key);
            next = n->next;
            if (kept.n < prefix.n || memcmp(kept.p, prefix.p, prefix.n) != 0 ||
                !str_eq(f->instance->manifest->name, in->manifest->name))
                continue;
            withdraw(f);
        }
    }
}

/* --- the whole --- */

void results_count(const struct services *s, struct results_counters *ret)
{
    const struct results *r = s->results;
    *ret = (struct results_counters){0};
    if (!r)
        return;
    *ret = r->count;
    ret->runs = r->runs;
    ret->waits = r->waits;
}

const char *results_check(const struct results *r)
{
    uint32_t waits = 0, mapped = 0;
    for (size_t i = 0; i < r->flights.slots; i++) {
        for (const struct map_node *n = r->flights.slot[i]; n; n = n->next) {
            const struct flight *f =
                container_of((struct map_node *)(uintptr_t)n, struct flight, node);
            uint32_t own = 0;
            mapped++;
            list_each (it, &f->waits)
                own++;
            if (!own || own != f->wait_count)
                return "a run that nobody waits for, or more than are counted";
            if (!f->mapped || f->ending || (f->asks == (f->call != NULL)))
                return "a run that may be shared neither asks nor is called";
            waits += own;
        }
    }
    uint64_t last = 0;
    list_each (it, &r->deadlines) {
        const struct result_wait *w = container_of(it, struct result_wait, in_deadlines);
        if (w->deadline < last)
            return "the deadlines are out of order";
        last = w->deadline;
    }
    if (!list_empty(&r->deadlines) && !r->armed)
        return "a deadline that no timer waits for";
    return mapped <= r->runs && waits <= r->waits ? NULL : "more runs or waits than are counted";
}

struct results *results_new(struct services *s, uint32_t waits)
{
    struct results *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->services = s;
    r->waits_max = waits;
    list_init(&r->deadlines);
    list_init(&r->pool);
    buf_init(&r->key, key_max());
    uv_timer_init(s->loop, &r->timer);
    return r;
}

static void on_timer_closed(uv_handle_t *h)
{
    struct results *r = container_of((uv_timer_t *)h, struct results, timer);
    r->closed(r->closed_arg);
}

void results_close(struct results *r, void (*done)(void *arg), void *arg)
{
    r->closed = done;
    r->closed_arg = arg;
    uv_close((uv_handle_t *)&r->timer, on_timer_closed);
}

void results_free(struct results *r)
{
    if (!r)
        return;
    for (struct list *it; (it = list_pop(&r->pool));)
        flight_free(container_of(it, struct flight, in_pool));
    map_release(&r->flights);
    buf_release(&r->key);
    json_doc_release(&r->doc);
    free(r);
}
