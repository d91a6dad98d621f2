/* walk.h - what directory_tree and search_files have in common: going down directory by directory,
 * and the patterns that leave something out. */
#ifndef FILESYSTEM_WALK_H
#define FILESYSTEM_WALK_H

#include "glob.h"
#include "place.h"

struct walk {
    struct job *j;
    struct place start;
    size_t seen; /* entries, of at most max_entries */
    struct glob **exclude;
    size_t excludes;
    /* Of where it is now, below the start; both end alike and are cut back on the way up.
     * `raw`: as the file system has it; `shown`: as UTF-8. */
    struct text raw, shown;
};

/* Finds the start (argument path).  False: j->error.  To be released in both cases. */
bool walk_open(struct walk *w, struct job *j);
void walk_release(struct walk *w);
/* One more pattern, from its parts. */
bool walk_exclude(struct walk *w, const char *before, mf_bytes pattern, const char *behind);
/* The directory where it is now, sorted.  *ret is empty when it answers false. */
bool walk_list(struct walk *w, struct entries *ret, struct failure *f);
/* Goes to an entry of it; and back. */
struct walk_mark {
    size_t raw, shown;
};
struct walk_mark walk_down(struct walk *w, const char *name);
void walk_up(struct walk *w, struct walk_mark mark);
/* Is it left out?  False with w->j->error set: it could not be told. */
bool walk_is_excluded(struct walk *w);
/* glob_match() that says so when it takes too long. */
bool walk_matches(struct walk *w, struct glob *g);
/* Where it is now: below a root, and absolute (appended). */
struct spot walk_spot(struct walk *w, struct text *space);
void walk_path(struct walk *w, struct text *out);

#endif
