/* host/cli/args.h - the command line, read by one const table of options.
 * Everything points into argv.  Main thread. */
#ifndef MANIFOLD_CLI_ARGS_H
#define MANIFOLD_CLI_ARGS_H

#include "base/err.h"

/* Documented in docs/manifold.1. */
enum exit_code {
    EXIT_GOOD = 0,
    EXIT_WRONG = 1, /* something is wrong with what was asked about: a plugin, a config, a call */
    EXIT_USAGE = 2,
    EXIT_NO_HOST = 3, /* no running host to ask */
    EXIT_BROKEN = 70, /* EX_SOFTWARE */
    EXIT_SYSTEM = 71  /* EX_OSERR */
};

enum { ARGS_PLUGINS = 64, ARGS_SETS = 256, ARGS_GRANTS = 256, ARGS_OPERANDS = 2 };

enum option {
    OPTION_PLUGINS,
    OPTION_CONFIG,
    OPTION_TRUST,
    OPTION_SET,
    OPTION_GRANT,
    OPTION_KEEP_LIBRARIES,
    OPTION_LOG_LEVEL,
    OPTION_LOG_FORMAT,
    OPTION_JSON,
    OPTION_YES,
    OPTION_PID,
    OPTION_SOCKET,
    OPTION_HELP,
    OPTION_VERSION,
    OPTIONS
};

struct option_spec {
    const char *name;  /* without the dashes */
    const char *value; /* what stands for the value in the help; NULL: takes none */
    const char *help;
};
extern const struct option_spec option_specs[OPTIONS];

struct args {
    const char *plugins[ARGS_PLUGINS];
    uint32_t plugins_count;
    const char *set[ARGS_SETS];
    uint32_t set_count;
    const char *grant[ARGS_GRANTS];
    uint32_t grant_count;
    const char *config, *keep_libraries, *socket;
    int pid;                   /* 0: not given */
    int log_level, log_format; /* enum log_level, log_format; -1: not given */
    bool trust, json, yes, help, version;
    const char *operand[ARGS_OPERANDS];
    uint32_t operands;
};

/* `allowed`: bits 1 << OPTION_*.  argv[0] is not looked at.  With `leading` it stops at the first
 * word that is no option.  *ret_used: words read.  0, or -EINVAL with a sentence. */
int args_read(int argc, char **argv, unsigned allowed, bool leading, struct args *ret,
              int *ret_used, struct err *e);

#endif
