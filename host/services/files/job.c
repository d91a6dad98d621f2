/* A job's way from the loop to an I/O thread and back, and what abort does on it. */
#include "services/files/files.h"

#include <stdarg.h>
#include <unistd.h>
#include "config/text.h"

/* --- Failing --- */

static const struct {
    int error;
    mf_status status;
    const char *text; /* NULL: the system's */
} failures[] = {
    {ENOENT, MF_ENOENT, NULL},
    {EEXIST, MF_EEXIST, NULL},
    {ENOTDIR, MF_ENOTDIR, NULL},
    {EISDIR, MF_EISDIR, NULL},
    {ENOTEMPTY, MF_ENOTEMPTY, NULL},
    {ENOSPC, MF_ENOSPC, NULL},
    {EDQUOT, MF_ENOSPC, NULL},
    {EFBIG, MF_ENOSPC, NULL},
    {EACCES, MF_EDENIED, NULL},
    {EPERM, MF_EDENIED, NULL},
    {EROFS, MF_EDENIED, NULL},
    {EXDEV, MF_EDENIED, "it leads out of the directory that is granted"},
    {EINVAL, MF_EINVAL, NULL},
    {ELOOP, MF_EINVAL, NULL},
    {ENAMETOOLONG, MF_EINVAL, NULL},
    {ENXIO, MF_EINVAL, "expected a file, found a device, a pipe or a socket"},
    {ENOMEM, MF_ENOMEM, NULL},
    {EMFILE, MF_ELIMIT, NULL},
    {ENFILE, MF_ELIMIT, NULL},
    {EAGAIN, MF_EIO, "it is being changed; try again"},
    {ENOSYS, MF_ENOTSUP,
     "files need openat2, which Linux has from 5.6 on and this kernel, or the filter of this "
     "container, has not; paths are never checked by hand"},
};

void files_job_fail(struct files_job *job, const char *path, int error)
{
    char shown[TEXT_SHOWN];
    const char *text = NULL;
    job->error = error < 0 ? -error : error;
    job->status = MF_EIO;
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        if (failures[i].error == job->error) {
            job->status = failures[i].status;
            text = failures[i].text;
        }
    }
    snprintf(job->why, sizeof(job->why), "%s: %s", text_quoted(str_of(path), shown),
             text ? text : strerror(job->error));
}

void files_job_refuse(struct files_job *job, mf_status status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(job->why, sizeof(job->why), fmt, ap);
    va_end(ap);
    job->status = status;
}

bool files_job_is_left(struct files_job *job)
{
    return atomic_load(&job->state) == JOB_LEFT;
}

/* --- Its end --- */

/* What it holds of others, before its plugin hears of its end and begins the next. */
static void give_back(struct files_job *job)
{
    if (job->has_slot)
        files_unreserve(job->files, job->slot);
    if (job->has_busy)
        open_file_idle(job->file);
    job->has_slot = job->has_busy = false;
}

static void job_free(struct files_job *job, bool on_thread)
{
    give_back(job);
    if (job->listing && job->listing->dir)
        closedir(job->listing->dir);
    if (job->fd >= 0)
        close(job->fd);
    if (job->file)
        open_file_put(job->file, on_thread);
    files_unref(job->files);
    free(job->listing);
    free(job->data);
    free(job->real);
    free(job);
}

static void on_free(struct pool_job *pool)
{
    job_free(container_of(pool, struct files_job, pool), true);
}

/* Closing may block, so that a thread does it where there is one. */
static void job_free_elsewhere(struct files_job *job)
{
    job->pool.run = on_free;
    bool holds = job->fd >= 0 || (job->listing && job->listing->dir);
    if (!holds || pool_submit(job->files->pool, &job->pool))
        job_free(job, false);
}

/* --- To the thread and back --- */

void files_op_end(struct files_op *fo)
{
    struct files_job *job = fo->job;
    give_back(job);
    if (job->status == MF_OK || !*job->why)
        op_end(&fo->op, job->status);
    else
        op_fail(&fo->op, job->status, "%s", job->why);
}

static void on_done(struct op *op)
{
    struct files_op *fo = files_op_of(op);
    if (verb_of(fo)->seen && fo->job->status == MF_OK)
        verb_of(fo)->seen(fo);
    else
        files_op_end(fo);
}

static void on_thread(struct pool_job *pool)
{
    struct files_job *job = container_of(pool, struct files_job, pool);
    if (job->status == MF_OK && !files_job_is_left(job))
        job->verb->run(job);
    enum job_state expected = JOB_QUEUED;
    if (atomic_compare_exchange_strong(&job->state, &expected, JOB_DONE)) {
        op_post(&job->op->op, on_done);
        return;
    }
    if (job->verb->undo)
        job->verb->undo(job);
    job_free(job, true);
}

void files_op_again(struct files_op *fo)
{
    struct files_job *job = fo->job;
    atomic_store(&job->state, JOB_QUEUED);
    job->pool.run = on_thread;
    if (pool_submit(job->files->pool, &job->pool) == 0)
        return;
    atomic_store(&job->state, JOB_DONE);
    files_job_refuse(job, MF_ENOMEM, "no thread can be made for it");
    files_op_end(fo);
}

void files_op_start(struct op *op)
{
    struct files_op *fo = files_op_of(op);
    if (fo->job->status) /* of its arguments */
        files_op_end(fo);
    else
        files_op_again(fo);
}

void files_op_abort(struct op *op)
{
    struct files_op *fo = files_op_of(op);
    struct files_job *job = fo->job;
    enum job_state expected = JOB_QUEUED;
    if (fo->telling)
        return; /* whoever tells looks for it */
    if (pool_recall(job->files->pool, &job->pool)) {
        if (job->has_busy)
            open_file_break(job->file);
        give_back(job);
        op_end(op, MF_ECANCELED);
    } else if (atomic_compare_exchange_strong(&job->state, &expected, JOB_LEFT)) {
        fo->job = NULL;
        op_end(op, MF_ECANCELED);
    } else if (verb_of(fo)->stop) {
        verb_of(fo)->stop(fo);
    } /* else it ends in this turn with what it came to */
}

void files_op_release(struct op *op)
{
    struct files_op *fo = files_op_of(op);
    struct files_job *job = fo->job;
    if (job)
        job_free_elsewhere(job);
    free(fo);
}
