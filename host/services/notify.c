/* manifold.notify/1: what a plugin says has changed, on its way from any thread to the loop.  There
 * it is known at once, so that whoever gets the answer of a call finds what the call has changed.
 */
#include "services/internal.h"

#include "base/map.h"
#include "config/uri_template.h"
#include "manifold/notify.h"

/* One URI that waits to be told. */
struct notice {
    struct map_node node;
    struct list in_notifier;
    const struct entry_spec *spec; /* the instance's, gone with it */
    char uri[];
};

/* Of one instance, which may be gone before what is on its way has come. */
struct notifier {
    struct post post;
    struct services *services;
    const struct manifest *manifest; /* the instance's, gone with it */
    struct uri_template **template;  /* owned; of each entry; NULL where it is none */
    uint32_t entries;
    pthread_mutex_t lock;
    struct instance *instance; /* under lock, as is all below; NULL: gone */
    bool posted;
    unsigned kinds; /* 1 << ENTRY_* */
    struct map by_uri;
    struct list notices;
};

static void notifier_free(struct notifier *n)
{
    for (struct list *it; (it = list_pop(&n->notices));)
        free(container_of(it, struct notice, in_notifier));
    for (uint32_t i = 0; n->template && i < n->entries; i++)
        uri_template_free(n->template[i]);
    free(n->template);
    map_release(&n->by_uri);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

/* --- to the loop --- */

static void tell_updated(const struct notifier *n, struct instance *in,
                         const struct entry_spec *spec, struct str uri)
{
    const struct services_listener *l = &n->services->listener;
    if (l->updated)
        l->updated(l->arg, in, spec, uri);
}

static void tell_lists(const struct notifier *n, struct instance *in, unsigned kinds)
{
    const struct services_listener *l = &n->services->listener;
    if (kinds && l->lists_changed)
        l->lists_changed(l->arg, in, kinds);
}

static void on_post(struct post *p)
{
    struct notifier *n = container_of(p, struct notifier, post);
    struct list told;
    list_init(&told);
    pthread_mutex_lock(&n->lock);
    struct instance *in = n->instance;
    unsigned kinds = n->kinds;
    while (in && !list_empty(&n->notices))
        list_append(&told, list_pop(&n->notices));
    map_release(&n->by_uri);
    n->kinds = 0;
    n->posted = false;
    pthread_mutex_unlock(&n->lock);
    if (!in) {
        notifier_free(n);
        return;
    }
    for (struct list *it; (it = list_pop(&told));) {
        struct notice *notice = container_of(it, struct notice, in_notifier);
        tell_updated(n, in, notice->spec, notice->node.key);
        free(notice);
    }
    tell_lists(n, in, kinds);
}

/* With the lock held. */
static void post(struct notifier *n)
{
    if (!n->posted)
        n->posted = engine_post(n->instance->engine, &n->post);
}

void notify_release(struct notifier *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&n->lock);
    bool posted = n->posted;
    n->instance = NULL;
    pthread_mutex_unlock(&n->lock);
    if (!posted)
        notifier_free(n);
}

/* --- from plugins --- */

static const struct entry_spec *find_entry(const struct notifier *n, struct str uri)
{
    const struct manifest *m = n->manifest;
    for (uint32_t i = 0; i < m->entries; i++) {
        const struct entry_spec *spec = &m->entry[i];
        if (spec->kind == ENTRY_RESOURCE && str_eq(spec->uri, uri))
            return spec;
    }
    for (uint32_t i = 0; i < m->entries; i++) {
        if (n->template[i] && uri_template_match(n->template[i], uri, NULL))
            return &m->entry[i];
    }
    return NULL;
}

/* With the lock held. */
static mf_status add_notice(struct notifier *n, const struct entry_spec *spec, struct str uri)
{
    if (map_find(&n->by_uri, uri))
        return MF_OK;
    if (n->by_uri.count >= MF_NOTIFY_WAITING_MAX)
        return MF_ELIMIT;
    struct notice *notice = calloc(1, sizeof(*notice) + uri.n);
    if (!notice)
        return MF_ENOMEM;
    notice->spec = spec;
    memcpy(notice->uri, uri.p, uri.n);
    map_add(&n->by_uri, &notice->node, (struct str){notice->uri, uri.n});
    list_append(&n->notices, &notice->in_notifier);
    post(n);
    return MF_OK;
}

static mf_status resource_updated(const mf_host *h, mf_bytes bytes)
{
    struct instance *in = instance_of_host(h);
    struct notifier *n = in->services->notifier;
    struct str uri = {bytes.data, bytes.len};
    if (!uri.n || uri.n > MF_NOTIFY_URI_MAX)
        return MF_EINVAL;
    const struct entry_spec *spec = find_entry(n, uri);
    if (!spec)
        return MF_EINVAL;
    if (!spec->subscribe)
        return MF_ENOTSUP;
    if (engine_on_loop(in->engine)) {
        tell_updated(n, in, spec, uri);
        return MF_OK;
    }
    pthread_mutex_lock(&n->lock);
    mf_status s = add_notice(n, spec, uri);
    pthread_mutex_unlock(&n->lock);
    return s;
}

static mf_status list_changed(const mf_host *h, uint32_t kind)
{
    static const unsigned kinds[] = {[MF_TOOL] = 1u << ENTRY_TOOL,
                                     [MF_RESOURCE] = 1u << ENTRY_RESOURCE | 1u << ENTRY_TEMPLATE,
                                     [MF_PROMPT] = 1u << ENTRY_PROMPT};
    struct instance *in = instance_of_host(h);
    struct notifier *n = in->services->notifier;
    if (kind < MF_TOOL || kind > MF_PROMPT)
        return MF_EINVAL;
    if (engine_on_loop(in->engine)) {
        tell_lists(n, in, kinds[kind]);
        return MF_OK;
    }
    pthread_mutex_lock(&n->lock);
    n->kinds |= kinds[kind];
    post(n);
    pthread_mutex_unlock(&n->lock);
    return MF_OK;
}

static const struct mf_notify vtable = {
    .size = sizeof(mf_notify), .resource_updated = resource_updated, .list_changed = list_changed};

/* --- making --- */

/* NULL: no memory. */
static struct notifier *notifier_new(struct services *s, struct instance *in)
{
    const struct manifest *m = in->manifest;
    struct notifier *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->post.run = on_post;
    n->services = s;
    n->instance = in;
    n->manifest = m;
    n->entries = m->entries;
    list_init(&n->notices);
    pthread_mutex_init(&n->lock, NULL);
    n->template = calloc(m->entries + 1u, sizeof(struct uri_template *));
    if (!n->template) {
        notifier_free(n);
        return NULL;
    }
    /* One that does not compile is not served, and has been reported. */
    for (uint32_t i = 0; i < m->entries; i++) {
        struct err e;
        if (m->entry[i].kind == ENTRY_TEMPLATE)
            uri_template_compile(m->entry[i].uri, &n->template[i], &e);
    }
    return n;
}

const void *notify_open(struct services *s, struct instance *in)
{
    pthread_mutex_lock(&s->lock);
    if (!in->services->notifier)
        in->services->notifier = notifier_new(s, in);
    bool have = in->services->notifier;
    pthread_mutex_unlock(&s->lock);
    return have ? &vtable : NULL;
}
