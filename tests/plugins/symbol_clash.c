/* Exports functions with the names of the host's own libraries, as a plugin does that links
 * them statically and forgets --exclude-libs.  Host and plugin must each keep their own. */
#include "bad.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT unsigned uv_version(void);
EXPORT unsigned uv_version(void)
{
    return 42;
}

/* Any of these called by the host would end it. */
#define TRAP(name)          \
    EXPORT void name(void); \
    EXPORT void name(void)  \
    {                       \
        abort();            \
    }
TRAP(uv_run)
TRAP(uv_now)
TRAP(uv_write)
TRAP(uv_timer_start)
TRAP(uv_async_send)
TRAP(uv_close)
TRAP(json_read)
TRAP(buf_append)
TRAP(log_line)
TRAP(xcalloc)
TRAP(yaml_parser_parse)
TRAP(pcre2_match_8)
TRAP(nettle_sha256_init)

static void call(void *self, const mf_request *request)
{
    char text[64];
    snprintf(text, sizeof(text), "its own uv_version: %u", uv_version());
    bad_answer(((struct bad *)self)->host, request->call, text);
}

BAD_PLUGIN(.open = bad_open, .call = call, .close = bad_close);
