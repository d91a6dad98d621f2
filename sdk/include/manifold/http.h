/* manifold/http.h - "manifold.http/1": HTTP requests, made by the host.  See op.h.
 *
 * The host keeps the connections, resolves names, follows redirects, decompresses, and adds the
 * secrets that the operator's grants name; the plugin sees none of that.  What may be asked is what
 * the manifest's `permissions.http` asks for and the operator has granted: host, port and method of
 * every request and of each redirect, and the address that is really dialled. */
#ifndef MANIFOLD_HTTP_H
#define MANIFOLD_HTTP_H

#include "op.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MF_EXT_HTTP "manifold.http/1"

typedef struct mf_header {
    mf_bytes name;
    mf_bytes value;
} mf_header;

enum {
    MF_HTTP_RETRY =
        1 << 0, /* safe to be sent twice: tried again when it failed without an answer */
    MF_HTTP_NO_REDIRECT = 1 << 1, /* a 3xx is the answer */
};

typedef struct mf_http_request {
    uint32_t size;
    uint32_t flags;
    mf_bytes grant;  /* name of the permission; empty: the first that allows the request */
    mf_bytes method; /* empty: GET */
    mf_bytes url;    /* http or https, absolute */
    const mf_header *headers;
    size_t header_count; /* at most 64; Host, Authorization, Cookie, Proxy-*, Connection,
                            Content-Length and Transfer-Encoding are the host's */
    mf_bytes body;
    uint64_t timeout_ns; /* of all of it; 0: the call's deadline, without a call 30 s */
    uint64_t body_max;   /* bytes of the answer, decompressed; 0: the grant's `response` */
} mf_http_request;

/* The answer.  Borrowed until the callback returns. */
typedef struct mf_http_answer {
    /* first; MF_OK: there was an answer, whatever its code.  MF_EDENIED, MF_ETIMEDOUT, MF_ELIMIT
     * (the body was longer), MF_EIO (no connection, no answer) */
    mf_end end;
    uint32_t code; /* 200, 404, ...; 0: none came */
    uint32_t redirects;
    mf_bytes url;             /* that answered in the end */
    const mf_header *headers; /* names in lower case */
    size_t header_count;
    mf_bytes
        body; /* request(): all of it; stream(): empty.  With MF_ELIMIT: what there was room for */
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
     * wait, until resume(). */
    mf_op (*stream)(const mf_host *host, mf_call call, const mf_http_request *request,
                    mf_http_cb head, int32_t (*chunk)(void *arg, mf_op op, mf_bytes bytes),
                    mf_http_cb end, void *arg);
    mf_status (*resume)(const mf_host *host, mf_op op);
    mf_status (*abort)(const mf_host *host, mf_op op);
} mf_http;

#ifdef __cplusplus
}
#endif
#endif
