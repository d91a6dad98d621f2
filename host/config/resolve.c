#include "config/resolve.h"

#include <errno.h>
#include <stddef.h>
#include "config/complain.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)
#define M  (60 * S)

enum field_kind { FIELD_COUNT, FIELD_DURATION, FIELD_SIZE, FIELD_RATE, FIELD_CORES };

/* One key of an object; bounds of counts are the schema's. */
struct field {
    const char *key;
    enum field_kind kind;
    size_t at;    /* offset in the struct */
    uint64_t min; /* of durations and sizes */
    bool tool;    /* limits: may stand at a tool */
};

#define LIMIT(name, kind, min, tool)                                  \
    {                                                                 \
#name, FIELD_##kind, offsetof(struct limits, name), min, tool \
    }
static const struct field limit_fields[] = {LIMIT(concurrency, COUNT, 0, true),
                                            LIMIT(queue, COUNT, 0, true),
                                            LIMIT(queue_wait, DURATION, 0, false),
                                            LIMIT(timeout, DURATION, MS, true),
                                            LIMIT(drain, DURATION, 0, false),
                                            LIMIT(rate, RATE, 0, true),
                                            LIMIT(request, SIZE, 1, false),
                                            LIMIT(result, SIZE, 1, true),
                                            LIMIT(log, RATE, 0, false),
                                            LIMIT(loop_block, DURATION, MS, false)};

#define BREAKER(name, kind, min)                                             \
    {                                                                        \
#name, FIELD_##kind, offsetof(struct breaker_spec, name), min, false \
    }
static const struct field breaker_fields[] = {
    BREAKER(failures, COUNT, 0), BREAKER(within, DURATION, MS), BREAKER(cooldown, DURATION, MS)};

#define WORKER(name, kind, min)                                             \
    {                                                                       \
#name, FIELD_##kind, offsetof(struct worker_spec, name), min, false \
    }
static const struct field worker_fields[] = {
    WORKER(processes, COUNT, 0), WORKER(spare, COUNT, 0),   WORKER(idle, DURATION, MS),
    WORKER(memory, SIZE, 1),     WORKER(cpu, CORES, 0),     WORKER(threads, COUNT, 0),
    WORKER(fds, COUNT, 0),       WORKER(grace, DURATION, 0)};

static const struct field quarantine_fields[] = {
    {"crashes", FIELD_COUNT, offsetof(struct worker_spec, quarantine_crashes), 0, false},
    {"within", FIELD_DURATION, offsetof(struct worker_spec, quarantine_within), MS, false}};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const struct instance_spec instance_builtin = {
    .isolation = ISOLATION_WORKER,
    .load = LOAD_LAZY,
    .reload = RELOAD_OVERLAP,
    .limits = {.concurrency = 8,
               .queue = 64,
               .queue_wait = 5 * S,
               .timeout = 30 * S,
               .drain = 10 * S,
               .loop_block = 50 * MS,
               .request = 4 << 20,
               .result = 4 << 20,
               .rate = {0, 0},
               .log = {200, 200}},
    .breaker = {.failures = 5, .within = 60 * S, .cooldown = 30 * S},
    .worker = {.processes = 1,
               .spare = 0,
               .threads = 8,
               .fds = 64,
               .quarantine_crashes = 5,
               .idle = 5 * M,
               .memory = 128 << 20,
               .grace = 250 * MS,
               .backoff_min = 100 * MS,
               .backoff_max = 30 * S,
               .quarantine_within = 60 * S,
               .cpu = 1.0},
};

const struct limits limits_ceiling_builtin = {
    .concurrency = 1024, .queue = 8192, .timeout = 10 * M, .result = 8 << 20};
const struct worker_spec worker_ceiling_builtin = {.memory = 1 << 30, .cpu = 2.0, .processes = 8};

static int read_field(const struct field *f, void *base, const struct document *d, json_ref n,
                      struct err *e)
{
    void *at = (char *)base + f->at;
    struct err why = {{0}};
    char least[UNITS_SHOWN];
    /* Units are plain ASCII: the schema has refused all that would need escapes. */
    struct str text = json_is(&d->json, n, JSON_STRING) ? json_inner(&d->json, n) : STR_NONE;
    int64_t count = 0;
    uint64_t value = 0;
    int r = 0;
    switch (f->kind) {
    case FIELD_COUNT:
        json_int(&d->json, n, &count);
        *(uint32_t *)at = (uint32_t)count;
        return 0;
    case FIELD_CORES:
        json_double(&d->json, n, at);
        return 0;
    case FIELD_RATE:
        r = units_rate(text, at, &why);
        break;
    case FIELD_DURATION:
        r = units_duration(text, &value, &why);
        break;
    case FIELD_SIZE:
        r = units_size(text, &value, &why);
        break;
    }
    if (!r && value < f->min)
        r = err_set(&why, -ERANGE, "expected at least %s, found \"%.*s\"",
                    f->kind == FIELD_SIZE ? units_show_size(f->min, least)
                                          : units_show_duration(f->min, least),
                    STR_FMT(text));
    if (r)
        return complain_at(d, n, e, "%s", why.text);
    if (f->kind != FIELD_RATE)
        *(uint64_t *)at = value;
    return 0;
}

static int read_fields(const struct field *field, size_t fields, void *base,
                       const struct document *d, json_ref object, struct err *e)
{
    json_each_member (&d->json, object, k) {
        for (size_t i = 0; i < fields; i++) {
            if (!str_eq(json_inner(&d->json, k), str_of(field[i].key)))
                continue;
            int r = read_field(&field[i], base, d, k + 1, e);
            if (r)
                return r;
        }
    }
    return 0;
}

int limits_apply(struct limits *limits, const struct document *d, json_ref object, struct err *e)
{
    return read_fields(limit_fields, COUNT(limit_fields), limits, d, object, e);
}

int worker_apply(struct worker_spec *worker, const struct document *d, json_ref object,
                 struct err *e)
{
    int r = read_fields(worker_fields, COUNT(worker_fields), worker, d, object, e);
    json_ref quarantine = json_get(&d->json, object, STR("quarantine"));
    if (!r && quarantine)
        r = read_fields(quarantine_fields, COUNT(quarantine_fields), worker, d, quarantine, e);
    json_ref backoff = json_get(&d->json, object, STR("backoff"));
    if (r || !backoff)
        return r;
    const struct field least = {"", FIELD_DURATION, offsetof(struct worker_spec, backoff_min), MS,
                                false};
    const struct field most = {"", FIELD_DURATION, offsetof(struct worker_spec, backoff_max), MS,
                               false};
    r = read_field(&least, worker, d, backoff + 1, e);
    if (!r)
        r = read_field(&most, worker, d, backoff + 2, e);
    if (!r && worker->backoff_min > worker->backoff_max)
        r = complain_at(d, backoff, e, "expected the shorter wait first, found it second");
    return r;
}

static int resolve_one(enum field_kind kind, const struct document *d, json_ref object,
                       const char *key, uint64_t min, uint64_t *ret, struct err *e)
{
    const struct field f = {key, kind, 0, min, false};
    json_ref n = json_get(&d->json, object, str_of(key));
    return n ? read_field(&f, ret, d, n, e) : 0;
}

int resolve_duration(const struct document *d, json_ref object, const char *key, uint64_t min,
                     uint64_t *ret, struct err *e)
{
    return resolve_one(FIELD_DURATION, d, object, key, min, ret, e);
}

int resolve_size(const struct document *d, json_ref object, const char *key, uint64_t min,
                 uint64_t *ret, struct err *e)
{
    return resolve_one(FIELD_SIZE, d, object, key, min, ret, e);
}

int instance_apply(struct instance_spec *spec, const struct layer *l, struct err *e)
{
    const struct json_doc *j = &l->doc->json;
    json_ref n = json_get(j, l->object, STR("isolation"));
    if (n)
        spec->isolation = json_string_eq(j, n, STR("inproc")) ? ISOLATION_INPROC : ISOLATION_WORKER;
    n = json_get(j, l->object, STR("load"));
    if (n)
        spec->load = json_string_eq(j, n, STR("eager")) ? LOAD_EAGER : LOAD_LAZY;
    n = json_get(j, l->object, STR("reload"));
    if (n)
        spec->reload = json_string_eq(j, n, STR("handover")) ? RELOAD_HANDOVER : RELOAD_OVERLAP;
    n = json_get(j, l->object, STR("limits"));
    int r = n ? limits_apply(&spec->limits, l->doc, n, e) : 0;
    n = json_get(j, l->object, STR("breaker"));
    if (!r && n)
        r = read_fields(breaker_fields, COUNT(breaker_fields), &spec->breaker, l->doc, n, e);
    n = json_get(j, l->object, STR("worker"));
    return !r && n ? worker_apply(&spec->worker, l->doc, n, e) : r;
}

static void show_field(const struct field *f, const void *at, char out[UNITS_SHOWN])
{
    switch (f->kind) {
    case FIELD_COUNT:
        snprintf(out, UNITS_SHOWN, "%u", *(const uint32_t *)at);
        break;
    case FIELD_DURATION:
        units_show_duration(*(const uint64_t *)at, out);
        break;
    case FIELD_SIZE:
        units_show_size(*(const uint64_t *)at, out);
        break;
    case FIELD_RATE:
        units_show_rate(*(const struct rate *)at, out);
        break;
    case FIELD_CORES:
        snprintf(out, UNITS_SHOWN, "%g", *(const double *)at);
        break;
    }
}

/* Is the value over the bound?  `none`: a bound of zero bounds nothing. */
static bool is_over(const struct field *f, const void *at, const void *bound, bool none)
{
    if (f->kind == FIELD_RATE) {
        uint32_t value = ((const struct rate *)at)->per_second;
        uint32_t most = ((const struct rate *)bound)->per_second;
        return most && (!value || value > most);
    }
    if (f->kind == FIELD_CORES)
        return *(const double *)bound > 0 && *(const double *)at > *(const double *)bound;
    uint64_t value = f->kind == FIELD_COUNT ? *(const uint32_t *)at : *(const uint64_t *)at;
    uint64_t most = f->kind == FIELD_COUNT ? *(const uint32_t *)bound : *(const uint64_t *)bound;
    return (most || !none) && value > most;
}

static void cut_fields(const struct field *field, size_t fields, void *base, const void *bounds,
                       bool tool, const char *prefix, cut_fn *fn, void *arg)
{
    static const size_t width[] = {sizeof(uint32_t), sizeof(uint64_t), sizeof(uint64_t),
                                   sizeof(struct rate), sizeof(double)};
    for (size_t i = 0; i < fields; i++) {
        char *at = (char *)base + field[i].at;
        const char *bound = (const char *)bounds + field[i].at;
        char key[48], was[UNITS_SHOWN], is[UNITS_SHOWN];
        if ((tool && !field[i].tool) || !is_over(&field[i], at, bound, !tool))
            continue;
        snprintf(key, sizeof(key), "%s.%s", prefix, field[i].key);
        show_field(&field[i], at, was);
        show_field(&field[i], bound, is);
        memcpy(at, bound, width[field[i].kind]);
        fn(arg, key, was, is);
    }
}

void instance_cut(struct instance_spec *spec, const struct limits *limits,
                  const struct worker_spec *worker, cut_fn *fn, void *arg)
{
    cut_fields(limit_fields, COUNT(limit_fields), &spec->limits, limits, false, "limits", fn, arg);
    cut_fields(worker_fields, COUNT(worker_fields), &spec->worker, worker, false, "worker", fn,
               arg);
}

void limits_cut_tool(struct limits *tool, const struct limits *plugin, cut_fn *fn, void *arg)
{
    cut_fields(limit_fields, COUNT(limit_fields), tool, plugin, true, "limits", fn, arg);
}
