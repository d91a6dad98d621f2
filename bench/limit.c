/* bench/limit.c - the limit of the machine: what a program reaches that only moves bytes.
 *
 * It speaks just enough MCP over stdio to stand where Manifold stands in the
 * benchmark: it reads as much as there is, splits lines, finds the id and, for
 * tools/call, copies the text of the argument `message` behind "Echo: ", in the
 * shape the era of the request asks for; one write for each read.  initialize,
 * server/discover, tools/list and ping have prepared answers.
 *
 * What it leaves out, and a host may not: it checks no grammar, no UTF-8, no
 * depth, no duplicate keys, no schema and no protocol version; it takes the
 * first key called id, method or message at whatever depth it stands; it looks
 * for the usual order of keys first and walks the strings of the line only when
 * that guess fails; every tool is the echo; there is no deadline, no
 * cancellation, no counter, no log, no second thread and no slow reader: it
 * blocks in write().  It ends on a line over 8 MiB.  It needs libc alone, in the
 * ordinary dynamic way, and leaves the pipes at the size they come in.
 *
 * Usage: bench-limit [--walk] [--tools FILE].  FILE holds the JSON array for
 * tools/list on one line.  With --walk it never guesses the order of keys. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 8 << 20,
    IN_SIZE = LINE_MAX_BYTES + (256 << 10),
    TOOLS_MAX = 1 << 20,
    OUT_SIZE = LINE_MAX_BYTES + 2 * TOOLS_MAX,
    ENVELOPE_MAX = 1024 /* of an answer besides its id, text and list */
};

struct span {
    const char *p;
    size_t len;
};

struct request {
    struct span id, method, text;
    bool modern;
};

static char in[IN_SIZE], out[OUT_SIZE], tools_file[TOOLS_MAX];
static size_t out_len;
static struct span tools;
static bool guess = true;

#define SPAN(s) ((struct span){"" s, sizeof(s) - 1})

static void flush(void)
{
    for (size_t done = 0; done < out_len;) {
        ssize_t n = write(STDOUT_FILENO, out + done, out_len - done);
        if (n < 0 && errno != EINTR)
            exit(errno == EPIPE ? 0 : 1);
        done += n > 0 ? (size_t)n : 0;
    }
    out_len = 0;
}

static inline void put(struct span s)
{
    memcpy(out + out_len, s.p, s.len);
    out_len += s.len;
}

/* The order in which the published clients write a tools/call.  The id is the
 * last member, so it is read backwards from the end of the line. */
static bool request_guess(const char *line, const char *end, struct request *r)
{
    static const char head[] =
        "{\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"message\":\"";
    static const char tail[] = "}},\"jsonrpc\":\"2.0\",\"id\":";
    if ((size_t)(end - line) < sizeof(head) + sizeof(tail) ||
        memcmp(line, head, sizeof(head) - 1) != 0)
        return false;
    const char *text = line + sizeof(head) - 1;
    const char *quote = memchr(text, '"', (size_t)(end - text));
    if (!quote || quote[-1] == '\\')
        return false;
    const char *id = end - 1;
    while (id[-1] >= '0' && id[-1] <= '9')
        id--;
    if (id - quote < (ptrdiff_t)sizeof(tail) || memcmp(id - 5, "\"id\":", 5) != 0)
        return false;
    r->method = SPAN("tools/call");
    r->text = (struct span){text, (size_t)(quote - text)};
    r->id = (struct span){id, (size_t)(end - 1 - id)};
    r->modern = memcmp(quote + 1, tail, sizeof(tail) - 1) != 0;
    return true;
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* The closing quote of the string whose first byte is at p, or end: the first
 * quote with an even number of backslashes before it. */
static const char *string_end(const char *p, const char *end)
{
    for (const char *from = p; (p = memchr(p, '"', (size_t)(end - p))); p++) {
        const char *slash = p;
        while (slash > from && slash[-1] == '\\')
            slash--;
        if ((p - slash) % 2 == 0)
            return p;
    }
    return end;
}

/* The token at p: a string with its quotes, or a number. */
static struct span token_at(const char *p, const char *end)
{
    const char *from = p;
    if (p < end && *p == '"') {
        p = string_end(p + 1, end);
        return (struct span){from, (size_t)(p - from) + (p < end)};
    }
    while (p < end && *p != ',' && *p != '}' && *p != ' ' && *p != '\t' && *p != '\r')
        p++;
    return (struct span){from, (size_t)(p - from)};
}

static struct span unquoted(struct span s)
{
    if (s.len < 2 || *s.p != '"')
        return s;
    return (struct span){s.p + 1, s.len - 2};
}

static bool span_is(struct span s, struct span want)
{
    return s.len == want.len && memcmp(s.p, want.p, s.len) == 0;
}

/* Any order of keys and any blanks: hop from string to string, and look at
 * those that a colon follows. */
static void request_walk(const char *line, const char *end, struct request *r)
{
    const char *p = line;
    while (p < end && (p = memchr(p, '"', (size_t)(end - p)))) {
        struct span key = {p + 1, 0};
        p = string_end(p + 1, end);
        key.len = (size_t)(p - key.p);
        p = skip_blanks(p + 1, end);
        if (p >= end || *p != ':')
            continue;
        p = skip_blanks(p + 1, end);
        if (p >= end || *p == '{' || *p == '[')
            continue;
        struct span value = token_at(p, end);
        p += value.len;
        if (span_is(key, SPAN("id")) && !r->id.p)
            r->id = value; /* with its quotes, when it is a string: the raw token goes back */
        else if (span_is(key, SPAN("method")) && !r->method.p)
            r->method = unquoted(value);
        else if (span_is(key, SPAN("message")) && !r->text.p)
            r->text = unquoted(value);
        else if (span_is(key, SPAN("io.modelcontextprotocol/protocolVersion")))
            r->modern = true;
    }
}

#define SERVER "{\"name\":\"limit\",\"version\":\"1\"}"
#define META   ",\"_meta\":{\"io.modelcontextprotocol/serverInfo\":" SERVER "}}}\n"
#define LIST   ",\"ttlMs\":60000,\"cacheScope\":\"public\""

static void answer_call(const struct request *r)
{
    if (r->modern)
        put(SPAN(
            ",\"result\":{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":"
            "\"Echo: "));
    else
        put(SPAN(",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"Echo: "));
    put(r->text);
    if (r->modern)
        put(SPAN("\"}]" META));
    else
        put(SPAN("\"}]}}\n"));
}

static void answer_other(const struct request *r)
{
    if (span_is(r->method, SPAN("tools/list"))) {
        put(SPAN(",\"result\":{\"tools\":"));
        put(tools);
        if (r->modern)
            put(SPAN(",\"resultType\":\"complete\"" LIST META));
        else
            put(SPAN("}}\n"));
    } else if (span_is(r->method, SPAN("initialize"))) {
        put(SPAN(",\"result\":{\"protocolVersion\":\"2025-11-25\",\"capabilities\":{\"tools\":{}},"
                 "\"serverInfo\":" SERVER "}}\n"));
    } else if (span_is(r->method, SPAN("server/discover"))) {
        put(SPAN(",\"result\":{\"resultType\":\"complete\",\"supportedVersions\":[\"2026-07-28\"],"
                 "\"capabilities\":{\"tools\":{}}" LIST META));
    } else if (span_is(r->method, SPAN("ping"))) {
        put(SPAN(",\"result\":{}}\n"));
    } else {
        put(SPAN(",\"error\":{\"code\":-32601,\"message\":\"the limit does not know it\"}}\n"));
    }
}

static void answer(const char *line, const char *end)
{
    struct request r = {.modern = false};
    if (!guess || !request_guess(line, end, &r))
        request_walk(line, end, &r);
    if (!r.id.p)
        return; /* a notification or a blank line */
    if (out_len + r.id.len + r.text.len + tools.len + ENVELOPE_MAX > OUT_SIZE)
        flush();
    put(SPAN("{\"jsonrpc\":\"2.0\",\"id\":"));
    put(r.id);
    if (span_is(r.method, SPAN("tools/call")) || span_is(r.method, SPAN("tools\\/call")))
        answer_call(&r);
    else
        answer_other(&r);
}

static int tools_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, tools_file, TOOLS_MAX);
    if (n <= 0 || n == TOOLS_MAX) {
        fprintf(stderr, "bench-limit: %s: expected a list of 1 byte to 1 MiB\n", path);
        return -1;
    }
    close(fd);
    tools = (struct span){tools_file, (size_t)n - (tools_file[n - 1] == '\n')};
    return 0;
}

static int options_read(int argc, char **argv)
{
    tools = SPAN("[{\"name\":\"echo\",\"inputSchema\":{\"type\":\"object\"}}]");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--walk") == 0) {
            guess = false;
        } else if (strcmp(argv[i], "--tools") == 0 && i + 1 < argc) {
            if (tools_read(argv[++i]) < 0)
                return 1;
        } else {
            fprintf(stderr, "usage: bench-limit [--walk] [--tools FILE]\n");
            return 2;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    int bad = options_read(argc, argv);
    if (bad)
        return bad;
    size_t len = 0; /* bytes of an unfinished line at the front of in[] */
    for (;;) {
        ssize_t n = read(STDIN_FILENO, in + len, IN_SIZE - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0;
        char *line = in, *scan = in + len, *end = in + len + (size_t)n, *nl;
        while ((nl = memchr(scan, '\n', (size_t)(end - scan)))) {
            answer(line, nl);
            line = scan = nl + 1;
        }
        flush();
        len = (size_t)(end - line);
        if (len > LINE_MAX_BYTES) {
            fprintf(stderr, "bench-limit: a line of more than 8 MiB\n");
            return 1;
        }
        if (line != in)
            memmove(in, line, len);
    }
}
