#include "config/text.h"

#include <errno.h>
#include <stdlib.h>
#include "base/bug.h"

const char *text_quoted(struct str s, char out[TEXT_SHOWN])
{
    size_t room = TEXT_SHOWN - sizeof("\"...\""), n = s.n;
    if (n > room) {
        n = room;
        /* Never cut inside a UTF-8 sequence. */
        while (n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80)
            n--;
    }
    size_t at = 0;
    out[at++] = '"';
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        out[at++] = c < 0x20 || c == 0x7F ? '?' : (char)c;
    }
    const char *end = n < s.n ? "...\"" : "\"";
    memcpy(out + at, end, strlen(end) + 1);
    return out;
}

enum { NEAR_MAX = 48 };

/* Lower case without '_' and '-', so that input_schema is inputSchema. */
static size_t folded(struct str s, char out[NEAR_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < s.n && n < NEAR_MAX; i++) {
        char c = s.p[i];
        if (c == '_' || c == '-')
            continue;
        out[n++] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return n;
}

/* One insertion, deletion, replacement or swap of neighbours turns a into b. */
static bool one_edit(const char *a, size_t an, const char *b, size_t bn)
{
    size_t i = 0;
    while (i < an && i < bn && a[i] == b[i])
        i++;
    if (an == bn) {
        if (i == an)
            return true;
        if (memcmp(a + i + 1, b + i + 1, an - i - 1) == 0)
            return true;
        return i + 1 < an && a[i] == b[i + 1] && a[i + 1] == b[i] &&
               memcmp(a + i + 2, b + i + 2, an - i - 2) == 0;
    }
    if (an + 1 == bn)
        return memcmp(a + i, b + i + 1, an - i) == 0;
    return bn + 1 == an && memcmp(a + i + 1, b + i, bn - i) == 0;
}

bool text_near(struct str written, struct str known)
{
    char a[NEAR_MAX], b[NEAR_MAX];
    if (written.n > NEAR_MAX || known.n > NEAR_MAX)
        return false;
    size_t an = folded(written, a), bn = folded(known, b), less = an < bn ? an : bn;
    /* Any two words of one letter are one edit apart: that helps nobody. */
    if (less < 2)
        return false;
    return one_edit(a, an, b, bn) || (less >= 3 && memcmp(a, b, less) == 0);
}

bool text_is_instance_name(struct str s)
{
    if (s.n < 1 || s.n > 32 || s.p[0] < 'a' || s.p[0] > 'z')
        return false;
    for (size_t i = 1; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return true;
}

struct text_pool {
    struct text_pool *next;
    char bytes[];
};

void text_pool_free(struct text_pool *pool)
{
    while (pool) {
        struct text_pool *next = pool->next;
        free(pool);
        pool = next;
    }
}

int text_keep(struct text_pool **pool, struct str text, struct str *ret, struct err *e)
{
    struct text_pool *piece = malloc(sizeof(*piece) + text.n + 1);
    if (!piece)
        return err_set(e, -ENOMEM, "out of memory");
    piece->next = *pool;
    *pool = piece;
    if (text.n)
        memcpy(piece->bytes, text.p, text.n);
    *ret = (struct str){piece->bytes, text.n};
    return 0;
}

int text_value(struct text_pool **pool, const struct json_doc *d, json_ref n, struct str *ret,
               struct err *e)
{
    if (!n) {
        *ret = STR_NONE;
        return 0;
    }
    if (!(d->node[n].flags & JSON_ESCAPED)) {
        *ret = json_inner(d, n);
        return 0;
    }
    struct buf value = BUF_INIT(d->len);
    int r = json_string_append(d, n, &value);
    r = r ? err_set(e, r, "out of memory") : text_keep(pool, buf_view(&value), ret, e);
    buf_release(&value);
    return r;
}
