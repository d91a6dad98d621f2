/* Content-Encoding, one step at a time: libcurl's own decoders hand out all that a piece holds at
 * once, which is some 16 MiB for 16 KiB of a gzip bomb, and can't be stopped in between. */
#include "services/http/module/module.h"

#include <brotli/decode.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

enum { ZSTD_WINDOW_LOG = 23 }; /* 8 MiB: what RFC 9659 lets a server use */

enum coding { CODING_GZIP, CODING_DEFLATE, CODING_BROTLI, CODING_ZSTD };

struct decoder {
    enum coding coding;
    bool begun, done, between; /* between: a member has ended, another may follow */
    z_stream z;
    BrotliDecoderState *brotli;
    ZSTD_DStream *zstd;
};

static const struct {
    const char *name;
    enum coding coding;
} codings[] = {
    {"gzip", CODING_GZIP}, {"x-gzip", CODING_GZIP}, {"deflate", CODING_DEFLATE},
    {"br", CODING_BROTLI}, {"zstd", CODING_ZSTD},
};

static bool find_coding(const char *name, size_t len, enum coding *ret)
{
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        if (strlen(codings[i].name) == len && strncasecmp(codings[i].name, name, len) == 0) {
            *ret = codings[i].coding;
            return true;
        }
    }
    return false;
}

static bool prepare_decoder(struct decoder *d)
{
    switch (d->coding) {
    case CODING_GZIP:
        return inflateInit2(&d->z, 16 + MAX_WBITS) == Z_OK;
    case CODING_DEFLATE:
        return true; /* when the first byte is there: with or without a header */
    case CODING_BROTLI:
        d->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        return d->brotli;
    case CODING_ZSTD:
        d->zstd = ZSTD_createDStream();
        return d->zstd &&
               !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG));
    }
    return false;
}

struct decoder *decoder_new(const char *name, size_t len, bool *ret_known)
{
    enum coding coding;
    *ret_known = find_coding(name, len, &coding);
    struct decoder *d = *ret_known ? calloc(1, sizeof(*d)) : NULL;
    if (!d)
        return NULL;
    d->coding = coding;
    if (!prepare_decoder(d)) {
        decoder_free(d);
        return NULL;
    }
    d->begun = coding != CODING_DEFLATE;
    return d;
}

void decoder_free(struct decoder *d)
{
    if (!d)
        return;
    if (d->coding <= CODING_DEFLATE)
        inflateEnd(&d->z);
    if (d->brotli)
        BrotliDecoderDestroyInstance(d->brotli);
    ZSTD_freeDStream(d->zstd);
    free(d);
}

/* RFC 9110 8.4.1.2 means zlib's format; some servers send it without its header. */
static bool begin_deflate(struct decoder *d, unsigned char first)
{
    bool zlib = (first & 15) == Z_DEFLATED && first >> 4 <= 7;
    d->begun = inflateInit2(&d->z, zlib ? MAX_WBITS : -MAX_WBITS) == Z_OK;
    return d->begun;
}

/* gzip: members may follow each other.  Anything else behind the end is left out, as everybody
 * does: some servers pad. */
static bool begin_member(struct decoder *d, char first)
{
    if (d->coding != CODING_GZIP || first != '\x1f' || inflateReset(&d->z) != Z_OK)
        return false;
    d->between = d->done = false;
    return true;
}

static int step_zlib(struct decoder *d, const char **in, size_t *in_len, char *out, size_t cap,
                     size_t *ret_len)
{
    if (d->between && *in_len && !begin_member(d, **in)) {
        *in += *in_len;
        *in_len = 0;
        return 0;
    }
    if (!d->begun && *in_len && !begin_deflate(d, (unsigned char)**in))
        return -EINVAL;
    d->z.next_in = (Bytef *)(uintptr_t)*in;
    d->z.avail_in = (uInt)*in_len;
    d->z.next_out = (Bytef *)out;
    d->z.avail_out = (uInt)cap;
    int r = d->begun && !d->between ? inflate(&d->z, Z_NO_FLUSH) : Z_BUF_ERROR;
    *in += *in_len - d->z.avail_in;
    *in_len = d->z.avail_in;
    *ret_len = cap - d->z.avail_out;
    if (r == Z_STREAM_END)
        d->between = d->done = true;
    return r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR ? 0 : -EINVAL;
}

static int step_brotli(struct decoder *d, const char **in, size_t *in_len, char *out, size_t cap,
                       size_t *ret_len)
{
    const uint8_t *next = (const uint8_t *)*in;
    uint8_t *to = (uint8_t *)out;
    size_t room = cap;
    if (d->done)
        return *in_len ? -EINVAL : 0;
    BrotliDecoderResult r =
        BrotliDecoderDecompressStream(d->brotli, in_len, &next, &room, &to, NULL);
    *in = (const char *)next;
    *ret_len = cap - room;
    d->done = r == BROTLI_DECODER_RESULT_SUCCESS;
    return r == BROTLI_DECODER_RESULT_ERROR ? -EINVAL : 0;
}

static int step_zstd(struct decoder *d, const char **in, size_t *in_len, char *out, size_t cap,
                     size_t *ret_len)
{
    ZSTD_inBuffer from = {*in, *in_len, 0};
    ZSTD_outBuffer to = {out, cap, 0};
    size_t r = ZSTD_decompressStream(d->zstd, &to, &from);
    *in += from.pos;
    *in_len -= from.pos;
    *ret_len = to.pos;
    if (ZSTD_isError(r))
        return -EINVAL;
    if (from.pos || to.pos) /* asked without input it would speak of a frame to come */
        d->done = r == 0;
    return 0;
}

int decoder_step(struct decoder *d, const char **in, size_t *in_len, char *out, size_t cap,
                 size_t *ret_len)
{
    *ret_len = 0;
    switch (d->coding) {
    case CODING_GZIP:
    case CODING_DEFLATE:
        return step_zlib(d, in, in_len, out, cap, ret_len);
    case CODING_BROTLI:
        return step_brotli(d, in, in_len, out, cap, ret_len);
    case CODING_ZSTD:
        return step_zstd(d, in, in_len, out, cap, ret_len);
    }
    return -EINVAL;
}

bool decoder_is_done(const struct decoder *d)
{
    return d->done;
}
