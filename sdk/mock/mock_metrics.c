/* mock_metrics.c - "manifold.metrics/1": series that a test can read. */
#include "mock_internal.h"

#include <manifold/metrics.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES_MAX = 10000 };

struct series {
    char *name, *unit;
    char *labels; /* "a=1,b=2", in the order of the names */
    mf_mock_metric sum;
};

struct mock_metrics {
    struct series *series; /* the handle is the index + 1 */
    size_t count, limit;
};

static struct mock_metrics *metrics_of(mf_mock *m)
{
    if (m->metrics == NULL) {
        m->metrics = mock_checked(calloc(1, sizeof(*m->metrics)));
        m->metrics->limit = SERIES_MAX;
    }
    return m->metrics;
}

static bool is_name(mf_bytes s, size_t longest)
{
    if (s.len == 0 || s.len > longest || s.data[0] < 'a' || s.data[0] > 'z')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!((s.data[i] >= 'a' && s.data[i] <= 'z') || (s.data[i] >= '0' && s.data[i] <= '9') ||
              s.data[i] == '_'))
            return false;
    return true;
}

static bool ends_in(mf_bytes s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && memcmp(s.data + s.len - n, end, n) == 0;
}

static bool is_text(mf_bytes s, const char *text)
{
    return s.len == strlen(text) && (s.len == 0 || memcmp(s.data, text, s.len) == 0);
}

/* What metrics.h does not allow, or NULL. */
static const char *wrong(const mf_series *s)
{
    if (s->kind < MF_COUNTER || s->kind > MF_HISTOGRAM)
        return "there is no such kind";
    if (!is_name(s->name, 64) || ends_in(s->name, "_bucket") || ends_in(s->name, "_sum") ||
        ends_in(s->name, "_count") || (s->kind != MF_COUNTER && ends_in(s->name, "_total")))
        return "this is no name for a series";
    if (!is_text(s->unit, "") && !is_text(s->unit, "seconds") && !is_text(s->unit, "bytes"))
        return "the unit is none of \"seconds\", \"bytes\" and \"\"";
    if (!mock_utf8_valid(s->help))
        return "the help is not UTF-8";
    if (s->label_count > MF_LABELS_MAX)
        return "it has more than 4 labels";
    for (size_t i = 0; i < s->label_count; i++) {
        mf_bytes name = s->labels[i].name;
        if (!is_name(name, 32) || is_text(name, "plugin") || is_text(name, "le"))
            return "this is no name for a label";
        if (!mock_utf8_valid(s->labels[i].value))
            return "the value of a label is not UTF-8";
        for (size_t k = 0; k < i; k++)
            if (name.len == s->labels[k].name.len &&
                memcmp(name.data, s->labels[k].name.data, name.len) == 0)
                return "it has a label twice";
    }
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The parts in order, with commas between; takes them over. */
static char *join(char **part, size_t count)
{
    struct mock_buf b = {NULL, 0, 0};
    qsort(part, count, sizeof(*part), by_text);
    mock_buf_append(&b, MF_LIT(""));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            mock_buf_append(&b, MF_LIT(","));
        mock_buf_append(&b, (mf_bytes){part[i], strlen(part[i])});
        free(part[i]);
    }
    return b.data;
}

static char *labels_of(const mf_series *s)
{
    char *part[MF_LABELS_MAX];
    for (size_t i = 0; i < s->label_count; i++) {
        struct mock_buf b = {NULL, 0, 0};
        mf_bytes value = s->labels[i].value;
        if (value.len > 64) { /* not in the middle of a character */
            value.len = 64;
            while (value.len > 0 && ((unsigned char)value.data[value.len] & 0xC0) == 0x80)
                value.len--;
        }
        mock_buf_append(&b, s->labels[i].name);
        mock_buf_append(&b, MF_LIT("="));
        mock_buf_append(&b, value);
        part[i] = b.data;
    }
    return join(part, s->label_count);
}

/* Under the lock.  NULL, with a mistake noted where it is one. */
static struct series *find_or_make(mf_mock *m, const mf_series *s)
{
    struct mock_metrics *all = metrics_of(m);
    char *name = mock_copy(s->name), *labels = labels_of(s);
    struct series *found = NULL;
    bool clash = false;
    for (size_t i = 0; i < all->count; i++) {
        struct series *it = &all->series[i];
        if (strcmp(it->name, name) != 0)
            continue;
        clash |= it->sum.kind != s->kind || !is_text(s->unit, it->unit);
        if (strcmp(it->labels, labels) == 0)
            found = it;
    }
    if (clash)
        mock_mistake(m, "series(): %s has another kind or unit", name);
    if (clash || found != NULL || all->count >= all->limit) {
        free(name);
        free(labels);
        return clash ? NULL : found;
    }
    all->series = mock_grow(all->series, all->count, sizeof(*all->series));
    found = &all->series[all->count++];
    *found = (struct series){name, mock_copy(s->unit), labels, {.kind = s->kind}};
    return found;
}

static mf_metric metrics_series(const mf_host *host, const mf_series *s)
{
    mf_mock *m = mock_of(host);
    const char *why = MF_HAS(s, label_count) ? wrong(s) : "it is smaller than its fields";
    mf_metric metric = 0;
    pthread_mutex_lock(&m->lock);
    if (m->closed)
        mock_mistake(m, "series(): used after close()");
    if (why != NULL)
        mock_mistake(m, "series(): %s", why);
    else {
        struct series *found = find_or_make(m, s);
        metric = found ? (mf_metric)(found - m->metrics->series) + 1 : 0;
    }
    pthread_mutex_unlock(&m->lock);
    return metric;
}

/* Under the lock: the series, if it is one of these kinds and `value` is for it. */
static struct mf_mock_metric *figure(mf_mock *m, mf_metric metric, const char *function,
                                     unsigned kinds, double value, bool below_zero)
{
    struct mock_metrics *all = metrics_of(m);
    if (m->closed)
        mock_mistake(m, "%s(): used after close()", function);
    if (metric == 0)
        return NULL;
    if (metric > all->count || !(kinds & 1u << all->series[metric - 1].sum.kind)) {
        mock_mistake(m, "%s(): not for this series", function);
        return NULL;
    }
    if (!isfinite(value) || (value < 0 && !below_zero)) {
        mock_mistake(m, "%s(): %g is no figure for %s", function, value,
                     all->series[metric - 1].name);
        return NULL;
    }
    return &all->series[metric - 1].sum;
}

static void metrics_add(const mf_host *host, mf_metric metric, double amount)
{
    mf_mock *m = mock_of(host);
    pthread_mutex_lock(&m->lock);
    bool gauge = metric > 0 && metric <= metrics_of(m)->count &&
                 m->metrics->series[metric - 1].sum.kind == MF_GAUGE;
    mf_mock_metric *f = figure(m, metric, "add", 1u << MF_COUNTER | 1u << MF_GAUGE, amount, gauge);
    if (f != NULL)
        f->value += amount;
    pthread_mutex_unlock(&m->lock);
}

static void metrics_set(const mf_host *host, mf_metric metric, double value)
{
    mf_mock *m = mock_of(host);
    pthread_mutex_lock(&m->lock);
    mf_mock_metric *f = figure(m, metric, "set", 1u << MF_GAUGE, value, true);
    if (f != NULL)
        f->value = value;
    pthread_mutex_unlock(&m->lock);
}

static void metrics_observe(const mf_host *host, mf_metric metric, double value)
{
    mf_mock *m = mock_of(host);
    pthread_mutex_lock(&m->lock);
    mf_mock_metric *f = figure(m, metric, "observe", 1u << MF_HISTOGRAM, value, false);
    if (f != NULL) {
        f->min = f->count == 0 || value < f->min ? value : f->min;
        f->max = f->count == 0 || value > f->max ? value : f->max;
        f->value += value;
        f->count++;
    }
    pthread_mutex_unlock(&m->lock);
}

const struct mf_metrics mock_metrics = {sizeof(mf_metrics), 0,           metrics_series,
                                        metrics_add,        metrics_set, metrics_observe};

void mock_metrics_release(mf_mock *m)
{
    if (m->metrics == NULL)
        return;
    for (size_t i = 0; i < m->metrics->count; i++) {
        free(m->metrics->series[i].name);
        free(m->metrics->series[i].unit);
        free(m->metrics->series[i].labels);
    }
    free(m->metrics->series);
    free(m->metrics);
}

/* ---- for tests ------------------------------------------------------------ */

void mf_mock_set_series_limit(mf_mock *m, size_t series)
{
    pthread_mutex_lock(&m->lock);
    metrics_of(m)->limit = series;
    pthread_mutex_unlock(&m->lock);
}

/* "b=2,a=1" as "a=1,b=2". */
static char *in_order(const char *labels)
{
    char *part[64], *copy = mock_copy((mf_bytes){labels, strlen(labels)});
    size_t count = 0;
    for (char *p = copy; p != NULL && *p != 0 && count < 64;) {
        char *comma = strchr(p, ',');
        size_t n = comma ? (size_t)(comma - p) : strlen(p);
        part[count++] = mock_copy((mf_bytes){p, n});
        p = comma ? comma + 1 : NULL;
    }
    free(copy);
    return join(part, count);
}

int mf_mock_metric_read(mf_mock *m, const char *name, const char *labels, mf_mock_metric *ret)
{
    char *wanted = in_order(labels ? labels : "");
    int found = 0;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < metrics_of(m)->count && !found; i++) {
        const struct series *s = &m->metrics->series[i];
        found = strcmp(s->name, name) == 0 && strcmp(s->labels, wanted) == 0;
        if (found)
            *ret = s->sum;
    }
    pthread_mutex_unlock(&m->lock);
    free(wanted);
    return found;
}
