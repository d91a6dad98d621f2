/* host/services/cache/wire.h - what the cache keeps in Redis and tells the other hosts.
 *
 *   NS:v:NAME:KEY   a value (r for v: a result): header, then the bytes; PX its time
 *   NS:lv:NAME      the space's log (lr: of results): its epoch, eight random bytes, and behind it
 *                   each prefix that was invalidated, with its length in front; no time
 *   NS:invalidate   the channel: who says it, key or prefix or crossed key, which space
 *
 * A value's header holds the epoch and the length of the log as they were known when the value was
 * made.  It is valid while the log has that epoch and nothing behind that length concerns its key.
 * So one APPEND invalidates a prefix for all hosts at once, whatever is stored under it, and a log
 * that is lost, evicted or deleted invalidates its space. */
#ifndef MANIFOLD_SERVICES_CACHE_WIRE_H
#define MANIFOLD_SERVICES_CACHE_WIRE_H

#include "services/cache/cache.h"

enum { WIRE_EPOCH = 8, WIRE_HEADER = 21, WIRE_RECORD = 2, WIRE_SENDER = 8, WIRE_MESSAGE = 12 };

struct wire_value {
    uint64_t epoch;
    uint32_t at;
    uint64_t ttl_ms; /* that it was stored with */
    struct str bytes;
};

void wire_header(char out[WIRE_HEADER], const struct wire_value *v);
/* False: it is none of ours. */
bool wire_read(struct str stored, struct wire_value *ret);

/* What a log says of its epoch; 0: it is no log. */
uint64_t wire_epoch(struct str log);
/* Is a value with this header and key still valid by this log? */
bool wire_is_valid(struct str log, const struct wire_value *v, struct str key);
/* The record's head; the prefix goes behind it. */
void wire_record(char out[WIRE_RECORD], struct str prefix);

struct wire_message {
    char sender[WIRE_SENDER];
    bool prefix;  /* else a key */
    bool crossed; /* a key, deleted by who may have set it after a delete: it is not said again */
    enum cache_use use;
    struct str name, key; /* borrowed */
};
/* The head; name and key go behind it. */
void wire_message_head(char out[WIRE_MESSAGE], const struct wire_message *m);
bool wire_message_read(struct str payload, struct wire_message *ret);

#endif
