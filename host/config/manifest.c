#include "config/manifest.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <unistd.h>
#include "config/builtin.h"
#include "config/complain.h"
#include "config/dormant.h"
#include "config/entry.h"
#include "config/file.h"
#include "config/instance.h"
#include "config/text.h"

enum { WARNINGS = 8, INSTRUCTIONS_BYTES = 2048 };

void manifest_warn(struct manifest *m, const struct document *d, json_ref n, const char *fmt, ...)
{
    struct err text;
    char sentence[512];
    struct buf path = BUF_INIT(240);
    if (m->warnings == WARNINGS)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(sentence, sizeof(sentence), fmt, ap);
    va_end(ap);
    complain_path(&d->json, 0, n, &path);
    document_error(d, n, &text, "%.*s: %s", STR_FMT(buf_view(&path)), sentence);
    buf_release(&path);
    if (m->warnings == WARNINGS - 1)
        err_set(&text, 0, "%s: there are more warnings than these", m->doc.path);
    m->warning[m->warnings++] = err_keep(text.text);
}

/* The file's name without its directory and without .yaml. */
static struct str stem_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct str s = str_of(slash ? slash + 1 : path);
    static const char *const ends[] = {".yaml", ".yml"};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(ends[i]);
        if (s.n > n && memcmp(s.p + s.n - n, ends[i], n) == 0)
            return (struct str){s.p, s.n - n};
    }
    return s;
}

static int read_text(struct manifest *m, const char *key, struct str *ret, struct err *e)
{
    return text_value(&m->texts, &m->doc.json, json_get(&m->doc.json, 0, str_of(key)), ret, e);
}

static int read_identity(struct manifest *m, struct err *e)
{
    static const struct {
        const char *key;
        size_t at;
    } texts[] = {
        {"id", offsetof(struct manifest, id)},
        {"name", offsetof(struct manifest, name)},
        {"version", offsetof(struct manifest, version)},
        {"title", offsetof(struct manifest, title)},
        {"description", offsetof(struct manifest, description)},
        {"homepage", offsetof(struct manifest, homepage)},
        {"instructions", offsetof(struct manifest, instructions)},
    };
    char shown[TEXT_SHOWN];
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int r = read_text(m, texts[i].key, (struct str *)(void *)((char *)m + texts[i].at), e);
        if (r)
            return r;
    }
    if (m->instructions.n > INSTRUCTIONS_BYTES)
        return complain_at(&m->doc, json_get(&m->doc.json, 0, STR("instructions")), e,
                           "expected at most 2KiB, found %zu bytes", m->instructions.n);
    if (m->name.p)
        return 0;
    m->name = stem_of(m->doc.path);
    if (text_is_instance_name(m->name))
        return 0;
    return document_error(&m->doc, 0, e,
                          "expected `name` with [a-z][a-z0-9_-]{0,31}, found none, and the file's "
                          "stem %s is no such name",
                          text_quoted(m->name, shown));
}

static int read_catalogue(struct manifest *m, struct err *e)
{
    const struct json_doc *d = &m->doc.json;
    json_ref catalogue = json_get(d, 0, STR("catalogue"));
    m->catalogue_ttl = UINT64_C(60) * 1000000000u;
    if (!catalogue)
        return 0;
    json_ref scope = json_get(d, catalogue, STR("scope"));
    json_ref dynamic = json_get(d, catalogue, STR("dynamic"));
    if (scope && json_string_eq(d, scope, STR("private")))
        m->catalogue_scope = CACHE_PRIVATE;
    m->dynamic = dynamic && json_is(d, dynamic, JSON_TRUE);
    return resolve_duration(&m->doc, catalogue, "ttl", 0, &m->catalogue_ttl, e);
}

/* Text prompts alone need no library, unless one is named or asked for completions. */
static int read_library(struct manifest *m, struct err *e)
{
    struct str given;
    bool needed = m->dynamic || !m->entries;
    for (uint32_t i = 0; i < m->entries && !needed; i++) {
        needed = m->entry[i].needs_library;
        for (uint32_t k = 0; k < m->entry[i].completes && !needed; k++)
            needed = m->entry[i].complete[k].library;
    }
    int r = read_text(m, "library", &given, e);
    if (r)
        return r;
    if (!given.p && !needed)
        return 0;
    struct str stem = stem_of(m->doc.path);
    struct buf name = BUF_INIT(stem.n + given.n + sizeof(".so"));
    buf_str(&name, given.p ? given : stem);
    if (!given.p)
        buf_lit(&name, ".so");
    if (!buf_cstr(&name) || name.failed) {
        buf_release(&name);
        return err_set(e, -ENOMEM, "%s: out of memory", m->doc.path);
    }
    m->library = name.data;
    return 0;
}

static bool hide_matching(struct manifest *m, const char *glob)
{
    uint32_t kept = 0, before = m->entries;
    for (uint32_t i = 0; i < before; i++) {
        char name[65] = {0};
        memcpy(name, m->entry[i].name.p, m->entry[i].name.n);
        if (fnmatch(glob, name, 0) == 0)
            entry_release(&m->entry[i]);
        else
            m->entry[kept++] = m->entry[i];
    }
    m->entries = kept;
    return kept < before;
}

static int hide_entries(struct manifest *m, const struct instance_layers *layers, struct err *e)
{
    json_ref list;
    const struct document *d = instance_find(layers, "hide", &list);
    if (!d)
        return 0;
    json_each (&d->json, list, it) {
        struct str glob;
        int r = text_value(&m->texts, &d->json, it, &glob, e);
        if (r)
            return r;
        char *z = str_dup(glob);
        if (!z)
            return err_set(e, -ENOMEM, "%s: out of memory", m->doc.path);
        if (!hide_matching(m, z))
            manifest_warn(m, d, it, "expected a glob that matches an entry, found \"%s\"", z);
        free(z);
    }
    return 0;
}

static int resolve(struct manifest *m, const struct settings *s, const struct source *source,
                   struct err *e)
{
    struct instance_layers layers;
    json_ref permissions = json_get(&m->doc.json, 0, STR("permissions"));
    int r = builtin_check(BUILTIN_MANIFEST, &m->doc, e);
    r = r ? r : manifest_texts(m, e);
    r = r ? r : read_identity(m, e);
    if (r)
        return r;
    m->json_permissions = permissions ? json_raw(&m->doc.json, permissions) : STR_NONE;
    instance_layers_set(&layers, m, s);
    r = instance_resolve(m, s, source, &layers, e);
    r = r ? r : read_catalogue(m, e);
    r = r ? r : entries_read(m, s, e);
    r = r ? r : read_library(m, e);
    r = r ? r : hide_entries(m, &layers, e);
    r = r ? r : instance_grants(m, s, e);
    r = r ? r : instance_config(m, s, &layers, e);
    for (unsigned i = 0; !r && i < layers.count; i++)
        dormant_of_instance(&layers.layer[i], m->dormant, &m->dormants);
    return r;
}

static int finish(struct manifest *m, int r, const struct settings *s, const struct source *source,
                  struct manifest **ret, struct err *e)
{
    r = r ? r : path_directory(m->doc.path, &m->directory, e);
    r = r ? r : resolve(m, s, source, e);
    if (r)
        manifest_free(m);
    else
        *ret = m;
    return r;
}

int manifest_read(const struct settings *s, const struct source *source, int dirfd,
                  const char *file, struct manifest **ret, struct err *e)
{
    char *path;
    int fd;
    int r = path_expand(str_of(file), source->path, &path, e);
    if (r)
        return r;
    r = file_open(dirfd, file, true, path, &fd, e);
    if (!r) {
        struct manifest *m = calloc(1, sizeof(*m));
        r = m ? document_read(&m->doc, fd, path, e)
              : err_set(e, -ENOMEM, "%s: out of memory", path);
        close(fd);
        r = finish(m, r, s, source, ret, e);
    }
    free(path);
    return r;
}

int manifest_parse(const struct settings *s, const struct source *source, struct str yaml,
                   const char *path, struct manifest **ret, struct err *e)
{
    struct manifest *m = calloc(1, sizeof(*m));
    int r =
        m ? document_parse(&m->doc, yaml, path, e) : err_set(e, -ENOMEM, "%s: out of memory", path);
    return finish(m, r, s, source, ret, e);
}

void manifest_free(struct manifest *m)
{
    if (!m)
        return;
    for (uint32_t i = 0; i < m->entries; i++)
        entry_release(&m->entry[i]);
    for (uint32_t i = 0; i < m->warnings; i++)
        err_drop(m->warning[i]);
    free(m->entry);
    free(m->directory);
    free(m->library);
    grants_release(&m->grants);
    text_pool_free(m->texts);
    buf_release(&m->config);
    document_release(&m->doc);
    free(m);
}
