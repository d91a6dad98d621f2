/* host/services/http/module.h - what the host and its module manifold-http.so tell each other.
 *
 * libcurl brings some 30 libraries, so it sits in a module of its own, which is mapped when the
 * first plugin that was granted http asks for it.  The module is libcurl and nothing else: one
 * transfer at a time is handed to it, and it tells what came.  Who may ask for what, redirects,
 * retries, queues and limits are the host's (http_*.c).
 *
 * This is no ABI: both sides are of one build, and a module of another version is refused.
 *
 * Threads: prepare() on any thread, once, before all else; everything else on the loop.  The module
 * calls the host's functions only out of its own: watch(), may_dial() and naming() from inside
 * libcurl, where nothing of the module may be called; head(), body() and end() outside of it, where
 * everything may be, the cancelling of the transfer they are about included. */
#ifndef MANIFOLD_SERVICES_HTTP_MODULE_H
#define MANIFOLD_SERVICES_HTTP_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "manifold/http.h"

#define HTTP_MODULE_FILE   "manifold-http.so"
#define HTTP_MODULE_SYMBOL "manifold_http_module"

enum {
    HTTP_ANSWER_HEADER_BYTES = 65536, /* of all header lines of an answer */
    HTTP_ANSWER_HEADERS = 256,
    HTTP_WHY = 300, /* of a sentence */
};

struct http_pool;     /* the module's: connections, and names that were looked up */
struct http_transfer; /* the module's */

/* A URL, read once: what is checked is what is dialled. */
struct http_url {
    void *handle; /* the module's; NULL: none was read */
    char *text;   /* without the fragment */
    char *host;   /* lower case, in ASCII (punycode); IPv6 without brackets */
    uint16_t port;
    bool tls, default_port;
};

struct http_pool_spec {
    uint32_t connections; /* kept at most, busy ones included */
    uint64_t idle_ns, dns_ns, connect_ns;
};

/* Borrowed until the transfer has ended or is cancelled, but for `line`. */
struct http_transfer_spec {
    const struct http_url *url;
    const char *method;
    const char *const *line; /* "Name: value", NULL at the end; copied */
    const char *body;
    size_t body_len;
    bool resend; /* may be sent again when a kept connection turns out to be closed */
    bool alone;  /* on a connection of its own while it lasts (HTTP/1.1): it may pause */
};

enum http_result {
    HTTP_COMPLETE,   /* there is an answer, all of it was told */
    HTTP_STOPPED,    /* head() or body() said so */
    HTTP_NO_NAME,    /* the name has no address */
    HTTP_NO_CONNECT, /* no address could be connected to, or none might be */
    HTTP_CONNECT_LATE /* not within connect_ns */,
    HTTP_NO_TLS,
    HTTP_BROKEN,  /* the connection ended before the answer did */
    HTTP_NO_HTTP, /* what came is no HTTP, or in an encoding nobody asked for */
    HTTP_HEADERS, /* over HTTP_ANSWER_HEADER_BYTES or HTTP_ANSWER_HEADERS */
    HTTP_NO_MEMORY
};

enum http_go { HTTP_MORE, HTTP_PAUSE, HTTP_STOP };

/* What the host offers.  `user` is what start() was given, `arg` what pool_new() was. */
struct http_module_host {
    uint32_t size;
    const char *version;
    void (*timer)(void *arg, long ms); /* calls tick() after it; -1: not any more */
    /* Watches a descriptor for UV_READABLE | UV_WRITABLE and calls ready(); 0: not any more.
     * `watch` is what it returned the last time for it, NULL the first time. */
    void *(*watch)(void *arg, void *watch, int fd, int events);
    bool (*may_dial)(void *user, const struct sockaddr *address, size_t len);
    void (*naming)(void *user, bool busy); /* a name is looked up, or no longer */
    /* Once, when all headers of the answer are there. */
    enum http_go (*head)(void *user, uint32_t code, const mf_header *header, size_t count);
    enum http_go (*body)(void *user, const char *data, size_t len); /* decoded */
    /* Once, unless it was cancelled; the transfer is gone.  why: lives until it returns. */
    void (*end)(void *user, enum http_result result, const char *why);
};

/* The one symbol of the module, const. */
struct http_module {
    uint32_t size;
    const char *version;
    /* 0, or negative errno with the sentence.  Takes tens of milliseconds. */
    int (*prepare)(const struct http_module_host *host, char why[HTTP_WHY]);
    /* `base`: what `text` may be relative to, or NULL.  0, or -EINVAL with the sentence. */
    int (*url_read)(const struct http_url *base, const char *text, struct http_url *ret,
                    char why[HTTP_WHY]);
    void (*url_free)(struct http_url *url); /* zeroed ones too */
    struct http_pool *(*pool_new)(const struct http_pool_spec *spec, void *arg); /* NULL: memory */
    void (*pool_free)(struct http_pool *pool); /* closes all connections; no transfer is left */
    void (*tick)(struct http_pool *pool);
    void (*ready)(struct http_pool *pool, int fd, int events);
    /* NULL: no memory.  Nothing happens before it returns. */
    struct http_transfer *(*start)(struct http_pool *pool, const struct http_transfer_spec *spec,
                                   void *user);
    void (*resume)(struct http_transfer *t); /* after HTTP_PAUSE; what is there is told inside */
    void (*cancel)(struct http_transfer *t); /* nothing of it is told any more */
};

#endif
