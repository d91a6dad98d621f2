/* What a reload does on the loop: deciding what changed, and putting it in place. */
#include "runtime/reload_internal.h"

#include <inttypes.h>
#include <stdlib.h>

static int find_name(const struct host *h, struct str name)
{
    for (uint32_t i = 0; i < h->manifests; i++) {
        if (str_eq(h->manifest[i]->name, name))
            return (int)i;
    }
    return -1;
}

static int find_path(const struct host *h, const char *path)
{
    for (uint32_t i = 0; i < h->manifests; i++) {
        if (strcmp(h->manifest[i]->doc.path, path) == 0)
            return (int)i;
    }
    return -1;
}

static bool planned(const struct reload *r, const struct instance *in)
{
    for (uint32_t i = 0; i < r->slots; i++) {
        if (r->slot[i].instance == in || r->slot[i].old == in)
            return true;
    }
    return false;
}

static void set_last_error(struct instance *in, const char *text)
{
    free(in->last_error);
    in->last_error = text ? xstrndup(text, strlen(text)) : NULL;
}

/* What it runs is no longer what a start would make of the files, and this is why. */
static void refuse(struct reload *r, struct instance *old, const char *why)
{
    r->refused++;
    problem_add(&r->stage.problems, old->name, false,
                "generation %" PRIu64 " serves on, since its reload is refused: %s",
                old->generation, why);
    set_last_error(old, why);
}

static void keep(struct reload *r, struct manifest *m, struct instance *in)
{
    r->slot[r->slots++] = (struct slot){.manifest = m, .instance = in};
}

/* A plugin that failed is tried again; one that was not called yet takes the file as it finds it.
 */
static bool same_library(const struct instance *in, const struct staged *s)
{
    if (in->state == INSTANCE_FAILED)
        return false;
    return in->state == INSTANCE_UNLOADED || !s->library || in->library == s->library;
}

static void plan_broken(struct reload *r, struct staged *s, struct manifest *m,
                        struct instance *old)
{
    if (old && !protection_off("reload_transaction")) {
        refuse(r, old, s->e.text);
        keep(r, m, old);
        return;
    }
    r->refused++;
    if (!s->manifest) {
        problem_add(&r->stage.problems, s->stem, true, "%s", s->e.text);
        return;
    }
    char *name = xstrndup(s->manifest->name.p, s->manifest->name.n);
    problem_add(&r->stage.problems, name, true, "%s", s->e.text);
    free(name);
    keep(r, s->manifest, NULL);
    s->manifest = NULL;
}

static void plan_fresh(struct reload *r, struct staged *s, struct instance *old)
{
    struct instance *in = instance_new(r->host->engine, s->manifest);
    in->generation = old ? old->generation + 1 : 1;
    manifest_note(s->manifest, in->name);
    r->slot[r->slots++] = (struct slot){
        .manifest = s->manifest, .instance = in, .old = old, .library = s->library, .fresh = true};
    s->manifest = NULL;
}

static void plan_one(struct reload *r, struct staged *s)
{
    struct host *h = r->host;
    int at = s->manifest ? find_name(h, s->manifest->name) : find_path(h, s->path);
    struct manifest *m = at < 0 ? NULL : h->manifest[at];
    struct instance *old = at < 0 ? NULL : h->instance[at];
    if (old && planned(r, old))
        m = NULL, old = NULL;
    if (!s->manifest || s->library_error) {
        plan_broken(r, s, m, old);
        return;
    }
    if (old && manifest_same(m, s->manifest) && same_library(old, s)) {
        set_last_error(old, NULL);
        keep(r, m, old);
        r->kept++;
        return;
    }
    char *name = xstrndup(s->manifest->name.p, s->manifest->name.n);
    if (!engine_retired(h->engine, name)) {
        plan_fresh(r, s, old);
    } else {
        /* Two generations at most. */
        r->waits[r->waiting++] = name;
        name = NULL;
        if (old)
            keep(r, m, old);
    }
    free(name);
}

void reload_forget_waits(struct reload *r)
{
    for (uint32_t i = 0; i < r->waiting; i++)
        free(r->waits[i]);
    free(r->waits);
    r->waits = NULL;
    r->waiting = 0;
}

void reload_plan(struct reload *r)
{
    reload_forget_waits(r);
    r->changed = r->added = r->removed = r->kept = r->refused = 0;
    r->waits = xcalloc(r->stage.plugins, sizeof(*r->waits));
    r->slot = xcalloc(r->stage.plugins, sizeof(*r->slot));
    for (uint32_t i = 0; i < r->stage.plugins; i++)
        plan_one(r, &r->stage.plugin[i]);
}

/* What could not be opened goes, what was to be replaced stays. */
static void settle(struct reload *r)
{
    for (uint32_t i = 0; i < r->slots; i++) {
        struct slot *s = &r->slot[i];
        if (!s->fresh)
            continue;
        if (s->error) {
            instance_discard(s->instance);
            refuse(r, s->old, s->error);
            s->instance = s->old;
            s->manifest = (struct manifest *)(uintptr_t)s->old->manifest;
            s->fresh = false;
            s->old = NULL;
        } else if (s->old) {
            instance_follow(s->instance, s->old);
            r->changed++;
            log_line(LOG_INFO, s->instance->name, "generation %" PRIu64 " takes over",
                     s->instance->generation);
        } else {
            r->added++;
        }
    }
}

static struct slot *slot_of(struct reload *r, const struct instance *in)
{
    for (uint32_t i = 0; i < r->slots; i++) {
        if (r->slot[i].instance == in || r->slot[i].old == in)
            return &r->slot[i];
    }
    return NULL;
}

/* An instance or, without one, a manifest that was served until now. */
static void let_go(struct reload *r, struct manifest *m, struct instance *in)
{
    if (!in) {
        manifest_free(m);
        return;
    }
    struct slot *s = slot_of(r, in);
    if (s && s->instance == in)
        return;
    if (!s) {
        r->removed++;
        log_line(LOG_INFO, in->name, "is removed");
    }
    instance_retire(in, s && s->handover ? s->instance : NULL);
}

static void replace_problems(struct reload *r)
{
    struct problems old = {r->host->problem, r->host->problems};
    problems_release(&old);
    r->host->problem = r->stage.problems.problem;
    r->host->problems = r->stage.problems.count;
    r->stage.problems = (struct problems){0};
}

static void replace_settings(struct reload *r)
{
    if (!r->settings)
        return;
    bool other_window = r->host->settings->metrics_window != r->settings->metrics_window;
    settings_free(r->host->settings);
    r->host->settings = r->settings;
    if (other_window)
        engine_measure(r->host->engine, r->settings->metrics_window, figures_levels, r->host);
    r->settings = NULL;
    services_settings(r->host->services, r->host->settings);
}

void reload_swap(struct reload *r)
{
    struct host *h = r->host;
    struct manifest **manifest = h->manifest;
    struct instance **instance = h->instance;
    struct catalogue *catalogue = h->catalogue;
    uint32_t n = h->manifests;
    settle(r);
    h->manifest = xcalloc(r->slots, sizeof(*h->manifest));
    h->instance = xcalloc(r->slots, sizeof(*h->instance));
    h->manifests = r->slots;
    for (uint32_t i = 0; i < r->slots; i++) {
        h->manifest[i] = r->slot[i].manifest;
        h->instance[i] = r->slot[i].instance;
    }
    replace_settings(r);
    h->catalogue = catalogue_build(h, &r->stage.problems);
    replace_problems(r);
    r->config_refused = false;
    lists_compare(r, catalogue, h->catalogue);
    catalogue_free(catalogue);
    for (uint32_t i = 0; i < n; i++)
        let_go(r, manifest[i], instance[i]);
    free(manifest);
    free(instance);
    for (uint32_t i = 0; i < r->slots; i++) {
        struct instance *in = r->slot[i].instance;
        if (in && r->slot[i].fresh && in->manifest->instance.load == LOAD_EAGER)
            instance_load(in);
        r->slot[i].fresh = false;
    }
    reload_watch(h);
}

void reload_discard(struct reload *r)
{
    for (uint32_t i = 0; i < r->slots; i++) {
        if (r->slot[i].fresh)
            instance_discard(r->slot[i].instance);
        free(r->slot[i].error);
    }
    free(r->slot);
    r->slot = NULL;
    r->slots = r->opening = 0;
    stage_release(&r->stage);
    settings_free(r->settings);
    r->settings = NULL;
    for (uint32_t i = 0; i < r->loadeds; i++)
        free(r->loaded[i]);
    free(r->loaded);
    r->loaded = NULL;
    r->loadeds = 0;
}
