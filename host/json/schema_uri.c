/* Resolution of references between the resources of one document (RFC 3986, section 5.2).
 * Nothing is ever fetched: the result is only compared with the $id of other resources. */
#include "json/schema_internal.h"

#include <ctype.h>

struct uri {
    struct str scheme, authority, path, query; /* p NULL: the part is absent */
};

static struct str cut(struct str *rest, size_t n)
{
    struct str head = {rest->p, n};
    rest->p += n;
    rest->n -= n;
    return head;
}

static size_t until(struct str s, const char *stop)
{
    size_t n = 0;
    while (n < s.n && !strchr(stop, s.p[n]))
        n++;
    return n;
}

static struct uri uri_split(struct str s)
{
    struct uri u = {{0}, {0}, {0}, {0}};
    s.n = until(s, "#");
    size_t n = until(s, ":/?");
    if (n > 0 && n < s.n && s.p[n] == ':' && isalpha((unsigned char)s.p[0])) {
        u.scheme = cut(&s, n);
        cut(&s, 1);
    }
    if (str_starts(s, STR("//"))) {
        cut(&s, 2);
        u.authority = cut(&s, until(s, "/?"));
    }
    u.path = cut(&s, until(s, "?"));
    if (s.n)
        u.query = (struct str){s.p + 1, s.n - 1};
    return u;
}

/* Section 5.2.4: "." and ".." in the path written behind `start`, in place. */
static void remove_dot_segments(struct buf *b, size_t start)
{
    char *p = b->data + start;
    size_t n = b->len - start, in = 0, out = 0;
    while (in < n) {
        size_t end = in + 1;
        while (end < n && p[end] != '/')
            end++;
        bool slash = p[in] == '/';
        struct str segment = {p + in + slash, end - in - slash};
        bool last = end == n;
        if (slash && (str_eq(segment, STR(".")) || str_eq(segment, STR("..")))) {
            if (segment.n == 2)
                while (out > 0 && p[--out] != '/')
                    ;
            if (last)
                p[out++] = '/';
        } else {
            memmove(p + out, p + in, end - in);
            out += end - in;
        }
        in = end;
    }
    b->len = start + out;
}

/* Section 5.2.3: the reference takes the place of the base's last segment. */
static void merge_paths(struct buf *b, const struct uri *base, struct str path)
{
    size_t keep = base->path.n;
    while (keep > 0 && base->path.p[keep - 1] != '/')
        keep--;
    if (base->authority.p && !base->path.n)
        buf_byte(b, '/');
    buf_append(b, base->path.p, keep);
    buf_str(b, path);
}

static void write_path(struct buf *b, const struct uri *base, const struct uri *ref)
{
    size_t start = b->len;
    if (ref->scheme.p || ref->authority.p || str_starts(ref->path, STR("/")))
        buf_str(b, ref->path);
    else if (!ref->path.n)
        buf_str(b, base->path);
    else
        merge_paths(b, base, ref->path);
    if (!b->failed && b->len > start)
        remove_dot_segments(b, start);
}

int schema_uri_resolve(struct str base_text, struct str ref_text, char ret[SCHEMA_URI],
                       size_t *ret_len)
{
    struct uri base = uri_split(base_text), ref = uri_split(ref_text);
    struct buf b = BUF_INIT(SCHEMA_URI);
    struct str scheme = ref.scheme.p ? ref.scheme : base.scheme;
    bool own = ref.scheme.p || ref.authority.p;
    struct str authority = own ? ref.authority : base.authority;
    struct str query = own || ref.path.n || ref.query.p ? ref.query : base.query;
    if (scheme.p) {
        buf_str(&b, scheme);
        buf_byte(&b, ':');
    }
    if (authority.p) {
        buf_lit(&b, "//");
        buf_str(&b, authority);
    }
    write_path(&b, &base, &ref);
    if (query.p) {
        buf_byte(&b, '?');
        buf_str(&b, query);
    }
    int r = b.failed;
    if (!r && b.len)
        memcpy(ret, b.data, b.len);
    if (!r)
        *ret_len = b.len;
    buf_release(&b);
    return r;
}
