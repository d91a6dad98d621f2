/* host/cli/command.h - one file a command, one const table of them. */
#ifndef MANIFOLD_CLI_COMMAND_H
#define MANIFOLD_CLI_COMMAND_H

#include "cli/args.h"

struct command {
    const char *name;
    const char *operands; /* as the usage line shows them; "" when none */
    const char *summary;  /* one line */
    const char *help;     /* paragraphs below it; may be "" */
    unsigned options;     /* bits 1 << OPTION_* */
    uint32_t operands_min, operands_max;
    bool hidden; /* not in the help */
    int (*run)(const struct args *a);
};

extern const struct command command_serve, command_check, command_list, command_call,
    command_status, command_metrics, command_reload, command_lock, command_approve, command_probe;

/* Options of every command that opens the plugins. */
enum {
    OPTIONS_HOST = 1 << OPTION_PLUGINS | 1 << OPTION_CONFIG | 1 << OPTION_TRUST | 1 << OPTION_SET |
                   1 << OPTION_GRANT | 1 << OPTION_LOG_LEVEL | 1 << OPTION_LOG_FORMAT |
                   1 << OPTION_HELP
};

/* The whole program; the process's exit code. */
int cli_main(int argc, char **argv);
/* "manifold: sentence" to standard error; returns code. */
int cli_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
