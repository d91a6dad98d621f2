#include "services/internal.h"

static const struct service table[] = {
    {.id = "manifold.http/1", .open = http_extension},
    {.id = "manifold.timer/1", .vtable = &timer_vtable},
    {.id = "manifold.work/1", .vtable = &work_vtable},
};

/* The instance's own part is made here, under a lock, since any thread may ask. */
static bool have_own(struct services *s, struct instance *in)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (!in->services && (in->services = calloc(1, sizeof(*in->services))))
        in->services->http.http = s->http;
    bool have = in->services;
    pthread_mutex_unlock(&lock);
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
    http_instance_release(&own->http);
    free(own);
    in->services = NULL;
}

struct engine_services services_for_engine(struct services *s)
{
    return (struct engine_services){.extension = extension, .release = release, .arg = s};
}

int services_open(uv_loop_t *loop, const struct settings *settings, struct services **ret,
                  struct err *e)
{
    (void)e;
    struct services *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->http = http_new(loop, &settings->http_client);
    *ret = s;
    return 0;
}

void services_close(struct services *s, void (*done)(void *arg), void *arg)
{
    http_close(s->http, done, arg);
}

void services_free(struct services *s)
{
    if (s)
        http_free(s->http);
    free(s);
}
