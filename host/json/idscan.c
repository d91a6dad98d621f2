#include "json/idscan.h"

#include "base/bug.h"
#include "json/scan.h"

enum state {
    OUTSIDE,   /* before the outermost object                        */
    SKIP,      /* somewhere in a member that is of no interest       */
    KEY,       /* behind '{' or ',': a key may begin                 */
    IN_KEY,    /* in a key's string                                  */
    COLON,     /* behind the key "id"                                */
    VALUE,     /* behind its colon                                   */
    IN_STRING, /* in the id itself, a string                         */
    IN_NUMBER, /* in the id itself, a number                         */
    OVER       /* the object has ended, or there never was one       */
};

enum { NOT_ID = 255 };

void idscan_start(struct idscan *s)
{
    *s = (struct idscan){.state = OUTSIDE};
}

/* Keeps a byte of the token; one that is too long is given up. */
static void keep(struct idscan *s, char c)
{
    if (s->len == IDSCAN_MAX)
        s->state = SKIP;
    else
        s->id[s->len++] = c;
}

/* The token is complete: it counts when the reader would accept it as well,
 * since it is copied into the answer as it stands. */
static void finish(struct idscan *s)
{
    const char *end = s->id + s->len;
    unsigned flags = 0;
    struct scan_error e;
    if (s->id[0] == '"')
        s->found = scan_string(s->id + 1, end, &flags, &e) == end;
    else
        s->found = scan_number(s->id, end, &flags, &e) == end && (flags & JSON_INTEGER);
    s->state = SKIP;
}

static void string_byte(struct idscan *s, char c)
{
    if (s->state == IN_STRING)
        keep(s, c);
    if (s->escaped) {
        s->escaped = false;
    } else if (c == '\\') {
        s->escaped = true;
        s->key_len = NOT_ID;
    } else if (c == '"') {
        s->in_string = false;
        if (s->state == IN_KEY)
            s->state = s->key_len == 2 ? COLON : SKIP;
        else if (s->state == IN_STRING)
            finish(s);
    } else if (s->state == IN_KEY) {
        s->key_len = s->key_len < 2 && c == "id"[s->key_len] ? s->key_len + 1 : NOT_ID;
    }
}

static void string_begins(struct idscan *s)
{
    s->in_string = true;
    s->escaped = false;
    if (s->state == KEY) {
        s->state = IN_KEY;
        s->key_len = 0;
    } else if (s->state == VALUE) {
        s->state = IN_STRING;
        s->len = 0;
        keep(s, '"');
    } else {
        s->state = SKIP;
    }
}

/* A byte outside strings that is no quote, bracket or comma. */
static void other_byte(struct idscan *s, char c)
{
    if (scan_is_blank(c))
        return;
    if (s->state == COLON && c == ':') {
        s->state = VALUE;
    } else if (s->state == VALUE && (c == '-' || scan_is_digit(c))) {
        s->state = IN_NUMBER;
        s->len = 0;
        keep(s, c);
    } else {
        s->state = SKIP;
    }
}

static void plain_byte(struct idscan *s, char c)
{
    if (s->state == IN_NUMBER) {
        if (c != ',' && c != '}' && !scan_is_blank(c)) {
            keep(s, c);
            return;
        }
        finish(s);
        if (s->found)
            return;
    }
    switch (c) {
    case '"':
        string_begins(s);
        break;
    case '{':
    case '[':
        s->state = SKIP;
        s->depth += s->depth < UINT32_MAX;
        break;
    case '}':
    case ']':
        s->state = --s->depth ? SKIP : OVER;
        break;
    case ',':
        s->state = s->depth == 1 ? KEY : SKIP;
        break;
    default:
        other_byte(s, c);
    }
}

/* Only an object has members: a batch or a bare value has no id. */
static void first_byte(struct idscan *s, char c)
{
    if (scan_is_blank(c))
        return;
    s->depth = 1;
    s->state = c == '{' ? KEY : OVER;
}

void idscan_feed(struct idscan *s, struct str piece)
{
    const char *p = piece.p, *end = piece.p + piece.n;
    for (; p < end && !s->found && s->state != OVER; p++) {
        if (s->in_string) {
            /* Most of a message that is too long is one long string. */
            if (s->state == SKIP && !s->escaped) {
                p = scan_plain(p, end);
                if (p == end)
                    break;
            }
            string_byte(s, *p);
        } else if (s->state == OUTSIDE) {
            first_byte(s, *p);
        } else {
            plain_byte(s, *p);
        }
    }
}

struct str idscan_id(const struct idscan *s)
{
    return s->found ? (struct str){s->id, s->len} : STR_NONE;
}
