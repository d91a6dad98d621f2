/* samples.h - the figures that perf://data/... shows, as they are when they are asked for. */
#ifndef PERF_SAMPLES_H
#define PERF_SAMPLES_H

#include <manifold/json.h>

#include <stdatomic.h>

/* What the plugin has done so far; the host's cache keeps most requests away from it. */
struct tally {
    uint64_t since; /* host->now() at open() */
    _Atomic uint64_t reads, failed, ns;
};

/* Writes the members of one kind of figures, {"cpu_usage":..} and so on.  Any thread; it may wait
 * for the disk, so not on the loop. */
struct sample {
    const char *type;   /* of perf://data/{data_type} */
    const char *member; /* that holds them */
    void (*write)(mfj_writer *w, const struct tally *tally, uint64_t now);
};

/* NULL: there is no such type. */
const struct sample *sample_find(mf_bytes type);

#endif
