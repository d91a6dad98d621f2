/* What a lock holds of one plugin. */
#include "runtime/lock.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <nettle/sha2.h>
#include "json/writer.h"
#include "runtime/lock_parts.h"

enum { KEY_BYTES = 1024, VALUE_BYTES = 1 << 20 };

void lock_hash(struct str text, char ret[LOCK_HEX])
{
    static const char digit[] = "0123456789abcdef";
    unsigned char hash[SHA256_DIGEST_SIZE];
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, text.n, (const uint8_t *)(text.n ? text.p : ""));
    sha256_digest(&ctx, sizeof(hash), hash);
    for (size_t i = 0; i < sizeof(hash); i++) {
        ret[2 * i] = digit[hash[i] >> 4];
        ret[2 * i + 1] = digit[hash[i] & 15];
    }
    ret[LOCK_HEX - 1] = 0;
}

/* One plugin on its way into a lock. */
struct adding {
    struct lock *lock;
    struct lock_plugin *plugin;
    struct err *e;
};

static struct lock_field *more(struct adding *a)
{
    struct lock_plugin *p = a->plugin;
    if (p->fields % 32 == 0) {
        struct lock_field *grown = realloc(p->field, (p->fields + 32) * sizeof(*grown));
        if (!grown)
            return NULL;
        p->field = grown;
    }
    p->field[p->fields] = (struct lock_field){{NULL, 0}, {NULL, 0}, ""};
    return &p->field[p->fields];
}

/* `json` {NULL,0}: the manifest does not have it. */
static int add(struct adding *a, struct str json, const char *key)
{
    if (!json.p)
        return 0;
    struct lock_field *f = more(a);
    int r = f ? text_keep(&a->lock->texts, str_of(key), &f->key, a->e)
              : err_set(a->e, -ENOMEM, "out of memory");
    r = r ? r : text_keep(&a->lock->texts, json, &f->value, a->e);
    if (r)
        return r;
    lock_hash(f->value, f->sha256);
    a->plugin->fields++;
    return 0;
}

/* A decoded string. */
static int add_text(struct adding *a, struct str text, const char *key)
{
    struct buf json = BUF_INIT(VALUE_BYTES);
    int r = text.p ? json_write_string(&json, text) : 0;
    r = r ? err_set(a->e, r, "out of memory") : add(a, buf_view(&json), key);
    buf_release(&json);
    return r;
}

static int add_library(struct adding *a, const char *sha256)
{
    struct lock_field *f = *sha256 ? more(a) : NULL;
    if (!f)
        return *sha256 ? err_set(a->e, -ENOMEM, "out of memory") : 0;
    f->key = STR("library");
    memcpy(f->sha256, sha256, LOCK_HEX);
    a->plugin->fields++;
    return 0;
}

static int add_root(struct adding *a, const struct manifest *m)
{
    static const char *const keys[] = {"id",          "version",      "title",
                                       "description", "instructions", "prefix"};
    const struct json_doc *d = &m->doc.json;
    int r = 0;
    for (size_t i = 0; !r && i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_ref n = json_get(d, 0, str_of(keys[i]));
        r = n ? add(a, json_raw(d, n), keys[i]) : 0;
    }
    return r;
}

/* As the manifest spells them: a lock must see what the words of struct grants leave out. */
static int add_permissions(struct adding *a, const struct manifest *m)
{
    const struct json_doc *d = &m->doc.json;
    json_ref permissions = json_get(d, 0, STR("permissions"));
    int r = 0;
    if (!permissions)
        return 0;
    json_each_member (d, permissions, kind) {
        json_each (d, kind + 1, it) {
            char key[KEY_BYTES];
            json_ref name = json_is(d, it, JSON_OBJECT) ? json_get(d, it, STR("name")) : it;
            snprintf(key, sizeof(key), "permissions/%.*s/%.*s", STR_FMT(json_inner(d, kind)),
                     STR_FMT(json_inner(d, name)));
            r = r ? r : add(a, json_raw(d, it), key);
        }
    }
    return r;
}

static const struct {
    const char *key;
    size_t at;
    bool text; /* decoded, else JSON */
} parts[] = {
    {"name", offsetof(struct entry_spec, name), true},
    {"uri", offsetof(struct entry_spec, uri), true},
    {"title", offsetof(struct entry_spec, json_title), false},
    {"description", offsetof(struct entry_spec, json_description), false},
    {"icons", offsetof(struct entry_spec, json_icons), false},
    {"annotations", offsetof(struct entry_spec, json_annotations), false},
    {"_meta", offsetof(struct entry_spec, json_meta), false},
    {"inputSchema", offsetof(struct entry_spec, json_input_schema), false},
    {"outputSchema", offsetof(struct entry_spec, json_output_schema), false},
    {"mimeType", offsetof(struct entry_spec, json_mime_type), false},
    {"size", offsetof(struct entry_spec, json_size), false},
    {"arguments", offsetof(struct entry_spec, json_arguments), false},
    {"messages", offsetof(struct entry_spec, json_messages), false},
};

static int add_entry(struct adding *a, const struct entry_spec *s)
{
    static const char *const plural[ENTRY_KINDS] = {"tools", "resources", "resources", "prompts"};
    char key[KEY_BYTES];
    int r = 0;
    for (size_t i = 0; !r && i < sizeof(parts) / sizeof(parts[0]); i++) {
        const struct str *value = (const void *)((const char *)s + parts[i].at);
        snprintf(key, sizeof(key), "%s/%.*s/%s", plural[s->kind], STR_FMT(s->name), parts[i].key);
        r = parts[i].text ? add_text(a, *value, key) : add(a, *value, key);
    }
    for (uint32_t i = 0; !r && i < s->completes; i++) {
        snprintf(key, sizeof(key), "%s/%.*s/complete/%.*s", plural[s->kind], STR_FMT(s->name),
                 STR_FMT(s->complete[i].argument));
        r = add(a, s->complete[i].json_values, key);
    }
    return r;
}

static int by_key(const void *x, const void *y)
{
    const struct lock_field *a = x, *b = y;
    return str_cmp(a->key, b->key);
}

void lock_sort_fields(struct lock_plugin *p)
{
    if (p->fields)
        qsort(p->field, p->fields, sizeof(*p->field), by_key);
}

int lock_add(struct lock *l, const struct manifest *m, const char *sha256, struct err *e)
{
    struct lock_plugin *grown = realloc(l->plugin, (l->plugins + 1) * sizeof(*grown));
    if (!grown)
        return err_set(e, -ENOMEM, "out of memory");
    l->plugin = grown;
    struct adding a = {l, &grown[l->plugins++], e};
    *a.plugin = (struct lock_plugin){.name = STR_NONE};
    int r = text_keep(&l->texts, m->name, &a.plugin->name, e);
    r = r ? r : add_library(&a, sha256);
    r = r ? r : add_root(&a, m);
    r = r ? r : add_permissions(&a, m);
    for (uint32_t i = 0; !r && i < m->entries; i++)
        r = add_entry(&a, &m->entry[i]);
    lock_sort_fields(a.plugin);
    return r;
}
