#include "json/decimal.h"

#include "json/scan.h"

struct decimal decimal_of(struct str s)
{
    struct decimal x = {0};
    const char *end = s.p + s.n, *dot = NULL, *p = s.p;
    if (*p == '-') {
        x.negative = true;
        p++;
    }
    while (p < end && (*p == '0' || *p == '.')) {
        if (*p == '.')
            dot = p;
        p++;
    }
    x.p = x.end = p;
    int64_t seen = 0, whole = -1; /* digits from x.p on; those of them before a '.' */
    for (; p < end && (scan_is_digit(*p) || *p == '.'); p++) {
        if (*p == '.') {
            whole = seen;
            continue;
        }
        seen++;
        if (*p != '0') {
            x.end = p + 1;
            x.digits = (uint32_t)seen;
        }
    }
    if (!x.digits)
        return (struct decimal){0};
    /* Zeros between the '.' and the first digit count down. */
    x.point = dot ? -(int64_t)(x.p - dot - 1) : whole >= 0 ? whole : seen;
    if (p < end) {
        bool down = *++p == '-';
        int64_t e = 0;
        for (p += *p == '-' || *p == '+'; p < end; p++)
            e = e < INT64_C(1) << 40 ? e * 10 + (*p - '0') : e;
        x.point += down ? -e : e;
    }
    return x;
}

bool decimal_equal(struct decimal x, struct decimal y)
{
    if (x.negative != y.negative || x.digits != y.digits || x.point != y.point)
        return false;
    const char *p = x.p, *q = y.p;
    for (uint32_t i = 0; i < x.digits; i++) {
        p += *p == '.';
        q += *q == '.';
        if (*p++ != *q++)
            return false;
    }
    return true;
}
