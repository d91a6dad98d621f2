/* host/runtime/reload.h - what changed on disk is built beside what runs, and swapped in when it
 * holds.
 *
 * A builder thread reads the settings, the manifests and the libraries of plugins that are loaded;
 * what changed and was loaded is probed and opened, and then one pass on the loop puts catalogue,
 * instances and settings in place.  Whatever is broken leaves that plugin's generation serving.
 * (docs/internals/reload.md)  Loop thread. */
#ifndef MANIFOLD_RUNTIME_RELOAD_H
#define MANIFOLD_RUNTIME_RELOAD_H

#include "runtime/host.h"

/* While one runs at most one more is remembered, for all who ask meanwhile.  `done` (may be NULL)
 * runs once, on the loop, inside this function when none can begin: ok when nothing was refused;
 * `summary` is one sentence, borrowed.
 *
 * All that a swap needs is there before it is made: out of memory until then is an ordinary
 * refusal, of one plugin where it was met while that was read or opened, else of the reload as a
 * whole. */
void host_reload(struct host *h, void (*done)(void *arg, bool ok, const char *summary), void *arg);

#endif
