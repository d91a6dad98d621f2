/* host/services/http/module/module.h - private to the module manifold-http.so; see
 * services/http/module.h.
 */
#ifndef MANIFOLD_SERVICES_HTTP_MODULE_PRIVATE_H
#define MANIFOLD_SERVICES_HTTP_MODULE_PRIVATE_H

#include <curl/curl.h>
#include "base/list.h"
#include "services/http/module.h"

/* The host's half; set by prepare(). */
extern const struct http_module_host *host;

/* --- decode.c: Content-Encoding --- */

#define DECODE_ACCEPT "gzip, deflate, br, zstd"

struct decoder;

/* NULL with *ret_known false: an encoding that was not asked for; else: no memory.  `name`: the
 * header's value, not empty. */
struct decoder *decoder_new(const char *name, size_t len, bool *ret_known);
void decoder_free(struct decoder *d); /* NULL is fine */
/* Takes from *in what fills out[cap] or all; *ret_len: written.  0, or -EINVAL: it is broken.
 * 0 bytes taken and written: it needs more. */
int decoder_step(struct decoder *d, const char **in, size_t *in_len, char *out, size_t cap,
                 size_t *ret_len);
/* The body may end here. */
bool decoder_is_done(const struct decoder *d);

/* --- trust.c: whose certificates are believed --- */

/* Reads the system's authorities once; SSL_CERT_FILE names others.  On any thread; takes tens of
 * milliseconds. */
int trust_load(char why[HTTP_WHY]);
/* CURLOPT_SSL_CTX_FUNCTION */
CURLcode trust_apply(CURL *easy, void *ssl_ctx, void *arg);

/* --- url.c --- */

int url_read(const struct http_url *base, const char *text, struct http_url *ret,
             char why[HTTP_WHY]);
void url_free(struct http_url *url);

/* --- transfer.c --- */

struct http_pool {
    CURLM *multi;
    void *arg; /* the host's */
    struct http_pool_spec spec;
    struct list fed; /* struct http_transfer.in_fed: something to tell */
};

struct http_transfer *transfer_start(struct http_pool *p, const struct http_transfer_spec *spec,
                                     void *user);
void transfer_resume(struct http_transfer *t);
void transfer_cancel(struct http_transfer *t);
/* Tells what has come. */
void pool_tell(struct http_pool *p);
/* libcurl is done with it. */
void transfer_done(CURL *easy, CURLcode code);

#endif
