/* bench/messages.c - requests in usual and unusual spellings, and their answers. */
#include "messages.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A growing string; the generator dies when memory runs out. */
struct text {
    char *p;
    size_t len, room;
};

static void text_add(struct text *t, const char *p, size_t len)
{
    if (t->len + len > t->room) {
        t->room = (t->len + len) * 2;
        t->p = realloc(t->p, t->room);
        if (!t->p) {
            fprintf(stderr, "bench-load: out of memory\n");
            exit(1);
        }
    }
    memcpy(t->p + t->len, p, len);
    t->len += len;
}

static void text_puts(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

#define CAPABILITIES "io.modelcontextprotocol/clientCapabilities"
#define VERSION      "io.modelcontextprotocol/protocolVersion"
#define CLIENT       "io.modelcontextprotocol/clientInfo"

/* @N the tool, @A its argument, @T the text, @I the id, @M the member _meta.
 * The first form of each era is the order of keys of the published clients, the
 * others are as good JSON. */
static const char *const forms_legacy[] = {
    "{\"method\":\"tools/call\",\"params\":{\"name\":\"@N\",\"arguments\":{\"@A\":\"@T\"}},"
    "\"jsonrpc\":\"2.0\",\"id\":@I}",
    "{\"jsonrpc\":\"2.0\",\"id\":@I,\"method\":\"tools/call\",\"params\":"
    "{\"arguments\":{\"@A\":\"@T\"},\"name\":\"@N\"}}",
    " { \"id\" : @I ,\t\"params\" : { \"name\" : \"@N\" , \"arguments\" : { \"@A\" : \"@T\" } } ,"
    " \"jsonrpc\" : \"2.0\" , \"method\" : \"tools/call\" } ",
    "{\"params\":{\"arguments\":{\"@A\":\"@T\"},\"_meta\":{\"x\":[1,{\"y\":null}]},\"name\":\"@N\"}"
    ","
    "\"id\":@I,\"method\":\"tools\\/call\",\"jsonrpc\":\"2.0\"}\r",
    "{\"jsonrpc\": \"2.0\", \"method\": \"tools/call\", \"params\": {\"name\": \"@N\", "
    "\"arguments\": {\"@A\": \"@T\"}}, \"id\": @I}",
};
static const char *const forms_modern[] = {
    "{\"method\":\"tools/call\",\"params\":{\"name\":\"@N\",\"arguments\":{\"@A\":\"@T\"},@M},"
    "\"jsonrpc\":\"2.0\",\"id\":@I}",
    "{\"jsonrpc\":\"2.0\",\"id\":@I,\"method\":\"tools/call\",\"params\":"
    "{@M,\"arguments\":{\"@A\":\"@T\"},\"name\":\"@N\"}}",
    " { \"id\" : @I ,\t\"params\" : { \"_meta\" : { \"" CAPABILITIES "\" : { } , \"" VERSION
    "\" : \"2026-07-28\" } , \"name\" : \"@N\" , \"arguments\" : { \"@A\" : \"@T\" } } ,"
    " \"jsonrpc\" : \"2.0\" , \"method\" : \"tools/call\" } ",
    "{\"params\":{\"arguments\":{\"@A\":\"@T\"},\"name\":\"@N\",@M},"
    "\"id\":@I,\"method\":\"tools\\/call\",\"jsonrpc\":\"2.0\"}\r",
    "{\"jsonrpc\": \"2.0\", \"method\": \"tools/call\", \"params\": {@M, \"name\": \"@N\", "
    "\"arguments\": {\"@A\": \"@T\"}}, \"id\": @I}",
};
static const char meta[] =
    "\"_meta\":{\"" VERSION "\":\"2026-07-28\",\"" CLIENT
    "\":{\"name\":\"bench-load\",\"version\":\"1\"},\"" CAPABILITIES "\":{}}";

/* Pairs of spelling and meaning that an unusual text is made of. */
static const char *const odd_pieces[][2] = {
    {"caf\\u00e9 ", "caf\xc3\xa9 "},    {"line\\nbreak\\t", "line\nbreak\t"},
    {"\\/slash\\\\ ", "/slash\\ "},     {"\\\"quoted\\\" ", "\"quoted\" "},
    {"na\xc3\xafve ", "na\xc3\xafve "}, {"\\ud83d\\ude00 ", "\xf0\x9f\x98\x80 "},
};

/* What stands before the number of a text. */
static const char hello[] = "hello ";

/* The text of template `i`, spelled as JSON and as it is meant. */
static void text_make(const struct shape *shape, unsigned i, bool odd, struct text *ret_spelled,
                      struct text *ret_meaning)
{
    static const char filler[] = "the quick brown fox jumps over the lazy dog, again and again; ";
    char head[32];
    snprintf(head, sizeof(head), "%s%0*u ", hello, TEXT_DIGITS, i);
    text_puts(ret_meaning, shape->prefix);
    size_t wanted = ret_meaning->len + shape->size;
    text_puts(ret_spelled, head);
    text_puts(ret_meaning, head);
    for (size_t n = 0; odd && n < sizeof(odd_pieces) / sizeof(*odd_pieces); n++) {
        text_puts(ret_spelled, odd_pieces[n][0]);
        text_puts(ret_meaning, odd_pieces[n][1]);
    }
    while (ret_meaning->len < wanted) {
        size_t n = wanted - ret_meaning->len;
        n = n < sizeof(filler) - 1 ? n : sizeof(filler) - 1;
        text_add(ret_spelled, filler, n);
        text_add(ret_meaning, filler, n);
    }
}

static void template_make(struct template *t, const struct shape *shape, unsigned i)
{
    /* Unusual ones are spread evenly: i * odd passes a multiple of 100. */
    bool odd = i * shape->odd % 100 + shape->odd >= 100;
    unsigned kinds = sizeof(forms_legacy) / sizeof(*forms_legacy) - 1;
    unsigned kind = odd ? 1 + i * shape->odd / 100 % kinds : 0;
    const char *form = shape->modern ? forms_modern[kind] : forms_legacy[kind];
    struct text spelled = {0}, meaning = {0}, line = {0};
    text_make(shape, i, odd, &spelled, &meaning);
    for (const char *p = form; *p; p++) {
        if (*p != '@') {
            text_add(&line, p, 1);
            continue;
        }
        switch (*++p) {
        case 'N':
            text_puts(&line, shape->tool);
            break;
        case 'A':
            text_puts(&line, shape->argument);
            break;
        case 'T':
            t->text_at = line.len + sizeof(hello) - 1;
            text_add(&line, spelled.p, spelled.len);
            break;
        case 'M':
            text_puts(&line, meta);
            break;
        default:
            t->id_at = line.len;
            text_puts(&line, "1000000");
        }
    }
    text_puts(&line, "\n");
    free(spelled.p);
    t->request = line.p;
    t->request_len = line.len;
    t->meaning = meaning.p;
    t->meaning_len = meaning.len;
}

static void *many(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p) {
        fprintf(stderr, "bench-load: out of memory\n");
        exit(1);
    }
    return p;
}

/* xorshift64, 0 to 1: the same draws in every run. */
static double any(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (double)(*state >> 11) / (double)(UINT64_C(1) << 53);
}

/* Zipf's law.  Which texts are the frequent ones is drawn, too. */
static void draw(struct messages *m)
{
    unsigned texts = m->shape.texts;
    uint64_t state = 0x9e3779b97f4a7c15;
    double *up_to = many(texts, sizeof(*up_to)), sum = 0;
    uint32_t *text = many(texts, sizeof(*text));
    for (unsigned i = 0; i < texts; i++) {
        up_to[i] = sum += pow(i + 1, -m->shape.zipf);
        unsigned k = (unsigned)(any(&state) * (i + 1));
        text[i] = text[k];
        text[k] = i;
    }
    m->drawn = many(m->shape.calls, sizeof(*m->drawn));
    for (unsigned call = 0; call < m->shape.calls; call++) {
        double x = any(&state) * sum;
        unsigned low = 0;
        for (unsigned n = texts; n > 1; n -= n / 2)
            low += up_to[low + n / 2 - 1] < x ? n / 2 : 0;
        m->drawn[call] = text[low];
    }
    free(up_to);
    free(text);
    for (unsigned i = 0; i < m->count; i++)
        m->line_max =
            m->templates[i].request_len > m->line_max ? m->templates[i].request_len : m->line_max;
    m->lines = many(LINES_KEPT, m->line_max);
}

void messages_init(struct messages *m, const struct shape *shape)
{
    /* About 10 MiB of requests at most, so that a big text is not a test of memory. */
    unsigned count = shape->size <= TEXTS_SIZE_MAX ? 200 : shape->size < (256 << 10) ? 100 : 10;
    *m = (struct messages){.shape = *shape, .count = count};
    m->templates = many(count, sizeof(*m->templates));
    for (unsigned i = 0; i < count; i++)
        template_make(&m->templates[i], shape, i);
    if (shape->texts)
        draw(m);
}

void messages_release(struct messages *m)
{
    for (unsigned i = 0; i < m->count; i++) {
        free(m->templates[i].request);
        free(m->templates[i].meaning);
        free(m->templates[i].known[0].p);
        free(m->templates[i].known[1].p);
    }
    free(m->templates);
    free(m->drawn);
    free(m->lines);
    *m = (struct messages){0};
}

static unsigned text_of(const struct messages *m, unsigned call)
{
    return m->drawn ? m->drawn[call] : call % m->count;
}

static struct template *template_of(const struct messages *m, unsigned call)
{
    return &m->templates[text_of(m, call) % m->count];
}

static void digits_put(char *to, int digits, unsigned n)
{
    for (int i = digits - 1; i >= 0; i--, n /= 10)
        to[i] = (char)('0' + n % 10);
}

struct slice messages_request(struct messages *m, unsigned call)
{
    struct template *t = template_of(m, call);
    char *line = t->request;
    if (m->drawn) {
        line = m->lines + (call % LINES_KEPT) * m->line_max;
        memcpy(line, t->request, t->request_len);
        digits_put(line + t->text_at, TEXT_DIGITS, m->drawn[call]);
    }
    digits_put(line + t->id_at, ID_DIGITS, call + ID_BASE);
    return (struct slice){line, t->request_len};
}

/* Seven digits at p and no more: the number of the call. */
static bool id_read(const char *p, const char *end, unsigned *ret_call)
{
    unsigned id = 0;
    if (end - p <= ID_DIGITS || (p[ID_DIGITS] >= '0' && p[ID_DIGITS] <= '9'))
        return false;
    for (int i = 0; i < ID_DIGITS; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        id = id * 10 + (unsigned)(p[i] - '0');
    }
    if (id < ID_BASE)
        return false;
    *ret_call = id - ID_BASE;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_like(const struct answer *a, struct slice line, const char number[TEXT_DIGITS])
{
    size_t at = 0;
    for (const struct piece *piece = a->piece; piece < a->piece + a->pieces; piece++) {
        if (line.len - at < piece->len + ID_DIGITS * (piece->then != NUMBER_NONE) ||
            memcmp(line.p + at, a->p + piece->at, piece->len) != 0)
            return false;
        at += piece->len;
        if (piece->then == NUMBER_ID) { /* it is where the id was read */
            at += ID_DIGITS;
        } else if (piece->then == NUMBER_TEXT) {
            if (memcmp(line.p + at, number, TEXT_DIGITS) != 0)
                return false;
            at += TEXT_DIGITS;
        } else if (piece->then == NUMBER_AGE) {
            while (at < line.len && is_digit(line.p[at]))
                at++;
        }
    }
    return a->pieces && at == line.len;
}

static bool answer_is_known(struct messages *m, struct slice line, unsigned *ret_call)
{
    unsigned call;
    char number[TEXT_DIGITS];
    if (line.len <= m->id_at || !id_read(line.p + m->id_at, line.p + line.len, &call) ||
        call >= m->shape.calls)
        return false;
    const struct template *t = template_of(m, call);
    digits_put(number, TEXT_DIGITS, text_of(m, call));
    if (!is_like(&t->known[0], line, number) && !is_like(&t->known[1], line, number))
        return false;
    *ret_call = call;
    return true;
}

static const char *find(struct slice line, const char *text)
{
    return memmem(line.p, line.len, text, strlen(text));
}

/* From the last piece to the number at `at`, which has so many digits. */
static void piece_add(struct answer *a, size_t *from, size_t at, size_t digits, enum number then)
{
    a->piece[a->pieces++] = (struct piece){*from, at - *from, then};
    *from = at + digits;
}

/* Keeps a checked answer to compare others with, if id, text and age come in this order. */
static void answer_keep(struct messages *m, struct template *t, struct slice line, size_t id_at)
{
    static const char *const ages[] = {"\"ageMs\":", "\"ttlMs\":"};
    struct answer *a = &t->known[find(line, "\"hit\":false") != NULL];
    const char *text = find(line, hello);
    struct text copy = {0};
    size_t from = 0;
    if (!text || text < line.p + id_at)
        return;
    text_add(&copy, line.p, line.len);
    free(a->p);
    *a = (struct answer){.p = copy.p};
    piece_add(a, &from, id_at, ID_DIGITS, NUMBER_ID);
    piece_add(a, &from, (size_t)(text - line.p) + strlen(hello), TEXT_DIGITS, NUMBER_TEXT);
    for (int i = 0; i < 2; i++) {
        const char *p = find(line, ages[i]), *end;
        if (!p || (size_t)(p - line.p) < from)
            continue;
        p += strlen(ages[i]);
        for (end = p; end < line.p + line.len && is_digit(*end); end++)
            ;
        piece_add(a, &from, (size_t)(p - line.p), (size_t)(end - p), NUMBER_AGE);
    }
    piece_add(a, &from, line.len, 0, NUMBER_NONE);
    m->id_at = id_at;
}

static const char *answer_check(struct messages *m, struct slice line, unsigned *ret_call,
                                size_t *ret_id_at)
{
    struct slice v, result, content, block;
    if (!json_whole(line))
        return "an answer is not one JSON value";
    if (!json_member(line, "jsonrpc", &v) || !slice_is(v, "\"2.0\""))
        return "an answer without jsonrpc 2.0";
    unsigned call;
    if (!json_member(line, "id", &v) || v.len != ID_DIGITS ||
        !id_read(v.p, line.p + line.len, &call) || call >= m->shape.calls)
        return "an answer to an id that was never sent";
    *ret_id_at = (size_t)(v.p - line.p);
    if (!json_member(line, "result", &result))
        return "an error instead of a result";
    if (json_member(result, "isError", &v) && !slice_is(v, "false"))
        return "a result with isError";
    if (m->shape.modern && (!json_member(result, "resultType", &v) || !slice_is(v, "\"complete\"")))
        return "a result of the modern era without resultType complete";
    if (!json_member(result, "content", &content) || !json_first(content, &block) ||
        !json_member(block, "type", &v) || !slice_is(v, "\"text\"") ||
        !json_member(block, "text", &v))
        return "a result without a text block";
    struct template *t = template_of(m, call);
    digits_put(t->meaning + strlen(m->shape.prefix) + sizeof(hello) - 1, TEXT_DIGITS,
               text_of(m, call));
    if (!json_string_is(v, (struct slice){t->meaning, t->meaning_len}))
        return "a result with the wrong text";
    *ret_call = call;
    return NULL;
}

const char *messages_check(struct messages *m, struct slice line, unsigned *ret_call)
{
    if (answer_is_known(m, line, ret_call))
        return NULL;
    size_t id_at = 0;
    const char *wrong = answer_check(m, line, ret_call, &id_at);
    if (wrong)
        return wrong;
    answer_keep(m, template_of(m, *ret_call), line, id_at);
    return NULL;
}
