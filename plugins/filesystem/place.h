/* place.h - from the path that was asked for to a root and a path below it.
 *
 * This is what validatePath() of the reference does, for the sake of its answers: "~", relative
 * paths, "..", links in the way and names that are not there yet.  It protects nothing: whatever
 * comes out of it is opened by the host beneath the root, or not at all. */
#ifndef FILESYSTEM_PLACE_H
#define FILESYSTEM_PLACE_H

#include "io.h"

struct place {
    struct text real; /* where it is, or would be, absolute and without links */
    struct spot spot; /* the same below a root; points into `real` */
    mf_stat stat;     /* of what is there */
    bool exists;
};

/* False: j->error says why not.  To be released in both cases. */
bool place_find(struct job *j, mf_bytes requested, struct place *ret);
/* The same for an argument of the tool. */
bool place_of(struct job *j, const char *argument, struct place *ret);
void place_release(struct place *p);

/* path.resolve(base, path): absolute, without ".", ".." and what is doubled. */
void path_resolve(mf_bytes base, mf_bytes path, struct text *ret);

#endif
