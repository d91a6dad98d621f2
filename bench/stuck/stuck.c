/* bench/stuck/stuck.c - a plugin whose calls stay in call() for as long as they are told, deaf to
 * cancel(): on threads of its own, as BLOCKING tools run. */
#include <manifold/plugin.h>
#include <stdlib.h>
#include <time.h>

static mf_status open_it(const mf_host *host, mf_bytes config, void **ret_self)
{
    (void)config;
    *ret_self = (void *)(uintptr_t)host;
    return MF_OK;
}

static void call(void *self, const mf_request *rq)
{
    const mf_host *host = self;
    struct timespec left = {.tv_sec = 0};
    for (size_t i = 0; i < rq->args.len; i++) { /* {"ms":N}: the schema has checked it */
        char c = rq->args.data[i];
        if (c >= '0' && c <= '9')
            left.tv_nsec = left.tv_nsec * 10 + (c - '0');
    }
    left.tv_sec = left.tv_nsec / 1000;
    left.tv_nsec = left.tv_nsec % 1000 * 1000000;
    nanosleep(&left, NULL);
    host->text(host, rq->call, MF_LIT("free again"));
    host->finish(host, rq->call, MF_DONE, MF_LIT(""));
}

static void close_it(void *self)
{
    (void)self;
}

static const mf_entry stuck = {sizeof(mf_entry), MF_TOOL_BLOCKING, "stuck"};
static const mf_entry *const tools[] = {&stuck, NULL};
MF_NOTE();

MF_EXPORT const mf_plugin manifold_plugin_v1 = {.size = sizeof(mf_plugin),
                                                .abi_minor = MF_ABI_MINOR,
                                                .id = "org.example.stuck",
                                                .version = "1.0.0",
                                                .tools = tools,
                                                .open = open_it,
                                                .call = call,
                                                .close = close_it};
