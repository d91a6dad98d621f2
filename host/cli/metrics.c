#include <unistd.h>
#include "cli/command.h"
#include "cli/open.h"
#include "cli/reach.h"

enum { ANSWER_MS = 10000, PRINT_MAX = 64 << 20 };

/* The text as the host wrote it, for a program to read. */
static int print_text(const struct json_doc *d)
{
    struct visit v = {.out = STDOUT_FILENO};
    struct buf b = BUF_INIT(PRINT_MAX);
    json_ref text = json_get(d, 0, STR("text"));
    int code = EXIT_GOOD;
    if (!text || !json_is(d, text, JSON_STRING))
        code = cli_fail(EXIT_BROKEN, "the host's answer has no text");
    else
        json_string_append(d, text, &b);
    code = code ? code : visit_print(&v, &b, EXIT_GOOD);
    buf_release(&b);
    return code;
}

static int run(const struct args *a)
{
    static struct reach reach;
    struct visit v = {.out = STDOUT_FILENO};
    struct buf text = BUF_INIT(REACH_ANSWER + 1);
    struct json_doc d = {0};
    int code = reach_find(a, &reach);
    if (!code && reach.count > 1)
        return cli_fail(EXIT_USAGE,
                        "%u hosts are running; choose one with --pid: \"manifold status\" shows "
                        "them",
                        reach.count);
    code =
        code ? code
             : reach_ask_or_say(&reach.host[0], a->json ? "perf" : "metrics", ANSWER_MS, &text, &d);
    if (!code && a->json) {
        buf_byte(&text, '\n');
        code = visit_print(&v, &text, code);
    } else if (!code) {
        code = print_text(&d);
    }
    json_doc_release(&d);
    buf_release(&text);
    return code;
}

const struct command command_metrics = {
    .name = "metrics",
    .operands = "",
    .summary = "Print the metrics of a running host as Prometheus reads them",
    .help =
        "The exposition format 0.0.4, for the textfile collector or a scrape by a script; with\n"
        "--json the object of the resource perf://metrics. Exit code 1 when the host does not\n"
        "answer, 3 when there is none to ask.",
    .options = 1 << OPTION_JSON | 1 << OPTION_PID | 1 << OPTION_SOCKET | 1 << OPTION_HELP,
    .run = run,
};
