#include "runtime/internal.h"

#include <stdlib.h>

void problem_add(struct problems *p, const char *plugin, bool fatal, const char *fmt, ...)
{
    struct err e;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e.text, sizeof(e.text), fmt, ap);
    va_end(ap);
    log_line(fatal ? LOG_ERROR : LOG_WARN, plugin, "%s", e.text);
    struct problem *more = realloc(p->problem, (p->count + 1) * sizeof(*more));
    struct problem new = {.plugin = str_dup(str_of(plugin)), .fatal = fatal};
    p->problem = more ? more : p->problem;
    if (!more || !new.plugin) {
        free(new.plugin);
        p->no_memory = true;
        return;
    }
    new.sentence = err_keep(e.text);
    p->problem[p->count++] = new;
}

void problems_release(struct problems *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        free(p->problem[i].plugin);
        err_drop(p->problem[i].sentence);
    }
    free(p->problem);
    *p = (struct problems){0};
}

/* A name of its own, and no problem with its library: then it gets an instance. */
static void add_staged(struct host *h, struct staged *s, struct problems *p)
{
    uint32_t i = h->manifests++;
    const struct manifest *m = h->manifest[i] = s->manifest;
    s->manifest = NULL;
    manifest_note(m, s->name);
    if (s->library_error)
        problem_add(p, s->name, true, "%s", s->e.text);
    else if (!(h->instance[i] = instance_new(h->engine, m)))
        problem_add(p, s->name, true, "out of memory");
}

/* 0, or negative errno when there is no memory to serve at all. */
static int read_sources(struct host *h, struct err *e)
{
    struct stage st = {.settings = h->settings};
    int r = stage_read(&st, NULL, NULL, NULL, e);
    if (!r) {
        h->manifest = calloc(st.plugins + 1, sizeof(struct manifest *));
        h->instance = calloc(st.plugins + 1, sizeof(struct instance *));
        if (!h->manifest || !h->instance)
            r = err_set(e, -ENOMEM, "out of memory for the plugins");
    }
    for (uint32_t i = 0; !r && i < st.plugins; i++) {
        if (st.plugin[i].manifest)
            add_staged(h, &st.plugin[i], &st.problems);
        else
            problem_add(&st.problems, st.plugin[i].stem, true, "%s", st.plugin[i].e.text);
    }
    if (!r) {
        host_note_isolation(h);
        h->catalogue = catalogue_build(h, &st.problems);
        if (!h->catalogue)
            r = err_set(e, -ENOMEM, "out of memory for the lists of what is served");
    }
    h->problem = st.problems.problem;
    h->problems = st.problems.count;
    st.problems = (struct problems){0};
    stage_release(&st);
    return r;
}

int host_open(uv_loop_t *loop, struct settings *settings, const struct host_options *o,
              struct host **ret, struct err *e)
{
    struct host *h = xcalloc(1, sizeof(*h));
    h->loop = loop;
    h->options = *o;
    h->settings = settings;
    list_init(&h->listeners);
    h->started_ns = clock_ns();
    h->started = process_time();
    int r = services_open(loop, settings, &h->services, e);
    if (!r) {
        struct engine_options options = {.calls = settings->calls,
                                         .services = services_for_engine(h->services),
                                         .keep_libraries = o->keep_libraries};
        r = engine_open(loop, &options, &h->engine, e);
    }
    if (r) {
        services_free(h->services);
        settings_free(settings);
        free(h);
        return r;
    }
    services_listen(h->services,
                    &(struct services_listener){notices_updated, notices_lists_changed, h});
    engine_measure(h->engine, settings->metrics_window, figures_levels, h);
    for (uint32_t i = 0; i < settings->dormants; i++)
        log_info("host config: %s: accepted, not in force in this build", settings->dormant[i]);
    r = read_sources(h, e);
    if (!r)
        *ret = h;
    return r;
}

void host_load_eager(struct host *h)
{
    for (uint32_t i = 0; i < h->manifests; i++) {
        if (h->instance[i] && h->manifest[i]->instance.load == LOAD_EAGER)
            instance_load(h->instance[i]);
    }
    reload_watch(h);
}

static void on_engine_stopped(void *arg)
{
    struct host *h = arg;
    services_close(h->services, h->stopped, h->stopped_arg);
}

void host_stop(struct host *h, unsigned grace_ms, void (*done)(void *arg), void *arg)
{
    h->stopped = done;
    h->stopped_arg = arg;
    engine_stop(h->engine, grace_ms, on_engine_stopped, h);
}

/* What threads of busy plugins may still read is kept, reachable, until the process ends. */
static struct host *left_behind;

void host_free(struct host *h)
{
    reload_close(h);
    notices_close(h);
    if (!engine_free(h->engine)) {
        left_behind = h;
        return;
    }
    services_free(h->services);
    catalogue_free(h->catalogue);
    for (uint32_t i = 0; i < h->manifests; i++)
        manifest_free(h->manifest[i]);
    struct problems p = {.problem = h->problem, .count = h->problems};
    problems_release(&p);
    free(h->manifest);
    free(h->instance);
    settings_free(h->settings);
    free(h);
}
