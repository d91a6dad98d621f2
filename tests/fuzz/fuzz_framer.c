/* The framer and the reader on any bytes in any pieces.  The first byte chooses
 * the limit, the second the pieces; a framer that sees all bytes at once and has
 * no state tells what must come out. */
#include <stdlib.h>
#include "json/reader.h"
#include "transport/framer.h"
#include "../unit/json_tape.h"

static void expect(bool holds, const char *what)
{
    if (!holds)
        BUG("%s", what);
}

/* The next line of the whole input, as the framing defines it; false at the end. */
static bool plain_next(struct str *rest, size_t limit, struct str *ret)
{
    while (rest->n) {
        const char *lf = memchr(rest->p, '\n', rest->n);
        size_t n = lf ? (size_t)(lf - rest->p) : rest->n;
        *ret = (struct str){rest->p, n};
        rest->p += lf ? n + 1 : n;
        rest->n -= lf ? n + 1 : n;
        if (ret->n && ret->p[ret->n - 1] == '\r')
            ret->n--;
        bool blank = true;
        for (size_t i = 0; i < ret->n; i++)
            blank = blank && (ret->p[i] == ' ' || ret->p[i] == '\t' || ret->p[i] == '\r');
        if (!blank || ret->n > limit)
            return true;
    }
    return false;
}

static void check_line(struct str line)
{
    static struct json_doc d;
    struct json_error e;
    struct json_limits limits = {.bytes = 1u << 20, .depth = 8, .nodes = 200};
    bool whole = json_read(&d, line, &limits, &e) == 0;
    const char *wrong = tape_check(&d, whole);
    if (wrong)
        BUG("%s", wrong);
}

static void check_event(enum framer_event event, struct str got, struct str want, bool cr,
                        size_t limit)
{
    if (event == FRAMER_LINE) {
        expect(want.n <= limit, "a line over the limit was handed out");
        expect(str_eq(got, want), "not the line that was sent");
        check_line(got);
        return;
    }
    struct idscan scan;
    idscan_start(&scan);
    idscan_feed(&scan, want);
    if (cr)
        idscan_feed(&scan, STR("\r"));
    expect(want.n > limit, "a line within the limit was skipped");
    expect(str_eq(got, idscan_id(&scan)), "the id of a skipped line differs");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct framer f;
    size_t limit = 1 + data[0] % 64;
    unsigned seed = data[1];
    struct str all = {(const char *)data + 2, size - 2}, rest = all, want, got;
    framer_init(&f, limit);
    for (size_t at = 0; at < all.n || !f.ended;) {
        size_t room, piece = 1 + (size_t)rand_r(&seed) % (seed & 1 ? 4 : 100);
        if (at == all.n) {
            framer_end(&f);
        } else {
            char *space = framer_space(&f, &room);
            expect(space && room, "no room");
            piece = piece < room ? piece : room;
            piece = piece < all.n - at ? piece : all.n - at;
            memcpy(space, all.p + at, piece);
            framer_fed(&f, piece);
            at += piece;
        }
        for (enum framer_event event; (event = framer_next(&f, &got)) != FRAMER_NONE;) {
            expect(plain_next(&rest, limit, &want), "more lines than were sent");
            check_event(event, got, want, want.p + want.n < all.p + all.n && want.p[want.n] == '\r',
                        limit);
        }
        expect(f.cap <= limit + 64 * 1024, "more memory than promised");
    }
    expect(!plain_next(&rest, limit, &want), "fewer lines than were sent");
    framer_release(&f);
    return 0;
}
