#include "base/cpu_wait.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/bug.h"

enum { FIRST_KEPT_FD = 10 };

int cpu_wait_open(void)
{
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_KEPT_FD);
    close(fd);
    return high;
}

uint64_t cpu_wait_read(int fd)
{
    char text[96];
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
    if (n <= 0)
        return 0;
    text[n] = 0;
    char *second = strchr(text, ' ');
    return second ? strtoull(second + 1, NULL, 10) : 0;
}
