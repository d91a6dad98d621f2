#include "services/cache/wire.h"

enum { VERSION = 1 };

/* Most significant byte first. */
static void put(char *out, uint64_t n, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (char)(n >> 8 * (bytes - 1 - i));
}

static uint64_t get(const char *p, unsigned bytes)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < bytes; i++)
        n = n << 8 | (unsigned char)p[i];
    return n;
}

void wire_header(char out[WIRE_HEADER], const struct wire_value *v)
{
    out[0] = VERSION;
    put(out + 1, v->epoch, 8);
    put(out + 9, v->at, 4);
    put(out + 13, v->ttl_ms, 8);
}

bool wire_read(struct str stored, struct wire_value *ret)
{
    if (stored.n < WIRE_HEADER || stored.p[0] != VERSION)
        return false;
    *ret = (struct wire_value){.epoch = get(stored.p + 1, 8),
                               .at = (uint32_t)get(stored.p + 9, 4),
                               .ttl_ms = get(stored.p + 13, 8),
                               .bytes = {stored.p + WIRE_HEADER, stored.n - WIRE_HEADER}};
    return true;
}

uint64_t wire_epoch(struct str log)
{
    return log.n < WIRE_EPOCH ? 0 : get(log.p, WIRE_EPOCH);
}

bool wire_is_valid(struct str log, const struct wire_value *v, struct str key)
{
    if (!v->epoch || wire_epoch(log) != v->epoch || v->at < WIRE_EPOCH || v->at > log.n)
        return false;
    for (size_t at = v->at; at < log.n;) {
        if (log.n - at < WIRE_RECORD)
            return false;
        size_t n = get(log.p + at, WIRE_RECORD);
        at += WIRE_RECORD;
        if (log.n - at < n || str_starts(key, (struct str){log.p + at, n}))
            return false;
        at += n;
    }
    return true;
}

void wire_record(char out[WIRE_RECORD], struct str prefix)
{
    put(out, prefix.n, WIRE_RECORD);
}

void wire_message_head(char out[WIRE_MESSAGE], const struct wire_message *m)
{
    memcpy(out, m->sender, WIRE_SENDER);
    out[8] = VERSION;
    out[9] = m->prefix ? 'p' : m->crossed ? 'c' : 'k';
    out[10] = m->use == CACHE_RESULTS ? 'r' : 'v';
    out[11] = (char)m->name.n;
}

bool wire_message_read(struct str s, struct wire_message *ret)
{
    if (s.n < WIRE_MESSAGE || s.p[8] != VERSION || !memchr("pkc", s.p[9], 3) ||
        (s.p[10] != 'r' && s.p[10] != 'v'))
        return false;
    size_t name = (unsigned char)s.p[11], rest = s.n - WIRE_MESSAGE;
    if (name > rest || rest - name > CACHE_KEY_MAX)
        return false;
    memcpy(ret->sender, s.p, WIRE_SENDER);
    ret->prefix = s.p[9] == 'p';
    ret->crossed = s.p[9] == 'c';
    ret->use = s.p[10] == 'r' ? CACHE_RESULTS : CACHE_VALUES;
    ret->name = (struct str){s.p + WIRE_MESSAGE, name};
    ret->key = (struct str){s.p + WIRE_MESSAGE + name, rest - name};
    return true;
}
