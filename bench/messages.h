/* bench/messages.h - the requests of a run, built before it, and the check of every answer.
 *
 * A run sends the same templates, a few hundred or as many as it is told, again and
 * again; only the digits of the id differ.  Each template has its own text, so a wrong or repeated
 * answer is seen.  The first answer to a template is read with care; the next ones must equal it
 * byte for byte but for the id, or are read with the same care. */
#ifndef MANIFOLD_BENCH_MESSAGES_H
#define MANIFOLD_BENCH_MESSAGES_H

#include <stdint.h>
#include "walk.h"

/* Ids have seven digits: CALLS_MAX calls in a run. */
enum { ID_DIGITS = 7, ID_BASE = 1000000, CALLS_MAX = 8999999 };
/* No template is drawn twice in so many calls, so its digits stay until they are written. */
enum { APART = 200, TEXTS_MAX = 1000000 };

struct shape {
    const char *tool, *argument, *prefix; /* borrowed for the life of the messages */
    bool modern;
    size_t size;    /* bytes of text in a call */
    unsigned odd;   /* of 100 calls, how many are written in an unusual way */
    unsigned texts; /* how many differ; 0: as many as is usual for their size */
    unsigned hot;   /* of 100 calls, how many are of the first fifth of the texts; 0: all in turn */
    unsigned calls; /* of the run */
};

struct template
{
    char *request;
    size_t request_len, id_at; /* id_at: where the digits stand */
    char *meaning;             /* the text an answer must mean, as UTF-8 */
    size_t meaning_len;
    char *answer; /* a checked answer; NULL until there was one */
    size_t answer_len, answer_id_at;
};

struct messages {
    struct shape shape;
    struct template *templates; /* owned */
    unsigned count;
    uint32_t *drawn; /* per call, its template; owned, NULL when they come in turn */
    size_t id_at;    /* where the last answer had its id */
};

/* Dies when memory runs out. */
void messages_init(struct messages *m, const struct shape *shape);
void messages_release(struct messages *m);
/* The line of call number `call`, borrowed until the same template is asked for
 * again, which is `count` calls later or, when they are drawn, APART. */
struct slice messages_request(struct messages *m, unsigned call);
/* NULL when `line` (without its newline) is the right answer to the call
 * whose number goes to *ret_call; else a sentence, *ret_call untouched. */
const char *messages_check(struct messages *m, struct slice line, unsigned *ret_call);

#endif
