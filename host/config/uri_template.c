/* URI templates are compiled to parts in a row; uri_template_match.c goes over them. */
#include "config/uri_template_parts.h"

#include <errno.h>
#include <stdlib.h>

static bool is_name_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '.';
}

struct compiler {
    struct uri_template *t;
    const char *start, *p, *end;
    struct buf text; /* copies of literals and names; reserved in full, so it does not move */
    struct err *e;
};

static int complain(struct compiler *c, const char *expected)
{
    char found[32] = "the end";
    if (c->p < c->end && (unsigned char)*c->p > ' ' && (unsigned char)*c->p < 127)
        snprintf(found, sizeof(found), "'%c'", *c->p);
    else if (c->p < c->end)
        snprintf(found, sizeof(found), "byte 0x%02x", (unsigned)(unsigned char)*c->p);
    return err_set(c->e, -EINVAL, "URI template: expected %s, found %s at character %zu", expected,
                   found, (size_t)(c->p - c->start) + 1);
}

static struct part *add_part(struct compiler *c, enum part_kind kind)
{
    struct part *p = &c->t->part[c->t->parts++];
    p->kind = kind;
    p->var = c->t->variables;
    return p;
}

static struct str copy(struct compiler *c, const char *p, size_t n)
{
    struct str s = {c->text.data + c->text.len, n};
    buf_append(&c->text, p, n);
    return s;
}

static int compile_literal(struct compiler *c)
{
    struct part *part = add_part(c, PART_TEXT);
    size_t before = c->text.len;
    while (c->p < c->end && *c->p != '{') {
        unsigned char byte = (unsigned char)*c->p;
        if (byte <= ' ' || byte == 127 || strchr("\"<>\\^`|}", byte))
            return complain(c, "a character that a URI may have, or '{'");
        if (byte == '%' && !is_triplet(c->p, c->end))
            return complain(c, "two hexadecimal digits behind '%'");
        if (byte >= 128) {
            /* RFC 6570 3.1: what is neither reserved nor unreserved is encoded. */
            char hex[4];
            snprintf(hex, sizeof(hex), "%%%02X", (unsigned)byte);
            buf_append(&c->text, hex, 3);
        } else {
            buf_byte(&c->text, (char)byte);
        }
        c->p++;
    }
    part->text = (struct str){c->text.data + before, c->text.len - before};
    return 0;
}

static int compile_variable(struct compiler *c)
{
    struct uri_template *t = c->t;
    const char *begin = c->p;
    while (c->p < c->end && is_name_char(*c->p))
        c->p++;
    if (c->p == begin)
        return complain(c, "a variable name of letters, digits, '_' and '.'");
    struct str name = {begin, (size_t)(c->p - begin)};
    if (c->p < c->end && *c->p != ',' && *c->p != '}')
        return complain(c, "',' or '}' (modifiers ':' and '*' are not supported)");
    if (c->p == c->end)
        return complain(c, "'}'");
    for (uint32_t i = 0; i < t->variables; i++) {
        if (!str_eq(t->variable[i], name))
            continue;
        c->p = begin;
        return complain(c, "every variable once");
    }
    if (t->variables == VARIABLES_MAX) {
        c->p = begin;
        return complain(c, "at most 16 variables");
    }
    t->variable[t->variables++] = copy(c, name.p, name.n);
    return 0;
}

/* What a value may not contain, by operator (RFC 6570 3.2); with several variables the ',' between
 * them ends one, too. */
static const char *stop_of(char op, bool several)
{
    switch (op) {
    case '+':
        return several ? "," : "";
    case '#':
        return "";
    case '?':
    case '&':
        return "&#";
    default:
        return several ? "/?#," : "/?#";
    }
}

/* Values in a row with ',' between them: {a,b} and {+a,b}. */
static void add_values(struct compiler *c, char op, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            add_part(c, PART_TEXT)->text = STR(",");
        struct part *p = add_part(c, PART_VALUE);
        p->var = first + i;
        p->vars = 1;
        p->least = op == '+' ? 0 : 1;
        p->stop = stop_of(op, count > 1);
    }
}

static void add_expression(struct compiler *c, char op, uint32_t first, uint32_t count)
{
    if (op == 0 || op == '+') {
        add_values(c, op, first, count);
        return;
    }
    uint32_t each = op == '/' ? count : 1;
    for (uint32_t i = 0; i < each; i++) {
        struct part *p = add_part(c, op == '/' ? PART_PATH : op == '#' ? PART_FRAG : PART_QUERY);
        p->var = first + i;
        p->vars = op == '/' ? 1 : count;
        p->stop = stop_of(op, false);
        p->mark = op;
    }
}

static int compile_expression(struct compiler *c)
{
    uint32_t first = c->t->variables;
    char op = 0;
    c->p++;
    if (c->p < c->end && *c->p && strchr("+#/?&", *c->p))
        op = *c->p++;
    else if (c->p < c->end && *c->p && strchr(".;=,!@|", *c->p))
        return complain(c, "a variable, or one of the operators + # / ? &");
    for (;;) {
        int r = compile_variable(c);
        if (r)
            return r;
        if (*c->p++ == '}')
            break;
        if (op == '#') {
            c->p--;
            return complain(c, "one variable behind '#'");
        }
    }
    add_expression(c, op, first, c->t->variables - first);
    return 0;
}

int uri_template_compile(struct str text, struct uri_template **ret, struct err *e)
{
    if (!text.n || text.n > TEMPLATE_MAX)
        return err_set(e, -EINVAL, "URI template: expected 1 to %d characters, found %zu",
                       TEMPLATE_MAX, text.n);
    struct uri_template *t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(e, -ENOMEM, "URI template: there is no memory for it");
    struct compiler c = {.t = t, .start = text.p, .p = text.p, .end = text.p + text.n, .e = e};
    buf_init(&c.text, text.n * 3);
    /* A literal between any two expressions, and a ',' before each further variable. */
    t->part = calloc(text.n + 2 * VARIABLES_MAX, sizeof(*t->part));
    int r = !t->part || buf_reserve(&c.text, text.n * 3)
                ? err_set(e, -ENOMEM, "URI template: there is no memory for it")
                : 0;
    while (!r && c.p < c.end)
        r = *c.p == '{' ? compile_expression(&c) : compile_literal(&c);
    t->text = c.text.data;
    if (r) {
        uri_template_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

void uri_template_free(struct uri_template *t)
{
    if (!t)
        return;
    free(t->part);
    free(t->text);
    free(t);
}

uint32_t uri_template_variables(const struct uri_template *t)
{
    return t->variables;
}

struct str uri_template_variable(const struct uri_template *t, uint32_t i)
{
    return t->variable[i];
}
