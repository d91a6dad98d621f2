/* manifold/notify.h - "manifold.notify/1": telling clients that something has changed. */
#ifndef MANIFOLD_NOTIFY_H
#define MANIFOLD_NOTIFY_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_NOTIFY "manifold.notify/1"

typedef struct mf_notify {
    uint32_t size;
    uint32_t flags; /* 0 */
    /* notifications/resources/updated to every client that has subscribed to this URI; results
     * that are cached for it are dropped.  Many in a row are sent as one.  MF_EINVAL: no resource
     * or template of this plugin has this URI.  MF_ENOTSUP: its manifest does not say `subscribe:
     * true`.  MF_ELIMIT: 256 URIs wait to be told already.  [any] */
    mf_status (*resource_updated)(const mf_host *host, mf_bytes uri);
    /* notifications/KIND/list_changed; kind MF_TOOL, MF_RESOURCE or MF_PROMPT.  For plugins whose
     * lists depend on what only they know.  [any] */
    mf_status (*list_changed)(const mf_host *host, uint32_t kind);
} mf_notify;

#ifdef __cplusplus
}
#endif
#endif
