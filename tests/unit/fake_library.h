/* tests/unit/fake_library.h - all that engine/ asks of plugin/, without files: a library is a
 * descriptor inside the test program.  Linked in front of the real one; for one source file of a
 * program. */
#ifndef TESTS_UNIT_FAKE_LIBRARY_H
#define TESTS_UNIT_FAKE_LIBRARY_H

#include <errno.h>
#include <stdlib.h>
#include "engine/internal.h"
#include "manifold/state.h"
#include "plugin/descriptor.h"

struct library {
    const mf_plugin *plugin;
    enum library_state state; /* LIBRARY_STAGED: the probe waits for fake_probe_end() */
};

/* The probe that is under way, one at a time. */
static struct {
    struct library *library;
    library_probe_cb done;
    void *arg;
} fake_probe;

int library_stage(int dirfd, const char *directory, const char *name, const char *keep_dir,
                  struct library **ret, struct err *e)
{
    (void)dirfd, (void)name, (void)keep_dir, (void)ret;
    return err_set(e, -ENOENT, "%s: there are no files here", directory);
}

const char *library_hash(const struct library *lib)
{
    (void)lib;
    return "0000000000000000000000000000000000000000000000000000000000000000";
}

enum library_state library_state(const struct library *lib)
{
    return lib->state;
}

int library_probe(uv_loop_t *loop, struct library *lib, library_probe_cb done, void *arg)
{
    (void)loop;
    if (fake_probe.done)
        return -ENOMEM;
    lib->state = LIBRARY_PROBING;
    fake_probe.library = lib;
    fake_probe.done = done;
    fake_probe.arg = arg;
    return 0;
}

void library_probe_forget(struct library *lib, void *arg)
{
    if (fake_probe.library == lib && fake_probe.arg == arg)
        memset(&fake_probe, 0, sizeof(fake_probe));
}

int library_probe_now(struct library *lib, struct err *e)
{
    return lib->state == LIBRARY_BAD ? err_set(e, -ENOEXEC, "the library is bad") : 0;
}

int library_load(struct library *lib, const mf_plugin **ret, struct err *e)
{
    if (lib->state == LIBRARY_BAD)
        return err_set(e, -ENOEXEC, "the library is bad");
    lib->state = LIBRARY_LOADED;
    *ret = lib->plugin;
    return 0;
}

int descriptor_check(const mf_plugin *p, const struct manifest *m,
                     struct descriptor_binding *ret_binding, struct err *e)
{
    (void)e;
    for (uint32_t i = 0; i < m->entries; i++)
        ret_binding[i] =
            (struct descriptor_binding){i, p->tools && p->tools[i] ? p->tools[i]->flags : 0};
    return 0;
}

/* A manifest of its own for an instance that is to be retired, with `m`'s entries and limits and a
 * library; `m` outlives it. */
static struct manifest *fake_manifest(const struct manifest *m, const char *name)
{
    struct manifest *c = malloc(sizeof(*c));
    *c = *m;
    c->doc = (struct document){0};
    c->name = str_of(name);
    c->directory = NULL;
    c->texts = NULL;
    c->warnings = 0;
    c->config = (struct buf)BUF_INIT(0);
    c->library = str_dup(STR("fake.so"));
    c->entry = malloc(m->entries * sizeof(*c->entry));
    memcpy(c->entry, m->entry, m->entries * sizeof(*c->entry));
    for (uint32_t i = 0; i < m->entries; i++) {
        struct entry_spec *s = &c->entry[i];
        s->input = s->output = NULL;
        s->argument = NULL;
        s->complete = NULL;
    }
    return c;
}

#endif
