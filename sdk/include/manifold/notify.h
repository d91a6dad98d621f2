/* manifold/notify.h - "manifold.notify/1": telling clients that something has changed. */
#ifndef MANIFOLD_NOTIFY_H
#define MANIFOLD_NOTIFY_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_NOTIFY "manifold.notify/1"

enum {
    MF_NOTIFY_URI_MAX = 2048,   /* bytes */
    MF_NOTIFY_WAITING_MAX = 256 /* URIs of one instance on their way to the loop */
};

typedef struct mf_notify {
    uint32_t size;
    uint32_t flags; /* 0 */
    /* The content of this URI is another: notifications/resources/updated to every client that has
     * subscribed to it, and what the host has kept of it (`cache:`) is dropped.  Said before a call
     * is finished it holds when the call's answer arrives.  Cheap and never waits; many in a row
     * are told as one, and a client that does not read is told once it does, of the last state.
     * MF_EINVAL: no resource or template of this plugin's manifest has this URI, or it is too long.
     * MF_ENOTSUP: the manifest does not say `subscribe: true`.  MF_ELIMIT: MF_NOTIFY_WAITING_MAX
     * others are on their way from other threads than the loop: try again later.  [any] */
    mf_status (*resource_updated)(const mf_host *host, mf_bytes uri);
    /* The list of MF_TOOL, MF_RESOURCE or MF_PROMPT should be read again:
     * notifications/KIND/list_changed to every client that hears of them, once for many within
     * 100 ms.  The host does this by itself where a manifest has changed.  MF_EINVAL: another
     * kind.  [any] */
    mf_status (*list_changed)(const mf_host *host, uint32_t kind);
} mf_notify;

#ifdef __cplusplus
}
#endif
#endif
