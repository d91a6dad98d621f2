#include "services/redis/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <hiredis/read.h>

/* The reader's buffer is made anew once it is empty and this much has gone through it. */
enum { RENEW_BYTES = 256 << 10 };

struct reply_reader {
    redisReader *reader;
    struct buf text; /* of all strings of the reply that is being read */
    struct reply node[REPLY_NODES];
    size_t at[REPLY_NODES]; /* where in text a node's string begins */
    uint32_t nodes;
    size_t fed;   /* bytes since the reader was made */
    bool refused; /* by the functions below, which can only say NULL */
};

/* The reader knows only that NULL means failure; and no object may be NULL. */
static struct reply *add(const redisReadTask *task, enum reply_type type)
{
    struct reply_reader *r = task->privdata;
    if (!task->parent) {
        r->nodes = 0;
        buf_clear(&r->text, RENEW_BYTES);
    }
    if (r->nodes == REPLY_NODES || (task->parent && task->parent->parent)) {
        r->refused = true;
        return NULL;
    }
    r->at[r->nodes] = r->text.len;
    r->node[r->nodes] = (struct reply){.type = type};
    return &r->node[r->nodes++];
}

static void *create_string(const redisReadTask *task, char *p, size_t n)
{
    struct reply_reader *r = task->privdata;
    struct reply *node = add(task, task->type == REDIS_REPLY_ERROR ? REPLY_ERROR : REPLY_STRING);
    if (!node || buf_append(&r->text, p, n))
        return NULL;
    node->str.n = n;
    return node;
}

static void *create_array(const redisReadTask *task, int elements)
{
    struct reply_reader *r = task->privdata;
    if (elements >= REPLY_NODES) {
        r->refused = true;
        return NULL;
    }
    struct reply *node = add(task, REPLY_ARRAY);
    if (node)
        node->elements = (uint32_t)elements;
    return node;
}

static void *create_integer(const redisReadTask *task, long long value)
{
    struct reply *node = add(task, REPLY_INTEGER);
    if (node)
        node->integer = value;
    return node;
}

static void *create_nil(const redisReadTask *task)
{
    return add(task, REPLY_NIL);
}

static void free_object(void *object)
{
    (void)object;
}

static redisReplyObjectFunctions functions = {create_string, create_array, create_integer,
                                              create_nil, free_object};

static bool renew(struct reply_reader *r)
{
    redisReader *fresh = redisReaderCreateWithFunctions(&functions);
    if (!fresh)
        return false;
    fresh->privdata = r;
    fresh->maxbuf = 0; /* its own way of giving memory back ends in an assertion without any */
    if (r->reader)
        redisReaderFree(r->reader);
    r->reader = fresh;
    r->fed = 0;
    return true;
}

struct reply_reader *reply_reader_new(void)
{
    struct reply_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    buf_init(&r->text, REPLY_BYTES);
    if (!renew(r)) {
        free(r);
        return NULL;
    }
    return r;
}

void reply_reader_free(struct reply_reader *r)
{
    if (!r)
        return;
    redisReaderFree(r->reader);
    buf_release(&r->text);
    free(r);
}

static int explain(const struct reply_reader *r, struct err *e)
{
    if (r->refused)
        return err_set(e, -EPROTO, "expected a reply of at most %d values, found more",
                       REPLY_NODES);
    if (r->reader->err == REDIS_ERR_OOM)
        return err_set(e, -ENOMEM, "expected memory for a reply, found none");
    return err_set(e, -EPROTO, "expected a reply of Redis, found something else");
}

int reply_reader_feed(struct reply_reader *r, const char *bytes, size_t n, struct err *e)
{
    redisReader *reader = r->reader;
    bool empty = reader->pos == reader->len && reader->ridx == -1;
    if (empty && r->fed > RENEW_BYTES && !renew(r))
        return err_set(e, -ENOMEM, "expected memory for a reply, found none");
    reader = r->reader;
    if (reader->len - reader->pos + n > REPLY_BYTES)
        return err_set(e, -EPROTO, "expected a reply of at most %d bytes, found more", REPLY_BYTES);
    r->fed += n;
    return redisReaderFeed(reader, bytes, n) == REDIS_OK ? 0 : explain(r, e);
}

const struct reply *reply_reader_next(struct reply_reader *r, int *ret, struct err *e)
{
    void *object;
    *ret = redisReaderGetReply(r->reader, &object) == REDIS_OK ? 0 : explain(r, e);
    if (*ret || !object)
        return NULL;
    for (uint32_t i = 0; i < r->nodes; i++)
        r->node[i].str.p = r->text.data + (r->text.data ? r->at[i] : 0);
    return r->node;
}

const char *reply_error_code(const struct reply *r)
{
    static const char *const known[] = {"NOAUTH",    "WRONGPASS",  "NOPERM",    "READONLY",
                                        "MISCONF",   "MASTERDOWN", "LOADING",   "CLUSTERDOWN",
                                        "MOVED",     "ASK",        "OOM",       "BUSY",
                                        "WRONGTYPE", "NOREPLICAS", "EXECABORT", "ERR"};
    for (size_t i = 0; r->type == REPLY_ERROR && i < sizeof(known) / sizeof(known[0]); i++) {
        size_t n = strlen(known[i]);
        if (r->str.n >= n && !memcmp(r->str.p, known[i], n) &&
            (r->str.n == n || r->str.p[n] == ' '))
            return known[i];
    }
    return "an error";
}

bool reply_is_ok(const struct reply *r, struct str expected)
{
    return r->type == REPLY_STRING && str_eq(r->str, expected);
}
