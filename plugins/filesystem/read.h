/* read.h - reading files in chunks, for the tools that need what they hold. */
#ifndef FILESYSTEM_READ_H
#define FILESYSTEM_READ_H

#include "place.h"

/* Both: false: j->error says why not, in the words of node.  `call`: the one of node's that would
 * find out that it is not there. */
bool read_open(struct job *j, const struct place *p, const char *call, mf_file *ret_file,
               mf_stat *ret);
/* All of the file, at most ret->max bytes. */
bool read_whole(struct job *j, const struct place *p, struct text *ret);

#endif
