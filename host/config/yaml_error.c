#include "config/yaml_error.h"

#include <errno.h>

/* What libyaml says, and what the author of the file has to do about it.  The
 * first that fits both texts and the byte at the place is taken. */
static const struct advice {
    const char *context, *problem; /* part of libyaml's text; NULL: any */
    char at;                       /* the byte at the place; 0: any */
    const char *sentence;
} advices[] = {
    {NULL, "cannot start any token", '\t', "expected spaces, found a tab character"},
    {NULL, "cannot start any token", '@',
     "expected a value, found '@': quote text that begins with it"},
    {NULL, "cannot start any token", '`',
     "expected a value, found '`': quote text that begins with it"},
    {NULL, "cannot start any token", '%',
     "expected a value, found '%': quote text that begins with it"},
    {"scanning an alias", NULL, 0,
     "expected no aliases, found '*' at the beginning of a value: quote text that begins with it"},
    {"scanning an anchor", NULL, 0,
     "expected no anchors, found '&' at the beginning of a value: quote text that begins with it"},
    {"scanning a tag", NULL, 0,
     "expected no tags, found '!' at the beginning of a value: quote text that begins with it"},
    {NULL, "undefined tag handle", 0,
     "expected no tags, found '!' at the beginning of a value: quote text that begins with it"},
    {NULL, "mapping values are not allowed", 0,
     "expected no second ': ' on this line: quote text that holds one, or mend the indentation"},
    {"block mapping", "did not find expected key", 0,
     "expected a key in line with the keys above it: mend the indentation or quote the text"},
    {"block collection", "did not find expected '-'", 0,
     "expected '-' in line with the items above it: mend the indentation"},
    {"flow mapping", "did not find expected", 0, "expected ',' or '}' inside { }"},
    {"flow sequence", "did not find expected", 0, "expected ',' or ']' inside [ ]"},
    {"simple key", "could not find expected ':'", 0, "expected ':' behind this key"},
    {"quoted scalar", "unexpected end of stream", 0,
     "expected a closing quote, found the end of the file"},
    {"quoted scalar", "unexpected document indicator", 0,
     "expected a closing quote, found --- or ..."},
    {"quoted scalar", "unknown escape", 0,
     "expected an escape that YAML knows behind '\\': write '\\\\' or use single quotes"},
    {"quoted scalar", "Unicode character escape", 0,
     "expected the escape of a Unicode character, found one of none"},
    {NULL, "control characters are not allowed", 0, "expected text, found a control character"},
    {NULL, "UTF-8", 0, "expected UTF-8, found a byte sequence that is none"},
};

/* Byte offset of a place.  libyaml counts characters, its scanner breaks lines at CR, LF and CRLF
 * (and at NEL, LS and PS, which nobody writes by accident). */
static size_t offset_of(struct str text, size_t line, size_t column)
{
    size_t i = 0;
    for (; line && i < text.n; i++) {
        if (text.p[i] == '\n' || (text.p[i] == '\r' && !(i + 1 < text.n && text.p[i + 1] == '\n')))
            line--;
    }
    for (; column && i < text.n; column--) {
        i++;
        while (i < text.n && ((unsigned char)text.p[i] & 0xC0) == 0x80)
            i++;
    }
    return i;
}

/* The reader knows only the byte at which it failed. */
static void place_of(struct str text, size_t offset, size_t *line, size_t *column)
{
    *line = *column = 0;
    for (size_t i = 0; i < text.n && i < offset; i++) {
        if (text.p[i] == '\n') {
            ++*line;
            *column = 0;
        } else if (((unsigned char)text.p[i] & 0xC0) != 0x80) {
            ++*column;
        }
    }
}

static bool holds(const char *text, const char *part)
{
    return !part || (text && strstr(text, part));
}

static const char *advice_for(const yaml_parser_t *p, char at)
{
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++) {
        const struct advice *a = &advices[i];
        if (holds(p->context, a->context) && holds(p->problem, a->problem) &&
            (!a->at || a->at == at))
            return a->sentence;
    }
    return NULL;
}

int yaml_error_set(const yaml_parser_t *p, struct str text, const char *path, struct err *e)
{
    size_t line = p->problem_mark.line, column = p->problem_mark.column;
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(e, -ENOMEM, "%s: out of memory while reading it", path);
    if (p->error == YAML_READER_ERROR)
        place_of(text, p->problem_offset, &line, &column);
    size_t at = offset_of(text, line, column);
    char c = at < text.n ? text.p[at] : 0;
    /* A plain value ends before '{' inside flow brackets, so that libyaml trips over the brace. */
    if (c == '{' && at > 0 && text.p[at - 1] == '$')
        return err_set(e, -EINVAL,
                       "%s:%zu:%zu: expected quotes around a value with ${...} inside { } or [ ], "
                       "found none",
                       path, line + 1, column);
    const char *sentence = advice_for(p, c);
    char found[32] = "the end of the file";
    if (at < text.n && c > ' ' && c < 0x7F)
        snprintf(found, sizeof(found), "'%c'", c);
    else if (at < text.n)
        snprintf(found, sizeof(found),
                 c == '\n' || c == '\r' ? "the end of the line" : "something else");
    if (!sentence)
        return err_set(e, -EINVAL, "%s:%zu:%zu: expected YAML, found %s: %s%s%s", path, line + 1,
                       column + 1, found, p->context ? p->context : "", p->context ? ", " : "",
                       p->problem ? p->problem : "an error");
    return err_set(e, -EINVAL,
                   strstr(sentence, "found") ? "%s:%zu:%zu: %s" : "%s:%zu:%zu: %s, found %s", path,
                   line + 1, column + 1, sentence, found);
}
