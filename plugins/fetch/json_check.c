#include "json_check.h"

#include <stdint.h>
#include <string.h>

enum { DEPTH = 32, KEYS = 64 };

struct check {
    const char *p, *end;
    size_t nodes;
};

static void blanks(struct check *c)
{
    while (c->p < c->end && strchr(" \t\r\n", *c->p) && *c->p)
        c->p++;
}

static bool take(struct check *c, char what)
{
    blanks(c);
    if (c->p == c->end || *c->p != what)
        return false;
    c->p++;
    return true;
}

static bool is_hex(char x)
{
    return (x >= '0' && x <= '9') || (x >= 'a' && x <= 'f') || (x >= 'A' && x <= 'F');
}

static bool escape(struct check *c)
{
    if (c->p == c->end)
        return false;
    char e = *c->p++;
    if (e && strchr("\"\\/bfnrt", e))
        return true;
    if (e != 'u' || c->end - c->p < 4)
        return false;
    bool surrogate = (c->p[0] == 'd' || c->p[0] == 'D') && c->p[1] >= '8';
    for (int i = 0; i < 4; i++, c->p++) {
        if (!is_hex(*c->p))
            return false;
    }
    return !surrogate; /* pairs are rare: such a text is given as text */
}

/* The bytes are UTF-8 already (charset.c). */
static bool string(struct check *c)
{
    if (!take(c, '"'))
        return false;
    while (c->p < c->end) {
        unsigned char x = (unsigned char)*c->p++;
        if (x == '"')
            return true;
        if (x < ' ' || (x == '\\' && !escape(c)))
            return false;
    }
    return false;
}

static size_t digits(struct check *c)
{
    size_t n = 0;
    while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
        c->p++, n++;
    return n;
}

static bool number(struct check *c)
{
    if (c->p < c->end && *c->p == '-')
        c->p++;
    const char *first = c->p;
    size_t n = digits(c);
    if (!n || n > 18 || (n > 1 && *first == '0'))
        return false;
    if (c->p < c->end && *c->p == '.') {
        c->p++;
        if (!digits(c))
            return false;
    }
    if (c->p < c->end && (*c->p == 'e' || *c->p == 'E')) {
        c->p++;
        if (c->p < c->end && (*c->p == '+' || *c->p == '-'))
            c->p++;
        n = digits(c);
        if (!n || n > 2)
            return false;
    }
    return true;
}

static bool word(struct check *c, const char *what)
{
    size_t n = strlen(what);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, what, n) != 0)
        return false;
    c->p += n;
    return true;
}

static bool value(struct check *c, unsigned depth);

static bool array(struct check *c, unsigned depth)
{
    if (take(c, ']'))
        return true;
    do {
        if (!value(c, depth + 1))
            return false;
    } while (take(c, ','));
    return take(c, ']');
}

struct key {
    const char *p;
    size_t n;
};

static bool object(struct check *c, unsigned depth)
{
    struct key seen[KEYS];
    unsigned count = 0;
    if (take(c, '}'))
        return true;
    do {
        blanks(c);
        const char *from = c->p;
        if (count == KEYS || !string(c))
            return false;
        struct key k = {from, (size_t)(c->p - from)};
        /* An escape could make two spellings of one key. */
        if (memchr(k.p, '\\', k.n))
            return false;
        for (unsigned i = 0; i < count; i++) {
            if (seen[i].n == k.n && memcmp(seen[i].p, k.p, k.n) == 0)
                return false;
        }
        seen[count++] = k;
        if (c->nodes-- == 0 || !take(c, ':') || !value(c, depth + 1))
            return false;
    } while (take(c, ','));
    return take(c, '}');
}

static bool value(struct check *c, unsigned depth)
{
    blanks(c);
    if (c->p == c->end || depth > DEPTH || c->nodes == 0)
        return false;
    c->nodes--;
    switch (*c->p) {
    case '{':
        c->p++;
        return object(c, depth);
    case '[':
        c->p++;
        return array(c, depth);
    case '"':
        return string(c);
    case 't':
        return word(c, "true");
    case 'f':
        return word(c, "false");
    case 'n':
        return word(c, "null");
    default:
        return number(c);
    }
}

bool json_check(const char *text, size_t len, size_t *nodes)
{
    struct check c = {text, text + len, *nodes};
    if (!len || !value(&c, 0))
        return false;
    blanks(&c);
    if (c.p != c.end)
        return false;
    *nodes = c.nodes;
    return true;
}
