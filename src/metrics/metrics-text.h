/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text in OpenMetrics 1.0, or in the older format of Prometheus (0.0.4): families of
 * samples, each family in one piece, whatever the order in which its samples come.
 *
 * Names are those of Prometheus' conventions: base units, the unit last, "_total" behind
 * it for counters, which metrics_text_... adds.  Main only.
 */
#pragma once

#include "berth/base.h"

typedef struct MetricsText MetricsText;
typedef struct MetricsFamily MetricsFamily;

typedef enum MetricsFormat {
    METRICS_OPENMETRICS,
    METRICS_PROMETHEUS,
} MetricsFormat;

#define METRICS_FORMATS 2

typedef enum MetricsType {
    METRICS_COUNTER,
    METRICS_GAUGE,
    METRICS_HISTOGRAM,
    METRICS_INFO,
    METRICS_STATESET,
} MetricsType;

MetricsText *metrics_text_new(void);
void metrics_text_free(MetricsText *text);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MetricsText, metrics_text_free)

/* The whole in a format; the caller frees. */
GString *metrics_text_write(const MetricsText *text, MetricsFormat format);

/*
 * The family @name, which is made when it is named first.  Of its name, what no name may
 * have becomes '_'.  A @name that ends in "_seconds" or "_bytes" has that unit.
 */
MetricsFamily *metrics_text_family(MetricsText *text, MetricsType type, const char *name,
                              const char *help);

/* Appends a label to @labels, a text of them that begins empty. */
void metrics_text_label(GString *labels, const char *name, const char *value);

/* Samples; @labels as metrics_text_label() made them, "" for none. */
void metrics_text_add(MetricsFamily *family, const char *labels, uint64_t value);
void metrics_text_add_double(MetricsFamily *family, const char *labels, double value);

/* A sample of a family of its own, or one of several: a counter, the same in seconds. */
void metrics_text_count(MetricsText *text, const char *name, const char *help,
                        const char *labels, uint64_t value);
void metrics_text_time(MetricsText *text, const char *name, const char *help,
                       const char *labels, uint64_t ns);
void metrics_text_gauge(MetricsText *text, const char *name, const char *help,
                        const char *labels, uint64_t value);

/* A number in the form that bounds of histograms have; the caller frees. */
char *metrics_text_number(double value);

/*
 * A histogram of @n_bins counts.  Each bin but the last ends at its bound, which it has
 * in it; bounds are numbers that rise.
 */
void metrics_text_add_histogram(MetricsFamily *family, const char *labels,
                           char *const *bounds, const uint64_t *bins, size_t n_bins);
