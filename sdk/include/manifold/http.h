/* manifold/http.h - "manifold.http/1": HTTP requests, made by the host.  See op.h.
 *
 * The host keeps the connections, resolves names, follows redirects, decompresses, and adds the
 * secrets that the operator's grants name; the plugin sees none of that.  What may be asked is what
 * the manifest's `permissions.http` asks for and the operator has granted: host, port and method of
 * every request and of each redirect, and the address that is really dialled.  What is not granted
 * ends with MF_EDENIED and a sentence that says what would grant it, also where nothing is. */
#ifndef MANIFOLD_HTTP_H
#define MANIFOLD_HTTP_H

#include "op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_HTTP "manifold.http/1"

enum {
    MF_HTTP_HEADERS_MAX = 64,      /* of a request */
    MF_HTTP_URL_MAX = 8192,        /* bytes */
    MF_HTTP_BODY_MAX = 16777216,   /* bytes of a request's body */
    MF_HTTP_WAITING_MAX = 67108864 /* bytes of all requests of an instance that have not ended */
};

typedef struct mf_header {
    mf_bytes name;
    mf_bytes value;
} mf_header;

enum {
    /* Safe to be sent twice: tried again when no answer came, three tries in all; a host gets a
     * tenth more requests by it, not a multiple.  Without it a request is sent once; GET, HEAD and
     * OPTIONS once more when a kept connection turns out to have been closed. */
    MF_HTTP_RETRY = 1 << 0,
    MF_HTTP_NO_REDIRECT = 1 << 1, /* a 3xx is the answer; see mf_http_answer.location */
};

typedef struct mf_http_request {
    uint32_t size;
    uint32_t flags;
    mf_bytes grant;  /* name of the permission; empty: the first that allows the request */
    mf_bytes method; /* empty: GET; CONNECT and TRACE are refused */
    mf_bytes url;    /* http or https, absolute, without user name and password */
    const mf_header *headers;
    size_t header_count; /* Host, Authorization, Cookie, Proxy-*, Accept-Encoding, Connection,
                            Expect, Content-Length, Transfer-Encoding, traceparent and the like are
                            the host's.  A redirect to another host takes only Accept,
                            Accept-Language, Content-Type and User-Agent along */
    mf_bytes body;
    uint64_t timeout_ns; /* of all of it; 0: the call's deadline, without a call 30 s; at most the
                            grant's `timeout` and the call's deadline */
    uint64_t
        body_max; /* bytes of the answer, decompressed; 0, and at most: the grant's `response` */
} mf_http_request;

/* The answer.  Borrowed until the callback returns. */
typedef struct mf_http_answer {
    /* First; its size is that of this struct.  MF_OK: there was an answer, whatever its code.
     * MF_EINVAL (the URL is none), MF_EDENIED, MF_ETIMEDOUT, MF_ELIMIT (the body, the headers or
     * the redirects were too many), MF_EIO (no connection, no answer), MF_ENOTSUP (this host can't)
     */
    mf_end end;
    uint32_t code; /* 200, 404, ...; 0: none came */
    uint32_t redirects;
    mf_bytes url;             /* that answered in the end, or was the trouble; normalised */
    const mf_header *headers; /* names in lower case; 64 KiB and 256 at most */
    size_t header_count;
    mf_bytes
        body; /* request(): all of it; stream(): empty.  With MF_ELIMIT: what there was room for */
    mf_bytes location; /* MF_HTTP_NO_REDIRECT: where a 3xx leads, absolute; else empty */
} mf_http_answer;

typedef void (*mf_http_cb)(void *arg, const mf_http_answer *answer);

typedef struct mf_http {
    uint32_t size;
    uint32_t flags; /* 0 */
    mf_op (*request)(const mf_host *host, mf_call call, const mf_http_request *request,
                     mf_http_cb end, void *arg);
    /* The same with the body in pieces: head(arg, answer) once when the headers are there
     * (end.status MF_OK, body empty), then chunk(arg, op, bytes) as they come, then end.  chunk()
     * returns 1 for more or 0 to pause; after 0 nothing more comes, and the other side is made to
     * wait, until resume().  A pause does not stop the clock.  Over HTTP/1.1, whatever the server
     * offers, so that a pause holds up nobody else. */
    mf_op (*stream)(const mf_host *host, mf_call call, const mf_http_request *request,
                    mf_http_cb head, int32_t (*chunk)(void *arg, mf_op op, mf_bytes bytes),
                    mf_http_cb end, void *arg);
    /* May be called before the 0 is returned.  Without a pause it does nothing. */
    mf_status (*resume)(const mf_host *host, mf_op op);
    mf_status (*abort)(const mf_host *host, mf_op op);
} mf_http;

#ifdef __cplusplus
}
#endif
#endif
