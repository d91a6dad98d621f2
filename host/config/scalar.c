#include "config/scalar.h"

#include "base/bug.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Length of the run of digits at s[i...]; '_' counts as one where `underscores`. */
static size_t digits(struct str s, size_t i, bool underscores)
{
    size_t n = 0;
    while (i + n < s.n && (is_digit(s.p[i + n]) || (underscores && n && s.p[i + n] == '_')))
        n++;
    return n;
}

/* Index behind an exponent at s[i...], i when there is none. */
static size_t exponent(struct str s, size_t i)
{
    if (i >= s.n || (s.p[i] != 'e' && s.p[i] != 'E'))
        return i;
    size_t at = i + 1;
    if (at < s.n && (s.p[at] == '+' || s.p[at] == '-'))
        at++;
    size_t n = digits(s, at, false);
    return n ? at + n : i;
}

static bool is_json_number(struct str s)
{
    size_t i = s.n && s.p[0] == '-' ? 1 : 0;
    size_t n = digits(s, i, false);
    if (n == 0 || (n > 1 && s.p[i] == '0'))
        return false;
    i += n;
    if (i < s.n && s.p[i] == '.') {
        n = digits(s, i + 1, false);
        if (n == 0)
            return false;
        i += 1 + n;
    }
    return exponent(s, i) == s.n;
}

/* 0o17, 0x1F, 0b1 behind the sign */
static bool is_based(struct str s, size_t i)
{
    if (s.n - i < 3 || s.p[i] != '0')
        return false;
    char base = s.p[i + 1];
    for (size_t k = i + 2; k < s.n; k++) {
        char c = s.p[k];
        bool ok = c == '_' || (base == 'x' && is_hex(c)) || (base == 'o' && c >= '0' && c <= '7') ||
                  (base == 'b' && (c == '0' || c == '1'));
        if (!ok)
            return false;
    }
    return true;
}

/* 12:30 and 1:30:59.5: sexagesimal numbers of YAML 1.1 */
static bool is_sexagesimal(struct str s, size_t i)
{
    size_t n = digits(s, i, true), groups = 0;
    if (n == 0)
        return false;
    for (i += n; i < s.n && s.p[i] == ':'; i += 1 + n, groups++) {
        n = digits(s, i + 1, false);
        if (n == 0 || n > 2 || (n == 2 && s.p[i + 1] > '5'))
            return false;
    }
    if (i < s.n && s.p[i] == '.')
        i += 1 + digits(s, i + 1, true);
    return groups && i == s.n;
}

static bool is_special(struct str s, size_t i)
{
    static const char *const names[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};
    struct str rest = {s.p + i, s.n - i};
    for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
        if (str_eq(rest, str_of(names[k])))
            return true;
    }
    return false;
}

static bool looks_like_number(struct str s)
{
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
    if (i == s.n)
        return false;
    if (is_based(s, i) || is_sexagesimal(s, i) || is_special(s, i))
        return true;
    size_t whole = digits(s, i, true), fraction = 0;
    i += whole;
    if (i < s.n && s.p[i] == '.') {
        fraction = digits(s, i + 1, true);
        i += 1 + fraction;
    }
    return (whole || fraction) && exponent(s, i) == s.n;
}

enum scalar_kind scalar_kind(struct str s)
{
    if (s.n == 0 || str_eq(s, STR("~")) || str_eq(s, STR("null")))
        return SCALAR_NULL;
    if (str_eq(s, STR("true")) || str_eq(s, STR("false")))
        return SCALAR_BOOLEAN;
    if (!is_digit(s.p[0]) && s.p[0] != '-' && s.p[0] != '+' && s.p[0] != '.')
        return SCALAR_STRING;
    if (is_json_number(s))
        return SCALAR_NUMBER;
    return looks_like_number(s) ? SCALAR_AMBIGUOUS : SCALAR_STRING;
}
