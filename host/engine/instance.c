/* From a manifest to an open plugin: stage, probe, map, compare, open(). */
#include "engine/internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "manifold/state.h"

#ifndef MANIFOLD_VERSION
#error "MANIFOLD_VERSION comes from the build"
#endif

static const char *const state_name[] = {"unloaded", "loading", "ready", "failed", "closed"};

const char *instance_state_name(enum instance_state s)
{
    return state_name[s];
}

static void instance_release(struct instance *in)
{
    free(in->drain_room);
    free(in->entry);
    free(in->name);
    err_drop(in->last_error);
    err_drop(in->error);
    free(in);
}

struct instance *instance_new(struct engine *en, const struct manifest *m)
{
    struct instance *in = calloc(1, sizeof(*in));
    if (!in)
        return NULL;
    in->entry = calloc(m->entries ? m->entries : 1, sizeof(*in->entry));
    in->drain_room = calloc(1, sizeof(*in->drain_room));
    in->name = str_dup(m->name);
    if (!in->entry || !in->drain_room || !in->name) {
        instance_release(in);
        return NULL;
    }
    in->engine = en;
    in->manifest = m;
    in->generation = 1;
    list_init(&in->waiting);
    list_init(&in->op_list);
    list_append(&en->instances, &in->in_engine);
    in->host = (mf_host){.size = sizeof(mf_host),
                         .abi_minor = MF_ABI_MINOR,
                         .name = in->name,
                         .version = MANIFOLD_VERSION};
    host_vtable_fill(&in->host);
    return in;
}

/* Tells who prepares it, if somebody does. */
static bool tell_prepared(struct instance *in, const char *error)
{
    void (*done)(void *, struct instance *, const char *) = in->prepared;
    in->prepared = NULL;
    if (done)
        done(in->prepared_arg, in, error);
    return done;
}

static void fail(struct instance *in, const struct err *e)
{
    in->state = INSTANCE_FAILED;
    in->error = err_keep(e->text);
    if (tell_prepared(in, in->error))
        return;
    log_line(LOG_ERROR, in->name, "not served: %s", in->error);
    instance_refuse_waiting(in, REFUSED_LOAD, NULL);
    if (in->drain)
        drain_look(in->engine);
}

static int open_plugin(struct instance *in, struct err *e)
{
    const struct manifest *m = in->manifest;
    const mf_plugin *p;
    int r = library_load(in->library, &p, e);
    if (r)
        return r;
    struct descriptor_binding *binding = calloc(m->entries + 1, sizeof(*binding));
    if (!binding)
        return err_set(e, -ENOMEM, "out of memory for the entries of %s", m->library);
    r = descriptor_check(p, m, binding, e);
    for (uint32_t i = 0; i < m->entries; i++)
        in->entry[i].binding = binding[i];
    free(binding);
    if (r)
        return r;
    mf_bytes config = {m->config.data, m->config.len};
    if (!config.len)
        config = (mf_bytes){"{}", 2};
    struct engine *en = in->engine;
    watchdog_start(en);
    en->now = clock_ns();
    watchdog_enter(en, in, IN_OPEN, NULL);
    mf_status s = p->open(&in->host, config, &in->self);
    watchdog_leave(en);
    if (s != MF_OK) {
        instance_mute_ops(in);
        return err_set(e, -EINVAL, "open() of %s failed with %d%s", m->library, s,
                       s == MF_EINVAL
                           ? " (MF_EINVAL: its config, or what it needs, is not as it expects)"
                           : "");
    }
    in->plugin = p;
    return 0;
}

static int open_or_fail(struct instance *in, struct err *e)
{
    int r = open_plugin(in, e);
    if (r)
        fail(in, e);
    return r;
}

static void start_serving(struct instance *in)
{
    in->state = INSTANCE_READY;
    in->loads++;
    log_line(LOG_INFO, in->name, "loaded %s (sha256 %.12s)", in->manifest->library,
             library_hash(in->library));
    tell_prepared(in, NULL);
    instance_dispatch(in);
    instance_restart_waits(in);
    if (in->drain)
        drain_look(in->engine);
}

static int finish_load(struct instance *in, struct err *e)
{
    int r = open_or_fail(in, e);
    if (!r)
        start_serving(in);
    return r;
}

static void on_probed(void *arg, struct library *lib, int status, const struct err *e)
{
    struct instance *in = arg;
    (void)lib;
    if (in->state != INSTANCE_LOADING)
        return;
    struct err text;
    if (in->drain && in->drain->discarded) { /* nobody waits for it any more */
        in->state = INSTANCE_CLOSED;
        drain_look(in->engine);
    } else if (status) {
        fail(in, e);
    } else if (in->handover) {
        tell_prepared(in, NULL);
    } else {
        finish_load(in, &text);
    }
    if (in->engine->stopping)
        engine_check_stopped(in->engine);
}

/* What was compared at the start was the file; what runs are the sealed bytes. */
static int check_lock(const struct instance *in, struct err *e)
{
    const struct manifest *m = in->manifest;
    if (!*m->library_sha256 || strcmp(m->library_sha256, library_hash(in->library)) == 0)
        return 0;
    return err_set(e, -EPERM,
                   "%s/%s: expected the library that the lock names (sha256 %.12s), found another "
                   "(sha256 %.12s): \"manifold approve %s\" shows and accepts it",
                   m->directory, m->library, m->library_sha256, library_hash(in->library),
                   in->name);
}

static int open_and_stage(struct instance *in, const char *directory, struct err *e)
{
    /* Opened now, not kept open since the start: a thousand plugins would need as many descriptors.
     * library_stage() looks at owner and mode of the directory itself. */
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? err_set(e, -errno, "%s: expected the plugin's directory, found: %s", directory,
                             strerror(errno))
                   : library_stage(fd, directory, in->manifest->library,
                                   in->engine->options.keep_libraries, &in->library, e);
    if (fd >= 0)
        close(fd);
    return r;
}

static int stage(struct instance *in, struct err *e)
{
    const char *directory = in->manifest->directory;
    int r = 0;
    in->state = INSTANCE_LOADING;
    if (!in->library)
        r = open_and_stage(in, directory, e);
    r = r ? r : check_lock(in, e);
    if (r)
        fail(in, e);
    return r;
}

static bool needs_no_library(struct instance *in)
{
    if (in->manifest->library)
        return false;
    in->state = INSTANCE_READY;
    return true;
}

/* A library that was bad may have been replaced or repaired since: it is asked again. */
static void probe(struct instance *in, struct err *e)
{
    enum library_state s = library_state(in->library);
    bool known = s == LIBRARY_PROBED || s == LIBRARY_LOADED;
    if (!protection_off("probe") && !known) {
        if (library_probe(in->engine->loop, in->library, on_probed, in) == 0)
            return;
        err_set(e, -ENOMEM, "out of memory for the probe of %s", in->manifest->library);
        fail(in, e);
    } else if (in->handover) {
        tell_prepared(in, NULL);
    } else {
        finish_load(in, e);
    }
}

void instance_load(struct instance *in)
{
    struct err e;
    if (in->state != INSTANCE_UNLOADED || needs_no_library(in) || stage(in, &e))
        return;
    probe(in, &e);
}

void instance_prepare(struct instance *in, struct library *lib, bool handover,
                      void (*done)(void *arg, struct instance *in, const char *error), void *arg)
{
    in->library = lib;
    in->handover = handover;
    in->prepared = done;
    in->prepared_arg = arg;
    if (needs_no_library(in))
        tell_prepared(in, NULL);
    else
        instance_load(in);
}

static void restore_state(struct instance *in, struct buf *state)
{
    const mf_plugin *p = in->plugin;
    const mf_state *s = state->len && p->extension ? p->extension(in->self, MF_EXT_STATE) : NULL;
    if (!s || !MF_HAS(s, restore) || !s->restore)
        return;
    in->engine->now = clock_ns();
    watchdog_enter(in->engine, in, IN_RESTORE, NULL);
    mf_status r = s->restore(in->self, (mf_bytes){state->data, state->len});
    watchdog_leave(in->engine);
    if (r != MF_OK)
        log_line(LOG_ERROR, in->name,
                 "the state of the generation before is lost: restore() "
                 "returned %d",
                 r);
}

void instance_open_heir(struct instance *in, struct buf *state)
{
    struct err e;
    in->handover = false;
    if (in->state == INSTANCE_LOADING && !open_or_fail(in, &e)) {
        restore_state(in, state);
        start_serving(in);
    }
}

int instance_load_now(struct instance *in, struct err *e)
{
    if (in->state == INSTANCE_READY || (in->state == INSTANCE_UNLOADED && needs_no_library(in)))
        return 0;
    if (in->state != INSTANCE_UNLOADED)
        return err_set(e, -EINVAL, "%s", in->error ? in->error : instance_state_name(in->state));
    int r = stage(in, e);
    if (r)
        return r;
    r = library_probe_now(in->library, e);
    if (r) {
        fail(in, e);
        return r;
    }
    return finish_load(in, e);
}

void instance_close(struct instance *in)
{
    const struct engine_services *services = &in->engine->options.services;
    if (in->plugin) {
        pool_free(in->threads);
        in->threads = NULL;
        if (in->services)
            services->join(services->arg, in);
        in->engine->now = clock_ns();
        watchdog_enter(in->engine, in, IN_CLOSE, NULL);
        in->plugin->close(in->self);
        watchdog_leave(in->engine);
        in->plugin = NULL;
    }
    in->state = INSTANCE_CLOSED;
}

void instance_free(struct instance *in)
{
    struct engine *en = in->engine;
    const struct engine_services *s = &en->options.services;
    list_remove(&in->in_engine);
    watchdog_forget(en);
    if (in->library)
        library_probe_forget(in->library, in);
    if (in->services)
        s->release(s->arg, in);
    metrics_release(in);
    /* A retired one is the engine's, manifest and all. */
    if (in->drain)
        manifest_free((struct manifest *)(uintptr_t)in->manifest);
    instance_release(in);
}
