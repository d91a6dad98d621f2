/* manifold/mock_files.h - "manifold.files/1" of the mock host: on directories of the test's own.
 *
 *     char directory[] = "/tmp/test-XXXXXX";
 *     mf_mock_files_grant(m, "spool", mkdtemp(directory), MF_ROOT_WRITE);
 *     assert(mf_mock_open(m, NULL) == MF_OK);
 *     const mf_mock_result *r = mf_mock_wait(m, mf_mock_tool(m, "save", "{}"), 1000);
 *
 * Paths are resolved beneath the granted directory as the host does it (Linux 5.6 and newer); every
 * operation is done at once when the loop comes to it.  There is no quota, and nothing is flushed
 * to the disk.  What a plugin can't bring about, a test can: operations that fail, and a file
 * system that hangs.  A rule is for a path exactly as the plugin writes it below whichever root;
 * operations on an open file go by the path it was opened with.
 *
 * Threads and memory as in mock.h. */
#ifndef MANIFOLD_MOCK_FILES_H
#define MANIFOLD_MOCK_FILES_H

#include <manifold/files.h>
#include <manifold/mock.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One more root; before mf_mock_open().  Without any, each operation ends with MF_EDENIED. */
void mf_mock_files_grant(mf_mock *m, const char *grant, const char *directory, uint32_t flags);
/* Operations on this path end so from now on; error: errno or 0.  MF_OK: no more. */
void mf_mock_files_fail(mf_mock *m, const char *path, mf_status status, int32_t error,
                        const char *why);
/* Operations on this path do not end until they are aborted.  0: no more (those that hang go on).
 */
void mf_mock_files_hang(mf_mock *m, const char *path, int32_t hang);
/* Tells what watches the directory `path`, once mf_mock_run() or a wait comes to it. */
void mf_mock_files_change(mf_mock *m, const char *path, const char *name);
/* How many files are open. */
size_t mf_mock_files_open(mf_mock *m);

#ifdef __cplusplus
}
#endif
#endif
