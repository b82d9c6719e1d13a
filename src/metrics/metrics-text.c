/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format is in "OpenMetrics, a cloud-native, highly scalable metrics protocol", 1.0:
 * metadata of a family (3.1 TYPE, UNIT, HELP), then its samples, "# EOF" at the end.  The
 * older one, Prometheus' "Exposition formats", has the same samples, but no units, fewer
 * types, the whole name of a counter in its metadata, and no end.
 */
#include <math.h>
#include <string.h>

#include "berth/decimal.h"

#include "metrics-text.h"

/* What metadata have beside names and help. */
#define METADATA_MAX 80

struct MetricsFamily {
    MetricsType type;
    char *name;
    char *help;
    GString *samples;
};

struct MetricsText {
    GPtrArray *families;        /* in the order in which they were named */
    GHashTable *by_name;        /* lends them and their names */
};

typedef struct TypeRow {
    const char *names[METRICS_FORMATS];
    const char *suffix;         /* of its samples, but those of histograms */
} TypeRow;

static const TypeRow types[] = {
    [METRICS_COUNTER] = { { "counter", "counter" }, "_total" },
    [METRICS_GAUGE] = { { "gauge", "gauge" }, "" },
    [METRICS_HISTOGRAM] = { { "histogram", "histogram" }, "" },
    [METRICS_INFO] = { { "info", "gauge" }, "_info" },
    [METRICS_STATESET] = { { "stateset", "gauge" }, "" },
};

static void family_free(gpointer opaque)
{
    MetricsFamily *family = opaque;

    g_string_free(family->samples, true);
    g_free(family->name);
    g_free(family->help);
    g_free(family);
}

MetricsText *metrics_text_new(void)
{
    MetricsText *text = g_new0(MetricsText, 1);

    text->families = g_ptr_array_new_with_free_func(family_free);
    text->by_name = g_hash_table_new(g_str_hash, g_str_equal);
    return text;
}

void metrics_text_free(MetricsText *text)
{
    if (!text)
        return;
    g_hash_table_unref(text->by_name);
    g_ptr_array_unref(text->families);
    g_free(text);
}

static void append_escaped(GString *out, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\n')
            g_string_append(out, "\\n");
        else if (*text == '\\' || (*text == '"' && quotes))
            g_string_append_printf(out, "\\%c", *text);
        else
            g_string_append_c(out, *text);
    }
}

static const char *unit_of(const char *name)
{
    static const char *const units[] = { "seconds", "bytes" };

    for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
        const char *at = strrchr(name, '_');

        if (at && strcmp(at + 1, units[i]) == 0)
            return units[i];
    }
    return NULL;
}

static void write_family(const MetricsFamily *family, MetricsFormat format, GString *out)
{
    bool is_old = format == METRICS_PROMETHEUS;
    const TypeRow *type = &types[family->type];
    const char *suffix = is_old ? type->suffix : "";
    const char *unit = is_old ? NULL : unit_of(family->name);

    g_string_append_printf(out, "# TYPE %s%s %s\n", family->name, suffix,
                           type->names[format]);
    if (unit)
        g_string_append_printf(out, "# UNIT %s %s\n", family->name, unit);
    g_string_append_printf(out, "# HELP %s%s ", family->name, suffix);
    append_escaped(out, family->help, !is_old);
    g_string_append_c(out, '\n');
    g_string_append_len(out, family->samples->str, family->samples->len);
}

/* No less than the text of @family takes, if its help has little to be escaped. */
static size_t size_of(const MetricsFamily *family)
{
    return family->samples->len + 3 * strlen(family->name) + strlen(family->help) +
           METADATA_MAX;
}

GString *metrics_text_write(const MetricsText *text, MetricsFormat format)
{
    GString *out;
    size_t size = 0;

    for (guint i = 0; i < text->families->len; i++)
        size += size_of(g_ptr_array_index(text->families, i));
    out = g_string_sized_new(size);
    for (guint i = 0; i < text->families->len; i++)
        write_family(g_ptr_array_index(text->families, i), format, out);
    if (format == METRICS_OPENMETRICS)
        g_string_append(out, "# EOF\n");
    return out;
}

static bool may_be_in_name(char c)
{
    return g_ascii_isalnum(c) || c == '_';
}

MetricsFamily *metrics_text_family(MetricsText *text, MetricsType type, const char *name,
                              const char *help)
{
    g_autofree char *clean = g_strdup(name);
    MetricsFamily *family;

    for (char *at = clean; *at; at++) {
        if (!may_be_in_name(*at))
            *at = '_';
    }
    family = g_hash_table_lookup(text->by_name, clean);
    if (family)
        return family;
    family = g_new0(MetricsFamily, 1);
    family->type = type;
    family->name = g_steal_pointer(&clean);
    family->help = g_strdup(help);
    family->samples = g_string_new(NULL);
    g_ptr_array_add(text->families, family);
    g_hash_table_insert(text->by_name, family->name, family);
    return family;
}

void metrics_text_label(GString *labels, const char *name, const char *value)
{
    g_autofree char *valid = g_utf8_make_valid(value, -1);

    if (labels->len > 0)
        g_string_append_c(labels, ',');
    g_string_append_printf(labels, "%s=\"", name);
    append_escaped(labels, valid, true);
    g_string_append_c(labels, '"');
}

static void begin_sample(MetricsFamily *family, const char *labels)
{
    g_string_append(family->samples, family->name);
    g_string_append(family->samples, types[family->type].suffix);
    if (*labels) {
        g_string_append_c(family->samples, '{');
        g_string_append(family->samples, labels);
        g_string_append_c(family->samples, '}');
    }
    g_string_append_c(family->samples, ' ');
}

void metrics_text_add(MetricsFamily *family, const char *labels, uint64_t value)
{
    begin_sample(family, labels);
    decimal_append(family->samples, value);
    g_string_append_c(family->samples, '\n');
}

/* Without a locale; a whole number with ".0", which is the canonical form. */
char *metrics_text_number(double value)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    g_ascii_formatd(text, sizeof(text), "%.15g", value);
    return g_strconcat(text, isfinite(value) && !strpbrk(text, ".e") ? ".0" : "", NULL);
}

void metrics_text_add_double(MetricsFamily *family, const char *labels, double value)
{
    g_autofree char *number = metrics_text_number(value);

    begin_sample(family, labels);
    g_string_append(family->samples, number);
    g_string_append_c(family->samples, '\n');
}

void metrics_text_add_histogram(MetricsFamily *family, const char *labels,
                           char *const *bounds, const uint64_t *bins, size_t n_bins)
{
    GString *out = family->samples;
    uint64_t sum = 0;

    for (size_t i = 0; i < n_bins; i++) {
        sum += bins[i];
        g_string_append(out, family->name);
        g_string_append(out, "_bucket{");
        g_string_append(out, labels);
        g_string_append(out, *labels ? ",le=\"" : "le=\"");
        g_string_append(out, i + 1 < n_bins ? bounds[i] : "+Inf");
        g_string_append(out, "\"} ");
        decimal_append(out, sum);
        g_string_append_c(out, '\n');
    }
}

void metrics_text_count(MetricsText *text, const char *name, const char *help,
                        const char *labels, uint64_t value)
{
    metrics_text_add(metrics_text_family(text, METRICS_COUNTER, name, help), labels,
                     value);
}

void metrics_text_time(MetricsText *text, const char *name, const char *help,
                       const char *labels, uint64_t ns)
{
    metrics_text_add_double(metrics_text_family(text, METRICS_COUNTER, name, help),
                            labels, (double)ns / NS_PER_SEC);
}

void metrics_text_gauge(MetricsText *text, const char *name, const char *help,
                        const char *labels, uint64_t value)
{
    metrics_text_add(metrics_text_family(text, METRICS_GAUGE, name, help), labels, value);
}
