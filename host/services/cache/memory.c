/* S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): new keys go
 * through a small queue, a tenth of the bytes, and only those that are asked for again there reach
 * the main one, where an entry that was hit goes round once more.  Keys that were evicted from the
 * small queue are remembered as fingerprints (the ghosts) and go to the main one when they come
 * back.  So a scan passes through the small queue and leaves the main one alone, and a hit writes a
 * byte, where LRU would move the entry.
 *
 * Work of one call is bounded: after EVICT_MAX steps it gives up, and after SECOND_MAX entries
 * were spared for their hits, the next one goes whatever its hits are. */
#include "services/cache/memory.h"

#include <stdlib.h>
#include "base/bug.h"
#include "base/map.h"
#include "services/cache/ghosts.h"
#include "services/cache/order.h"

enum { EVICT_MAX = 16384, SECOND_MAX = 64, HITS_MAX = 3 };
/* One slot for so many bytes of the bound, one ghost for four times as many. */
enum { BYTES_PER_SLOT = 128 };

enum memory_queue { QUEUE_NONE, QUEUE_SMALL, QUEUE_MAIN };

struct memory {
    uint64_t max, small_max;
    uint64_t fixed; /* bytes of this and the tables */
    uint64_t bytes, small_bytes;
    struct slots slots;
    struct ghosts ghosts;
    struct list small, main; /* oldest first */
    struct list *sweep_at;   /* the next to look at, or the head of a queue; NULL: at rest */
    struct memory_counters count;
    struct order order;
};

/* What malloc() takes for it: its header and the rounding counted. */
static uint64_t cost_of(size_t key, size_t value)
{
    return (sizeof(struct memory_entry) + key + value + sizeof(size_t) + 15) & ~UINT64_C(15);
}

static uint64_t cost(const struct memory_entry *e)
{
    return cost_of(e->key_len, e->value_len);
}

static uint64_t power_of_two(uint64_t n)
{
    uint64_t p = 1;
    while (p * 2 <= n)
        p *= 2;
    return p;
}

struct memory *memory_open(uint64_t bytes)
{
    struct memory *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->max = bytes < MEMORY_MIN ? MEMORY_MIN : bytes;
    uint64_t slots = power_of_two(m->max / BYTES_PER_SLOT);
    if (!slots_init(&m->slots, slots) || !ghosts_init(&m->ghosts, slots / 4)) {
        slots_release(&m->slots);
        free(m);
        return NULL;
    }
    m->fixed = sizeof(*m) + slots_bytes(&m->slots) + ghosts_bytes(&m->ghosts);
    m->bytes = m->fixed;
    m->small_max = (m->max - m->fixed) / 10;
    list_init(&m->small);
    list_init(&m->main);
    return m;
}

struct memory_key memory_key(uint32_t space, struct str key)
{
    /* The space goes in behind the key's own hash, which nobody outside can predict. */
    uint64_t h = (str_hash(key) + space) * UINT64_C(0x9e3779b97f4a7c15);
    return (struct memory_key){space, key, h ^ (h >> 32)};
}

static struct str key_of(const struct memory_entry *e)
{
    return (struct str){e->bytes, e->key_len};
}

/* With many entries each line of one is a miss of the processor's cache: they had better overlap.
 */
static void fetch(const struct memory_entry *e)
{
    enum { LINE = 64, LINES = 4 };
    for (int i = 1; i < LINES; i++)
        __builtin_prefetch((const char *)e + i * LINE);
}

static struct memory_entry *look_up(const struct memory *m, const struct memory_key *k)
{
    uint64_t at = k->hash;
    for (struct slots_node *n; (n = slots_next(&m->slots, k->hash, &at));) {
        struct memory_entry *e = container_of(n, struct memory_entry, node);
        fetch(e);
        if (n->hash == k->hash && e->space == k->space && str_eq(key_of(e), k->key))
            return e;
    }
    return NULL;
}

/* --- queues --- */

static void enqueue(struct memory *m, struct memory_entry *e, enum memory_queue where)
{
    e->where = (uint8_t)where;
    if (where == QUEUE_SMALL)
        m->small_bytes += cost(e);
    list_append(where == QUEUE_SMALL ? &m->small : &m->main, &e->queue);
}

static void dequeue(struct memory *m, struct memory_entry *e)
{
    if (e->where == QUEUE_SMALL)
        m->small_bytes -= cost(e);
    e->where = QUEUE_NONE;
    if (m->sweep_at == &e->queue)
        m->sweep_at = e->queue.next;
    list_remove(&e->queue);
}

static void discard(struct memory *m, struct memory_entry *e)
{
    m->bytes -= cost(e);
    free(e);
}

/* Nobody finds it any more; its memory goes with the last pin. */
static void unlink_entry(struct memory *m, struct memory_entry *e)
{
    slots_remove(&m->slots, &e->node);
    dequeue(m, e);
    if (!e->pins)
        discard(m, e);
}

static bool is_alive(const struct memory *m, struct memory_entry *e)
{
    if (order_has_prefix(&m->order, e->space, key_of(e), e->order))
        return false;
    e->order = m->order.newest > e->order ? m->order.newest : e->order;
    return true;
}

/* Takes the entry out if it is dead. */
static bool bury(struct memory *m, struct memory_entry *e, uint64_t now)
{
    if (e->expires <= now)
        m->count.expired++;
    else if (!is_alive(m, e))
        m->count.invalidated++;
    else
        return false;
    unlink_entry(m, e);
    return true;
}

static void go_round(struct memory *m, struct memory_entry *e, enum memory_queue where)
{
    dequeue(m, e);
    enqueue(m, e, where);
}

/* One step towards more room.  False: what is next there is pinned, its memory would not come back.
 */
static bool evict_small(struct memory *m, uint64_t now, unsigned *rounds)
{
    struct memory_entry *e = container_of(m->small.next, struct memory_entry, queue);
    if (bury(m, e, now))
        return true;
    if (e->pins) {
        go_round(m, e, QUEUE_SMALL);
        return false;
    }
    if (e->hits > 1 && *rounds < SECOND_MAX) {
        ++*rounds;
        e->hits = 0;
        go_round(m, e, QUEUE_MAIN);
    } else {
        ghosts_add(&m->ghosts, e->node.hash, m->slots.count);
        m->count.evictions++;
        unlink_entry(m, e);
    }
    return true;
}

static void evict_main(struct memory *m, uint64_t now, unsigned *rounds)
{
    struct memory_entry *e = container_of(m->main.next, struct memory_entry, queue);
    if (bury(m, e, now))
        return;
    if (e->pins || (e->hits && *rounds < SECOND_MAX)) {
        ++*rounds;
        e->hits -= e->hits > 0;
        go_round(m, e, QUEUE_MAIN);
    } else {
        m->count.evictions++;
        unlink_entry(m, e);
    }
}

static bool make_room(struct memory *m, uint64_t need, uint64_t now)
{
    unsigned rounds = 0;
    for (unsigned i = 0; m->bytes + need > m->max || m->slots.count >= slots_max(&m->slots); i++) {
        if (i == EVICT_MAX || !m->slots.count)
            return false;
        bool small =
            !list_empty(&m->small) && (m->small_bytes > m->small_max || list_empty(&m->main));
        if ((!small || !evict_small(m, now, &rounds)) && !list_empty(&m->main))
            evict_main(m, now, &rounds);
    }
    return true;
}

/* --- what the owner calls --- */

void memory_expect(const struct memory *m, const struct memory_key *k)
{
    slots_expect(&m->slots, k->hash);
}

struct memory_entry *memory_find(struct memory *m, const struct memory_key *k, uint64_t now)
{
    struct memory_entry *e = look_up(m, k);
    if (!e || bury(m, e, now))
        return NULL;
    e->hits += e->hits < HITS_MAX;
    return e;
}

void memory_pin(struct memory_entry *e)
{
    e->pins++;
}

void memory_unpin(struct memory *m, struct memory_entry *e)
{
    BUG_ON(!e->pins);
    if (--e->pins == 0 && e->where == QUEUE_NONE)
        discard(m, e);
}

struct memory_entry *memory_make(struct memory *m, const struct memory_key *k, size_t value,
                                 uint64_t expires, uint64_t now)
{
    BUG_ON(k->key.n > MEMORY_KEY_MAX);
    uint64_t need = cost_of(k->key.n, value);
    struct memory_entry *e = NULL;
    if (value <= UINT32_MAX && need <= (m->max - m->fixed) / 8 && make_room(m, need, now))
        e = malloc(sizeof(*e) + k->key.n + value);
    if (!e) {
        m->count.refused++;
        return NULL;
    }
    *e = (struct memory_entry){.node = {k->hash},
                               .expires = expires,
                               .space = k->space,
                               .value_len = (uint32_t)value,
                               .key_len = (uint16_t)k->key.n,
                               .pins = 1};
    if (k->key.n)
        memcpy(e->bytes, k->key.p, k->key.n);
    m->bytes += need;
    return e;
}

bool memory_put(struct memory *m, struct memory_entry *e, uint64_t order)
{
    struct memory_key k = {e->space, key_of(e), e->node.hash};
    if (memory_is_stale(m, &k, order))
        return false;
    struct memory_entry *old = look_up(m, &k);
    enum memory_queue where = QUEUE_SMALL;
    if (!old && m->slots.count >= slots_max(&m->slots))
        return false;
    if (old) { /* a new value for a known key keeps its place */
        where = (enum memory_queue)old->where;
        e->hits = old->hits;
        unlink_entry(m, old);
    } else if (ghosts_take(&m->ghosts, k.hash, m->slots.count)) {
        where = QUEUE_MAIN;
    }
    e->order = order;
    slots_add(&m->slots, &e->node);
    enqueue(m, e, where);
    return true;
}

void memory_delete(struct memory *m, const struct memory_key *k)
{
    order_add_key(&m->order, k->hash);
    struct memory_entry *e = look_up(m, k);
    if (e) {
        m->count.invalidated++;
        unlink_entry(m, e);
    }
}

void memory_delete_prefix(struct memory *m, uint32_t space, struct str prefix)
{
    order_add_prefix(&m->order, space, prefix);
    m->sweep_at = m->small.next;
}

void memory_delete_all(struct memory *m)
{
    order_add_all(&m->order);
    m->sweep_at = m->small.next;
}

/* The small queue, then the main one: what moves on meanwhile is met there. */
bool memory_sweep(struct memory *m, uint32_t entries, uint64_t now)
{
    for (; m->sweep_at && entries; entries--) {
        struct list *at = m->sweep_at;
        if (at == &m->small) {
            m->sweep_at = m->main.next;
        } else if (at == &m->main) {
            m->sweep_at = NULL;
        } else {
            m->sweep_at = at->next;
            bury(m, container_of(at, struct memory_entry, queue), now);
        }
    }
    return m->sweep_at != NULL;
}

uint64_t memory_number(const struct memory *m)
{
    return m->order.last;
}

bool memory_is_stale(const struct memory *m, const struct memory_key *k, uint64_t order)
{
    return order_has_key(&m->order, k->hash, order) ||
           order_has_prefix(&m->order, k->space, k->key, order);
}

void memory_count(const struct memory *m, struct memory_counters *ret)
{
    *ret = m->count;
    ret->entries = m->slots.count;
    ret->bytes = m->bytes;
}

static void empty(struct memory *m, struct list *queue)
{
    while (!list_empty(queue))
        unlink_entry(m, container_of(queue->next, struct memory_entry, queue));
}

void memory_close(struct memory *m)
{
    empty(m, &m->small);
    empty(m, &m->main);
    slots_release(&m->slots);
    ghosts_release(&m->ghosts);
    free(m);
}

/* Bytes of a queue's entries; *ret_found: how many there are, of those that look_up() finds. */
static uint64_t add_up(const struct memory *m, const struct list *queue, enum memory_queue where,
                       uint64_t *ret_found)
{
    uint64_t bytes = 0;
    list_each (it, queue) {
        const struct memory_entry *e = container_of(it, struct memory_entry, queue);
        struct memory_key k = {e->space, key_of(e), e->node.hash};
        bytes += cost(e);
        *ret_found += e->where == where && look_up(m, &k) == e;
    }
    return bytes;
}

const char *memory_check(const struct memory *m)
{
    uint64_t found = 0, small = add_up(m, &m->small, QUEUE_SMALL, &found);
    uint64_t bytes = m->fixed + small + add_up(m, &m->main, QUEUE_MAIN, &found);
    if (small != m->small_bytes)
        return "the small queue's bytes are not the sum of its entries'";
    if (found != m->slots.count || !slots_check(&m->slots))
        return "table and queues do not hold the same entries";
    if (bytes > m->bytes)
        return "there are more bytes than are counted";
    if (m->bytes > m->max)
        return "there are more bytes than the bound";
    return NULL;
}
