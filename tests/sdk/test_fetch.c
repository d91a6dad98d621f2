/* The bundled plugin fetch: its parts by tables, and the whole on the mock host. */
#include <check.h>
#include <manifold/mock_http.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "charset.h"
#include "content.h"
#include "json_check.h"
#include "markdown.h"
#include "robots.h"
#include "url.h"

/* ---- HTML to Markdown ------------------------------------------------------ */

/* What markdownify 1.2.3 makes of it, heading_style ATX. */
static const struct {
    const char *html, *markdown;
} markdown[] = {
    {"<p>one</p><p>two</p>", "one\n\ntwo"},
    /* A number that the parser can't hold: whatever it makes of it, UTF-8 comes out. */
    {"<p>a&#0222222222222;b", "a\xef\xbf\xbd"
                              "b"},
    {"<h1>A *b* _c_</h1>text", "# A \\*b\\* \\_c\\_\n\ntext"},
    {"<ul><li>a</li><li>b<ul><li>c<ul><li>d</li></ul></li></ul></li></ul><p>after</p>",
     "* a\n* b\n  + c\n    - d\n\nafter"},
    {"<ol start=9><li>nine</li><li><p>ten</p><p>more</p></li></ol>",
     "9. nine\n10. ten\n\n    more"},
    {"<p>a<br>b</p>", "a  \nb"},
    {"<pre>  x = *1*\n   y\n</pre>", "```\n  x = *1*\n   y\n```"},
    {"<p>Use <code>a_b`c</code> <strong> s </strong><em>e</em> <del>d</del></p>",
     "Use `` a_b`c ``  **s** *e* ~~d~~"},
    {"<a href=\"http://x/a_b\">http://x/a_b</a> <a href=\"/y\" title='t \"q\"'>y</a> <a>z</a>",
     "<http://x/a_b> [y](/y \"t \\\"q\\\"\") z"},
    {"<blockquote><p>q</p><p>r</p></blockquote>", "> q\n>\n> r"},
    {"<table><tr><th>H</th><th>I</th></tr><tr><td>1</td><td>2<br>3</td></tr></table>",
     "| H | I |\n| --- | --- |\n| 1 | 2 3 |"},
    {"<table><tr><td colspan=2>w</td></tr><tr><td>1</td><td>2</td></tr></table>",
     "|  |  |\n| --- | --- |\n| w | |\n| 1 | 2 |"},
    {"<dl><dt>T</dt><dd>D one</dd></dl>", "T\n:   D one"},
    {"<p>a</p><hr><p>b</p>", "a\n\n---\n\nb"},
    {"<img src=i.png alt=Alt title=Ti> <h2>with <img src=x alt=pic> in</h2>",
     "![Alt](i.png \"Ti\")\n\n## with pic in"},
    {"<div>one <span>two</span>\n three   four\n\n five</div>", "one two\nthree four\nfive"},
    {"<script>x</script><style>y</style><p>&lt;b&gt; &amp; \xc3\xa9</p>", "<b> & \xc3\xa9"},
    {"<q>quoted</q> H<sub>2</sub>O <kbd>Ctrl</kbd>", "\"quoted\" H2O `Ctrl`"},
    {"<figure><img src=a><figcaption> Cap </figcaption></figure>", "![](a)\n\nCap"},
    {"<table><caption>C</caption><thead><tr><td>a</td></tr></thead><tbody><tr><td>b</td></tr></"
     "tbody></table>",
     "C\n\n| a |\n| --- |\n| b |"},
    {"<section><p>x</p></section><article>y</article>", "x\n\ny"},
};

static const GumboNode *body_of(const struct html *h)
{
    const GumboVector *all = &html_root(h)->v.element.children;
    for (size_t i = 0; i < all->length; i++) {
        if (html_is(all->data[i], GUMBO_TAG_BODY))
            return all->data[i];
    }
    return html_root(h);
}

START_TEST(to_markdown)
{
    struct html *h = html_parse(markdown[_i].html, strlen(markdown[_i].html));
    struct text out = {.max = 1 << 20};
    ck_assert_ptr_nonnull(h);
    markdown_write(body_of(h), false, &out);
    text_add(&out, "", 1);
    ck_assert_str_eq(out.p, markdown[_i].markdown);
    text_free(&out);
    html_free(h);
}
END_TEST

/* The page as a text of its content; "" where there is none. */
static char *content_of(const char *html, size_t len)
{
    struct html *h = html_parse(html, len);
    struct text out = {.max = 8 << 20};
    const GumboNode *found = h ? content_find(h) : NULL;
    if (found)
        markdown_write(found, true, &out);
    html_free(h);
    text_add(&out, "", 1);
    ck_assert_ptr_nonnull(out.p);
    return out.p;
}

#define WORDS                                                                                    \
    "Some text, long enough to be content, with commas, and words, and a sentence that goes on " \
    "until it is long enough, which it is now, more or less."
#define P "<p>" WORDS "</p>"

START_TEST(content)
{
    static const char page[] =
        "<html><head><title>T</title></head><body><nav><a href=/>Home</a></nav>"
        "<div class=menu><a href=/a>Menu entry</a></div><div id=main><h1>Title</h1>" P P P
        "<pre><span class=comment>/* kept */</span></pre></div><div class=sidebar>" P "</div>"
        "<p hidden>Hidden</p><p style='color: red; display : none'>Not shown</p><script>var "
        "s;</script>"
        "<form><p>Form</p></form><footer>Footer</footer></body></html>";
    char *text = content_of(page, sizeof(page) - 1);
    static const char *const in[] = {"## Title", "Some text", "/* kept */"};
    static const char *const out[] = {"Home",  "Menu", "Hidden", "Not shown",
                                      "var s", "Form", "Footer"};
    for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
        ck_assert_msg(strstr(text, in[i]) != NULL, "%s is not in %s", in[i], text);
    for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
        ck_assert_msg(strstr(text, out[i]) == NULL, "%s is in %s", out[i], text);
    free(text);
    /* Too little to choose from: all of it. */
    text = content_of("<nav>Home</nav><p>Tiny.</p>", 27);
    ck_assert_str_eq(text, "Home\n\nTiny.");
    free(text);
    text = content_of("", 0);
    ck_assert_str_eq(text, "");
    free(text);
}
END_TEST

static char *repeat(const char *what, size_t bytes, size_t *ret_len)
{
    size_t n = strlen(what), count = bytes / n;
    char *p = malloc(count * n);
    ck_assert_ptr_nonnull(p);
    for (size_t i = 0; i < count; i++)
        memcpy(p + i * n, what, n);
    *ret_len = count * n;
    return p;
}

/* Pages made to cost: each ends, with some text or none, in bounded time and memory. */
static const char *const hostile[] = {
    "<div>",
    "<font size=1><p>",
    "<a href=x><div>",
    "<table><tr><td>",
    "<svg><g>",
    "<ol><li>",
    "</p>",
    "<template>",
    "<p>*_*_",
    "<!--",
    "<script>",
    "&amp;&#0;",
    "\xff\xfe",
    "<select><option>",
    "<td colspan=1000>x",
    "<b><i><u><s><p>x",
};

START_TEST(hostile_pages)
{
    size_t len;
    char *page = repeat(hostile[_i], 1 << 20, &len);
    char *text = content_of(page, len);
    ck_assert_uint_lt(strlen(text), 8u << 20);
    free(text);
    free(page);
}
END_TEST

/* ---- robots.txt ------------------------------------------------------------ */

#define AGENT "ModelContextProtocol/1.0 (Autonomous)"

static const struct {
    const char *rules, *path;
    bool allowed;
} rules[] = {
    {"", "/", true},
    {"User-agent: *\nDisallow: /", "/x", false},
    {"User-agent: *\nDisallow:", "/x", true},
    {"user-agent:*\ndisallow:/private", "/private/x", false},
    {"User-agent: *\nDisallow: /private", "/public", true},
    {"User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", true},
    {"User-agent: *\nAllow: /a\nDisallow: /a/b", "/a/b/c", false},
    {"User-agent: *\nDisallow: /a\nAllow: /a", "/a", true},
    {"User-agent: other\nDisallow: /", "/x", true},
    {"User-agent: modelcontextprotocol\nDisallow: /\n\nUser-agent: *\nDisallow:", "/x", false},
    {"User-agent: *\nDisallow: /\n\nUser-agent: ModelContextProtocol\nAllow: /", "/x", true},
    {"User-agent: ModelContextProtocolX\nDisallow: /", "/x", true},
    {"User-agent: a\nUser-agent: *\nDisallow: /x", "/x", false},
    {"User-agent: *\nDisallow: /*.php$", "/a/b.php", false},
    {"User-agent: *\nDisallow: /*.php$", "/a/b.php5", true},
    {"User-agent: *\nDisallow: /a*b*c", "/axxbyyc", false},
    {"User-agent: *\nDisallow: /a*b*c", "/axxbyy", true},
    {"User-agent: *\nDisallow: /%7Efoo", "/~foo/", false},
    {"User-agent: *\nDisallow: /a%2Fb", "/a/b", true},
    {"\xef\xbb\xbfUser-agent: *\r\nDisallow: /x # no\r\n", "/x", false},
    {"# only\n<html>not robots</html>", "/x", true},
    {"Disallow: /x", "/x", true},
    {"User-agent: *\nDisallow: /*?", "/x?y", false},
};

START_TEST(robots)
{
    bool is = robots_allow(rules[_i].rules, strlen(rules[_i].rules), AGENT, rules[_i].path,
                           strlen(rules[_i].path));
    ck_assert_msg(is == rules[_i].allowed, "%s: %s", rules[_i].rules, rules[_i].path);
}
END_TEST

/* ---- characters, URLs, JSON ------------------------------------------------ */

static const struct {
    const char *body, *type, *utf8;
} charsets[] = {
    {"caf\xc3\xa9", "text/html", "caf\xc3\xa9"},
    {"caf\xe9", "text/html; charset=ISO-8859-1", "caf\xc3\xa9"},
    {"\x80", "text/plain;charset=\"windows-1252\"", "\xe2\x82\xac"},
    {"<meta charset=koi8-r>\xc1", "", "<meta charset=koi8-r>\xd0\xb0"},
    {"<meta http-equiv=x content='text/html; charset=shift_jis'>\x82\xa0", "text/html",
     "<meta http-equiv=x content='text/html; charset=shift_jis'>\xe3\x81\x82"},
    {"a\xff"
     "b",
     "text/html; charset=utf-8",
     "a\xef\xbf\xbd"
     "b"},
    {"\xed\xa0\x80", "", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {"a", "text/html; charset=utf-7", "a"},
    {"a", "text/html; charset=../../x", "a"},
    {"\xef\xbb\xbfx", "", "x"},
};

START_TEST(to_utf8)
{
    struct text out = {.max = 1024};
    charset_decode(charsets[_i].body, strlen(charsets[_i].body), charsets[_i].type,
                   strlen(charsets[_i].type), &out);
    text_add(&out, "", 1);
    ck_assert_str_eq(out.p, charsets[_i].utf8);
    text_free(&out);
}
END_TEST

static const struct {
    const char *url, *is, *robots;
} urls[] = {
    {"HTTP://A.Example", "http://a.example/", "http://a.example/robots.txt"},
    {" https://a:8/x?q#f ", "https://a:8/x?q#f", "https://a:8/robots.txt"},
    {"http://a?x", "http://a/?x", "http://a/robots.txt"},
    {"a.example", NULL, NULL},
    {"http://", NULL, NULL},
    {"://x", NULL, NULL},
    {"", NULL, NULL},
};

START_TEST(normal_urls)
{
    struct text url = {.max = 1024}, r = {.max = 1024};
    bool is = url_normalise(urls[_i].url, strlen(urls[_i].url), &url);
    ck_assert(is == (urls[_i].is != NULL));
    if (is) {
        url_robots(&url, &r);
        text_add(&url, "", 1);
        text_add(&r, "", 1);
        ck_assert_str_eq(url.p, urls[_i].is);
        ck_assert_str_eq(r.p, urls[_i].robots);
    }
    text_free(&url);
    text_free(&r);
}
END_TEST

static const struct {
    const char *text;
    bool is;
} json[] = {
    {"{}", true},
    {" [1, 2.5e3, -0, true, false, null, \"a\\n\"] ", true},
    {"{\"a\":1,\"a\":2}", false},
    {"{\"a\":1,}", false},
    {"[1,]", false},
    {"01", false},
    {"1.", false},
    {"\"\n\"", false},
    {"\"\\x\"", false},
    {"\"\\ud800\"", false},
    {"", false},
    {"{}{}", false},
    {"1e999", false},
    {"nul", false},
    {"{\"a\" 1}", false},
    {"[[[[[]]]]]", true},
    {"\"\\u00e9\"", true},
    {"[\"", false},
    {"-", false},
    {"9999999999999999999", false},
};

START_TEST(good_json)
{
    size_t nodes = 100;
    ck_assert_msg(json_check(json[_i].text, strlen(json[_i].text), &nodes) == json[_i].is, "%s",
                  json[_i].text);
    size_t len, few = 100;
    char *deep = repeat("[", 100000, &len);
    ck_assert(!json_check(deep, len, &few));
    free(deep);
    few = 3;
    ck_assert(!json_check("[1,2,3]", 7, &few));
}
END_TEST

/* ---- the plugin ------------------------------------------------------------ */

static mf_mock *begin(const char *config)
{
    mf_mock *m = mf_mock_new(&manifold_plugin_v1);
    ck_assert_ptr_null(mf_mock_lint(&manifold_plugin_v1));
    ck_assert_int_eq(mf_mock_open(m, config), MF_OK);
    return m;
}

static void done(mf_mock *m)
{
    const char *const *all;
    ck_assert_int_eq(mf_mock_close(m, 5000), MF_OK);
    ck_assert_msg(mf_mock_mistakes(m, &all) == 0, "%s", mf_mock_mistakes(m, NULL) ? all[0] : "");
    mf_mock_free(m);
}

static const mf_mock_result *fetch(mf_mock *m, const char *args)
{
    const mf_mock_result *r = mf_mock_wait(m, mf_mock_tool(m, "fetch", args), 10000);
    ck_assert_ptr_nonnull(r);
    return r;
}

#define ROBOTS "http://a.test/robots.txt"
#define PAGE   "<html><body><article><h1>Page</h1>" P P P "</article></body></html>"

START_TEST(a_page)
{
    mf_mock *m = begin(NULL);
    const mf_mock_http_seen *seen;
    mf_mock_http_answer(m, "GET", ROBOTS, 404, NULL, "");
    mf_mock_http_answer(m, "GET", "http://a.test/", 200, "Content-Type: text/html", PAGE);
    mf_mock_http_answer(m, "GET", "http://a.test/t", 200, "Content-Type: text/plain", "plain");
    const mf_mock_result *r = fetch(m, "{\"url\":\"http://A.test\"}");
    ck_assert_int_eq(r->how, MF_DONE);
    ck_assert_str_eq(r->text.data,
                     "Contents of http://a.test/:\n## Page\n\n" WORDS "\n\n" WORDS "\n\n" WORDS);
    r = fetch(m, "{\"url\":\"http://a.test/\",\"max_length\":7,\"start_index\":3}");
    ck_assert_str_eq(
        r->text.data,
        "Contents of http://a.test/:\nPage\n\nS\n\n<error>Content truncated. Call the fetch "
        "tool with a start_index of 10 to get more content.</error>");
    r = fetch(m, "{\"url\":\"http://a.test/\",\"start_index\":99999}");
    ck_assert_str_eq(r->text.data,
                     "Contents of http://a.test/:\n<error>No more content available.</error>");
    r = fetch(m, "{\"url\":\"http://a.test/\",\"raw\":true}");
    ck_assert_str_eq(r->text.data,
                     "Content type text/html cannot be simplified to markdown, but here is the raw "
                     "content:\nContents of http://a.test/:\n" PAGE);
    r = fetch(m, "{\"url\":\"http://a.test/t\"}");
    ck_assert_str_eq(
        r->text.data,
        "Content type text/plain cannot be simplified to markdown, but here is the raw "
        "content:\nContents of http://a.test/t:\nplain");
    /* robots.txt was asked for once. */
    ck_assert_uint_eq(mf_mock_http_seen_all(m, &seen), 6);
    ck_assert_str_eq(seen[0].url.data, ROBOTS);
    done(m);
}
END_TEST

START_TEST(what_robots_says)
{
    mf_mock *m = begin(NULL);
    const mf_mock_http_seen *seen;
    mf_mock_http_answer(m, NULL, ROBOTS, 200, NULL, "User-agent: *\nDisallow: /private");
    mf_mock_http_answer(m, NULL, "http://b.test/robots.txt", 403, NULL, "");
    mf_mock_http_answer(m, NULL, "http://a.test/to-private", 302, "location: /private/x", "");
    mf_mock_http_answer(m, NULL, "http://a.test/to-b", 302, "location: http://b.test/", "");
    const mf_mock_result *r = fetch(m, "{\"url\":\"http://a.test/private/x\"}");
    ck_assert_int_eq(r->how, MF_TOOL_ERROR);
    ck_assert_ptr_nonnull(
        strstr(r->text.data, "The sites robots.txt (" ROBOTS
                             "), specifies that autonomous fetching of this page is not allowed, "
                             "<useragent>ModelContextProtocol/1.0 (Autonomous; "));
    r = fetch(m, "{\"url\":\"http://a.test/to-private\"}");
    ck_assert_ptr_nonnull(strstr(r->text.data, "<url>http://a.test/private/x</url>"));
    r = fetch(m, "{\"url\":\"http://a.test/to-b\"}");
    ck_assert_ptr_nonnull(strstr(r->text.data,
                                 "When fetching robots.txt (http://b.test/robots.txt), "
                                 "received status 403"));
    r = fetch(m, "{\"url\":\"http://c.test/\"}");
    ck_assert_ptr_nonnull(strstr(r->text.data,
                                 "Failed to fetch robots.txt http://c.test/robots.txt due to "
                                 "a connection issue"));
    size_t n = mf_mock_http_seen_all(m, &seen);
    for (size_t i = 0; i < n; i++)
        ck_assert_ptr_null(strstr(seen[i].url.data, "/private"));
    done(m);
    /* Of the user's own wish it is not asked, nor where the operator says so. */
    m = begin("{\"ignore_robots_txt\":true,\"user_agent\":\"me/1\"}");
    mf_mock_http_answer(m, NULL, "http://a.test/private", 200, "Content-Type: text/plain", "seen");
    ck_assert_int_eq(fetch(m, "{\"url\":\"http://a.test/private\"}")->how, MF_DONE);
    ck_assert_uint_eq(mf_mock_http_seen_all(m, &seen), 1);
    ck_assert_str_eq(seen[0].headers[0].value.data, "me/1");
    done(m);
    m = begin(NULL);
    mf_mock_http_answer(m, NULL, "http://a.test/private", 200, "Content-Type: text/plain", "seen");
    r = mf_mock_wait(m, mf_mock_prompt(m, "fetch", "{\"url\":\"http://a.test/private\"}"), 5000);
    ck_assert_ptr_nonnull(strstr(r->text.data, "raw content:\nseen"));
    ck_assert_uint_eq(mf_mock_http_seen_all(m, &seen), 1);
    ck_assert_ptr_nonnull(strstr(seen[0].headers[0].value.data, "User-Specified"));
    r = mf_mock_wait(m, mf_mock_prompt(m, "fetch", "{\"url\":\"http://a.test/none\"}"), 5000);
    ck_assert_int_eq(r->how, MF_DONE);
    ck_assert_str_eq(
        r->text.data,
        "Failed to fetch http://a.test/none: GET http://a.test/none: the mock has no answer");
    done(m);
}
END_TEST

START_TEST(what_fails)
{
    const mf_mock_http denied = {
        .url = "http://d.test/", .status = MF_EDENIED, .why = "not granted: do this"};
    mf_mock *m = begin("{\"ignore_robots_txt\":true}");
    mf_mock_http_script(m, &denied);
    mf_mock_http_answer(m, NULL, "http://a.test/404", 404, NULL, "gone");
    mf_mock_http_answer(m, NULL, "http://a.test/loop", 302, "location: http://a.test/loop", "");
    static const struct {
        const char *args, *text;
    } rows[] = {
        {"{\"url\":\"http://a.test/404\"}", "Failed to fetch http://a.test/404 - status code 404"},
        {"{\"url\":\"http://d.test/\"}", "Failed to fetch http://d.test/: not granted: do this"},
        {"{\"url\":\"http://a.test/loop\"}",
         "Failed to fetch http://a.test/loop: more than 5 redirects"},
        {"{\"url\":\"nonsense\"}",
         "Failed to fetch nonsense: expected an http or https URL, found something else"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const mf_mock_result *r = fetch(m, rows[i].args);
        ck_assert_int_eq(r->how, MF_TOOL_ERROR);
        ck_assert_str_eq(r->text.data, rows[i].text);
    }
    done(m);
    /* Without the service. */
    m = mf_mock_new(&manifold_plugin_v1);
    mf_mock_set_extension(m, MF_EXT_HTTP, NULL);
    ck_assert_int_eq(mf_mock_open(m, NULL), MF_OK);
    ck_assert_int_eq(fetch(m, "{\"url\":\"http://a.test/\"}")->how, MF_TOOL_ERROR);
    done(m);
}
END_TEST

START_TEST(many)
{
    mf_mock *m = begin(NULL);
    const mf_mock_http slow = {
        .url = "http://a.test/slow", .code = 200, .delay_ns = UINT64_C(60000000000)};
    mf_mock_http_answer(m, NULL, ROBOTS, 200, NULL, "User-agent: *\nDisallow: /private");
    mf_mock_http_answer(m, NULL, "http://a.test/j", 200, "content-type: application/json",
                        "{\"a\": [1,\n 2],\"b\":\"x\\\"y z\"}");
    mf_mock_http_answer(m, NULL, "http://a.test/bad", 200, "content-type: application/json",
                        "{\"a\":1,}");
    mf_mock_http_answer(m, NULL, "http://a.test/t", 200, "content-type: text/plain", "0123456789");
    mf_mock_http_answer(m, NULL, "http://a.test/500", 500, "content-type: text/plain", "oh");
    mf_mock_http_answer(m, NULL, "http://a.test/h", 200, "content-type: text/html", PAGE);
    mf_mock_http_script(m, &slow);
    mf_call call = mf_mock_tool(
        m, "fetch_many",
        "{\"urls\":[\"http://a.test/j\",\"http://a.test/bad\",\"http://a.test/t\",\"http://a.test/"
        "500\","
        "\"http://a.test/none\",\"http://a.test/private/x\",\"nonsense\",\"http://a.test/slow\","
        "\"http://a.test/h\"],\"max_length\":9,\"max_concurrent\":2,\"timeout\":2.5}");
    mf_mock_wait(m, call, 300);
    mf_mock_advance(m, UINT64_C(3000000000));
    const mf_mock_result *r = mf_mock_wait(m, call, 5000);
    ck_assert_ptr_nonnull(r);
    ck_assert_int_eq(r->how, MF_DONE);
    ck_assert_str_eq(r->structured.data, r->text.data);
    static const char *const parts[] = {
        "\"data\":{\"a\":[1,2],\"b\":\"x\\\"y z\"}}",
        "\"text\":\"{\\\"a\\\":1,}\"}",
        "\"text\":\"012345678\",\"truncated\":true}",
        "\"success\":false,\"status\":500",
        "the mock has no answer",
        "specifies that autonomous fetching of this page is not allowed",
        "{\"url\":\"nonsense\",\"success\":false",
        "Failed to fetch http://a.test/slow: no answer came in time",
        "\"text\":\"## Page\\n\\n\",\"truncated\":true",
        "\"succeeded\":4,\"failed\":5,",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        ck_assert_msg(strstr(r->structured.data, parts[i]) != NULL, "%s is not in %s", parts[i],
                      r->structured.data);
    ck_assert_uint_eq(r->progress_count, 8);
    done(m);
}
END_TEST

START_TEST(cancelled)
{
    mf_mock *m = begin(NULL);
    const mf_mock_http slow = {.code = 200, .delay_ns = UINT64_C(60000000000)};
    mf_mock_http_script(m, &slow);
    mf_call one = mf_mock_tool(m, "fetch", "{\"url\":\"http://a.test/1\"}");
    mf_call two = mf_mock_tool(m, "fetch", "{\"url\":\"http://a.test/2\"}");
    mf_call all =
        mf_mock_tool(m, "fetch_many", "{\"urls\":[\"http://a.test/3\",\"http://b.test/4\"]}");
    mf_mock_run(m);
    mf_mock_cancel(m, one);
    ck_assert_ptr_nonnull(mf_mock_wait(m, one, 1000));
    ck_assert_ptr_null(mf_mock_wait(m, two, 0)); /* robots.txt is asked for again, for this one */
    mf_mock_cancel(m, all);
    mf_mock_cancel(m, two);
    ck_assert_ptr_nonnull(mf_mock_wait(m, all, 1000));
    ck_assert_ptr_nonnull(mf_mock_wait(m, two, 1000));
    done(m);
}
END_TEST

#define ROWS(a) (int)(sizeof(a) / sizeof((a)[0]))

int main(void)
{
    Suite *s = suite_create("fetch");
    TCase *t = tcase_create("fetch");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, to_markdown, 0, ROWS(markdown));
    tcase_add_test(t, content);
    tcase_add_loop_test(t, hostile_pages, 0, ROWS(hostile));
    tcase_add_loop_test(t, robots, 0, ROWS(rules));
    tcase_add_loop_test(t, to_utf8, 0, ROWS(charsets));
    tcase_add_loop_test(t, normal_urls, 0, ROWS(urls));
    tcase_add_loop_test(t, good_json, 0, ROWS(json));
    tcase_add_test(t, a_page);
    tcase_add_test(t, what_robots_says);
    tcase_add_test(t, what_fails);
    tcase_add_test(t, many);
    tcase_add_test(t, cancelled);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
