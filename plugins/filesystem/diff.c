#include "diff.h"

#include <stdint.h>
#include <stdlib.h>

enum { CONTEXT = 4, NODES_MAX = 4 << 20 };

/* A line with its "\n"; the last one may have none. */
struct line {
    const char *at;
    size_t len;
    uint32_t hash;
};

struct lines {
    struct line *line; /* owned */
    size_t count;
};

enum change { SAME, ADDED, REMOVED };

/* So many lines of one kind, and what came before them: the path to a point as a list that shares
 * its beginning with others. */
struct node {
    uint32_t before; /* index; 0: none */
    uint32_t count : 30, change : 2;
};

/* Where a path ends: it has taken old[..old_at] in. */
struct path {
    bool there;
    int64_t old_at; /* index of the last line taken; -1: none */
    uint32_t last;
};

struct diff {
    struct lines a, b;
    struct node *node; /* owned */
    uint32_t nodes, cap;
    struct path *best; /* owned; by diagonal, shifted by b.count + 1 */
    bool failed;       /* no memory */
};

/* ---- lines ---------------------------------------------------------------- */

static bool split(mf_bytes s, struct lines *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++)
        count += s.data[i] == '\n' || i + 1 == s.len;
    ret->line = calloc(count + 1, sizeof(*ret->line));
    if (ret->line == NULL)
        return false;
    for (size_t i = 0; i < s.len; ret->count++) {
        const char *end = memchr(s.data + i, '\n', s.len - i);
        size_t len = end ? (size_t)(end - s.data) + 1 - i : s.len - i;
        uint32_t hash = 2166136261u;
        for (size_t k = 0; k < len; k++)
            hash = (hash ^ (unsigned char)s.data[i + k]) * 16777619u;
        ret->line[ret->count] = (struct line){s.data + i, len, hash};
        i += len;
    }
    return true;
}

static bool same_line(const struct line *a, const struct line *b)
{
    return a->hash == b->hash && a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

/* ---- paths ---------------------------------------------------------------- */

/* 0: there is no room for one more. */
static uint32_t add_node(struct diff *d, uint32_t before, uint32_t count, enum change change)
{
    if (d->nodes == d->cap) {
        uint32_t cap = d->cap ? d->cap * 2 : 1024;
        struct node *more = cap <= NODES_MAX ? realloc(d->node, cap * sizeof(*more)) : NULL;
        if (more == NULL)
            return 0;
        d->node = more;
        d->cap = cap;
        d->nodes += d->nodes == 0; /* 0 is none */
    }
    d->node[d->nodes] = (struct node){before, count & 0x3FFFFFFF, change};
    return d->nodes++;
}

static bool step(struct diff *d, struct path *p, const struct path *from, enum change change)
{
    const struct node *last = from->last ? &d->node[from->last] : NULL;
    *p = (struct path){.there = true, .old_at = from->old_at + (change == REMOVED)};
    p->last = last != NULL && last->change == change
                  ? add_node(d, last->before, last->count + 1, change)
                  : add_node(d, from->last, 1, change);
    return p->last != 0;
}

/* Goes on over equal lines; where it is in b, or -2: no room. */
static int64_t follow(struct diff *d, struct path *p, int64_t diagonal)
{
    int64_t a = p->old_at, b = a - diagonal;
    uint32_t count = 0;
    while (b + 1 < (int64_t)d->b.count && a + 1 < (int64_t)d->a.count &&
           same_line(&d->a.line[a + 1], &d->b.line[b + 1])) {
        a++;
        b++;
        count++;
    }
    p->old_at = a;
    if (count > 0 && (p->last = add_node(d, p->last, count, SAME)) == 0)
        return -2;
    return b;
}

/* The last node of the shortest path, or 0: it takes too many. */
static uint32_t shortest(struct diff *d)
{
    int64_t na = (int64_t)d->a.count, nb = (int64_t)d->b.count, low = -nb - 1, high = na + 1;
    struct path *best = d->best + nb + 2;
    best[0] = (struct path){.there = true, .old_at = -1};
    int64_t b = follow(d, &best[0], 0);
    if (b == -2 || (best[0].old_at + 1 >= na && b + 1 >= nb))
        return best[0].last;
    for (int64_t edits = 1; edits <= na + nb; edits++) {
        int64_t from = low > -edits ? low : -edits, to = high < edits ? high : edits;
        /* Bounds move in steps of one, diagonals of a turn in steps of two. */
        for (int64_t k = from; k <= to; k += 2) {
            struct path remove = best[k - 1], add = best[k + 1], next;
            best[k - 1].there = false;
            int64_t after_add = add.old_at - k;
            bool can_add = add.there && after_add >= 0 && after_add < nb;
            bool can_remove = remove.there && remove.old_at + 1 < na;
            if (!can_add && !can_remove) {
                best[k].there = false;
                continue;
            }
            bool adds = !can_remove || (can_add && remove.old_at < add.old_at);
            if (!step(d, &next, adds ? &add : &remove, adds ? ADDED : REMOVED) ||
                (b = follow(d, &next, k)) == -2)
                return 0;
            if (next.old_at + 1 >= na && b + 1 >= nb)
                return next.last;
            best[k] = next;
            if (next.old_at + 1 >= na && k - 1 < high)
                high = k - 1;
            if (b + 1 >= nb && k + 1 > low)
                low = k + 1;
            to = high < edits ? high : edits;
        }
    }
    return 0;
}

/* What differs as a whole, between what both begin and end with. */
static uint32_t coarse(struct diff *d)
{
    size_t a = d->a.count, b = d->b.count, before = 0, behind = 0;
    while (before < a && before < b && same_line(&d->a.line[before], &d->b.line[before]))
        before++;
    while (behind < a - before && behind < b - before &&
           same_line(&d->a.line[a - 1 - behind], &d->b.line[b - 1 - behind]))
        behind++;
    d->nodes = 1;
    uint32_t last = 0;
    const struct {
        size_t count;
        enum change change;
    } runs[] = {{before, SAME},
                {a - before - behind, REMOVED},
                {b - before - behind, ADDED},
                {behind, SAME}};
    for (size_t i = 0; i < 4; i++)
        if (runs[i].count > 0)
            last = add_node(d, last, (uint32_t)runs[i].count, runs[i].change);
    return last;
}

/* ---- the patch ------------------------------------------------------------ */

struct hunk {
    struct text lines;
    size_t old_start, new_start; /* from 1; old_start 0: none is open */
    size_t old_lines, new_lines;
};

static void put_lines(struct hunk *h, char mark, const struct line *line, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_add(&h->lines, &mark, 1);
        text_add(&h->lines, line[i].at, line[i].len);
        if (line[i].at[line[i].len - 1] != '\n')
            text_cat(&h->lines, "\n\\ No newline at end of file\n");
    }
    h->old_lines += mark != '+' ? count : 0;
    h->new_lines += mark != '-' ? count : 0;
}

static void end_hunk(struct hunk *h, struct text *out)
{
    text_printf(out, "@@ -%zu,%zu +%zu,%zu @@\n", h->old_start - (h->old_lines == 0), h->old_lines,
                h->new_start - (h->new_lines == 0), h->new_lines);
    text_add(out, h->lines.data, h->lines.len);
    text_free(&h->lines);
    *h = (struct hunk){.lines = h->lines};
}

static void put_hunks(const struct diff *d, const struct node *const *run, size_t runs,
                      struct text *out)
{
    struct hunk h = {.lines = TEXT_INIT(out->max)};
    size_t a = 0, b = 0; /* lines before this run */
    for (size_t i = 0; i < runs; i++) {
        size_t count = run[i]->count;
        if (run[i]->change == SAME) {
            const struct line *line = d->a.line + a;
            if (h.old_start > 0 && (count > 2 * CONTEXT || i + 1 == runs)) {
                put_lines(&h, ' ', line, count < CONTEXT ? count : CONTEXT);
                end_hunk(&h, out);
            } else if (h.old_start > 0) {
                put_lines(&h, ' ', line, count);
            }
            a += count;
            b += count;
            continue;
        }
        if (h.old_start == 0) {
            size_t context = i > 0 ? run[i - 1]->count : 0; /* the one before is the same in both */
            context = context < CONTEXT ? context : CONTEXT;
            h.old_start = a + 1 - context;
            h.new_start = b + 1 - context;
            put_lines(&h, ' ', d->a.line + a - context, context);
        }
        bool added = run[i]->change == ADDED;
        put_lines(&h, added ? '+' : '-', added ? d->b.line + b : d->a.line + a, count);
        a += added ? 0 : count;
        b += added ? count : 0;
    }
    if (h.old_start > 0)
        end_hunk(&h, out);
    out->over = out->over || h.lines.over;
    text_free(&h.lines);
}

static bool put_patch(struct diff *d, uint32_t last, struct text *out)
{
    size_t runs = 0;
    for (uint32_t n = last; n != 0; n = d->node[n].before)
        runs++;
    const struct node **run = calloc(runs + 1, sizeof(*run));
    if (run == NULL)
        return false;
    for (size_t i = runs; i > 0; i--) {
        run[i - 1] = &d->node[last];
        last = d->node[last].before;
    }
    put_hunks(d, run, runs, out);
    free(run);
    return true;
}

bool diff_patch(mf_bytes name, mf_bytes old_text, mf_bytes new_text, struct text *out)
{
    struct diff d = {0};
    bool good = split(old_text, &d.a) && split(new_text, &d.b);
    text_cat(out, "Index: ");
    text_add(out, name.data, name.len);
    text_cat(out, "\n===================================================================\n--- ");
    text_add(out, name.data, name.len);
    text_cat(out, "\toriginal\n+++ ");
    text_add(out, name.data, name.len);
    text_cat(out, "\tmodified\n");
    d.best = good ? calloc(d.a.count + d.b.count + 5, sizeof(*d.best)) : NULL;
    good = good && d.best != NULL;
    if (good && d.a.count + d.b.count > 0) {
        uint32_t last = shortest(&d);
        good = put_patch(&d, last ? last : coarse(&d), out);
    }
    free(d.a.line);
    free(d.b.line);
    free(d.node);
    free(d.best);
    return good;
}
