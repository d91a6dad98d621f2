/* Plugins whose note, descriptor or symbols are wrong: most of them must not load. */
/* One variant defines the symbol with a larger type than the header knows. */
#define manifold_plugin_v1 declared_by_the_header
#include "bad.h"
#undef manifold_plugin_v1

#include <unistd.h>

/* A note of our own making, where that of MF_NOTE() would be right. */
#define NOTE(major, minor)                                                                       \
    static const struct {                                                                        \
        uint32_t namesz, descsz, type;                                                           \
        char name[12];                                                                           \
        uint32_t desc[4];                                                                        \
    } mf_note __attribute__((MF_NOTE_UNPADDED_ section(".note.manifold"), used, aligned(4))) = { \
        9, 16, 1, "Manifold", {major, minor, 0, 0}}

#if defined(BAD_IS_NO_NOTE)
/* none */
#elif defined(BAD_IS_WRONG_MAJOR)
NOTE(2, 0);
#elif defined(BAD_IS_NEEDS_NEWER) || defined(BAD_IS_BUILT_NEWER)
NOTE(MF_ABI_MAJOR, 9);
#elif defined(BAD_IS_NOTE_DISAGREES)
NOTE(MF_ABI_MAJOR, 3);
#else
MF_NOTE();
#endif

#if defined(BAD_IS_NO_NOTE) || defined(BAD_IS_WRONG_MAJOR)
/* What the note protects from: the code of a foreign library runs on being mapped. */
__attribute__((constructor)) static void announce(void)
{
    static const char text[] = BAD_NAME ": a constructor has run\n";
    if (write(2, text, sizeof(text) - 1) < 0)
        return;
}
#endif

#if defined(BAD_IS_NEEDS_NEWER) || defined(BAD_IS_BUILT_NEWER)
/* As a header of minor 9 might have them: larger at the end, with flags nobody knows yet. */
struct entry_of_minor_9 {
    mf_entry base;
    uint64_t priority;
};
struct plugin_of_minor_9 {
    mf_plugin base;
    void (*wink)(void *self);
};
static const struct entry_of_minor_9 tool = {{sizeof(tool), 1u << 30, BAD_NAME}, 7};
static const mf_entry *const tools[] = {&tool.base, NULL};
MF_EXPORT extern const struct plugin_of_minor_9 manifold_plugin_v1;
const struct plugin_of_minor_9 manifold_plugin_v1 = {
    .base =
        {
            .size = sizeof(struct plugin_of_minor_9),
            .flags = 1u << 30,
            .abi_minor = 9,
#ifdef BAD_IS_NEEDS_NEWER
            .abi_minor_min = 9,
#endif
            .id = BAD_ID,
            .version = "1.0.0",
            .tools = tools,
            .open = bad_open,
            .call = bad_plain_call,
            .close = bad_close,
        },
};

#elif defined(BAD_IS_NO_SYMBOL)
MF_EXPORT extern const int manifold_plugin_v2;
const int manifold_plugin_v2 = 2;

#elif defined(BAD_IS_SMALL_DESCRIPTOR)
MF_EXPORT const mf_plugin manifold_plugin_v1 = {
    .size = 40, .id = BAD_ID, .version = "1.0.0", .open = bad_open, .close = bad_close};

#elif defined(BAD_IS_NO_CALL)
BAD_DESCRIPTOR(.open = bad_open, .close = bad_close);

#elif defined(BAD_IS_CRASH_DESCRIPTOR)
MF_EXPORT const mf_plugin manifold_plugin_v1 = {.size = sizeof(mf_plugin),
                                                .id = BAD_ID,
                                                .version = "1.0.0",
                                                .tools = (const mf_entry *const *)8,
                                                .open = bad_open,
                                                .call = bad_plain_call,
                                                .close = bad_close};

#elif defined(BAD_IS_ID_MISMATCH) || defined(BAD_IS_VERSION_MISMATCH) || \
    defined(BAD_IS_TOOL_MISSING) || defined(BAD_IS_TOOL_TWICE) || defined(BAD_IS_TOOL_EXTRA)
#ifndef BAD_IS_TOOL_MISSING
static const mf_entry one = {sizeof(one), 0, BAD_NAME};
#endif
static const mf_entry other = {sizeof(other), 0,
#ifdef BAD_IS_TOOL_TWICE
                               BAD_NAME
#else
                               "another_tool"
#endif
};
static const mf_entry *const tools[] = {
#ifndef BAD_IS_TOOL_MISSING
    &one,
#endif
    &other, NULL};
MF_EXPORT const mf_plugin manifold_plugin_v1 = {.size = sizeof(mf_plugin),
#ifdef BAD_IS_ID_MISMATCH
                                                .id = "test.bad.somebody_else",
#else
                                                .id = BAD_ID,
#endif
#ifdef BAD_IS_VERSION_MISMATCH
                                                .version = "2.0.0",
#else
                                                .version = "1.0.0",
#endif
                                                .tools = tools,
                                                .open = bad_open,
                                                .call = bad_plain_call,
                                                .close = bad_close};

#elif defined(BAD_IS_UNDEFINED_SYMBOL)
void bad_function_that_nobody_has(void);
static void call(void *self, const mf_request *request)
{
    bad_function_that_nobody_has();
    bad_plain_call(self, request);
}
BAD_DESCRIPTOR(.open = bad_open, .call = call, .close = bad_close);

#elif defined(BAD_IS_MISSING_DEPENDENCY)
void bad_gone_function(void);
static void call(void *self, const mf_request *request)
{
    bad_gone_function();
    bad_plain_call(self, request);
}
BAD_DESCRIPTOR(.open = bad_open, .call = call, .close = bad_close);

#else
/* plain, bad_runpath, and the file the damaged ones are made of */
BAD_DESCRIPTOR(.open = bad_open, .call = bad_plain_call, .close = bad_close);
#endif
