/* An echo written as a third party would: against the SDK alone, outside the
 * tree.  The benchmark holds its throughput against the bundled echo's. */
#include <manifold/json.h>
#include <manifold/plugin.h>

struct outside {
    const mf_host *host; /* borrowed until close() */
};

static mf_status outside_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct outside *o = malloc(sizeof(*o));
    (void)config;
    if (!o)
        return MF_ENOMEM;
    o->host = host;
    *ret_self = o;
    return MF_OK;
}

static void outside_call(void *self, const mf_request *request)
{
    const mf_host *host = ((struct outside *)self)->host;
    mf_bytes none = {NULL, 0}, piece;
    char space[1024];
    mfj_chunks text = mfj_chunks_open(mfj_get(mfj_read(request->args), "message"), MFJ_NUL);
    mf_status more, room = host->text(host, request->call, MF_LIT("Echo: "));
    while ((more = mfj_chunk(&text, space, sizeof(space), &piece)) > 0 && room == MF_OK)
        room = host->text(host, request->call, piece);
    if (more < 0)
        host->finish(host, request->call, MF_BAD_PARAMS, MF_LIT("message is not a string"));
    else if (room != MF_OK)
        host->finish(host, request->call, MF_FAULT, MF_LIT("the text does not fit the result"));
    else
        host->finish(host, request->call, MF_DONE, none);
}

static void outside_close(void *self)
{
    free(self);
}

static const mf_entry echo_outside = {sizeof(mf_entry), 0, "echo_outside"};
static const mf_entry *const tools[] = {&echo_outside, NULL};

MF_NOTE();

const mf_plugin manifold_plugin_v1 = {
    .size = sizeof(mf_plugin),
    .abi_minor = MF_ABI_MINOR,
    .abi_minor_min = 0,
    .id = "org.example.outside",
    .version = "1.0.0",
    .tools = tools,
    .open = outside_open,
    .call = outside_call,
    .close = outside_close,
};
