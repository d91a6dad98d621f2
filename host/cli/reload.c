#include <unistd.h>
#include "cli/command.h"
#include "cli/open.h"
#include "cli/reach.h"
#include "cli/table.h"

/* A reload stages libraries and drains the old ones; the host bounds both. */
enum { ANSWER_MS = 300000, PRINT_MAX = 1 << 20 };

static int print_summary(const struct json_doc *d)
{
    json_ref ok = json_get(d, 0, STR("ok")), summary = json_get(d, 0, STR("summary"));
    struct visit v = {.out = STDOUT_FILENO};
    struct buf b = BUF_INIT(PRINT_MAX), scratch = BUF_INIT(PRINT_MAX);
    int code = ok && json_is(d, ok, JSON_TRUE) ? EXIT_GOOD : EXIT_WRONG;
    if (code)
        v.out = STDERR_FILENO;
    table_cell(&b, code ? STR("manifold: ") : STR_NONE, 0);
    if (summary && json_is(d, summary, JSON_STRING))
        table_cell(&b, json_string(d, summary, &scratch), 0);
    else
        table_cell(&b, code ? STR("the host did not reload") : STR("reloaded"), 0);
    buf_byte(&b, '\n');
    code = visit_print(&v, &b, code);
    buf_release(&b);
    buf_release(&scratch);
    return code;
}

static int run(const struct args *a)
{
    static struct reach reach;
    struct buf text = BUF_INIT(REACH_ANSWER);
    struct json_doc d = {0};
    int code = reach_find(a, &reach);
    if (!code && reach.count > 1)
        return cli_fail(EXIT_USAGE,
                        "%u hosts are running; choose one with --pid: \"manifold status\" shows "
                        "them",
                        reach.count);
    code = code ? code : reach_ask_or_say(&reach.host[0], "reload", ANSWER_MS, &text, &d);
    code = code ? code : print_summary(&d);
    json_doc_release(&d);
    buf_release(&text);
    return code;
}

const struct command command_reload = {
    .name = "reload",
    .operands = "",
    .summary = "Make a running host read its config and plugins anew",
    .help =
        "It waits until the host has done it and prints what has changed. Exit code 1 when the\n"
        "host says no, 3 when there is no host to ask.",
    .options = 1 << OPTION_PID | 1 << OPTION_SOCKET | 1 << OPTION_HELP,
    .run = run,
};
