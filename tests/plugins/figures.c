/* Counts what it is told to, by manifold.metrics/1:
 *
 *   {"kind":1..3, "name", "unit", "label", "value"}        the series; answers "yes" or "no"
 *   ... "op":"add"|"set"|"observe", "amount", "times", "threads"   and what is done with it
 *   {"many":N, "name"}       N counters with the label n; answers how many it got
 *   {"sleep":MS, "fail":1}   sleeps first; ends with isError */
#define BAD_FLAGS MF_TOOL_BLOCKING
#include "bad.h"

#include <manifold/json.h>
#include <manifold/metrics.h>
#include <pthread.h>

struct figures {
    const mf_host *host;
    const mf_metrics *metrics;
};

struct job {
    struct figures *f;
    mf_metric metric;
    char op[16];
    double amount;
    int64_t times;
};

static int64_t number(mfj_value v, const char *key, int64_t otherwise)
{
    mfj_int(mfj_get(v, key), &otherwise);
    return otherwise;
}

static mf_bytes text(mfj_value v, const char *key, char space[256])
{
    mf_bytes b = MF_LIT("");
    mfj_string(mfj_get(v, key), space, 256, &b);
    return b;
}

static void *work(void *arg)
{
    struct job *j = arg;
    const mf_metrics *m = j->f->metrics;
    for (int64_t i = 0; i < j->times; i++) {
        if (strcmp(j->op, "add") == 0)
            m->add(j->f->host, j->metric, j->amount);
        else if (strcmp(j->op, "set") == 0)
            m->set(j->f->host, j->metric, j->amount);
        else if (strcmp(j->op, "observe") == 0)
            m->observe(j->f->host, j->metric, j->amount);
    }
    return NULL;
}

static void run(struct job *j, int64_t threads)
{
    pthread_t id[16];
    int made = 0;
    for (; made < threads && made < 16; made++)
        if (pthread_create(&id[made], NULL, work, j))
            break;
    for (int i = 0; i < made; i++)
        pthread_join(id[i], NULL);
}

static mf_metric ask(struct figures *f, mfj_value a, mf_bytes value)
{
    char space[4][256];
    mf_label label = {text(a, "label", space[0]), value};
    mf_series s = {.size = sizeof(s),
                   .kind = (uint32_t)number(a, "kind", MF_COUNTER),
                   .name = text(a, "name", space[1]),
                   .help = text(a, "help", space[2]),
                   .unit = text(a, "unit", space[3]),
                   .labels = &label,
                   .label_count = label.name.len ? 1 : 0};
    return f->metrics->series(f->host, &s);
}

static int64_t many(struct figures *f, mfj_value a)
{
    int64_t granted = 0;
    for (int64_t i = 0; i < number(a, "many", 0); i++) {
        char value[32];
        snprintf(value, sizeof(value), "%lld", (long long)i);
        mf_bytes b = {value, strlen(value)};
        granted += ask(f, a, b) != 0;
    }
    return granted;
}

static mf_status figures_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    struct figures *f = calloc(1, sizeof(*f));
    (void)config;
    if (!f)
        return MF_ENOMEM;
    f->host = host;
    f->metrics = host->extension(host, MF_EXT_METRICS);
    *ret_self = f;
    return f->metrics ? MF_OK : MF_ENOTSUP;
}

static void figures_call(void *self, const mf_request *request)
{
    struct figures *f = self;
    mfj_value a = mfj_read(request->args);
    char space[256], answer[64];
    struct job j = {.f = f, .amount = 1, .times = number(a, "times", 1)};
    bad_sleep_ms((long)number(a, "sleep", 0));
    if (number(a, "many", 0)) {
        snprintf(answer, sizeof(answer), "%lld", (long long)many(f, a));
    } else {
        j.metric = ask(f, a, text(a, "value", space));
        mfj_cstring(mfj_get(a, "op"), j.op, sizeof(j.op));
        mfj_double(mfj_get(a, "amount"), &j.amount);
        run(&j, number(a, "threads", 1));
        snprintf(answer, sizeof(answer), "%s", j.metric ? "yes" : "no");
    }
    if (number(a, "fail", 0))
        f->host->finish(f->host, request->call, MF_TOOL_ERROR, MF_LIT(""));
    else
        bad_answer(f->host, request->call, answer);
}

static void figures_close(void *self)
{
    free(self);
}

BAD_PLUGIN(.open = figures_open, .call = figures_call, .close = figures_close);
