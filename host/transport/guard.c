#include "transport/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PRIVATE_FROM = 10 };

int guard_fill(struct err *e)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* The lower ones are open, so the lowest free number is this one. */
        if (open("/dev/null", O_RDWR) != fd)
            return err_set(e, -EIO,
                           "descriptor %d is closed and /dev/null can't be opened for it: %s", fd,
                           strerror(errno));
    }
    return 0;
}

int guard_move(struct guard *ret, struct err *e)
{
    if (protection_off("guard")) {
        *ret = (struct guard){0, 1};
        return 0;
    }
    int in = fcntl(0, F_DUPFD_CLOEXEC, PRIVATE_FROM);
    int out = fcntl(1, F_DUPFD_CLOEXEC, PRIVATE_FROM);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in < 0 || out < 0 || null < 0 || dup2(null, 0) < 0 || dup2(2, 1) < 0)
        return err_set(e, -errno, "standard input and output can't be moved away: %s",
                       strerror(errno));
    close(null);
    *ret = (struct guard){in, out};
    return 0;
}
