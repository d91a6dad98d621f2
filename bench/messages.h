/* bench/messages.h - the requests of a run, built before it, and the check of every answer.
 *
 * A run sends the same few hundred templates again and again; only the digits of
 * the id differ and, where it is told how many texts there are, those of the number
 * in the text.  So it touches little memory, whatever the number of texts.  A wrong or
 * repeated answer is seen: no two templates have the same text.  The first answer to a
 * template is read with care; the next ones must equal it byte for byte but for these
 * digits and the age of a kept result, or are read with the same care. */
#ifndef MANIFOLD_BENCH_MESSAGES_H
#define MANIFOLD_BENCH_MESSAGES_H

#include <stdint.h>
#include "walk.h"

/* Ids have seven digits: CALLS_MAX calls in a run. */
enum { ID_DIGITS = 7, ID_BASE = 1000000, CALLS_MAX = 8999999 };
/* A line that was asked for stays for so many calls; a text begins with a number of five digits. */
enum {
    LINES_KEPT = 200,
    TEXT_DIGITS = 5,
    TEXTS_MAX = 100000,
    TEXTS_SIZE_MAX = 4095,
    PIECES_MAX = 6
};

struct shape {
    const char *tool, *argument, *prefix; /* borrowed for the life of the messages */
    bool modern;
    size_t size;    /* bytes of text in a call */
    unsigned odd;   /* of 100 calls, how many are written in an unusual way */
    unsigned texts; /* how many differ, at most TEXTS_SIZE_MAX long; 0: the templates', in turn */
    double zipf;    /* the n-th is drawn as often as 1 / n^zipf says */
    unsigned calls; /* of the run */
};

struct template
{
    char *request;
    size_t request_len, id_at, text_at; /* where the digits stand */
    char *meaning;                      /* the text an answer must mean, as UTF-8 */
    size_t meaning_len;
    struct answer {
        char *p; /* owned; NULL: there was none yet */
        struct piece {
            size_t at, len; /* what must be the same */
            enum number { NUMBER_NONE, NUMBER_ID, NUMBER_TEXT, NUMBER_AGE } then;
        } piece[PIECES_MAX];
        unsigned pieces;
    } known[2]; /* checked: one that was a hit or says nothing of it, and one that was none */
};

struct messages {
    struct shape shape;
    struct template *templates; /* owned */
    unsigned count;
    uint32_t *drawn; /* per call, the number of its text; owned, NULL: that of its template */
    char *lines;     /* then the lines, of at most line_max bytes; owned */
    size_t line_max;
    size_t id_at; /* where the last answer had its id */
};

/* Dies when memory runs out. */
void messages_init(struct messages *m, const struct shape *shape);
void messages_release(struct messages *m);
/* The line of call number `call`, borrowed until LINES_KEPT more have been asked for or, when there
 * are fewer templates than that, as many as there are. */
struct slice messages_request(struct messages *m, unsigned call);
/* NULL when `line` (without its newline) is the right answer to the call
 * whose number goes to *ret_call; else a sentence, *ret_call untouched. */
const char *messages_check(struct messages *m, struct slice line, unsigned *ret_call);

#endif
