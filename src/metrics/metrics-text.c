/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The format is in "OpenMetrics, a cloud-native, highly scalable metrics protocol", 1.0:
 * metadata of a family (3.1 TYPE, UNIT, HELP), then its samples, "# EOF" at the end.
 */
#include <math.h>
#include <string.h>

#include "metrics-text.h"

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

static const char *const type_names[] = {
    [METRICS_COUNTER] = "counter",
    [METRICS_GAUGE] = "gauge",
    [METRICS_HISTOGRAM] = "histogram",
    [METRICS_INFO] = "info",
    [METRICS_STATESET] = "stateset",
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

static void append_escaped(GString *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            g_string_append(out, "\\n");
        else if (*text == '\\' || *text == '"')
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

static void write_family(const MetricsFamily *family, GString *out)
{
    const char *unit = unit_of(family->name);

    g_string_append_printf(out, "# TYPE %s %s\n", family->name, type_names[family->type]);
    if (unit)
        g_string_append_printf(out, "# UNIT %s %s\n", family->name, unit);
    g_string_append_printf(out, "# HELP %s ", family->name);
    append_escaped(out, family->help);
    g_string_append_c(out, '\n');
    g_string_append_len(out, family->samples->str, family->samples->len);
}

GString *metrics_text_write(const MetricsText *text)
{
    GString *out = g_string_new(NULL);

    for (guint i = 0; i < text->families->len; i++)
        write_family(g_ptr_array_index(text->families, i), out);
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
    append_escaped(labels, valid);
    g_string_append_c(labels, '"');
}

static void begin_sample(MetricsFamily *family, const char *labels)
{
    const char *suffix = "";

    if (family->type == METRICS_COUNTER)
        suffix = "_total";
    else if (family->type == METRICS_INFO)
        suffix = "_info";
    g_string_append_printf(family->samples, *labels ? "%s%s{%s} " : "%s%s%s ",
                           family->name, suffix, labels);
}

void metrics_text_add(MetricsFamily *family, const char *labels, uint64_t value)
{
    begin_sample(family, labels);
    g_string_append_printf(family->samples, "%" PRIu64 "\n", value);
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
    uint64_t sum = 0;

    for (size_t i = 0; i < n_bins; i++) {
        sum += bins[i];
        g_string_append_printf(family->samples, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n",
                               family->name, labels, *labels ? "," : "",
                               i + 1 < n_bins ? bounds[i] : "+Inf", sum);
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
