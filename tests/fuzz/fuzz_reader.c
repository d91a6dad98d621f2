/* The reader, writer and idscan on any bytes.  The first two bytes choose the
 * limits, so that each of them is met at its edge; the rest is the text. */
#include <stdlib.h>
#include "json/idscan.h"
#include "json/reader.h"
#include "json/writer.h"
#include "../unit/json_tape.h"

static void expect(bool holds, const char *what)
{
    if (!holds)
        BUG("%s", what);
}

/* UTF-8 by arithmetic, where the reader goes by ranges of bytes. */
static bool is_utf8(struct str s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i++];
        unsigned n = c < 0x80 ? 1 : c < 0xc0 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 0;
        uint32_t point = n > 1 ? c & (0x7fu >> n) : c;
        if (!n || n - 1 > s.n - i)
            return false;
        for (unsigned k = 1; k < n; k++, i++) {
            if (((unsigned char)s.p[i] & 0xc0) != 0x80)
                return false;
            point = point << 6 | ((unsigned char)s.p[i] & 0x3f);
        }
        if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return false;
    }
    return true;
}

/* What the limits promise, counted from the tape alone. */
static void check_limits(const struct json_doc *d, const struct json_limits *limits)
{
    uint32_t depth = 0, end[256];
    expect(d->nodes <= limits->nodes, "more nodes than allowed");
    expect(d->len <= limits->bytes, "more bytes than allowed");
    expect((size_t)d->cap * sizeof(*d->node) <= 8 * ((size_t)d->len + 2) + 1024,
           "more memory than 8 times the text");
    for (json_ref n = 0; n < d->nodes; n++) {
        while (depth && end[depth - 1] <= n)
            depth--;
        if (d->node[n].type == JSON_ARRAY || d->node[n].type == JSON_OBJECT) {
            expect(depth < limits->depth, "deeper than allowed");
            end[depth++] = d->node[n].next;
        }
    }
}

static void check_keys_differ(const struct json_doc *d)
{
    for (json_ref n = 0; n < d->nodes; n++) {
        /* json_get() finds the first of its name: the member itself when all differ. */
        if (d->node[n].type != JSON_OBJECT || d->node[n].count > 100)
            continue;
        json_each_member (d, n, key) {
            struct buf b = BUF_INIT(1 << 20);
            expect(json_get(d, n, json_string(d, key, &b)) == key + 1, "a key twice");
            buf_release(&b);
        }
    }
}

static void check_rewritten(const struct json_doc *d, const struct json_limits *limits)
{
    static struct json_doc again;
    struct json_limits wide = {1u << 26, limits->depth, limits->nodes, limits->duplicates};
    struct json_error e;
    struct buf out = BUF_INIT(1 << 26), scratch = BUF_INIT(1 << 24), line = BUF_INIT(1 << 26);
    tape_write(d, 0, STR("\n "), &out, &scratch);
    expect(!out.failed && !scratch.failed, "no room to write it anew");
    expect(!json_read(&again, buf_view(&out), &wide, &e), "what was written anew is refused");
    expect(again.nodes == d->nodes, "written anew it has other nodes");
    expect(limits->duplicates || json_equal(d, 0, &again, 0), "written anew it is not equal");
    expect(!json_write_compact(&line, buf_view(&out)), "no room to write it on one line");
    expect(!memchr(line.data, '\n', line.len), "a line break in the compact text");
    expect(!json_read(&again, buf_view(&line), &wide, &e), "the compact text is refused");
    expect(limits->duplicates || json_equal(&again, 0, d, 0), "the compact text is not equal");
    buf_release(&out);
    buf_release(&scratch);
    buf_release(&line);
}

/* In pieces of any size the answer is the same, and it is an id that may be copied. */
static struct str check_id(struct idscan *whole, struct str text, unsigned step)
{
    struct idscan pieces;
    struct json_error e;
    struct json_doc d = {0};
    idscan_start(whole);
    idscan_feed(whole, text);
    idscan_start(&pieces);
    for (struct str rest = text; rest.n;) {
        size_t n = rest.n < step ? rest.n : step;
        idscan_feed(&pieces, (struct str){rest.p, n});
        rest = (struct str){rest.p + n, rest.n - n};
    }
    struct str id = idscan_id(whole);
    expect(str_eq(id, idscan_id(&pieces)), "in pieces there is another id");
    expect(!id.p || !json_read(&d, id, &json_limits_default, &e), "an id that is no JSON");
    json_doc_release(&d);
    return id;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json_doc d;
    if (size < 2)
        return 0;
    struct json_limits limits = {
        .bytes = data[1] & 0x80 ? (uint32_t)size - 3 + (data[1] & 3) : 1u << 20,
        .depth = data[0] & 0x40 ? data[0] & 7 : 200,
        .nodes = data[1] & 0x40 ? data[1] & 31 : 1u << 20,
        .duplicates = data[0] & 0x80,
    };
    /* A block of just that size, so that reading behind it is seen. */
    struct str text = {malloc(size - 2 + !(size - 2)), size - 2};
    if (!text.p)
        return 0;
    memcpy((char *)(uintptr_t)text.p, data + 2, text.n);

    struct json_error e = {0};
    /* Another array each time, or the bound on memory would be that of the longest text so far. */
    json_doc_release(&d);
    bool ok = json_read(&d, text, &limits, &e) == 0;
    const char *wrong = tape_check(&d, ok);
    expect(!wrong, wrong ? wrong : "");
    expect(ok || (e.kind && e.text[0] && e.off <= text.n), "an error that does not say where");
    expect(!ok || is_utf8(text), "a text that is not UTF-8");
    expect(utf8_valid(text) == is_utf8(text), "utf8_valid() is wrong");
    check_limits(&d, &limits);
    struct idscan scan;
    struct str id = check_id(&scan, text, (data[0] & 7) + 1);
    if (ok) {
        if (!limits.duplicates) {
            check_keys_differ(&d);
            json_ref r = json_get(&d, 0, STR("id"));
            bool counts = r && (json_is(&d, r, JSON_STRING) || d.node[r].flags & JSON_INTEGER) &&
                          d.node[r].len <= IDSCAN_MAX && !(d.node[r - 1].flags & JSON_ESCAPED);
            expect(str_eq(id, counts ? json_raw(&d, r) : STR_NONE), "idscan disagrees");
        }
        check_rewritten(&d, &limits);
    }
    free((char *)(uintptr_t)text.p);
    return 0;
}
