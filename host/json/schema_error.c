/* The sentences: where, what was expected, what was found. */
#include "json/schema_internal.h"

#include <stdarg.h>
#include <stdio.h>

/* Text that ends in "..." when it does not fit, never within a character. */
struct text {
    char *p;
    size_t len, size;
    bool cut;
};

static void text_cut(struct text *t)
{
    size_t n = t->size - 4;
    while (n > 0 && ((unsigned char)t->p[n] & 0xc0) == 0x80)
        n--;
    memcpy(t->p + n, "...", 4);
    t->len = n + 3;
    t->cut = true;
}

static void put(struct text *t, struct str s)
{
    size_t room = t->size - 1 - t->len;
    if (t->cut || !s.n)
        return;
    memcpy(t->p + t->len, s.p, s.n < room ? s.n : room);
    t->len += s.n < room ? s.n : room;
    t->p[t->len] = '\0';
    if (s.n > room)
        text_cut(t);
}

static void putf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void putf(struct text *t, const char *fmt, ...)
{
    char piece[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(piece, sizeof(piece), fmt, ap);
    va_end(ap);
    put(t, (struct str){piece, n < (int)sizeof(piece) ? (size_t)n : sizeof(piece) - 1});
}

static struct text text_of(char *p, size_t size)
{
    *p = '\0';
    return (struct text){p, 0, size, false};
}

/* At most `max` bytes of s, and "..." when there were more. */
static void put_some(struct text *t, struct str s, size_t max)
{
    if (s.n <= max) {
        put(t, s);
        return;
    }
    while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
        max--;
    put(t, (struct str){s.p, max});
    put(t, STR("..."));
}

/* In quotes; control characters, which a name can have, as escapes. */
static void put_quoted(struct text *t, struct str s)
{
    char clean[81 * 6];
    size_t n = 0, i = 0;
    for (; i < s.n && i < 81; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f)
            n += (size_t)snprintf(clean + n, 7, "\\u%04x", c);
        else
            clean[n++] = (char)c;
    }
    put(t, STR("\""));
    put_some(t, (struct str){clean, n}, i == s.n ? n : n - 1);
    put(t, STR("\""));
}

/* JSON as it was written, on one line. */
static void put_json(struct text *t, struct str s, size_t max)
{
    char clean[64];
    size_t n = 0;
    max = max < sizeof(clean) - 1 ? max : sizeof(clean) - 1;
    for (size_t i = 0; i < s.n && n <= max; i++) {
        /* Raw control characters are never within a string, and indentation follows them. */
        bool blank = s.p[i] == ' ' && i && ((unsigned char)s.p[i - 1] < 0x20);
        if (blank)
            while (i + 1 < s.n && s.p[i + 1] == ' ')
                i++;
        else if ((unsigned char)s.p[i] >= 0x20)
            clean[n++] = s.p[i];
    }
    put_some(t, (struct str){clean, n}, max);
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

/* ---- where ---- */

static void put_token(struct text *t, struct str token)
{
    put(t, STR("/"));
    for (size_t i = 0; i < token.n; i++) {
        struct str one = {token.p + i, 1};
        put(t, *one.p == '~' ? STR("~0") : *one.p == '/' ? STR("~1") : one);
    }
}

static bool within(const struct json_doc *d, json_ref node, json_ref target)
{
    return target >= node && target < d->node[node].next;
}

/* One level down: the child that holds the target, its token written; 0 when it is a key here. */
static json_ref path_step(const struct json_doc *d, json_ref at, json_ref target, struct text *t)
{
    uint32_t i = 0;
    if (json_is(d, at, JSON_OBJECT)) {
        json_each_member (d, at, key) {
            if (within(d, key + 1, target)) {
                put_token(t, json_inner(d, key));
                return key + 1;
            }
        }
        return 0;
    }
    json_each (d, at, it) {
        if (within(d, it, target)) {
            putf(t, "/%u", i);
            return it;
        }
        i++;
    }
    return 0;
}

void schema_path(const struct json_doc *d, json_ref root, json_ref target, char ret[256])
{
    struct text t = text_of(ret, 256);
    json_ref at = root;
    while (at != target && (at = path_step(d, at, target, &t)))
        ;
}

/* ---- what was found ---- */

void schema_describe(const struct json_doc *d, json_ref node, char *ret, size_t size)
{
    struct text t = text_of(ret, size);
    uint32_t n = d->node[node].count;
    switch (json_type(d, node)) {
    case JSON_NUMBER:
        put(&t, STR("number "));
        put_some(&t, json_raw(d, node), 40);
        break;
    case JSON_STRING:
        put(&t, STR("string "));
        put_quoted(&t, json_inner(d, node));
        break;
    case JSON_ARRAY:
        putf(&t, "array of %u item%s", n, plural(n));
        break;
    case JSON_OBJECT:
        putf(&t, "object with %u propert%s", n, n == 1 ? "y" : "ies");
        break;
    default:
        put(&t, json_raw(d, node));
    }
}

/* ---- what was expected ---- */

struct explain {
    const struct schema_run *run;
    const struct schema_failure *f;
    const struct schema_op *op;
    struct text expected, found;
};

static const void *words(const struct explain *x)
{
    return x->run->s->word + x->op->arg;
}

static struct str name_at(const struct explain *x, uint32_t off, uint32_t len)
{
    return (struct str){x->run->s->text + off, len};
}

static void explain_types(struct explain *x)
{
    static const struct {
        uint8_t types;
        const char *name;
    } names[] = {{1 << JSON_NULL, "null"}, {TYPES_BOOLEAN, "boolean"}, {TYPES_INTEGER, "integer"},
                 {TYPES_NUMBER, "number"}, {TYPES_STRING, "string"},   {TYPES_ARRAY, "array"},
                 {TYPES_OBJECT, "object"}};
    uint8_t left = x->f->types;
    if (left & TYPES_NUMBER)
        left &= (uint8_t)~TYPES_INTEGER;
    if (!left)
        put(&x->expected, STR("no value here"));
    bool first = true;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (!(left & names[i].types))
            continue;
        left &= (uint8_t)~names[i].types;
        putf(&x->expected, "%s%s", first ? "" : left ? ", " : " or ", names[i].name);
        first = false;
    }
}

static void explain_enum(struct explain *x)
{
    enum { LISTED = 12 };
    const struct schema_list *list = words(x);
    const struct json_doc *kept = &x->run->s->kept;
    if (!list->count)
        put(&x->expected, STR("no value here"));
    else if (list->count > 1)
        put(&x->expected, STR("one of "));
    for (uint32_t i = 0; i < list->count && i < LISTED; i++) {
        put(&x->expected, i ? STR(", ") : STR(""));
        put_json(&x->expected, json_raw(kept, list->item[i]), 60);
    }
    if (list->count > LISTED)
        putf(&x->expected, ", ... (%u in all)", list->count);
}

static void put_number(struct text *t, struct schema_number n)
{
    const char *sign = n.negative ? "-" : "";
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n.digits);
    if (n.exponent >= 0 && n.exponent + len <= 21)
        putf(t, "%s%s%.*s", sign, digits, n.exponent, "000000000000000000000");
    else if (n.exponent < 0 && -n.exponent < len)
        putf(t, "%s%.*s.%s", sign, len + n.exponent, digits, digits + len + n.exponent);
    else if (n.exponent < 0 && -n.exponent < 20)
        putf(t, "%s0.%.*s%s", sign, -n.exponent - len, "00000000000000000000", digits);
    else
        putf(t, "%s%se%d", sign, digits, n.exponent);
}

static void explain_bound(struct explain *x)
{
    static const char *const phrase[KW_COUNT] = {[KW_MINIMUM] = "at least ",
                                                 [KW_MAXIMUM] = "at most ",
                                                 [KW_EXCLUSIVE_MINIMUM] = "more than ",
                                                 [KW_EXCLUSIVE_MAXIMUM] = "less than ",
                                                 [KW_MULTIPLE_OF] = "a multiple of "};
    struct schema_number n;
    memcpy(&n, words(x), sizeof(n));
    put(&x->expected, str_of(phrase[x->op->kw]));
    put_number(&x->expected, n);
}

static void explain_length(struct explain *x)
{
    putf(&x->expected, "at %s %u character%s", x->op->kw == KW_MIN_LENGTH ? "least" : "most",
         x->op->arg, plural(x->op->arg));
    putf(&x->found, "string of %u character%s", x->f->detail, plural(x->f->detail));
}

static void explain_pattern(struct explain *x)
{
    const struct schema_pattern *p = &x->run->s->pattern[x->op->arg];
    put(&x->expected, STR("a string that matches "));
    put_some(&x->expected, name_at(x, p->off, p->len), 120);
}

static void explain_count(struct explain *x)
{
    bool least = x->op->kw == KW_MIN_ITEMS || x->op->kw == KW_MIN_PROPERTIES;
    bool items = x->op->kw == KW_MIN_ITEMS || x->op->kw == KW_MAX_ITEMS;
    const char *unit = items ? "item" : "propert";
    const char *end = items ? plural(x->op->arg) : x->op->arg == 1 ? "y" : "ies";
    putf(&x->expected, "at %s %u %s%s", least ? "least" : "most", x->op->arg, unit, end);
}

static void explain_unique(struct explain *x)
{
    put(&x->expected, STR("items that all differ"));
    put(&x->found, STR("a second "));
    char value[100];
    schema_describe(x->run->d, x->f->node, value, sizeof(value));
    put(&x->found, str_of(value));
}

static void put_missing(struct explain *x, struct str name)
{
    put(&x->found, STR("no "));
    put_quoted(&x->found, name);
}

static void explain_dependent(struct explain *x)
{
    const struct schema_pair *p = &((const struct schema_pairs *)words(x))->pair[x->f->detail];
    struct str need = name_at(x, p->unit, p->need_len);
    put(&x->expected, STR("property "));
    put_quoted(&x->expected, need);
    put(&x->expected, STR(" beside "));
    put_quoted(&x->expected, name_at(x, p->off, p->len));
    put_missing(x, need);
}

/* Properties of the schema, and the one that was perhaps meant. */
static void explain_further(struct explain *x, const struct schema_object *o)
{
    enum { LISTED = 12 };
    struct str key = json_inner(x->run->d, x->f->node), meant = STR_NONE;
    uint32_t n = 0;
    for (uint32_t i = 0; i < o->members; i++) {
        struct str name = name_at(x, o->member[i].off, o->member[i].len);
        if (o->member[i].unit == SCHEMA_NONE)
            continue;
        if (n < LISTED) {
            put(&x->expected, n ? STR(", ") : STR("no property but "));
            put_quoted(&x->expected, name);
        }
        n++;
        if (!meant.p && schema_one_edit(key, name))
            meant = name;
    }
    if (n > LISTED)
        put(&x->expected, STR(", ..."));
    if (!n)
        put(&x->expected, o->patterns ? STR("only properties that match patternProperties")
                                      : STR("no properties"));
    put_quoted(&x->found, key);
    if (meant.p) {
        put(&x->found, STR(" (did you mean "));
        put_quoted(&x->found, meant);
        put(&x->found, STR("?)"));
    }
}

static void explain_object(struct explain *x)
{
    const struct schema_object *o = words(x);
    if (x->f->is_key) {
        explain_further(x, o);
        return;
    }
    const struct schema_member *m = &o->member[x->f->detail];
    struct str name = name_at(x, m->off, m->len);
    put(&x->expected, STR("property "));
    put_quoted(&x->expected, name);
    put_missing(x, name);
}

static void explain_contains(struct explain *x)
{
    const struct schema_contains *k = words(x);
    bool least = x->f->detail < k->min;
    uint32_t n = least ? k->min : k->max;
    putf(&x->expected, "at %s %u item%s as \"contains\" describes", least ? "least" : "most", n,
         plural(n));
    if (least)
        putf(&x->found, "%u", x->f->detail);
    else
        put(&x->found, STR("more"));
}

static void explain_choice(struct explain *x)
{
    const struct schema_list *list = words(x);
    bool one = x->op->kw == KW_ONE_OF;
    if (one && x->f->detail != SCHEMA_NONE) {
        put(&x->expected, STR("exactly one of the alternatives of oneOf"));
        putf(&x->found, "a value that fits number %u and number %u", (x->f->detail >> 16) + 1,
             (x->f->detail & 0xffff) + 1);
        return;
    }
    putf(&x->expected, "one of the %u alternatives of %s", list->count, one ? "oneOf" : "anyOf");
}

static void explain_not(struct explain *x)
{
    put(&x->expected, STR("a value that \"not\" does not exclude"));
}

static void explain_rest(struct explain *x)
{
    put(&x->expected, STR("no further properties"));
}

static void (*const explain_op[KW_COUNT])(struct explain *x) = {
    [KW_ENUM] = explain_enum,
    [KW_MINIMUM] = explain_bound,
    [KW_MAXIMUM] = explain_bound,
    [KW_EXCLUSIVE_MINIMUM] = explain_bound,
    [KW_EXCLUSIVE_MAXIMUM] = explain_bound,
    [KW_MULTIPLE_OF] = explain_bound,
    [KW_MIN_LENGTH] = explain_length,
    [KW_MAX_LENGTH] = explain_length,
    [KW_PATTERN] = explain_pattern,
    [KW_MIN_ITEMS] = explain_count,
    [KW_MAX_ITEMS] = explain_count,
    [KW_UNIQUE_ITEMS] = explain_unique,
    [KW_MIN_PROPERTIES] = explain_count,
    [KW_MAX_PROPERTIES] = explain_count,
    [KW_DEPENDENT_REQUIRED] = explain_dependent,
    [KW_OBJECT] = explain_object,
    [KW_CONTAINS] = explain_contains,
    [KW_ANY_OF] = explain_choice,
    [KW_ONE_OF] = explain_choice,
    [KW_NOT] = explain_not,
    [KW_UNEVALUATED_PROPERTIES] = explain_rest,
};

void schema_explain(const struct schema_run *r, const struct schema_failure *f, json_ref root,
                    struct schema_error *e)
{
    *e = (struct schema_error){.node = f->node, .is_key = f->is_key};
    struct explain x = {.run = r,
                        .f = f,
                        .op = f->op,
                        .expected = text_of(e->expected, sizeof(e->expected)),
                        .found = text_of(e->found, sizeof(e->found))};
    schema_path(r->d, root, f->node, e->path);
    if (f->alternatives)
        putf(&x.expected, "one of %u alternatives, such as ", f->alternatives);
    if (!f->op)
        explain_types(&x);
    else
        explain_op[f->op->kw](&x);
    if (x.found.len)
        return;
    if (f->is_key) {
        put(&x.found, STR("property "));
        put_quoted(&x.found, json_inner(r->d, f->node));
    } else {
        schema_describe(r->d, f->node, e->found, sizeof(e->found));
    }
}

bool schema_one_edit(struct str a, struct str b)
{
    if (a.n > b.n) {
        struct str swap = a;
        a = b;
        b = swap;
    }
    if (b.n - a.n > 1 || b.n < 2)
        return false;
    size_t head = 0, tail = 0;
    while (head < a.n && a.p[head] == b.p[head])
        head++;
    while (tail < a.n - head && a.p[a.n - 1 - tail] == b.p[b.n - 1 - tail])
        tail++;
    size_t left = a.n - head - tail;
    if (a.n < b.n)
        return left == 0;
    return left == 1 || (left == 2 && a.p[head] == b.p[head + 1] && a.p[head + 1] == b.p[head]);
}

void schema_error_text(const struct schema_error *e, const char *what, struct err *out)
{
    err_set(out, 0, "%s%s: expected %s, found %s", what, e->path, e->expected, e->found);
}
