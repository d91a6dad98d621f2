/* read.c - read_file, read_text_file, read_media_file, read_multiple_files. */
#include "read.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

bool read_open(struct job *j, const struct place *p, const char *call, mf_file *ret_file,
               mf_stat *ret)
{
    struct failure f;
    if (io_open(j, p->spot, MF_OPEN_READ, ret_file, ret, &f))
        return true;
    if (f.error == EISDIR) /* which node opens, but can't read */
        return fail_as_node(j, &f, "read", NULL, NULL);
    return fail_as_node(j, &f, call, text_string(&p->real), NULL);
}

static bool fail_too_long(struct job *j, const struct place *p, uint64_t bytes)
{
    return fail(j,
                "%s: %llu bytes are more than the %lld that can be read at once; use head or tail "
                "of read_text_file, or read parts as resource range://OFFSET/LENGTH/PATH",
                text_string(&p->real), (unsigned long long)bytes, (long long)j->fs->max_read);
}

/* From `from` up to `to`, in chunks, as far as the file goes. */
static bool read_range(struct job *j, const struct place *p, mf_file file, uint64_t from,
                       uint64_t to, struct text *ret)
{
    struct failure f;
    if (to - from > ret->max)
        return fail_too_long(j, p, to - from);
    while (from < to) {
        size_t want = to - from < IO_CHUNK ? (size_t)(to - from) : IO_CHUNK, before = ret->len;
        if (!io_read(j, file, from, want, ret, &f))
            return fail_as_node(j, &f, "read", NULL, NULL);
        from += ret->len - before;
        if (ret->len - before < want)
            break;
    }
    return true;
}

bool read_whole(struct job *j, const struct place *p, struct text *ret)
{
    mf_file file;
    mf_stat st;
    struct failure f;
    size_t got = IO_CHUNK;
    if (!read_open(j, p, "open", &file, &st))
        return false;
    bool good = st.bytes <= ret->max || fail_too_long(j, p, st.bytes);
    /* Up to where it ends: it may have grown, and some files say that they are empty and are not.
     */
    while (good && got == IO_CHUNK) {
        size_t before = ret->len;
        good = io_read(j, file, before, IO_CHUNK, ret, &f);
        got = ret->len - before;
    }
    if (!good && ret->over)
        fail_too_long(j, p, ret->len);
    else if (!good)
        fail_as_node(j, &f, "read", NULL, NULL);
    io_close(j, file);
    return good;
}

/* ---- text ----------------------------------------------------------------- */

static bool read_text(struct job *j, const struct place *p, struct text *out)
{
    struct text raw = TEXT_INIT((size_t)j->fs->max_read);
    bool good = read_whole(j, p, &raw);
    if (good)
        text_repaired(out, text_bytes(&raw));
    text_free(&raw);
    return good;
}

static size_t newlines(mf_bytes s)
{
    size_t n = 0;
    for (const char *at = s.data;
         s.len > 0 && (at = memchr(at, '\n', s.len - (size_t)(at - s.data)));)
        n += 1, at++;
    return n;
}

/* The first `count` lines, of a text that holds no more than these and a part of the next. */
static mf_bytes first_lines(mf_bytes s, size_t count)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '\n' && --count == 0)
            return (mf_bytes){s.data, i};
    }
    if (s.len > 0 && s.data[s.len - 1] == '\n')
        s.len--;
    return s;
}

static bool read_head(struct job *j, const struct place *p, double lines, struct text *out)
{
    struct text raw = TEXT_INIT((size_t)j->fs->max_read);
    mf_file file;
    mf_stat st;
    if (lines < 0 && p->exists)
        return true; /* no line is fewer than that */
    if (!read_open(j, p, "open", &file, &st))
        return false;
    size_t found = 0, before;
    bool good = true;
    do {
        before = raw.len;
        uint64_t room = raw.max - raw.len;
        if (room == 0)
            good = fail(j, "The first lines are more than %lld bytes", (long long)j->fs->max_read);
        else if (lines > 0)
            good = read_range(j, p, file, raw.len, raw.len + (room < IO_CHUNK ? room : IO_CHUNK),
                              &raw);
        found += newlines(text_from(&raw, before));
    } while (good && (double)found < lines && raw.len > before);
    io_close(j, file);
    if (good && lines > 0)
        text_repaired(out, lines < (double)SIZE_MAX / 2
                               ? first_lines(text_bytes(&raw), (size_t)ceil(lines))
                               : text_bytes(&raw));
    text_free(&raw);
    return good;
}

/* Where the reference stops reading backwards: it does so in pieces of 1,024 bytes, until it has
 * seen so many line ends. */
static bool tail_start(struct job *j, const struct place *p, mf_file file, uint64_t size,
                       double lines, uint64_t *ret)
{
    enum { PIECE = 1024 };
    uint64_t at = size;
    double found = 0;
    bool good = true;
    while (good && at > 0 && found < lines) {
        struct text block = TEXT_INIT(IO_CHUNK);
        uint64_t from = at > IO_CHUNK ? at - IO_CHUNK : 0;
        good = read_range(j, p, file, from, at, &block);
        size_t left = block.len;
        while (good && left > 0 && found < lines) {
            size_t n = left < PIECE ? left : PIECE;
            left -= n;
            found += (double)newlines((mf_bytes){block.data + left, n});
        }
        good = good && (block.len == at - from || fail(j, "The file became shorter meanwhile"));
        at = from + left;
        text_free(&block);
    }
    *ret = at;
    return good;
}

/* text.split('\n').slice(-lines).join('\n'), with "\r\n" as "\n". */
static void last_lines(const struct text *raw, double lines, struct text *out)
{
    struct text unix_text = TEXT_INIT(raw->len + 1);
    for (size_t i = 0; i < raw->len; i++) {
        if (raw->data[i] != '\r' || i + 1 == raw->len || raw->data[i + 1] != '\n')
            text_add(&unix_text, raw->data + i, 1);
    }
    double whole = trunc(lines);
    size_t all = newlines(text_bytes(&unix_text)) + 1, from = 0;
    if (whole >= 1 && whole < (double)all) {
        size_t skip = all - (size_t)whole;
        while (skip > 0)
            skip -= unix_text.data[from++] == '\n';
    }
    text_repaired(out, (mf_bytes){unix_text.data + from, unix_text.len - from});
    text_free(&unix_text);
}

static bool read_tail(struct job *j, const struct place *p, double lines, struct text *out)
{
    struct text raw = TEXT_INIT((size_t)j->fs->max_read);
    mf_file file;
    mf_stat st;
    uint64_t start;
    if (lines < 0 && p->exists)
        return true; /* slice() of nothing */
    if (!read_open(j, p, "stat", &file, &st))
        return false;
    bool good = tail_start(j, p, file, st.bytes, lines, &start) &&
                read_range(j, p, file, start, st.bytes, &raw);
    io_close(j, file);
    if (good && raw.len > 0 && lines > 0)
        last_lines(&raw, lines, out);
    text_free(&raw);
    return good;
}

bool tool_read_text(struct job *j, struct text *out)
{
    struct place p;
    double head = 0, tail = 0;
    mfj_double(mfj_get(j->args, "head"), &head);
    mfj_double(mfj_get(j->args, "tail"), &tail);
    bool good = place_of(j, "path", &p);
    if (good && head != 0 && tail != 0)
        good = fail(j, "Cannot specify both head and tail parameters simultaneously");
    if (good)
        good = tail != 0   ? read_tail(j, &p, tail, out)
               : head != 0 ? read_head(j, &p, head, out)
                           : read_text(j, &p, out);
    place_release(&p);
    return good;
}

bool tool_read_multiple(struct job *j, struct text *out)
{
    mfj_value path;
    bool first = true;
    for (mfj_iter it = mfj_iter_open(mfj_get(j->args, "paths")); mfj_next(&it, NULL, &path);) {
        struct place p = {0};
        struct text requested = TEXT_INIT(MESSAGE_MAX), content = TEXT_INIT(out->max);
        if (is_cancelled(j))
            return fail(j, "cancelled");
        bool good =
            arg_text(j, path, &requested) || fail(j, "ENAMETOOLONG: name too long, realpath");
        good = good && place_find(j, text_bytes(&requested), &p) && read_text(j, &p, &content);
        text_cat(out, first ? "" : "\n---\n");
        text_add(out, requested.data, requested.len);
        text_cat(out, good ? ":\n" : ": Error - ");
        text_add(out, good ? content.data : j->error.data, good ? content.len : j->error.len);
        text_cat(out, good ? "\n" : "");
        text_free(&j->error);
        text_free(&content);
        text_free(&requested);
        place_release(&p);
        first = false;
    }
    return true;
}

/* ---- media ---------------------------------------------------------------- */

static const struct {
    const char *extension, *type;
} types[] = {
    {".png", "image/png"},     {".jpg", "image/jpeg"},  {".jpeg", "image/jpeg"},
    {".gif", "image/gif"},     {".webp", "image/webp"}, {".bmp", "image/bmp"},
    {".svg", "image/svg+xml"}, {".mp3", "audio/mpeg"},  {".wav", "audio/wav"},
    {".ogg", "audio/ogg"},     {".flac", "audio/flac"},
};

static const char *type_of(const char *path)
{
    const char *name = strrchr(path, '/');
    const char *dot = name ? strrchr(name + 1, '.') : NULL;
    if (dot != NULL && dot > name + 1) /* ".png" is a name, no extension */
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
            if (strcasecmp(dot, types[i].extension) == 0)
                return types[i].type;
    return "application/octet-stream";
}

/* pathToFileURL(path).href */
static void file_url(mf_bytes path, struct text *out)
{
    static const char plain[] = "!$&'()*+,-./:;=@_";
    text_cat(out, "file://");
    for (size_t i = 0; i < path.len; i++) {
        char c = path.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || (c != 0 && strchr(plain, c) != NULL))
            text_add(out, &c, 1);
        else
            text_printf(out, "%%%02X", (unsigned char)c);
    }
}

/* One content block; the same goes into the structured value. */
static void media_block(const struct place *p, mf_bytes raw, struct text *out)
{
    const char *type = type_of(text_string(&p->real));
    bool image = strncmp(type, "image/", 6) == 0, audio = strncmp(type, "audio/", 6) == 0;
    if (image || audio) {
        text_printf(out, "{\"type\":\"%s\",\"data\":\"", image ? "image" : "audio");
        text_base64(out, raw);
        text_printf(out, "\",\"mimeType\":\"%s\"}", type);
        return;
    }
    text_cat(out, "{\"type\":\"resource\",\"resource\":{\"uri\":\"");
    file_url(text_bytes(&p->real), out);
    text_printf(out, "\",\"mimeType\":\"%s\",\"blob\":\"", type);
    text_base64(out, raw);
    text_cat(out, "\"}}");
}

bool tool_read_media(struct job *j, struct text *out)
{
    const mf_host *host = j->fs->host;
    struct text raw = TEXT_INIT((size_t)j->fs->max_read), block = TEXT_INIT(raw.max * 2);
    struct text whole = TEXT_INIT(raw.max * 2 + 64);
    struct place p;
    (void)out;
    bool good = place_of(j, "path", &p) && read_whole(j, &p, &raw);
    if (good) {
        media_block(&p, text_bytes(&raw), &block);
        text_cat(&whole, "{\"content\":[");
        text_add(&whole, block.data, block.len);
        text_cat(&whole, "]}");
        host->block(host, j->call, text_bytes(&block));
        host->structured(host, j->call, text_bytes(&whole));
        j->end = MF_DONE;
    }
    text_free(&raw);
    text_free(&block);
    text_free(&whole);
    place_release(&p);
    return good;
}
