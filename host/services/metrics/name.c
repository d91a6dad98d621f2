/* What a plugin may call its series, and what makes two of them the same. */
#include "services/metrics/name.h"

#include "json/writer.h"

static const struct series_bounds bytes = {14,
                                           {0x1p6, 0x1p8, 0x1p10, 0x1p12, 0x1p14, 0x1p16, 0x1p18,
                                            0x1p20, 0x1p22, 0x1p24, 0x1p26, 0x1p28, 0x1p30,
                                            0x1p32}};
#define DECADE(x) (x), 2.5 * (x), 5 * (x)
static const struct series_bounds numbers = {28,
                                             {DECADE(1e-3), DECADE(1e-2), DECADE(1e-1), DECADE(1e0),
                                              DECADE(1e1), DECADE(1e2), DECADE(1e3), DECADE(1e4),
                                              DECADE(1e5), 1e6}};
const struct series_unit series_units[] = {
    {{"", 0}, &numbers}, {{"seconds", 7}, &series_seconds}, {{"bytes", 5}, &bytes}};
_Static_assert(sizeof(series_units) / sizeof(series_units[0]) == SERIES_UNITS, "the units");

static struct str str_from(mf_bytes b)
{
    return (struct str){b.data, b.data ? b.len : 0};
}

static bool is_name(struct str s, size_t longest)
{
    if (!s.n || s.n > longest || s.p[0] < 'a' || s.p[0] > 'z')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return true;
}

static bool ends_in(struct str s, struct str end)
{
    return s.n >= end.n && memcmp(s.p + s.n - end.n, end.p, end.n) == 0;
}

/* These would be taken for what goes out of a histogram or a counter. */
static bool is_reserved(struct str name, uint32_t kind)
{
    return ends_in(name, STR("_bucket")) || ends_in(name, STR("_sum")) ||
           ends_in(name, STR("_count")) || (kind != MF_COUNTER && ends_in(name, STR("_total")));
}

static uint32_t unit_find(struct str unit)
{
    uint32_t u = 0;
    while (u < SERIES_UNITS && !str_eq(series_units[u].name, unit))
        u++;
    return u;
}

/* Takes _END from the name if it has it and something before it. */
static bool strip(struct str *name, struct str end)
{
    bool has =
        end.n && name->n > end.n + 1 && ends_in(*name, end) && name->p[name->n - end.n - 1] == '_';
    if (has)
        name->n -= end.n + 1;
    return has;
}

struct str series_base(const mf_series *w, uint32_t *ret_unit)
{
    struct str name = str_from(w->name);
    uint32_t unit = unit_find(str_from(w->unit));
    if (w->kind == MF_COUNTER)
        strip(&name, STR("total"));
    for (uint32_t u = 1; u < SERIES_UNITS; u++) {
        if ((unit && unit != u) || !strip(&name, series_units[u].name))
            continue;
        unit = u;
        break;
    }
    *ret_unit = unit;
    return name;
}

/* At most `most` bytes, without a broken character at the end. */
static struct str cut(struct str s, size_t most)
{
    if (s.n <= most)
        return s;
    s.n = most;
    while (s.n && ((unsigned char)s.p[s.n] & 0xC0) == 0x80)
        s.n--;
    return s;
}

/* Labels in the order of their names, so that any order is the same series. */
static const char *read_labels(const mf_series *wanted, struct series_label label[MF_LABELS_MAX])
{
    for (size_t i = 0; i < wanted->label_count; i++) {
        struct series_label l = {str_from(wanted->labels[i].name),
                                 cut(str_from(wanted->labels[i].value), SERIES_VALUE)};
        if (!is_name(l.name, SERIES_LABEL) || str_eq(l.name, STR("plugin")) ||
            str_eq(l.name, STR("le")))
            return "expected labels of the form [a-z][a-z0-9_]*, at most 32 bytes, not \"plugin\" "
                   "or \"le\"";
        if (!utf8_valid(l.value))
            return "expected label values in UTF-8";
        size_t at = i;
        for (; at && str_cmp(label[at - 1].name, l.name) > 0; at--)
            label[at] = label[at - 1];
        if (at && str_eq(label[at - 1].name, l.name))
            return "expected each label once";
        label[at] = l;
    }
    return NULL;
}

const char *series_check(const mf_series *w, struct series_label label[MF_LABELS_MAX])
{
    if (!MF_HAS(w, label_count) || w->kind < MF_COUNTER || w->kind > MF_HISTOGRAM)
        return "expected a kind of MF_COUNTER to MF_HISTOGRAM";
    struct str name = str_from(w->name);
    if (!is_name(name, SERIES_NAME) || is_reserved(name, w->kind))
        return "expected a name of the form [a-z][a-z0-9_]*, at most 64 bytes, that does not end "
               "in _bucket, _sum, _count or _total";
    if (unit_find(str_from(w->unit)) == SERIES_UNITS)
        return "expected the unit \"seconds\", \"bytes\" or none";
    if (!utf8_valid(str_from(w->help)))
        return "expected the help in UTF-8";
    if (w->label_count > MF_LABELS_MAX || (w->label_count && !w->labels))
        return "expected at most 4 labels";
    return read_labels(w, label);
}

size_t series_key(struct str name, const struct series_label *label, size_t labels,
                  char key[SERIES_KEY])
{
    size_t n = name.n + 1;
    memcpy(key, name.p, name.n);
    key[name.n] = 0;
    for (size_t i = 0; i < labels; i++) {
        struct str part[] = {label[i].name, label[i].value};
        for (int k = 0; k < 2; k++) {
            key[n++] = (char)part[k].n;
            if (part[k].n)
                memcpy(key + n, part[k].p, part[k].n);
            n += part[k].n;
        }
    }
    return n;
}

void series_key_read(struct series *one, struct str name, size_t labels)
{
    const char *p = one->text + name.n + 1;
    one->labels = (uint32_t)labels;
    for (size_t i = 0; i < labels; i++) {
        struct str *part[] = {&one->label[i].name, &one->label[i].value};
        for (int k = 0; k < 2; k++) {
            *part[k] = (struct str){p + 1, (unsigned char)*p};
            p += 1 + part[k]->n;
        }
    }
}

struct str series_help(const mf_series *wanted)
{
    return cut(str_from(wanted->help), SERIES_HELP_MAX);
}
