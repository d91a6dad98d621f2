#include "content.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    NODES_MAX = 400000, /* elements; a page with more is taken for none */
    DEPTH = 512,        /* what is nested deeper is left out */
    ENOUGH = 250,       /* characters of content, else the page is taken whole */
};

/* Of one element; its number stands where gumbo had its place in the source. */
struct fact {
    const GumboNode *node;
    uint32_t parent;              /* number; the root's own */
    uint32_t text, links, commas; /* characters without runs of blanks, those in <a>, commas */
    float score;
    bool candidate, has_block;
};

struct survey {
    struct html *html;
    struct fact *fact; /* in document order */
    uint32_t count, cap;
};

static uint32_t number_of(const GumboNode *n)
{
    return n->v.element.start_pos.offset;
}

/* --- what never is content --- */

static bool has_word(const char *text, const char *const *words)
{
    for (; text && *words; words++) {
        if (strcasestr(text, *words))
            return true;
    }
    return false;
}

static bool names(const GumboNode *n, const char *const *words)
{
    return has_word(html_attribute(n, "class"), words) || has_word(html_attribute(n, "id"), words);
}

static bool is_tag_of(const GumboNode *n, const GumboTag *tags, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (html_is(n, tags[i]))
            return true;
    }
    return false;
}
#define TAG_IN(n, tags) is_tag_of((n), (tags), sizeof(tags) / sizeof((tags)[0]))

static bool never_content(const GumboNode *n)
{
    static const GumboTag tags[] = {GUMBO_TAG_SCRIPT,   GUMBO_TAG_STYLE,  GUMBO_TAG_NOSCRIPT,
                                    GUMBO_TAG_TEMPLATE, GUMBO_TAG_IFRAME, GUMBO_TAG_OBJECT,
                                    GUMBO_TAG_EMBED,    GUMBO_TAG_SVG,    GUMBO_TAG_BUTTON,
                                    GUMBO_TAG_INPUT,    GUMBO_TAG_SELECT, GUMBO_TAG_TEXTAREA,
                                    GUMBO_TAG_HEAD,     GUMBO_TAG_LINK,   GUMBO_TAG_META,
                                    GUMBO_TAG_TITLE,    GUMBO_TAG_CANVAS, GUMBO_TAG_MATH};
    return TAG_IN(n, tags);
}

static bool is_hidden(const GumboNode *n)
{
    const char *style = html_attribute(n, "style"), *aria = html_attribute(n, "aria-hidden");
    if (html_attribute(n, "hidden") || (aria && strcmp(aria, "true") == 0))
        return true;
    for (const char *d = style ? strcasestr(style, "display") : NULL; d;
         d = strcasestr(d + 1, "display")) {
        d += 7 + strspn(d + 7, " \t:");
        if (strncasecmp(d, "none", 4) == 0)
            return true;
    }
    return false;
}

/* In there a class says how code is coloured, say, not what a part of the page is for. */
static bool is_opaque(const GumboNode *n)
{
    return html_is(n, GUMBO_TAG_TABLE) || html_is(n, GUMBO_TAG_PRE) || html_is(n, GUMBO_TAG_CODE);
}

/* Around the content on most pages.  `opaque`: it stands in a table or in code. */
static bool is_furniture(const GumboNode *n, bool opaque)
{
    static const GumboTag tags[] = {GUMBO_TAG_NAV, GUMBO_TAG_ASIDE, GUMBO_TAG_FOOTER,
                                    GUMBO_TAG_FORM, GUMBO_TAG_FIELDSET};
    static const char *const roles[] = {"menu",        "menubar",     "complementary",
                                        "navigation",  "alertdialog", "dialog",
                                        "contentinfo", "banner",      NULL};
    static const char *const words[] = {
        "banner",    "breadcrumb", "combx",   "comment",    "community", "cookie",  "disqus",
        "extra",     "footer",     "gdpr",    "legends",    "menu",      "navbar",  "pagination",
        "pager",     "popup",      "promo",   "related",    "remark",    "replies", "rss",
        "share",     "shoutbox",   "sidebar", "skyscraper", "social",    "sponsor", "supplemental",
        "subscribe", "ad-break",   "agegate", NULL};
    static const char *const perhaps[] = {"and",  "article", "body",    "column", "content",
                                          "main", "shadow",  "mathjax", NULL};
    if (TAG_IN(n, tags) || has_word(html_attribute(n, "role"), roles))
        return true;
    if (opaque || html_is(n, GUMBO_TAG_BODY) || html_is(n, GUMBO_TAG_A) ||
        html_is(n, GUMBO_TAG_ARTICLE) || html_is(n, GUMBO_TAG_MAIN))
        return false;
    return names(n, words) && !names(n, perhaps);
}

/* --- the survey: every element once, without recursion --- */

static bool survey_add(struct survey *s, const GumboNode *n, uint32_t parent)
{
    if (s->count == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 1024;
        struct fact *more = cap <= 2 * NODES_MAX ? realloc(s->fact, cap * sizeof(*more)) : NULL;
        if (!more)
            return false;
        s->fact = more;
        s->cap = cap;
    }
    ((GumboNode *)(uintptr_t)n)->v.element.start_pos.offset = s->count;
    s->fact[s->count++] = (struct fact){.node = n, .parent = parent};
    return true;
}

/* Down, across, up.  `strict`: furniture is left out, too. */
static bool survey(struct survey *s, const GumboNode *root, bool strict)
{
    size_t at[DEPTH] = {0};
    const GumboNode *stack[DEPTH] = {root};
    bool opaque[DEPTH] = {false};
    unsigned depth = 0;
    s->count = 0;
    if (!survey_add(s, root, 0))
        return false;
    for (;;) {
        const GumboVector *all = &stack[depth]->v.element.children;
        if (at[depth] == all->length) {
            if (depth-- == 0)
                return true;
            continue;
        }
        const GumboNode *c = all->data[at[depth]++];
        if (!html_is_element(c))
            continue;
        bool out = never_content(c) || is_hidden(c) || depth + 1 == DEPTH ||
                   (strict && is_furniture(c, opaque[depth]));
        html_leave_out(c, out);
        if (out)
            continue;
        if (!survey_add(s, c, number_of(stack[depth])))
            return false;
        opaque[depth + 1] = opaque[depth] || is_opaque(c);
        stack[++depth] = c;
        at[depth] = 0;
    }
}

/* --- counting --- */

static bool is_block(const GumboNode *n)
{
    static const GumboTag tags[] = {
        GUMBO_TAG_BLOCKQUOTE, GUMBO_TAG_DL,    GUMBO_TAG_DIV, GUMBO_TAG_OL,      GUMBO_TAG_P,
        GUMBO_TAG_PRE,        GUMBO_TAG_TABLE, GUMBO_TAG_UL,  GUMBO_TAG_SECTION, GUMBO_TAG_ARTICLE};
    return TAG_IN(n, tags);
}

static void count_text(struct fact *f, const char *p)
{
    bool blank = true;
    for (; *p; p++) {
        bool is = strchr(" \t\r\n\f", *p) != NULL;
        f->text += !(is && blank) && ((unsigned char)*p & 0xC0) != 0x80;
        f->commas +=
            *p == ',' || strncmp(p, "\xe3\x80\x81", 3) == 0 || strncmp(p, "\xef\xbc\x8c", 3) == 0;
        blank = is;
    }
}

/* Own text, then the children's: they come later in the order, so from the end. */
static void count(struct survey *s)
{
    for (uint32_t i = s->count; i-- > 0;) {
        struct fact *f = &s->fact[i], *up = &s->fact[f->parent];
        const GumboVector *all = &f->node->v.element.children;
        for (size_t k = 0; k < all->length; k++) {
            const GumboNode *c = all->data[k];
            if (html_is_text(c))
                count_text(f, c->v.text.text);
        }
        if (html_is(f->node, GUMBO_TAG_A))
            f->links = f->text;
        if (i == 0)
            break;
        up->text += f->text;
        up->links += f->links;
        up->commas += f->commas;
        up->has_block |= f->has_block || is_block(f->node);
    }
}

/* --- points --- */

static float weight_of_names(const GumboNode *n)
{
    static const char *const good[] = {"article", "body",  "content", "entry", "hentry",
                                       "h-entry", "main",  "page",    "post",  "text",
                                       "blog",    "story", NULL};
    static const char *const bad[] = {
        "hidden",  "banner",  "combx",    "comment", "contact", "footer", "gdpr",  "masthead",
        "media",   "meta",    "outbrain", "promo",   "related", "scroll", "share", "shoutbox",
        "sidebar", "sponsor", "shopping", "tags",    "widget",  NULL};
    return (names(n, good) ? 25.0f : 0.0f) - (names(n, bad) ? 25.0f : 0.0f);
}

static float weight_of_tag(const GumboNode *n)
{
    static const GumboTag three[] = {GUMBO_TAG_PRE, GUMBO_TAG_TD, GUMBO_TAG_BLOCKQUOTE};
    static const GumboTag minus[] = {GUMBO_TAG_ADDRESS, GUMBO_TAG_OL, GUMBO_TAG_UL, GUMBO_TAG_DL,
                                     GUMBO_TAG_DD,      GUMBO_TAG_DT, GUMBO_TAG_LI, GUMBO_TAG_FORM};
    static const GumboTag heads[] = {GUMBO_TAG_H1, GUMBO_TAG_H2, GUMBO_TAG_H3, GUMBO_TAG_H4,
                                     GUMBO_TAG_H5, GUMBO_TAG_H6, GUMBO_TAG_TH};
    return html_is(n, GUMBO_TAG_DIV) ? 5
           : TAG_IN(n, three)        ? 3
           : TAG_IN(n, minus)        ? -3
           : TAG_IN(n, heads)        ? -5
                                     : 0;
}

static bool gives_points(const struct fact *f)
{
    static const GumboTag tags[] = {GUMBO_TAG_P,  GUMBO_TAG_TD,         GUMBO_TAG_PRE,
                                    GUMBO_TAG_LI, GUMBO_TAG_BLOCKQUOTE, GUMBO_TAG_DD};
    if (f->text < 25)
        return false;
    if (TAG_IN(f->node, tags))
        return !f->has_block || html_is(f->node, GUMBO_TAG_P);
    return (html_is(f->node, GUMBO_TAG_DIV) || html_is(f->node, GUMBO_TAG_SECTION)) &&
           !f->has_block;
}

static void give_points(struct survey *s)
{
    for (uint32_t i = 1; i < s->count; i++) {
        struct fact *f = &s->fact[i];
        if (!gives_points(f))
            continue;
        float points = 1 + (float)f->commas + (f->text >= 300 ? 3 : (float)(f->text / 100));
        uint32_t up = f->parent;
        for (unsigned level = 0; level < 5 && up != 0; level++, up = s->fact[up].parent) {
            struct fact *a = &s->fact[up];
            if (!a->candidate)
                a->score = weight_of_tag(a->node) + weight_of_names(a->node);
            a->candidate = true;
            a->score += points / (level == 0 ? 1 : level == 1 ? 2 : (float)level * 3);
        }
    }
}

static float link_share(const struct fact *f)
{
    return f->text ? (float)f->links / (float)f->text : 0;
}

static uint32_t best(struct survey *s)
{
    uint32_t found = 0;
    float most = 0;
    for (uint32_t i = 1; i < s->count; i++) {
        struct fact *f = &s->fact[i];
        f->score *= 1 - link_share(f);
        if (f->candidate && f->score > most && !html_is(f->node, GUMBO_TAG_HTML)) {
            most = f->score;
            found = i;
        }
    }
    return found;
}

static bool is_below(const struct survey *s, uint32_t number, uint32_t above)
{
    while (number > above)
        number = s->fact[number].parent;
    return number == above;
}

/* Several that are nearly as good stand for their common ancestor: the sections of a chapter. */
static uint32_t climb_to_company(const struct survey *s, uint32_t top)
{
    uint32_t company[3], count = 0;
    for (uint32_t i = 1; i < s->count && count < 3; i++) {
        const struct fact *f = &s->fact[i];
        if (f->candidate && i != top && !is_below(s, top, i) &&
            f->score > s->fact[top].score * 0.75f)
            company[count++] = i;
    }
    if (count < 3)
        return top;
    for (uint32_t up = s->fact[top].parent; up; up = s->fact[up].parent) {
        if (html_is(s->fact[up].node, GUMBO_TAG_BODY))
            break;
        if (is_below(s, company[0], up) && is_below(s, company[1], up) &&
            is_below(s, company[2], up))
            return up;
    }
    return top;
}

/* An ancestor that has more points than what is below it. */
static uint32_t climb_by_points(const struct survey *s, uint32_t top)
{
    float last = s->fact[top].score, least = last / 3;
    for (uint32_t up = s->fact[top].parent; up; up = s->fact[up].parent) {
        const struct fact *f = &s->fact[up];
        if (html_is(f->node, GUMBO_TAG_BODY) || (f->candidate && f->score < least))
            break;
        if (f->candidate && f->score > last)
            return up;
        last = f->candidate ? f->score : last;
    }
    return top;
}

/* --- the choice --- */

/* Siblings of the best that look like more of it. */
static bool belongs(const struct survey *s, const struct fact *f, const struct fact *top)
{
    float threshold = top->score * 0.2f > 10 ? top->score * 0.2f : 10;
    const char *own = html_attribute(f->node, "class"), *its = html_attribute(top->node, "class");
    (void)s;
    float bonus = own && its && *its && strcmp(own, its) == 0 ? top->score * 0.2f : 0;
    if (f == top || (f->candidate && f->score + bonus >= threshold))
        return true;
    if (!html_is(f->node, GUMBO_TAG_P))
        return false;
    return f->text > 80 ? link_share(f) < 0.25f : f->text > 0 && f->links == 0;
}

static const GumboNode *choose(struct survey *s, uint32_t number, uint32_t *ret_text)
{
    struct fact *top = &s->fact[number], *up = &s->fact[top->parent];
    const GumboVector *all = &up->node->v.element.children;
    *ret_text = 0;
    for (size_t i = 0; i < all->length; i++) {
        const GumboNode *c = all->data[i];
        if (!html_is_element(c) || html_is_left_out(c))
            continue;
        struct fact *f = &s->fact[number_of(c)];
        bool in = belongs(s, f, top);
        html_leave_out(c, !in);
        *ret_text += in ? f->text : 0;
    }
    return up->node;
}

/* Lists and boxes of links inside of it. */
static void clean(struct survey *s)
{
    static const GumboTag tags[] = {GUMBO_TAG_UL, GUMBO_TAG_OL, GUMBO_TAG_DIV, GUMBO_TAG_SECTION};
    for (uint32_t i = 1; i < s->count; i++) {
        const struct fact *f = &s->fact[i];
        if (TAG_IN(f->node, tags) && f->text && f->commas < 10 && weight_of_names(f->node) < 25 &&
            link_share(f) > (html_is(f->node, GUMBO_TAG_DIV) ? 0.8f : 0.9f) && f->text > 60 &&
            f->node->parent && !html_is(f->node->parent, GUMBO_TAG_BODY))
            html_leave_out(f->node, true);
    }
}

static const GumboNode *body_of(const GumboNode *root)
{
    const GumboVector *all = &root->v.element.children;
    for (size_t i = 0; i < all->length; i++) {
        if (html_is(all->data[i], GUMBO_TAG_BODY))
            return all->data[i];
    }
    return root;
}

const GumboNode *content_find(struct html *h)
{
    const GumboNode *root = html_root(h), *found = NULL;
    struct survey s = {.html = h};
    uint32_t text = 0, whole = 0;
    if (survey(&s, root, true)) {
        count(&s);
        whole = s.fact[0].text;
        give_points(&s);
        uint32_t top = best(&s);
        if (top && !html_is(s.fact[top].node, GUMBO_TAG_BODY))
            top = climb_by_points(&s, climb_to_company(&s, top));
        if (top && html_is(s.fact[top].node, GUMBO_TAG_BODY)) {
            found = s.fact[top].node;
            text = s.fact[top].text;
        } else if (top) {
            found = choose(&s, top, &text);
        }
        if (found)
            clean(&s);
    }
    if (!found || (text < ENOUGH && text < whole)) {
        found = NULL;
        if (survey(&s, root, false)) {
            count(&s);
            found = s.fact[0].text ? body_of(root) : NULL;
        }
    }
    free(s.fact);
    return found;
}
