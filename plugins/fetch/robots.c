#include "robots.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { RULES_MAX = 500 * 1024 };

struct slice {
    const char *p;
    size_t n;
};

static struct slice trim(struct slice s)
{
    while (s.n && isspace((unsigned char)s.p[0]))
        s.p++, s.n--;
    while (s.n && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    return s;
}

/* Takes the next line without its comment; false: there is none. */
static bool next_line(struct slice *rest, struct slice *ret_key, struct slice *ret_value)
{
    if (!rest->n)
        return false;
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '\n' && rest->p[n] != '\r')
        n++;
    struct slice line = {rest->p, n};
    rest->p += n + (n < rest->n);
    rest->n -= n + (n < rest->n);
    const char *hash = memchr(line.p, '#', line.n);
    if (hash)
        line.n = (size_t)(hash - line.p);
    const char *colon = memchr(line.p, ':', line.n);
    *ret_key = *ret_value = (struct slice){line.p, 0};
    if (colon) {
        *ret_key = trim((struct slice){line.p, (size_t)(colon - line.p)});
        *ret_value = trim((struct slice){colon + 1, line.n - (size_t)(colon + 1 - line.p)});
    }
    return true;
}

static bool is_key(struct slice key, const char *name)
{
    return key.n == strlen(name) && strncasecmp(key.p, name, key.n) == 0;
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The next octet, with %41 as A but %2F as it is; moves on. */
static int octet(struct slice *s)
{
    int c = (unsigned char)s->p[0];
    size_t used = 1;
    if (c == '%' && s->n >= 3 && hex(s->p[1]) >= 0 && hex(s->p[2]) >= 0) {
        int value = hex(s->p[1]) * 16 + hex(s->p[2]);
        if (value != '/' && value != '%') {
            c = value;
            used = 3;
        }
    }
    s->p += used;
    s->n -= used;
    return c;
}

/* "*" is any run, "$" at the end is the end; a prefix is enough otherwise.  Greedy with one step
 * back, so that it is linear in pattern times path. */
static bool matches(struct slice pattern, struct slice path)
{
    struct slice star = {NULL, 0}, again = path;
    bool anchored = pattern.n && pattern.p[pattern.n - 1] == '$';
    if (anchored)
        pattern.n--;
    for (;;) {
        if (!pattern.n && (!anchored || !path.n))
            return true;
        if (pattern.n && pattern.p[0] == '*') {
            pattern.p++, pattern.n--;
            star = pattern;
            again = path;
            continue;
        }
        struct slice p = pattern, s = path;
        if (pattern.n && path.n && octet(&p) == octet(&s)) {
            pattern = p;
            path = s;
            continue;
        }
        if (!star.p || !again.n)
            return false;
        octet(&again);
        pattern = star;
        path = again;
    }
}

/* How well a group's name fits: its length, 0 for "*", -1 for not at all. */
static long fits(struct slice name, const char *agent)
{
    if (name.n == 1 && name.p[0] == '*')
        return 0;
    return name.n && name.n <= strlen(agent) && strncasecmp(agent, name.p, name.n) == 0 &&
                   !isalpha((unsigned char)agent[name.n])
               ? (long)name.n
               : -1;
}

/* The best fit any group has; -1: none. */
static long best_fit(struct slice rules, const char *agent)
{
    struct slice key, value;
    long best = -1;
    while (next_line(&rules, &key, &value)) {
        if (is_key(key, "user-agent") && fits(value, agent) > best)
            best = fits(value, agent);
    }
    return best;
}

bool robots_allow(const char *rules, size_t len, const char *agent, const char *path,
                  size_t path_len)
{
    struct slice rest = {rules, len < RULES_MAX ? len : RULES_MAX}, key, value;
    struct slice asked = {path_len ? path : "/", path_len ? path_len : 1};
    if (len >= 3 && memcmp(rules, "\xef\xbb\xbf", 3) == 0)
        rest.p += 3, rest.n -= 3;
    long best = best_fit(rest, agent);
    size_t longest = 0;
    bool ours = false, names = false, allowed = true;
    while (best >= 0 && next_line(&rest, &key, &value)) {
        if (is_key(key, "user-agent")) {
            ours = (names && ours) || fits(value, agent) == best;
            names = true;
            continue;
        }
        bool allow = is_key(key, "allow");
        if (!allow && !is_key(key, "disallow"))
            continue;
        names = false;
        if (!ours || !value.n || !matches(value, asked))
            continue;
        if (value.n > longest || (value.n == longest && allow)) {
            longest = value.n;
            allowed = allow;
        }
    }
    return allowed;
}
