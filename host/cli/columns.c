#include "cli/columns.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "cli/table.h"

enum { CELL_MAX = 40, GAP = 2, NARROWEST = 20 };

struct screen screen_of_output(void)
{
    struct winsize w;
    const char *no = getenv("NO_COLOR");
    if (!isatty(STDOUT_FILENO))
        return (struct screen){0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col;
    return (struct screen){known ? w.ws_col : 80, !(no && *no)};
}

/* Characters, not bytes; wide ones count as one. */
static size_t width_of(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

static struct str cut(struct str s, size_t max)
{
    size_t n = 0, i = 0;
    for (; i < s.n; i++) {
        if (((unsigned char)s.p[i] & 0xC0) != 0x80 && n++ == max)
            break;
    }
    return (struct str){s.p, i};
}

static json_ref find(const struct json_doc *d, json_ref object, const char *key)
{
    for (;;) {
        const char *dot = strchr(key, '.');
        struct str first = {key, dot ? (size_t)(dot - key) : strlen(key)};
        object = json_is(d, object, JSON_OBJECT) ? json_get(d, object, first) : 0;
        if (!object || !dot)
            return object;
        key = dot + 1;
    }
}

static json_ref member(const struct json_doc *d, const struct column *c, const struct row *r)
{
    json_ref n = 0;
    for (int i = 0; i < 3 && c->key[i] && !n; i++)
        n = find(d, c->of_parent ? r->parent : r->object, c->key[i]);
    bool empty = n && (json_is(d, n, JSON_NULL) || str_eq(json_raw(d, n), STR("\"\"")));
    return empty ? 0 : n;
}

static void print_duration(struct buf *b, double micros)
{
    static const char *const unit[] = {"us", "ms", "s"};
    int u = 0;
    for (; micros >= 999.5 && u < 2; u++) /* which %.3g would show as 1e+03 */
        micros /= 1000;
    buf_printf(b, "%.3g %s", micros, unit[u]);
}

/* Lives in the document or in `scratch`. */
static struct str cell(const struct json_doc *d, const struct column *c, const struct row *r,
                       struct buf *scratch)
{
    json_ref n = member(d, c, r);
    buf_clear(scratch, SIZE_MAX);
    if (!n)
        return STR("-");
    struct str s = json_is(d, n, JSON_STRING) ? json_string(d, n, scratch) : json_raw(d, n);
    double micros;
    if (c->micros && json_double(d, n, &micros)) {
        print_duration(scratch, micros);
        s = buf_view(scratch);
    }
    return cut(s, CELL_MAX);
}

/* Widths; 0 for a column that no row has. */
static void measure(const struct json_doc *d, const struct column *column, uint32_t columns,
                    const struct row *row, uint32_t rows, size_t width[COLUMNS_MAX])
{
    struct buf scratch = BUF_INIT(1 << 20);
    for (uint32_t c = 0; c < columns; c++) {
        bool there = false;
        width[c] = strlen(column[c].heading);
        for (uint32_t r = 0; r < rows; r++) {
            size_t w = width_of(cell(d, &column[c], &row[r], &scratch));
            width[c] = w > width[c] ? w : width[c];
            there |= member(d, &column[c], &row[r]) != 0;
        }
        width[c] = there ? width[c] : 0;
    }
    buf_release(&scratch);
}

static size_t total(const size_t width[COLUMNS_MAX], uint32_t columns)
{
    size_t sum = 0;
    for (uint32_t c = 0; c < columns; c++)
        sum += width[c] ? width[c] + (sum ? GAP : 0) : 0;
    return sum;
}

static uint32_t leave_out(const struct column *column, uint32_t columns, size_t width[COLUMNS_MAX],
                          size_t limit)
{
    uint32_t gone = 0;
    while (limit && total(width, columns) > limit) {
        uint32_t worst = columns;
        for (uint32_t c = 0; c < columns; c++) {
            if (width[c] && column[c].rank &&
                (worst == columns || column[c].rank >= column[worst].rank))
                worst = c;
        }
        if (worst == columns)
            break;
        width[worst] = 0;
        gone++;
    }
    return gone;
}

static bool is_bad(struct str state)
{
    return str_eq(state, STR("failed")) || str_eq(state, STR("not served")) ||
           str_eq(state, STR("open")) || str_eq(state, STR("stuck")) ||
           str_eq(state, STR("no answer"));
}

/* Trailing blanks are left out. */
static void print_cell(struct buf *out, struct str s, size_t width, bool right, bool last,
                       bool colour)
{
    size_t w = width_of(s);
    for (size_t i = w; right && i < width; i++)
        buf_byte(out, ' ');
    if (colour)
        buf_lit(out, "\033[31m");
    table_cell(out, s, 0);
    if (colour)
        buf_lit(out, "\033[0m");
    for (size_t i = w; !right && !last && i < width; i++)
        buf_byte(out, ' ');
}

static void print_line(struct buf *out, const struct json_doc *d, const struct column *column,
                       uint32_t columns, const size_t *width, const struct row *row, bool colour)
{
    struct buf scratch = BUF_INIT(1 << 20);
    uint32_t last = columns;
    while (last && !width[last - 1])
        last--;
    bool first = true;
    for (uint32_t c = 0; c < last; c++) {
        if (!width[c])
            continue;
        struct str s = row ? cell(d, &column[c], row, &scratch) : str_of(column[c].heading);
        buf_append(out, "  ", first ? 0 : GAP);
        print_cell(out, s, width[c], column[c].right, c + 1 == last,
                   colour && row && column[c].state && is_bad(s));
        first = false;
    }
    buf_byte(out, '\n');
    buf_release(&scratch);
}

void columns_print(struct buf *out, const struct json_doc *d, const struct column *column,
                   uint32_t columns, const struct row *row, uint32_t rows, struct screen screen)
{
    size_t width[COLUMNS_MAX];
    BUG_ON(columns > COLUMNS_MAX);
    measure(d, column, columns, row, rows, width);
    uint32_t gone = leave_out(column, columns, width, screen.width);
    print_line(out, d, column, columns, width, NULL, false);
    for (uint32_t r = 0; r < rows; r++)
        print_line(out, d, column, columns, width, &row[r], screen.colour);
    if (gone)
        buf_printf(out, "(%u more columns in a wider terminal)\n", gone);
}

void columns_sentence(struct buf *out, struct str text, size_t indent, struct screen screen)
{
    size_t room = screen.width > indent + NARROWEST ? screen.width - indent : NARROWEST;
    while (text.n) {
        struct str line = screen.width ? cut(text, room) : text;
        size_t next = line.n;
        if (line.n < text.n && text.p[line.n] != ' ') {
            const char *blank = memrchr(line.p, ' ', line.n);
            if (blank && blank > line.p)
                line.n = next = (size_t)(blank - line.p);
        }
        table_cell(out, STR_NONE, indent);
        table_cell(out, line, 0);
        buf_byte(out, '\n');
        while (next < text.n && text.p[next] == ' ')
            next++;
        text = (struct str){text.p + next, text.n - next};
    }
}
