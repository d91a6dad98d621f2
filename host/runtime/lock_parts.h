/* host/runtime/lock_parts.h - private to lock*.c. */
#ifndef MANIFOLD_RUNTIME_LOCK_PARTS_H
#define MANIFOLD_RUNTIME_LOCK_PARTS_H

#include "runtime/lock.h"

/* SHA-256 in hex. */
void lock_hash(struct str text, char ret[LOCK_HEX]);
/* What a lock owns, not the struct. */
void lock_release(struct lock *l);
void lock_sort_fields(struct lock_plugin *p);
void lock_sort_plugins(struct lock *l);

#endif
