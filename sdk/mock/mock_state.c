/* mock_state.c - "manifold.state/1" and the hand-over from one generation to the next. */
#include "mock_internal.h"
#include <manifold/state.h>

#include <string.h>

enum { STATE_MAX = 16 << 20 };

/* The plugin's, or NULL; notes what is wrong with it. */
static const mf_state *state_of(mf_mock *m)
{
    const mf_state *s =
        m->plugin->extension && m->self ? m->plugin->extension(m->self, MF_EXT_STATE) : NULL;
    if (s == NULL)
        return NULL;
    pthread_mutex_lock(&m->lock);
    if (!MF_HAS(s, restore))
        mock_mistake(m, MF_EXT_STATE " is smaller than it began with: is its `size` set?");
    else if (s->flags != 0)
        mock_mistake(m, MF_EXT_STATE " has a flag that state.h has not");
    pthread_mutex_unlock(&m->lock);
    return MF_HAS(s, restore) ? s : NULL;
}

static mf_status write_state(void *arg, mf_bytes bytes)
{
    mf_mock *m = arg;
    mf_status status = MF_OK;
    pthread_mutex_lock(&m->lock);
    if (!m->saving) {
        mock_mistake(m, "write(): used after save()");
        status = MF_ESTALE;
    } else if (bytes.len > STATE_MAX - m->saved.len) {
        m->saved_over = true;
        status = MF_ELIMIT;
    } else {
        mock_buf_append(&m->saved, bytes);
    }
    pthread_mutex_unlock(&m->lock);
    return status;
}

mf_status mock_state_save(mf_mock *m)
{
    const mf_state *s = state_of(m);
    if (s == NULL || s->save == NULL)
        return MF_OK;
    pthread_mutex_lock(&m->lock);
    m->saving = true;
    m->saved_over = false;
    m->saved.len = 0;
    pthread_mutex_unlock(&m->lock);
    mf_status status = s->save(m->self, write_state, m);
    pthread_mutex_lock(&m->lock);
    m->saving = false;
    if (m->saved_over && status == MF_OK)
        status = MF_ELIMIT;
    if (status != MF_OK)
        m->saved.len = 0;
    pthread_mutex_unlock(&m->lock);
    return status;
}

mf_bytes mf_mock_saved(const mf_mock *m)
{
    return mock_buf_bytes(&m->saved);
}

mf_status mf_mock_restore(mf_mock *m, mf_bytes state)
{
    if (!m->open || m->call_count > 0)
        return MF_EINVAL;
    const mf_state *s = state.len > 0 ? state_of(m) : NULL;
    if (s == NULL || s->restore == NULL)
        return MF_OK;
    mf_bytes lent = mock_lend_bytes(state);
    mf_status status = s->restore(m->self, lent);
    mock_take_back(lent);
    return status;
}

mf_status mf_mock_hand_over(mf_mock *from, mf_mock *to, const char *config, uint32_t ms)
{
    if (from == to || !from->open || to->open || to->call_count > 0)
        return MF_EINVAL;
    from->hands_over = true;
    mf_status closed = mf_mock_close(from, ms);
    from->hands_over = false;
    if (closed != MF_OK)
        return closed;
    mf_status opened = mf_mock_open(to, config);
    if (opened != MF_OK)
        return opened;
    mf_status restored = mf_mock_restore(to, mf_mock_saved(from));
    return from->save_status != MF_OK ? from->save_status : restored;
}
