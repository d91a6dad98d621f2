/* http/1 of the mock host: the script, what was seen, streams, mistakes. */
#include <check.h>
#include <manifold/mock_http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the smallest plugin --------------------------------------------------- */

static mf_status tiny_open(const mf_host *host, mf_bytes config, void **ret_self)
{
    (void)config;
    *ret_self = (void *)(uintptr_t)host;
    return MF_OK;
}

static void tiny_call(void *self, const mf_request *r)
{
    (void)self;
    (void)r;
}

static void tiny_close(void *self)
{
    (void)self;
}

static const mf_plugin tiny = {.size = sizeof(tiny),
                               .abi_minor = MF_ABI_MINOR,
                               .id = "test.tiny",
                               .version = "1.0.0",
                               .open = tiny_open,
                               .call = tiny_call,
                               .close = tiny_close};

/* ---- what callbacks saw ---------------------------------------------------- */

struct seen {
    const mf_host *host;
    const mf_http *http;
    mf_status status;
    uint32_t code, redirects;
    int ends, heads, chunks, pauses;
    char body[256], url[128], location[128], why[128], type[64];
    size_t body_len;
};

static void copy(char *to, size_t cap, mf_bytes b)
{
    snprintf(to, cap, "%.*s", (int)b.len, b.len ? b.data : "");
}

static void on_end(void *arg, const mf_http_answer *a)
{
    struct seen *s = arg;
    ck_assert_uint_eq(a->end.size, sizeof(*a));
    s->ends++;
    s->status = a->end.status;
    s->code = a->code;
    s->redirects = a->redirects;
    if (a->body.len)
        copy(s->body, sizeof(s->body), a->body);
    copy(s->url, sizeof(s->url), a->url);
    copy(s->location, sizeof(s->location), a->location);
    copy(s->why, sizeof(s->why), a->end.why);
    for (size_t i = 0; i < a->header_count; i++) {
        if (a->headers[i].name.len == 12 &&
            memcmp(a->headers[i].name.data, "content-type", 12) == 0)
            copy(s->type, sizeof(s->type), a->headers[i].value);
    }
}

static void on_head(void *arg, const mf_http_answer *a)
{
    struct seen *s = arg;
    s->heads++;
    ck_assert_int_eq(a->end.status, MF_OK);
    ck_assert_uint_eq(a->body.len, 0);
}

static int32_t on_chunk(void *arg, mf_op op, mf_bytes b)
{
    struct seen *s = arg;
    (void)op;
    s->chunks++;
    memcpy(s->body + s->body_len, b.data, b.len);
    s->body_len += b.len;
    if (s->pauses == 0)
        return 1;
    s->pauses--;
    return 0;
}

static mf_mock *begin(struct seen *s)
{
    mf_mock *m = mf_mock_new(&tiny);
    *s = (struct seen){0};
    ck_assert_int_eq(mf_mock_open(m, NULL), MF_OK);
    s->host = mf_mock_host(m);
    s->http = s->host->extension(s->host, MF_EXT_HTTP);
    ck_assert_ptr_nonnull(s->http);
    return m;
}

static void done(mf_mock *m, size_t mistakes)
{
    ck_assert_int_eq(mf_mock_close(m, 1000), MF_OK);
    ck_assert_uint_eq(mf_mock_mistakes(m, NULL), mistakes);
    mf_mock_free(m);
}

static mf_op ask(struct seen *s, const char *method, const char *url, uint32_t flags,
                 uint64_t timeout, uint64_t most)
{
    mf_http_request rq = {.size = sizeof(rq),
                          .flags = flags,
                          .method = {method, strlen(method)},
                          .url = {url, strlen(url)},
                          .timeout_ns = timeout,
                          .body_max = most};
    return s->http->request(s->host, 0, &rq, on_end, s);
}

START_TEST(answers)
{
    struct seen s;
    mf_mock *m = begin(&s);
    const mf_mock_http_seen *all;
    mf_mock_http_answer(m, NULL, NULL, 404, NULL, "none");
    mf_mock_http_answer(m, "GET", "http://a/x", 200, "Content-Type: text/plain\nX: y", "hello");
    ck_assert_uint_ne(ask(&s, "", "http://a/x", 0, 0, 0), 0);
    ck_assert_int_eq(s.ends, 0); /* never inside */
    mf_mock_run(m);
    ck_assert_int_eq(s.ends, 1);
    ck_assert_uint_eq(s.code, 200);
    ck_assert_str_eq(s.body, "hello");
    ck_assert_str_eq(s.type, "text/plain");
    ck_assert_str_eq(s.url, "http://a/x");
    ask(&s, "POST", "http://a/x", MF_HTTP_RETRY, 5, 6);
    mf_mock_run(m);
    ck_assert_uint_eq(s.code, 404);
    ck_assert_uint_eq(mf_mock_http_seen_all(m, &all), 2);
    ck_assert_str_eq(all[0].method.data, "GET");
    ck_assert_str_eq(all[1].method.data, "POST");
    ck_assert_uint_eq(all[1].flags, MF_HTTP_RETRY);
    ck_assert_uint_eq(all[1].timeout_ns, 5);
    ask(&s, "GET", "http://a/x", 0, 0, 3);
    mf_mock_run(m);
    ck_assert_int_eq(s.status, MF_ELIMIT);
    ck_assert_str_eq(s.body, "hel");
    done(m, 0);
}
END_TEST

START_TEST(failures_and_time)
{
    struct seen s;
    mf_mock *m = begin(&s);
    const mf_mock_http denied = {.url = "http://d/", .status = MF_EDENIED, .why = "not granted"};
    const mf_mock_http slow = {.url = "http://s/", .code = 200, .delay_ns = 1000};
    const mf_mock_http once = {.url = "http://o/", .code = 503, .times = 1};
    mf_mock_http_script(m, &denied);
    mf_mock_http_script(m, &slow);
    mf_mock_http_answer(m, NULL, "http://o/", 200, NULL, "again");
    mf_mock_http_script(m, &once);
    ask(&s, "GET", "http://nobody/", 0, 0, 0);
    mf_mock_run(m);
    ck_assert_int_eq(s.status, MF_EIO);
    ck_assert_str_eq(s.why, "GET http://nobody/: the mock has no answer");
    ask(&s, "GET", "http://d/", 0, 0, 0);
    mf_mock_run(m);
    ck_assert_int_eq(s.status, MF_EDENIED);
    ck_assert_str_eq(s.why, "not granted");
    ask(&s, "GET", "http://s/", 0, 0, 0);
    mf_mock_advance(m, 999);
    ck_assert_int_eq(s.ends, 2);
    mf_mock_advance(m, 1);
    ck_assert_int_eq(s.ends, 3);
    ck_assert_uint_eq(s.code, 200);
    ask(&s, "GET", "http://s/", 0, 500, 0);
    mf_mock_advance(m, 500);
    ck_assert_int_eq(s.status, MF_ETIMEDOUT);
    mf_op op = ask(&s, "GET", "http://s/", 0, 0, 0);
    mf_mock_run(m);
    ck_assert_int_eq(s.http->abort(s.host, op), MF_OK);
    mf_mock_run(m);
    ck_assert_int_eq(s.status, MF_ECANCELED);
    ask(&s, "GET", "http://o/", 0, 0, 0);
    mf_mock_run(m);
    ck_assert_uint_eq(s.code, 503);
    ask(&s, "GET", "http://o/", 0, 0, 0);
    mf_mock_run(m);
    ck_assert_uint_eq(s.code, 200);
    done(m, 0);
}
END_TEST

START_TEST(redirects)
{
    struct seen s;
    mf_mock *m = begin(&s);
    const mf_mock_http_seen *all;
    mf_mock_http_answer(m, NULL, "http://a/1", 302, "location: /2", "");
    mf_mock_http_answer(m, NULL, "http://a/2", 303, "location: http://b/3", "");
    mf_mock_http_answer(m, "GET", "http://b/3", 200, NULL, "there");
    mf_mock_http_answer(m, NULL, "http://l/", 302, "location: http://l/", "");
    ask(&s, "POST", "http://a/1", 0, 0, 0);
    mf_mock_run(m);
    ck_assert_str_eq(s.body, "there");
    ck_assert_uint_eq(s.redirects, 2);
    ck_assert_str_eq(s.url, "http://b/3");
    ck_assert_uint_eq(mf_mock_http_seen_all(m, &all), 3);
    ck_assert_str_eq(all[1].method.data, "GET");
    ask(&s, "GET", "http://a/1", MF_HTTP_NO_REDIRECT, 0, 0);
    mf_mock_run(m);
    ck_assert_uint_eq(s.code, 302);
    ck_assert_str_eq(s.location, "http://a/2");
    ask(&s, "GET", "http://l/", 0, 0, 0);
    mf_mock_run(m);
    ck_assert_int_eq(s.status, MF_ELIMIT);
    done(m, 0);
}
END_TEST

START_TEST(streams)
{
    struct seen s;
    mf_mock *m = begin(&s);
    const mf_mock_http pieces = {.code = 200, .body = "0123456789", .piece = 4};
    mf_http_request rq = {.size = sizeof(rq), .url = MF_LIT("http://a/")};
    mf_mock_http_script(m, &pieces);
    s.pauses = 2;
    mf_op op = s.http->stream(s.host, 0, &rq, on_head, on_chunk, on_end, &s);
    mf_mock_run(m);
    ck_assert_int_eq(s.heads, 1);
    ck_assert_int_eq(s.chunks, 1);
    mf_mock_run(m);
    ck_assert_int_eq(s.chunks, 1);
    ck_assert_int_eq(s.http->resume(s.host, op), MF_OK);
    mf_mock_run(m);
    ck_assert_int_eq(s.chunks, 2);
    ck_assert_int_eq(s.ends, 0);
    s.http->resume(s.host, op);
    mf_mock_run(m);
    ck_assert_int_eq(s.chunks, 3);
    ck_assert_int_eq(s.ends, 1);
    ck_assert_int_eq(s.status, MF_OK);
    ck_assert_str_eq(s.body, "0123456789");
    ck_assert_int_eq(s.http->resume(s.host, op), MF_ESTALE);
    done(m, 0);
}
END_TEST

START_TEST(mistakes)
{
    static const char *const names[] = {"Host", "cookie", "Proxy-X", "Bad Name", "", "traceparent"};
    struct seen s;
    mf_mock *m = begin(&s);
    size_t count = sizeof(names) / sizeof(names[0]);
    mf_header h = {MF_LIT("X-Fine"), MF_LIT("a\r\nX: b")};
    mf_http_request rq = {
        .size = sizeof(rq), .url = MF_LIT("http://a/"), .headers = &h, .header_count = 1};
    ck_assert_uint_eq(s.http->request(s.host, 0, &rq, on_end, &s), 0);
    h.value = MF_LIT("x");
    for (size_t i = 0; i < count; i++) {
        h.name = (mf_bytes){names[i], strlen(names[i])};
        ck_assert_uint_eq(s.http->request(s.host, 0, &rq, on_end, &s), 0);
    }
    rq.header_count = 0;
    rq.url.len = 0;
    ck_assert_uint_eq(s.http->request(s.host, 0, &rq, on_end, &s), 0);
    done(m, count + 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mock http");
    TCase *t = tcase_create("http");
    tcase_add_test(t, answers);
    tcase_add_test(t, failures_and_time);
    tcase_add_test(t, redirects);
    tcase_add_test(t, streams);
    tcase_add_test(t, mistakes);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
