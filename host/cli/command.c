#include "cli/command.h"

#include <errno.h>
#include <stdarg.h>

static const struct command *const commands[] = {
    &command_serve,   &command_check,  &command_list, &command_call,    &command_status,
    &command_metrics, &command_reload, &command_lock, &command_approve, &command_probe,
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

int cli_fail(int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("manifold: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return code;
}

static void print_options(unsigned options)
{
    puts("\nOptions:");
    for (int o = 0; o < OPTIONS; o++) {
        const struct option_spec *spec = &option_specs[o];
        if (!(options & 1u << o))
            continue;
        char left[40];
        snprintf(left, sizeof(left), "--%s%s%s", spec->name, spec->value ? " " : "",
                 spec->value ? spec->value : "");
        printf("  %-24s %s\n", left, spec->help);
    }
}

/* Help that nobody could read is an error like any other. */
static int flushed(void)
{
    return fflush(stdout) == 0 ? EXIT_GOOD
                               : cli_fail(EXIT_SYSTEM, "standard output: %s", strerror(errno));
}

static int print_command_help(const struct command *c)
{
    printf("Usage: manifold %s [OPTION]...%s%s\n\n%s.\n", c->name, *c->operands ? " " : "",
           c->operands, c->summary);
    if (*c->help)
        printf("\n%s\n", c->help);
    print_options(c->options);
    return flushed();
}

static void print_commands(FILE *to)
{
    fputs("Usage: manifold COMMAND [OPTION]...\n\n"
          "A plugin host for the Model Context Protocol (MCP).\n\nCommands:\n",
          to);
    for (int i = 0; i < COMMANDS; i++)
        if (!commands[i]->hidden)
            fprintf(to, "  %-24s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n\"manifold COMMAND --help\" says more about one.\n", to);
}

static int run_top(int argc, char **argv)
{
    struct args a;
    struct err e;
    int used;
    if (args_read(argc, argv, 1 << OPTION_HELP | 1 << OPTION_VERSION, true, &a, &used, &e))
        return cli_fail(EXIT_USAGE, "%s; see \"manifold --help\"", e.text);
    if (a.version) {
        puts("manifold " MANIFOLD_VERSION);
        return flushed();
    }
    if (a.help) {
        print_commands(stdout);
        print_options(1 << OPTION_HELP | 1 << OPTION_VERSION);
        return flushed();
    }
    print_commands(stderr);
    return EXIT_USAGE;
}

static int run_command(const struct command *c, int argc, char **argv)
{
    struct args a;
    struct err e;
    int used;
    if (args_read(argc, argv, c->options, false, &a, &used, &e))
        return cli_fail(EXIT_USAGE, "%s; see \"manifold %s --help\"", e.text, c->name);
    if (a.help)
        return print_command_help(c);
    if (a.operands < c->operands_min || a.operands > c->operands_max)
        return cli_fail(
            EXIT_USAGE,
            "expected \"manifold %s%s%s\", found %u words after %s; see \"manifold %s --help\"",
            c->name, *c->operands ? " " : "", c->operands, a.operands, c->name, c->name);
    return c->run(&a);
}

int cli_main(int argc, char **argv)
{
    if (argc < 2 || argv[1][0] == '-')
        return run_top(argc, argv);
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return run_command(commands[i], argc - 1, argv + 1);
    return cli_fail(EXIT_USAGE, "unknown command \"%s\"; see \"manifold --help\"", argv[1]);
}
