/* host/transport/framer.h - bytes in, lines out: the framing of stdio and of sockets, without I/O.
 *
 * One JSON message a line (MCP 2026-07-28 basic/transports/stdio.mdx).  LF or
 * CRLF ends a line; blank lines are skipped; a partial line waits for its rest.
 * A line over the limit is skipped in constant memory while idscan looks for its
 * id.  Every byte is searched for a line end once.
 *
 * Use: framer_space(), read into it, framer_fed(), then framer_next() until
 * FRAMER_NONE, then again.  Memory: 64 KiB, while a longer line arrives up to
 * twice what it needs, never more than limit + 64 KiB.  Owner's thread. */
#ifndef MANIFOLD_TRANSPORT_FRAMER_H
#define MANIFOLD_TRANSPORT_FRAMER_H

#include "json/idscan.h"

enum { FRAMER_FIRST = 64 * 1024 };

struct framer {
    char *data; /* owned; NULL before the first space() */
    size_t cap;
    size_t start;    /* of the line that is not handed out yet */
    size_t searched; /* no line end in [start, searched) */
    size_t end;
    size_t limit;  /* longest line in bytes, without its end */
    bool skipping; /* the line is over the limit; its rest is thrown away */
    bool ended;
    struct idscan scan;
};

enum framer_event {
    FRAMER_NONE,    /* more input is needed; after framer_end(): there is nothing left */
    FRAMER_LINE,    /* *ret is a line without its end */
    FRAMER_OVERSIZE /* a line over the limit has passed; *ret is its id token or {NULL,0} */
};

void framer_init(struct framer *f, size_t limit);
void framer_release(struct framer *f);
/* Room for at least one byte, valid until the next call; only after FRAMER_NONE. */
char *framer_space(struct framer *f, size_t *ret_room);
void framer_fed(struct framer *f, size_t n);
/* No more input: an unfinished line counts as a line. */
void framer_end(struct framer *f);
/* *ret is borrowed until the next call of any of these functions. */
enum framer_event framer_next(struct framer *f, struct str *ret);
/* Gives memory beyond the first 64 KiB back unless a longer line is arriving. */
void framer_trim(struct framer *f);

#endif
