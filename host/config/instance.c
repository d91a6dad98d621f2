#include "config/instance.h"

#include <errno.h>
#include "config/complain.h"
#include "config/entry.h"
#include "config/text.h"

void instance_layers_set(struct instance_layers *l, const struct manifest *m,
                         const struct settings *s)
{
    *l = (struct instance_layers){.layer = {{&m->doc, 0}}, .count = 1};
    for (uint32_t which = 0; which < 2; which++) {
        json_ref object;
        const struct document *d = settings_plugin(s, which, m->name, &object);
        if (d) {
            l->host[l->count] = true;
            l->layer[l->count++] = (struct layer){d, object};
        }
    }
}

/* The last of the layers from `first` on that has the key. */
static const struct document *find(const struct instance_layers *l, unsigned first, const char *key,
                                   json_ref *ret)
{
    for (unsigned i = l->count; i-- > first;) {
        json_ref n = json_get(&l->layer[i].doc->json, l->layer[i].object, str_of(key));
        if (n) {
            *ret = n;
            return l->layer[i].doc;
        }
    }
    return NULL;
}

const struct document *instance_find(const struct instance_layers *l, const char *key,
                                     json_ref *ret)
{
    return find(l, 1, key, ret);
}

struct cut_of_instance {
    struct manifest *m;
    const struct settings *s;
    const struct instance_layers *l;
};

/* Says so only where somebody wrote the value: a built-in default over a ceiling is nobody's slip.
 */
static void warn_cut(void *arg, const char *key, const char *was, const char *is)
{
    const struct cut_of_instance *of = arg;
    const char *dot = strchr(key, '.');
    struct str group = {key, (size_t)(dot - key)}, field = str_of(dot + 1);
    json_ref defaults = of->s->doc.path ? json_get(&of->s->doc.json, 0, STR("defaults")) : 0;
    struct layer layer[4] = {{&of->s->doc, defaults}};
    unsigned first = defaults ? 0 : 1, count = 1;
    for (unsigned i = 0; i < of->l->count; i++)
        layer[count++] = of->l->layer[i];
    while (count-- > first) {
        const struct json_doc *d = &layer[count].doc->json;
        json_ref object = json_get(d, layer[count].object, group);
        json_ref n = object ? json_get(d, object, field) : 0;
        if (!n)
            continue;
        manifest_warn(of->m, layer[count].doc, n,
                      "expected at most the host's ceiling %s, found %s: cut", is, was);
        return;
    }
}

/* inproc is the operator's to allow: code in the host's own process is bounded by nothing. */
static void settle_isolation(struct manifest *m, const struct settings *s,
                             const struct instance_layers *l)
{
    json_ref n = 0;
    const struct document *d = find(l, 0, "isolation", &n);
    if (!d && s->doc.path) {
        json_ref defaults = json_get(&s->doc.json, 0, STR("defaults"));
        n = defaults ? json_get(&s->doc.json, defaults, STR("isolation")) : 0;
        d = n ? &s->doc : NULL;
    }
    m->isolation_asked = d != NULL;
    if (m->instance.isolation != ISOLATION_INPROC || m->trusted)
        return;
    m->instance.isolation = ISOLATION_WORKER;
    if (d)
        manifest_warn(
            m, d, n,
            "expected worker where the source is not trusted, found inproc: it runs as worker");
}

int instance_resolve(struct manifest *m, const struct settings *s, const struct source *source,
                     const struct instance_layers *l, struct err *e)
{
    struct cut_of_instance of = {m, s, l};
    json_ref n;
    const struct document *d = instance_find(l, "trust", &n);
    m->trusted = d ? json_is(&d->json, n, JSON_TRUE) : source->trust;
    d = instance_find(l, "enabled", &n);
    m->enabled = d ? json_is(&d->json, n, JSON_TRUE) : true;
    d = find(l, 0, "prefix", &n);
    m->prefix = source->prefix;
    int r = d ? text_value(&m->texts, &d->json, n, &m->prefix, e) : 0;
    /* Not in the settings, which a reload replaces while this manifest stays. */
    if (!r && m->prefix.n)
        r = text_keep(&m->texts, m->prefix, &m->prefix, e);
    m->instance = s->defaults;
    for (unsigned i = 0; !r && i < l->count; i++)
        r = instance_apply(&m->instance, &l->layer[i], e);
    if (r)
        return r;
    settle_isolation(m, s, l);
    instance_cut(&m->instance, &s->ceiling, &s->worker_ceiling, warn_cut, &of);
    return 0;
}
