/* glob.h - patterns as minimatch understands them with { dot: true }: "**", *, ?, [classes],
 * {a,b}, {1..9}, extended groups such as +(a|b), "!" in front, "#" for a comment.
 *
 * Bounded: what a pattern expands to, and the steps of each match, have a maximum, and over it the
 * pattern is refused with a sentence. */
#ifndef FILESYSTEM_GLOB_H
#define FILESYSTEM_GLOB_H

#include "text.h"

struct glob;

/* NULL: `why` says what is wrong with it. */
struct glob *glob_new(mf_bytes pattern, struct text *why);
void glob_free(struct glob *g);
/* Does the path match?  It is relative, without an empty part, and UTF-8.  -1: it takes more steps
 * than a match may.  One thread at a time. */
int glob_match(struct glob *g, const char *path);

/* ---- between its files ---- */

/* braces.c: what a pattern stands for, each followed by a NUL in `out`.  False: it is too much. */
bool braces_expand(mf_bytes pattern, struct text *out);
/* segment.c: one part of a path as a regular expression of PCRE2, to be anchored at both ends.
 * *ret_magic: false: it has nothing of a pattern, and `out` is the name itself.  False: it is too
 * much. */
bool segment_translate(mf_bytes segment, struct text *out, bool *ret_magic);

#endif
