/* Plugins that build results that no client may see as they are. */
#include "bad.h"

#define BYTES(s)               \
    {                          \
        "" s, sizeof("" s) - 1 \
    }

#if defined(BAD_IS_BAD_JSON)
static void call(void *arg, const mf_request *request)
{
    const mf_host *host = ((struct bad *)arg)->host;
    static const mf_bytes texts[] = {
        BYTES(""),
        {NULL, 0},
        BYTES("{\"type\":\"text\",\"text\":\"cut"),
        BYTES("{\"type\":\"text\",\"text\":\"x\"} trailing"),
        BYTES("{\"a\":1,\"a\":2}"),
        BYTES("{\"a\":\"\xff\"}"),
        BYTES("{\"a\":\"raw\nline\"}"),
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mf_status s = request->index ? host->structured(host, request->call, texts[i])
                                     : host->block(host, request->call, texts[i]);
        wrong += s != MF_EINVAL;
    }
    /* Valid JSON, but a block is an object. */
    if (!request->index)
        wrong += host->block(host, request->call, MF_LIT("[1]")) != MF_EINVAL;
    bad_answer_status(host, request->call, "broken JSON: accepted", wrong);
}

#elif defined(BAD_IS_RAW_NEWLINES)
static void call(void *arg, const mf_request *request)
{
    const mf_host *host = ((struct bad *)arg)->host;
    mf_status s = host->block(
        host, request->call,
        MF_LIT("{\r\n  \"type\": \"text\",\n\t\"text\": \"one line on the wire\"\n}\n"));
    if (!s)
        s = host->structured(host, request->call, MF_LIT("{\n\n\"a\":\n[1,\n2]\r}\n"));
    host->finish(host, request->call, s ? MF_FAULT : MF_DONE, MF_LIT("refused"));
}

#elif defined(BAD_IS_BAD_UTF8)
static void call(void *arg, const mf_request *request)
{
    const mf_host *host = ((struct bad *)arg)->host;
    static const mf_bytes texts[] = {BYTES("\xff\xfe"), BYTES("\xc0\x80"), BYTES("\xed\xa0\x80"),
                                     BYTES("\xf4\x90\x80\x80"), BYTES("a\xe2\x82")};
    int wrong = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        wrong += host->text(host, request->call, texts[i]) != MF_EINVAL;
    bad_answer_status(host, request->call, "invalid UTF-8: accepted", wrong);
}

#elif defined(BAD_IS_OVERSIZED)
static void call(void *arg, const mf_request *request)
{
    const mf_host *host = ((struct bad *)arg)->host;
    static char chunk[16384];
    memset(chunk, 'x', sizeof(chunk));
    mf_bytes b = {chunk, sizeof(chunk)};
    mf_status s = MF_OK;
    size_t sent = 0;
    for (int i = 0; i < 1000 && !s; i++) {
        s = host->text(host, request->call, b);
        sent += s ? 0 : sizeof(chunk);
    }
    bad_log(host, "oversized text", s);
    bad_log(host, "oversized kept KiB:", (mf_status)(sent / 1024));
    host->finish(host, request->call, MF_DONE, MF_LIT(""));
}

#elif defined(BAD_IS_BAD_STRUCTURED)
static void call(void *arg, const mf_request *request)
{
    const mf_host *host = ((struct bad *)arg)->host;
    host->text(host, request->call, MF_LIT("never seen"));
    bad_log(host, "structured",
            host->structured(host, request->call, MF_LIT("{\"degrees\":\"warm\"}")));
    host->finish(host, request->call, MF_DONE, MF_LIT(""));
}

#elif defined(BAD_IS_NO_STRUCTURED)
static void call(void *arg, const mf_request *request)
{
    bad_answer(((struct bad *)arg)->host, request->call, "never seen");
}

#elif defined(BAD_IS_PROGRESS_BACKWARDS)
static void call(void *arg, const mf_request *request)
{
    const mf_host *host = ((struct bad *)arg)->host;
    static const double steps[] = {3, 2, 3, -1, __builtin_nan(""), 5};
    int sent = 0;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        sent += host->progress(host, request->call, steps[i], 10, MF_LIT("step")) == MF_OK;
    bad_answer_status(host, request->call, "progress: accepted steps", sent);
}
#endif

#ifdef BAD_IS_BAD_JSON
MF_NOTE();
static const mf_entry block_tool = {sizeof(mf_entry), 0, "bad_json"};
static const mf_entry structured_tool = {sizeof(mf_entry), 0, "bad_json_structured"};
static const mf_entry *const tools[] = {&block_tool, &structured_tool, NULL};
MF_EXPORT const mf_plugin manifold_plugin_v1 = {.size = sizeof(mf_plugin),
                                                .abi_minor = MF_ABI_MINOR,
                                                .id = BAD_ID,
                                                .version = "1.0.0",
                                                .tools = tools,
                                                .open = bad_open,
                                                .call = call,
                                                .close = bad_close};
#else
BAD_PLUGIN(.open = bad_open, .call = call, .close = bad_close);
#endif
