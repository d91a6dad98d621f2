/* tests/unit/json_tape.h - what holds for every tape, and a writer that needs nothing but the tape.
 * Shared by the unit tests and the fuzz target. */
#ifndef TESTS_UNIT_JSON_TAPE_H
#define TESTS_UNIT_JSON_TAPE_H

#include "json/reader.h"
#include "json/writer.h"

static inline const char *tape_check_scalar(const struct json_doc *d, json_ref n)
{
    const struct json_node *node = &d->node[n];
    struct str raw = json_raw(d, n);
    if (node->next != n + 1 || node->count)
        return "a scalar with content";
    switch (json_type(d, n)) {
    case JSON_NULL:
        return str_eq(raw, STR("null")) ? NULL : "not null";
    case JSON_FALSE:
        return str_eq(raw, STR("false")) ? NULL : "not false";
    case JSON_TRUE:
        return str_eq(raw, STR("true")) ? NULL : "not true";
    case JSON_NUMBER:
        if (!(node->flags & JSON_INTEGER) !=
            (memchr(raw.p, '.', raw.n) || memchr(raw.p, 'e', raw.n) || memchr(raw.p, 'E', raw.n)))
            return "JSON_INTEGER is wrong";
        return (*raw.p == '-' || (*raw.p >= '0' && *raw.p <= '9')) ? NULL : "not a number";
    default:
        if (raw.n < 2 || raw.p[0] != '"' || raw.p[raw.n - 1] != '"')
            return "a string without quotes";
        if (!(node->flags & JSON_ESCAPED) != !memchr(raw.p, '\\', raw.n))
            return "JSON_ESCAPED is wrong";
        return utf8_valid(raw) ? NULL : "a string that is not UTF-8";
    }
}

/* Children: in order, apart, within the container, as many as counted. */
static inline const char *tape_check_container(const struct json_doc *d, json_ref n, bool complete)
{
    const struct json_node *node = &d->node[n];
    bool object = node->type == JSON_OBJECT;
    struct str raw = json_raw(d, n);
    if (raw.n < 1 || raw.p[0] != (object ? '{' : '['))
        return "a container that does not begin with its bracket";
    if (complete && (raw.n < 2 || raw.p[raw.n - 1] != (object ? '}' : ']')))
        return "a container that does not end with its bracket";
    uint32_t nodes = 0, behind = node->off + 1, end = node->off + node->len;
    json_ref k = n + 1;
    while (k < node->next) {
        const struct json_node *child = &d->node[k];
        if (child->off < behind || child->len > end - child->off || child->off > end)
            return "a child out of order or outside its container";
        if (child->next <= k || child->next > node->next)
            return "a child that ends behind its container";
        if (object && !(nodes & 1) && child->type != JSON_STRING)
            return "a key that is not a string";
        behind = child->off + child->len;
        k = child->next;
        nodes++;
    }
    if (k != node->next || nodes != node->count * (object ? 2u : 1u))
        return "a container with a wrong count";
    return NULL;
}

/* NULL, or what is wrong with the tape.  `complete`: json_read() accepted the text. */
static inline const char *tape_check(const struct json_doc *d, bool complete)
{
    if (d->nodes > d->cap || (complete && !d->nodes))
        return "nodes beyond the array, or none";
    if (d->nodes && d->node[0].next != d->nodes)
        return "a root that does not hold all nodes";
    for (json_ref n = 0; n < d->nodes; n++) {
        const struct json_node *node = &d->node[n];
        if (node->off > d->len || node->len > d->len - node->off)
            return "a value outside the text";
        bool container = node->type == JSON_ARRAY || node->type == JSON_OBJECT;
        const char *wrong =
            container ? tape_check_container(d, n, complete) : tape_check_scalar(d, n);
        if (wrong)
            return wrong;
    }
    return NULL;
}

/* Writes the value anew: strings unescaped and escaped again, `blank` around every token. */
static inline void tape_write(const struct json_doc *d, json_ref n, struct str blank,
                              struct buf *out, struct buf *scratch)
{
    buf_str(out, blank);
    switch (json_type(d, n)) {
    case JSON_STRING:
        buf_clear(scratch, SIZE_MAX);
        json_write_string(out, json_string(d, n, scratch));
        break;
    case JSON_ARRAY:
        buf_byte(out, '[');
        json_each (d, n, it) {
            if (it > n + 1)
                buf_byte(out, ',');
            tape_write(d, it, blank, out, scratch);
        }
        buf_str(out, blank);
        buf_byte(out, ']');
        break;
    case JSON_OBJECT:
        buf_byte(out, '{');
        json_each_member (d, n, key) {
            if (key > n + 1)
                buf_byte(out, ',');
            tape_write(d, key, blank, out, scratch);
            buf_byte(out, ':');
            tape_write(d, key + 1, blank, out, scratch);
        }
        buf_str(out, blank);
        buf_byte(out, '}');
        break;
    default:
        buf_str(out, json_raw(d, n));
    }
    buf_str(out, blank);
}

#endif
