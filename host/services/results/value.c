/* A result as the cache keeps it:
 *
 *   "mfr2", length of items [4], of structured [4], '[', items, ']', structured
 *
 * What this process wrote, and what it has looked at, is taken as it is.  What came from Redis goes
 * through the reader first, since it is spliced into an answer: what is not JSON on one line is no
 * result. */
#include "services/results/internal.h"

static const char magic[4] = {'m', 'f', 'r', '2'};
enum { AT_ITEMS = 4, AT_STRUCTURED = 8, AT_BRACKET = 12 };

static void put(char *to, uint64_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (char)(v >> (8 * i));
}

static uint64_t get(const char *from)
{
    uint64_t v = 0;
    for (int i = 0; i < 4; i++)
        v |= (uint64_t)(unsigned char)from[i] << (8 * i);
    return v;
}

int value_keep(struct cache_space *space, const struct buf *key, const struct outcome *o,
               uint64_t ttl, const struct cache_stamp *since)
{
    char head[VALUE_HEAD];
    memcpy(head, magic, sizeof(magic));
    put(head + AT_ITEMS, o->items.n);
    put(head + AT_STRUCTURED, o->structured.n);
    head[AT_BRACKET] = '[';
    struct str piece[VALUE_PIECES] = {{head, sizeof(head)}, o->items, STR("]"), o->structured};
    return cache_set(space, key_kept(key), piece, VALUE_PIECES, ttl, since);
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

bool value_read(struct results *r, const struct cache_value *v, uint64_t ttl, struct outcome *o,
                struct outcome_kept *kept)
{
    struct str bytes = v->bytes;
    if (bytes.n < VALUE_HEAD || memcmp(bytes.p, magic, sizeof(magic)) != 0)
        return false;
    uint64_t items = get(bytes.p + AT_ITEMS), structured = get(bytes.p + AT_STRUCTURED);
    if (bytes.n != VALUE_HEAD + items + 1 + structured || bytes.p[AT_BRACKET] != '[' ||
        bytes.p[VALUE_HEAD + items] != ']')
        return false;
    struct str list = {bytes.p + AT_BRACKET, items + 2};
    struct str value = {structured ? bytes.p + VALUE_HEAD + items + 1 : NULL, structured};
    if (v->foreign) {
        if (!is_json_line(r, list) || (value.n && !is_json_line(r, value)))
            return false;
        cache_vouch(v);
    }
    /* Whoever set it may have had another ttl. */
    kept->ttl = (v->left < ttl ? v->left : ttl) / 1000000;
    kept->age = ttl / 1000000 - kept->ttl;
    *o = (struct outcome){.end = CALL_DONE,
                          .items = {bytes.p + VALUE_HEAD, items},
                          .structured = value,
                          .kept = kept};
    return true;
}
