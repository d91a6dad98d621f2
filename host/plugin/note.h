/* host/plugin/note.h - the ELF note "Manifold", read from the file before it is mapped.
 * (System V gABI, chapter 5, note section; docs/internals/loading.md.) */
#ifndef MANIFOLD_PLUGIN_NOTE_H
#define MANIFOLD_PLUGIN_NOTE_H

#include "base/err.h"

struct plugin_note {
    uint32_t major, minor;
};

/* Reads with pread() only; every offset of the file is distrusted.  0; -ENOEXEC
 * for what is no 64-bit little-endian shared object of this machine or has no note, with the
 * sentence "expected ..., found ...".  Also refuses DT_RPATH/DT_RUNPATH outside the system's
 * library directories ($ORIGIN would not survive the sealed copy).  Any thread. */
int plugin_note_read(int fd, struct plugin_note *ret, struct err *e);

#endif
