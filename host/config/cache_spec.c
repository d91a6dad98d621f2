#include "config/cache_spec.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/un.h>
#include "config/complain.h"
#include "config/expand.h"
#include "config/file.h"
#include "config/resolve.h"
#include "config/text.h"

enum { REDIS_PORT = 6379, DATABASE_MAX = 65535 };
_Static_assert(CACHE_WHERE_MAX >= sizeof(((struct sockaddr_un *)0)->sun_path), "a path must fit");

static const char redis_expected[] =
    "expected none, redis://HOST[:PORT][/DATABASE] or unix:PATH, found %s";

struct cache_spec cache_spec_builtin(void)
{
    return (struct cache_spec){
        .memory = 64 << 20, .name_space = "manifold", .timeout = 50 * 1000000};
}

/* False: it is longer than `max`. */
static bool set(char *to, size_t max, struct str text)
{
    if (text.n > max)
        return false;
    if (text.n)
        memcpy(to, text.p, text.n);
    to[text.n] = '\0';
    return true;
}

/* All of s is a number of at most `max`. */
static bool read_number(struct str s, uint32_t max, uint32_t *ret)
{
    uint32_t n = 0;
    if (!s.n || s.n > 5)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        n = n * 10 + (uint32_t)(s.p[i] - '0');
    }
    *ret = n;
    return n <= max;
}

/* Cuts s at the first c; *rest is what stands behind it, {NULL, 0} when there is none. */
static struct str cut(struct str s, char c, struct str *rest)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    *rest = at ? (struct str){at + 1, s.n - (size_t)(at + 1 - s.p)} : STR_NONE;
    return (struct str){s.p, at ? (size_t)(at - s.p) : s.n};
}

/* HOST[:PORT][/DATABASE], where an IPv6 address stands in brackets. */
static bool read_host(struct cache_spec *s, struct str text)
{
    struct str database, port, host = cut(text, '/', &database);
    uint32_t n = REDIS_PORT;
    if (host.n && host.p[0] == '[') {
        struct str behind;
        host = cut((struct str){host.p + 1, host.n - 1}, ']', &behind);
        if (!behind.p || (behind.n && behind.p[0] != ':'))
            return false;
        port = behind.n ? (struct str){behind.p + 1, behind.n - 1} : STR_NONE;
    } else {
        host = cut(host, ':', &port);
    }
    if (!host.n || memchr(host.p, '@', host.n) || memchr(host.p, '?', host.n) ||
        !set(s->where, CACHE_WHERE_MAX, host))
        return false;
    if ((port.p && (!read_number(port, UINT16_MAX, &n) || !n)) ||
        (database.n && !read_number(database, DATABASE_MAX, &s->database)))
        return false;
    s->redis = CACHE_REDIS_TCP;
    s->port = (uint16_t)n;
    return true;
}

static int read_unix(struct cache_spec *s, const struct document *d, json_ref n, struct str path,
                     const char *base, struct err *e)
{
    struct err why = {{0}};
    char *full;
    int r = path_expand(path, base, &full, &why);
    if (r)
        return complain_at(d, n, e, "%s", why.text);
    if (strlen(full) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
        free(full);
        return complain_at(d, n, e, "expected a path of at most %zu bytes for a socket, found more",
                           sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
    }
    s->redis = CACHE_REDIS_UNIX;
    set(s->where, CACHE_WHERE_MAX, str_of(full));
    free(full);
    return 0;
}

static int read_redis(struct cache_spec *s, const struct document *d, json_ref n, const char *base,
                      struct err *e)
{
    static const char tcp[] = "redis://", local[] = "unix:";
    struct buf scratch = BUF_INIT(4096);
    struct str text = json_string(&d->json, n, &scratch);
    char shown[TEXT_SHOWN];
    int r = 0;
    if (scratch.failed)
        r = complain_at(d, n, e, "expected at most 4096 bytes, found more");
    else if (str_starts(text, str_of(local)))
        r = read_unix(s, d, n, (struct str){text.p + 5, text.n - 5}, base, e);
    else if (str_starts(text, str_of(tcp)) && memchr(text.p, '@', text.n)) /* may hold a password */
        r = complain_at(d, n, e, redis_expected,
                        "one with '@': a password goes into cache.password");
    else if (str_starts(text, str_of(tcp)) && !read_host(s, (struct str){text.p + 8, text.n - 8}))
        r = complain_at(d, n, e, redis_expected, text_quoted(text, shown));
    buf_release(&scratch);
    return r;
}

static int read_password(struct cache_spec *s, const struct document *d, json_ref n,
                         const char *base, struct err *e)
{
    const struct expand x = {.doc = d, .host = true, .directory = base};
    struct buf value = BUF_INIT(EXPAND_BYTES);
    if (json_string_eq(&d->json, n, STR("none")))
        return 0;
    int r = expand_string(&x, n, &value, e);
    if (!r && !value.len)
        r = complain_at(d, n, e, "expected a password or none, found an empty text");
    if (!r && !(s->password = strndup(value.data, value.len)))
        r = err_set(e, -ENOMEM, "out of memory");
    if (value.data)
        explicit_bzero(value.data, value.len);
    buf_release(&value);
    return r;
}

int cache_spec_read(struct cache_spec *s, const struct document *d, json_ref n, const char *base,
                    struct err *e)
{
    json_ref redis = json_get(&d->json, n, STR("redis"));
    json_ref password = json_get(&d->json, n, STR("password"));
    json_ref name_space = json_get(&d->json, n, STR("namespace"));
    int r = resolve_size(d, n, "memory", 1 << 20, &s->memory, e);
    r = r ? r : resolve_duration(d, n, "timeout", 1000000, &s->timeout, e);
    r = r || !redis ? r : read_redis(s, d, redis, base, e);
    r = r || !password ? r : read_password(s, d, password, base, e);
    if (r || !name_space)
        return r;
    struct buf scratch = BUF_INIT(256); /* the schema allows less */
    struct str text = json_string(&d->json, name_space, &scratch);
    if (scratch.failed || !set(s->name_space, CACHE_NAMESPACE_MAX, text))
        r = complain_at(d, name_space, e, "expected memory for this text, found none");
    buf_release(&scratch);
    return r;
}

int cache_spec_copy(const struct cache_spec *s, struct cache_spec *ret)
{
    *ret = *s;
    ret->password = s->password ? strdup(s->password) : NULL;
    return s->password && !ret->password ? -ENOMEM : 0;
}

bool cache_spec_same(const struct cache_spec *a, const struct cache_spec *b)
{
    return a->memory == b->memory && a->redis == b->redis && a->port == b->port &&
           a->database == b->database && a->timeout == b->timeout &&
           strcmp(a->where, b->where) == 0 && text_same(a->password, b->password) &&
           strcmp(a->name_space, b->name_space) == 0;
}

void cache_spec_release(struct cache_spec *s)
{
    if (s->password)
        explicit_bzero(s->password, strlen(s->password));
    free(s->password);
    *s = (struct cache_spec){0};
}
