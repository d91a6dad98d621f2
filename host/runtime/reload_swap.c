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
    err_drop(in->last_error);
    in->last_error = text ? err_keep(text) : NULL;
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

static void plan(struct reload *r, struct slot s)
{
    r->slot[r->slots++] = s;
}

/* A plugin that failed is tried again; one that was not called yet takes the file as it finds it,
 * if the lock has the same to say of it. */
static bool same_library(const struct instance *in, const struct staged *s)
{
    if (in->state == INSTANCE_FAILED)
        return false;
    if (in->state == INSTANCE_UNLOADED)
        return strcmp(in->manifest->library_sha256, s->manifest->library_sha256) == 0;
    return !s->library || in->library == s->library;
}

/* It was never called and never held against a lock: nobody relies on it, and nobody has approved
 * of it. */
static bool is_unseen(const struct instance *in)
{
    return in->state == INSTANCE_UNLOADED && !*in->manifest->library_sha256;
}

static void plan_broken(struct reload *r, struct staged *s, struct manifest *m,
                        struct instance *old)
{
    if (old && !(s->unapproved && is_unseen(old)) && !protection_off("reload_transaction")) {
        refuse(r, old, s->e.text);
        plan(r, (struct slot){.manifest = m, .instance = old});
        return;
    }
    r->refused++;
    problem_add(&r->stage.problems, s->manifest ? s->name : s->stem, true, "%s", s->e.text);
    if (s->manifest)
        plan(r, (struct slot){.manifest = s->manifest, .fresh = true});
    s->manifest = NULL;
}

static int plan_fresh(struct reload *r, struct staged *s, struct instance *old)
{
    struct instance *in = instance_new(r->host->engine, s->manifest);
    if (!in)
        return -ENOMEM;
    in->generation = old ? old->generation + 1 : 1;
    manifest_note(s->manifest, in->name);
    plan(r, (struct slot){.manifest = s->manifest,
                          .instance = in,
                          .old = old,
                          .library = s->library,
                          .fresh = true});
    s->manifest = NULL;
    return 0;
}

/* Two generations at most. */
static void plan_wait(struct reload *r, struct staged *s, struct manifest *m, struct instance *old)
{
    r->planned_waits.name[r->planned_waits.count++] = s->name;
    s->name = NULL;
    if (old)
        plan(r, (struct slot){.manifest = m, .instance = old});
}

static int plan_one(struct reload *r, struct staged *s)
{
    struct host *h = r->host;
    int at = s->manifest ? find_name(h, s->manifest->name) : find_path(h, s->path);
    struct manifest *m = at < 0 ? NULL : h->manifest[at];
    struct instance *old = at < 0 ? NULL : h->instance[at];
    if (old && planned(r, old))
        m = NULL, old = NULL;
    if (!s->manifest || s->library_error) {
        plan_broken(r, s, m, old);
    } else if (old && manifest_same(m, s->manifest) && same_library(old, s)) {
        plan(r, (struct slot){.manifest = m, .instance = old, .same = true});
        r->kept++;
    } else if (engine_retired(h->engine, s->name)) {
        plan_wait(r, s, m, old);
    } else {
        return plan_fresh(r, s, old);
    }
    return 0;
}

void waits_release(struct waits *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        free(w->name[i]);
    free(w->name);
    *w = (struct waits){0};
}

int reload_plan(struct reload *r)
{
    uint32_t n = r->stage.plugins + 1;
    r->changed = r->added = r->removed = r->kept = r->refused = 0;
    r->planned_waits.name = calloc(n, sizeof(char *));
    r->slot = calloc(n, sizeof(*r->slot));
    r->made.manifest = calloc(n, sizeof(struct manifest *));
    r->made.instance = calloc(n, sizeof(struct instance *));
    if (!r->planned_waits.name || !r->slot || !r->made.manifest || !r->made.instance)
        return -ENOMEM;
    int e = 0;
    for (uint32_t i = 0; !e && i < r->stage.plugins; i++)
        e = plan_one(r, &r->stage.plugin[i]);
    return e;
}

/* What could not be opened goes, what was to be replaced stays. */
static void settle(struct reload *r)
{
    for (uint32_t i = 0; i < r->slots; i++) {
        struct slot *s = &r->slot[i];
        if (!s->error)
            continue;
        instance_discard(s->instance);
        refuse(r, s->old, s->error);
        s->instance = s->old;
        s->manifest = (struct manifest *)(uintptr_t)s->old->manifest;
        s->fresh = false;
        s->old = NULL;
    }
}

int reload_compose(struct reload *r)
{
    struct host next = *r->host;
    settle(r);
    for (uint32_t i = 0; i < r->slots; i++) {
        r->made.manifest[i] = r->slot[i].manifest;
        r->made.instance[i] = r->slot[i].instance;
    }
    next.settings = r->settings ? r->settings : next.settings;
    next.manifest = r->made.manifest;
    next.instance = r->made.instance;
    next.manifests = r->slots;
    r->made.catalogue = catalogue_build(&next, &r->stage.problems);
    r->made.generation = next.generation;
    return r->made.catalogue && !r->stage.problems.no_memory ? 0 : -ENOMEM;
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
    struct problems old = {.problem = r->host->problem, .count = r->host->problems};
    problems_release(&old);
    r->host->problem = r->stage.problems.problem;
    r->host->problems = r->stage.problems.count;
    r->stage.problems = (struct problems){0};
    r->refusal_noted = false;
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

static void replace_waits(struct reload *r)
{
    waits_release(&r->waits);
    r->waits = r->planned_waits;
    r->planned_waits = (struct waits){0};
}

/* It is the host's from now on. */
static void take_over(struct reload *r, struct slot *s)
{
    struct instance *in = s->instance;
    if (s->same)
        set_last_error(in, NULL);
    if (!s->fresh || !in)
        return;
    if (s->old) {
        instance_follow(in, s->old);
        log_line(LOG_INFO, in->name, "generation %" PRIu64 " takes over", in->generation);
    }
    r->changed += s->old != NULL;
    r->added += s->old == NULL;
}

void reload_swap(struct reload *r)
{
    struct host *h = r->host;
    struct served old = {h->manifest, h->instance, h->catalogue, h->generation};
    uint32_t n = h->manifests;
    h->manifest = r->made.manifest;
    h->instance = r->made.instance;
    h->manifests = r->slots;
    h->catalogue = r->made.catalogue;
    h->generation = r->made.generation;
    r->made = (struct served){0};
    replace_settings(r);
    replace_problems(r);
    replace_waits(r);
    for (uint32_t i = 0; i < r->slots; i++)
        take_over(r, &r->slot[i]);
    lists_compare(h, old.catalogue, h->catalogue);
    catalogue_free(old.catalogue);
    for (uint32_t i = 0; i < n; i++)
        let_go(r, old.manifest[i], old.instance[i]);
    free(old.manifest);
    free(old.instance);
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
        struct slot *s = &r->slot[i];
        if (s->fresh && s->instance)
            instance_discard(s->instance);
        else if (s->fresh)
            manifest_free(s->manifest);
        err_drop(s->error);
    }
    free(r->slot);
    r->slot = NULL;
    r->slots = r->opening = 0;
    free(r->made.manifest);
    free(r->made.instance);
    catalogue_free(r->made.catalogue);
    r->made = (struct served){0};
    waits_release(&r->planned_waits);
    stage_release(&r->stage);
    settings_free(r->settings);
    r->settings = NULL;
    for (uint32_t i = 0; i < r->loadeds; i++)
        free(r->loaded[i]);
    free(r->loaded);
    r->loaded = NULL;
    r->loadeds = 0;
}
