/* What has changed is told to the clients that asked: lists after a while, so that a reload in
 * several steps is told once; resources at once, but not too often. */
#include "runtime/internal.h"

#include <stdlib.h>
#include "services/results/results.h"

enum { LISTS_AFTER = 100, UPDATES_EVERY = 50, RETRY_AFTER = 100 }; /* milliseconds */

struct notices {
    struct host *host;
    uv_timer_t lists, updates;
    unsigned handles;
    unsigned kinds;             /* a plugin says they have changed */
    uint64_t told[ENTRY_KINDS]; /* digests that clients know */
    uint64_t told_ns;           /* when updates were last told */
};

static void on_updates(uv_timer_t *t);

/* Who does not read is asked again. */
static void tell_all(struct notices *n)
{
    bool all = true;
    n->told_ns = clock_ns();
    list_each (it, &n->host->listeners) {
        struct host_listener *l = container_of(it, struct host_listener, in_host);
        all &= l->tell(l);
    }
    if (!all)
        uv_timer_start(&n->updates, on_updates, RETRY_AFTER, 0);
}

static void on_updates(uv_timer_t *t)
{
    tell_all(t->data);
}

static void on_lists(uv_timer_t *t)
{
    struct notices *n = t->data;
    const struct catalogue *c = n->host->catalogue;
    unsigned kinds = n->kinds;
    for (int k = 0; k < ENTRY_KINDS; k++) {
        kinds |= n->told[k] != c->digest[k] ? 1u << k : 0;
        n->told[k] = c->digest[k];
    }
    n->kinds = 0;
    list_each (it, &n->host->listeners) {
        struct host_listener *l = container_of(it, struct host_listener, in_host);
        l->lists_changed(l, kinds);
    }
    tell_all(n);
}

struct notices *notices_open(struct host *h)
{
    if (h->notices)
        return h->notices;
    struct notices *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->host = h;
    uv_timer_init(h->loop, &n->lists);
    uv_timer_init(h->loop, &n->updates);
    n->lists.data = n->updates.data = n;
    n->handles = 2;
    memcpy(n->told, h->catalogue->digest, sizeof(n->told));
    h->notices = n;
    return n;
}

static void lists_later(struct notices *n)
{
    uv_update_time(n->host->loop);
    uv_timer_start(&n->lists, on_lists, LISTS_AFTER, 0);
}

void notices_lists(struct host *h)
{
    lists_later(h->notices);
}

/* The first entry that has the URI is the one that is read. */
static bool serves(const struct catalogue *c, const struct instance *in, struct str uri)
{
    const struct entry *en = catalogue_find(c, ENTRY_RESOURCE, uri);
    en = en ? en : catalogue_match(c, uri, NULL);
    if (protection_off("notice_owner"))
        return en;
    return en && en->instance && strcmp(en->instance->name, in->name) == 0;
}

void notices_updated(void *arg, struct instance *in, const struct entry_spec *spec, struct str uri)
{
    struct host *h = arg;
    struct notices *n = notices_open(h);
    if (spec->cached)
        results_drop(h->services, in, uri);
    if (!n || !serves(h->catalogue, in, uri))
        return;
    list_each (it, &h->listeners) {
        struct host_listener *l = container_of(it, struct host_listener, in_host);
        l->resource_updated(l, uri);
    }
    if (uv_is_active((uv_handle_t *)&n->updates))
        return;
    uint64_t passed = (clock_ns() - n->told_ns) / 1000000;
    bool soon = passed >= UPDATES_EVERY || protection_off("notice_rate");
    uv_update_time(h->loop);
    uv_timer_start(&n->updates, on_updates, soon ? 0 : UPDATES_EVERY - passed, 0);
}

void notices_lists_changed(void *arg, struct instance *in, unsigned kinds)
{
    struct notices *n = notices_open(arg);
    (void)in;
    if (!n)
        return;
    n->kinds |= kinds;
    if (!uv_is_active((uv_handle_t *)&n->lists))
        lists_later(n);
}

static void on_closed(uv_handle_t *handle)
{
    struct notices *n = handle->data;
    if (--n->handles == 0)
        free(n);
}

void notices_close(struct host *h)
{
    struct notices *n = h->notices;
    if (!n)
        return;
    h->notices = NULL;
    uv_close((uv_handle_t *)&n->lists, on_closed);
    uv_close((uv_handle_t *)&n->updates, on_closed);
}
