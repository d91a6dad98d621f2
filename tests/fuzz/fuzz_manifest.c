/* Any bytes as a manifest: parsed with and without trust, released, nothing left over.
 *
 * Built with -fsanitize=fuzzer; run with -dict=yaml.dict. */
#include <stdlib.h>
#include "config/manifest.h"

static struct settings *settings;

/* --plugins reads no config file, so that the machine does not matter. */
static void set_up(void)
{
    static const char *const plugins[] = {"/p"};
    static const char *const set[] = {"w.config.a.b=1", "w.hide=[\"x*\"]", "w.grants=asked"};
    const struct settings_args args = {
        .plugins = plugins, .plugins_count = 1, .set = set, .set_count = 3};
    struct err e;
    setenv("HOME", "/h", 1);
    if (settings_read(&args, &settings, &e))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct source source = {.path = "/p", .trust = size & 1};
    struct manifest *m;
    struct err e;
    if (!settings)
        set_up();
    int r = manifest_parse(settings, &source, (struct str){(const char *)data, size}, "/p/w.yaml",
                           &m, &e);
    if (r == 0)
        manifest_free(m);
    else if (e.text[0] == 0)
        abort();
    return 0;
}
