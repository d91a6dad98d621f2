#include "cli/command.h"
#include "cli/reach.h"

static int run(const struct args *a)
{
    static struct reach reach;
    int code = reach_find(a, &reach);
    if (!code && reach.count > 1)
        return cli_fail(EXIT_USAGE,
                        "%u hosts are running; choose one with --pid: \"manifold status\" shows "
                        "them",
                        reach.count);
    return code ? code : reach_reload(&reach.host[0]);
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
