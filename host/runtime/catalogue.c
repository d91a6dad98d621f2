#include "runtime/internal.h"

#include <errno.h>
#include <stdlib.h>

/* Longest exposed name: clients refuse longer ones (peers.md, 3.9). */
enum { NAME_MAX_LENGTH = 64, INSTRUCTIONS_MAX = 64 * 1024 };

static const char *const kind_name[ENTRY_KINDS] = {"tool", "resource", "resource template",
                                                   "prompt"};

#define OWN(name_, uri_, title, description, write_)                           \
    {                                                                          \
        {.kind = ENTRY_RESOURCE,                                               \
         .name = {name_, sizeof(name_) - 1},                                   \
         .uri = {uri_, sizeof(uri_) - 1},                                      \
         .json_title = {"\"" title "\"", sizeof(title) + 1},                   \
         .json_description = {"\"" description "\"", sizeof(description) + 1}, \
         .json_mime_type = {"\"application/json\"", 18}},                      \
            write_                                                             \
    }
/* The host's own resources. */
static const struct {
    struct entry_spec spec;
    void (*write)(const struct host *h, struct buf *out);
} own[] = {
    OWN("manifold-status", "manifold://status", "Status of the host",
        "What every plugin is doing: state, counters, and why one is not served", status_write),
    OWN("manifold-metrics", "perf://metrics", "Metrics of the host",
        "How much is called, how long it takes, and what the host needs for it", perf_write),
};
enum { OWNS = sizeof(own) / sizeof(own[0]) };

const struct entry *catalogue_find(const struct catalogue *c, enum entry_kind kind, struct str key)
{
    struct map_node *n = map_find(&c->map[kind], key);
    return n ? container_of(n, struct entry, node) : NULL;
}

const struct entry *catalogue_match(const struct catalogue *c, struct str uri, struct buf *vars)
{
    for (uint32_t i = 0; i < c->count[ENTRY_TEMPLATE]; i++) {
        const struct entry *en = &c->entry[ENTRY_TEMPLATE][i];
        if (uri_template_match(en->template, uri, vars))
            return en;
    }
    return NULL;
}

static void entry_release(struct entry *en)
{
    uri_template_free(en->template);
    free(en->name);
}

void catalogue_free(struct catalogue *c)
{
    if (!c)
        return;
    for (int k = 0; k < ENTRY_KINDS; k++) {
        for (uint32_t i = 0; c->entry[k] && i < c->count[k]; i++)
            entry_release(&c->entry[k][i]);
        free(c->entry[k]);
        map_release(&c->map[k]);
    }
    buf_release(&c->instructions);
    free(c);
}

/* Everything a client sees of an entry, so that a changed list has a changed digest. */
static void digest_entry(struct catalogue *c, struct entry *en)
{
    const struct entry_spec *s = en->spec;
    const struct str part[] = {
        str_of(en->name),      s->uri,
        s->json_title,         s->json_description,
        s->json_icons,         s->json_meta,
        s->json_annotations,   s->json_input_schema,
        s->json_output_schema, s->json_mime_type,
        s->json_arguments,     s->json_size,
    };
    for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
        en->digest = (en->digest ^ str_hash(part[i])) * 0x9e3779b97f4a7c15u + i;
    c->digest[s->kind] = (c->digest[s->kind] ^ en->digest) * 0x9e3779b97f4a7c15u + 1;
}

/* The key of a tool or prompt is its exposed name, that of a resource its URI. */
static struct str entry_key(const struct entry *en)
{
    bool by_uri = en->spec->kind == ENTRY_RESOURCE || en->spec->kind == ENTRY_TEMPLATE;
    return by_uri ? en->spec->uri : str_of(en->name);
}

static const char *owner_of(const struct entry *en)
{
    return en->instance ? en->instance->name : "the host itself";
}

/* -ENOMEM, or another errno when it is not served. */
static int add_entry(struct host *h, struct problems *p, struct catalogue *c, struct entry *en)
{
    enum entry_kind kind = en->spec->kind;
    struct err e;
    struct str key = entry_key(en);
    int r = kind == ENTRY_TEMPLATE ? uri_template_compile(en->spec->uri, &en->template, &e) : 0;
    if (r) {
        problem_add(p, owner_of(en), false, "%s %s is not served: %s", kind_name[kind], en->name,
                    e.text);
        return r;
    }
    if ((kind == ENTRY_TOOL || kind == ENTRY_PROMPT) && key.n > NAME_MAX_LENGTH) {
        problem_add(p, owner_of(en), false,
                    "%s %.80s is not served: expected a name of at most %d characters, found %zu",
                    kind_name[kind], en->name, NAME_MAX_LENGTH, key.n);
        return -EINVAL;
    }
    if (!map_add(&c->map[kind], &en->node, key)) {
        const struct entry *first = catalogue_find(c, kind, key);
        if (!h->settings->collision_first)
            problem_add(
                p, owner_of(en), false,
                "%s %.*s is not served: plugin %s, which comes earlier, has one of that name "
                "(set a prefix, or on_collision: first)",
                kind_name[kind], STR_FMT(key), owner_of(first));
        return -EEXIST;
    }
    c->count[kind]++;
    c->subscribable |= en->spec->subscribe;
    c->library_completions |= en->spec->completes > 0;
    digest_entry(c, en);
    return 0;
}

/* 0 or -ENOMEM. */
static int add_spec(struct host *h, struct problems *p, struct catalogue *c,
                    const struct entry_spec *spec, struct instance *in, uint32_t index,
                    void (*write)(const struct host *h, struct buf *out))
{
    /* The next free place of its list; the arrays are as long as they can get. */
    struct entry *en = &c->entry[spec->kind][c->count[spec->kind]];
    struct str prefix = in ? in->manifest->prefix : STR_NONE;
    bool prefixed = prefix.n && (spec->kind == ENTRY_TOOL || spec->kind == ENTRY_PROMPT);
    size_t room = prefix.n + spec->name.n + 2;
    en->name = malloc(room);
    if (!en->name)
        return -ENOMEM;
    if (prefixed)
        snprintf(en->name, room, "%.*s_%.*s", STR_FMT(prefix), STR_FMT(spec->name));
    else
        snprintf(en->name, room, "%.*s", STR_FMT(spec->name));
    en->spec = spec;
    en->instance = in;
    en->index = index;
    en->write = write;
    int r = add_entry(h, p, c, en);
    if (r) {
        entry_release(en);
        *en = (struct entry){0};
    }
    return r == -ENOMEM ? r : 0;
}

static void add_instructions(struct catalogue *c, struct str text, const char *of)
{
    if (!text.n)
        return;
    if (c->instructions.len)
        buf_lit(&c->instructions, "\n\n");
    if (of)
        buf_printf(&c->instructions, "%s: ", of);
    buf_str(&c->instructions, text);
}

/* The entries of one plugin.  0 or -ENOMEM. */
static int add_plugin(struct host *h, struct problems *p, struct catalogue *c,
                      const struct manifest *m, struct instance *in)
{
    for (uint32_t k = 0; k < m->entries; k++) {
        if (add_spec(h, p, c, &m->entry[k], in, k, NULL))
            return -ENOMEM;
    }
    add_instructions(c, m->instructions, in->name);
    uint64_t ttl = m->catalogue_ttl / 1000000;
    c->ttl_ms = ttl < c->ttl_ms ? ttl : c->ttl_ms;
    if (m->catalogue_scope == CACHE_PRIVATE)
        c->scope = CACHE_PRIVATE;
    return 0;
}

/* As long as the lists can get.  0 or -ENOMEM. */
static int make_lists(const struct host *h, struct catalogue *c)
{
    uint32_t total[ENTRY_KINDS] = {[ENTRY_RESOURCE] = OWNS};
    for (uint32_t i = 0; i < h->manifests; i++) {
        for (uint32_t k = 0; h->instance[i] && k < h->manifest[i]->entries; k++)
            total[h->manifest[i]->entry[k].kind]++;
    }
    for (int k = 0; k < ENTRY_KINDS; k++) {
        c->entry[k] = calloc(total[k] ? total[k] : 1, sizeof(struct entry));
        if (!c->entry[k])
            return -ENOMEM;
    }
    return 0;
}

static int fill(struct host *h, struct problems *p, struct catalogue *c)
{
    int r = make_lists(h, c);
    add_instructions(c, h->settings->server_instructions, NULL);
    for (uint32_t i = 0; !r && i < OWNS; i++)
        r = add_spec(h, p, c, &own[i].spec, NULL, 0, own[i].write);
    for (uint32_t i = 0; !r && i < h->manifests; i++) {
        if (h->instance[i])
            r = add_plugin(h, p, c, h->manifest[i], h->instance[i]);
    }
    if (c->instructions.failed == -ENOMEM)
        return -ENOMEM;
    if (c->instructions.failed)
        problem_add(p, "host", false,
                    "the instructions are not whole: they are over 64 KiB in all");
    return r;
}

struct catalogue *catalogue_build(struct host *h, struct problems *p)
{
    struct catalogue *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    buf_init(&c->instructions, INSTRUCTIONS_MAX);
    c->ttl_ms = UINT64_MAX;
    c->scope = CACHE_PUBLIC;
    if (fill(h, p, c)) {
        catalogue_free(c);
        return NULL;
    }
    if (c->ttl_ms == UINT64_MAX)
        c->ttl_ms = 60000;
    c->number = ++h->generation;
    return c;
}
