#include <errno.h>
#include <stdlib.h>
#include "config/complain.h"
#include "config/entry.h"
#include "config/expand.h"
#include "config/file.h"
#include "config/instance.h"

/* A variable must be asked for by the manifest and granted by the operator. */
static int allow_env(void *arg, json_ref n, struct str variable, struct err *e)
{
    const struct manifest *m = arg;
    struct err denied;
    if (grants_has(&m->grants, GRANT_ENV, variable))
        return 0;
    grants_denied(&m->grants, m->name, GRANT_ENV, variable, &denied);
    return complain_at(&m->doc, n, e, "%s", denied.text);
}

/* The node below `top` that a JSON pointer names, or the last one on the way that is there. */
static json_ref follow_pointer(const struct json_doc *d, json_ref top, struct str pointer,
                               bool *ret_whole)
{
    json_ref at = top;
    *ret_whole = true;
    while (pointer.n > 1) {
        struct str token = {pointer.p + 1, pointer.n - 1};
        const char *slash = memchr(token.p, '/', token.n);
        token.n = slash ? (size_t)(slash - token.p) : token.n;
        json_ref next = 0;
        if (json_is(d, at, JSON_OBJECT)) {
            next = json_get(d, at, token);
        } else if (json_is(d, at, JSON_ARRAY)) {
            size_t index = 0, want = 0;
            for (size_t i = 0; i < token.n && want < d->node[at].count; i++)
                want = want * 10 + (size_t)(token.p[i] - '0');
            json_each (d, at, it) {
                if (index++ == want)
                    next = it;
            }
        }
        if (!next) {
            *ret_whole = false;
            return at;
        }
        at = next;
        pointer = (struct str){token.p + token.n, pointer.n - 1 - token.n};
    }
    return at;
}

/* The merged config stands in no file: the complaint goes to the layer that wrote the value, the
 * latest that has it, else to the layer that has most of the way to it. */
static int config_error(const struct manifest *m, const struct merge_layer *layer, unsigned layers,
                        const struct schema_error *se, struct err *e)
{
    const struct document *d = &m->doc;
    json_ref n = json_get(&d->json, 0, STR("config_schema"));
    bool secret = false;
    for (unsigned i = layers; i-- > 0;) {
        bool whole;
        json_ref at =
            follow_pointer(&layer[i].expand.doc->json, layer[i].value, str_of(se->path), &whole);
        if (!whole && i)
            continue;
        d = layer[i].expand.doc;
        n = at;
        struct str raw = json_raw(&d->json, n);
        secret = memmem(raw.p, raw.n, "${", 2) != NULL;
        break;
    }
    if (!layers)
        return document_error(d, n, e, "config: expected %s, found %s", se->expected, se->found);
    /* An expanded value may be a secret: it must not reach the log. */
    return complain_at(d, n, e, "expected %s, found %s", se->expected,
                       secret ? "something else after expansion" : se->found);
}

static int check_config(const struct manifest *m, const struct merge_layer *layer, unsigned layers,
                        struct err *e)
{
    struct json_limits limits = json_limits_default;
    struct json_doc merged = {0};
    struct json_error je;
    struct schema_error se;
    struct schema *schema = NULL;
    json_ref n = json_get(&m->doc.json, 0, STR("config_schema"));
    if (!n)
        return 0;
    if (schema_compile(&m->doc.json, n, &schema, &se))
        return complain_at(&m->doc, se.node, e, "expected %s, found %s", se.expected, se.found);
    int r = json_read(&merged, buf_view(&m->config), &limits, &je);
    if (r)
        r = complain_at(&m->doc, n, e, "the merged config can't be checked: %s", je.text);
    else if (schema_validate(schema, &merged, 0, SCHEMA_STEPS, &se))
        r = config_error(m, layer, layers, &se, e);
    schema_free(schema);
    json_doc_release(&merged);
    return r;
}

int instance_config(struct manifest *m, const struct settings *s, const struct instance_layers *l,
                    struct err *e)
{
    struct merge_layer layer[3];
    unsigned layers = 0;
    char *base = NULL;
    int r = s->doc.path ? path_directory(s->doc.path, &base, e) : 0;
    if (r)
        return r;
    for (unsigned i = 0; i < l->count; i++) {
        const struct document *d = l->layer[i].doc;
        json_ref n = json_get(&d->json, l->layer[i].object, STR("config"));
        if (!n)
            continue;
        layer[layers++] = (struct merge_layer){.value = n,
                                               .expand = {.doc = d,
                                                          .data = s->data,
                                                          .name = m->name,
                                                          .host = l->host[i],
                                                          .directory = d == &s->doc ? base : NULL,
                                                          .allow_env = allow_env,
                                                          .arg = m}};
    }
    buf_init(&m->config, EXPAND_BYTES);
    r = merge_objects(layer, layers, &m->config, e);
    r = r ? r : check_config(m, layer, layers, e);
    free(base);
    return r;
}
