/* host/services/metrics/name.h - names, units and labels of series; private to metrics/. */
#ifndef MANIFOLD_SERVICES_SERIES_NAME_H
#define MANIFOLD_SERVICES_SERIES_NAME_H

#include "services/metrics/series.h"

enum {
    SERIES_UNITS = 3,
    SERIES_NAME = 64, /* bytes, as are those below */
    SERIES_LABEL = 32,
    SERIES_VALUE = 64,
    SERIES_KEY = SERIES_NAME + 1 + MF_LABELS_MAX * (SERIES_LABEL + SERIES_VALUE + 2)
};

struct series_unit {
    struct str name;
    const struct series_bounds *bounds; /* of histograms */
};
extern const struct series_unit series_units[SERIES_UNITS]; /* the first is none */

/* NULL, with the labels in the order of their names; or what was expected. */
const char *series_check(const mf_series *wanted, struct series_label label[MF_LABELS_MAX]);
/* The name without unit and "_total", and the unit: "x_seconds" is "x" with the unit "seconds".
 * Of what series_check() has passed. */
struct str series_base(const mf_series *wanted, uint32_t *ret_unit);
/* The help, cut. */
struct str series_help(const mf_series *wanted);
/* Name and labels, one behind the other; bytes. */
size_t series_key(struct str name, const struct series_label *label, size_t labels,
                  char key[SERIES_KEY]);
/* The labels of one->text, which is such a key, into one->label. */
void series_key_read(struct series *one, struct str name, size_t labels);

#endif
