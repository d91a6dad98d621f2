/* host/plugin/descriptor.h - the library's descriptor held against the manifest. */
#ifndef MANIFOLD_PLUGIN_DESCRIPTOR_H
#define MANIFOLD_PLUGIN_DESCRIPTOR_H

#include "config/manifest.h"
#include "manifold/plugin.h"

/* Which element of tools[], resources[] or prompts[] answers entry i of the
 * manifest, and the element's flags. */
struct descriptor_binding {
    uint32_t index; /* UINT32_MAX: no code needed */
    uint32_t flags; /* MF_TOOL_BLOCKING */
};

/* Is the descriptor sound in itself: size, ABI minor, flags, texts and names that are there, short
 * enough, UTF-8 and unique?  0, or -EINVAL with the sentence (the caller puts the file in front).
 * It follows the plugin's pointers, so it runs in the probe's child first. */
int descriptor_valid(const mf_plugin *p, struct err *e);

/* Checks size, ABI minor, id, version, entry names and flags.  Every entry of
 * the manifest that needs code must be in the library; what the library has and the
 * manifest does not is only not served (one warning line).  `ret_binding` has manifest->entries
 * elements, owned by the caller.  0, or -EINVAL with one sentence that shows
 * the difference: "library weather.so has tools forecast, alerts; the manifest
 * declares forcast, which it has not".  Loop thread. */
int descriptor_check(const mf_plugin *p, const struct manifest *m,
                     struct descriptor_binding *ret_binding, struct err *e);

#endif
