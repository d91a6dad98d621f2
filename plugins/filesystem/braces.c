/* braces.c - {a,b} and {1..9}, as a shell expands them. */
#include <stdio.h>
#include <stdlib.h>

#include "glob.h"

enum { EXPANDED_MAX = 256 << 10, LEVELS_MAX = 16, SEQUENCE_MAX = 10000 };

/* A list of strings, each followed by a NUL. */
struct list {
    struct text text;
    size_t count;
};

static void list_put(struct list *l, mf_bytes a, mf_bytes b, mf_bytes c)
{
    text_add(&l->text, a.data, a.len);
    text_add(&l->text, b.data, b.len);
    text_add(&l->text, c.data, c.len);
    text_add(&l->text, "", 1);
    l->count++;
}

/* One step over the text: an escape is two bytes. */
static size_t step(mf_bytes s, size_t i)
{
    return s.data[i] == '\\' && i + 1 < s.len ? 2 : 1;
}

/* The "}" that belongs to the "{" at `open`; s.len: none. */
static size_t closing(mf_bytes s, size_t open)
{
    size_t depth = 0;
    for (size_t i = open; i < s.len; i += step(s, i)) {
        depth += s.data[i] == '{';
        if (s.data[i] == '}' && --depth == 0)
            return i;
    }
    return s.len;
}

/* Where the first part of a body ends: at its first comma that is in no inner group. */
static size_t part_end(mf_bytes body)
{
    size_t depth = 0, i = 0;
    for (; i < body.len; i += step(body, i)) {
        if (body.data[i] == '{' && closing(body, i) < body.len)
            depth++;
        else if (body.data[i] == '}' && depth > 0)
            depth--;
        else if (body.data[i] == ',' && depth == 0)
            break;
    }
    return i < body.len ? i : body.len;
}

/* ---- sequences ------------------------------------------------------------ */

static bool number(const char **at, const char *end, long *ret, size_t *ret_width, bool *ret_padded)
{
    const char *p = *at;
    bool minus = p < end && *p == '-';
    const char *digits = p + minus;
    long n = 0;
    for (p = digits; p < end && *p >= '0' && *p <= '9' && p - digits < 9; p++)
        n = n * 10 + (*p - '0');
    if (p == digits)
        return false;
    *ret_padded = *ret_padded || (*digits == '0' && p - digits > 1);
    *ret_width = (size_t)(p - *at);
    *ret = minus ? -n : n;
    *at = p;
    return true;
}

static bool dots(const char **at, const char *end)
{
    bool found = end - *at >= 2 && memcmp(*at, "..", 2) == 0;
    *at += found ? 2 : 0;
    return found;
}

static bool letter(const char **at, const char *end, long *ret)
{
    bool found = *at < end && ((**at | 32) >= 'a' && (**at | 32) <= 'z');
    if (found)
        *ret = *(*at)++;
    return found;
}

/* 1..3, a..e, 1..9..2; false: the body is no such thing. */
static bool sequence(mf_bytes body, struct list *ret)
{
    const char *at = body.data, *end = at + body.len;
    long from, to, by = 1;
    size_t a = 0, b = 0, width;
    bool padded = false, ignored = false;
    bool letters = letter(&at, end, &from) && dots(&at, end) && letter(&at, end, &to);
    if (!letters) {
        at = body.data;
        if (!number(&at, end, &from, &a, &padded) || !dots(&at, end) ||
            !number(&at, end, &to, &b, &padded))
            return false;
    }
    if (dots(&at, end) && !number(&at, end, &by, &width, &ignored))
        return false;
    if (at != end)
        return false;
    by = by < 0 ? -by : by == 0 ? 1 : by;
    width = padded ? (a > b ? a : b) : 0;
    for (long n = from; from <= to ? n <= to : n >= to; n += from <= to ? by : -by) {
        char text[40];
        if (ret->count >= SEQUENCE_MAX) {
            ret->text.over = true;
            break;
        }
        if (letters)
            snprintf(text, sizeof(text), "%c", (char)n);
        else
            snprintf(text, sizeof(text), "%0*ld", (int)(width > 20 ? 20 : width), n);
        list_put(ret, bytes_of(text), (mf_bytes){0}, (mf_bytes){0});
    }
    return true;
}

/* ---- groups --------------------------------------------------------------- */

static void expand(mf_bytes s, unsigned level, struct list *ret);

static void expand_parts(mf_bytes body, unsigned level, struct list *ret)
{
    for (;;) {
        size_t end = part_end(body);
        expand((mf_bytes){body.data, end}, level + 1, ret);
        if (end == body.len || ret->text.over)
            return;
        body.data += end + 1;
        body.len -= end + 1;
    }
}

/* What the group {body} stands for; itself, with what is in it expanded, when that is no list. */
static void expand_group(mf_bytes body, unsigned level, struct list *ret)
{
    if (sequence(body, ret))
        return;
    if (part_end(body) < body.len) {
        expand_parts(body, level, ret);
        return;
    }
    struct list inner = {.text = TEXT_INIT(EXPANDED_MAX)};
    expand(body, level + 1, &inner);
    const char *at = inner.text.data;
    for (size_t i = 0; i < inner.count; i++, at += strlen(at) + 1)
        list_put(ret, MF_LIT("{"), bytes_of(at), MF_LIT("}"));
    ret->text.over = ret->text.over || inner.text.over;
    text_free(&inner.text);
}

static void expand(mf_bytes s, unsigned level, struct list *ret)
{
    size_t open = 0, close = s.len;
    for (; open < s.len; open += step(s, open)) {
        bool variable = open > 0 && s.data[open - 1] == '$';
        if (s.data[open] == '{' && !variable && (close = closing(s, open)) < s.len)
            break;
    }
    if (open >= s.len || level > LEVELS_MAX) {
        ret->text.over = ret->text.over || level > LEVELS_MAX;
        list_put(ret, s, (mf_bytes){0}, (mf_bytes){0});
        return;
    }
    struct list middle = {.text = TEXT_INIT(EXPANDED_MAX)};
    struct list behind = {.text = TEXT_INIT(EXPANDED_MAX)};
    expand_group((mf_bytes){s.data + open + 1, close - open - 1}, level, &middle);
    expand((mf_bytes){s.data + close + 1, s.len - close - 1}, level, &behind);
    ret->text.over = ret->text.over || middle.text.over || behind.text.over;
    const char *m = middle.text.data;
    for (size_t i = 0; i < middle.count && !ret->text.over; i++, m += strlen(m) + 1) {
        const char *b = behind.text.data;
        for (size_t k = 0; k < behind.count && !ret->text.over; k++, b += strlen(b) + 1)
            list_put(ret, (mf_bytes){s.data, open}, bytes_of(m), bytes_of(b));
    }
    text_free(&middle.text);
    text_free(&behind.text);
}

bool braces_expand(mf_bytes pattern, struct text *out)
{
    struct list all = {.text = TEXT_INIT(EXPANDED_MAX)};
    bool empty = pattern.len >= 2 && memcmp(pattern.data, "{}", 2) == 0;
    expand(empty ? (mf_bytes){pattern.data + 2, pattern.len - 2} : pattern, 0, &all);
    const char *at = all.text.data;
    for (size_t i = 0; i < all.count && !all.text.over; i++, at += strlen(at) + 1) {
        text_cat(out, empty ? "{}" : "");
        text_add(out, at, strlen(at) + 1);
    }
    bool good = !all.text.over && !out->over;
    text_free(&all.text);
    return good;
}
