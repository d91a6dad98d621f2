/* Making and forgetting series: groups, families, slots and the bound. */
#include "services/metrics/series.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/bug.h"
#include "services/metrics/name.h"

enum { CHUNK = 64, CHUNKS = SERIES_MAX / CHUNK + 1 };

/* What a plugin has called one name. */
struct series_name {
    struct map_node node; /* in its group */
    struct list in_group;
    struct series_family *family;
    uint32_t kind, unit, series;
    char name[];
};

struct series_group {
    struct map_node node; /* in the set; key: name */
    struct list in_set;
    struct series_set *set;
    struct map names, series;
    struct list name_list, series_list;
    uint32_t count;
    uint64_t refused;
    char name[];
};

struct series_set {
    pthread_mutex_t lock;
    uint32_t limit, count; /* under lock, as is all but the chunks */
    uint32_t slots, free;  /* slots made; first free one + 1, 0: none */
    uint64_t refused;
    struct map groups, families;
    struct list group_list, family_list, cursors;
    struct series *_Atomic chunk[CHUNKS]; /* owned */
};

/* --- families --- */

static struct series_family *family_new(struct series_set *s, struct str name, uint32_t kind,
                                        struct str help)
{
    struct series_family *f = calloc(1, sizeof(*f) + name.n + 1);
    char *text = f ? malloc(help.n + 1) : NULL;
    if (!text) {
        free(f);
        return NULL;
    }
    memcpy(f->name, name.p, name.n);
    if (help.n)
        memcpy(text, help.p, help.n);
    text[help.n] = 0;
    f->help = text;
    f->kind = kind;
    list_init(&f->series);
    map_add(&s->families, &f->node, str_of(f->name));
    list_append(&s->family_list, &f->in_set);
    return f;
}

static void family_drop_if_empty(struct series_set *s, struct series_family *f)
{
    if (!list_empty(&f->series))
        return;
    list_each (it, &s->cursors) {
        struct series_cursor *c = container_of(it, struct series_cursor, in_set);
        if (c->family != &f->in_set)
            continue;
        c->family = f->in_set.next;
        c->series = NULL;
    }
    map_remove(&s->families, &f->node);
    list_remove(&f->in_set);
    free(f->help);
    free(f);
}

/* Where another plugin has another kind of this name the kind goes out behind it, in capitals,
 * which are in no plugin's names. */
static struct series_family *family_of(struct series_set *s, struct str name, uint32_t unit,
                                       uint32_t kind, struct str help)
{
    static const char *const kinds[] = {"", "_COUNTER", "_GAUGE", "_HISTOGRAM"};
    char text[SERIES_NAME + 64];
    for (int clash = 0; clash < 2; clash++) {
        int n = snprintf(text, sizeof(text), "manifold_plugin_%.*s%s%s%s%s", STR_FMT(name),
                         clash ? kinds[kind] : "", unit ? "_" : "", series_units[unit].name.p,
                         kind == MF_COUNTER ? "_total" : "");
        struct str full = {text, (size_t)n};
        struct map_node *node = map_find(&s->families, full);
        if (!node)
            return family_new(s, full, kind, help);
        struct series_family *f = container_of(node, struct series_family, node);
        if (f->kind == kind)
            return f;
    }
    BUG("two kinds under the name %s", text);
}

/* NULL with *ret_why. */
static struct series_name *name_of(struct series_group *g, const mf_series *w, const char **ret_why)
{
    uint32_t unit;
    struct str name = series_base(w, &unit);
    struct map_node *node = map_find(&g->names, name);
    struct series_name *n = node ? container_of(node, struct series_name, node) : NULL;
    if (n && (n->kind != w->kind || n->unit != unit)) {
        *ret_why = "there is another kind or unit under this name";
        return NULL;
    }
    if (n)
        return n;
    *ret_why = "out of memory";
    n = calloc(1, sizeof(*n) + name.n + 1);
    if (!n)
        return NULL;
    n->family = family_of(g->set, name, unit, w->kind, series_help(w));
    if (!n->family) {
        free(n);
        return NULL;
    }
    memcpy(n->name, name.p, name.n);
    n->kind = w->kind;
    n->unit = unit;
    map_add(&g->names, &n->node, str_of(n->name));
    list_append(&g->name_list, &n->in_group);
    return n;
}

/* A name is there as long as something has it. */
static void name_drop_if_unused(struct series_group *g, struct series_name *n)
{
    if (n->series)
        return;
    family_drop_if_empty(g->set, n->family);
    map_remove(&g->names, &n->node);
    list_remove(&n->in_group);
    free(n);
}

/* --- slots --- */

static struct series *slot_at(const struct series_set *s, uint32_t i)
{
    struct series *chunk = atomic_load_explicit(&s->chunk[i / CHUNK], memory_order_acquire);
    return chunk ? &chunk[i % CHUNK] : NULL;
}

/* A free slot and its number; NULL: no memory. */
static struct series *slot_take(struct series_set *s, uint32_t *ret)
{
    if (!s->free) {
        struct series *chunk = aligned_alloc(64, CHUNK * sizeof(*chunk));
        if (!chunk || s->slots + CHUNK > CHUNKS * CHUNK) {
            free(chunk);
            return NULL;
        }
        memset(chunk, 0, CHUNK * sizeof(*chunk));
        for (uint32_t i = 0; i < CHUNK; i++)
            chunk[i].next_free = i + 1 < CHUNK ? s->slots + i + 2 : 0;
        atomic_store_explicit(&s->chunk[s->slots / CHUNK], chunk, memory_order_release);
        s->free = s->slots + 1;
        s->slots += CHUNK;
    }
    *ret = s->free - 1;
    struct series *one = slot_at(s, *ret);
    s->free = one->next_free;
    return one;
}

static void slot_give(struct series_set *s, struct series *one)
{
    uint32_t i = (uint32_t)atomic_load_explicit(&one->id, memory_order_relaxed) - 1;
    atomic_store_explicit(&one->id, 0, memory_order_release);
    atomic_store_explicit(&one->group, NULL, memory_order_relaxed);
    free(atomic_exchange_explicit(&one->histogram, NULL, memory_order_acq_rel));
    free(one->text);
    one->text = NULL;
    list_each (it, &s->cursors) {
        struct series_cursor *c = container_of(it, struct series_cursor, in_set);
        if (c->series == &one->in_family)
            c->series = one->in_family.next;
    }
    list_remove(&one->in_family);
    list_remove(&one->in_group);
    family_drop_if_empty(s, one->family);
    one->next_free = s->free;
    s->free = i + 1;
    s->count--;
}

static struct series_histogram *histogram_new(const struct series_name *n)
{
    struct series_histogram *h = calloc(1, sizeof(*h));
    if (h)
        h->bounds = series_units[n->unit].bounds;
    return h;
}

static struct series *make(struct series_group *g, struct series_name *n, struct str key,
                           size_t labels)
{
    struct series_set *s = g->set;
    struct series_histogram *h = n->kind == MF_HISTOGRAM ? histogram_new(n) : NULL;
    char *text = malloc(key.n);
    uint32_t i;
    struct series *one = text && (h || n->kind != MF_HISTOGRAM) ? slot_take(s, &i) : NULL;
    if (!one) {
        free(h);
        free(text);
        return NULL;
    }
    memcpy(text, key.p, key.n);
    one->text = text;
    series_key_read(one, str_of(n->name), labels);
    one->family = n->family;
    list_append(&n->family->series, &one->in_family);
    list_append(&g->series_list, &one->in_group);
    map_add(&g->series, &one->node, (struct str){text, key.n});
    n->series++;
    g->count++;
    s->count++;
    atomic_store_explicit(&one->kind, n->kind, memory_order_relaxed);
    atomic_store_explicit(&one->whole, 0, memory_order_relaxed);
    atomic_store_explicit(&one->bits, 0, memory_order_relaxed);
    atomic_store_explicit(&one->histogram, h, memory_order_relaxed);
    atomic_store_explicit(&one->group, g, memory_order_relaxed);
    one->generation++;
    atomic_store_explicit(&one->id, (uint64_t)one->generation << 32 | (i + 1),
                          memory_order_release);
    return one;
}

/* With the lock held.  NULL with *ret_why. */
static struct series *find_or_make(struct series_group *g, const mf_series *w,
                                   struct series_label label[MF_LABELS_MAX], const char **ret_why)
{
    char key[SERIES_KEY];
    uint32_t unit;
    struct series_set *s = g->set;
    struct str k = {key, series_key(series_base(w, &unit), label, w->label_count, key)};
    struct map_node *node = map_find(&g->series, k);
    bool over = s->count >= s->limit || g->count >= s->limit - s->count;
    if (!node && over && !protection_off("series")) {
        *ret_why = "too many (metrics.series of the host config)";
        return NULL;
    }
    struct series_name *n = name_of(g, w, ret_why);
    if (!n || node)
        return n ? container_of(node, struct series, node) : NULL;
    *ret_why = "out of memory";
    struct series *one = make(g, n, k, w->label_count);
    name_drop_if_unused(g, n);
    return one;
}

mf_metric series_ask(struct series_group *g, const mf_series *wanted, const char **ret_why,
                     bool *ret_first)
{
    struct series_label label[MF_LABELS_MAX];
    const char *why = series_check(wanted, label);
    pthread_mutex_lock(&g->set->lock);
    struct series *one = why ? NULL : find_or_make(g, wanted, label, &why);
    mf_metric id = one ? atomic_load_explicit(&one->id, memory_order_relaxed) : 0;
    if (!one) {
        *ret_why = why;
        *ret_first = g->refused++ == 0;
        g->set->refused++;
    }
    pthread_mutex_unlock(&g->set->lock);
    return id;
}

struct series *series_find(const struct series_group *g, mf_metric id, unsigned kinds)
{
    uint32_t i = (uint32_t)id - 1;
    struct series *one = (uint32_t)id && i < SERIES_MAX ? slot_at(g->set, i) : NULL;
    if (!one || atomic_load_explicit(&one->id, memory_order_acquire) != id ||
        atomic_load_explicit(&one->group, memory_order_relaxed) != g ||
        !(kinds & 1u << atomic_load_explicit(&one->kind, memory_order_relaxed)))
        return NULL;
    return one;
}

/* --- groups and the set --- */

struct series_set *series_set_new(uint32_t limit)
{
    struct series_set *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    s->limit = limit < SERIES_MAX ? limit : SERIES_MAX;
    list_init(&s->group_list);
    list_init(&s->family_list);
    list_init(&s->cursors);
    return s;
}

void series_set_limit(struct series_set *s, uint32_t limit)
{
    pthread_mutex_lock(&s->lock);
    s->limit = limit < SERIES_MAX ? limit : SERIES_MAX;
    pthread_mutex_unlock(&s->lock);
}

static struct series_group *group_find(const struct series_set *s, const char *instance)
{
    struct map_node *node = map_find(&s->groups, str_of(instance));
    return node ? container_of(node, struct series_group, node) : NULL;
}

struct series_group *series_group(struct series_set *s, const char *instance)
{
    pthread_mutex_lock(&s->lock);
    struct series_group *g = group_find(s, instance);
    size_t n = strlen(instance);
    if (!g && (g = calloc(1, sizeof(*g) + n + 1))) {
        memcpy(g->name, instance, n);
        g->set = s;
        list_init(&g->name_list);
        list_init(&g->series_list);
        map_add(&s->groups, &g->node, str_of(g->name));
        list_append(&s->group_list, &g->in_set);
    }
    pthread_mutex_unlock(&s->lock);
    return g;
}

static void group_drop(struct series_group *g)
{
    while (!list_empty(&g->series_list))
        slot_give(g->set, container_of(g->series_list.next, struct series, in_group));
    for (struct list *it; (it = list_pop(&g->name_list));)
        free(container_of(it, struct series_name, in_group));
    map_release(&g->names);
    map_release(&g->series);
    map_remove(&g->set->groups, &g->node);
    list_remove(&g->in_set);
    free(g);
}

void series_forget(struct series_set *s, const char *instance)
{
    pthread_mutex_lock(&s->lock);
    struct series_group *g = group_find(s, instance);
    if (g)
        group_drop(g);
    pthread_mutex_unlock(&s->lock);
}

void series_set_free(struct series_set *s)
{
    if (!s)
        return;
    while (!list_empty(&s->group_list))
        group_drop(container_of(s->group_list.next, struct series_group, in_set));
    for (uint32_t i = 0; i < CHUNKS; i++)
        free(atomic_load_explicit(&s->chunk[i], memory_order_relaxed));
    map_release(&s->groups);
    map_release(&s->families);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* --- looking --- */

const struct list *series_walk(struct series_set *s)
{
    pthread_mutex_lock(&s->lock);
    return &s->family_list;
}

void series_walk_end(struct series_set *s)
{
    pthread_mutex_unlock(&s->lock);
}

void series_look(struct series_set *s, struct series_cursor *c)
{
    pthread_mutex_lock(&s->lock);
    *c = (struct series_cursor){.family = s->family_list.next};
    list_append(&s->cursors, &c->in_set);
    pthread_mutex_unlock(&s->lock);
}

bool series_next(struct series_set *s, struct series_cursor *c, unsigned count, series_seen *seen,
                 void *arg)
{
    pthread_mutex_lock(&s->lock);
    while (count && c->family != &s->family_list) {
        struct series_family *f = container_of(c->family, struct series_family, in_set);
        bool first = !c->series;
        if (first)
            c->series = f->series.next;
        if (c->series == &f->series) {
            c->family = c->family->next;
            c->series = NULL;
            continue;
        }
        const struct series *one = container_of(c->series, struct series, in_family);
        c->series = c->series->next;
        seen(arg, f, one, first);
        count--;
    }
    bool more = c->family != &s->family_list;
    if (!more)
        list_remove(&c->in_set);
    pthread_mutex_unlock(&s->lock);
    return more;
}

void series_look_end(struct series_set *s, struct series_cursor *c)
{
    pthread_mutex_lock(&s->lock);
    list_remove(&c->in_set);
    pthread_mutex_unlock(&s->lock);
}

const char *series_instance(const struct series *one)
{
    return atomic_load_explicit(&one->group, memory_order_relaxed)->name;
}

void series_usage(struct series_set *s, struct series_usage *ret)
{
    pthread_mutex_lock(&s->lock);
    *ret = (struct series_usage){s->count, s->limit, s->refused};
    pthread_mutex_unlock(&s->lock);
}

void series_usage_of(struct series_set *s, const char *instance, struct series_usage *ret)
{
    pthread_mutex_lock(&s->lock);
    const struct series_group *g = group_find(s, instance);
    *ret = g ? (struct series_usage){g->count, s->limit, g->refused} : (struct series_usage){0};
    pthread_mutex_unlock(&s->lock);
}
