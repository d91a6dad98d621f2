/* Exact decimal numbers for bounds and multipleOf.
 *
 * A double can't tell 9007199254740993 from its neighbour, and 0.0075 is no
 * multiple of 0.0001 in binary.  Nineteen decimal digits and an exponent are
 * exact for every number that a schema is likely to hold, and cheaper to read. */
#include "json/schema_internal.h"

#include <math.h>

enum { DIGITS = 19, EXPONENT_MAX = 1000000 };

/* Reads "e+12"; the exponent stays within bounds that can't overflow later. */
static int32_t read_exponent(const char *p, const char *end)
{
    bool negative = false;
    int32_t v = 0;
    if (p < end && (*p == '+' || *p == '-'))
        negative = *p++ == '-';
    for (; p < end; p++)
        v = v < EXPONENT_MAX ? v * 10 + (*p - '0') : v;
    return negative ? -v : v;
}

struct schema_number schema_number_parse(struct str text)
{
    struct schema_number n = {0};
    const char *p = text.p, *end = text.p + text.n;
    int count = 0;
    bool fraction = false;
    if (p < end && *p == '-') {
        n.negative = true;
        p++;
    }
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            fraction = true;
            continue;
        }
        uint32_t digit = (uint32_t)(*p - '0');
        if (count < DIGITS) {
            n.digits = n.digits * 10 + digit;
            count += n.digits != 0;
            n.exponent -= fraction;
        } else {
            n.more |= digit != 0;
            n.exponent += !fraction;
        }
    }
    if (p < end)
        n.exponent += read_exponent(p + 1, end);
    while (n.digits && n.digits % 10 == 0) {
        n.digits /= 10;
        n.exponent++;
    }
    if (!n.digits)
        n = (struct schema_number){0};
    return n;
}

static int digit_count(uint64_t v)
{
    int n = 0;
    for (; v; v /= 10)
        n++;
    return n;
}

static uint64_t power_of_ten(int n)
{
    uint64_t v = 1;
    while (n-- > 0)
        v *= 10;
    return v;
}

static int compare_magnitude(struct schema_number a, struct schema_number b)
{
    if (!a.digits || !b.digits)
        return (a.digits != 0) - (b.digits != 0);
    int na = digit_count(a.digits), nb = digit_count(b.digits);
    int64_t ma = (int64_t)na + a.exponent, mb = (int64_t)nb + b.exponent;
    if (ma != mb)
        return ma < mb ? -1 : 1;
    /* Same magnitude: written with equally many digits they compare as integers. */
    uint64_t da = a.digits * power_of_ten(nb > na ? nb - na : 0);
    uint64_t db = b.digits * power_of_ten(na > nb ? na - nb : 0);
    if (da != db)
        return da < db ? -1 : 1;
    return a.more - b.more;
}

int schema_number_compare(struct schema_number a, struct schema_number b)
{
    if (a.negative != b.negative)
        return a.negative ? -1 : 1;
    return a.negative ? compare_magnitude(b, a) : compare_magnitude(a, b);
}

/* Exact for any length: where does the last digit that is not 0 stand, and what does the exponent
 * make of that? */
bool schema_number_is_integer(const struct json_doc *d, json_ref node)
{
    if (d->node[node].flags & JSON_INTEGER)
        return true;
    struct str text = json_raw(d, node);
    const char *p = text.p, *end = p + text.n;
    int32_t fraction = 0, behind = 0, zeros = 0;
    bool point = false, any = false;
    for (; p < end && *p != 'e' && *p != 'E'; p++) {
        point |= *p == '.';
        behind += point && *p != '.';
        if (*p >= '1' && *p <= '9') {
            any = true;
            zeros = 0;
            fraction = behind;
        } else if (*p == '0' && !point) {
            zeros++;
        }
    }
    int32_t exponent = p < end ? read_exponent(p + 1, end) : 0;
    return !any || exponent >= (fraction ? fraction : -zeros);
}

/* a * b mod m and 10^n mod m, in 128 bits. */
static uint64_t multiply_mod(uint64_t a, uint64_t b, uint64_t m)
{
    return (uint64_t)((unsigned __int128)a * b % m);
}

static uint64_t power_mod(int64_t n, uint64_t m)
{
    uint64_t result = 1 % m, base = 10 % m;
    for (; n > 0; n >>= 1) {
        if (n & 1)
            result = multiply_mod(result, base, m);
        base = multiply_mod(base, base, m);
    }
    return result;
}

static double to_double(struct schema_number n)
{
    return (double)n.digits * pow(10, n.exponent);
}

bool schema_number_is_multiple(struct schema_number a, struct schema_number of)
{
    if (!a.digits)
        return true;
    if (a.more || of.more)
        return fmod(to_double(a), to_double(of)) == 0;
    int64_t shift = (int64_t)a.exponent - of.exponent;
    if (shift >= 0)
        return multiply_mod(a.digits % of.digits, power_mod(shift, of.digits), of.digits) == 0;
    /* a has no trailing zeros, so nothing that ends in one divides it. */
    return false;
}
