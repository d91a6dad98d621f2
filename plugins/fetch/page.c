#include "page.h"

#include <stdlib.h>
#include <strings.h>

#include "charset.h"
#include "content.h"
#include "markdown.h"
#include "sites.h"
#include "url.h"

enum { INLINE_BYTES = 32768 }; /* what is no HTML and no longer is decoded on the loop */

struct page {
    const struct getter *getter;
    struct page_ask ask; /* .url is gone */
    page_done *done;
    void *arg;
    struct text url, now, why, type, text, body;
    uint32_t code, hops;
    bool failed, cut, simplified, html;
    uint64_t begun, until;
};

static void page_end(struct page *p)
{
    const mf_host *h = p->getter->host;
    struct page_end e = {.ok = !p->failed,
                         .why = &p->why,
                         .url = &p->url,
                         .code = p->code,
                         .type = &p->type,
                         .text = &p->text,
                         .simplified = p->simplified,
                         .cut = p->cut,
                         .took_ns = h->now(h) - p->begun};
    for (size_t i = 0; i + 4 <= p->type.n; i++)
        e.is_json |= strncasecmp(p->type.p + i, "json", 4) == 0;
    p->done(p->arg, &e);
    struct text *all[] = {&p->url, &p->now, &p->why, &p->type, &p->text, &p->body};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        text_free(all[i]);
    free(p);
}

static void fail(struct page *p, const char *why, size_t len)
{
    p->failed = true;
    text_add(&p->why, why, len);
    page_end(p);
}

/* "Failed to fetch URL: why" */
static void fail_with(struct page *p, mf_bytes why)
{
    text_str(&p->why, "Failed to fetch ");
    text_add(&p->why, p->url.p, p->url.n);
    text_str(&p->why, ": ");
    fail(p, why.data, why.len);
}

/* --- text --- */

static bool contains(const struct text *t, size_t within, const char *what)
{
    size_t n = strlen(what), len = t->n < within ? t->n : within;
    for (size_t i = 0; i + n <= len; i++) {
        if (strncasecmp(t->p + i, what, n) == 0)
            return true;
    }
    return false;
}

static bool looks_like_html(const struct page *p, const struct text *of)
{
    return !p->type.n || contains(&p->type, SIZE_MAX, "text/html") || contains(of, 100, "<html");
}

static void simplify(struct page *p, struct text *decoded)
{
    struct html *h = html_parse(decoded->p, decoded->n);
    const GumboNode *content = h ? content_find(h) : NULL;
    if (content)
        markdown_write(content, true, &p->text);
    if (text_leading(p->text.p, p->text.n, BLANKS) == p->text.n && !p->text.failed) {
        p->text.n = 0;
        text_str(&p->text, "<error>Page failed to be simplified from HTML</error>");
    }
    p->simplified = true;
    html_free(h);
}

/* Of the body; on a thread. */
static void convert(void *arg)
{
    struct page *p = arg;
    struct text decoded = {.max = PAGE_TEXT_MAX};
    charset_decode(p->body.p, p->body.n, p->type.p, p->type.n, &decoded);
    text_free(&p->body);
    p->text.failed |= decoded.failed;
    if (!p->ask.raw && looks_like_html(p, &decoded))
        simplify(p, &decoded);
    else
        text_take(&p->text, &decoded);
    text_free(&decoded);
}

static void converted(struct page *p)
{
    if (p->text.failed)
        fail_with(p, MF_LIT("the page is too large, or there is no memory for it"));
    else
        page_end(p);
}

static void on_converted(void *arg, const mf_end *e)
{
    struct page *p = arg;
    if (e->status != MF_OK) /* not run, or nobody waits */
        fail_with(p, e->why.len ? e->why : MF_LIT("cancelled"));
    else
        converted(p);
}

static void to_text(struct page *p)
{
    const struct getter *g = p->getter;
    bool here = p->body.n <= INLINE_BYTES && (p->ask.raw || !looks_like_html(p, &p->body));
    if (here) {
        convert(p);
        converted(p);
    } else if (!g->work || !g->work->run(g->host, p->ask.call, convert, on_converted, p)) {
        fail_with(p, MF_LIT("there is no thread to read it on"));
    }
}

/* --- hops --- */

static void hop(struct page *p);

static void add_header(struct text *to, const mf_http_answer *a, const char *name)
{
    for (size_t i = 0; i < a->header_count; i++) {
        if (a->headers[i].name.len == strlen(name) &&
            memcmp(a->headers[i].name.data, name, strlen(name)) == 0)
            text_add(to, a->headers[i].value.data, a->headers[i].value.len);
    }
}

static void take_page(struct page *p, const mf_http_answer *a)
{
    p->cut = a->end.status == MF_ELIMIT;
    add_header(&p->type, a, "content-type");
    text_add(&p->body, a->body.data, a->body.len);
    if (p->body.failed)
        fail_with(p, MF_LIT("out of memory"));
    else
        to_text(p);
}

static void on_answer(void *arg, const mf_http_answer *a)
{
    struct page *p = arg;
    p->code = a->code;
    if (a->end.status != MF_OK && !(a->end.status == MF_ELIMIT && a->code && a->body.len)) {
        fail_with(p, a->end.why.len                  ? a->end.why
                     : a->end.status == MF_ETIMEDOUT ? MF_LIT("timeout")
                                                     : MF_LIT("cancelled"));
    } else if (a->location.len && ++p->hops > PAGE_HOPS) {
        fail_with(p, MF_LIT("more than 5 redirects"));
    } else if (a->location.len) {
        p->now.n = 0;
        url_normalise(a->location.data, a->location.len, &p->now);
        hop(p);
    } else if (a->code >= 400 && !p->ask.any_code) {
        text_str(&p->why, "Failed to fetch ");
        text_add(&p->why, p->url.p, p->url.n);
        text_printf(&p->why, " - status code %u", a->code);
        fail(p, "", 0);
    } else {
        take_page(p, a);
    }
}

static void request(struct page *p)
{
    const struct getter *g = p->getter;
    uint64_t now = g->host->now(g->host);
    mf_header headers[] = {{MF_LIT("User-Agent"), {p->ask.agent, strlen(p->ask.agent)}},
                           {MF_LIT("Accept"), MF_LIT("*/*")}};
    mf_http_request rq = {.size = sizeof(rq),
                          .flags =
                              MF_HTTP_RETRY | (p->ask.robots ? (uint32_t)MF_HTTP_NO_REDIRECT : 0),
                          .url = {p->now.p, p->now.n},
                          .headers = headers,
                          .header_count = 2};
    if (now >= p->until) {
        fail_with(p, MF_LIT("timeout"));
        return;
    }
    rq.timeout_ns = p->until - now;
    if (!g->http || !g->http->request(g->host, p->ask.call, &rq, on_answer, p))
        fail_with(p,
                  MF_LIT("it is no URL that can be asked for, or too many are asked for at once"));
}

static void on_rules(void *arg, const struct text *why)
{
    struct page *p = arg;
    if (why)
        fail(p, why->p, why->n);
    else
        request(p);
}

static void hop(struct page *p)
{
    if (p->ask.robots)
        sites_ask(p->getter->sites, p->ask.call, &p->now, p->ask.agent, on_rules, p);
    else
        request(p);
}

void page_get(const struct getter *g, const struct page_ask *ask, page_done *done, void *arg)
{
    struct page *p = calloc(1, sizeof(*p));
    if (!p) {
        const struct text why = {.p = (char *)(uintptr_t) "out of memory", .n = 13}, none = {0};
        done(arg, &(struct page_end){.why = &why, .url = &none, .type = &none, .text = &none});
        return;
    }
    p->getter = g;
    p->ask = *ask;
    p->done = done;
    p->arg = arg;
    p->url.max = p->now.max = p->why.max = 65536;
    p->type.max = 1024;
    p->body.max = p->text.max = PAGE_TEXT_MAX;
    p->begun = g->host->now(g->host);
    p->until = p->begun + ask->timeout_ns;
    if (!url_normalise(ask->url.data, ask->url.len, &p->url)) {
        text_add(&p->url, ask->url.data, ask->url.len < 8192 ? ask->url.len : 8192);
        fail_with(p, MF_LIT("expected an http or https URL, found something else"));
        return;
    }
    text_add(&p->now, p->url.p, p->url.n);
    hop(p);
}
