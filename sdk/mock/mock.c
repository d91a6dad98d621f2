/* mock.c - the life of an instance: descriptor, open, close. */
#include "mock_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mock_mistake(mf_mock *m, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    m->mistakes = mock_grow(m->mistakes, m->mistake_count, sizeof(*m->mistakes));
    m->mistakes[m->mistake_count++] = mock_copy((mf_bytes){text, strlen(text)});
}

struct timespec mock_real_deadline(uint32_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

/* ---- descriptor ----------------------------------------------------------- */

static const char *lint_entries(const mf_entry *const *list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        if (!MF_HAS(list[i], name))
            return "an entry is smaller than its name: is its `size` set?";
        if (list[i]->name == NULL || *list[i]->name == 0)
            return "an entry has no name";
        if ((list[i]->flags & ~(uint32_t)MF_TOOL_BLOCKING) != 0)
            return "an entry has a flag that plugin.h has not";
        for (size_t k = 0; k < i; k++)
            if (strcmp(list[i]->name, list[k]->name) == 0)
                return "two entries of one kind have the same name";
    }
    return NULL;
}

const char *mf_mock_lint(const mf_plugin *plugin)
{
    const char *bad;
    if (!MF_HAS(plugin, extension))
        return "the descriptor is smaller than major 1 began with: is its `size` set?";
    if (plugin->flags != 0)
        return "the descriptor has a flag that plugin.h has not";
    if (plugin->abi_minor_min > plugin->abi_minor)
        return "abi_minor_min is over abi_minor";
    if (plugin->abi_minor_min > MF_ABI_MINOR)
        return "abi_minor_min is over the minor of this mock";
    if (plugin->id == NULL || strchr(plugin->id, '.') == NULL)
        return "id is not of the form \"org.example.name\"";
    if (plugin->version == NULL || *plugin->version == 0)
        return "version is missing";
    if (plugin->open == NULL || plugin->call == NULL || plugin->close == NULL)
        return "open, call or close is missing";
    bad = lint_entries(plugin->tools);
    bad = bad ? bad : lint_entries(plugin->resources);
    return bad ? bad : lint_entries(plugin->prompts);
}

/* ---- life ----------------------------------------------------------------- */

mf_mock *mf_mock_new(const mf_plugin *plugin)
{
    mf_mock *m = mock_checked(calloc(1, sizeof(*m)));
    pthread_condattr_t attr;
    m->plugin = plugin;
    m->limit = (size_t)4 << 20;
    m->now = 1000000000; /* not 0: that is "no deadline" */
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->changed, &attr);
    pthread_condattr_destroy(&attr);
    mock_host_init(m);
    return m;
}

void mf_mock_set_extension(mf_mock *m, const char *id, const void *vtable)
{
    pthread_mutex_lock(&m->lock);
    size_t i = 0;
    while (i < m->extension_count && strcmp(m->extensions[i].id, id) != 0)
        i++;
    if (i == m->extension_count) {
        m->extensions = mock_grow(m->extensions, i, sizeof(*m->extensions));
        m->extensions[m->extension_count++].id = mock_copy((mf_bytes){id, strlen(id)});
    }
    m->extensions[i].vtable = vtable;
    pthread_mutex_unlock(&m->lock);
}

void mf_mock_set_result_limit(mf_mock *m, size_t bytes)
{
    pthread_mutex_lock(&m->lock);
    m->limit = bytes;
    pthread_mutex_unlock(&m->lock);
}

mf_status mf_mock_open(mf_mock *m, const char *config)
{
    const char *bad = mf_mock_lint(m->plugin);
    void *self = NULL;
    if (m->open)
        return MF_EINVAL;
    if (bad != NULL) {
        pthread_mutex_lock(&m->lock);
        mock_mistake(m, "%s", bad);
        pthread_mutex_unlock(&m->lock);
        return MF_EINVAL;
    }
    mf_bytes lent = mock_lend(config ? config : "{}");
    pthread_mutex_lock(&m->lock);
    m->closed = m->quiesced = false;
    pthread_mutex_unlock(&m->lock);
    mf_status status = m->plugin->open(&m->host, lent, &self);
    mock_take_back(lent);
    m->open = status == MF_OK;
    m->self = m->open ? self : NULL;
    if (!m->open)
        mock_ops_drop(m);
    return status;
}

/* Under the lock: the calls and operations that keep close() from running. */
static size_t count_running(mf_mock *m, bool note)
{
    size_t count = m->op_count;
    for (const struct mock_op *op = m->ops; note && op != NULL; op = op->next)
        mock_mistake(m, "operation %#llx (%s) had not ended when it was time to close",
                     (unsigned long long)op->id, op->kind->name);
    for (size_t i = 0; i < m->call_count; i++) {
        if (m->calls[i]->finished && m->calls[i]->returned)
            continue;
        count++;
        if (note)
            mock_mistake(m, "call %#llx %s when it was time to close",
                         (unsigned long long)m->calls[i]->handle,
                         m->calls[i]->finished ? "had not returned" : "was not finished");
    }
    return count;
}

static bool none_running(mf_mock *m, void *arg)
{
    (void)arg;
    return count_running(m, false) == 0;
}

mf_status mf_mock_close(mf_mock *m, uint32_t ms)
{
    if (!m->open)
        return MF_EINVAL;
    if (m->plugin->quiesce != NULL)
        m->plugin->quiesce(m->self);
    pthread_mutex_lock(&m->lock);
    m->quiesced = true;
    pthread_mutex_unlock(&m->lock);
    mock_wait(m, ms, none_running, NULL);
    pthread_mutex_lock(&m->lock);
    size_t left = count_running(m, true);
    pthread_mutex_unlock(&m->lock);
    if (left > 0)
        return MF_ETIMEDOUT;
    for (size_t i = 0; i < m->call_count; i++) {
        if (m->calls[i]->threaded)
            pthread_join(m->calls[i]->thread, NULL);
        m->calls[i]->threaded = false;
    }
    m->save_status = m->hands_over ? mock_state_save(m) : MF_OK;
    mock_services_stop(m);
    m->plugin->close(m->self);
    pthread_mutex_lock(&m->lock);
    m->open = false;
    m->closed = true;
    m->self = NULL;
    pthread_mutex_unlock(&m->lock);
    return MF_OK;
}

void mf_mock_free(mf_mock *m)
{
    if (m == NULL)
        return;
    if (m->open && mf_mock_close(m, 10000) != MF_OK)
        abort();
    mock_ops_drop(m); /* of one that was never open */
    mock_services_stop(m);
    mock_services_release(m);
    for (size_t i = 0; i < m->call_count; i++)
        mock_call_free(m->calls[i]);
    for (size_t i = 0; i < m->extension_count; i++)
        free(m->extensions[i].id);
    for (size_t i = 0; i < m->log_count; i++)
        free((char *)(uintptr_t)m->logs[i].text.data);
    for (size_t i = 0; i < m->mistake_count; i++)
        free(m->mistakes[i]);
    free(m->calls);
    free(m->extensions);
    free(m->logs);
    free(m->mistakes);
    free(m->saved.data);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

const mf_host *mf_mock_host(const mf_mock *m)
{
    return &m->host;
}

void *mf_mock_self(const mf_mock *m)
{
    return m->self;
}
