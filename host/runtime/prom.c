#include "runtime/prom.h"

#include <stdio.h>
#include "json/writer.h"

static void write_escaped(struct buf *b, struct str s, bool quotes)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\n')
            buf_lit(b, "\\n");
        else if (s.p[i] == '\\' || (quotes && s.p[i] == '"'))
            buf_byte(b, '\\'), buf_byte(b, s.p[i]);
        else
            buf_byte(b, s.p[i]);
    }
}

void prom_head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP %s ", name);
    write_escaped(b, str_of(help), false);
    buf_printf(b, "\n# TYPE %s %s\n", name, type);
}

/* name="value", with a comma in front unless it is the first. */
void prom_label(struct buf *labels, const char *name, struct str value)
{
    buf_printf(labels, "%s%s=\"", labels->len ? "," : "", name);
    write_escaped(labels, value, true);
    buf_byte(labels, '"');
}

void prom_sample(struct buf *b, const char *name, const char *suffix, struct str labels,
                 double value)
{
    buf_str(b, str_of(name));
    buf_str(b, str_of(suffix));
    if (labels.n) {
        buf_byte(b, '{');
        buf_str(b, labels);
        buf_byte(b, '}');
    }
    buf_byte(b, ' ');
    json_write_double(b, value);
    buf_byte(b, '\n');
}

static void write_bucket(struct buf *b, const char *name, struct str labels, const char *bound,
                         uint64_t count)
{
    buf_str(b, str_of(name));
    buf_lit(b, "_bucket{");
    buf_str(b, labels);
    if (labels.n)
        buf_byte(b, ',');
    buf_lit(b, "le=\"");
    buf_str(b, str_of(bound));
    buf_lit(b, "\"} ");
    json_write_int(b, (int64_t)count);
    buf_byte(b, '\n');
}

void prom_buckets(struct buf *b, const char *name, struct str labels, const struct series_value *v)
{
    char bound[32];
    for (uint32_t i = 0; i < v->bounds->count; i++) {
        snprintf(bound, sizeof(bound), "%g", v->bounds->bound[i]);
        write_bucket(b, name, labels, bound, v->cumulative[i]);
    }
    write_bucket(b, name, labels, "+Inf", v->count);
    prom_sample(b, name, "_sum", labels, v->value);
    prom_sample(b, name, "_count", labels, (double)v->count);
}

void prom_one(struct buf *b, const char *name, const char *type, const char *help, double value)
{
    prom_head(b, name, type, help);
    prom_sample(b, name, "", STR_NONE, value);
}
