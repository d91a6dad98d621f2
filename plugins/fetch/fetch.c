/* fetch.c - pages of the web for a model: the tools fetch and fetch_many and the prompt fetch.
 * Names, arguments and texts are those of the reference server mcp-server-fetch. */
#include <manifold/json.h>
#include <manifold/plugin.h>
#include <stdio.h>
#include <stdlib.h>

#include "charset.h"
#include "many.h"
#include "sites.h"

#define AGENT        "ModelContextProtocol/1.0 (%s; +https://github.com/modelcontextprotocol/servers)"
#define PAGE_TIMEOUT UINT64_C(30000000000) /* ns */

enum { AGENT_MAX = 256 };

struct fetch {
    struct getter get;
    int ignore_robots;
    char autonomous[AGENT_MAX], manual[AGENT_MAX];
};

/* --- the tool fetch --- */

struct one {
    const struct fetch *fetch;
    mf_call call;
    int64_t max_length, start;
    bool prompt;
};

static void add(const struct one *o, const char *p, size_t n)
{
    const mf_host *h = o->fetch->get.host;
    h->text(h, o->call, (mf_bytes){p, n});
}

static void add_prefix(const struct one *o, const struct page_end *e)
{
    struct text type = {.max = 4096};
    if (e->simplified)
        return;
    charset_decode(e->type->p, e->type->n, "", 0, &type);
    add(o, "Content type ", 13);
    add(o, type.p, type.n);
    add(o, " cannot be simplified to markdown, but here is the raw content:\n", 64);
    text_free(&type);
}

/* From character `start` on, max_length of them. */
static void add_part(const struct one *o, const struct page_end *e)
{
    const struct text *t = e->text;
    size_t from = charset_offset(t->p, t->n, (size_t)o->start), left = t->n - from;
    size_t len = charset_offset(t->p + from, left, (size_t)o->max_length);
    char note[160];
    if (!left) {
        add(o, "<error>No more content available.</error>", 41);
        return;
    }
    add(o, t->p + from, len);
    if (len < left) {
        int n = snprintf(
            note, sizeof(note),
            "\n\n<error>Content truncated. Call the fetch tool with a start_index of %lld to get "
            "more content.</error>",
            (long long)(o->start + o->max_length));
        add(o, note, (size_t)n);
    } else if (e->cut) {
        add(o,
            "\n\n<error>The page is longer than the host lets an answer be; the rest is "
            "missing.</error>",
            89);
    }
}

static void on_page(void *arg, const struct page_end *e)
{
    struct one *o = arg;
    const mf_host *h = o->fetch->get.host;
    bool error = !e->ok && !o->prompt;
    if (!e->ok) {
        add(o, e->why->p, e->why->n);
    } else if (o->prompt) {
        add_prefix(o, e);
        add(o, e->text->p, e->text->n);
    } else {
        add_prefix(o, e);
        add(o, "Contents of ", 12);
        add(o, e->url->p, e->url->n);
        add(o, ":\n", 2);
        add_part(o, e);
    }
    h->finish(h, o->call, error ? MF_TOOL_ERROR : MF_DONE, MF_LIT(""));
    free(o);
}

static void fetch_one(struct fetch *f, const mf_request *r, bool prompt)
{
    struct one *o = calloc(1, sizeof(*o));
    mfj_value args = mfj_read(r->args);
    char space[8192];
    int raw = 0;
    struct page_ask ask = {.call = r->call,
                           .agent = prompt ? f->manual : f->autonomous,
                           .robots = !prompt && !f->ignore_robots,
                           .timeout_ns = PAGE_TIMEOUT};
    if (!o) {
        f->get.host->finish(f->get.host, r->call, MF_FAULT, MF_LIT("out of memory"));
        return;
    }
    *o = (struct one){.fetch = f, .call = r->call, .max_length = 5000, .prompt = prompt};
    mfj_string(mfj_get(args, "url"), space, sizeof(space), &ask.url);
    mfj_int(mfj_get(args, "max_length"), &o->max_length);
    mfj_int(mfj_get(args, "start_index"), &o->start);
    mfj_bool(mfj_get(args, "raw"), &raw);
    ask.raw = raw;
    page_get(&f->get, &ask, on_page, o);
}

/* --- the plugin --- */

static void fetch_call(void *self, const mf_request *r)
{
    struct fetch *f = self;
    if (r->kind == MF_TOOL && r->index == 1)
        many_start(&f->get, r, f->autonomous, !f->ignore_robots);
    else
        fetch_one(f, r, r->kind == MF_PROMPT);
}

static void fetch_close(void *self)
{
    struct fetch *f = self;
    sites_free(f->get.sites);
    free(f);
}

static mf_status fetch_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct fetch *f = calloc(1, sizeof(*f));
    mfj_value c = mfj_read(config);
    char agent[AGENT_MAX - 64];
    if (!f)
        return MF_ENOMEM;
    f->get.host = host;
    f->get.http = host->extension(host, MF_EXT_HTTP);
    f->get.work = host->extension(host, MF_EXT_WORK);
    f->get.sites = sites_new(host, f->get.http);
    if (!f->get.sites) {
        free(f);
        return MF_ENOMEM;
    }
    mfj_bool(mfj_get(c, "ignore_robots_txt"), &f->ignore_robots);
    if (mfj_cstring(mfj_get(c, "user_agent"), agent, sizeof(agent)) == MF_OK && agent[0]) {
        snprintf(f->autonomous, sizeof(f->autonomous), "%s", agent);
        snprintf(f->manual, sizeof(f->manual), "%s", agent);
    } else {
        snprintf(f->autonomous, sizeof(f->autonomous), AGENT, "Autonomous");
        snprintf(f->manual, sizeof(f->manual), AGENT, "User-Specified");
    }
    *ret_self = f;
    return MF_OK;
}

#define ENTRY(text)                            \
    &(const mf_entry)                          \
    {                                          \
        .size = sizeof(mf_entry), .name = text \
    }
static const mf_entry *const tools[] = {ENTRY("fetch"), ENTRY("fetch_many"), NULL};
static const mf_entry *const prompts[] = {ENTRY("fetch"), NULL};

MF_NOTE();
const mf_plugin manifold_plugin_v1 = {
    .size = sizeof(manifold_plugin_v1),
    .abi_minor = MF_ABI_MINOR,
    .id = "dev.manifold.fetch",
    .version = "1.0.0",
    .tools = tools,
    .prompts = prompts,
    .open = fetch_open,
    .call = fetch_call,
    .close = fetch_close,
};
