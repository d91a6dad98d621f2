/* host/services/redis/reply.h - replies of Redis, read by hiredis' reader into memory that is
 * reused.
 *
 * hiredis' own objects would be one allocation for each value, and as many as the other side likes
 * to announce; here a reply is one level of at most REPLY_NODES values, and what is longer or
 * deeper is an error of the connection.
 *
 * Thread: the owner's. */
#ifndef MANIFOLD_SERVICES_REDIS_REPLY_H
#define MANIFOLD_SERVICES_REDIS_REPLY_H

#include "base/buf.h"
#include "base/err.h"

/* A reply has at most so many values in it, and so many bytes. */
enum { REPLY_NODES = 8, REPLY_BYTES = (4 << 20) + (64 << 10) };

enum reply_type {
    REPLY_NIL,
    REPLY_INTEGER,
    REPLY_STRING, /* and status */
    REPLY_ERROR,
    REPLY_ARRAY
};

struct reply {
    enum reply_type type;
    int64_t integer;   /* REPLY_INTEGER */
    struct str str;    /* REPLY_STRING, REPLY_ERROR */
    uint32_t elements; /* REPLY_ARRAY; they follow this one */
};

struct reply_reader;

/* NULL: no memory. */
struct reply_reader *reply_reader_new(void);
void reply_reader_free(struct reply_reader *r);
/* Takes bytes in.  0, or negative errno with the sentence. */
int reply_reader_feed(struct reply_reader *r, const char *bytes, size_t n, struct err *e);
/* The next whole reply, borrowed until the next call; NULL: there is none yet (0), or what came is
 * no reply (negative errno, the sentence): the connection is of no use any more. */
const struct reply *reply_reader_next(struct reply_reader *r, int *ret, struct err *e);

/* The error's code ("OOM", "READONLY") if it is one that Redis is known for, else "an error": the
 * text behind it may repeat keys, values or a password, and goes nowhere. */
const char *reply_error_code(const struct reply *r);
bool reply_is_ok(const struct reply *r, struct str expected);

#endif
