/* filesystem - the tools of @modelcontextprotocol/server-filesystem on manifold.files/1. */
#include "filesystem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "io.h"
#include "place.h"

/* ---- what all tools use --------------------------------------------------- */

bool fail_bytes(struct job *j, mf_bytes text)
{
    if (j->error.len > 0)
        return false;
    text_repaired(&j->error, text);
    if (j->error.len == 0)
        text_cat(&j->error, "It failed, and there is no memory to say why");
    return false;
}

bool fail(struct job *j, const char *fmt, ...)
{
    char *said = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&said, fmt, ap);
    va_end(ap);
    fail_bytes(j, n < 0 ? (mf_bytes){0} : (mf_bytes){said, (size_t)n});
    if (n >= 0)
        free(said);
    return false;
}

bool is_cancelled(const struct job *j)
{
    return j->fs->host->is_cancelled(j->fs->host, j->call);
}

bool arg_text(const struct job *j, mfj_value v, struct text *ret)
{
    (void)j;
    mfj_chunks c = mfj_chunks_open(v, MFJ_NUL);
    char space[1024];
    mf_bytes piece;
    mf_status s;
    while ((s = mfj_chunk(&c, space, sizeof(space), &piece)) == 1)
        text_add(ret, piece.data, piece.len);
    return s == MF_OK && !ret->over;
}

/* ---- allowed directories -------------------------------------------------- */

static bool differs(const struct root *r)
{
    return strcmp(r->path, r->real) != 0;
}

bool allowed_at(struct filesystem *fs, uint32_t i, struct text *ret)
{
    bool found = false;
    pthread_mutex_lock(&fs->lock);
    for (uint32_t k = 0; k < fs->roots && !found; k++) {
        const struct root *r = &fs->root[k];
        if (r->real == NULL)
            continue;
        if (i < 1u + differs(r)) {
            found = true;
            text_cat(ret, i == 0 ? r->path : r->real);
        }
        i -= 1u + differs(r);
    }
    pthread_mutex_unlock(&fs->lock);
    return found;
}

void allowed_list(struct job *j, const char *separator, struct text *ret)
{
    for (uint32_t i = 0;; i++) {
        size_t before = ret->len;
        if (i > 0)
            text_cat(ret, separator);
        if (allowed_at(j->fs, i, ret))
            continue;
        ret->len = before;
        if (ret->data != NULL)
            ret->data[before] = 0;
        return;
    }
}

/* On the loop. */
static void on_looked(void *arg, const mf_stated *s)
{
    struct root *r = arg;
    pthread_mutex_lock(&r->fs->lock);
    if (s->end.end.status == MF_OK && s->path.len > 0)
        r->real = strndup(s->path.data, s->path.len);
    r->looking = false;
    pthread_cond_broadcast(&r->fs->looked);
    pthread_mutex_unlock(&r->fs->lock);
}

static void look_at(struct filesystem *fs, uint32_t i)
{
    struct root *r = &fs->root[i];
    pthread_mutex_lock(&fs->lock);
    bool begin = r->real == NULL && !r->looking;
    r->looking = r->looking || begin;
    pthread_mutex_unlock(&fs->lock);
    if (begin && fs->files->stat(fs->host, 0, i, (mf_bytes){0}, 0, on_looked, r) == 0) {
        pthread_mutex_lock(&fs->lock);
        r->looking = false;
        pthread_mutex_unlock(&fs->lock);
    }
}

/* Waits a second for those that are being looked at, once. */
static void roots_wait(struct filesystem *fs)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&fs->lock);
    for (uint32_t i = 0; i < fs->roots; i++) {
        struct root *r = &fs->root[i];
        int late = 0;
        while (r->looking && !r->slow && !late)
            late = pthread_cond_timedwait(&fs->looked, &fs->lock, &until);
        r->slow = r->looking;
    }
    pthread_mutex_unlock(&fs->lock);
}

bool have_roots(struct job *j)
{
    struct filesystem *fs = j->fs;
    struct text first = TEXT_INIT(MF_FILES_PATH_MAX);
    struct failure f;
    mf_stat st;
    if (fs->files == NULL)
        return fail(j, "This host gives plugins no files");
    for (uint32_t i = 0; i < fs->roots; i++)
        look_at(fs, i);
    roots_wait(fs);
    bool found = allowed_at(fs, 0, &first);
    text_free(&first);
    if (found)
        return true;
    pthread_mutex_lock(&fs->lock);
    bool hangs = fs->roots > 0 && fs->root[0].looking;
    pthread_mutex_unlock(&fs->lock);
    if (hangs)
        return fail(j, "The file system of %s does not answer", fs->root[0].path);
    if (io_stat(j, (struct spot){0}, 0, &st, NULL, &f))
        return true;
    return fail(j, "%s", f.why);
}

/* ---- a call --------------------------------------------------------------- */

static const struct tool {
    mf_entry entry;
    tool_fn *run;
} tools_of[] = {
#define TOOL(NAME, RUN)                                                          \
    {                                                                            \
        {.size = sizeof(mf_entry), .flags = MF_TOOL_BLOCKING, .name = NAME}, RUN \
    }
    TOOL("read_file", tool_read_text),
    TOOL("read_text_file", tool_read_text),
    TOOL("read_media_file", tool_read_media),
    TOOL("read_multiple_files", tool_read_multiple),
    TOOL("write_file", tool_write),
    TOOL("edit_file", tool_edit),
    TOOL("create_directory", tool_create_directory),
    TOOL("list_directory", tool_list),
    TOOL("list_directory_with_sizes", tool_list_sizes),
    TOOL("directory_tree", tool_tree),
    TOOL("move_file", tool_move),
    TOOL("search_files", tool_search),
    TOOL("get_file_info", tool_info),
    TOOL("list_allowed_directories", tool_allowed),
};
static const mf_entry range_entry = {
    .size = sizeof(mf_entry), .flags = MF_TOOL_BLOCKING, .name = "range"};

/* The text as content and, as the reference does it, once more as {"content": text}. */
static void answer(struct job *j, const struct text *out)
{
    const mf_host *host = j->fs->host;
    struct text json = TEXT_INIT(6 * out->len + 64);
    text_cat(&json, "{\"content\":\"");
    text_json(&json, text_bytes(out));
    text_cat(&json, "\"}");
    host->text(host, j->call, text_bytes(out));
    host->structured(host, j->call, text_bytes(&json));
    text_free(&json);
}

static void run_tool(struct job *j, tool_fn *run)
{
    const mf_host *host = j->fs->host;
    struct text out = TEXT_INIT((size_t)j->fs->max_read);
    bool good = have_roots(j) && run(j, &out);
    if (good && out.over)
        good = fail(j, "The answer is over %lld bytes; ask for less", (long long)j->fs->max_read);
    if (good && j->end != MF_DONE)
        answer(j, &out);
    else if (!good)
        host->text(host, j->call, text_bytes(&j->error));
    host->finish(host, j->call, good ? MF_DONE : MF_TOOL_ERROR, MF_LIT(""));
    text_free(&out);
}

static void fs_call(void *self, const mf_request *r)
{
    struct job j = {.fs = self,
                    .call = r->call,
                    .args = mfj_read(r->args),
                    .error = TEXT_INIT(MESSAGE_MAX),
                    .end = -1};
    pthread_mutex_init(&j.lock, NULL);
    pthread_cond_init(&j.changed, NULL);
    if (r->kind == MF_RESOURCE)
        resource_range(&j);
    else
        run_tool(&j, tools_of[r->index].run);
    pthread_cond_destroy(&j.changed);
    pthread_mutex_destroy(&j.lock);
    text_free(&j.error);
}

/* ---- life ----------------------------------------------------------------- */

static void fs_close(void *self)
{
    struct filesystem *fs = self;
    for (uint32_t i = 0; i < fs->roots; i++)
        free(fs->root[i].real);
    pthread_cond_destroy(&fs->looked);
    pthread_mutex_destroy(&fs->lock);
    free(fs->root);
    free(fs);
}

static mf_status fs_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct filesystem *fs = calloc(1, sizeof(*fs));
    if (fs == NULL)
        return MF_ENOMEM;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&fs->looked, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&fs->lock, NULL);
    fs->host = host;
    fs->files = host->extension(host, MF_EXT_FILES);
    fs->max_read = 3 << 20;
    fs->max_entries = 1000000;
    mfj_int(mfj_get(mfj_read(config), "max_read"), &fs->max_read);
    mfj_int(mfj_get(mfj_read(config), "max_entries"), &fs->max_entries);
    while (fs->files != NULL && fs->files->root(host, fs->roots) != NULL)
        fs->roots++;
    fs->root = calloc(fs->roots + 1, sizeof(*fs->root));
    if (fs->root == NULL) {
        fs->roots = 0;
        fs_close(fs);
        return MF_ENOMEM;
    }
    for (uint32_t i = 0; i < fs->roots; i++)
        fs->root[i] = (struct root){.fs = fs, .path = fs->files->root(host, i)->path};
    *ret_self = fs;
    return MF_OK;
}

#define AT(i) &tools_of[i].entry
static const mf_entry *const tools[] = {AT(0), AT(1), AT(2),  AT(3),  AT(4),  AT(5),  AT(6), AT(7),
                                        AT(8), AT(9), AT(10), AT(11), AT(12), AT(13), NULL};
static const mf_entry *const resources[] = {&range_entry, NULL};

MF_NOTE();
const mf_plugin manifold_plugin_v1 = {
    .size = sizeof(manifold_plugin_v1),
    .abi_minor = MF_ABI_MINOR,
    .id = "dev.manifold.filesystem",
    .version = "1.0.0",
    .tools = tools,
    .resources = resources,
    .open = fs_open,
    .call = fs_call,
    .close = fs_close,
};
