/* watch(): one inotify descriptor for each, made on an I/O thread and read on the loop.
 *
 * The directory is watched through its opened descriptor, so what the path leads to can't be
 * exchanged in between. */
#include "services/files/files.h"

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "services/files/beneath.h"

/* A turn of the loop reads at most TURNS times so much. */
enum { EVENTS_BYTES = 8192, TURNS = 8 };

void files_run_watch(struct files_job *job)
{
    const uint32_t mask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY |
                          IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
    int root = files_job_root(job, job->root, NULL);
    if (root < 0)
        return;
    int dir = beneath_open(root, job->path, O_PATH | O_DIRECTORY);
    if (dir < 0) {
        files_job_fail(job, job->path, dir);
        return;
    }
    char self[32];
    snprintf(self, sizeof(self), "/proc/self/fd/%d", dir);
    job->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (job->fd < 0 || inotify_add_watch(job->fd, self, mask) < 0)
        files_job_fail(job, job->path, errno);
    close(dir);
}

static void on_closed(uv_handle_t *h)
{
    struct files_op *fo = container_of((uv_poll_t *)h, struct files_op, poll);
    files_op_end(fo);
}

static void end(struct files_op *fo, mf_status status, const char *why)
{
    if (uv_is_closing((uv_handle_t *)&fo->poll))
        return;
    files_job_refuse(fo->job, status, "%s", why);
    uv_close((uv_handle_t *)&fo->poll, on_closed);
}

/* Some events at once are told by one name each; what says the same twice in a row is told once. */
static void tell(struct files_op *fo, const char *buf, ssize_t len)
{
    const char *last = NULL;
    for (const char *at = buf; at < buf + len && !fo->op.aborted;) {
        const struct inotify_event *ev = (const void *)at;
        at += sizeof(*ev) + ev->len;
        const char *name = ev->len ? ev->name : "";
        /* One that was moved may lie outside of the root now. */
        if (ev->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) {
            end(fo, MF_ENOENT, "the directory is gone");
            return;
        }
        if (!ev->len && !(ev->mask & IN_Q_OVERFLOW))
            continue; /* the directory's own times and bits */
        if (!last || strcmp(last, name) != 0)
            fo->changed(fo->arg, (mf_bytes){name, strlen(name)});
        last = name;
    }
}

static void on_events(uv_poll_t *h, int status, int events)
{
    struct files_op *fo = container_of(h, struct files_op, poll);
    char buf[EVENTS_BYTES] __attribute__((aligned(__alignof__(struct inotify_event))));
    (void)status;
    (void)events;
    op_enter(&fo->op);
    fo->telling = true;
    for (int i = 0; i < TURNS && !fo->op.aborted && !uv_is_closing((uv_handle_t *)h); i++) {
        ssize_t len = read(fo->job->fd, buf, sizeof(buf));
        if (len <= 0)
            break;
        tell(fo, buf, len);
    }
    fo->telling = false;
    op_leave(&fo->op);
    if (fo->op.aborted)
        end(fo, MF_ECANCELED, "");
}

void files_watch_seen(struct files_op *fo)
{
    if (fo->op.aborted) {
        op_end(&fo->op, MF_ECANCELED);
        return;
    }
    int r = uv_poll_init(op_loop(&fo->op), &fo->poll, fo->job->fd);
    if (r) {
        files_job_refuse(fo->job, MF_EIO, "%s", uv_strerror(r));
        files_op_end(fo);
        return;
    }
    fo->polling = true;
    uv_poll_start(&fo->poll, UV_READABLE, on_events);
}

void files_watch_stop(struct files_op *fo)
{
    if (fo->polling)
        end(fo, MF_ECANCELED, "");
}
