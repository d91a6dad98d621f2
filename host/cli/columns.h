/* host/cli/columns.h - a table of JSON objects, one a row, made to fit the terminal.
 *
 * Objects may lack members: a column that no row has is left out, an absent cell is
 * "-".  What is too wide loses its columns of the highest rank first, and says so. */
#ifndef MANIFOLD_CLI_COLUMNS_H
#define MANIFOLD_CLI_COLUMNS_H

#include "json/reader.h"

enum { COLUMNS_MAX = 16 };

struct column {
    const char *heading;
    const char *key[3]; /* the first that is there counts; "a.b" is b in a; NULL-terminated or 3 */
    bool of_parent;     /* of the row's parent */
    bool right;         /* numbers */
    bool state;         /* shown in colour where it is bad */
    uint8_t rank;       /* 0: never left out */
    bool micros;        /* a number of microseconds, shown with the unit that fits */
};

struct row {
    json_ref object, parent;
};

struct screen {
    size_t width; /* in characters; 0: no limit */
    bool colour;
};
/* Of standard output: both only for a terminal; no colour with NO_COLOR (no-color.org). */
struct screen screen_of_output(void);

void columns_print(struct buf *out, const struct json_doc *d, const struct column *column,
                   uint32_t columns, const struct row *row, uint32_t rows, struct screen screen);
/* A sentence below a table: indented, its lines broken between words where they would be too wide.
 */
void columns_sentence(struct buf *out, struct str text, size_t indent, struct screen screen);

#endif
