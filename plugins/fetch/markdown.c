#include "markdown.h"

#include <ctype.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>
#include "charset.h"

enum { DEPTH_MAX = 256 }; /* what is nested deeper is left out */

/* What a node stands in. */
enum {
    IN_PRE = 1 << 0,
    IN_CODE = 1 << 1,   /* pre, code, kbd, samp: nothing is escaped */
    IN_INLINE = 1 << 2, /* heading or table cell: blocks become spaces */
    IN_LIST_ITEM = 1 << 3,
};

struct md {
    bool lower; /* h1 is written as h2 */
    unsigned depth;
};

static void convert(struct md *m, const GumboNode *n, unsigned in, struct text *out);

/* --- the neighbourhood of a node --- */

static bool is_heading(const GumboNode *n)
{
    return html_is_element(n) && n->v.element.tag >= GUMBO_TAG_H1 &&
           n->v.element.tag <= GUMBO_TAG_H6;
}

/* Blanks at its inner edges say nothing. */
static bool is_tight_inside(const GumboNode *n)
{
    static const GumboTag tags[] = {
        GUMBO_TAG_P,  GUMBO_TAG_BLOCKQUOTE, GUMBO_TAG_ARTICLE, GUMBO_TAG_DIV,   GUMBO_TAG_SECTION,
        GUMBO_TAG_OL, GUMBO_TAG_UL,         GUMBO_TAG_LI,      GUMBO_TAG_DL,    GUMBO_TAG_DT,
        GUMBO_TAG_DD, GUMBO_TAG_TABLE,      GUMBO_TAG_THEAD,   GUMBO_TAG_TBODY, GUMBO_TAG_TFOOT,
        GUMBO_TAG_TR, GUMBO_TAG_TD,         GUMBO_TAG_TH};
    if (!n || !html_is_element(n))
        return false;
    if (is_heading(n))
        return true;
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
        if (n->v.element.tag == tags[i])
            return true;
    }
    return false;
}

static bool is_tight_outside(const GumboNode *n)
{
    return is_tight_inside(n) || (n && html_is(n, GUMBO_TAG_PRE));
}

static bool is_there(const GumboNode *n)
{
    return (html_is_element(n) && !html_is_left_out(n)) || html_is_text(n);
}

/* The nearest sibling that is written, before (by -1) or after. */
static const GumboNode *sibling(const GumboNode *n, int by)
{
    const GumboVector *all = &n->parent->v.element.children;
    for (size_t i = n->index_within_parent + (size_t)by; i < all->length; i += (size_t)by) {
        if (is_there(all->data[i]))
            return all->data[i];
    }
    return NULL;
}

/* --- text --- */

static bool is_all_blank(const char *z)
{
    return z[strspn(z, BLANKS)] == 0;
}

/* Blanks between blocks are the page's layout, not its text. */
static bool is_layout(const GumboNode *n)
{
    if (!is_all_blank(n->v.text.text))
        return false;
    const GumboNode *before = sibling(n, -1), *after = sibling(n, 1);
    if (is_tight_inside(n->parent) && (!before || !after))
        return true;
    return is_tight_outside(before) || is_tight_outside(after);
}

/* Runs of blanks become one, a line break where there was one. */
static void add_normalised(struct text *out, const char *p, size_t n, bool escape)
{
    for (size_t i = 0; i < n; i++) {
        size_t run = text_leading(p + i, n - i, BLANKS);
        if (run) {
            bool line = memchr(p + i, '\n', run) || memchr(p + i, '\r', run);
            text_add(out, line ? "\n" : " ", 1);
            i += run - 1;
        } else {
            if (escape && (p[i] == '*' || p[i] == '_'))
                text_add(out, "\\", 1);
            text_add(out, p + i, 1);
        }
    }
}

static void write_text(const GumboNode *n, unsigned in, struct text *out)
{
    const char *p = n->v.text.text;
    size_t len = strlen(p);
    const GumboNode *before = sibling(n, -1), *after = sibling(n, 1);
    if (is_tight_outside(before) || (is_tight_inside(n->parent) && !before)) {
        size_t lead = text_leading(p, len, BLANKS);
        p += lead;
        len -= lead;
    }
    if (is_tight_outside(after) || (is_tight_inside(n->parent) && !after))
        len -= text_trailing(p, len, BLANKS);
    if (in & IN_PRE)
        text_add(out, p, len);
    else
        add_normalised(out, p, len, !(in & IN_CODE));
}

/* --- pieces --- */

/* Line breaks that meet do not add up: the longer run, two at most. */
static void join(struct text *out, const struct text *piece, unsigned in)
{
    size_t lead = text_leading(piece->p, piece->n, "\n");
    size_t trail = in & IN_PRE ? 0 : text_trailing(out->p, out->n, "\n");
    if (lead && trail) {
        size_t most = lead > trail ? lead : trail;
        out->n -= trail;
        text_add(out, "\n\n", most > 2 ? 2 : most);
        text_add(out, piece->p + lead, piece->n - lead);
    } else {
        text_add(out, piece->p, piece->n);
    }
    out->failed |= piece->failed;
}

static void convert_children(struct md *m, const GumboNode *n, unsigned in, struct text *out)
{
    const GumboVector *all = &n->v.element.children;
    for (size_t i = 0; i < all->length && !out->failed; i++) {
        const GumboNode *c = all->data[i];
        if (!is_there(c) || (html_is_text(c) && is_layout(c)))
            continue;
        struct text piece = {.max = out->max};
        convert(m, c, in, &piece);
        join(out, &piece, in);
        text_free(&piece);
    }
}

static void surround(struct text *t, const char *before, const char *after)
{
    text_lead(t, before, strlen(before));
    text_str(t, after);
}

/* Blanks at the ends go outside of a mark: "** a**" is none. */
static void mark(struct text *t, const char *with, const char *end)
{
    bool lead = t->n && t->p[0] == ' ', trail = t->n && t->p[t->n - 1] == ' ';
    text_strip(t, BLANKS);
    if (!t->n)
        return;
    surround(t, with, end);
    surround(t, lead ? " " : "", trail ? " " : "");
}

/* Every line gets this in front; empty ones `bare`. */
static void indent(struct text *t, const char *with, const char *bare)
{
    struct text lines = {.max = t->max};
    for (size_t i = 0; i < t->n;) {
        const char *end = memchr(t->p + i, '\n', t->n - i);
        size_t n = end ? (size_t)(end - (t->p + i)) : t->n - i;
        text_str(&lines, n ? with : bare);
        text_add(&lines, t->p + i, n);
        if (end)
            text_add(&lines, "\n", 1);
        i += n + 1;
    }
    lines.failed |= t->failed;
    text_take(t, &lines);
}

static void one_line(struct text *t)
{
    struct text line = {.max = t->max, .failed = t->failed};
    text_strip(t, BLANKS);
    for (size_t i = 0; i < t->n; i++) {
        size_t run = text_leading(t->p + i, t->n - i, BLANKS);
        text_add(&line, run ? " " : t->p + i, 1);
        i += run ? run - 1 : 0;
    }
    text_take(t, &line);
}

/* --- elements; the children's text is in `t` --- */

typedef void element(struct md *m, const GumboNode *n, unsigned in, struct text *t);

static void block(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    text_strip(t, BLANKS);
    if (in & IN_INLINE)
        surround(t, " ", " ");
    else if (t->n)
        surround(t, "\n\n", "\n\n");
}

static void heading(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    char hashes[12] = "\n\n";
    unsigned level = (unsigned)(n->v.element.tag - GUMBO_TAG_H1) + 1;
    if (in & IN_INLINE)
        return;
    if (m->lower && level == 1)
        level = 2;
    memset(hashes + 2, '#', level);
    hashes[2 + level] = ' ';
    hashes[3 + level] = 0;
    one_line(t);
    surround(t, hashes, "\n\n");
}

static void strong(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    if (!(in & IN_CODE))
        mark(t, "**", "**");
}

static void emphasis(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    if (!(in & IN_CODE))
        mark(t, "*", "*");
}

static void deleted(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    if (!(in & IN_CODE))
        mark(t, "~~", "~~");
}

static void quotation(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    (void)in;
    surround(t, "\"", "\"");
}

static size_t longest_backticks(const struct text *t)
{
    size_t longest = 0, run = 0;
    for (size_t i = 0; i < t->n; i++) {
        run = t->p[i] == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void code(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    char ticks[16], open[18], close[18];
    (void)m;
    (void)n;
    if (in & IN_CODE)
        return;
    size_t longest = longest_backticks(t);
    size_t count = longest < sizeof(ticks) - 1 ? longest + 1 : sizeof(ticks) - 1;
    memset(ticks, '`', count);
    ticks[count] = 0;
    snprintf(open, sizeof(open), "%s%s", ticks, longest ? " " : "");
    snprintf(close, sizeof(close), "%s%s", longest ? " " : "", ticks);
    mark(t, open, close);
}

static void preformatted(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    (void)in;
    if (!t->n)
        return;
    /* Empty lines at the ends; the first line's indentation stays. */
    size_t lead = text_leading(t->p, t->n, BLANKS);
    while (lead > 0 && t->p[lead - 1] != '\n')
        lead--;
    memmove(t->p, t->p + lead, t->n - lead);
    t->n -= lead;
    t->n -= text_trailing(t->p, t->n, BLANKS);
    surround(t, "\n\n```\n", "\n```\n\n");
}

static void block_quote(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    text_strip(t, " \t\r\n");
    if (in & IN_INLINE) {
        surround(t, " ", " ");
        return;
    }
    if (t->n)
        indent(t, "> ", ">");
    surround(t, "\n", t->n ? "\n\n" : "");
}

static void line_break(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    text_str(t, in & IN_INLINE ? " " : "  \n");
}

static void rule(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    (void)in;
    text_str(t, "\n\n---\n\n");
}

/* ` "title"`, quotes escaped. */
static void add_title(struct text *t, const char *title)
{
    if (!title || !*title)
        return;
    text_str(t, " \"");
    for (; *title; title++) {
        if (*title == '"')
            text_add(t, "\\", 1);
        text_add(t, title, 1);
    }
    text_str(t, "\"");
}

static bool is_own_address(const struct text *t, const char *href)
{
    size_t k = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (t->p[i] == '\\' && i + 1 < t->n && t->p[i + 1] == '_')
            continue;
        if (href[k] == 0 || href[k] != t->p[i])
            return false;
        k++;
    }
    return href[k] == 0;
}

static void anchor(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    const char *href = html_attribute(n, "href"), *title = html_attribute(n, "title");
    (void)m;
    if (in & IN_CODE)
        return;
    bool lead = t->n && t->p[0] == ' ', trail = t->n && t->p[t->n - 1] == ' ';
    text_strip(t, BLANKS);
    if (!t->n || !href || !*href)
        return;
    if (is_own_address(t, href) && (!title || !*title)) {
        t->n = 0;
        text_str(t, "<");
        text_str(t, href);
        text_str(t, ">");
        return;
    }
    text_lead(t, "[", 1);
    text_str(t, "](");
    text_str(t, href);
    add_title(t, title);
    text_str(t, ")");
    surround(t, lead ? " " : "", trail ? " " : "");
}

static void image(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    const char *alt = html_attribute(n, "alt"), *src = html_attribute(n, "src");
    (void)m;
    if (in & IN_INLINE) {
        text_str(t, alt ? alt : "");
        return;
    }
    text_str(t, "![");
    text_str(t, alt ? alt : "");
    text_str(t, "](");
    text_str(t, src ? src : "");
    add_title(t, html_attribute(n, "title"));
    text_str(t, ")");
}

/* --- lists --- */

static const GumboNode *next_content(const GumboNode *n)
{
    for (n = sibling(n, 1); n && html_is_text(n) && is_all_blank(n->v.text.text);)
        n = sibling(n, 1);
    return n;
}

static void list(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    if (in & IN_LIST_ITEM) {
        t->n -= text_trailing(t->p, t->n, BLANKS);
        text_lead(t, "\n", 1);
        return;
    }
    const GumboNode *next = next_content(n);
    bool more = next && !html_is(next, GUMBO_TAG_UL) && !html_is(next, GUMBO_TAG_OL);
    surround(t, "\n\n", more ? "\n" : "");
}

/* Ordinals of an <ol>'s items, kept where gumbo had their lines in the source. */
static void number_items(const GumboNode *n)
{
    const GumboVector *all = &n->v.element.children;
    unsigned count = 0;
    for (size_t i = 0; i < all->length; i++) {
        GumboNode *c = all->data[i];
        if (html_is(c, GUMBO_TAG_LI) && is_there(c))
            c->v.element.start_pos.line = count++;
    }
}

static void bullet_of(const GumboNode *n, char out[24])
{
    if (html_is(n->parent, GUMBO_TAG_OL)) {
        const char *start = html_attribute(n->parent, "start");
        bool number = start && *start && strspn(start, "0123456789") == strlen(start);
        unsigned long first = number && strlen(start) < 9 ? strtoul(start, NULL, 10) : 1;
        snprintf(out, 24, "%lu. ", first + n->v.element.start_pos.line);
        return;
    }
    int depth = -1;
    for (const GumboNode *up = n->parent; up && html_is_element(up); up = up->parent)
        depth += html_is(up, GUMBO_TAG_UL);
    snprintf(out, 24, "%c ", "*+-"[depth < 0 ? 2 : depth % 3]);
}

static void list_item(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    char bullet[24], blanks[24];
    (void)m;
    (void)in;
    text_strip(t, BLANKS);
    if (t->n) {
        bullet_of(n, bullet);
        memset(blanks, ' ', sizeof(blanks));
        blanks[strlen(bullet)] = 0;
        indent(t, blanks, "");
        if (!t->failed)
            memcpy(t->p, bullet, strlen(bullet));
    }
    text_str(t, "\n");
}

static void term(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    one_line(t);
    if (in & IN_INLINE)
        surround(t, " ", " ");
    else if (t->n)
        surround(t, "\n\n", "\n");
    else
        text_str(t, "\n");
}

static void definition(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    text_strip(t, BLANKS);
    if (in & IN_INLINE) {
        surround(t, " ", " ");
        return;
    }
    if (t->n) {
        indent(t, "    ", "");
        if (!t->failed)
            t->p[0] = ':';
    }
    text_str(t, "\n");
}

/* --- tables --- */

static unsigned span_of(const GumboNode *cell)
{
    const char *span = html_attribute(cell, "colspan");
    if (!span || !*span || strspn(span, "0123456789") != strlen(span))
        return 1;
    unsigned long n = strlen(span) < 5 ? strtoul(span, NULL, 10) : 1000;
    return n < 1 ? 1 : n > 1000 ? 1000 : (unsigned)n;
}

static void cell(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)in;
    text_strip(t, BLANKS);
    for (size_t i = 0; i < t->n; i++)
        t->p[i] = t->p[i] == '\n' ? ' ' : t->p[i];
    text_lead(t, " ", 1);
    text_str(t, " |");
    for (unsigned i = 1; i < span_of(n); i++)
        text_str(t, " |");
}

struct row {
    unsigned columns;
    bool all_heads;
};

static struct row look_at_row(const GumboNode *n)
{
    const GumboVector *all = &n->v.element.children;
    struct row r = {0, true};
    for (size_t i = 0; i < all->length; i++) {
        const GumboNode *c = all->data[i];
        if (!html_is(c, GUMBO_TAG_TD) && !html_is(c, GUMBO_TAG_TH))
            continue;
        r.columns += span_of(c);
        r.all_heads &= html_is(c, GUMBO_TAG_TH);
    }
    return r;
}

/* Counting stops at `most`.  GUMBO_TAG_LAST: whatever element is written. */
static unsigned count_children(const GumboNode *n, GumboTag tag, size_t before, unsigned most)
{
    const GumboVector *all = &n->v.element.children;
    unsigned count = 0;
    for (size_t i = 0; i < all->length && i < before && count < most; i++)
        count += tag == GUMBO_TAG_LAST ? html_is_element(all->data[i]) && is_there(all->data[i])
                                       : html_is(all->data[i], tag);
    return count;
}

static void add_rule(struct text *t, unsigned columns, const char *mark_of)
{
    text_str(t, "|");
    for (unsigned i = 0; i < columns; i++)
        text_printf(t, " %s |", mark_of);
    text_str(t, "\n");
}

static void table_row(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    struct row r = look_at_row(n);
    const GumboNode *up = n->parent;
    bool first = count_children(up, GUMBO_TAG_LAST, n->index_within_parent, 1) == 0;
    bool body = html_is(up, GUMBO_TAG_TBODY), table_parent = html_is(up, GUMBO_TAG_TABLE);
    bool head = r.all_heads || (html_is(up, GUMBO_TAG_THEAD) &&
                                count_children(up, GUMBO_TAG_TR, SIZE_MAX, 2) == 1);
    bool no_head =
        first && (!body || count_children(up->parent, GUMBO_TAG_THEAD, SIZE_MAX, 1) == 0);
    bool body_first =
        body && count_children(up->parent, GUMBO_TAG_LAST, up->index_within_parent, 1) == 0;
    struct text over = {.max = t->max};
    (void)m;
    (void)in;
    if (!(head && first) && (no_head || (first && (table_parent || body_first)))) {
        add_rule(&over, r.columns, "");
        add_rule(&over, r.columns, "---");
    }
    text_str(&over, "|");
    text_add(&over, t->p, t->n);
    text_str(&over, "\n");
    if (head && first)
        add_rule(&over, r.columns, "---");
    over.failed |= t->failed;
    text_take(t, &over);
}

static void table(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    (void)in;
    text_strip(t, BLANKS);
    surround(t, "\n\n", "\n\n");
}

static void caption(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)in;
    text_strip(t, BLANKS);
    surround(t, html_is(n, GUMBO_TAG_FIGCAPTION) ? "\n\n" : "", "\n\n");
}

static void nothing(struct md *m, const GumboNode *n, unsigned in, struct text *t)
{
    (void)m;
    (void)n;
    (void)in;
    t->n = 0;
}

/* --- all of it --- */

static const struct {
    GumboTag tag;
    element *write;
    unsigned adds; /* to what its children stand in */
} elements[] = {
    {GUMBO_TAG_P, block, 0},
    {GUMBO_TAG_DIV, block, 0},
    {GUMBO_TAG_ARTICLE, block, 0},
    {GUMBO_TAG_SECTION, block, 0},
    {GUMBO_TAG_DL, block, 0},
    {GUMBO_TAG_H1, heading, IN_INLINE},
    {GUMBO_TAG_H2, heading, IN_INLINE},
    {GUMBO_TAG_H3, heading, IN_INLINE},
    {GUMBO_TAG_H4, heading, IN_INLINE},
    {GUMBO_TAG_H5, heading, IN_INLINE},
    {GUMBO_TAG_H6, heading, IN_INLINE},
    {GUMBO_TAG_B, strong, 0},
    {GUMBO_TAG_STRONG, strong, 0},
    {GUMBO_TAG_I, emphasis, 0},
    {GUMBO_TAG_EM, emphasis, 0},
    {GUMBO_TAG_DEL, deleted, 0},
    {GUMBO_TAG_S, deleted, 0},
    {GUMBO_TAG_Q, quotation, 0},
    {GUMBO_TAG_CODE, code, IN_CODE},
    {GUMBO_TAG_KBD, code, IN_CODE},
    {GUMBO_TAG_SAMP, code, IN_CODE},
    {GUMBO_TAG_PRE, preformatted, IN_CODE | IN_PRE},
    {GUMBO_TAG_BLOCKQUOTE, block_quote, 0},
    {GUMBO_TAG_BR, line_break, 0},
    {GUMBO_TAG_HR, rule, 0},
    {GUMBO_TAG_A, anchor, 0},
    {GUMBO_TAG_IMG, image, 0},
    {GUMBO_TAG_UL, list, 0},
    {GUMBO_TAG_OL, list, 0},
    {GUMBO_TAG_LI, list_item, IN_LIST_ITEM},
    {GUMBO_TAG_DT, term, 0},
    {GUMBO_TAG_DD, definition, 0},
    {GUMBO_TAG_TABLE, table, 0},
    {GUMBO_TAG_TR, table_row, 0},
    {GUMBO_TAG_TD, cell, IN_INLINE},
    {GUMBO_TAG_TH, cell, IN_INLINE},
    {GUMBO_TAG_CAPTION, caption, 0},
    {GUMBO_TAG_FIGCAPTION, caption, 0},
    {GUMBO_TAG_SCRIPT, nothing, 0},
    {GUMBO_TAG_STYLE, nothing, 0},
    {GUMBO_TAG_TEMPLATE, nothing, 0},
    {GUMBO_TAG_NOSCRIPT, nothing, 0},
};

static void convert(struct md *m, const GumboNode *n, unsigned in, struct text *out)
{
    size_t i = 0, count = sizeof(elements) / sizeof(elements[0]);
    if (html_is_text(n)) {
        write_text(n, in, out);
        return;
    }
    if (m->depth >= DEPTH_MAX)
        return;
    while (i < count && elements[i].tag != n->v.element.tag)
        i++;
    m->depth++;
    if (html_is(n, GUMBO_TAG_OL))
        number_items(n);
    convert_children(m, n, in | (i < count ? elements[i].adds : 0), out);
    m->depth--;
    if (i < count && !out->failed)
        elements[i].write(m, n, in, out);
}

void markdown_write(const GumboNode *root, bool headings, struct text *out)
{
    struct md m = {.lower = headings};
    struct text raw = {.max = out->max};
    convert(&m, root, 0, &raw);
    if (raw.failed)
        out->failed = true;
    else
        text_strip(&raw, "\n");
    /* The parser makes what is no character of a number that is too large for it. */
    if (!out->failed)
        charset_utf8(raw.p ? raw.p : "", raw.n, out);
    text_free(&raw);
}
