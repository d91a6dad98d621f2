/* hello.c - a Manifold plugin with one tool, to begin from.
 *
 * hello.yaml declares the tool; this file only names it.  The host checks the
 * arguments against the manifest's inputSchema before call() sees them. */
#include <manifold/json.h>
#include <manifold/plugin.h>

#include <stdlib.h>

/* One instance.  Two manifests may name this library, so nothing is static. */
struct hello {
    const mf_host *host;
    char greeting[32];
};

static void greet(struct hello *h, const mf_request *r)
{
    const mf_host *host = h->host;
    char space[256];
    mf_bytes name;
    mf_status status = mfj_string(mfj_get(mfj_read(r->args), "name"), space, sizeof(space), &name);
    if (status != MF_OK) {
        host->text(host, r->call, MF_LIT("I can only greet names of up to 256 bytes."));
        host->finish(host, r->call, MF_TOOL_ERROR, MF_LIT(""));
        return;
    }
    host->text(host, r->call, (mf_bytes){h->greeting, strlen(h->greeting)});
    host->text(host, r->call, MF_LIT(", "));
    host->text(host, r->call, name);
    host->text(host, r->call, MF_LIT("!"));
    host->finish(host, r->call, MF_DONE, MF_LIT(""));
}

static mf_status hello_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    mfj_value greeting = mfj_get(mfj_read(config), "greeting");
    struct hello *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return MF_ENOMEM;
    h->host = host;
    if (mfj_kind(greeting) == MFJ_NONE)
        strcpy(h->greeting, "Hello");
    else if (mfj_cstring(greeting, h->greeting, sizeof(h->greeting)) != MF_OK) {
        host->log(host, MF_LOG_ERROR, 0, MF_LIT("config: `greeting` is over 31 bytes"));
        free(h);
        return MF_EINVAL;
    }
    *ret_self = h;
    return MF_OK;
}

/* Runs on the host's loop: answer at once, or start something and finish later.
 * A tool that must block says MF_TOOL_BLOCKING in its entry instead. */
static void hello_call(void *self, const mf_request *r)
{
    greet(self, r);
}

static void hello_close(void *self)
{
    free(self);
}

static const mf_entry greet_entry = {.size = sizeof(greet_entry), .name = "greet"};
static const mf_entry *const tools[] = {&greet_entry, NULL};

MF_NOTE();
const mf_plugin manifold_plugin_v1 = {
    .size = sizeof(manifold_plugin_v1),
    .abi_minor = MF_ABI_MINOR,
    .id = "org.example.hello",
    .version = "0.1.0",
    .tools = tools,
    .open = hello_open,
    .call = hello_call,
    .close = hello_close,
};
