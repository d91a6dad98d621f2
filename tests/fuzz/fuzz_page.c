/* Any bytes as what a stranger's server sent to the plugin fetch: a page, its charset, robots.txt,
 * JSON.
 *
 * What comes out must be UTF-8, and JSON that the plugin takes must be JSON that the host takes:
 * one page must not spoil the results of others.
 *
 * Built with -fsanitize=fuzzer; run with -dict=page.dict. */
#include <stdlib.h>
#include "json/reader.h"
#include "../../plugins/fetch/charset.h"
#include "../../plugins/fetch/content.h"
#include "../../plugins/fetch/json_check.h"
#include "../../plugins/fetch/markdown.h"
#include "../../plugins/fetch/robots.h"
#include "../../plugins/fetch/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_limits limits = {
    .bytes = 64u << 20, .depth = 64, .nodes = 1000000, .duplicates = false};

/* As a JSON string, which the host's reader knows to be UTF-8 or not. */
static void must_be_utf8(const struct text *t)
{
    static struct json_doc doc;
    struct json_error e;
    struct text quoted = {.max = SIZE_MAX / 2};
    text_str(&quoted, "\"");
    for (size_t i = 0; i < t->n; i++) {
        unsigned char c = (unsigned char)t->p[i];
        if (c >= ' ' && c != '"' && c != '\\')
            text_add(&quoted, t->p + i, 1);
    }
    text_str(&quoted, "\"");
    if (json_read(&doc, (struct str){quoted.p, quoted.n}, &limits, &e))
        abort();
    text_free(&quoted);
}

static void as_page(const struct text *page)
{
    struct text out = {.max = 8 << 20};
    struct html *h = html_parse(page->p ? page->p : "", page->n);
    const GumboNode *content = h ? content_find(h) : NULL;
    if (content)
        markdown_write(content, true, &out);
    if (!out.failed)
        must_be_utf8(&out);
    html_free(h);
    text_free(&out);
}

static void as_json(const struct text *page)
{
    static struct json_doc doc;
    struct json_error e;
    size_t nodes = 100000;
    if (page->n && json_check(page->p, page->n, &nodes) &&
        json_read(&doc, (struct str){page->p, page->n}, &limits, &e))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    struct text page = {.max = 8 << 20}, url = {.max = 65536}, robots = {.max = 65536};
    size_t head = size < 32 ? size : 32; /* also as a Content-Type, a path, a URL */
    charset_decode(p, size, p, head, &page);
    must_be_utf8(&page);
    as_page(&page);
    as_json(&page);
    robots_allow(p, size, "ModelContextProtocol/1.0", p, head);
    if (url_normalise(p, head, &url)) {
        size_t n;
        url_robots(&url, &robots);
        url_path(&url, &n);
    }
    text_free(&page);
    text_free(&url);
    text_free(&robots);
    return 0;
}
