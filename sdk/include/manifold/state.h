/* manifold/state.h - "manifold.state/1": what one generation of a plugin leaves to the next.
 *
 * A plugin whose manifest says `reload: handover` and whose extension() knows
 * MF_EXT_STATE is asked to save() after its last call and before close(), and its
 * next generation to restore() after open() and before the first call.  The bytes
 * are the plugin's own, in a form that also its next version reads. */
#ifndef MANIFOLD_STATE_H
#define MANIFOLD_STATE_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_STATE "manifold.state/1"

typedef struct mf_state {
    uint32_t size;
    uint32_t flags; /* 0 */
    /* Writes the state with write(arg, bytes), in as many pieces as it likes, 16 MiB together;
     * MF_ELIMIT is over that.  Anything but MF_OK: nothing is handed over.  [loop] */
    mf_status (*save)(void *self, mf_status (*write)(void *arg, mf_bytes bytes), void *arg);
    /* `bytes` as a save() wrote them, perhaps one of an older version; borrowed.  Not called when
     * there are none.  Anything but MF_OK is logged; the plugin serves without.  [loop] */
    mf_status (*restore)(void *self, mf_bytes bytes);
} mf_state;

#ifdef __cplusplus
}
#endif
#endif
