#include "config/hidden.h"

#include "base/bug.h"

enum { JOINS = 1 }; /* allowed beside what is not ASCII, one at a time */

/* Sorted.  (Unicode 15: Default_Ignorable_Code_Point, general categories Cc, Cf, Zl and Zp.) */
static const struct {
    uint32_t from, to;
    const char *what;
    unsigned flags;
} hidden[] = {
    {0x00, 0x08, "a control character", 0},
    {0x0B, 0x1F, "a control character", 0},
    {0x7F, 0x9F, "a control character", 0},
    {0xAD, 0xAD, "a soft hyphen", 0},
    {0x34F, 0x34F, "a character without width", 0},
    {0x61C, 0x61C, "a direction mark", JOINS},
    {0x115F, 0x1160, "a filler without width", 0},
    {0x17B4, 0x17B5, "a character without width", 0},
    {0x180B, 0x180F, "a variation selector", JOINS},
    {0x200B, 0x200B, "a zero-width space", 0},
    {0x200C, 0x200D, "a zero-width joiner", JOINS},
    {0x200E, 0x200F, "a direction mark", JOINS},
    {0x2028, 0x2029, "a line separator", 0},
    {0x202A, 0x202E, "an override of the writing direction", 0},
    {0x2060, 0x2064, "a character without width", 0},
    {0x2065, 0x2069, "an override of the writing direction", 0},
    {0x206A, 0x206F, "a format character", 0},
    {0x3164, 0x3164, "a filler without width", 0},
    {0xFE00, 0xFE0F, "a variation selector", JOINS},
    {0xFEFF, 0xFEFF, "a zero-width space", 0},
    {0xFFA0, 0xFFA0, "a filler without width", 0},
    {0xFFF0, 0xFFFB, "a format character", 0},
    {0x1BCA0, 0x1BCA3, "a format character", 0},
    {0x1D173, 0x1D17A, "a format character", 0},
    {0xE0000, 0xE007F, "a Unicode tag", 0},
    {0xE0080, 0xE00FF, "a character without width", 0},
    {0xE0100, 0xE01EF, "a variation selector", 0},
    {0xE01F0, 0xE0FFF, "a character without width", 0},
};
enum { RANGES = sizeof(hidden) / sizeof(hidden[0]) };

/* The code point at p, which begins one of valid UTF-8. */
static uint32_t decode(const unsigned char *p, size_t *ret_length)
{
    if (p[0] < 0x80) {
        *ret_length = 1;
        return p[0];
    }
    size_t n = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    uint32_t c = p[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++)
        c = c << 6 | (p[i] & 0x3Fu);
    *ret_length = n;
    return c;
}

static int range_of(uint32_t c)
{
    for (int i = 0; i < RANGES && hidden[i].from <= c; i++) {
        if (c <= hidden[i].to)
            return i;
    }
    return -1;
}

static bool is_visible(uint32_t c)
{
    return c >= 0x80 && range_of(c) < 0;
}

/* One at a time, so that no row of them can be a message. */
static bool may_join(uint32_t before, uint32_t c, uint32_t after)
{
    if (is_visible(before))
        return true;
    if (c >= 0xFE00)
        return after == 0x20E3; /* a keycap: digit, selector, U+20E3 */
    /* The mark in front of a word, and an emoji with selector that is joined to another. */
    return is_visible(after) && (range_of(before) < 0 || (c == 0x200D && before == 0xFE0F));
}

/* Most texts are, from end to end. */
static bool is_plain(unsigned char c)
{
    return c >= ' ' && c <= '~';
}

/* The same of the eight bytes at p. */
static bool are_plain(const unsigned char *p)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones * 0x80;
    uint64_t w;
    memcpy(&w, p, 8);
    return !((w | (w - ones * ' ') | (w + ones)) & tops);
}

const char *hidden_find(struct str text, uint32_t *ret, size_t *ret_at)
{
    const unsigned char *p = (const unsigned char *)text.p;
    uint32_t before = ' ';
    size_t n;
    for (size_t i = 0; i < text.n; i += n) {
        n = text.n - i >= 8 && are_plain(p + i) ? 8 : is_plain(p[i]);
        if (n) {
            before = p[i + n - 1];
            continue;
        }
        uint32_t c = decode(p + i, &n), after = ' ';
        int at = range_of(c);
        size_t unused;
        if (i + n < text.n)
            after = decode(p + i + n, &unused);
        if (at >= 0 && !((hidden[at].flags & JOINS) && may_join(before, c, after))) {
            *ret = c;
            *ret_at = i;
            return hidden[at].what;
        }
        before = c;
    }
    return NULL;
}
