#include "services/internal.h"

#include "services/series.h"

static const struct service table[] = {
    {.id = "manifold.metrics/1", .open = metrics_open},
    {.id = "manifold.timer/1", .vtable = &timer_vtable},
    {.id = "manifold.work/1", .vtable = &work_vtable},
};

/* The instance's own part is made here, under a lock, since any thread may ask. */
static bool have_own(struct services *s, struct instance *in)
{
    pthread_mutex_lock(&s->lock);
    if (!in->services)
        in->services = calloc(1, sizeof(*in->services));
    bool have = in->services;
    pthread_mutex_unlock(&s->lock);
    return have;
}

static const void *extension(void *arg, struct instance *in, const char *id)
{
    struct services *s = arg;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].id, id) != 0)
            continue;
        if (!have_own(s, in))
            return NULL;
        return table[i].open ? table[i].open(s, in) : table[i].vtable;
    }
    return NULL;
}

static void release(void *arg, struct instance *in)
{
    (void)arg;
    struct instance_services *own = in->services;
    pool_free(own->work);
    free(own);
    in->services = NULL;
}

/* What was kept for all its generations. */
static void gone(void *arg, const char *instance)
{
    struct services *s = arg;
    if (s->series)
        series_forget(s->series, instance);
}

struct engine_services services_for_engine(struct services *s)
{
    return (struct engine_services){
        .extension = extension, .release = release, .gone = gone, .arg = s};
}

void services_settings(struct services *s, const struct settings *settings)
{
    pthread_mutex_lock(&s->lock);
    s->series_limit = settings->metrics_series;
    if (s->series)
        series_set_limit(s->series, s->series_limit);
    pthread_mutex_unlock(&s->lock);
}

struct series_set *services_series(struct services *s)
{
    pthread_mutex_lock(&s->lock);
    struct series_set *set = s->series;
    pthread_mutex_unlock(&s->lock);
    return set;
}

int services_open(uv_loop_t *loop, const struct settings *settings, struct services **ret,
                  struct err *e)
{
    (void)e;
    struct services *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    pthread_mutex_init(&s->lock, NULL);
    services_settings(s, settings);
    *ret = s;
    return 0;
}

void services_close(struct services *s, void (*done)(void *arg), void *arg)
{
    (void)s;
    done(arg);
}

void services_free(struct services *s)
{
    if (!s)
        return;
    series_set_free(s->series);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
