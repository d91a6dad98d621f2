/* tests/plugins/bad.h - what the deliberately bad plugins have in common.
 *
 * CMakeLists.txt defines for each: BAD_NAME, which is the plugin's file and its
 * first tool, BAD_ID, and BAD_IS_NAME to choose the variant in a shared source. */
#ifndef BAD_H
#define BAD_H

#include <manifold/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bad {
    const mf_host *host;
};

__attribute__((unused)) static mf_status bad_open(const mf_host *host, mf_bytes config,
                                                  void **ret_self)
{
    (void)config;
    struct bad *self = calloc(1, sizeof(*self));
    if (!self)
        return MF_ENOMEM;
    self->host = host;
    *ret_self = self;
    return MF_OK;
}

__attribute__((unused)) static void bad_close(void *self)
{
    free(self);
}

/* One text block and the end. */
__attribute__((unused)) static void bad_answer(const mf_host *host, mf_call call, const char *text)
{
    mf_bytes b = {text, strlen(text)};
    mf_bytes none = {NULL, 0};
    host->text(host, call, b);
    host->finish(host, call, MF_DONE, none);
}

__attribute__((unused)) static void bad_answer_status(const mf_host *host, mf_call call,
                                                      const char *what, mf_status s)
{
    char text[128];
    snprintf(text, sizeof(text), "%s returned %d", what, (int)s);
    bad_answer(host, call, text);
}

__attribute__((unused)) static void bad_log(const mf_host *host, const char *what, mf_status s)
{
    char text[128];
    int n = snprintf(text, sizeof(text), "%s returned %d", what, (int)s);
    mf_bytes b = {text, (size_t)n};
    host->log(host, MF_LOG_INFO, 0, b);
}

__attribute__((unused)) static void bad_sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

__attribute__((unused)) static void bad_plain_call(void *self, const mf_request *request)
{
    bad_answer(((struct bad *)self)->host, request->call, BAD_NAME " answers");
}

/* The descriptor with one tool called BAD_NAME; the arguments are further fields. */
#define BAD_DESCRIPTOR(...)                                                    \
    static const mf_entry bad_tool = {sizeof(mf_entry), BAD_FLAGS, BAD_NAME};  \
    static const mf_entry *const bad_tools[] = {&bad_tool, NULL};              \
    MF_EXPORT const mf_plugin manifold_plugin_v1 = {.size = sizeof(mf_plugin), \
                                                    .abi_minor = MF_ABI_MINOR, \
                                                    .id = BAD_ID,              \
                                                    .version = "1.0.0",        \
                                                    .tools = bad_tools,        \
                                                    __VA_ARGS__}
#define BAD_PLUGIN(...) \
    MF_NOTE();          \
    BAD_DESCRIPTOR(__VA_ARGS__)
#ifndef BAD_FLAGS
#define BAD_FLAGS 0
#endif

#endif
