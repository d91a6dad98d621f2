/* From the grants of a manifest to the files of an instance. */
#include "services/files/files.h"

#include "config/manifest.h"

static bool is_in_data(const struct services *s, struct str path)
{
    struct str data = str_of(s->data);
    return str_starts(path, data) && path.n > data.n && path.p[data.n] == '/';
}

/* Owned array, with one string a grant in *ret_names; both NULL: no memory. */
static struct files_root_spec *specs_of(const struct services *s, const struct grants *g,
                                        uint32_t *ret_count, char ***ret_names)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < g->files_count; i++)
        count += g->files[i].paths;
    struct files_root_spec *spec = calloc(count + 1, sizeof(*spec));
    char **names = calloc(g->files_count + 1, sizeof(*names));
    bool good = spec && names;
    *ret_count = 0;
    for (uint32_t i = 0; good && i < g->files_count; i++) {
        const struct files_grant *f = &g->files[i];
        good = (names[i] = strndup(f->name.p, f->name.n));
        for (uint32_t k = 0; good && k < f->paths; k++)
            spec[(*ret_count)++] = (struct files_root_spec){.grant = names[i],
                                                            .path = f->path[k].p,
                                                            .write = f->write,
                                                            .make = is_in_data(s, f->path[k]),
                                                            .quota = f->quota};
    }
    *ret_names = names;
    return good ? spec : (free(spec), NULL);
}

static const struct grant_ask *first_ask(const struct grants *g)
{
    for (uint32_t i = 0; i < g->ask_count; i++) {
        if (g->ask[i].kind == GRANT_FILES)
            return &g->ask[i];
    }
    return NULL;
}

static struct files *make(const struct services *s, const struct instance *in)
{
    const struct grants *g = &in->manifest->grants;
    struct err e;
    uint32_t count;
    char **names;
    struct files_root_spec *spec = specs_of(s, g, &count, &names);
    if (!count)
        grants_denied(g, str_of(in->name), GRANT_FILES, first_ask(g)->name, &e);
    else
        err_set(&e, 0, "it is outside of the directories that are granted to plugin %s", in->name);
    struct files *f = spec ? files_new(in->name, g, spec, count, e.text) : NULL;
    for (uint32_t i = 0; names && i < g->files_count; i++)
        free(names[i]);
    free(names);
    free(spec);
    return f;
}

const void *files_open_service(struct services *s, struct instance *in)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct instance_services *own = in->services;
    if (!first_ask(&in->manifest->grants)) {
        struct err e;
        grants_denied(&in->manifest->grants, str_of(in->name), GRANT_FILES, STR("NAME"), &e);
        log_line(LOG_WARN, in->name, "%s", e.text);
        return NULL;
    }
    pthread_mutex_lock(&lock); /* any thread may ask first */
    if (!own->files)
        own->files = make(s, in);
    const void *vtable = own->files ? &files_vtable : NULL;
    pthread_mutex_unlock(&lock);
    if (!vtable)
        log_line(LOG_ERROR, in->name, "no memory for its files");
    return vtable;
}
