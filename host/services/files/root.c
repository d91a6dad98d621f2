/* What one instance has of manifold.files/1: roots, open files, threads. */
#include "services/files/files.h"

#include <fcntl.h>
#include <unistd.h>
#include "services/files/beneath.h"

/* --- struct files --- */

static bool add_root(struct files *f, const struct files_root_spec *spec)
{
    struct files_root *r = &f->root[f->roots++];
    size_t len = strlen(spec->path);
    while (len > 1 && spec->path[len - 1] == '/')
        len--;
    *r = (struct files_root){.fd = -1,
                             .make = spec->make,
                             .shown = {.size = sizeof(mf_root),
                                       .flags = spec->write ? MF_ROOT_WRITE : 0,
                                       .grant = strdup(spec->grant),
                                       .path = strndup(spec->path, len)}};
    if (!r->shown.grant || !r->shown.path)
        return false;
    bool same = r > f->root && strcmp(r[-1].shown.grant, spec->grant) == 0;
    if (!same) {
        f->quota[f->quotas].limit = spec->quota;
        pthread_mutex_init(&f->quota[f->quotas++].lock, NULL);
    }
    r->quota = &f->quota[f->quotas - 1];
    return true;
}

struct files *files_new(const char *plugin, const struct grants *g,
                        const struct files_root_spec *spec, uint32_t count, const char *why)
{
    struct files *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    atomic_init(&f->refs, 1);
    pthread_mutex_init(&f->lock, NULL);
    f->plugin = strdup(plugin);
    f->denied = strdup(why);
    f->root = calloc(count + 1, sizeof(*f->root));
    f->quota = calloc(count + 1, sizeof(*f->quota));
    f->pool = pool_new(FILES_THREADS);
    bool good = f->plugin && f->denied && f->root && f->quota && f->pool &&
                grants_copy_guards(g, &f->guards, NULL) == 0;
    for (uint32_t i = 0; good && i < count; i++)
        good = add_root(f, &spec[i]);
    if (good)
        return f;
    pool_leave(f->pool, 0);
    files_unref(f);
    return NULL;
}

void files_ref(struct files *f)
{
    atomic_fetch_add(&f->refs, 1);
}

void files_unref(struct files *f)
{
    if (atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    for (uint32_t i = 0; i < f->roots; i++) {
        struct files_root *r = &f->root[i];
        if (r->fd >= 0)
            close(r->fd); /* O_PATH: nothing to wait for */
        free(r->real);
        free((char *)(uintptr_t)r->shown.grant);
        free((char *)(uintptr_t)r->shown.path);
    }
    for (uint32_t i = 0; i < f->quotas; i++)
        pthread_mutex_destroy(&f->quota[i].lock);
    pthread_mutex_destroy(&f->lock);
    grants_release(&f->guards);
    free(f->root);
    free(f->quota);
    free(f->plugin);
    free(f->denied);
    free(f);
}

void files_leave(struct files *f, unsigned ms)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < MF_FILES_OPEN_MAX; i++) {
        pthread_mutex_lock(&f->lock);
        struct open_file *file = f->slot[i].file;
        f->slot[i].file = NULL;
        pthread_mutex_unlock(&f->lock);
        if (file)
            open_file_put(file, false);
    }
    pool_leave(f->pool, ms);
    files_unref(f);
}

/* --- Roots --- */

static int look_at_kernel(int fd)
{
    int again = beneath_open(fd, "", O_PATH | O_DIRECTORY);
    if (again >= 0)
        close(again);
    /* A container's filter that does not know the call says EPERM. */
    return again == -EPERM ? -ENOSYS : again < 0 ? again : 0;
}

/* The operator's path, not a plugin's: nothing is checked. */
static void make_root(const char *path)
{
    char *part = strdup(path);
    for (char *at = part; at && *at;) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        char behind = *at;
        *at = 0;
        mkdir(part, 0700); /* whether it is there shows when it is opened */
        *at = behind;
    }
    free(part);
}

static int open_root(struct files_job *job, const struct files_root *r)
{
    const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    struct err e;
    int fd = open(r->shown.path, flags);
    if (fd < 0 && errno == ENOENT && r->make) {
        make_root(r->shown.path);
        fd = open(r->shown.path, flags);
    }
    if (fd < 0) {
        files_job_fail(job, "", errno);
        files_job_refuse(job, job->status,
                         "the directory granted as files \"%s\" can't be opened: %s",
                         r->shown.grant, strerror(job->error));
        return -1;
    }
    int error = look_at_kernel(fd);
    if (error)
        files_job_fail(job, "", error);
    else if (grants_check_root(&job->files->guards, fd, r->shown.flags & MF_ROOT_WRITE,
                               r->shown.path, &e))
        files_job_refuse(job, MF_EDENIED, "%.*s", FILES_WHY - 1, e.text);
    if (!job->status)
        return fd;
    close(fd);
    return -1;
}

/* Several may open it at the same time; the first stays.  So no lock is held while one hangs. */
static int keep_root(struct files *f, struct files_root *r, int fd)
{
    struct stat st;
    char real[PATH_MAX];
    beneath_path(fd, real);
    bool known = fstat(fd, &st) == 0;
    pthread_mutex_lock(&f->lock);
    int kept = r->fd;
    if (kept < 0) {
        kept = r->fd = fd;
        r->device = known ? st.st_dev : 0;
        r->real = *real ? strdup(real) : NULL;
    }
    pthread_mutex_unlock(&f->lock);
    if (kept != fd)
        close(fd);
    return kept;
}

int files_job_root(struct files_job *job, uint32_t number, dev_t *ret_device)
{
    struct files_root *r = &job->files->root[number];
    pthread_mutex_lock(&job->files->lock);
    int fd = r->fd;
    pthread_mutex_unlock(&job->files->lock);
    if (fd < 0 && (fd = open_root(job, r)) >= 0)
        fd = keep_root(job->files, r, fd);
    if (ret_device)
        *ret_device = fd < 0 ? 0 : r->device;
    return fd;
}

/* --- Open files --- */

bool files_reserve(struct files *f, uint32_t *ret_slot)
{
    bool found = false;
    pthread_mutex_lock(&f->lock);
    for (uint32_t i = 0; !found && i < MF_FILES_OPEN_MAX; i++) {
        if (f->slot[i].file || f->slot[i].reserved)
            continue;
        f->slot[i].reserved = found = true;
        *ret_slot = i;
    }
    pthread_mutex_unlock(&f->lock);
    return found;
}

void files_unreserve(struct files *f, uint32_t slot)
{
    pthread_mutex_lock(&f->lock);
    f->slot[slot].reserved = false;
    pthread_mutex_unlock(&f->lock);
}

mf_file files_add(struct files *f, uint32_t slot, struct open_file *file)
{
    struct files_slot *s = &f->slot[slot];
    pthread_mutex_lock(&f->lock);
    s->reserved = false;
    s->file = file;
    mf_file handle = (mf_file)++s->generation << 32 | (slot + 1);
    pthread_mutex_unlock(&f->lock);
    return handle;
}

struct open_file *files_get(struct files *f, mf_file handle, bool take)
{
    uint32_t slot = (uint32_t)handle - 1;
    struct open_file *file = NULL;
    pthread_mutex_lock(&f->lock);
    if (slot < MF_FILES_OPEN_MAX && f->slot[slot].generation == (uint32_t)(handle >> 32))
        file = f->slot[slot].file;
    if (file && take)
        f->slot[slot].file = NULL;
    else if (file)
        atomic_fetch_add(&file->refs, 1);
    pthread_mutex_unlock(&f->lock);
    return file;
}

bool open_file_claim(struct open_file *file, struct files_job *job)
{
    pthread_mutex_lock(&file->files->lock);
    bool busy = file->busy, broken = file->broken;
    if (!busy && !broken)
        file->busy = job->has_busy = true;
    pthread_mutex_unlock(&file->files->lock);
    if (file->dir < 0)
        files_job_refuse(job, MF_EINVAL, "expected a file of MF_OPEN_CREATE, found one to be read");
    else if (busy)
        files_job_refuse(job, MF_EINVAL,
                         "expected one write at a time, found one that has not ended");
    else if (broken)
        files_job_refuse(job, MF_EIO, "a write to this file has failed: it can only be closed");
    return !job->status;
}

void open_file_idle(struct open_file *file)
{
    pthread_mutex_lock(&file->files->lock);
    file->busy = false;
    pthread_mutex_unlock(&file->files->lock);
}

void open_file_break(struct open_file *file)
{
    pthread_mutex_lock(&file->files->lock);
    file->broken = true;
    pthread_mutex_unlock(&file->files->lock);
}

static void close_now(struct pool_job *closing)
{
    struct open_file *file = container_of(closing, struct open_file, closing);
    close(file->fd);
    if (file->dir >= 0) {
        if (*file->temporary) {
            unlinkat(file->dir, file->temporary, 0);
            files_quota_give(file->root, file->written);
        }
        close(file->dir);
    }
    files_unref(file->files);
    free(file);
}

void open_file_put(struct open_file *file, bool on_thread)
{
    if (atomic_fetch_sub(&file->refs, 1) != 1)
        return;
    file->closing.run = close_now;
    /* Where no thread can be made there is nothing left but to do it here. */
    if (on_thread || pool_submit(file->files->pool, &file->closing))
        close_now(&file->closing);
}
