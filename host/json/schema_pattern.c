/* Patterns as ECMA-262 spells them (section 22.2, with the u flag), rewritten for PCRE2.
 *
 * Everything that the two languages read differently is spelled out here, and
 * everything that only PCRE2 knows (possessive quantifiers, atomic groups,
 * verbs, \A, \Q) is refused, so a schema means the same here as elsewhere.
 * Annex B leniency is kept where tools use it: escapes of punctuation that need none, a brace that
 * is no quantifier. */
#include "json/schema_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* White space of ECMA-262 and its complement, as the inside of a class. */
#define SPACES                                                                            \
    "\\x09-\\x0d \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}" \
    "\\x{3000}\\x{feff}"
#define NO_SPACES                                                                            \
    "\\x00-\\x08\\x0e-\\x1f!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}" \
    "\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}"           \
    "\\x{ff00}-\\x{10ffff}"
#define ANY_BUT_BREAKS "[^\\x0a\\x0d\\x{2028}\\x{2029}]"

struct translation {
    struct str in;
    size_t at;
    struct buf *out;
    struct err *e;
    struct schema_pattern *p;
    bool in_class;
    bool atom; /* something a quantifier may follow */
};

static int refuse(struct translation *t, const char *what)
{
    return err_set(t->e, -EINVAL, "%s at character %zu", what, t->at);
}

static bool more(const struct translation *t, size_t n)
{
    return t->at + n <= t->in.n;
}

static char peek(const struct translation *t, size_t ahead)
{
    return t->at + ahead < t->in.n ? t->in.p[t->at + ahead] : '\0';
}

/* Reads exactly n hexadecimal digits at `from`; -1 when they aren't there. */
static int32_t hex_at(const struct translation *t, size_t from, size_t n)
{
    int32_t v = 0;
    if (from + n > t->in.n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)t->in.p[from + i];
        if (!isxdigit(c))
            return -1;
        v = v * 16 + (isdigit(c) ? c - '0' : (c | 32) - 'a' + 10);
    }
    return v;
}

static int put_code(struct translation *t, uint32_t c)
{
    return buf_printf(t->out, "\\x{%x}", c);
}

/* \u{1F600}, \u0041, \ud83d\ude00; t->at is behind the 'u'. */
static int unicode_escape(struct translation *t)
{
    if (peek(t, 0) == '{') {
        size_t n = 1;
        while (isxdigit((unsigned char)peek(t, n)) && n < 8)
            n++;
        int32_t c = n > 1 && peek(t, n) == '}' ? hex_at(t, t->at + 1, n - 1) : -1;
        if (c < 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return refuse(t, "\\u{...} that is no character");
        t->at += n + 1;
        return put_code(t, (uint32_t)c);
    }
    int32_t c = hex_at(t, t->at, 4);
    if (c < 0)
        return refuse(t, "\\u without four hexadecimal digits");
    t->at += 4;
    if (c >= 0xd800 && c < 0xdc00 && peek(t, 0) == '\\' && peek(t, 1) == 'u') {
        int32_t low = hex_at(t, t->at + 2, 4);
        if (low >= 0xdc00 && low < 0xe000) {
            t->at += 6;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    if (c >= 0xd800 && c < 0xe000)
        return refuse(t, "half of a surrogate pair");
    return put_code(t, (uint32_t)c);
}

/* General categories that PCRE2 knows by their short names alone. */
static const struct {
    const char *name, *code;
} categories[] = {
    {"Letter", "L"},
    {"Cased_Letter", "L&"},
    {"LC", "L&"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"Titlecase_Letter", "Lt"},
    {"Modifier_Letter", "Lm"},
    {"Other_Letter", "Lo"},
    {"Mark", "M"},
    {"Combining_Mark", "M"},
    {"Nonspacing_Mark", "Mn"},
    {"Spacing_Mark", "Mc"},
    {"Enclosing_Mark", "Me"},
    {"Number", "N"},
    {"Decimal_Number", "Nd"},
    {"digit", "Nd"},
    {"Letter_Number", "Nl"},
    {"Other_Number", "No"},
    {"Punctuation", "P"},
    {"punct", "P"},
    {"Connector_Punctuation", "Pc"},
    {"Dash_Punctuation", "Pd"},
    {"Open_Punctuation", "Ps"},
    {"Close_Punctuation", "Pe"},
    {"Initial_Punctuation", "Pi"},
    {"Final_Punctuation", "Pf"},
    {"Other_Punctuation", "Po"},
    {"Symbol", "S"},
    {"Math_Symbol", "Sm"},
    {"Currency_Symbol", "Sc"},
    {"Modifier_Symbol", "Sk"},
    {"Other_Symbol", "So"},
    {"Separator", "Z"},
    {"Space_Separator", "Zs"},
    {"Line_Separator", "Zl"},
    {"Paragraph_Separator", "Zp"},
    {"Other", "C"},
    {"Control", "Cc"},
    {"cntrl", "Cc"},
    {"Format", "Cf"},
    {"Surrogate", "Cs"},
    {"Private_Use", "Co"},
    {"Unassigned", "Cn"},
};

static struct str category_code(struct str name)
{
    for (size_t i = 0; i < sizeof(categories) / sizeof(*categories); i++) {
        if (str_eq(name, str_of(categories[i].name)))
            return str_of(categories[i].code);
    }
    return name;
}

/* \p{Letter}, \p{gc=Lu}, \p{Script=Greek}; t->at is behind the 'p', which is `c`. */
static int property_escape(struct translation *t, char c)
{
    size_t n = 1;
    while (isalnum((unsigned char)peek(t, n)) || peek(t, n) == '_' || peek(t, n) == '=')
        n++;
    if (peek(t, 0) != '{' || peek(t, n) != '}' || n == 1)
        return refuse(t, "\\p without a {property}");
    struct str name = {t->in.p + t->at + 1, n - 1};
    t->at += n + 1;
    const char *equals = memchr(name.p, '=', name.n), *prefix = "";
    if (equals) {
        struct str kind = {name.p, (size_t)(equals - name.p)};
        name = (struct str){equals + 1, name.n - kind.n - 1};
        if (str_eq(kind, STR("Script")) || str_eq(kind, STR("sc")))
            prefix = "sc:";
        else if (str_eq(kind, STR("Script_Extensions")) || str_eq(kind, STR("scx")))
            prefix = "scx:";
        else if (!str_eq(kind, STR("General_Category")) && !str_eq(kind, STR("gc")))
            return refuse(t, "a property that is not known");
    }
    name = *prefix ? name : category_code(name);
    return buf_printf(t->out, "\\%c{%s%.*s}", c, prefix, STR_FMT(name));
}

static int group_reference(struct translation *t, char first)
{
    int n = first - '0';
    if (t->in_class)
        return refuse(t, "a back reference in a class");
    while (isdigit((unsigned char)peek(t, 0)) && n < 1000)
        n = n * 10 + (t->in.p[t->at++] - '0');
    t->p->backrefs = true;
    return buf_printf(t->out, "\\g{%d}", n);
}

static int named_reference(struct translation *t)
{
    const char *end = peek(t, 0) == '<' ? memchr(t->in.p + t->at, '>', t->in.n - t->at) : NULL;
    if (!end || t->in_class)
        return refuse(t, "\\k without a <name>");
    size_t n = (size_t)(end - t->in.p) - t->at + 1;
    t->p->backrefs = true;
    buf_lit(t->out, "\\k");
    int r = buf_append(t->out, t->in.p + t->at, n);
    t->at += n;
    return r;
}

static int space_escape(struct translation *t, bool negative)
{
    const char *set = negative ? NO_SPACES : SPACES;
    return buf_printf(t->out, t->in_class ? "%s" : "[%s]", set);
}

static int control_escape(struct translation *t)
{
    char c = peek(t, 0);
    if (!isalpha((unsigned char)c))
        return refuse(t, "\\c without a letter");
    t->at++;
    return put_code(t, (uint32_t)c & 31);
}

static int byte_escape(struct translation *t)
{
    int32_t c = hex_at(t, t->at, 2);
    if (c < 0)
        return refuse(t, "\\x without two hexadecimal digits");
    t->at += 2;
    return put_code(t, (uint32_t)c);
}

/* t->at is at the backslash. */
static int escape(struct translation *t)
{
    static const char plain[] = "tnvfr", code[] = {9, 10, 11, 12, 13};
    if (!more(t, 2))
        return refuse(t, "a backslash at the end");
    char c = peek(t, 1);
    const char *found = memchr(plain, c, sizeof(plain) - 1);
    t->at += 2;
    t->atom = !(c == 'b' || c == 'B') || t->in_class;
    if (found)
        return put_code(t, (uint32_t)code[found - plain]);
    if (c == '0' && !isdigit((unsigned char)peek(t, 0)))
        return put_code(t, 0);
    if (c >= '1' && c <= '9')
        return group_reference(t, c);
    switch (c) {
    case 'd':
    case 'D':
    case 'w':
    case 'W':
    case 'b':
        return buf_printf(t->out, "\\%c", c);
    case 's':
    case 'S':
        return space_escape(t, c == 'S');
    case 'p':
    case 'P':
        return property_escape(t, c);
    case 'u':
        return unicode_escape(t);
    case 'x':
        return byte_escape(t);
    case 'c':
        return control_escape(t);
    case 'k':
        return named_reference(t);
    case 'B':
        if (!t->in_class)
            return buf_lit(t->out, "\\B");
    }
    if (isalnum((unsigned char)c) || (unsigned char)c >= 0x80)
        return err_set(t->e, -EINVAL, "\\%.*s, which ECMA-262 does not have, at character %zu",
                       (unsigned char)c >= 0x80 ? 0 : 1, &c, t->at - 2);
    return ispunct((unsigned char)c) ? buf_printf(t->out, "\\%c", c) : buf_byte(t->out, c);
}

/* Is what stands at `ahead` an escape that means more than one character? */
static bool is_set_escape(const struct translation *t, size_t ahead)
{
    return peek(t, ahead) == '\\' && peek(t, ahead + 1) && strchr("dDwWsSpP", peek(t, ahead + 1));
}

/* [...], t->at at the bracket.  "[:" and the like mean nothing here, so every inner '[' is
 * escaped; a '-' beside a set can't make a range, so it is escaped too. */
static int class(struct translation *t)
{
    bool after_set = false;
    t->atom = true;
    if (peek(t, 1) == ']') {
        /* Nothing matches it; PCRE2 would ignore a quantifier behind it. */
        t->at += 2;
        return buf_lit(t->out, "(?:[])");
    }
    t->in_class = true;
    t->at++;
    buf_byte(t->out, '[');
    if (peek(t, 0) == '^') {
        buf_byte(t->out, '^');
        t->at++;
    }
    while (more(t, 1) && peek(t, 0) != ']') {
        char c = peek(t, 0);
        bool set = is_set_escape(t, 0);
        if (c == '\\') {
            int r = escape(t);
            if (r)
                return r;
        } else {
            if (c == '[' || (c == '-' && (after_set || is_set_escape(t, 1))))
                buf_byte(t->out, '\\');
            buf_byte(t->out, c);
            t->at++;
        }
        after_set = set;
    }
    if (!more(t, 1))
        return refuse(t, "a class without its ]");
    t->at++;
    t->in_class = false;
    t->atom = true;
    return buf_byte(t->out, ']');
}

/* "(", "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?<name>" and nothing else. */
static int group(struct translation *t)
{
    static const char *const kinds[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!"};
    struct str rest = {t->in.p + t->at, t->in.n - t->at};
    t->atom = false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (str_starts(rest, str_of(kinds[i]))) {
            t->at += strlen(kinds[i]);
            return buf_str(t->out, str_of(kinds[i]));
        }
    }
    if (str_starts(rest, STR("(?<"))) {
        const char *end = memchr(rest.p, '>', rest.n);
        if (!end)
            return refuse(t, "a group name without its >");
        size_t n = (size_t)(end - rest.p) + 1;
        t->at += n;
        return buf_append(t->out, rest.p, n);
    }
    if (peek(t, 1) == '?' || peek(t, 1) == '*')
        return refuse(t, "a kind of group that ECMA-262 does not have");
    t->at++;
    return buf_byte(t->out, '(');
}

/* Length of "{n}", "{n,}" or "{n,m}" here, and n; 0 when the brace is only a brace. */
static size_t braces(const struct translation *t, uint32_t *ret_min)
{
    size_t n = 1;
    uint32_t v = 0;
    if (!isdigit((unsigned char)peek(t, 1)))
        return 0;
    for (; isdigit((unsigned char)peek(t, n)); n++)
        v = v < 100000 ? v * 10 + (uint32_t)(peek(t, n) - '0') : v;
    if (peek(t, n) == ',')
        for (n++; isdigit((unsigned char)peek(t, n)); n++)
            ;
    *ret_min = v;
    return peek(t, n) == '}' ? n + 1 : 0;
}

static int quantifier(struct translation *t, size_t n)
{
    if (!t->atom)
        return refuse(t, "a quantifier with nothing to repeat");
    buf_append(t->out, t->in.p + t->at, n);
    t->at += n;
    t->atom = false;
    if (peek(t, 0) != '?')
        return 0;
    t->at++;
    return buf_byte(t->out, '?');
}

static int one(struct translation *t)
{
    char c = peek(t, 0);
    uint32_t min = 0;
    size_t n;
    switch (c) {
    case '\\':
        return escape(t);
    case '[':
        return class(t);
    case '(':
        return group(t);
    case '*':
    case '+':
    case '?':
        return quantifier(t, 1);
    case '{':
        n = braces(t, &min);
        if (n) {
            t->p->blind = min > t->p->blind ? min : t->p->blind;
            return quantifier(t, n);
        }
        buf_byte(t->out, '\\');
        break;
    case '.':
        t->at++;
        t->atom = true;
        return buf_lit(t->out, ANY_BUT_BREAKS);
    }
    t->atom = c != '|' && c != '^' && c != '$';
    t->at++;
    return buf_byte(t->out, c);
}

int schema_pattern_translate(struct str source, struct buf *out, struct schema_pattern *p,
                             struct err *e)
{
    struct translation t = {.in = source, .out = out, .e = e, .p = p};
    while (t.at < source.n) {
        int r = one(&t);
        if (r == -EINVAL)
            return r;
        if (r)
            break;
    }
    if (out->failed == -ENOMEM)
        return err_set(e, -ENOMEM, "a pattern that there is no memory for");
    if (out->failed)
        return err_set(e, -EINVAL, "a pattern over the limit of %d bytes", SCHEMA_PATTERN_BYTES);
    return 0;
}
