/* manifold/mock_http.h - "manifold.http/1" of the mock host: answers by script, no network.
 *
 *     mf_mock_http_answer(m, "GET", "http://a.example/x", 200, "content-type: text/plain",
 * "hello"); mf_call call = mf_mock_tool(m, "forecast", "{}"); const mf_mock_result *r =
 * mf_mock_wait(m, call, 1000); const mf_mock_http_seen *seen; assert(mf_mock_http_seen_all(m,
 * &seen) == 1 && seen[0].header_count == 2);
 *
 * Redirects of the script are followed as the host does, five at most, and count as requests that
 * were seen.  What has no answer in the script ends with MF_EIO.  A request that http.h forbids (a
 * header of the host's, a URL that is none) is refused, and noted as a mistake.  Nothing is
 * decompressed, no right is checked: script MF_EDENIED to see what the plugin makes of it.
 *
 * Threads and memory as in mock.h. */
#ifndef MANIFOLD_MOCK_HTTP_H
#define MANIFOLD_MOCK_HTTP_H

#include <manifold/http.h>
#include <manifold/mock.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One line of the script; what is NULL or 0 is absent.  Copied. */
typedef struct mf_mock_http {
    const char *method;  /* NULL: any */
    const char *url;     /* exactly; NULL: any */
    uint32_t code;       /* 200, ...; 0: no answer, see `status` */
    uint32_t times;      /* how often it serves; 0: always */
    const char *headers; /* "name: value" lines */
    const char *body;
    size_t body_len;   /* 0: body is a C string */
    size_t piece;      /* stream(): bytes of a chunk; 0: 4096 */
    uint64_t delay_ns; /* on the fake clock, until the answer is there */
    mf_status status;  /* code 0: MF_EIO, MF_EDENIED, ... */
    const char *why;
} mf_mock_http;

/* Of several lines that match a request the latest serves that has not served its times. */
void mf_mock_http_script(mf_mock *m, const mf_mock_http *line);
/* The same in short: always, at once. */
void mf_mock_http_answer(mf_mock *m, const char *method, const char *url, uint32_t code,
                         const char *headers, const char *body);

/* A request as the plugin made it (or as a redirect led on).  The bytes are followed by a NUL. */
typedef struct mf_mock_http_seen {
    mf_call call;
    uint32_t flags;
    uint32_t header_count;
    const mf_header *headers;
    mf_bytes method, url, grant, body;
    uint64_t timeout_ns, body_max;
} mf_mock_http_seen;

/* All there were, in order; their number.  ret as for mf_mock_logs(). */
size_t mf_mock_http_seen_all(mf_mock *m, const mf_mock_http_seen **ret);

#ifdef __cplusplus
}
#endif
#endif
