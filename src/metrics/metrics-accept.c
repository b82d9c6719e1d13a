/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which format a client likes best: "Accept" of RFC 9110, 12.5.1.  What is quoted there
 * has no commas or semicolons in these types, so that it is split at them plainly.
 */
#include <string.h>

#include "metrics-private.h"

/* How well a range of types fits: "*", "text/...", "text/plain". */
typedef enum Fit {
    FIT_NONE,
    FIT_ANY,
    FIT_KIND,
    FIT_TYPE,
} Fit;

typedef struct FormatRow {
    const char *kind;
    const char *type;
    const char *versions[2];    /* that it may be asked for by */
} FormatRow;

/* The better one first.  0.0.1 is a draft of OpenMetrics that scrapers ask for. */
static const FormatRow formats[METRICS_FORMATS] = {
    [METRICS_OPENMETRICS] = { "application/", "application/openmetrics-text",
                              { "1.0.0", "0.0.1" } },
    [METRICS_PROMETHEUS] = { "text/", "text/plain", { "0.0.4", "0.0.4" } },
};

static Fit fit_of(const char *range, const FormatRow *format)
{
    size_t size = strlen(format->kind);

    if (strcmp(range, "*/*") == 0)
        return FIT_ANY;
    if (g_ascii_strcasecmp(range, format->type) == 0)
        return FIT_TYPE;
    if (g_ascii_strncasecmp(range, format->kind, size) == 0 &&
        strcmp(range + size, "*") == 0)
        return FIT_KIND;
    return FIT_NONE;
}

/* The value of parameter @name of @words, which begin with the range. */
static const char *parameter(char *const *words, const char *name)
{
    size_t size = strlen(name);

    for (char *const *word = words + 1; *word; word++) {
        if (g_ascii_strncasecmp(*word, name, size) == 0 && (*word)[size] == '=')
            return *word + size + 1;
    }
    return NULL;
}

static bool has_version(const FormatRow *format, const char *version)
{
    return !version || strcmp(version, format->versions[0]) == 0 ||
           strcmp(version, format->versions[1]) == 0;
}

/* How much a client wants it that says so, from 0 to 1. */
static double weight_of(const char *accept, const FormatRow *format)
{
    g_auto(GStrv) ranges = g_strsplit(accept, ",", 0);
    double weight = 0;
    Fit best = FIT_NONE;

    for (char **range = ranges; *range; range++) {
        g_auto(GStrv) words = g_strsplit(*range, ";", 0);
        const char *q;
        Fit fit;

        for (char **word = words; *word; word++)
            g_strstrip(*word);
        if (!words[0] || !has_version(format, parameter(words, "version")))
            continue;
        fit = fit_of(words[0], format);
        q = parameter(words, "q");
        if (fit < best || fit == FIT_NONE)
            continue;
        weight = MAX(fit > best ? 0 : weight, q ? g_ascii_strtod(q, NULL) : 1);
        best = fit;
    }
    return weight;
}

bool metrics_accept_choose(const char *accept, MetricsFormat *ret_format)
{
    double most = 0;

    if (!accept || !*accept) {
        *ret_format = METRICS_OPENMETRICS;
        return true;
    }
    for (unsigned i = 0; i < METRICS_FORMATS; i++) {
        double weight = weight_of(accept, &formats[i]);

        if (weight > most) {
            most = weight;
            *ret_format = i;
        }
    }
    return most > 0;
}
