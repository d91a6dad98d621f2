/* Plugins whose constructor does not come back, or not as it should. */
#include "bad.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not _exit(): ThreadSanitizer replaces the code of one that comes out of dlopen(). */
__attribute__((unused)) static void leave(int code)
{
    syscall(SYS_exit_group, code);
}

#if defined(BAD_IS_FORK_CONSTRUCTOR) || defined(BAD_IS_NOSY_CONSTRUCTOR)
/* Only the probe cleans up and is confined; there argv[1] is "probe". */
static int in_probe(void)
{
    char line[64] = {0};
    FILE *f = fopen("/proc/self/cmdline", "r");
    size_t n = f ? fread(line, 1, sizeof(line) - 1, f) : 0;
    if (f)
        fclose(f);
    return n > 6 && strcmp(line + strlen(line) + 1, "probe") == 0;
}
#endif

#ifdef BAD_IS_NOSY_CONSTRUCTOR
extern char **environ;

/* Ends the probe when it finds more than a probe may see: an environment, input, core
 * dumps, or descriptors beyond 0 to 2, the library, the result and the directory just opened. */
static void look_around(void)
{
    struct rlimit core;
    char byte;
    int descriptors = 0;
    for (char **e = environ; *e; e++) {
        if (!strstr(*e, "SAN_OPTIONS="))
            leave(21);
    }
    if (read(0, &byte, 1) != 0)
        leave(22);
    if (getrlimit(RLIMIT_CORE, &core) || core.rlim_max != 0)
        leave(23);
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *it; d && (it = readdir(d));)
        descriptors += it->d_name[0] != '.';
    if (d)
        closedir(d);
    if (descriptors != 6)
        leave(24);
}
#endif

__attribute__((constructor)) static void misbehave(void)
{
#if defined(BAD_IS_CRASH_CONSTRUCTOR)
    /* The default action, so that a sanitizer's handler does not turn it into an exit code. */
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
#elif defined(BAD_IS_HANG_CONSTRUCTOR)
    for (;;)
        pause();
#elif defined(BAD_IS_EXIT_CONSTRUCTOR)
    leave(3);
#elif defined(BAD_IS_GARBAGE_CONSTRUCTOR)
    static const char text[] = "}garbage{ on every descriptor\n";
    for (int fd = 0; fd < 64; fd++) {
        if (write(fd, text, sizeof(text) - 1) < 0)
            continue;
    }
    leave(0);
#elif defined(BAD_IS_FORK_CONSTRUCTOR)
    if (in_probe() && fork() == 0) {
        for (;;)
            pause();
    }
#elif defined(BAD_IS_NOSY_CONSTRUCTOR)
    if (in_probe())
        look_around();
#elif defined(BAD_IS_MOODY_CONSTRUCTOR)
    /* Bad as long as there is such a file where the host was started. */
    if (access("moody", F_OK) == 0)
        leave(9);
#endif
}

BAD_PLUGIN(.open = bad_open, .call = bad_plain_call, .close = bad_close);
