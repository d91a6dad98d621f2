/* page.h - one page: its site's robots.txt, redirects hop by hop, text. */
#ifndef FETCH_PAGE_H
#define FETCH_PAGE_H

#include <manifold/http.h>
#include <manifold/work.h>

#include "text.h"

enum { PAGE_HOPS = 5, PAGE_TEXT_MAX = 8 << 20 };

struct sites;

/* The plugin's instance, as far as pages need it. */
struct getter {
    const mf_host *host;
    const mf_http *http;
    const mf_work *work;
    struct sites *sites;
};

/* How it ended.  Borrowed until the callback returns. */
struct page_end {
    bool ok;
    const struct text *why;  /* not ok: one text for the model */
    const struct text *url;  /* as asked, normalised */
    uint32_t code;           /* 0: no answer came */
    const struct text *type; /* Content-Type */
    const struct text *text; /* UTF-8; Markdown where `simplified` */
    bool simplified;
    bool cut;     /* it was longer than the grant's `response` */
    bool is_json; /* by its type */
    uint64_t took_ns;
};
typedef void page_done(void *arg, const struct page_end *end);

struct page_ask {
    mf_call call;
    mf_bytes url;
    const char *agent; /* lives as long as the instance */
    bool robots;       /* ask robots.txt, of every hop */
    bool raw;          /* HTML stays as it is */
    bool any_code;     /* 4xx and 5xx are answers, too */
    uint64_t timeout_ns;
};

/* `done` once, on the loop, perhaps inside. */
void page_get(const struct getter *g, const struct page_ask *ask, page_done *done, void *arg);

#endif
