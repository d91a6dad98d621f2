#include "charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdint.h>
#include <strings.h>

enum { LOOK = 1024 }; /* bytes in which <meta charset> must stand */

/* Of the web (encoding.spec.whatwg.org); what else libc can convert is not for strangers to choose.
 */
static const struct {
    const char *label, *name; /* of iconv */
} charsets[] = {
    {"iso-8859-1", "windows-1252"},
    {"latin1", "windows-1252"},
    {"us-ascii", "windows-1252"},
    {"ascii", "windows-1252"},
    {"windows-1250", "windows-1250"},
    {"windows-1251", "windows-1251"},
    {"windows-1252", "windows-1252"},
    {"windows-1253", "windows-1253"},
    {"windows-1254", "windows-1254"},
    {"windows-1255", "windows-1255"},
    {"windows-1256", "windows-1256"},
    {"windows-1257", "windows-1257"},
    {"windows-1258", "windows-1258"},
    {"windows-874", "windows-874"},
    {"iso-8859-2", "iso-8859-2"},
    {"iso-8859-3", "iso-8859-3"},
    {"iso-8859-4", "iso-8859-4"},
    {"iso-8859-5", "iso-8859-5"},
    {"iso-8859-6", "iso-8859-6"},
    {"iso-8859-7", "iso-8859-7"},
    {"iso-8859-8", "iso-8859-8"},
    {"iso-8859-9", "windows-1254"},
    {"iso-8859-10", "iso-8859-10"},
    {"iso-8859-13", "iso-8859-13"},
    {"iso-8859-14", "iso-8859-14"},
    {"iso-8859-15", "iso-8859-15"},
    {"iso-8859-16", "iso-8859-16"},
    {"koi8-r", "koi8-r"},
    {"koi8-u", "koi8-u"},
    {"shift_jis", "cp932"},
    {"shift-jis", "cp932"},
    {"sjis", "cp932"},
    {"euc-jp", "euc-jp"},
    {"gb2312", "gb18030"},
    {"gbk", "gb18030"},
    {"gb18030", "gb18030"},
    {"big5", "big5-hkscs"},
    {"euc-kr", "cp949"},
    {"utf-16", "utf-16le"},
    {"utf-16le", "utf-16le"},
    {"utf-16be", "utf-16be"},
};

static const char *iconv_name(const char *label, size_t n)
{
    for (size_t i = 0; i < sizeof(charsets) / sizeof(charsets[0]); i++) {
        if (strlen(charsets[i].label) == n && strncasecmp(charsets[i].label, label, n) == 0)
            return charsets[i].name;
    }
    return NULL; /* UTF-8, or taken for it */
}

/* The word behind "charset="; *ret_len 0: there is none. */
static const char *label_in(const char *p, size_t n, size_t *ret_len)
{
    *ret_len = 0;
    for (size_t i = 0; i + 8 < n; i++) {
        if (strncasecmp(p + i, "charset", 7) != 0)
            continue;
        size_t at = i + 7 + text_leading(p + i + 7, n - i - 7, BLANKS);
        if (at >= n || p[at] != '=')
            continue;
        at++;
        at += text_leading(p + at, n - at, BLANKS "\"'");
        while (at + *ret_len < n && !strchr("\"' \t\r\n;/>", p[at + *ret_len]))
            ++*ret_len;
        return p + at;
    }
    return p;
}

static size_t sequence(const unsigned char *p, size_t n)
{
    size_t need = p[0] < 0x80                    ? 1
                  : p[0] >= 0xC2 && p[0] <= 0xDF ? 2
                  : p[0] >= 0xE0 && p[0] <= 0xEF ? 3
                  : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4
                                                 : 0;
    if (!need || need > n)
        return 0;
    for (size_t i = 1; i < need; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))
        return 0;
    return need;
}

void charset_utf8(const char *body, size_t len, struct text *out)
{
    const unsigned char *p = (const unsigned char *)body;
    size_t from = 0, i = len >= 3 && memcmp(body, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (from = i; i < len;) {
        size_t n = p[i] ? sequence(p + i, len - i) : 0;
        if (n) {
            i += n;
            continue;
        }
        text_add(out, body + from, i - from);
        text_str(out, "\xef\xbf\xbd");
        from = ++i;
    }
    text_add(out, body + from, len - from);
}

static void convert(iconv_t cd, char *in, size_t left, struct text *out)
{
    char space[8192];
    while (left && !out->failed) {
        char *to = space;
        size_t room = sizeof(space);
        size_t r = iconv(cd, &in, &left, &to, &room);
        text_add(out, space, sizeof(space) - room);
        if (r != (size_t)-1 || errno == E2BIG)
            continue;
        text_str(out, "\xef\xbf\xbd");
        if (errno == EINVAL) /* cut off at the end */
            break;
        in++;
        left--;
    }
}

void charset_decode(const char *body, size_t len, const char *type, size_t type_len,
                    struct text *out)
{
    size_t n;
    const char *label = label_in(type, type_len, &n);
    if (!n && len >= 3 && memcmp(body, "\xef\xbb\xbf", 3) != 0)
        label = label_in(body, len < LOOK ? len : LOOK, &n);
    const char *name = n ? iconv_name(label, n) : NULL;
    iconv_t cd = name ? iconv_open("UTF-8", name) : (iconv_t)-1;
    if (cd == (iconv_t)-1) {
        charset_utf8(body, len, out);
        return;
    }
    struct text raw = {.max = out->max};
    convert(cd, (char *)(uintptr_t)body, len, &raw);
    iconv_close(cd);
    charset_utf8(raw.p, raw.n, out); /* NULs */
    out->failed |= raw.failed;
    text_free(&raw);
}

size_t charset_count(const char *p, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += (p[i] & 0xC0) != 0x80;
    return count;
}

size_t charset_offset(const char *p, size_t n, size_t index)
{
    size_t i = 0;
    for (; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80 && index-- == 0)
            return i;
    }
    return n;
}
