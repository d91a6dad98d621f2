/* echo.c - answers with what it was given: the plugin to try a client, a
 * transport or a limit on.  Texts and schemas stand in echo.yaml. */
#include "sleeper.h"

#include <manifold/json.h>
#include <manifold/plugin.h>

#include <errno.h>

struct echo {
    const mf_host *host;
    struct sleeper *sleeper; /* owned */
};

/* Ends a call by how its last step went. */
static void end(const struct echo *e, mf_call call, mf_status status)
{
    const mf_host *host = e->host;
    switch (status) {
    case MF_OK:
    case MF_ECANCELED:
    case MF_ETIMEDOUT:
        host->finish(host, call, MF_DONE, MF_LIT(""));
        break;
    case MF_EINVAL:
    case MF_ENOENT:
        host->finish(host, call, MF_BAD_PARAMS,
                     MF_LIT("an argument is missing, of the wrong type, or not Unicode"));
        break;
    case MF_ELIMIT:
        host->finish(host, call, MF_FAULT, MF_LIT("the result is over the limit"));
        break;
    default:
        host->finish(host, call, MF_FAULT, MF_LIT("out of memory"));
    }
}

static void tool_error(const struct echo *e, mf_call call, mf_bytes text)
{
    e->host->text(e->host, call, text);
    e->host->finish(e->host, call, MF_TOOL_ERROR, MF_LIT(""));
}

/* ---- tools ---------------------------------------------------------------- */

/* The message goes out in pieces, most of them slices of the request, so that a
 * long one is neither copied nor allocated here. */
static void tool_echo(struct echo *e, const mf_request *r)
{
    const mf_host *host = e->host;
    mfj_chunks message = mfj_chunks_open(mfj_get(mfj_read(r->args), "message"), MFJ_NUL);
    char space[4096];
    mf_bytes piece;
    mf_status more = 0, status = host->text(host, r->call, MF_LIT("Echo: "));
    while (status == MF_OK && (more = mfj_chunk(&message, space, sizeof(space), &piece)) == 1)
        status = host->text(host, r->call, piece);
    end(e, r->call, status != MF_OK ? status : more);
}

/* Code points, that is what JSON Schema calls the length of a string. */
static mf_status count_characters(mfj_value string, int64_t *ret)
{
    mfj_chunks c = mfj_chunks_open(string, MFJ_NUL);
    char space[4096];
    mf_bytes piece;
    mf_status more;
    int64_t count = 0;
    while ((more = mfj_chunk(&c, space, sizeof(space), &piece)) == 1)
        for (size_t i = 0; i < piece.len; i++)
            count += (piece.data[i] & 0xC0) != 0x80;
    if (more == 0)
        *ret = count;
    return more;
}

static void tool_echo_structured(struct echo *e, const mf_request *r)
{
    const mf_host *host = e->host;
    mfj_value message = mfj_get(mfj_read(r->args), "message");
    mf_bytes raw = mfj_raw(message), json;
    char small[512], *space = small;
    size_t cap = raw.len + 64;
    int64_t length = 0;
    mf_status status = count_characters(message, &length);
    if (status == MF_OK && cap > sizeof(small) && (space = malloc(cap)) == NULL)
        status = MF_ENOMEM;
    if (status == MF_OK) {
        mfj_writer w;
        mfj_write(&w, space, cap);
        mfj_put_object(&w);
        mfj_put_key(&w, "echo");
        mfj_put_raw(&w, raw); /* as it came: it is a JSON string already */
        mfj_put_key(&w, "length");
        mfj_put_int(&w, length);
        mfj_put_end(&w);
        status = mfj_done(&w, &json);
    }
    if (status == MF_OK)
        status = host->structured(host, r->call, json);
    if (status == MF_OK)
        status = host->text(host, r->call, json);
    end(e, r->call, status);
    if (space != small)
        free(space);
}

static void tool_sleep(struct echo *e, const mf_request *r)
{
    int64_t ms;
    int error;
    if (mfj_int(mfj_get(mfj_read(r->args), "ms"), &ms) != MF_OK || ms < 0 || ms > 600000) {
        end(e, r->call, MF_EINVAL);
        return;
    }
    error = sleeper_add(e->sleeper, r->call, (uint32_t)ms);
    if (error == -EBUSY)
        tool_error(e, r->call, MF_LIT("1024 calls are asleep already; try again later"));
    else if (error != 0)
        tool_error(e, r->call, MF_LIT("there is no thread to sleep on; try again later"));
}

/* ---- resources ------------------------------------------------------------ */

static void resource_greeting(struct echo *e, const mf_request *r)
{
    end(e, r->call, e->host->text(e->host, r->call, MF_LIT("Hello from echo.\n")));
}

/* How much of the piece fits into `cap` bytes without cutting a character. */
static size_t whole_characters(mf_bytes piece, size_t cap)
{
    size_t len = piece.len;
    if (len > cap)
        for (len = cap; len > 0 && (piece.data[len] & 0xC0) == 0x80; len--)
            ;
    return len;
}

static mf_status shout(const mf_host *host, mf_call call, mf_bytes piece)
{
    mf_status status = MF_OK;
    while (status == MF_OK && piece.len > 0) {
        char upper[1024];
        size_t len = whole_characters(piece, sizeof(upper));
        for (size_t i = 0; i < len; i++) {
            char c = piece.data[i];
            upper[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        }
        status = host->text(host, call, (mf_bytes){upper, len});
        piece.data += len;
        piece.len -= len;
    }
    return status;
}

static void resource_shout(struct echo *e, const mf_request *r)
{
    mfj_chunks text = mfj_chunks_open(mfj_get(mfj_read(r->args), "text"), MFJ_NUL);
    char space[1024];
    mf_bytes piece;
    mf_status more = 0, status = MF_OK;
    while (status == MF_OK && (more = mfj_chunk(&text, space, sizeof(space), &piece)) == 1)
        status = shout(e->host, r->call, piece);
    end(e, r->call, status != MF_OK ? status : more);
}

/* ---- prompts -------------------------------------------------------------- */

static void prompt_reply(struct echo *e, const mf_request *r)
{
    mfj_value style = mfj_get(mfj_read(r->args), "style");
    mf_bytes text = MF_LIT("Reply to what I say next.");
    if (mfj_string_is(style, MF_LIT("formal")))
        text = MF_LIT("Reply to what I say next, in a formal tone.");
    else if (mfj_string_is(style, MF_LIT("short")))
        text = MF_LIT("Reply to what I say next, in one sentence.");
    else if (mfj_kind(style) != MFJ_NONE) {
        e->host->finish(e->host, r->call, MF_BAD_PARAMS,
                        MF_LIT("style: expected formal or short, found another word"));
        return;
    }
    end(e, r->call, e->host->text(e->host, r->call, text));
}

/* ---- completion ----------------------------------------------------------- */

/* Offers what may be shouted, for the variable of the one template. */
static void complete_shout(struct echo *e, const mf_request *r)
{
    static const char *const words[] = {"echo", "hallo", "hello", "hey", "hooray", "hush"};
    char value[16], space[256];
    mf_status status =
        mfj_cstring(mfj_find(mfj_read(r->args), "argument/value"), value, sizeof(value));
    int64_t total = 0;
    mfj_writer w;
    mf_bytes json;
    if (status != MF_OK && status != MF_ELIMIT) {
        end(e, r->call, status);
        return;
    }
    mfj_write(&w, space, sizeof(space));
    mfj_put_object(&w);
    mfj_put_key(&w, "values");
    mfj_put_array(&w);
    /* What is longer than `value` is no beginning of any word here. */
    for (size_t i = 0; status == MF_OK && i < sizeof(words) / sizeof(*words); i++) {
        if (strncmp(words[i], value, strlen(value)) != 0)
            continue;
        mfj_put_cstring(&w, words[i]);
        total++;
    }
    mfj_put_end(&w);
    mfj_put_key(&w, "total");
    mfj_put_int(&w, total);
    mfj_put_key(&w, "hasMore");
    mfj_put_bool(&w, 0);
    mfj_put_end(&w);
    status = mfj_done(&w, &json);
    if (status == MF_OK)
        status = e->host->structured(e->host, r->call, json);
    end(e, r->call, status);
}

/* ---- descriptor ----------------------------------------------------------- */

typedef void handler(struct echo *e, const mf_request *r);
static handler *const tool_handlers[] = {tool_echo, tool_echo_structured, tool_sleep};
static handler *const resource_handlers[] = {resource_greeting, resource_shout};

static void echo_call(void *self, const mf_request *r)
{
    switch (r->kind) {
    case MF_TOOL:
        tool_handlers[r->index](self, r);
        break;
    case MF_RESOURCE:
        resource_handlers[r->index](self, r);
        break;
    case MF_PROMPT:
        prompt_reply(self, r);
        break;
    default:
        complete_shout(self, r);
    }
}

static mf_status echo_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct echo *e = malloc(sizeof(*e));
    (void)config; /* there is nothing to configure */
    if (e == NULL)
        return MF_ENOMEM;
    e->host = host;
    e->sleeper = sleeper_new(host);
    if (e->sleeper == NULL) {
        free(e);
        return MF_ENOMEM;
    }
    *ret_self = e;
    return MF_OK;
}

static void echo_cancel(void *self, mf_call call)
{
    struct echo *e = self;
    sleeper_cancel(e->sleeper, call);
}

static void echo_close(void *self)
{
    struct echo *e = self;
    sleeper_free(e->sleeper);
    free(e);
}

#define ENTRY(text)                            \
    &(const mf_entry)                          \
    {                                          \
        .size = sizeof(mf_entry), .name = text \
    }
static const mf_entry *const tools[] = {ENTRY("echo"), ENTRY("echo_structured"), ENTRY("sleep"),
                                        NULL};
static const mf_entry *const resources[] = {ENTRY("greeting"), ENTRY("shout"), NULL};
static const mf_entry *const prompts[] = {ENTRY("reply"), NULL};

MF_NOTE();
const mf_plugin manifold_plugin_v1 = {
    .size = sizeof(manifold_plugin_v1),
    .abi_minor = MF_ABI_MINOR,
    .id = "dev.manifold.echo",
    .version = "1.0.0",
    .tools = tools,
    .resources = resources,
    .prompts = prompts,
    .open = echo_open,
    .call = echo_call,
    .cancel = echo_cancel,
    .close = echo_close,
};
