#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "cli/command.h"
#include "cli/open.h"
#include "cli/table.h"
#include "json/writer.h"
#include "mcp/session.h"

enum { ANSWER_MAX = 64 << 20, ANSWER_NODES = (1 << 24) - 1 };

/* The client's side of a session that stays in memory. */
struct caller {
    struct stream stream; /* first */
    struct buf message;   /* the one being written */
    struct buf answer;    /* the response; empty until it is there */
    struct json_doc doc;  /* of the last message */
    bool progress;        /* shown */
};

static const struct json_limits answer_limits = {
    .bytes = ANSWER_MAX, .depth = 1000, .nodes = ANSWER_NODES, .duplicates = true};

static struct buf *caller_begin(struct stream *s)
{
    struct caller *c = (struct caller *)s;
    buf_clear(&c->message, SIZE_MAX);
    return &c->message;
}

static void show_progress(const struct json_doc *d)
{
    json_ref p = json_get(d, 0, STR("params"));
    double done, total;
    if (!p || !json_is(d, p, JSON_OBJECT) || !json_get(d, p, STR("progress")) ||
        !json_double(d, json_get(d, p, STR("progress")), &done))
        return;
    json_ref t = json_get(d, p, STR("total")), text = json_get(d, p, STR("message"));
    struct buf b = BUF_INIT(1 << 16), scratch = BUF_INIT(1 << 16);
    buf_printf(&b, "progress: %g", done);
    if (t && json_double(d, t, &total))
        buf_printf(&b, " of %g", total);
    if (text) {
        buf_lit(&b, "  ");
        table_cell(&b, table_json_text(json_raw(d, text), &scratch), 0);
    }
    fprintf(stderr, "%.*s\n", STR_FMT(buf_view(&b)));
    buf_release(&b);
    buf_release(&scratch);
}

static int caller_end(struct stream *s)
{
    struct caller *c = (struct caller *)s;
    struct json_error bad;
    if (c->message.failed)
        return -ENOBUFS;
    if (json_read(&c->doc, buf_view(&c->message), &answer_limits, &bad))
        BUG("the session wrote no JSON: %s", bad.text);
    if (json_get(&c->doc, 0, STR("method"))) {
        if (c->progress)
            show_progress(&c->doc);
        return 0;
    }
    c->answer.len = 0;
    if (buf_str(&c->answer, buf_view(&c->message)))
        return -ENOBUFS;
    return 0;
}

static bool caller_congested(const struct stream *s)
{
    (void)s;
    return false;
}

static void write_request(struct buf *b, const char *tool, struct str arguments)
{
    buf_lit(b, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":");
    json_write_string(b, str_of(tool));
    buf_lit(b, ",\"arguments\":");
    buf_str(b, arguments);
    buf_lit(b, ",\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
               "\"io.modelcontextprotocol/clientCapabilities\":{},\"progressToken\":1}}}");
}

/* The operand itself, or for "-" all of standard input. */
static int read_arguments(const char *operand, struct buf *b, struct err *e)
{
    if (strcmp(operand, "-") != 0)
        return buf_append(b, operand, strlen(operand));
    for (;;) {
        int r = buf_reserve(b, 65536);
        ssize_t n = r ? r : read(0, b->data + b->len, 65536);
        if (r || (n < 0 && errno != EINTR))
            return err_set(e, r ? r : -errno, "standard input: %s", strerror(r ? -r : errno));
        if (n == 0)
            return 0;
        b->len += n > 0 ? (size_t)n : 0;
    }
}

static int check_arguments(struct str json, struct err *e)
{
    struct json_doc d = {0};
    struct json_error bad;
    int r = json_read(&d, json, &json_limits_default, &bad);
    if (r)
        err_set(e, r, "the arguments are no JSON: %s", bad.text);
    else if (!json_is(&d, 0, JSON_OBJECT))
        r = err_set(e, -EINVAL, "expected the arguments as a JSON object, found %s",
                    json_type_name(json_type(&d, 0)));
    json_doc_release(&d);
    return r;
}

/* Text blocks as they are, each ending its line; other kinds are only mentioned. */
static void print_content(const struct json_doc *d, json_ref content, struct buf *out)
{
    if (!content || !json_is(d, content, JSON_ARRAY))
        return;
    json_each (d, content, it) {
        json_ref type = json_get(d, it, STR("type")), text = json_get(d, it, STR("text"));
        if (type && text && json_string_eq(d, type, STR("text"))) {
            json_string_append(d, text, out);
            if (!out->len || out->data[out->len - 1] != '\n')
                buf_byte(out, '\n');
        } else if (type) {
            fprintf(stderr, "manifold: a block of type %.*s is left out; --json shows it\n",
                    STR_FMT(json_raw(d, type)));
        }
    }
}

static int print_error(const struct json_doc *d, json_ref error)
{
    struct buf scratch = BUF_INIT(ANSWER_MAX), shown = BUF_INIT(ANSWER_MAX);
    json_ref message = error ? json_get(d, error, STR("message")) : 0;
    if (message)
        table_cell(&shown, table_json_text(json_raw(d, message), &scratch), 0);
    cli_fail(EXIT_WRONG, "%.*s", STR_FMT(buf_view(&shown)));
    buf_release(&scratch);
    buf_release(&shown);
    return EXIT_WRONG;
}

static int print_answer(struct visit *v, struct caller *c, bool json)
{
    struct json_doc *d = &c->doc;
    struct json_error bad;
    if (!c->answer.len || json_read(d, buf_view(&c->answer), &answer_limits, &bad))
        return cli_fail(EXIT_BROKEN, "the call got no answer");
    json_ref result = json_get(d, 0, STR("result")), error = json_get(d, 0, STR("error"));
    json_ref flag = result ? json_get(d, result, STR("isError")) : 0;
    bool wrong = !result || (flag && json_is(d, flag, JSON_TRUE));
    struct buf b = BUF_INIT(ANSWER_MAX);
    int code;
    if (json) {
        buf_str(&b, json_raw(d, result ? result : error));
        buf_byte(&b, '\n');
        code = visit_print(v, &b, wrong ? EXIT_WRONG : EXIT_GOOD);
    } else if (!result) {
        code = print_error(d, error);
    } else {
        print_content(d, json_get(d, result, STR("content")), &b);
        struct visit to = {.out = wrong ? 2 : v->out};
        code = visit_print(&to, &b, wrong ? EXIT_WRONG : EXIT_GOOD);
    }
    buf_release(&b);
    return code;
}

static int call_tool(const struct args *a, struct visit *v, struct str arguments)
{
    struct caller c = {.stream = {caller_begin, caller_end, caller_congested},
                       .message = BUF_INIT(ANSWER_MAX),
                       .answer = BUF_INIT(ANSWER_MAX),
                       .progress = isatty(2) && !a->json};
    struct buf request = BUF_INIT(ANSWER_MAX);
    struct session *s = session_new(v->host);
    write_request(&request, a->operand[0], arguments);
    session_message(s, buf_view(&request), &c.stream);
    while (!c.answer.len && session_calls(s))
        uv_run(&v->loop, UV_RUN_ONCE);
    int code = print_answer(v, &c, a->json);
    session_free(s);
    buf_release(&request);
    buf_release(&c.message);
    buf_release(&c.answer);
    json_doc_release(&c.doc);
    return code;
}

static int run(const struct args *a)
{
    struct visit v;
    struct err e;
    struct buf arguments = BUF_INIT(json_limits_default.bytes);
    const char *json = a->operands > 1 ? a->operand[1] : "{}";
    int code;
    if (read_arguments(json, &arguments, &e) || check_arguments(buf_view(&arguments), &e))
        code = cli_fail(EXIT_USAGE, "%s", e.text);
    else if (visit_open(&v, a, LOG_ERROR, &e))
        code = cli_fail(EXIT_WRONG, "%s", e.text);
    else {
        code = call_tool(a, &v, buf_view(&arguments));
        visit_close(&v);
    }
    buf_release(&arguments);
    return code;
}

const struct command command_call = {
    .name = "call",
    .operands = "TOOL [JSON]",
    .summary = "Call one tool and print its text",
    .help = "JSON is the object of arguments, by default {}; - reads it from standard input.\n"
            "What the tool reports as an error goes to standard error, exit code 1.",
    .options = OPTIONS_HOST | 1 << OPTION_JSON,
    .operands_min = 1,
    .operands_max = 2,
    .run = run,
};
