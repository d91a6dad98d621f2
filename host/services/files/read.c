/* What looks at files and changes nothing; on the I/O threads. */
#include "services/files/files.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "services/files/beneath.h"

static int64_t ns_of(struct statx_timestamp t)
{
    return t.tv_sec * 1000000000 + t.tv_nsec;
}

static uint32_t kind_of(mode_t mode)
{
    return S_ISREG(mode)   ? MF_KIND_FILE
           : S_ISDIR(mode) ? MF_KIND_DIRECTORY
           : S_ISLNK(mode) ? MF_KIND_LINK
                           : MF_KIND_OTHER;
}

/* `name` in the directory, or "" for `fd` itself; links are not followed. */
static int stat_at(int fd, const char *name, mf_stat *ret)
{
    struct statx x;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name ? 0 : AT_EMPTY_PATH);
    if (statx(fd, name, flags, STATX_BASIC_STATS | STATX_BTIME, &x))
        return -errno;
    *ret = (mf_stat){.size = sizeof(*ret),
                     .kind = kind_of(x.stx_mode),
                     .mode = x.stx_mode & 07777,
                     .links = x.stx_nlink,
                     .bytes = x.stx_size,
                     .modified_ns = ns_of(x.stx_mtime),
                     .accessed_ns = ns_of(x.stx_atime),
                     .changed_ns = ns_of(x.stx_ctime),
                     .created_ns = x.stx_mask & STATX_BTIME ? ns_of(x.stx_btime) : 0};
    return 0;
}

/* Fills in what a mf_stated tells of the descriptor. */
static bool tell(struct files_job *job, int fd)
{
    char real[PATH_MAX];
    int error = stat_at(fd, "", &job->stat);
    if (error) {
        files_job_fail(job, job->path, error);
        return false;
    }
    beneath_path(fd, real);
    job->real = *real ? strdup(real) : NULL; /* without memory nobody is told */
    return true;
}

void files_run_stat(struct files_job *job)
{
    int root = files_job_root(job, job->root, NULL);
    if (root < 0)
        return;
    int fd = beneath_open(root, job->path, O_PATH | (job->flags & MF_STAT_LINK ? O_NOFOLLOW : 0));
    if (fd < 0) {
        files_job_fail(job, job->path, fd);
        return;
    }
    tell(job, fd);
    close(fd);
}

/* --- Opening and reading --- */

void files_run_open(struct files_job *job)
{
    if (job->flags & MF_OPEN_CREATE) {
        files_run_create(job);
        return;
    }
    dev_t device;
    int root = files_job_root(job, job->root, &device);
    if (root < 0)
        return;
    int fd = beneath_open_file(root, device, job->path);
    if (fd < 0) {
        files_job_fail(job, job->path, fd);
        return;
    }
    struct open_file *file = tell(job, fd) ? calloc(1, sizeof(*file)) : NULL;
    if (!file) {
        close(fd);
        if (!job->status)
            files_job_fail(job, job->path, ENOMEM);
        return;
    }
    atomic_init(&file->refs, 1);
    files_ref(file->files = job->files);
    file->fd = fd;
    file->root = &job->files->root[job->root];
    file->dir = -1;
    files_job_opened(job, file);
}

void files_job_opened(struct files_job *job, struct open_file *file)
{
    job->has_slot = false;
    job->handle = files_add(job->files, job->slot, file);
}

void files_undo_open(struct files_job *job)
{
    struct open_file *file = job->handle ? files_get(job->files, job->handle, true) : NULL;
    if (file)
        open_file_put(file, true);
}

void files_run_read(struct files_job *job)
{
    struct open_file *file = job->file;
    struct stat st;
    /* A large buffer for a small file, or for the end of a large one, is never made. */
    if (fstat(file->fd, &st) == 0 && st.st_size > 0) {
        uint64_t size = (uint64_t)st.st_size;
        uint64_t left = job->offset < size ? size - job->offset : 0;
        if (left < job->max)
            job->max = left;
    }
    job->data = malloc(job->max ? job->max : 1);
    if (!job->data) {
        files_job_refuse(job, MF_ENOMEM, "no memory for %zu bytes", job->max);
        return;
    }
    while (job->len < job->max && !files_job_is_left(job)) {
        ssize_t n = pread(file->fd, job->data + job->len, job->max - job->len,
                          (off_t)(job->offset + job->len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            files_job_fail(job, "", errno);
        if (n <= 0)
            break;
        job->len += (size_t)n;
    }
}

/* --- Directories --- */

static struct listing *open_listing(struct files_job *job)
{
    int root = files_job_root(job, job->root, NULL);
    if (root < 0)
        return NULL;
    int fd = beneath_open(root, job->path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
    if (fd < 0) {
        files_job_fail(job, job->path, fd);
        return NULL;
    }
    struct listing *l = malloc(sizeof(*l));
    if (l)
        *l = (struct listing){.dir = fdopendir(fd)};
    if (!l || !l->dir) {
        files_job_fail(job, job->path, ENOMEM);
        free(l);
        close(fd);
        return NULL;
    }
    return l;
}

static uint32_t kind_of_entry(unsigned char type)
{
    return type == DT_REG   ? MF_KIND_FILE
           : type == DT_DIR ? MF_KIND_DIRECTORY
           : type == DT_LNK ? MF_KIND_LINK
                            : MF_KIND_OTHER;
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static void add_entry(struct files_job *job, const struct dirent *d)
{
    struct listing *l = job->listing;
    mf_stat st = {.size = sizeof(st), .kind = kind_of_entry(d->d_type)};
    bool look = (job->flags & MF_LIST_STAT) || d->d_type == DT_UNKNOWN;
    if (look && stat_at(dirfd(l->dir), d->d_name, &st))
        return; /* gone meanwhile */
    if (!(job->flags & MF_LIST_STAT))
        st = (mf_stat){.size = sizeof(st), .kind = st.kind};
    size_t len = strlen(d->d_name);
    if (len > NAME_MAX)
        return;
    memcpy(l->names[l->count], d->d_name, len + 1);
    l->entry[l->count] = (mf_dirent){.name = {l->names[l->count], len}, .stat = st};
    l->count++;
}

/* One batch; files_list_seen() asks for the next. */
void files_run_list(struct files_job *job)
{
    if (!job->listing && !(job->listing = open_listing(job)))
        return;
    struct listing *l = job->listing;
    l->count = 0;
    while (l->count < FILES_BATCH && !files_job_is_left(job)) {
        errno = 0;
        const struct dirent *d = readdir(l->dir);
        if (!d && errno)
            files_job_fail(job, job->path, errno);
        if (!d) {
            l->end = true;
            closedir(l->dir);
            l->dir = NULL;
            break;
        }
        if (!is_dots(d->d_name))
            add_entry(job, d);
    }
}
