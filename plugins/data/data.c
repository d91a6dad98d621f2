/* data.c - process_batches: many items, cut into batches, on the host's threads (work/1).
 *
 * call() copies the arguments, since they are lent only until it returns, and begins; one thread
 * finds where the batches begin; then each batch is a step of its own, as many at a time as there
 * are processors; the end of the last one answers.  The loop never looks at an item. */
#include "sums.h"

#include <manifold/plugin.h>
#include <manifold/work.h>

struct data {
    const mf_host *host;
    const mf_work *work;
};

enum { ITEMS_MAX = 100000, BATCH_DEFAULT = 100 };

/* One call, from its begin to its answer. */
struct job {
    const struct data *data;
    mf_call call;
    uint64_t begun; /* host->now() */
    size_t batch_size, batches;
    struct batch {
        mfj_value first; /* its first item, in args */
        struct sums sums;
    } * batch;     /* one each; owned */
    mf_bytes args; /* the array `data` */
    char text[];   /* the copy */
};

static void job_free(struct job *j)
{
    free(j->batch);
    free(j);
}

static void tool_error(struct job *j, mf_bytes text)
{
    const mf_host *host = j->data->host;
    host->text(host, j->call, text);
    host->finish(host, j->call, MF_TOOL_ERROR, MF_LIT(""));
    job_free(j);
}

/* ---- on threads ----------------------------------------------------------- */

/* A batch to begin with each `batch_size` items; leaves batch NULL without memory. */
static void split(void *arg)
{
    struct job *j = arg;
    mfj_value item;
    size_t items = 0, room = 0;
    mfj_iter it = mfj_iter_open(mfj_read(j->args));
    for (; mfj_next(&it, NULL, &item); items++) {
        if (items % j->batch_size != 0)
            continue;
        if (j->batches == room) {
            struct batch *more = realloc(j->batch, (room = room * 2 + 16) * sizeof(*more));
            if (more == NULL) {
                free(j->batch);
                j->batch = NULL;
                return;
            }
            j->batch = more;
        }
        memset(&j->batch[j->batches], 0, sizeof(*j->batch));
        j->batch[j->batches++].first = item;
    }
}

static void add_up(void *arg, uint64_t i)
{
    const struct job *j = arg;
    struct batch *b = &j->batch[i];
    mfj_iter it = {b->first.at, b->first.end, ']', 0};
    struct sums sums = {0}; /* not in *b while it is added to: batches share cache lines */
    mfj_value item;
    for (size_t n = 0; n < j->batch_size && mfj_next(&it, NULL, &item); n++)
        sums_add(&sums, item);
    b->sums = sums;
}

/* ---- on the loop ---------------------------------------------------------- */

static int put_answer(const struct job *j, mfj_writer *w)
{
    uint64_t took = j->data->host->now(j->data->host) - j->begun;
    double seconds = (double)took / 1e9;
    struct sums all = {0};
    for (size_t i = 0; i < j->batches; i++)
        sums_merge(&all, &j->batch[i].sums);
    mfj_put_object(w);
    mfj_put_key(w, "result");
    if (!sums_put(&all, w))
        return 0;
    mfj_put_key(w, "performance");
    mfj_put_object(w);
    mfj_put_key(w, "processing_time");
    mfj_put_double(w, seconds);
    mfj_put_key(w, "items_processed");
    mfj_put_int(w, all.count);
    mfj_put_key(w, "throughput");
    mfj_put_double(w, took > 0 ? (double)all.count / seconds : 0);
    mfj_put_key(w, "batches_used");
    mfj_put_int(w, (int64_t)j->batches);
    mfj_put_end(w);
    mfj_put_end(w);
    return 1;
}

static void answer(struct job *j)
{
    const mf_host *host = j->data->host;
    char space[512];
    mfj_writer w;
    mf_bytes json;
    mfj_write(&w, space, sizeof(space));
    if (!put_answer(j, &w)) {
        tool_error(j, MF_LIT("the sum is over the largest double (about 1.8e308)"));
        return;
    }
    mf_status status = mfj_done(&w, &json);
    if (status == MF_OK)
        status = host->structured(host, j->call, json);
    if (status == MF_ECANCELED || status == MF_ETIMEDOUT)
        status = MF_OK; /* nobody waits: it is released all the same */
    host->finish(host, j->call, status == MF_OK ? MF_DONE : MF_FAULT,
                 MF_LIT("its answer was not taken"));
    job_free(j);
}

static void on_added(void *arg, const mf_end *end)
{
    struct job *j = arg;
    if (end->status == MF_OK) {
        answer(j);
        return;
    }
    tool_error(j, end->why.len > 0 ? end->why : MF_LIT("the work was aborted"));
}

static void refuse(struct job *j)
{
    tool_error(j, MF_LIT("too much is being processed already; try again later"));
}

static void on_split(void *arg, const mf_end *end)
{
    struct job *j = arg;
    const struct data *d = j->data;
    if (end->status != MF_OK)
        on_added(j, end);
    else if (j->batches > 0 && j->batch == NULL)
        tool_error(j, MF_LIT("no memory for so many batches; make them larger"));
    else if (d->work->each(d->host, j->call, j->batches, add_up, on_added, j) == 0)
        refuse(j);
}

/* NULL: no memory. */
static struct job *job_new(const struct data *d, const mf_request *r)
{
    mfj_value args = mfj_read(r->args);
    mf_bytes items = mfj_raw(mfj_get(args, "data"));
    int64_t size = BATCH_DEFAULT;
    int parallel = 1;
    struct job *j = malloc(sizeof(*j) + items.len);
    if (j == NULL)
        return NULL;
    memset(j, 0, sizeof(*j));
    mfj_int(mfj_get(args, "batch_size"), &size);
    mfj_bool(mfj_get(args, "use_parallel"), &parallel);
    j->data = d;
    j->call = r->call;
    j->begun = d->host->now(d->host);
    j->batch_size = parallel && size > 0 ? (size_t)size : ITEMS_MAX;
    if (items.len > 0)
        memcpy(j->text, items.data, items.len);
    j->args = (mf_bytes){j->text, items.len};
    return j;
}

static void data_call(void *self, const mf_request *r)
{
    const struct data *d = self;
    struct job *j = job_new(d, r);
    if (j == NULL)
        d->host->finish(d->host, r->call, MF_FAULT, MF_LIT("out of memory"));
    else if (d->work->run(d->host, r->call, split, on_split, j) == 0)
        refuse(j);
}

static mf_status data_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct data *d = malloc(sizeof(*d));
    (void)config; /* there is nothing to configure */
    if (d == NULL)
        return MF_ENOMEM;
    d->host = host;
    d->work = host->extension(host, MF_EXT_WORK);
    if (d->work == NULL) {
        free(d);
        return MF_ENOTSUP;
    }
    *ret_self = d;
    return MF_OK;
}

static void data_close(void *self)
{
    free(self);
}

static const mf_entry process_batches = {.size = sizeof(mf_entry), .name = "process_batches"};
static const mf_entry *const tools[] = {&process_batches, NULL};

MF_NOTE();
const mf_plugin manifold_plugin_v1 = {
    .size = sizeof(manifold_plugin_v1),
    .abi_minor = MF_ABI_MINOR,
    .id = "dev.manifold.data",
    .version = "1.0.0",
    .tools = tools,
    .open = data_open,
    .call = data_call,
    .close = data_close,
};
