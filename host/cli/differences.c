#include "cli/differences.h"

#include "cli/table.h"

/* A text longer than this is hard to compare by eye: then the place is shown, too. */
enum { LONG_TEXT = 100, AROUND = 30 };

static void print_side(struct buf *b, char sign, const struct lock_field *f)
{
    buf_printf(b, "    %c ", sign);
    if (f->value.p)
        table_cell(b, f->value, 0);
    else
        buf_printf(b, "sha256 %s", f->sha256);
    buf_byte(b, '\n');
}

static bool is_inside(struct str s, size_t at)
{
    return at < s.n && ((unsigned char)s.p[at] & 0xC0) == 0x80;
}

static void print_around(struct buf *b, struct str s, size_t at)
{
    size_t from = at > AROUND ? at - AROUND : 0, to = s.n - at > AROUND ? at + AROUND : s.n;
    while (is_inside(s, from))
        from--;
    while (is_inside(s, to))
        to++;
    buf_str(b, from ? STR("...") : STR_NONE);
    table_cell(b, (struct str){s.p + from, to - from}, 0);
    buf_str(b, to < s.n ? STR("...") : STR_NONE);
}

static void print_place(struct buf *b, struct str before, struct str after)
{
    size_t at = 0;
    while (at < before.n && at < after.n && before.p[at] == after.p[at])
        at++;
    while (at && is_inside(before, at))
        at--;
    buf_printf(b, "    from byte %zu on: ", at);
    print_around(b, before, at);
    buf_lit(b, " became ");
    print_around(b, after, at);
    buf_byte(b, '\n');
}

static void print_one(void *arg, const struct lock_field *before, const struct lock_field *after)
{
    struct buf *b = arg;
    buf_lit(b, "  ");
    table_cell(b, after ? after->key : before->key, 0);
    buf_byte(b, '\n');
    if (before)
        print_side(b, '-', before);
    if (after)
        print_side(b, '+', after);
    if (before && after && before->value.n > LONG_TEXT && after->value.n > LONG_TEXT)
        print_place(b, before->value, after->value);
}

uint32_t differences_print(struct buf *out, const struct lock_plugin *before,
                           const struct lock_plugin *after)
{
    uint32_t n = lock_compare(before, after, NULL, NULL);
    if (!n)
        return 0;
    table_cell(out, after ? after->name : before->name, 0);
    buf_printf(out, "%s\n", !before ? ": a new plugin" : !after ? ": the plugin is gone" : "");
    lock_compare(before, after, print_one, out);
    return n;
}
