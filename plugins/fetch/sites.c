#include "sites.h"

#include <stdlib.h>

#include "charset.h"
#include "robots.h"
#include "url.h"

enum { RULES_BYTES = 500 * 1024 };
#define RULES_TIMEOUT UINT64_C(15000000000) /* ns */

struct waiter {
    struct waiter *next;
    mf_call call;
    const struct text *url;
    const char *agent;
    sites_done *done;
    void *arg;
};

struct site {
    struct site *next;
    struct sites *sites;
    struct text robots;         /* its URL, which names the site */
    struct text rules, refusal; /* refusal: of whatever page */
    uint64_t until;             /* ns; 0: it is being asked */
    struct waiter *first, **last;
};

struct sites {
    const mf_host *host;
    const mf_http *http;
    struct site *first; /* the latest first */
    unsigned count;
};

static void ask(struct site *s);

/* --- what it comes to --- */

static void refuse_page(const struct site *s, const struct waiter *w, struct text *why)
{
    text_str(why, "The sites robots.txt (");
    text_add(why, s->robots.p, s->robots.n);
    text_printf(why,
                "), specifies that autonomous fetching of this page is not allowed, "
                "<useragent>%s</useragent>\n<url>",
                w->agent);
    text_add(why, w->url->p, w->url->n);
    text_str(why, "</url><robots>\n");
    text_add(why, s->rules.p, s->rules.n < 16384 ? s->rules.n : 16384);
    text_str(
        why,
        "\n</robots>\nThe assistant must let the user know that it failed to view the page. The "
        "assistant may provide further guidance based on the above information.\nThe assistant "
        "can tell the user that they can try manually fetching the page by using the fetch "
        "prompt within their UI.");
}

static void tell(const struct site *s, struct waiter *w)
{
    struct text why = {.max = 65536};
    size_t n;
    const char *path = url_path(w->url, &n);
    if (s->refusal.n)
        text_add(&why, s->refusal.p, s->refusal.n);
    else if (!robots_allow(s->rules.p, s->rules.n, w->agent, path, n))
        refuse_page(s, w, &why);
    w->done(w->arg, why.n || why.failed ? &why : NULL);
    text_free(&why);
    free(w);
}

static void tell_all(struct site *s)
{
    struct waiter *w = s->first;
    s->first = NULL;
    s->last = &s->first;
    while (w) {
        struct waiter *next = w->next;
        tell(s, w);
        w = next;
    }
}

static void add_header(struct text *to, const mf_http_answer *a, const char *name)
{
    for (size_t i = 0; i < a->header_count; i++) {
        if (a->headers[i].name.len == strlen(name) &&
            memcmp(a->headers[i].name.data, name, strlen(name)) == 0)
            text_add(to, a->headers[i].value.data, a->headers[i].value.len);
    }
}

static void take_answer(struct site *s, const mf_http_answer *a)
{
    struct text type = {.max = 1024};
    bool any = a->end.status == MF_OK || (a->end.status == MF_ELIMIT && a->code);
    if (a->end.status == MF_EDENIED) {
        text_add(&s->refusal, a->end.why.data, a->end.why.len);
    } else if (!any) {
        text_str(&s->refusal, "Failed to fetch robots.txt ");
        text_add(&s->refusal, s->robots.p, s->robots.n);
        text_str(&s->refusal, " due to a connection issue");
        if (a->end.why.len) {
            text_str(&s->refusal, ": ");
            text_add(&s->refusal, a->end.why.data, a->end.why.len);
        }
    } else if (a->code == 401 || a->code == 403) {
        text_str(&s->refusal, "When fetching robots.txt (");
        text_add(&s->refusal, s->robots.p, s->robots.n);
        text_printf(
            &s->refusal,
            "), received status %u so assuming that autonomous fetching is not allowed, the user "
            "can try manually fetching by using the fetch prompt",
            a->code);
    } else if (a->code < 400 || a->code >= 500) {
        add_header(&type, a, "content-type");
        charset_decode(a->body.data, a->body.len, type.p, type.n, &s->rules);
    }
    text_free(&type);
}

static void on_answer(void *arg, const mf_http_answer *a)
{
    struct site *s = arg;
    /* It was asked on behalf of a call that is over; others may wait. */
    if (a->end.status == MF_ECANCELED && s->first && s->first->next) {
        struct waiter *w = s->first;
        struct text gone = {.max = 64};
        s->first = w->next;
        text_str(&gone, "cancelled");
        w->done(w->arg, &gone);
        text_free(&gone);
        free(w);
        ask(s);
        return;
    }
    take_answer(s, a);
    /* What was not found out is asked again the next time. */
    bool known = !s->refusal.n || a->code;
    s->until = s->sites->host->now(s->sites->host) + (known ? SITES_TTL : 1);
    tell_all(s);
}

static void ask(struct site *s)
{
    const struct sites *all = s->sites;
    const struct waiter *w = s->first;
    mf_header agent = {MF_LIT("User-Agent"), {w->agent, strlen(w->agent)}};
    mf_http_request rq = {.size = sizeof(rq),
                          .url = {s->robots.p, s->robots.n},
                          .headers = &agent,
                          .header_count = 1,
                          .timeout_ns = RULES_TIMEOUT,
                          .body_max = RULES_BYTES};
    if (all->http && all->http->request(all->host, w->call, &rq, on_answer, s))
        return;
    s->until = 1;
    text_str(&s->refusal, "Failed to fetch robots.txt ");
    text_add(&s->refusal, s->robots.p, s->robots.n);
    text_str(&s->refusal, " due to a connection issue");
    tell_all(s);
}

/* --- the table --- */

static void site_free(struct site *s)
{
    text_free(&s->robots);
    text_free(&s->rules);
    text_free(&s->refusal);
    free(s);
}

/* Gives old ones back until there is room for one more. */
static void make_room(struct sites *all, uint64_t now)
{
    for (struct site **at = &all->first; *at;) {
        struct site *s = *at;
        bool last = !s->next && all->count >= SITES_MAX;
        if (s->until && (s->until < now || last)) {
            *at = s->next;
            all->count--;
            site_free(s);
        } else {
            at = &s->next;
        }
    }
}

static struct site *find(struct sites *all, const struct text *robots, uint64_t now)
{
    for (struct site *s = all->first; s; s = s->next) {
        if (s->robots.n == robots->n && memcmp(s->robots.p, robots->p, robots->n) == 0 &&
            (s->until == 0 || s->until >= now))
            return s;
    }
    return NULL;
}

static struct site *add(struct sites *all, struct text *robots)
{
    struct site *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->sites = all;
    s->robots.max = robots->max;
    text_take(&s->robots, robots);
    s->rules.max = 4 * RULES_BYTES;
    s->refusal.max = 16384;
    s->last = &s->first;
    s->next = all->first;
    all->first = s;
    all->count++;
    return s;
}

void sites_ask(struct sites *all, mf_call call, const struct text *url, const char *agent,
               sites_done *done, void *arg)
{
    struct text robots = {.max = 16384};
    uint64_t now = all->host->now(all->host);
    make_room(all, now);
    url_robots(url, &robots);
    struct site *s = find(all, &robots, now);
    bool fresh = !s;
    s = s ? s : add(all, &robots);
    text_free(&robots);
    struct waiter *w = s ? calloc(1, sizeof(*w)) : NULL;
    if (!w) {
        struct text why = {.max = 64};
        text_str(&why, "out of memory");
        if (s && fresh)
            s->until = 1;
        done(arg, &why);
        text_free(&why);
        return;
    }
    *w = (struct waiter){.call = call, .url = url, .agent = agent, .done = done, .arg = arg};
    if (s->until) {
        tell(s, w);
        return;
    }
    *s->last = w;
    s->last = &w->next;
    if (fresh)
        ask(s);
}

struct sites *sites_new(const mf_host *host, const mf_http *http)
{
    struct sites *s = calloc(1, sizeof(*s));
    if (s) {
        s->host = host;
        s->http = http;
    }
    return s;
}

void sites_free(struct sites *all)
{
    while (all && all->first) {
        struct site *s = all->first;
        all->first = s->next;
        site_free(s);
    }
    free(all);
}
