#include "many.h"

#include <manifold/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "charset.h"
#include "json_check.h"

enum {
    RESULTS_BYTES =
        3 << 19,         /* 1.5 MiB of JSON: twice that, escaped, is in the limit of the manifest */
    DATA_BYTES = 262144, /* of one answer given as JSON */
    NODES = 100000,      /* of all answers given as JSON */
};
#define SECOND 1e9

struct many {
    const struct getter *getter;
    mf_call call;
    struct page_ask ask;
    char *args; /* owned copy of the URLs' JSON */
    mfj_iter urls;
    int64_t total, begun, ended, ok, at_once, max_length;
    size_t nodes, spent;
    bool starting;
    uint64_t from;
    struct slot {
        struct many *many;
        struct text json; /* of its result */
    } * slot;
};

/* --- one result --- */

static void put(struct text *to, const char *key)
{
    text_printf(to, "%s\"%s\":", to->n > 1 ? "," : "", key);
}

static void put_string(struct text *to, const char *p, size_t n)
{
    text_str(to, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if (c == '"' || c == '\\')
            text_printf(to, "\\%c", c);
        else if (c == '\n')
            text_str(to, "\\n");
        else if (c < ' ')
            text_printf(to, "\\u%04x", c);
        else
            text_add(to, p + i, 1);
    }
    text_str(to, "\"");
}

/* JSON as it came, but on one line. */
static void put_json(struct text *to, const struct text *json)
{
    bool quoted = false, escaped = false;
    for (size_t i = 0; i < json->n; i++) {
        char c = json->p[i];
        if (c == '"' && !escaped)
            quoted = !quoted;
        escaped = c == '\\' && !escaped;
        if (quoted || !strchr("\r\n\t ", c))
            text_add(to, &c, 1);
    }
}

static void put_content(struct slot *s, const struct page_end *e, struct text *to)
{
    struct many *m = s->many;
    size_t n = charset_offset(e->text->p, e->text->n, (size_t)m->max_length);
    size_t left = m->spent < RESULTS_BYTES ? RESULTS_BYTES - m->spent : 0;
    if (e->is_json && !e->cut && e->text->n <= DATA_BYTES && e->text->n <= left &&
        json_check(e->text->p, e->text->n, &m->nodes)) {
        put(to, "data");
        put_json(to, e->text);
        return;
    }
    if (n > left)
        n = 0; /* there is no room in the result for any more of it */
    put(to, "text");
    put_string(to, e->text->p, n);
    if (n < e->text->n || e->cut) {
        put(to, "truncated");
        text_str(to, "true");
    }
}

static void write_result(struct slot *s, const struct page_end *e)
{
    struct text *to = &s->json;
    bool success = e->ok && e->code > 0 && e->code < 400;
    to->max = 2 * RESULTS_BYTES;
    text_str(to, "{");
    put(to, "url");
    put_string(to, e->url->p, e->url->n);
    put(to, "success");
    text_str(to, success ? "true" : "false");
    if (e->code) {
        put(to, "status");
        text_printf(to, "%u", e->code);
    }
    put(to, "response_time");
    text_printf(to, "%.6f", (double)e->took_ns / SECOND);
    if (e->type->n) {
        put(to, "content_type");
        struct text type = {.max = 4096};
        charset_decode(e->type->p, e->type->n, "", 0, &type);
        put_string(to, type.p, type.n);
        text_free(&type);
    }
    if (e->ok) {
        put_content(s, e, to);
    } else {
        put(to, "error");
        put_string(to, e->why->p,
                   e->why->n < 2000 ? charset_offset(e->why->p, e->why->n, 2000) : 2000);
    }
    text_str(to, "}");
    s->many->ok += success;
    s->many->spent += to->n;
}

/* --- all of them --- */

static void many_free(struct many *m)
{
    for (int64_t i = 0; i < m->total; i++)
        text_free(&m->slot[i].json);
    free(m->slot);
    free(m->args);
    free(m);
}

static void finish(struct many *m)
{
    const mf_host *h = m->getter->host;
    struct text all = {.max = 4 * RESULTS_BYTES};
    text_str(&all, "{\"results\":[");
    for (int64_t i = 0; i < m->total; i++) {
        const struct text *one = &m->slot[i].json;
        text_str(&all, i ? "," : "");
        if (one->failed || !one->n)
            text_str(&all, "{\"success\":false,\"error\":\"out of memory\"}");
        else
            text_add(&all, one->p, one->n);
    }
    text_printf(&all, "],\"succeeded\":%lld,\"failed\":%lld,\"total_time\":%.6f}", (long long)m->ok,
                (long long)(m->total - m->ok), (double)(h->now(h) - m->from) / SECOND);
    mf_bytes json = {all.p, all.n};
    if (all.failed)
        h->text(h, m->call, MF_LIT("out of memory"));
    else if (h->structured(h, m->call, json) == MF_OK)
        h->text(h, m->call, json);
    h->finish(h, m->call, all.failed ? MF_TOOL_ERROR : MF_DONE, MF_LIT(""));
    text_free(&all);
    many_free(m);
}

static void go_on(struct many *m);

static void on_page(void *arg, const struct page_end *e)
{
    struct slot *s = arg;
    struct many *m = s->many;
    const mf_host *h = m->getter->host;
    write_result(s, e);
    m->ended++;
    if (m->ended < m->total)
        h->progress(h, m->call, (double)m->ended, (double)m->total, MF_LIT(""));
    if (!m->starting)
        go_on(m);
}

/* Begins as many as may be under way; a page may end before page_get() returns. */
static void go_on(struct many *m)
{
    mfj_value url;
    m->starting = true;
    while (m->begun - m->ended < m->at_once && mfj_next(&m->urls, NULL, &url)) {
        char space[8192];
        struct slot *s = &m->slot[m->begun++];
        s->many = m;
        m->ask.url = (mf_bytes){NULL, 0};
        mfj_string(url, space, sizeof(space), &m->ask.url);
        page_get(m->getter, &m->ask, on_page, s);
    }
    m->starting = false;
    if (m->ended == m->total)
        finish(m);
}

static int64_t count_urls(mfj_value list)
{
    mfj_iter it = mfj_iter_open(list);
    mfj_value url;
    int64_t n = 0;
    while (mfj_next(&it, NULL, &url))
        n++;
    return n;
}

static bool read_args(struct many *m, const mf_request *r)
{
    mfj_value args = mfj_read(r->args);
    mf_bytes list = mfj_raw(mfj_get(args, "urls"));
    double timeout = 5;
    int raw = 0;
    m->at_once = 10;
    m->max_length = 5000;
    mfj_int(mfj_get(args, "max_concurrent"), &m->at_once);
    mfj_int(mfj_get(args, "max_length"), &m->max_length);
    mfj_double(mfj_get(args, "timeout"), &timeout);
    mfj_bool(mfj_get(args, "raw"), &raw);
    m->ask.raw = raw;
    m->ask.timeout_ns = (uint64_t)(timeout * SECOND);
    m->args = malloc(list.len + 1);
    if (!m->args)
        return false;
    memcpy(m->args, list.data, list.len);
    mfj_value copy = mfj_read((mf_bytes){m->args, list.len});
    m->total = count_urls(copy);
    m->urls = mfj_iter_open(copy);
    m->slot = calloc((size_t)m->total + 1, sizeof(*m->slot));
    return m->slot && m->total <= MANY_URLS;
}

void many_start(const struct getter *g, const mf_request *r, const char *agent, bool robots)
{
    struct many *m = calloc(1, sizeof(*m));
    if (m) {
        m->getter = g;
        m->call = r->call;
        m->ask =
            (struct page_ask){.call = r->call, .agent = agent, .robots = robots, .any_code = true};
        m->nodes = NODES;
        m->from = g->host->now(g->host);
    }
    if (m && read_args(m, r)) {
        go_on(m);
        return;
    }
    if (m) {
        m->total = 0;
        many_free(m);
    }
    g->host->text(g->host, r->call, MF_LIT("out of memory"));
    g->host->finish(g->host, r->call, MF_TOOL_ERROR, MF_LIT(""));
}
