#include "config/units.h"

#include <errno.h>
#include "config/text.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: the text of a value uses the first that divides it. */
static const struct unit durations[] = {
    {"h", 3600000000000u}, {"m", 60000000000u}, {"s", 1000000000u}, {"ms", 1000000u}};
static const struct unit sizes[] = {
    {"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"B", 1}};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
enum { RATE_MAX = 1000000 };

/* Digits at the front of *s, taken off; false when there are none or more than 10. */
static bool take_number(struct str *s, uint64_t *ret)
{
    size_t n = 0;
    uint64_t v = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') {
        if (n == 10)
            return false;
        v = v * 10 + (uint64_t)(s->p[n++] - '0');
    }
    if (n == 0)
        return false;
    *s = (struct str){s->p + n, s->n - n};
    *ret = v;
    return true;
}

static bool with_unit(struct str s, const struct unit *unit, size_t units, uint64_t *ret_value,
                      uint64_t *ret_factor)
{
    if (!take_number(&s, ret_value))
        return false;
    for (size_t i = 0; i < units; i++) {
        if (str_eq(s, str_of(unit[i].name))) {
            *ret_factor = unit[i].factor;
            return true;
        }
    }
    return false;
}

int units_duration(struct str s, uint64_t *ret_ns, struct err *e)
{
    char shown[TEXT_SHOWN];
    uint64_t v, factor;
    if (!with_unit(s, durations, COUNT(durations), &v, &factor))
        return err_set(e, -EINVAL, "expected a duration such as 250ms, 30s, 5m or 1h, found %s",
                       text_quoted(s, shown));
    if (v > UNITS_DURATION_MAX / factor)
        return err_set(e, -ERANGE, "expected a duration of at most 10000h, found %s",
                       text_quoted(s, shown));
    *ret_ns = v * factor;
    return 0;
}

int units_size(struct str s, uint64_t *ret_bytes, struct err *e)
{
    char shown[TEXT_SHOWN];
    uint64_t v, factor;
    if (!with_unit(s, sizes, COUNT(sizes), &v, &factor))
        return err_set(e, -EINVAL, "expected a size such as 512B, 16KiB, 4MiB or 1GiB, found %s",
                       text_quoted(s, shown));
    if (v > UNITS_SIZE_MAX / factor)
        return err_set(e, -ERANGE, "expected a size of at most 1024GiB, found %s",
                       text_quoted(s, shown));
    *ret_bytes = v * factor;
    return 0;
}

int units_rate(struct str s, struct rate *ret, struct err *e)
{
    char shown[TEXT_SHOWN];
    if (str_eq(s, STR("none"))) {
        *ret = (struct rate){0, 0};
        return 0;
    }
    struct str rest = s;
    uint64_t per_second, burst;
    bool ok = take_number(&rest, &per_second) && str_starts(rest, STR("/s"));
    burst = per_second;
    if (ok) {
        rest = (struct str){rest.p + 2, rest.n - 2};
        struct str word = STR(" burst ");
        if (rest.n) {
            ok = str_starts(rest, word);
            rest = ok ? (struct str){rest.p + word.n, rest.n - word.n} : rest;
            ok = ok && take_number(&rest, &burst) && rest.n == 0;
        }
    }
    if (!ok)
        return err_set(e, -EINVAL,
                       "expected a rate such as 50/s, \"50/s burst 100\" or none, found %s",
                       text_quoted(s, shown));
    if (per_second < 1 || per_second > RATE_MAX || burst < 1 || burst > RATE_MAX)
        return err_set(e, -ERANGE, "expected a rate and a burst from 1 to 1000000, found %s",
                       text_quoted(s, shown));
    *ret = (struct rate){(uint32_t)per_second, (uint32_t)burst};
    return 0;
}

static const char *show(uint64_t v, const struct unit *unit, size_t units, char out[UNITS_SHOWN])
{
    size_t i = 0;
    while (i + 1 < units && (v == 0 || v % unit[i].factor))
        i++;
    snprintf(out, UNITS_SHOWN, "%llu%s", (unsigned long long)(v / unit[i].factor), unit[i].name);
    return out;
}

const char *units_show_duration(uint64_t ns, char out[UNITS_SHOWN])
{
    return show(ns, durations, COUNT(durations), out);
}

const char *units_show_size(uint64_t bytes, char out[UNITS_SHOWN])
{
    return show(bytes, sizes, COUNT(sizes), out);
}

const char *units_show_rate(struct rate r, char out[UNITS_SHOWN])
{
    if (!r.per_second)
        snprintf(out, UNITS_SHOWN, "none");
    else if (r.burst == r.per_second)
        snprintf(out, UNITS_SHOWN, "%u/s", r.per_second);
    else
        snprintf(out, UNITS_SHOWN, "%u/s burst %u", r.per_second, r.burst);
    return out;
}
