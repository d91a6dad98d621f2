#include <errno.h>
#include <stdlib.h>
#include "config/complain.h"
#include "config/grants_parts.h"
#include "config/host_pattern.h"
#include "config/text.h"

#define SECOND UINT64_C(1000000000)

enum { WORDS_BYTES = 400 };

static int read_host(struct granting *of, const struct document *doc, json_ref n, struct str *ret,
                     struct err *e)
{
    char plain[HOST_BYTES];
    struct str host = host_plain(json_inner(&doc->json, n), plain);
    struct str tail = {host.p + 2, host.n > 2 ? host.n - 2 : 0};
    if (str_starts(host, STR("*.")) && (!tail.n || host_is_address(tail)))
        return complain_at(doc, n, e, "expected a domain behind \"*.\", found none");
    return text_keep(&of->g->texts, host, ret, e);
}

/* --- What is asked --- */

static void words_list(const struct json_doc *d, json_ref list, const char *what, struct buf *out)
{
    if (!list)
        return;
    if (json_is(d, list, JSON_STRING)) {
        buf_printf(out, ", any %s", what);
        return;
    }
    buf_printf(out, ", %ss", what);
    json_each (d, list, it) {
        struct str raw = json_is(d, it, JSON_STRING) ? json_inner(d, it) : json_raw(d, it);
        buf_printf(out, " %.*s", STR_FMT(raw));
    }
}

void grant_words_http(const struct json_doc *d, json_ref n, struct buf *out)
{
    char shown[TEXT_SHOWN];
    buf_printf(out, "host %s", text_quoted(json_inner(d, json_get(d, n, STR("host"))), shown));
    words_list(d, json_get(d, n, STR("ports")), "port", out);
    words_list(d, json_get(d, n, STR("methods")), "method", out);
}

/* --- What is given of it --- */

static bool has_port(const struct http_grant *h, uint16_t port)
{
    if (h->any_port || (!h->ports && (port == 80 || port == 443)))
        return true;
    for (uint32_t i = 0; i < h->ports; i++) {
        if (h->port[i] == port)
            return true;
    }
    return false;
}

/* Whoever may GET may ask for the head of it. */
static bool has_method(const struct http_grant *h, struct str method)
{
    bool head = str_eq(method, STR("HEAD")), any = h->any_method;
    for (uint32_t i = 0; i < h->methods && !any; i++)
        any = str_eq(h->method[i], method) || (head && str_eq(h->method[i], STR("GET")));
    return any;
}

static uint16_t port_at(const struct json_doc *d, json_ref n)
{
    int64_t port = 0;
    json_int(d, n, &port);
    return (uint16_t)port;
}

static int read_asked(struct granting *of, struct http_grant *h, json_ref n, struct err *e)
{
    const struct json_doc *d = &of->m->doc.json;
    json_ref ports = json_get(d, n, STR("ports")), methods = json_get(d, n, STR("methods"));
    bool port_list = ports && json_is(d, ports, JSON_ARRAY);
    bool method_list = methods && json_is(d, methods, JSON_ARRAY);
    h->any_port = ports && !port_list;
    h->any_method = methods && !method_list;
    h->port = calloc(port_list ? d->node[ports].count : 1, sizeof(*h->port));
    h->method = calloc(method_list ? d->node[methods].count : 1, sizeof(*h->method));
    if (!h->port || !h->method)
        return err_set(e, -ENOMEM, "out of memory");
    if (port_list) {
        json_each (d, ports, it)
            h->port[h->ports++] = port_at(d, it);
    }
    if (method_list) {
        json_each (d, methods, it)
            h->method[h->methods++] = json_inner(d, it);
    } else if (!h->any_method) {
        h->method[h->methods++] = STR("GET");
    }
    return read_host(of, &of->m->doc, json_get(d, n, STR("host")), &h->host, e);
}

static void warn_wider(struct granting *of, struct grant_value v, const char *what,
                       struct str found)
{
    char shown[TEXT_SHOWN];
    manifest_warn(of->m, v.doc, v.node,
                  "expected %s that the manifest asks for, found %s: a grant narrows and never "
                  "widens",
                  what, text_quoted(found, shown));
}

/* What is left of it may be nothing. */
static int narrow_host(struct granting *of, struct grant_ask *ask, struct http_grant *h,
                       struct err *e)
{
    struct grant_value v = grant_find(of, ask, "host");
    struct str host;
    int r = v.doc ? read_host(of, v.doc, v.node, &host, e) : 0;
    if (r || !v.doc)
        return r;
    if (host_is_within(host, h->host)) {
        h->host = host;
        h->host_given = true;
        return 0;
    }
    warn_wider(of, v, "a host", host);
    ask->granted = host_is_within(h->host, host);
    return 0;
}

static int narrow_ports(struct granting *of, struct grant_ask *ask, struct http_grant *h,
                        struct err *e)
{
    struct grant_value v = grant_find(of, ask, "ports");
    if (!v.doc)
        return 0;
    const struct json_doc *d = &v.doc->json;
    if (!json_is(d, v.node, JSON_ARRAY)) {
        if (!h->any_port)
            warn_wider(of, v, "ports", STR("*"));
        return 0;
    }
    uint16_t *port = calloc(d->node[v.node].count, sizeof(*port));
    uint32_t ports = 0;
    if (!port)
        return err_set(e, -ENOMEM, "out of memory");
    json_each (d, v.node, it) {
        if (has_port(h, port_at(d, it)))
            port[ports++] = port_at(d, it);
        else
            warn_wider(of, (struct grant_value){v.doc, it}, "a port", json_raw(d, it));
    }
    free(h->port);
    h->port = port;
    h->ports = ports;
    h->any_port = false;
    ask->granted &= ports > 0;
    return 0;
}

static int narrow_methods(struct granting *of, struct grant_ask *ask, struct http_grant *h,
                          struct err *e)
{
    struct grant_value v = grant_find(of, ask, "methods");
    if (!v.doc)
        return 0;
    const struct json_doc *d = &v.doc->json;
    if (!json_is(d, v.node, JSON_ARRAY)) {
        if (!h->any_method)
            warn_wider(of, v, "methods", STR("*"));
        return 0;
    }
    struct str *method = calloc(d->node[v.node].count, sizeof(*method));
    uint32_t methods = 0;
    int r = method ? 0 : err_set(e, -ENOMEM, "out of memory");
    for (json_ref it = v.node + 1; !r && it < d->node[v.node].next; it = d->node[it].next) {
        /* A copy: the host config goes before the manifest does. */
        if (has_method(h, json_inner(d, it)))
            r = text_keep(&of->g->texts, json_inner(d, it), &method[methods++], e);
        else
            warn_wider(of, (struct grant_value){v.doc, it}, "a method", json_inner(d, it));
    }
    free(h->method);
    h->method = method;
    h->methods = methods;
    h->any_method = false;
    ask->granted &= methods > 0;
    return r;
}

/* --- What is the operator's alone --- */

static int read_private(struct granting *of, struct grant_ask *ask, struct http_grant *h,
                        struct err *e)
{
    struct grant_value v = grant_find(of, ask, "private");
    h->private_ranges = v.doc && json_is(&v.doc->json, v.node, JSON_TRUE);
    if (!h->private_ranges || !host_is_any(h->host))
        return 0;
    return complain_at(v.doc, v.node, e,
                       "expected a host that is narrower than \"*\" beside it, such as host: "
                       "intranet.example, found none: private addresses are not granted for every "
                       "name");
}

static void read_count(struct granting *of, const struct grant_ask *ask, const char *field,
                       uint32_t *ret)
{
    struct grant_value v = grant_find(of, ask, field);
    int64_t n;
    if (v.doc && json_int(&v.doc->json, v.node, &n))
        *ret = (uint32_t)n;
}

/* Headers that say where a message ends or who the peer is would change the request itself. */
static bool may_inject(struct str header)
{
    static const char *const never[] = {"host",
                                        "content-length",
                                        "transfer-encoding",
                                        "connection",
                                        "upgrade",
                                        "te",
                                        "trailer",
                                        "expect",
                                        "proxy-connection",
                                        "keep-alive",
                                        "proxy-authorization"};
    char plain[HOST_BYTES];
    struct str lower = host_plain(header, plain);
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (str_eq(lower, str_of(never[i])))
            return false;
    }
    return lower.n > 0;
}

static bool fits_header(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F)
            return false;
    }
    return value.n > 0;
}

static int read_inject(struct granting *of, struct grant_ask *ask, struct http_grant *h,
                       struct err *e)
{
    struct grant_value v = grant_find(of, ask, "inject");
    if (!v.doc)
        return 0;
    const struct json_doc *d = &v.doc->json;
    json_ref header = json_get(d, v.node, STR("header")), name = json_get(d, v.node, STR("secret"));
    struct secret *secret = settings_secret(of->s, json_inner(d, name));
    char shown[TEXT_SHOWN];
    if (host_is_any(h->host))
        return complain_at(v.doc, v.node, e,
                           "expected a host that is narrower than \"*\" beside it, found none: a "
                           "secret does not go to whatever host the plugin names");
    if (!may_inject(json_inner(d, header)))
        return complain_at(v.doc, header, e, "expected a header such as Authorization, found %s",
                           text_quoted(json_inner(d, header), shown));
    if (!secret)
        return complain_at(v.doc, name, e, "expected a name that stands under secrets, found %s",
                           text_quoted(json_inner(d, name), shown));
    if (!fits_header(secret_value(secret)))
        return complain_at(v.doc, name, e,
                           "expected a secret of one line that fits a header, found %s to be empty "
                           "or to hold control characters",
                           text_quoted(json_inner(d, name), shown));
    h->inject = secret_ref(secret);
    return text_keep(&of->g->texts, json_inner(d, header), &h->inject_header, e);
}

static void words_of(const struct http_grant *h, struct buf *out)
{
    buf_printf(out, "host \"%.*s\"", STR_FMT(h->host));
    if (h->any_port)
        buf_lit(out, ", any port");
    else if (h->ports)
        buf_lit(out, ", ports");
    for (uint32_t i = 0; i < h->ports; i++)
        buf_printf(out, " %u", h->port[i]);
    buf_str(out, h->any_method ? STR(", any method") : STR(", methods"));
    for (uint32_t i = 0; i < h->methods; i++)
        buf_printf(out, " %.*s", STR_FMT(h->method[i]));
    if (h->private_ranges)
        buf_lit(out, ", private addresses");
    if (h->inject)
        buf_printf(out, ", adds header %.*s", STR_FMT(h->inject_header));
}

int grant_http(struct granting *of, struct grant_ask *ask, json_ref n, struct err *e)
{
    struct http_grant *h = &of->g->http[of->g->http_count++];
    struct buf words = BUF_INIT(WORDS_BYTES);
    *h = (struct http_grant){
        .name = ask->name, .redirects = 5, .response = 2 << 20, .timeout = 30 * SECOND};
    int r = read_asked(of, h, n, e);
    r = r ? r : narrow_host(of, ask, h, e);
    r = r ? r : narrow_ports(of, ask, h, e);
    r = r ? r : narrow_methods(of, ask, h, e);
    r = r ? r : read_private(of, ask, h, e);
    r = r ? r : read_inject(of, ask, h, e);
    r = r ? r : grant_unit(of, ask, "response", resolve_size, 1, &h->response, e);
    r = r ? r : grant_unit(of, ask, "timeout", resolve_duration, 1000000, &h->timeout, e);
    if (r)
        return r;
    read_count(of, ask, "redirects", &h->redirects);
    read_count(of, ask, "per_host", &h->per_host);
    if (!ask->granted) {
        http_grant_release(h);
        of->g->http_count--;
        return 0;
    }
    words_of(h, &words);
    r = grant_keep(of->g, &words, &ask->given, e);
    buf_release(&words);
    return r;
}

void http_grant_release(struct http_grant *h)
{
    free(h->port);
    free(h->method);
    secret_unref(h->inject);
}

/* --- In use --- */

bool host_pattern_covers(struct str pattern, struct str host)
{
    char a[HOST_BYTES], b[HOST_BYTES];
    struct str plain = host_plain(host, b);
    return host_is_name(plain) && host_covered(host_plain(pattern, a), plain);
}

int http_grant_check(const struct http_grant *h, struct str plugin, struct str host, uint16_t port,
                     bool default_port, struct str method, struct err *e)
{
    char shown[TEXT_SHOWN];
    const char *why = NULL;
    struct err what;
    if (!host_pattern_covers(h->host, host))
        why = "host", err_set(&what, 0, "%s", text_quoted(host, shown));
    else if (!(h->any_port || (!h->ports && default_port) || (h->ports && has_port(h, port))))
        why = "port", err_set(&what, 0, "%u", port);
    else if (!has_method(h, method))
        why = "method", err_set(&what, 0, "%s", text_quoted(method, shown));
    if (!why)
        return 0;
    struct buf words = BUF_INIT(WORDS_BYTES);
    words_of(h, &words);
    err_set(e, -EACCES, "plugin %.*s is granted http \"%.*s\" (%.*s), which does not cover %s %s",
            STR_FMT(plugin), STR_FMT(h->name), STR_FMT(buf_view(&words)), why, what.text);
    buf_release(&words);
    return -EACCES;
}

const struct http_grant *grants_http_for(const struct grants *g, struct str host, uint16_t port,
                                         bool default_port, struct str method)
{
    for (uint32_t i = 0; i < g->http_count; i++) {
        if (!http_grant_check(&g->http[i], STR_NONE, host, port, default_port, method, NULL))
            return &g->http[i];
    }
    return NULL;
}
