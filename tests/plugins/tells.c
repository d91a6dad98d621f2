/* Says by manifold.notify/1 what it is told to:
 *
 *   {"uri", "times", "threads"}   that this resource has changed, so often, from so many threads
 *   {"uri", "many":N}             that URI0 to URI(N-1) have, all within this call
 *   {"changed":1..3, "times"}     that a list has
 *   {"uri", "times", "after":MS}  the same from a thread, after so long and a millisecond between
 *                                 two; it answers at once, and logs "said all" at the end
 *
 * and answers how often each status came: "MF_OK 3, -8 1".  Its resources tell how often they
 * were said to have changed, all together. */
#include "bad.h"

#include <manifold/json.h>
#include <manifold/notify.h>
#include <pthread.h>
#include <stdatomic.h>

enum { STATUSES = 16 };

struct tells {
    const mf_host *host;
    const mf_notify *notify;
    atomic_int said;
    char uri[256]; /* the thread's, as are those below */
    int64_t times, after;
    pthread_t thread;
    int threaded;
};

struct job {
    struct tells *t;
    mf_bytes uri;
    int64_t times, many, changed;
    atomic_int status[STATUSES]; /* how often -index came */
};

static void count(struct job *j, mf_status s)
{
    if (s <= 0 && s > -STATUSES)
        atomic_fetch_add(&j->status[-s], 1);
}

static void *work(void *arg)
{
    struct job *j = arg;
    struct tells *t = j->t;
    char text[4096];
    for (int64_t i = 0; i < j->times; i++) {
        if (j->changed)
            count(j, t->notify->list_changed(t->host, (uint32_t)j->changed));
        for (int64_t k = 0; !j->changed && k < (j->many ? j->many : 1); k++) {
            mf_bytes uri = j->uri;
            if (j->many) {
                int n =
                    snprintf(text, sizeof(text), "%.*s%lld", (int)uri.len, uri.data, (long long)k);
                uri = (mf_bytes){text, (size_t)n};
            }
            atomic_fetch_add(&t->said, 1);
            count(j, t->notify->resource_updated(t->host, uri));
        }
    }
    return NULL;
}

static void *say_later(void *arg)
{
    struct tells *t = arg;
    mf_bytes uri = {t->uri, strlen(t->uri)};
    bad_sleep_ms((long)t->after);
    for (int64_t i = 0; i < t->times; i++) {
        atomic_fetch_add(&t->said, 1);
        t->notify->resource_updated(t->host, uri);
        bad_sleep_ms(1);
    }
    t->host->log(t->host, MF_LOG_INFO, 0, MF_LIT("said all"));
    return NULL;
}

static void start_later(struct tells *t, const struct job *j, int64_t after)
{
    if (t->threaded)
        pthread_join(t->thread, NULL);
    snprintf(t->uri, sizeof(t->uri), "%.*s", (int)j->uri.len, j->uri.data);
    t->times = j->times;
    t->after = after;
    t->threaded = pthread_create(&t->thread, NULL, say_later, t) == 0;
}

static void run(struct job *j, int64_t threads)
{
    pthread_t id[16];
    int made = 0;
    if (!threads)
        work(j);
    for (; made < threads && made < 16; made++)
        if (pthread_create(&id[made], NULL, work, j))
            break;
    for (int i = 0; i < made; i++)
        pthread_join(id[i], NULL);
}

static mf_status tells_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct tells *t = calloc(1, sizeof(*t));
    (void)config;
    if (!t)
        return MF_ENOMEM;
    t->host = host;
    t->notify = host->extension(host, MF_EXT_NOTIFY);
    *ret_self = t;
    return t->notify ? MF_OK : MF_ENOTSUP;
}

static void read_resource(struct tells *t, mf_call call)
{
    char text[32];
    snprintf(text, sizeof(text), "%d", atomic_load(&t->said));
    bad_answer(t->host, call, text);
}

static void tells_call(void *self, const mf_request *request)
{
    struct tells *t = self;
    mfj_value a = mfj_read(request->args);
    char space[4096], answer[512] = "";
    struct job j = {.t = t, .times = 1};
    int64_t threads = 0, after = 0;
    if (request->kind == MF_RESOURCE) {
        read_resource(t, request->call);
        return;
    }
    mfj_string(mfj_get(a, "uri"), space, sizeof(space), &j.uri);
    mfj_int(mfj_get(a, "times"), &j.times);
    mfj_int(mfj_get(a, "many"), &j.many);
    mfj_int(mfj_get(a, "changed"), &j.changed);
    mfj_int(mfj_get(a, "threads"), &threads);
    mfj_int(mfj_get(a, "after"), &after);
    if (after)
        start_later(t, &j, after);
    else
        run(&j, threads);
    for (int i = 0; i < STATUSES; i++) {
        size_t n = strlen(answer);
        if (atomic_load(&j.status[i]))
            snprintf(answer + n, sizeof(answer) - n, "%s%d: %d", n ? ", " : "", -i,
                     atomic_load(&j.status[i]));
    }
    bad_answer(t->host, request->call, answer);
}

static void tells_close(void *self)
{
    struct tells *t = self;
    if (t->threaded)
        pthread_join(t->thread, NULL);
    free(t);
}

static const mf_entry watched = {sizeof(mf_entry), 0, "watched"};
static const mf_entry quiet = {sizeof(mf_entry), 0, "quiet"};
static const mf_entry item = {sizeof(mf_entry), 0, "item"};
static const mf_entry *const resources[] = {&watched, &quiet, &item, NULL};

BAD_PLUGIN(.resources = resources, .open = tells_open, .call = tells_call, .close = tells_close);
