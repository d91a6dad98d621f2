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
/* One slot for so many bytes of the bound, one ghost for twice as many. */
enum { BYTES_PER_SLOT = 256 };

enum memory_queue { QUEUE_NONE, QUEUE_SMALL, QUEUE_MAIN };

struct memory {
    uint64_t max, small_max;
    uint64_t fixed; /* bytes of this and the tables */
    uint64_t bytes, small_bytes;
    uint64_t slots;             /* a power of two */
    struct memory_entry **slot; /* owned */
    struct ghosts ghosts;
    struct list small, main;       /* oldest first */
    uint64_t sweep_at, sweep_left; /* slots */
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
    m->slots = power_of_two(m->max / BYTES_PER_SLOT);
    m->slot = calloc(m->slots, sizeof(struct memory_entry *));
    if (!m->slot || !ghosts_init(&m->ghosts, m->slots / 2)) {
        free(m->slot);
        free(m);
        return NULL;
    }
    m->fixed = sizeof(*m) + m->slots * sizeof(*m->slot) + ghosts_bytes(&m->ghosts);
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

static struct memory_entry **slot_of(const struct memory *m, uint64_t hash)
{
    return &m->slot[hash & (m->slots - 1)];
}

static struct str key_of(const struct memory_entry *e)
{
    return (struct str){e->bytes, e->key_len};
}

static bool is_key(const struct memory_entry *e, const struct memory_key *k)
{
    return e->hash == k->hash && e->space == k->space && str_eq(key_of(e), k->key);
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
    struct memory_entry **at = slot_of(m, e->hash);
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    dequeue(m, e);
    m->count.entries--;
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
        ghosts_add(&m->ghosts, e->hash, m->count.entries);
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
    for (unsigned i = 0; m->bytes + need > m->max; i++) {
        if (i == EVICT_MAX || !m->count.entries)
            return false;
        bool small =
            !list_empty(&m->small) && (m->small_bytes > m->small_max || list_empty(&m->main));
        if ((!small || !evict_small(m, now, &rounds)) && !list_empty(&m->main))
            evict_main(m, now, &rounds);
    }
    return true;
}

/* With many entries each line of one is a miss of the processor's cache: they had better overlap.
 */
static void fetch(const struct memory_entry *e)
{
    enum { LINE = 64, LINES = 4 };
    for (int i = 1; e && i < LINES; i++)
        __builtin_prefetch((const char *)e + i * LINE);
}

/* --- what the owner calls --- */

struct memory_entry *memory_find(struct memory *m, const struct memory_key *k, uint64_t now)
{
    struct memory_entry *e = *slot_of(m, k->hash);
    fetch(e);
    while (e && !is_key(e, k))
        e = e->chain;
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
    *e = (struct memory_entry){.hash = k->hash,
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
    struct memory_key k = {e->space, key_of(e), e->hash};
    if (memory_is_stale(m, &k, order))
        return false;
    struct memory_entry *old = *slot_of(m, k.hash);
    while (old && !is_key(old, &k))
        old = old->chain;
    enum memory_queue where = QUEUE_SMALL;
    if (old) { /* a new value for a known key keeps its place */
        where = (enum memory_queue)old->where;
        e->hits = old->hits;
        unlink_entry(m, old);
    } else if (ghosts_take(&m->ghosts, k.hash, m->count.entries)) {
        where = QUEUE_MAIN;
    }
    e->order = order;
    struct memory_entry **slot = slot_of(m, e->hash);
    e->chain = *slot;
    *slot = e;
    enqueue(m, e, where);
    m->count.entries++;
    return true;
}

void memory_delete(struct memory *m, const struct memory_key *k)
{
    order_add_key(&m->order, k->hash);
    struct memory_entry *e = *slot_of(m, k->hash);
    while (e && !is_key(e, k))
        e = e->chain;
    if (e) {
        m->count.invalidated++;
        unlink_entry(m, e);
    }
}

void memory_delete_prefix(struct memory *m, uint32_t space, struct str prefix)
{
    order_add_prefix(&m->order, space, prefix);
    m->sweep_left = m->slots; /* once round, from where it stands */
}

void memory_delete_all(struct memory *m)
{
    order_add_all(&m->order);
    m->sweep_left = m->slots;
}

bool memory_sweep(struct memory *m, uint32_t slots, uint64_t now)
{
    if (!m->count.entries)
        m->sweep_left = 0;
    for (; slots && m->sweep_left; slots--, m->sweep_left--) {
        for (struct memory_entry *e = m->slot[m->sweep_at], *next; e; e = next) {
            next = e->chain;
            bury(m, e, now);
        }
        m->sweep_at = (m->sweep_at + 1) & (m->slots - 1);
    }
    return m->sweep_left > 0;
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
    ret->bytes = m->bytes;
}

void memory_close(struct memory *m)
{
    for (uint64_t i = 0; m->count.entries && i < m->slots; i++) {
        while (m->slot[i])
            unlink_entry(m, m->slot[i]);
    }
    free(m->slot);
    ghosts_release(&m->ghosts);
    free(m);
}

const char *memory_check(const struct memory *m)
{
    uint64_t small = 0, in_small = 0, in_main = 0, linked = 0;
    list_each (it, &m->small) {
        struct memory_entry *e = container_of(it, struct memory_entry, queue);
        small += cost(e);
        in_small++;
        if (e->where != QUEUE_SMALL)
            return "an entry of the small queue says otherwise";
    }
    list_each (it, &m->main) {
        struct memory_entry *e = container_of(it, struct memory_entry, queue);
        in_main++;
        if (e->where != QUEUE_MAIN)
            return "an entry of the main queue says otherwise";
    }
    uint64_t bytes = m->fixed;
    for (uint64_t i = 0; i < m->slots; i++) {
        for (struct memory_entry *e = m->slot[i]; e; e = e->chain) {
            linked++;
            bytes += cost(e);
            if (slot_of(m, e->hash) != &m->slot[i])
                return "an entry hangs in another slot than its hash says";
        }
    }
    if (small != m->small_bytes)
        return "the small queue's bytes are not the sum of its entries'";
    if (in_small + in_main != m->count.entries || linked != m->count.entries)
        return "table and queues do not hold the same number of entries";
    if (bytes > m->bytes)
        return "there are more bytes than are counted";
    if (m->bytes > m->max)
        return "there are more bytes than the bound";
    return NULL;
}
