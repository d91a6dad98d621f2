/* One of the fifty plugins of the start-up figure; compiled once for each number,
 * -DNUMBER=7 -DDIGITS='"07"', so that each is a library of its own with one tool. */
#include <manifold/json.h>
#include <manifold/plugin.h>

static mf_status many_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    const mf_host **self = malloc(sizeof(*self));
    (void)config;
    if (!self)
        return MF_ENOMEM;
    *self = host;
    *ret_self = self;
    return MF_OK;
}

static void many_call(void *self, const mf_request *request)
{
    const mf_host *host = *(const mf_host **)self;
    mf_bytes none = {NULL, 0}, message = {NULL, 0};
    char space[256];
    int64_t count = 0;
    mfj_value args = mfj_read(request->args);
    mfj_int(mfj_get(args, "count"), &count);
    mfj_string(mfj_get(args, "message"), space, sizeof(space), &message);
    host->text(host, request->call, MF_LIT("plugin " DIGITS ": "));
    host->text(host, request->call, message);
    host->finish(host, request->call, count <= NUMBER ? MF_DONE : MF_TOOL_ERROR, none);
}

static void many_close(void *self)
{
    free(self);
}

static const mf_entry tool = {sizeof(mf_entry), 0, "tool_" DIGITS};
static const mf_entry *const tools[] = {&tool, NULL};

MF_NOTE();

const mf_plugin manifold_plugin_v1 = {
    .size = sizeof(mf_plugin),
    .abi_minor = MF_ABI_MINOR,
    .abi_minor_min = 0,
    .id = "org.example.many" DIGITS,
    .version = "1.0.0",
    .tools = tools,
    .open = many_open,
    .call = many_call,
    .close = many_close,
};
