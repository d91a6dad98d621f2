#include "samples.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>

static void put_double(mfj_writer *w, const char *key, double value)
{
    mfj_put_key(w, key);
    mfj_put_double(w, value);
}

static double percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

/* Percent.  CPU: of the last minute's load, which counts processes that wait for the disk, too. */
static void write_system(mfj_writer *w, const struct tally *tally, uint64_t now)
{
    struct sysinfo info;
    struct statvfs disk;
    double load;
    (void)tally, (void)now;
    if (getloadavg(&load, 1) == 1)
        put_double(w, "cpu_usage", percent(load, get_nprocs()));
    if (sysinfo(&info) == 0)
        put_double(w, "memory_usage",
                   percent((double)(info.totalram - info.freeram - info.bufferram),
                           (double)info.totalram));
    if (statvfs("/", &disk) == 0)
        put_double(w, "disk_usage",
                   percent((double)(disk.f_blocks - disk.f_bfree), (double)disk.f_blocks));
}

/* Of the reads that came through to the plugin: what the cache answered never did. */
static void write_analytics(mfj_writer *w, const struct tally *tally, uint64_t now)
{
    double reads = (double)tally->reads, minutes = (double)(now - tally->since) / 60e9;
    put_double(w, "requests_per_minute", minutes > 0 ? reads / minutes : 0);
    put_double(w, "average_response_time", reads > 0 ? (double)tally->ns / 1e9 / reads : 0);
    put_double(w, "error_rate", reads > 0 ? (double)tally->failed / reads : 0);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* The host's process, all plugins inside it included. */
static void write_process(mfj_writer *w, const struct tally *tally, uint64_t now)
{
    struct rusage usage;
    (void)tally, (void)now;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    put_double(w, "cpu_seconds", seconds(usage.ru_utime) + seconds(usage.ru_stime));
    put_double(w, "largest_memory_mib", (double)usage.ru_maxrss / 1024);
}

static const struct sample samples[] = {{"system", "system", write_system},
                                        {"analytics", "metrics", write_analytics},
                                        {"process", "process", write_process}};

const struct sample *sample_find(mf_bytes type)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        if (strlen(samples[i].type) == type.len &&
            memcmp(samples[i].type, type.data, type.len) == 0)
            return &samples[i];
    return NULL;
}
