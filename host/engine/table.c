/* Slots for calls, in chunks that never move, so that a handle can be looked up
 * by any thread without a lock on the table; the generation makes a stale
 * handle an ordinary error. */
#include "engine/internal.h"

#include <stdatomic.h>
#include <stdlib.h>

/* Buffers that free slots may keep for the next call: page faults of fresh
 * memory cost more than the copying, but idle memory counts.
 * (docs/internals/engine.md, Slots) */
enum { KEEP_SMALL = 2048, KEEP_TOTAL = 3 * 1024 * 1024 };

static bool table_grow(struct engine *en)
{
    struct call_table *t = &en->calls;
    if (t->slots >= t->max || t->slots / CHUNK >= MAX_CHUNKS)
        return false;
    if (!deadlines_reserve(en, t->slots + CHUNK))
        return false;
    struct call *chunk = calloc(CHUNK, sizeof(*chunk));
    if (!chunk)
        return false;
    for (uint32_t i = CHUNK; i-- > 0;) {
        struct call *c = &chunk[i];
        pthread_mutex_init(&c->lock, NULL);
        c->slot = t->slots + i;
        c->generation = 1;
        c->engine = en;
        call_posts_init(c);
        list_init(&c->ops);
        c->next_free = t->free;
        t->free = c;
    }
    atomic_store_explicit(&t->chunk[t->slots / CHUNK], chunk, memory_order_release);
    t->slots += CHUNK;
    return true;
}

static size_t slot_bytes(const struct call *c)
{
    return c->input.cap + c->result.items.cap + c->result.structured.cap;
}

struct call *table_take(struct engine *en)
{
    struct call_table *t = &en->calls;
    if (t->used >= t->max || (!t->free && !table_grow(en)))
        return NULL;
    struct call *c = t->free;
    t->free = c->next_free;
    t->used++;
    t->kept -= slot_bytes(c);
    return c;
}

void table_give(struct engine *en, struct call *c)
{
    struct call_table *t = &en->calls;
    struct result *r = &c->result;
    size_t bytes = slot_bytes(c);
    size_t keep = bytes > KEEP_SMALL && t->kept + bytes > KEEP_TOTAL ? 0 : SIZE_MAX;
    buf_clear(&c->input, keep);
    buf_clear(&r->items, keep);
    buf_clear(&r->structured, keep);
    t->kept += slot_bytes(c);
    r->text_open = r->blob_open = r->over = r->no_memory = r->structured_bad = false;
    r->carried = 0;
    free(c->trace);
    c->trace = NULL;
    pthread_mutex_lock(&c->lock);
    c->generation++;
    c->state = SLOT_FREE;
    pthread_mutex_unlock(&c->lock);
    /* Last in, first out: the slot whose memory is warm is the next one taken. */
    c->next_free = t->free;
    t->free = c;
    t->used--;
}

void table_release(struct engine *en)
{
    struct call_table *t = &en->calls;
    for (uint32_t i = 0; i < t->slots; i++) {
        struct call *c = &t->chunk[i / CHUNK][i % CHUNK];
        free(c->trace);
        buf_release(&c->input);
        buf_release(&c->result.items);
        buf_release(&c->result.structured);
        pthread_mutex_destroy(&c->lock);
    }
    for (uint32_t i = 0; i < t->slots / CHUNK; i++)
        free(t->chunk[i]);
}

mf_call call_handle(const struct call *c)
{
    return (mf_call)c->generation << 32 | (c->slot + 1);
}

struct call *call_lock_of(struct engine *en, const struct instance *in, mf_call handle)
{
    uint32_t slot = (uint32_t)handle - 1;
    if ((uint32_t)handle == 0 || slot / CHUNK >= MAX_CHUNKS)
        return NULL;
    struct call *chunk = atomic_load_explicit(&en->calls.chunk[slot / CHUNK], memory_order_acquire);
    if (!chunk)
        return NULL;
    struct call *c = &chunk[slot % CHUNK];
    pthread_mutex_lock(&c->lock);
    if (c->generation == (uint32_t)(handle >> 32) && c->state != SLOT_FREE &&
        c->state != SLOT_QUEUED && c->instance == in)
        return c;
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

struct call *call_lock(struct instance *in, mf_call handle)
{
    return call_lock_of(in->engine, in, handle);
}
