/* A result as the cache keeps it:
 *
 *   "mfr1", who wrote it [8], when [8, ms of wall time], length of items [4], of structured [4],
 *   '[', items, ']', structured
 *
 * What this process wrote is taken as it is.  Another host's goes through the reader first, since
 * it is spliced into an answer: what is not JSON on one line is no result. */
#include "services/results/internal.h"

#include <time.h>

static const char magic[4] = {'m', 'f', 'r', '1'};
enum { AT_SELF = 4, AT_WHEN = 12, AT_ITEMS = 20, AT_STRUCTURED = 24, AT_BRACKET = 28 };

static void put(char *to, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (char)(v >> (8 * i));
}

static uint64_t get(const char *from, int bytes)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)(unsigned char)from[i] << (8 * i);
    return v;
}

/* Up to a tick of the kernel behind, which nobody sees in an age. */
static uint64_t wall_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int value_keep(struct results *r, struct cache_space *space, const struct buf *key,
               const struct outcome *o, uint64_t ttl, const struct cache_stamp *since)
{
    char head[VALUE_HEAD];
    memcpy(head, magic, sizeof(magic));
    memcpy(head + AT_SELF, r->self, sizeof(r->self));
    put(head + AT_WHEN, wall_ms(), 8);
    put(head + AT_ITEMS, o->items.n, 4);
    put(head + AT_STRUCTURED, o->structured.n, 4);
    head[AT_BRACKET] = '[';
    struct str piece[VALUE_PIECES] = {{head, sizeof(head)}, o->items, STR("]"), o->structured};
    return cache_set(space, key_kept(key), piece, VALUE_PIECES, ttl, since);
}

/* The wall clock may have been set: an age is never under 0 or over the time that is left. */
static void date(struct outcome_kept *kept, uint64_t when, uint64_t ttl)
{
    uint64_t now = wall_ms(), whole = ttl / 1000000;
    kept->age = now > when ? now - when : 0;
    if (kept->age > whole)
        kept->age = whole;
    kept->ttl = whole - kept->age;
}

static bool is_json_line(struct results *r, struct str text)
{
    static const struct json_limits limits = {
        .bytes = RESULTS_VALUE_MAX + 2, .depth = 65, .nodes = 1000000, .duplicates = false};
    struct json_error e;
    bool good = !memchr(text.p, '\n', text.n) && !memchr(text.p, '\r', text.n) &&
                json_read(&r->doc, text, &limits, &e) == 0;
    json_doc_trim(&r->doc, 64 * 1024);
    return good;
}

bool value_read(struct results *r, struct str bytes, uint64_t ttl, struct outcome *o,
                struct outcome_kept *kept)
{
    if (bytes.n < VALUE_HEAD || memcmp(bytes.p, magic, sizeof(magic)) != 0)
        return false;
    uint64_t items = get(bytes.p + AT_ITEMS, 4), structured = get(bytes.p + AT_STRUCTURED, 4);
    if (bytes.n != VALUE_HEAD + items + 1 + structured || bytes.p[AT_BRACKET] != '[' ||
        bytes.p[VALUE_HEAD + items] != ']')
        return false;
    struct str list = {bytes.p + AT_BRACKET, items + 2};
    struct str value = {structured ? bytes.p + VALUE_HEAD + items + 1 : NULL, structured};
    bool own = memcmp(bytes.p + AT_SELF, r->self, sizeof(r->self)) == 0;
    if (!own && (!is_json_line(r, list) || (value.n && !is_json_line(r, value))))
        return false;
    date(kept, get(bytes.p + AT_WHEN, 8), ttl);
    *o = (struct outcome){.end = CALL_DONE,
                          .items = {bytes.p + VALUE_HEAD, items},
                          .structured = value,
                          .kept = kept};
    return true;
}
