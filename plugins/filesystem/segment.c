/* segment.c - one part of a path, such as *.[ch] or +(a|b)?, as a regular expression. */
#include "glob.h"

enum { SEGMENT_MAX = 32 << 10, ITEMS_MAX = 1024, NESTED_MAX = 3 };

struct item {
    size_t begin, end;
    enum { PLAIN, STAR, MARK, CLASS, GROUP } kind;
};

/* ---- [classes] ------------------------------------------------------------ */

static const struct {
    const char *name, *set;
    bool negated;
} classes[] = {
    {"[:alnum:]", "\\p{L}\\p{Nl}\\p{Nd}", false},
    {"[:alpha:]", "\\p{L}\\p{Nl}", false},
    {"[:ascii:]", "\\x00-\\x7f", false},
    {"[:blank:]", "\\p{Zs}\\t", false},
    {"[:cntrl:]", "\\p{Cc}", false},
    {"[:digit:]", "\\p{Nd}", false},
    {"[:graph:]", "\\p{Z}\\p{C}", true},
    {"[:lower:]", "\\p{Ll}", false},
    {"[:print:]", "\\p{C}", true},
    {"[:punct:]", "\\p{P}", false},
    {"[:space:]", "\\p{Z}\\t\\r\\n\\v\\f", false},
    {"[:upper:]", "\\p{Lu}", false},
    {"[:word:]", "\\p{L}\\p{Nl}\\p{Nd}\\p{Pc}", false},
    {"[:xdigit:]", "A-Fa-f0-9", false},
};

static size_t char_at(mf_bytes s, size_t i)
{
    size_t n = utf8_char(s.data + i, s.len - i);
    return n ? n : 1;
}

/* Where the class at `open` ends, behind its "]"; 0: it has no end. */
static size_t class_end(mf_bytes s, size_t open)
{
    size_t i = open + 1;
    if (i < s.len && (s.data[i] == '!' || s.data[i] == '^'))
        i++;
    for (bool first = true; i < s.len; first = false) {
        if (s.data[i] == ']' && !first)
            return i + 1;
        size_t n = 1;
        for (size_t k = 0; k < sizeof(classes) / sizeof(classes[0]); k++) {
            size_t len = strlen(classes[k].name);
            if (s.len - i >= len && memcmp(s.data + i, classes[k].name, len) == 0)
                n = len;
        }
        i += s.data[i] == '\\' && i + 1 < s.len ? 2 : n;
    }
    return 0;
}

static void put_escaped(struct text *out, const char *c, size_t n)
{
    if (n == 1 && strchr("\\^$.|?*+()[]{}-#&~:= \t", *c) != NULL && *c != 0)
        text_cat(out, "\\");
    text_add(out, c, n);
}

struct set {
    struct text in, out; /* what is in it; what is not in it by a negated class */
    bool poisoned;       /* it can match nothing */
    size_t singles;      /* when it is one character, that one */
    const char *single;
    size_t single_len, members;
};

/* One member of a class at s[i], of which the class ends at `end`; how many bytes it was. */
static size_t put_member(struct set *set, mf_bytes s, size_t i, size_t end)
{
    for (size_t k = 0; s.data[i] == '[' && k < sizeof(classes) / sizeof(classes[0]); k++) {
        size_t len = strlen(classes[k].name);
        if (end - i < len || memcmp(s.data + i, classes[k].name, len) != 0)
            continue;
        text_cat(classes[k].negated ? &set->out : &set->in, classes[k].set);
        set->members += 2;
        return len;
    }
    size_t at = i + (s.data[i] == '\\' && i + 1 < end ? 1 : 0), n = char_at(s, at);
    size_t behind = at + n;
    if (behind + 1 < end && s.data[behind] == '-') {
        size_t to = behind + 1 + (s.data[behind + 1] == '\\' && behind + 2 < end ? 1 : 0);
        size_t m = char_at(s, to);
        int order = memcmp(s.data + to, s.data + at, m < n ? m : n);
        if (order > 0 || (order == 0 && m > n)) { /* UTF-8 sorts as its code points */
            put_escaped(&set->in, s.data + at, n);
            text_cat(&set->in, "-");
            put_escaped(&set->in, s.data + to, m);
            set->members += 2;
        } else if (order == 0) {
            put_escaped(&set->in, s.data + at, n);
            set->members += 2;
        }
        return to + m - i;
    }
    put_escaped(&set->in, s.data + at, n);
    set->single = s.data + at;
    set->single_len = n;
    set->members++;
    return behind - i;
}

/* [abc] as a set of PCRE2.  A class of one character is that character and no magic. */
static bool put_class(mf_bytes s, struct item it, struct text *out)
{
    struct set set = {.in = TEXT_INIT(SEGMENT_MAX), .out = TEXT_INIT(SEGMENT_MAX)};
    size_t i = it.begin + 1, end = it.end - 1;
    bool negated = s.data[i] == '!' || s.data[i] == '^', magic = true;
    for (i += negated; i < end;)
        i += put_member(&set, s, i, end);
    if (set.in.len == 0 && set.out.len == 0) {
        text_cat(out, "(?!)");
    } else if (set.members == 1 && !negated) {
        put_escaped(out, set.single, set.single_len);
        magic = false;
    } else {
        bool both = set.in.len > 0 && set.out.len > 0;
        text_cat(out, both ? "(?:" : "");
        if (set.in.len > 0)
            text_printf(out, "[%s%s]", negated ? "^" : "", set.in.data);
        text_cat(out, both ? "|" : "");
        if (set.out.len > 0)
            text_printf(out, "[%s%s]", negated ? "" : "^", set.out.data);
        text_cat(out, both ? ")" : "");
    }
    text_free(&set.in);
    text_free(&set.out);
    return magic;
}

/* ---- items ---------------------------------------------------------------- */

static bool is_group(mf_bytes s, size_t i)
{
    return i + 1 < s.len && s.data[i + 1] == '(' && strchr("!?+*@", s.data[i]) != NULL &&
           s.data[i] != 0;
}

/* Behind the ")" of the group at i; 0: it has none. */
static size_t group_end(mf_bytes s, size_t i)
{
    size_t depth = 0;
    while (i < s.len) {
        size_t n = 1, end;
        if (s.data[i] == '\\' && i + 1 < s.len)
            n = 2;
        else if (s.data[i] == '[' && (end = class_end(s, i)) > 0)
            n = end - i;
        else if (is_group(s, i)) {
            depth++;
            n = 2;
        } else if (s.data[i] == ')' && --depth == 0)
            return i + 1;
        i += n;
    }
    return 0;
}

static struct item item_at(mf_bytes s, size_t i, unsigned level)
{
    size_t end = 0;
    if (s.data[i] == '\\' && i + 1 < s.len)
        return (struct item){i, i + 1 + char_at(s, i + 1), PLAIN};
    if (is_group(s, i) && level < NESTED_MAX && (end = group_end(s, i)) > 0)
        return (struct item){i, end, GROUP};
    if (s.data[i] == '[' && (end = class_end(s, i)) > 0)
        return (struct item){i, end, CLASS};
    if (s.data[i] == '?')
        return (struct item){i, i + 1, MARK};
    if (s.data[i] != '*')
        return (struct item){i, i + char_at(s, i), PLAIN};
    for (end = i; end < s.len && s.data[end] == '*' && !(end > i && is_group(s, end)); end++)
        ;
    return (struct item){i, end, STAR};
}

/* ---- translation, from the last item to the first ------------------------- */

struct walk {
    unsigned level;
    bool alone;         /* the item is all of the segment */
    const char *behind; /* what follows the sequence in those around it: "!" must know */
    bool magic;
};

static void put_sequence(mf_bytes s, struct walk *w, struct text *out);

/* X(a|b): `after` is what follows it. */
static void put_group(mf_bytes s, struct item it, struct walk *w, const char *after,
                      struct text *out)
{
    char type = s.data[it.begin];
    size_t begin = it.begin + 2, end = it.end - 1;
    if (type == '!' && begin == end) {
        text_cat(out, "[^/]+?");
        return;
    }
    text_cat(out, type == '!' ? "(?:(?!(?:" : "(?:");
    for (size_t i = begin; i <= end;) {
        size_t stop = i;
        while (stop < end && s.data[stop] != '|')
            stop = item_at((mf_bytes){s.data, end}, stop, w->level + 1).end;
        struct walk inner = {.level = w->level + 1, .behind = after};
        put_sequence((mf_bytes){s.data + i, stop - i}, &inner, out);
        if (type == '!')
            text_printf(out, "%s$", after);
        if (stop < end)
            text_cat(out, "|");
        i = stop + 1;
    }
    text_cat(out, type == '!' ? "))[^/]*?)" : type == '@' ? ")" : (char[]){')', type, 0});
}

static void put_item(mf_bytes s, struct item it, struct walk *w, const char *after,
                     struct text *out)
{
    size_t skip = s.data[it.begin] == '\\' && it.end > it.begin + 1;
    switch (it.kind) {
    case PLAIN:
        put_escaped(out, s.data + it.begin + skip, it.end - it.begin - skip);
        return;
    case STAR:
        text_cat(out, w->alone ? "[^/]+?" : "[^/]*?");
        break;
    case MARK:
        text_cat(out, "[^/]");
        break;
    case CLASS:
        if (!put_class(s, it, out))
            return;
        break;
    case GROUP:
        put_group(s, it, w, after, out);
    }
    w->magic = true;
}

static void put_sequence(mf_bytes s, struct walk *w, struct text *out)
{
    struct item item[ITEMS_MAX];
    struct text own = TEXT_INIT(SEGMENT_MAX);
    size_t count = 0;
    for (size_t i = 0; i < s.len && count < ITEMS_MAX; i = item[count++].end)
        item[count] = item_at(s, i, w->level);
    if (count > 0 && item[count - 1].end < s.len)
        out->over = true;
    w->alone = w->level == 0 && count == 1;
    while (count > 0 && !out->over) {
        struct text next = TEXT_INIT(SEGMENT_MAX), after = TEXT_INIT(SEGMENT_MAX);
        text_printf(&after, "%s%s", text_string(&own), w->behind);
        put_item(s, item[--count], w, text_string(&after), &next);
        text_add(&next, own.data, own.len);
        out->over = out->over || next.over || after.over;
        text_free(&own);
        text_free(&after);
        own = next;
    }
    text_add(out, own.data, own.len);
    text_free(&own);
}

/* The name that a part without magic stands for. */
static void put_plain(mf_bytes s, struct text *out)
{
    for (size_t i = 0; i < s.len;) {
        struct item it = item_at(s, i, 0);
        if (it.kind == CLASS) { /* of one character */
            size_t skip = s.data[it.begin + 1] == '\\' && it.end - it.begin > 3;
            text_add(out, s.data + it.begin + 1 + skip, it.end - it.begin - 2 - skip);
        } else {
            size_t skip = s.data[i] == '\\' && it.end > i + 1;
            text_add(out, s.data + i + skip, it.end - i - skip);
        }
        i = it.end;
    }
}

bool segment_translate(mf_bytes segment, struct text *out, bool *ret_magic)
{
    struct walk w = {.behind = ""};
    struct text translated = TEXT_INIT(SEGMENT_MAX);
    put_sequence(segment, &w, &translated);
    *ret_magic = w.magic;
    if (w.magic)
        text_add(out, translated.data, translated.len);
    else
        put_plain(segment, out);
    out->over = out->over || translated.over;
    text_free(&translated);
    return !out->over;
}
