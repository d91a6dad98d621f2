/* host/config/uri_template_parts.h - private to uri_template*.c: what a template is compiled to. */
#ifndef MANIFOLD_CONFIG_URI_TEMPLATE_PARTS_H
#define MANIFOLD_CONFIG_URI_TEMPLATE_PARTS_H

#include "config/uri_template.h"

enum { TEMPLATE_MAX = 2048, VARIABLES_MAX = 16 };

enum part_kind {
    PART_TEXT,  /* these bytes */
    PART_VALUE, /* one value of the part's class, at least `least` bytes */
    PART_PATH,  /* nothing, or '/' and a value */
    PART_FRAG,  /* nothing, or '#' and a value */
    PART_QUERY  /* nothing, or name=value pairs of the part's variables, in any order */
};

struct part {
    enum part_kind kind;
    struct str text;    /* PART_TEXT: into the template's text */
    const char *stop;   /* all but PART_TEXT: bytes that end a value, besides what no URI has */
    uint32_t least;     /* PART_VALUE */
    uint32_t var, vars; /* first variable and how many */
    char mark;          /* PART_QUERY: '?' or '&' */
};

struct uri_template {
    char *text; /* owned; literals percent-encoded as expansion would write them */
    struct part *part;
    uint32_t parts, variables;
    struct str variable[VARIABLES_MAX];
};

static inline bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* %XX */
static inline bool is_triplet(const char *p, const char *end)
{
    return end - p >= 3 && *p == '%' && is_hex(p[1]) && is_hex(p[2]);
}

#endif
