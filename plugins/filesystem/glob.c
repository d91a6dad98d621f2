#include "glob.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { PARTS_MAX = 4096, PATTERN_MAX = 64 << 10, STEPS_MAX = 100000 };

struct part {
    enum { NAME, ANY_DEPTH, EXPRESSION } kind;
    char *name; /* owned; NAME */
    pcre2_code *code;
};

/* One of the patterns that the braces stand for: parts[from] up to parts[to]. */
struct option {
    size_t from, to;
};

struct glob {
    bool negated, never; /* never: a comment, or empty */
    struct part *part;
    size_t parts;
    struct option *option;
    size_t options;
    pcre2_match_data *found;
    pcre2_match_context *limits;
};

/* ---- making --------------------------------------------------------------- */

static bool add_part(struct glob *g, mf_bytes segment, struct text *why)
{
    struct text translated = TEXT_INIT(PATTERN_MAX);
    struct part *p = &g->part[g->parts];
    bool magic, good = true;
    if (segment.len == 2 && memcmp(segment.data, "**", 2) == 0) {
        *p = (struct part){.kind = ANY_DEPTH};
        g->parts++;
        return true;
    }
    if (!segment_translate(segment, &translated, &magic)) {
        text_cat(why, "The pattern is too large");
        good = false;
    } else if (!magic) {
        *p = (struct part){.kind = NAME, .name = strdup(text_string(&translated))};
        good = p->name != NULL;
    } else {
        int error;
        PCRE2_SIZE at;
        *p = (struct part){.kind = EXPRESSION};
        p->code = pcre2_compile((PCRE2_SPTR)translated.data, translated.len,
                                PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED |
                                    PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
                                &error, &at, NULL);
        good = p->code != NULL;
        if (!good)
            text_cat(why, "The pattern can't be understood");
    }
    g->parts += good;
    text_free(&translated);
    return good;
}

static bool is_part(const struct glob *g, size_t i, const char *name)
{
    return g->part[i].kind == NAME && strcmp(g->part[i].name, name) == 0;
}

static void drop_last(struct glob *g)
{
    struct part *p = &g->part[--g->parts];
    free(p->name);
    pcre2_code_free(p->code);
}

/* "**" twice is once, and "a/.." nothing. */
static void simplify(struct glob *g, size_t from)
{
    if (g->parts - from < 2)
        return;
    size_t last = g->parts - 1;
    if (g->part[last].kind == ANY_DEPTH && g->part[last - 1].kind == ANY_DEPTH) {
        drop_last(g);
    } else if (is_part(g, last, "..") && g->part[last - 1].kind != ANY_DEPTH &&
               !is_part(g, last - 1, "..") && !is_part(g, last - 1, ".") &&
               !is_part(g, last - 1, "")) {
        drop_last(g);
        drop_last(g);
    }
}

static bool add_option(struct glob *g, const char *pattern, struct text *why)
{
    struct option *o = &g->option[g->options++];
    o->from = g->parts;
    for (bool more = true; more;) {
        size_t n = strcspn(pattern, "/");
        if (!add_part(g, (mf_bytes){pattern, n}, why))
            return false;
        simplify(g, o->from);
        more = pattern[n] == '/';
        pattern += n + strspn(pattern + n, "/");
    }
    o->to = g->parts;
    return true;
}

static bool compile(struct glob *g, mf_bytes pattern, struct text *why)
{
    struct text all = TEXT_INIT(PATTERN_MAX * 4);
    size_t options = 0, parts = 0;
    bool good = pattern.len < PATTERN_MAX && braces_expand(pattern, &all);
    for (size_t i = 0; good && i < all.len; i++) {
        options += all.data[i] == 0;
        parts += all.data[i] == 0 || all.data[i] == '/';
    }
    if (!good || parts > PARTS_MAX)
        text_cat(why, "The pattern stands for too many others");
    good = good && parts <= PARTS_MAX;
    g->part = good ? calloc(parts + 1, sizeof(*g->part)) : NULL;
    g->option = good ? calloc(options + 1, sizeof(*g->option)) : NULL;
    good = g->part != NULL && g->option != NULL;
    const char *at = all.data;
    for (size_t i = 0; good && i < options; i++, at += strlen(at) + 1)
        good = add_option(g, at, why);
    text_free(&all);
    return good;
}

struct glob *glob_new(mf_bytes pattern, struct text *why)
{
    struct glob *g = calloc(1, sizeof(*g));
    if (g == NULL) {
        text_cat(why, "out of memory");
        return NULL;
    }
    g->never =
        pattern.len == 0 || pattern.data[0] == '#' || memchr(pattern.data, 0, pattern.len) != NULL;
    while (pattern.len > 0 && pattern.data[0] == '!') {
        g->negated = !g->negated;
        pattern.data++;
        pattern.len--;
    }
    g->limits = pcre2_match_context_create(NULL);
    g->found = pcre2_match_data_create(1, NULL);
    if (g->limits != NULL && g->found != NULL) {
        pcre2_set_match_limit(g->limits, STEPS_MAX);
        pcre2_set_heap_limit(g->limits, 4096);
        if (g->never || compile(g, pattern, why))
            return g;
    }
    if (why->len == 0)
        text_cat(why, "out of memory");
    glob_free(g);
    return NULL;
}

void glob_free(struct glob *g)
{
    if (g == NULL)
        return;
    while (g->part != NULL && g->parts > 0)
        drop_last(g);
    pcre2_match_context_free(g->limits);
    pcre2_match_data_free(g->found);
    free(g->part);
    free(g->option);
    free(g);
}

/* ---- matching ------------------------------------------------------------- */

/* 1, 0 or -1. */
static int match_part(struct glob *g, const struct part *p, const char *name, size_t len)
{
    if (p->kind == NAME)
        return strlen(p->name) == len && memcmp(p->name, name, len) == 0;
    int r = pcre2_match(p->code, (PCRE2_SPTR)name, len, 0, PCRE2_NO_UTF_CHECK, g->found, g->limits);
    return r >= 0 ? 1 : r == PCRE2_ERROR_NOMATCH ? 0 : -1;
}

/* reach[i]: the parts so far can stand for the first i names.  A part at a time. */
static int match_option(struct glob *g, const struct option *o, const char *path, size_t names,
                        bool *reach, bool *next)
{
    memset(reach, 0, (names + 1) * sizeof(*reach));
    reach[0] = true;
    for (size_t k = o->from; k < o->to; k++) {
        const struct part *p = &g->part[k];
        bool last = k + 1 == o->to, any = false;
        memset(next, 0, (names + 1) * sizeof(*next));
        const char *name = path;
        for (size_t i = 0; i < names; i++) {
            size_t len = strcspn(name, "/");
            if (p->kind == ANY_DEPTH) {
                any = any || reach[i];
                next[i] = next[i] || (any && !last);
                next[i + 1] = any; /* at the end it stands for at least one */
            } else if (reach[i]) {
                int hit = match_part(g, p, name, len);
                if (hit < 0)
                    return -1;
                next[i + 1] = hit;
            }
            name += len + (name[len] == '/');
        }
        if (p->kind == ANY_DEPTH && !last)
            next[names] = any || reach[names];
        bool *swap = reach;
        reach = next;
        next = swap;
    }
    return reach[names];
}

int glob_match(struct glob *g, const char *path)
{
    size_t names = 1;
    for (const char *at = path; *at != 0; at++)
        names += *at == '/';
    if (g->never)
        return 0;
    bool *reach = calloc(2 * (names + 1), sizeof(*reach));
    if (reach == NULL)
        return -1;
    int hit = 0;
    for (size_t i = 0; hit == 0 && i < g->options; i++)
        hit = match_option(g, &g->option[i], path, names, reach, reach + names + 1);
    free(reach);
    return hit < 0 ? -1 : hit != g->negated;
}
