/* perf.c - resources that are dear to make, so that the host keeps them: `cache:` in perf.yaml says
 * for how long.  The plugin knows nothing of it, it only makes them, each on a thread of the
 * host's (work/1). */
#include "samples.h"

#include <manifold/plugin.h>
#include <manifold/work.h>

#include <time.h>

enum { INPUT_MAX = 1024, ROUNDS = 1000000 };

struct perf {
    const mf_host *host;
    const mf_work *work;
    struct tally tally;
};

/* One read, from its begin to its answer. */
struct job {
    struct perf *perf;
    mf_call call;
    uint64_t begun;
    const struct sample *sample; /* NULL: a computation */
    mf_bytes json;               /* in space */
    size_t input_len;
    char input[INPUT_MAX];
    char space[INPUT_MAX * 6 + 256]; /* each byte takes at most six when it is escaped */
};

/* ---- on threads ----------------------------------------------------------- */

static uint64_t now(const struct job *j)
{
    return j->perf->host->now(j->perf->host);
}

static void write_sample(struct job *j, mfj_writer *w)
{
    mfj_put_key(w, "type");
    mfj_put_cstring(w, j->sample->type);
    mfj_put_key(w, j->sample->member);
    mfj_put_object(w);
    j->sample->write(w, &j->perf->tally, now(j));
    mfj_put_end(w);
    mfj_put_key(w, "timestamp");
    mfj_put_int(w, (int64_t)time(NULL));
}

/* FNV-1a over the input, again and again: the same answer each time, and dear. */
static uint64_t compute(const char *input, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned char c = len > 0 ? (unsigned char)input[i % len] : 0;
        hash = (hash ^ c ^ i) * 0x100000001b3u;
    }
    return hash;
}

static void write_computed(struct job *j, mfj_writer *w)
{
    char text[32];
    uint64_t begun = now(j);
    snprintf(text, sizeof(text), "computed_%u",
             (unsigned)(compute(j->input, j->input_len) % 10000));
    mfj_put_key(w, "input");
    mfj_put_string(w, (mf_bytes){j->input, j->input_len});
    mfj_put_key(w, "result");
    mfj_put_cstring(w, text);
    mfj_put_key(w, "computation_time");
    mfj_put_double(w, (double)(now(j) - begun) / 1e9);
}

static void make(void *arg)
{
    struct job *j = arg;
    mfj_writer w;
    mfj_write(&w, j->space, sizeof(j->space));
    mfj_put_object(&w);
    if (j->sample != NULL)
        write_sample(j, &w);
    else
        write_computed(j, &w);
    mfj_put_end(&w);
    if (mfj_done(&w, &j->json) != MF_OK)
        j->json.len = 0;
}

/* ---- on the loop ---------------------------------------------------------- */

static void end(struct job *j, int32_t how, mf_bytes detail)
{
    struct tally *tally = &j->perf->tally;
    tally->reads++;
    tally->failed += how != MF_DONE;
    tally->ns += now(j) - j->begun;
    j->perf->host->finish(j->perf->host, j->call, how, detail);
    free(j);
}

static void on_made(void *arg, const mf_end *e)
{
    struct job *j = arg;
    const mf_host *host = j->perf->host;
    mf_status status = e->status;
    if (status == MF_OK && j->json.len == 0)
        status = MF_ENOMEM;
    if (status == MF_OK)
        status = host->text(host, j->call, j->json);
    if (status == MF_ECANCELED || status == MF_ETIMEDOUT)
        status = MF_OK; /* nobody waits: it is released all the same */
    end(j, status == MF_OK ? MF_DONE : MF_FAULT, MF_LIT("it could not be made"));
}

/* The variable of the template: what the job is about.  MF_DONE: it is one. */
static int32_t take_input(struct job *j, const mf_request *r, const char *variable)
{
    mf_bytes text;
    mf_status status =
        mfj_string(mfj_get(mfj_read(r->args), variable), j->input, sizeof(j->input), &text);
    if (status != MF_OK || text.len > sizeof(j->input))
        return MF_BAD_PARAMS; /* missing, with a NUL, or too long */
    if (text.data != j->input)
        memcpy(j->input, text.data, text.len);
    j->input_len = text.len;
    return MF_DONE;
}

enum { SYSTEM, ANALYTICS, DATA, CACHED }; /* resources[] */

static int32_t prepare(struct job *j, const mf_request *r)
{
    int32_t how = MF_DONE;
    if (r->index == CACHED)
        return take_input(j, r, "input");
    if (r->index == SYSTEM)
        j->sample = sample_find(MF_LIT("system"));
    else if (r->index == ANALYTICS)
        j->sample = sample_find(MF_LIT("analytics"));
    else if ((how = take_input(j, r, "data_type")) == MF_DONE)
        j->sample = sample_find((mf_bytes){j->input, j->input_len});
    return how == MF_DONE && j->sample == NULL ? MF_NOT_FOUND : how;
}

static void perf_call(void *self, const mf_request *r)
{
    struct perf *p = self;
    struct job *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        p->host->finish(p->host, r->call, MF_FAULT, MF_LIT("out of memory"));
        return;
    }
    j->perf = p;
    j->call = r->call;
    j->begun = now(j);
    int32_t how = prepare(j, r);
    if (how != MF_DONE)
        end(j, how, MF_LIT("expected text of at most 1024 bytes"));
    else if (p->work->run(p->host, r->call, make, on_made, j) == 0)
        end(j, MF_FAULT, MF_LIT("too much is being made already"));
}

static mf_status perf_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct perf *p = calloc(1, sizeof(*p));
    (void)config; /* there is nothing to configure */
    if (p == NULL)
        return MF_ENOMEM;
    p->host = host;
    p->work = host->extension(host, MF_EXT_WORK);
    p->tally.since = host->now(host);
    if (p->work == NULL) {
        free(p);
        return MF_ENOTSUP;
    }
    *ret_self = p;
    return MF_OK;
}

static void perf_close(void *self)
{
    free(self);
}

#define ENTRY(text)                            \
    &(const mf_entry)                          \
    {                                          \
        .size = sizeof(mf_entry), .name = text \
    }
static const mf_entry *const resources[] = {ENTRY("system"), ENTRY("analytics"), ENTRY("data"),
                                            ENTRY("cached"), NULL};

MF_NOTE();
const mf_plugin manifold_plugin_v1 = {
    .size = sizeof(manifold_plugin_v1),
    .abi_minor = MF_ABI_MINOR,
    .id = "dev.manifold.perf",
    .version = "1.0.0",
    .resources = resources,
    .open = perf_open,
    .call = perf_call,
    .close = perf_close,
};
