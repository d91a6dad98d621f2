#include "runtime/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/bug.h"

double process_time(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

uint64_t process_cpu(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The file's text, cut; empty when it can't be read. */
static const char *read_text(const char *path, char *text, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static uint64_t read_rss(void)
{
    char text[256];
    const char *resident = strchr(read_text("/proc/self/statm", text, sizeof(text)), ' ');
    return resident ? strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t read_pss(void)
{
    char text[1024];
    const char *at = strstr(read_text("/proc/self/smaps_rollup", text, sizeof(text)), "\nPss:");
    return at ? strtoull(at + 5, NULL, 10) * 1024 : 0;
}

static uint64_t count_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    uint64_t n = 0;
    for (const struct dirent *it; d && (it = readdir(d));)
        n += it->d_name[0] != '.';
    if (d)
        closedir(d);
    return n ? n - 1 : 0; /* the directory's own */
}

void process_read(struct process_figures *ret)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    *ret = (struct process_figures){.cpu = process_cpu(),
                                    .rss = read_rss(),
                                    .pss = read_pss(),
                                    .memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * page,
                                    .open_files = count_files()};
}
