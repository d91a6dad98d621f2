#include "cli/command.h"
#include "plugin/library.h"

/* What the host starts to let a library's constructors run in a child: its one descriptor is 3. */
static int run(const struct args *a)
{
    (void)a;
    return library_probe_main(3, 1);
}

const struct command command_probe = {
    .name = "probe",
    .operands = "",
    .summary = "Map one library and print its outline; for the host's own use",
    .help = "",
    .options = 1 << OPTION_HELP,
    .hidden = true,
    .run = run,
};
