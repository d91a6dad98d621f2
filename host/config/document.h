/* host/config/document.h - a YAML file as one JSON text and its tape, with places.
 *
 * libyaml's events are written out as JSON text, which the reader of json/ then
 * reads like any other: one JSON library, slices that can be handed to clients
 * verbatim, and every tape node's byte offset maps back to line and column of
 * the YAML.  YAML 1.2 core: only true and false are boolean, null, ~ and an
 * empty value are null, numbers only in JSON's spelling; 0755 and 12:30 as plain scalars, anchors,
 * aliases, tags, merge keys, duplicate keys and several documents are errors.
 * At most 256 KiB, 32 levels and 20,000 nodes: libyaml is quadratic in nesting,
 * so the levels are counted as its events come in.  A NUL inside a key or string is an error.
 * (Sources: YAML 1.2.2 chapter 10.3; docs/internals/config.md.) */
#ifndef MANIFOLD_CONFIG_DOCUMENT_H
#define MANIFOLD_CONFIG_DOCUMENT_H

#include "json/reader.h"

enum { DOCUMENT_BYTES = 256 * 1024, DOCUMENT_DEPTH = 32, DOCUMENT_NODES = 20000 };

struct document {
    char *path;                   /* owned; as messages show it */
    struct buf text;              /* owned; the JSON text json points into */
    struct json_doc json;         /* owned */
    struct document_place *place; /* owned; of node n of json at place[n] */
    uint32_t places;              /* 0: the text was made by this program, not read */
};

/* Reads the file behind fd (kept open, read from its start).  0 or negative
 * errno with the sentence "path:line:column: ...". */
int document_read(struct document *d, int fd, const char *path, struct err *e);
/* The same from memory, for tests, --set and fuzzing. */
int document_parse(struct document *d, struct str yaml, const char *path, struct err *e);
/* Takes JSON text that this program made: there are no places, so messages show only `path`. */
int document_take_json(struct document *d, struct buf *json, const char *path, struct err *e);
void document_release(struct document *d);
/* Line and column (from 1) of node n: of a member's key when n is a key; 0 when there are none. */
void document_place(const struct document *d, json_ref n, unsigned *ret_line, unsigned *ret_column);
/* err_set() with "path:line:column: " of node n in front. */
int document_error(const struct document *d, json_ref n, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
