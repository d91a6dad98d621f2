/* Plugins whose open() fails, at once or after a while, and one that is opened twice. */
#include "bad.h"

#if defined(BAD_IS_OPEN_TWICE)
/* Two manifests name this library: each instance answers from its own config. */
struct twice {
    const mf_host *host;
    char config[200];
};

static mf_status open_one(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct twice *self = calloc(1, sizeof(*self));
    if (!self)
        return MF_ENOMEM;
    self->host = host;
    snprintf(self->config, sizeof(self->config), "%.*s", (int)config.len, config.data);
    *ret_self = self;
    return MF_OK;
}

static void call(void *self, const mf_request *request)
{
    struct twice *t = self;
    char text[300];
    snprintf(text, sizeof(text), "instance %s has config %s", t->host->name, t->config);
    bad_answer(t->host, request->call, text);
}

BAD_PLUGIN(.open = open_one, .call = call, .close = bad_close);
#else
static mf_status open_failing(const mf_host *host, mf_bytes config, void **ret_self)
{
    (void)config;
    (void)ret_self;
#ifdef BAD_IS_OPEN_FAILS_LATE
    bad_sleep_ms(300);
#endif
    host->log(host, MF_LOG_ERROR, 0, MF_LIT("no licence for this machine"));
    return MF_EIO;
}

/* On a failed open() there is no instance, so this must never run. */
static void close_never(void *self)
{
    (void)self;
    abort();
}

BAD_PLUGIN(.open = open_failing, .call = bad_plain_call, .close = close_never);
#endif
