/* host/plugin/library.h - a plugin's shared object, from the file to the mapped descriptor.
 *
 *   library_stage()   reads the file once, checks owner and mode, copies it into a
 *                     sealed memfd, hashes that copy, reads the ELF note.  Nothing
 *                     of the plugin has run.
 *   library_probe()   lets a child process map it and print the descriptor, so that a
 *                     crashing or hanging constructor costs a child.  Asynchronous.
 *   library_load()    maps it into this process (RTLD_NOW | RTLD_LOCAL).
 *
 * Libraries are kept by content hash: equal bytes share one copy, one probe and
 * one mapping, and are never unmapped in 1.0 (docs/internals/loading.md).  So a
 * struct library is owned by this module and lives until the process ends.
 * Thread: the loop, except library_stage(), which any one thread may run. */
#ifndef MANIFOLD_PLUGIN_LIBRARY_H
#define MANIFOLD_PLUGIN_LIBRARY_H

#include <uv.h>
#include "base/err.h"
#include "manifold/plugin.h"

struct library; /* opaque */

enum { LIBRARY_HEX = 65 }; /* bytes of a hash in hex, NUL included */

enum library_state { LIBRARY_STAGED, LIBRARY_PROBING, LIBRARY_PROBED, LIBRARY_LOADED, LIBRARY_BAD };

/* DIR/NAME.so below dirfd.  A file that was staged before and has not changed (device, inode,
 * size, mtime, ctime) is not copied again.  `keep_dir` not NULL (--keep-libraries): a named copy
 * there instead of the memfd, for debuggers.  Refused: links, what is no regular file, over 256
 * MiB, owned by neither root nor this user, writable for others or for a group that is not the
 * owner's private one (same number), in a directory that is foreign or writable for others without
 * the sticky bit.  0 or negative errno with a sentence that names the file. */
int library_stage(int dirfd, const char *directory, const char *name, const char *keep_dir,
                  struct library **ret, struct err *e);
/* Looks at the file without mapping it: directory, owner, mode, ELF note.  0 or negative errno with
 * a sentence that names the file.  Any thread. */
int library_check(int dirfd, const char *directory, const char *name, struct err *e);
/* The same, and the SHA-256 of its bytes in hex.  Any thread. */
int library_digest(int dirfd, const char *directory, const char *name, char ret[LIBRARY_HEX],
                   struct err *e);
/* "sha256 in hex", of the sealed bytes. */
const char *library_hash(const struct library *lib);
enum library_state library_state(const struct library *lib);

/* Runs the probe on `loop` unless it has been run (one that failed is run again once the file
 * was staged again); `done` is called exactly
 * once, on the loop, never inside this function; status 0 or a negative errno with the sentence.
 * A probe that takes over 10 s is killed.  0, or -ENOMEM: then `done` is not called. */
typedef void (*library_probe_cb)(void *arg, struct library *lib, int status, const struct err *e);
int library_probe(uv_loop_t *loop, struct library *lib, library_probe_cb done, void *arg);
/* Who waits with this `arg` is gone: its `done` is not called any more. */
void library_probe_forget(struct library *lib, void *arg);
/* The same for programs without a loop (check, list): blocks.  -EBUSY while library_probe() has one
 * under way. */
int library_probe_now(struct library *lib, struct err *e);

/* For tests: which program is started as the child (NULL: /proc/self/exe; it must call
 * library_probe_main(3, 1) when argv[1] is "probe") and after how long it is killed (0: 10 s). */
void library_probe_configure(const char *command, unsigned limit_ms);

/* Maps it and finds manifold_plugin_v1.  Must be probed unless the probe was switched off.  The
 * descriptor is const data of the library and lives until the process ends. */
int library_load(struct library *lib, const mf_plugin **ret, struct err *e);

/* What `manifold probe` runs: maps /proc/self/fd/FD and prints the descriptor's outline as one JSON
 * line to `out`.  Closes every other descriptor but 0 to 2, points 1 at 2, and does not return: it
 * ends by _exit(), so that no handler of the plugin runs.  To be called before anything else of the
 * host has started: library_probe_main(3, 1), with 1 as the parent gave it. */
int library_probe_main(int fd, int out);

#endif
