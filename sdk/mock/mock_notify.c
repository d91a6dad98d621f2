/* mock_notify.c - "manifold.notify/1": what a plugin says has changed, kept for the test. */
#include "mock_internal.h"

#include <manifold/notify.h>

#include <stdlib.h>

struct mock_notices {
    mf_mock_notice *notice;
    size_t count;
};

/* Under the lock. */
static void add(mf_mock *m, uint32_t kind, mf_bytes uri)
{
    if (m->notices == NULL)
        m->notices = mock_checked(calloc(1, sizeof(*m->notices)));
    struct mock_notices *n = m->notices;
    n->notice = mock_grow(n->notice, n->count, sizeof(*n->notice));
    n->notice[n->count++] = (mf_mock_notice){kind, {mock_copy(uri), uri.len}};
}

/* Under the lock. */
static mf_status refuse(mf_mock *m, const char *why)
{
    mock_mistake(m, "%s", why);
    return MF_EINVAL;
}

static mf_status notify_updated(const mf_host *host, mf_bytes uri)
{
    mf_mock *m = mock_of(host);
    mf_status s = MF_OK;
    pthread_mutex_lock(&m->lock);
    if (m->closed)
        mock_mistake(m, "resource_updated(): used after close()");
    if (uri.len == 0 || uri.len > MF_NOTIFY_URI_MAX || !mock_utf8_valid(uri))
        s = refuse(m, "resource_updated(): this is no URI of at most 2,048 bytes");
    else
        add(m, 0, uri);
    pthread_mutex_unlock(&m->lock);
    return s;
}

static mf_status notify_lists(const mf_host *host, uint32_t kind)
{
    mf_mock *m = mock_of(host);
    mf_status s = MF_OK;
    pthread_mutex_lock(&m->lock);
    if (m->closed)
        mock_mistake(m, "list_changed(): used after close()");
    if (kind < MF_TOOL || kind > MF_PROMPT)
        s = refuse(m, "list_changed(): expected MF_TOOL, MF_RESOURCE or MF_PROMPT");
    else
        add(m, kind, MF_LIT(""));
    pthread_mutex_unlock(&m->lock);
    return s;
}

const struct mf_notify mock_notify = {sizeof(mf_notify), 0, notify_updated, notify_lists};

void mock_notify_release(mf_mock *m)
{
    if (m->notices == NULL)
        return;
    for (size_t i = 0; i < m->notices->count; i++)
        free((char *)(uintptr_t)m->notices->notice[i].uri.data);
    free(m->notices->notice);
    free(m->notices);
}

/* ---- for tests ------------------------------------------------------------ */

size_t mf_mock_notices(mf_mock *m, const mf_mock_notice **ret)
{
    pthread_mutex_lock(&m->lock);
    size_t count = m->notices ? m->notices->count : 0;
    if (ret != NULL)
        *ret = m->notices ? m->notices->notice : NULL;
    pthread_mutex_unlock(&m->lock);
    return count;
}
