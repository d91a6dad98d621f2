/* host/json/idscan.h - finds the top-level "id" of a message that can't be read as a whole.
 *
 * A message over a limit or with broken grammar still deserves an answer that
 * its sender can match (JSON-RPC 2.0 section 5).  The scanner is fed in pieces,
 * keeps constant state and never fails: either it saw a complete id, or not.
 *
 * What counts is the first member of the outermost object whose key is spelled
 * "id" (not with escapes) and whose value is a string or an integer that the
 * reader would accept, at most IDSCAN_MAX bytes, complete: an integer has a
 * separator behind it.  Of all else only strings and brackets are looked at. */
#ifndef MANIFOLD_JSON_IDSCAN_H
#define MANIFOLD_JSON_IDSCAN_H

#include "base/str.h"

enum { IDSCAN_MAX = 256 }; /* longest id token that is kept */

struct idscan {
    uint32_t depth;
    uint8_t state;   /* what is expected at depth 1; private to idscan.c */
    bool in_string;  /* between quotes                                   */
    bool escaped;    /* behind a backslash in a string                   */
    uint8_t key_len; /* bytes of a key that fit "id" so far, or 255      */
    uint16_t len;    /* bytes in id[]                                    */
    char id[IDSCAN_MAX];
    bool found;
};

void idscan_start(struct idscan *s);
void idscan_feed(struct idscan *s, struct str piece);
/* The raw token (a complete string or integer), or {NULL, 0}; points into *s. */
struct str idscan_id(const struct idscan *s);

#endif
