/* mock_call.c - calls, as a test makes and follows them. */
#include "mock_internal.h"

#include <manifold/json.h>

/* Handles differ in their high half alone, so that a plugin that keeps one in 32
 * bits is found out. */
static mf_call handle_of(size_t index)
{
    return (uint64_t)(index + 1) << 32 | 0x4D4Fu;
}

struct mock_call *mock_find(mf_mock *m, mf_call handle)
{
    size_t index = (size_t)(handle >> 32) - 1;
    return index < m->call_count && handle_of(index) == handle ? m->calls[index] : NULL;
}

static struct mock_call *find_unlocked(mf_mock *m, mf_call call)
{
    pthread_mutex_lock(&m->lock);
    struct mock_call *c = mock_find(m, call);
    pthread_mutex_unlock(&m->lock);
    return c;
}

static const mf_entry *const *entries_of(const mf_plugin *p, const mf_mock_request *r)
{
    uint32_t kind = r->kind == MF_COMPLETION ? r->ref_kind : r->kind;
    if (kind == MF_TOOL && r->kind == MF_TOOL)
        return p->tools;
    return kind == MF_RESOURCE ? p->resources : kind == MF_PROMPT ? p->prompts : NULL;
}

/* The index of the entry that the request names, or -1. */
static int64_t find_entry(const mf_plugin *p, const mf_mock_request *r)
{
    const mf_entry *const *list = entries_of(p, r);
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        if (r->name != NULL && strcmp(list[i]->name, r->name) == 0)
            return (int64_t)i;
    return -1;
}

static struct mock_call *call_new(mf_mock *m, const mf_mock_request *r)
{
    struct mock_call *c = mock_checked(calloc(1, sizeof(*c)));
    pthread_mutex_lock(&m->lock);
    c->mock = m;
    c->handle = handle_of(m->call_count);
    c->kind = r->kind;
    c->deadline = r->timeout_ns ? m->now + r->timeout_ns : 0;
    m->calls = mock_grow(m->calls, m->call_count, sizeof(*m->calls));
    m->calls[m->call_count++] = c;
    pthread_mutex_unlock(&m->lock);
    return c;
}

static void *call_run(void *arg)
{
    struct mock_call *c = arg;
    mf_mock *m = c->mock;
    mf_request r = c->request;
    m->plugin->call(m->self, &r);
    memset(&r, 0xDD, sizeof(r)); /* the struct is lent, too */
    mock_take_back(c->request.args);
    mock_take_back(c->request.uri);
    mock_take_back(c->request.input);
    mock_take_back(c->request.state);
    mock_take_back(c->request.meta);
    pthread_mutex_lock(&m->lock);
    c->returned = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

mf_call mf_mock_start(mf_mock *m, const mf_mock_request *request)
{
    int64_t index = find_entry(m->plugin, request);
    if (!m->open || index < 0)
        return 0;
    struct mock_call *c = call_new(m, request);
    mf_request *r = &c->request;
    r->size = sizeof(*r);
    r->kind = request->kind;
    r->index = (uint32_t)index;
    r->ref_kind = request->kind == MF_COMPLETION ? request->ref_kind : 0;
    r->call = c->handle;
    r->deadline_ns = c->deadline;
    r->args = mock_lend(request->args ? request->args : "{}");
    r->uri = mock_lend(request->uri);
    r->input = mock_lend(request->input);
    r->state = mock_lend(request->state);
    r->meta = mock_lend(request->meta);
    if (request->kind == MF_TOOL && m->plugin->tools[index]->flags & MF_TOOL_BLOCKING) {
        c->threaded = true;
        if (pthread_create(&c->thread, NULL, call_run, c) != 0)
            abort();
    } else {
        call_run(c);
    }
    return c->handle;
}

mf_call mf_mock_tool(mf_mock *m, const char *name, const char *args)
{
    mf_mock_request r = {.kind = MF_TOOL, .name = name, .args = args};
    return mf_mock_start(m, &r);
}

mf_call mf_mock_read(mf_mock *m, const char *name, const char *uri, const char *args)
{
    mf_mock_request r = {.kind = MF_RESOURCE, .name = name, .args = args, .uri = uri};
    return mf_mock_start(m, &r);
}

mf_call mf_mock_prompt(mf_mock *m, const char *name, const char *args)
{
    mf_mock_request r = {.kind = MF_PROMPT, .name = name, .args = args};
    return mf_mock_start(m, &r);
}

mf_call mf_mock_complete(mf_mock *m, uint32_t ref_kind, const char *name, const char *argument,
                         const char *value)
{
    /* Every byte takes at most six when it is escaped. */
    size_t cap = 6 * (strlen(argument) + strlen(value)) + 80;
    char *args = mock_checked(malloc(cap));
    mfj_writer w;
    mf_bytes json;
    mf_call call = 0;
    mfj_write(&w, args, cap - 1);
    mfj_put_object(&w);
    mfj_put_key(&w, "argument");
    mfj_put_object(&w);
    mfj_put_key(&w, "name");
    mfj_put_cstring(&w, argument);
    mfj_put_key(&w, "value");
    mfj_put_cstring(&w, value);
    mfj_put_end(&w);
    mfj_put_end(&w);
    if (mfj_done(&w, &json) == MF_OK) {
        args[json.len] = 0;
        mf_mock_request r = {
            .kind = MF_COMPLETION, .ref_kind = ref_kind, .name = name, .args = args};
        call = mf_mock_start(m, &r);
    }
    free(args);
    return call;
}

/* Tells the plugin that nobody waits, the first time this is so. */
static void end_waiting(mf_mock *m, struct mock_call *c, mf_status fate)
{
    pthread_mutex_lock(&m->lock);
    bool waited = !c->finished && c->fate == MF_OK;
    if (waited)
        c->fate = fate;
    pthread_mutex_unlock(&m->lock);
    if (waited && m->plugin->cancel != NULL)
        m->plugin->cancel(m->self, c->handle);
}

void mf_mock_cancel(mf_mock *m, mf_call call)
{
    struct mock_call *c = find_unlocked(m, call);
    if (c != NULL)
        end_waiting(m, c, MF_ECANCELED);
}

/* Under the lock: a call whose deadline has come, or NULL. */
static struct mock_call *find_late(mf_mock *m)
{
    for (size_t i = 0; i < m->call_count; i++) {
        struct mock_call *c = m->calls[i];
        if (!c->finished && c->fate == MF_OK && c->deadline != 0 && c->deadline <= m->now)
            return c;
    }
    return NULL;
}

/* Under the lock: when something is due next. */
static uint64_t next_event(const mf_mock *m)
{
    uint64_t next = mock_ops_next(m);
    for (size_t i = 0; i < m->call_count; i++) {
        const struct mock_call *c = m->calls[i];
        if (!c->finished && c->fate == MF_OK && c->deadline != 0 && c->deadline < next)
            next = c->deadline;
    }
    return next;
}

/* Moves the clock to the next event, at most to `until`.  False: it is there already. */
static bool step_clock(mf_mock *m, uint64_t until)
{
    pthread_mutex_lock(&m->lock);
    uint64_t next = next_event(m);
    bool more = m->now < until;
    if (more) /* what is overdue after mock_ops_run() has no end: time goes on all the same */
        m->now = next > m->now && next < until ? next : until;
    pthread_mutex_unlock(&m->lock);
    return more;
}

void mf_mock_advance(mf_mock *m, uint64_t ns)
{
    pthread_mutex_lock(&m->lock);
    uint64_t until = ns < UINT64_MAX - m->now ? m->now + ns : UINT64_MAX;
    pthread_mutex_unlock(&m->lock);
    do {
        for (;;) {
            pthread_mutex_lock(&m->lock);
            struct mock_call *late = find_late(m);
            pthread_mutex_unlock(&m->lock);
            if (late == NULL)
                break;
            end_waiting(m, late, MF_ETIMEDOUT);
        }
        mock_ops_run(m);
    } while (step_clock(m, until));
}

void mock_call_free(struct mock_call *c)
{
    for (size_t i = 0; i < c->item_count; i++)
        free(c->items[i].bytes.data);
    for (size_t i = 0; i < c->progress_count; i++)
        free((char *)(uintptr_t)c->progress[i].text.data);
    free(c->items);
    free(c->progress);
    free(c->public_items);
    free(c->structured.data);
    free(c->text.data);
    free(c->detail.data);
    free(c);
}

/* ---- what came of them ---------------------------------------------------- */

static bool is_finished(mf_mock *m, void *arg)
{
    (void)m;
    return ((struct mock_call *)arg)->finished;
}

const mf_mock_result *mf_mock_wait(mf_mock *m, mf_call call, uint32_t ms)
{
    struct mock_call *c = find_unlocked(m, call);
    return c != NULL && mock_wait(m, ms, is_finished, c) ? &c->result : NULL;
}

struct wanted_progress {
    const struct mock_call *call;
    size_t count;
};

static bool has_progress(mf_mock *m, void *arg)
{
    const struct wanted_progress *w = arg;
    (void)m;
    return w->call->finished || w->call->progress_count >= w->count;
}

int mf_mock_wait_progress(mf_mock *m, mf_call call, size_t count, uint32_t ms)
{
    struct wanted_progress w = {find_unlocked(m, call), count};
    if (w.call == NULL)
        return 0;
    mock_wait(m, ms, has_progress, &w);
    pthread_mutex_lock(&m->lock);
    int enough = w.call->progress_count >= count;
    pthread_mutex_unlock(&m->lock);
    return enough;
}

size_t mf_mock_logs(mf_mock *m, const mf_mock_log **ret)
{
    pthread_mutex_lock(&m->lock);
    size_t count = m->log_count;
    if (ret != NULL)
        *ret = m->logs;
    pthread_mutex_unlock(&m->lock);
    return count;
}

size_t mf_mock_mistakes(mf_mock *m, const char *const **ret)
{
    pthread_mutex_lock(&m->lock);
    size_t count = m->mistake_count;
    if (ret != NULL)
        *ret = (const char *const *)m->mistakes;
    pthread_mutex_unlock(&m->lock);
    return count;
}
