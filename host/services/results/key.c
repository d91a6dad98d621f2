#include "services/results/internal.h"

#include <nettle/sha2.h>
#include "json/canonical.h"

size_t key_max(void)
{
    return KEY_MAX + RESULTS_ARGS_MAX;
}

/* What stands from `from` on gives way to its digest. */
static void digest(struct buf *b, size_t from)
{
    struct sha256_ctx sha;
    uint8_t out[SHA256_DIGEST_SIZE];
    sha256_init(&sha);
    sha256_update(&sha, b->len - from, (const uint8_t *)b->data + from);
    sha256_digest(&sha, sizeof(out), out);
    b->len = from;
    buf_append(b, out, sizeof(out));
}

/* The subject stands behind a head that is still to be filled in; `kind` in small letters. */
static void close_subject(struct buf *b, size_t head, char kind)
{
    bool whole = b->len - head - KEY_HEAD <= KEY_SUBJECT_MAX;
    if (!whole)
        digest(b, head + KEY_HEAD);
    uint32_t n = (uint32_t)(b->len - head - KEY_HEAD);
    b->data[head] = (char)(whole ? kind : kind - 'a' + 'A');
    for (int i = 0; i < 4; i++)
        b->data[head + 1 + (size_t)i] = (char)(n >> (8 * i));
}

static void put_arguments(struct buf *b, const struct json_doc *d, json_ref args)
{
    if (args && !json_is(d, args, JSON_NULL))
        json_write_canonical(b, d, args);
    else
        buf_lit(b, "{}");
}

bool key_make(struct buf *b, const struct call_request *rq, const struct json_doc *d, json_ref args)
{
    static const char zeros[KEY_VERSION];
    const struct entry_spec *spec = &rq->instance->manifest->entry[rq->entry];
    bool tool = rq->kind == MF_TOOL;
    buf_clear(b, SIZE_MAX);
    buf_append(b, &rq->instance, KEY_ADDRESS);
    buf_append(b, zeros, KEY_HEAD);
    if (tool) {
        buf_str(b, spec->name);
        buf_byte(b, 0);
        put_arguments(b, d, args);
    } else {
        buf_str(b, rq->uri);
    }
    if (b->failed)
        return false;
    close_subject(b, KEY_ADDRESS, tool ? 't' : 'r');
    size_t before = b->len;
    if (spec->cache_scope == CACHE_PRIVATE)
        buf_str(b, rq->principal);
    if (b->len - before > KEY_PRINCIPAL_MAX)
        digest(b, before);
    buf_append(b, zeros, KEY_VERSION);
    return !b->failed;
}

bool key_of_uri(struct buf *b, struct str uri)
{
    static const char zeros[KEY_HEAD];
    buf_clear(b, SIZE_MAX);
    buf_append(b, zeros, KEY_HEAD);
    buf_str(b, uri);
    if (b->failed)
        return false;
    close_subject(b, 0, 'r');
    return !b->failed;
}
