/* The quota of a grant: bytes in all that lies below its roots.
 *
 * They are measured by a walk when the first byte is to be written, and counted on from there by
 * what goes through this service.  Others write there too, and a file that was replaced or removed
 * may have been larger than the walk saw: so before anything is refused it is measured again, at
 * most once a second.  A file counts with its size, once for each of its names. */
#include "services/files/files.h"

#include <fcntl.h>
#include <unistd.h>
#include "base/clock.h"
#include "config/units.h"
#include "services/files/beneath.h"

enum { DEPTH_MAX = 128, ENTRIES_MAX = 2000000 };
#define AGAIN_NS 1000000000u

struct walk {
    struct files_job *job;
    uint64_t bytes, entries;
    dev_t device; /* what is mounted below is not counted: it fills no disk of this one's */
};

/* Takes `fd`. */
static int walk(struct walk *w, int fd, unsigned depth)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    int r = depth < DEPTH_MAX ? 0 : -EOVERFLOW;
    for (const struct dirent *d; !r && (d = readdir(dir));) {
        struct stat st;
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
            fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW))
            continue;
        if (files_job_is_left(w->job))
            r = -ECANCELED;
        else if (++w->entries > ENTRIES_MAX)
            r = -EOVERFLOW;
        else if (S_ISREG(st.st_mode))
            w->bytes += (uint64_t)st.st_size;
        if (r || !S_ISDIR(st.st_mode) || st.st_dev != w->device)
            continue;
        int below = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0) /* else gone, or not to be read: nothing of ours can be in it */
            r = walk(w, below, depth + 1);
    }
    closedir(dir);
    return r;
}

/* With the quota's lock held. */
static int measure(struct files_job *job, struct files_quota *q)
{
    struct files *f = job->files;
    struct walk w = {.job = job};
    int r = 0;
    for (uint32_t i = 0; !r && i < f->roots; i++) {
        if (f->root[i].quota != q)
            continue;
        int root = files_job_root(job, i, &w.device);
        if (root < 0)
            return -job->error;
        int fd = beneath_open(root, "", O_RDONLY | O_DIRECTORY);
        r = fd < 0 ? fd : walk(&w, fd, 0);
    }
    if (r)
        return r;
    /* What was under way may have been seen by the walk or not: it counts in any case. */
    q->used = w.bytes + q->under_way;
    q->measured = true;
    q->at = clock_ns();
    q->measures++;
    return 0;
}

static bool fits(const struct files_quota *q, uint64_t bytes)
{
    return q->used <= q->limit && bytes <= q->limit - q->used;
}

int files_quota_take(struct files_job *job, struct files_root *root, uint64_t bytes)
{
    struct files_quota *q = root->quota;
    if (!q->limit)
        return 0;
    pthread_mutex_lock(&q->lock);
    int r = 0;
    if (!q->measured || (!fits(q, bytes) && clock_ns() - q->at >= AGAIN_NS))
        r = measure(job, q);
    if (!r && !fits(q, bytes))
        r = -EDQUOT;
    if (!r) {
        q->used += bytes;
        q->under_way += bytes;
    }
    pthread_mutex_unlock(&q->lock);
    return r;
}

void files_quota_written(struct files_root *root, uint64_t bytes)
{
    struct files_quota *q = root->quota;
    if (!q->limit)
        return;
    pthread_mutex_lock(&q->lock);
    q->under_way -= bytes;
    pthread_mutex_unlock(&q->lock);
}

void files_quota_give(struct files_root *root, uint64_t bytes)
{
    struct files_quota *q = root->quota;
    if (!q->limit)
        return;
    pthread_mutex_lock(&q->lock);
    q->used -= bytes < q->used ? bytes : q->used;
    pthread_mutex_unlock(&q->lock);
}

void files_quota_forget(struct files_root *root)
{
    struct files_quota *q = root->quota;
    if (!q->limit)
        return;
    pthread_mutex_lock(&q->lock);
    q->measured = false;
    pthread_mutex_unlock(&q->lock);
}
