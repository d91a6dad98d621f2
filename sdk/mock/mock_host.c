/* mock_host.c - the functions of mf_host, as a plugin calls them from any thread. */
#include "mock_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {"", "tool", "resource", "prompt", "completion"};
    return names[kind];
}

static const void *host_extension(const mf_host *host, const char *id)
{
    mf_mock *m = mock_of(host);
    const void *vtable = mock_service_find(id);
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->extension_count; i++)
        if (strcmp(m->extensions[i].id, id) == 0)
            vtable = m->extensions[i].vtable;
    pthread_mutex_unlock(&m->lock);
    return vtable;
}

static uint64_t host_now(const mf_host *host)
{
    mf_mock *m = mock_of(host);
    pthread_mutex_lock(&m->lock);
    uint64_t now = m->now;
    pthread_mutex_unlock(&m->lock);
    return now;
}

static void host_log(const mf_host *host, int32_t level, mf_call call, mf_bytes text)
{
    mf_mock *m = mock_of(host);
    pthread_mutex_lock(&m->lock);
    if (level < MF_LOG_EMERGENCY || level > MF_LOG_DEBUG)
        mock_mistake(m, "log(): there is no level %d", level);
    if (!mock_utf8_valid(text))
        mock_mistake(m, "log(): the text is not UTF-8");
    m->logs = mock_grow(m->logs, m->log_count, sizeof(*m->logs));
    mf_mock_log *line = &m->logs[m->log_count++];
    line->level = level;
    line->call = call;
    line->text.data = mock_copy(text);
    line->text.len = text.len;
    pthread_mutex_unlock(&m->lock);
}

/* Under the lock: the call if it may still be written to, else NULL and why. */
static struct mock_call *writable(mf_mock *m, mf_call handle, const char *function,
                                  mf_status *ret_status)
{
    struct mock_call *c = mock_find(m, handle);
    if (m->closed)
        mock_mistake(m, "%s(): used after close()", function);
    if (c == NULL || c->finished) {
        mock_mistake(m, c ? "%s(): call %#llx was finished before" : "%s(): no call %#llx",
                     function, (unsigned long long)handle);
        *ret_status = MF_ESTALE;
        return NULL;
    }
    *ret_status = c->fate;
    return c->fate == MF_OK ? c : NULL;
}

/* Refuses, and notes why. */
static mf_status wrong(mf_mock *m, const struct mock_call *c, const char *function, const char *why)
{
    mock_mistake(m, "%s() of a %s: %s", function, kind_name(c->kind), why);
    return MF_EINVAL;
}

/* Appends to the current item of this kind, or begins one. */
static mf_status append(mf_mock *m, struct mock_call *c, uint32_t kind, mf_bytes bytes)
{
    if (bytes.len > m->limit - c->size)
        return MF_ELIMIT;
    c->size += bytes.len;
    if (kind == MF_MOCK_BLOCK || c->item_count == 0 || c->items[c->item_count - 1].kind != kind) {
        c->items = mock_grow(c->items, c->item_count, sizeof(*c->items));
        memset(&c->items[c->item_count], 0, sizeof(*c->items));
        c->items[c->item_count++].kind = kind;
    }
    struct mock_item *item = &c->items[c->item_count - 1];
    item->appends++;
    mock_buf_append(&item->bytes, bytes);
    if (kind == MF_MOCK_TEXT)
        mock_buf_append(&c->text, bytes);
    return MF_OK;
}

static mf_status host_text(const mf_host *host, mf_call call, mf_bytes text)
{
    mf_mock *m = mock_of(host);
    mf_status status;
    pthread_mutex_lock(&m->lock);
    struct mock_call *c = writable(m, call, "text", &status);
    if (c != NULL && c->kind == MF_COMPLETION)
        status = wrong(m, c, "text", "it has only structured()");
    else if (c != NULL && !mock_utf8_valid(text))
        status = wrong(m, c, "text", "not UTF-8");
    else if (c != NULL)
        status = append(m, c, MF_MOCK_TEXT, text);
    pthread_mutex_unlock(&m->lock);
    return status;
}

static mf_status host_blob(const mf_host *host, mf_call call, mf_bytes raw)
{
    mf_mock *m = mock_of(host);
    mf_status status;
    pthread_mutex_lock(&m->lock);
    struct mock_call *c = writable(m, call, "blob", &status);
    if (c != NULL && c->kind != MF_RESOURCE)
        status = wrong(m, c, "blob", "it is for resources");
    else if (c != NULL)
        status = append(m, c, MF_MOCK_BLOB, raw);
    pthread_mutex_unlock(&m->lock);
    return status;
}

static bool is_object(mf_bytes json)
{
    size_t blank = 0;
    while (blank < json.len && memchr(" \t\r\n", json.data[blank], 4) != NULL)
        blank++;
    return mock_json_valid(json) && json.data[blank] == '{';
}

static mf_status host_block(const mf_host *host, mf_call call, mf_bytes json)
{
    mf_mock *m = mock_of(host);
    mf_status status;
    pthread_mutex_lock(&m->lock);
    struct mock_call *c = writable(m, call, "block", &status);
    if (c != NULL && c->kind == MF_COMPLETION)
        status = wrong(m, c, "block", "it has only structured()");
    else if (c != NULL && !is_object(json))
        status = wrong(m, c, "block", "not a JSON object");
    else if (c != NULL)
        status = append(m, c, MF_MOCK_BLOCK, json);
    pthread_mutex_unlock(&m->lock);
    return status;
}

static mf_status set_structured(mf_mock *m, struct mock_call *c, mf_bytes json)
{
    size_t others = c->size - c->structured.len;
    if (json.len > m->limit - others)
        return MF_ELIMIT;
    c->structured.len = 0;
    mock_buf_append(&c->structured, json);
    c->size = others + json.len;
    return MF_OK;
}

static mf_status host_structured(const mf_host *host, mf_call call, mf_bytes json)
{
    mf_mock *m = mock_of(host);
    mf_status status;
    pthread_mutex_lock(&m->lock);
    struct mock_call *c = writable(m, call, "structured", &status);
    if (c != NULL && c->kind != MF_TOOL && c->kind != MF_COMPLETION)
        status = wrong(m, c, "structured", "it is for tools and completions");
    else if (c != NULL && !mock_json_valid(json))
        status = wrong(m, c, "structured", "not JSON");
    else if (c != NULL)
        status = set_structured(m, c, json);
    pthread_mutex_unlock(&m->lock);
    return status;
}

static mf_status host_progress(const mf_host *host, mf_call call, double done, double total,
                               mf_bytes text)
{
    mf_mock *m = mock_of(host);
    mf_status status;
    pthread_mutex_lock(&m->lock);
    struct mock_call *c = writable(m, call, "progress", &status);
    if (c != NULL && !mock_utf8_valid(text)) {
        status = wrong(m, c, "progress", "the text is not UTF-8");
    } else if (c != NULL && c->progress_count > 0 &&
               !(done > c->progress[c->progress_count - 1].done)) {
        status = wrong(m, c, "progress", "`done` must increase");
    } else if (c != NULL) {
        c->progress = mock_grow(c->progress, c->progress_count, sizeof(*c->progress));
        mf_mock_progress *p = &c->progress[c->progress_count++];
        p->done = done;
        p->total = total;
        p->text.data = mock_copy(text);
        p->text.len = text.len;
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

/* The result as the test sees it; nothing in it changes any more. */
static void publish(struct mock_call *c, int32_t how)
{
    mf_mock_result *r = &c->result;
    c->public_items = calloc(c->item_count + 1, sizeof(*c->public_items));
    if (c->public_items == NULL)
        abort();
    for (size_t i = 0; i < c->item_count; i++) {
        c->public_items[i].kind = c->items[i].kind;
        c->public_items[i].appends = c->items[i].appends;
        c->public_items[i].bytes = mock_buf_bytes(&c->items[i].bytes);
    }
    r->how = how;
    r->status = c->fate;
    r->detail = mock_buf_bytes(&c->detail);
    r->text = mock_buf_bytes(&c->text);
    r->structured = mock_buf_bytes(&c->structured);
    r->items = c->public_items;
    r->item_count = c->item_count;
    r->progress = c->progress;
    r->progress_count = c->progress_count;
    c->finished = true;
}

/* What is wrong with this end of a call, or NULL. */
static const char *bad_end(const struct mock_call *c, int32_t how, mf_bytes detail)
{
    if (how < MF_DONE || how > MF_NOT_FOUND)
        return "there is no such end";
    if (how == MF_TOOL_ERROR && c->kind != MF_TOOL)
        return "MF_TOOL_ERROR is for tools";
    if (how == MF_NOT_FOUND && c->kind != MF_RESOURCE)
        return "MF_NOT_FOUND is for resources";
    if (how == MF_NEED_INPUT && !is_object(detail))
        return "MF_NEED_INPUT needs a JSON object as detail";
    if (!mock_utf8_valid(detail))
        return "the detail is not UTF-8";
    return NULL;
}

static mf_status host_finish(const mf_host *host, mf_call call, int32_t how, mf_bytes detail)
{
    mf_mock *m = mock_of(host);
    mf_status status;
    pthread_mutex_lock(&m->lock);
    writable(m, call, "finish", &status);
    if (status != MF_ESTALE) {
        struct mock_call *c = mock_find(m, call);
        const char *bad = bad_end(c, how, detail);
        /* A bad end is an end all the same: the host would not wait for ever. */
        if (bad != NULL) {
            wrong(m, c, "finish", bad);
            how = MF_FAULT;
        }
        mock_buf_append(&c->detail, detail);
        publish(c, how);
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

static int32_t host_is_cancelled(const mf_host *host, mf_call call)
{
    mf_mock *m = mock_of(host);
    pthread_mutex_lock(&m->lock);
    const struct mock_call *c = mock_find(m, call);
    int32_t cancelled = c == NULL || c->finished || c->fate != MF_OK;
    pthread_mutex_unlock(&m->lock);
    return cancelled;
}

void mock_host_init(mf_mock *m)
{
    mf_host *h = &m->host;
    h->size = sizeof(*h);
    h->abi_minor = MF_ABI_MINOR;
    h->name = "mock";
    h->version = "0.0.0-mock";
    h->extension = host_extension;
    h->now = host_now;
    h->log = host_log;
    h->text = host_text;
    h->blob = host_blob;
    h->block = host_block;
    h->structured = host_structured;
    h->progress = host_progress;
    h->finish = host_finish;
    h->is_cancelled = host_is_cancelled;
}
