#include "runtime/internal.h"

#include <stdlib.h>

void host_problem(struct host *h, const char *plugin, bool fatal, const char *fmt, ...)
{
    struct err e;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e.text, sizeof(e.text), fmt, ap);
    va_end(ap);
    log_line(fatal ? LOG_ERROR : LOG_WARN, plugin, "%s", e.text);
    struct problem *more = realloc(h->problem, (h->problems + 1) * sizeof(*more));
    if (!more)
        return;
    h->problem = more;
    h->problem[h->problems++] = (struct problem){.plugin = xstrndup(plugin, strlen(plugin)),
                                                 .sentence = xstrndup(e.text, strlen(e.text)),
                                                 .fatal = fatal};
}

int host_open(uv_loop_t *loop, struct settings *settings, const struct host_options *o,
              struct host **ret, struct err *e)
{
    struct host *h = xcalloc(1, sizeof(*h));
    h->loop = loop;
    h->settings = settings;
    h->started_ns = clock_ns();
    struct engine_options options = {.calls = settings->calls, .keep_libraries = o->keep_libraries};
    int r = engine_open(loop, &options, &h->engine, e);
    if (r) {
        settings_free(settings);
        free(h);
        return r;
    }
    for (uint32_t i = 0; i < settings->dormants; i++)
        log_info("host config: %s: accepted, not in force in this build", settings->dormant[i]);
    sources_read(h);
    h->catalogue = catalogue_build(h);
    h->generation = 1;
    *ret = h;
    return 0;
}

void host_load_eager(struct host *h)
{
    for (uint32_t i = 0; i < h->manifests; i++) {
        if (h->instance[i] && h->manifest[i]->instance.load == LOAD_EAGER)
            instance_load(h->instance[i]);
    }
}

void host_free(struct host *h)
{
    engine_free(h->engine);
    catalogue_free(h->catalogue);
    for (uint32_t i = 0; i < h->manifests; i++)
        manifest_free(h->manifest[i]);
    for (uint32_t i = 0; i < h->problems; i++) {
        free(h->problem[i].plugin);
        free(h->problem[i].sentence);
    }
    free(h->manifest);
    free(h->instance);
    free(h->problem);
    settings_free(h->settings);
    free(h);
}
