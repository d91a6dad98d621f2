/* Matching runs the template backwards once and forwards once.  Backwards it marks, for every part
 * and every position in the URI, whether the rest can match from there; forwards it then takes the
 * longest value that still can.  So nothing is tried twice, whatever the template. */
#include "config/uri_template_parts.h"

#include <errno.h>
#include <stdlib.h>
#include "json/writer.h"

enum { URI_MAX = 1 << 20, STACK_BITS = 4096 * 8 };

struct matcher {
    const struct uri_template *t;
    struct str uri;
    uint64_t *bits; /* [part][position 0 to uri.n]: can the rest match from here? */
    size_t words;   /* of one part */
    struct str value[VARIABLES_MAX];
    bool defined[VARIABLES_MAX];
};

static bool can(const struct matcher *m, uint32_t part, size_t pos)
{
    return m->bits[part * m->words + pos / 64] >> (pos % 64) & 1;
}

static void mark(struct matcher *m, uint32_t part, size_t pos)
{
    m->bits[part * m->words + pos / 64] |= (uint64_t)1 << (pos % 64);
}

/* How many bytes of a value begin at pos: 0 (it ends here), 1, or 3 for a triplet. */
static size_t value_step(const struct matcher *m, const char *stop, size_t pos)
{
    const char *p = m->uri.p + pos, *end = m->uri.p + m->uri.n;
    if (p == end || (unsigned char)*p <= ' ' || *p == 127 || strchr(stop, *p))
        return 0;
    if (*p == '%')
        return is_triplet(p, end) ? 3 : 0;
    return 1;
}

static void back_text(struct matcher *m, uint32_t i)
{
    struct str text = m->t->part[i].text;
    for (size_t pos = 0; pos + text.n <= m->uri.n; pos++) {
        if (can(m, i + 1, pos + text.n) && !memcmp(m->uri.p + pos, text.p, text.n))
            mark(m, i, pos);
    }
}

/* `open`: the byte before the value, 0: none; with one the part may also be absent.  Whether a
 * value that began earlier may end at pos or beyond is carried back step by step. */
static void back_value(struct matcher *m, uint32_t i, char open, size_t least)
{
    const char *stop = m->t->part[i].stop;
    bool ahead[3] = {false}; /* for pos + 1 to pos + 3 */
    for (size_t pos = m->uri.n + 1; pos-- > 0;) {
        size_t step = value_step(m, stop, pos);
        bool longer = step && ahead[step - 1];
        bool here = can(m, i + 1, pos) || longer;
        if (open    ? can(m, i + 1, pos) || (pos < m->uri.n && m->uri.p[pos] == open && ahead[0])
            : least ? longer
                    : here)
            mark(m, i, pos);
        ahead[2] = ahead[1];
        ahead[1] = ahead[0];
        ahead[0] = here;
    }
}

/* Which variable of part p the pair behind the separator at pos is of, or p->vars; *ret_from: where
 * its value begins. */
static uint32_t pair_at(const struct matcher *m, const struct part *p, size_t pos, size_t *ret_from)
{
    struct str rest = {m->uri.p + pos + 1, m->uri.n - pos - 1};
    for (uint32_t v = 0; v < p->vars; v++) {
        struct str name = m->t->variable[p->var + v];
        if (rest.n > name.n && rest.p[name.n] == '=' && str_starts(rest, name)) {
            *ret_from = pos + 1 + name.n + 1;
            return v;
        }
    }
    return p->vars;
}

static void back_query(struct matcher *m, uint32_t i)
{
    const struct part *p = &m->t->part[i];
    size_t stop = m->uri.n; /* the nearest end of a value at or behind pos */
    bool follows = false;   /* may a further pair begin at `stop`? */
    bool pair = false;      /* may one begin at pos? */
    for (size_t pos = m->uri.n + 1; pos-- > 0;) {
        char c = pos < m->uri.n ? m->uri.p[pos] : 0;
        size_t from;
        pair = (c == '&' || c == p->mark) && pair_at(m, p, pos, &from) < p->vars &&
               (can(m, i + 1, stop) || follows);
        if (can(m, i + 1, pos) || (c == p->mark && pair))
            mark(m, i, pos);
        if (pos < m->uri.n && !value_step(m, p->stop, pos)) {
            stop = pos;
            follows = c == '&' && pair;
        }
    }
}

static void run_back(struct matcher *m)
{
    uint32_t n = m->t->parts;
    mark(m, n, m->uri.n);
    while (n-- > 0) {
        switch (m->t->part[n].kind) {
        case PART_TEXT:
            back_text(m, n);
            break;
        case PART_VALUE:
            back_value(m, n, 0, m->t->part[n].least);
            break;
        case PART_PATH:
            back_value(m, n, '/', 0);
            break;
        case PART_FRAG:
            back_value(m, n, '#', 0);
            break;
        case PART_QUERY:
            back_query(m, n);
            break;
        }
    }
}

static void define(struct matcher *m, uint32_t var, size_t from, size_t to)
{
    m->value[var] = (struct str){m->uri.p + from, to - from};
    m->defined[var] = true;
}

/* The longest value from pos behind which the rest matches; returns its end, SIZE_MAX: none. */
static size_t longest(const struct matcher *m, uint32_t i, size_t pos, size_t least)
{
    size_t best = SIZE_MAX, from = pos;
    for (;;) {
        if (pos - from >= least && can(m, i + 1, pos))
            best = pos;
        size_t step = value_step(m, m->t->part[i].stop, pos);
        if (!step)
            return best;
        pos += step;
    }
}

static size_t take_optional(struct matcher *m, uint32_t i, size_t pos, char open)
{
    if (pos < m->uri.n && m->uri.p[pos] == open) {
        size_t end = longest(m, i, pos + 1, 0);
        if (end != SIZE_MAX) {
            define(m, m->t->part[i].var, pos + 1, end);
            return end;
        }
    }
    return pos;
}

/* As many pairs as there are; SIZE_MAX when a name comes twice. */
static size_t take_query(struct matcher *m, uint32_t i, size_t pos)
{
    const struct part *p = &m->t->part[i];
    size_t at = pos, best = pos;
    while (at < m->uri.n && m->uri.p[at] == (at == pos ? p->mark : '&')) {
        size_t end = 0;
        uint32_t v = pair_at(m, p, at, &end);
        if (v == p->vars)
            break;
        size_t from = end;
        for (size_t step; (step = value_step(m, p->stop, end)); end += step)
            ;
        if (m->defined[p->var + v])
            return SIZE_MAX;
        define(m, p->var + v, from, end);
        at = end;
        if (can(m, i + 1, at))
            best = at;
    }
    /* A pair that is not part of the match belongs to the next expression. */
    for (uint32_t v = p->var; v < p->var + p->vars; v++)
        m->defined[v] = m->defined[v] && m->value[v].p <= m->uri.p + best;
    return best;
}

static bool run_forward(struct matcher *m)
{
    size_t pos = 0;
    if (!can(m, 0, 0))
        return false;
    for (uint32_t i = 0; i < m->t->parts && pos != SIZE_MAX; i++) {
        const struct part *p = &m->t->part[i];
        size_t from = pos;
        switch (p->kind) {
        case PART_TEXT:
            pos += p->text.n;
            break;
        case PART_VALUE:
            pos = longest(m, i, pos, p->least);
            if (pos != SIZE_MAX)
                define(m, p->var, from, pos);
            break;
        case PART_PATH:
            pos = take_optional(m, i, pos, '/');
            break;
        case PART_FRAG:
            pos = take_optional(m, i, pos, '#');
            break;
        case PART_QUERY:
            pos = take_query(m, i, pos);
            break;
        }
    }
    return pos == m->uri.n;
}

/* --- the variables --- */

static unsigned hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

/* Appends the value as a JSON string; false when it decodes to what is no text. */
static bool write_value(struct str value, struct buf *out)
{
    struct str plain = value;
    struct buf decoded = BUF_INIT(value.n);
    if (value.n && memchr(value.p, '%', value.n)) {
        if (buf_reserve(&decoded, value.n)) {
            if (out)
                out->failed = -ENOMEM;
            return false;
        }
        for (size_t i = 0; i < value.n; i++) {
            bool triplet = value.p[i] == '%';
            buf_byte(&decoded,
                     triplet ? (char)(hex_value(value.p[i + 1]) << 4 | hex_value(value.p[i + 2]))
                             : value.p[i]);
            i += triplet ? 2 : 0;
        }
        plain = buf_view(&decoded);
    }
    bool text = utf8_valid(plain) && (!plain.n || !memchr(plain.p, 0, plain.n));
    if (text && out)
        json_write_string(out, plain);
    buf_release(&decoded);
    return text;
}

static bool write_variables(const struct matcher *m, struct buf *vars)
{
    size_t before = vars ? vars->len : 0;
    bool first = true;
    if (vars)
        buf_byte(vars, '{');
    for (uint32_t i = 0; i < m->t->variables; i++) {
        if (!m->defined[i])
            continue;
        if (vars && !first)
            buf_byte(vars, ',');
        if (vars) {
            json_write_string(vars, m->t->variable[i]);
            buf_byte(vars, ':');
        }
        first = false;
        if (!write_value(m->value[i], vars)) {
            if (vars)
                vars->len = before;
            return false;
        }
    }
    if (vars)
        buf_byte(vars, '}');
    return true;
}

bool uri_template_match(const struct uri_template *t, struct str uri, struct buf *vars)
{
    const struct part *first = &t->part[0];
    uint64_t small[STACK_BITS / 64];
    struct matcher m = {.t = t, .uri = uri, .words = uri.n / 64 + 1};
    /* Most URIs are of another template, which its beginning shows. */
    if (uri.n > URI_MAX || (first->kind == PART_TEXT && !str_starts(uri, first->text)))
        return false;
    size_t words = m.words * (t->parts + 1);
    uint64_t *large = NULL;
    if (words > STACK_BITS / 64) {
        large = calloc(words, sizeof(*large));
        if (!large) {
            if (vars)
                vars->failed = -ENOMEM;
            return false;
        }
    } else {
        memset(small, 0, words * sizeof(*small));
    }
    m.bits = large ? large : small;
    run_back(&m);
    bool match = run_forward(&m) && write_variables(&m, vars);
    free(large);
    return match;
}
