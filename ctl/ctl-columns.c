/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line that is longer than the terminal is broken by it and tears the table.  So
 * columns leave, the least missed ones first, until the rest fits; then the machines'
 * names, which may be as long as their owners like, get what room there is.
 */
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "berth/spelling.h"

#include "ctl-columns.h"

#define NAME_LEAST 8
#define NAME_USUAL 18
#define NAME_MOST 40             /* where lines have an end */

typedef enum ColumnKind {
    COLUMN_TEXT,
    COLUMN_COUNT,
    COLUMN_PERCENT,             /* nanoseconds, of a second */
    COLUMN_SIZE,
    COLUMN_RATE,                /* bytes a second */
} ColumnKind;

typedef struct ColumnDesc {
    const char *name;
    const char *head;
    ColumnKind kind;
    int width;
    unsigned missed;            /* the column with the least leaves first */
    size_t offset;              /* of an uint64_t in CtlSample */
} ColumnDesc;

#define FIELD(field_) offsetof(CtlSample, field_)

static const ColumnDesc columns[CTL_COLUMN__MAX] = {
    [CTL_COLUMN_NAME] = { "name", "NAME", COLUMN_TEXT, 0, 12, 0 },
    [CTL_COLUMN_STATE] = { "state", "STATE", COLUMN_TEXT, 10, 9, 0 },
    [CTL_COLUMN_VCPUS] = { "vcpus", "VCPUS", COLUMN_COUNT, 5, 3, FIELD(n_vcpus) },
    [CTL_COLUMN_VCPU] = { "vcpu", "VCPU%", COLUMN_PERCENT, 6, 2, FIELD(vcpu_ns) },
    [CTL_COLUMN_CPU] = { "cpu", "CPU%", COLUMN_PERCENT, 6, 11, FIELD(cpu_ns) },
    [CTL_COLUMN_RSS] = { "rss", "RSS", COLUMN_SIZE, 6, 10, FIELD(resident) },
    [CTL_COLUMN_RAM] = { "ram", "RAM", COLUMN_SIZE, 6, 4, FIELD(memory) },
    [CTL_COLUMN_LEFT] = { "left", "LEFT", COLUMN_SIZE, 6, 1, FIELD(actual) },
    [CTL_COLUMN_READ] = { "read", "READ/s", COLUMN_RATE, 7, 5, FIELD(read) },
    [CTL_COLUMN_WRITE] = { "write", "WRITE/s", COLUMN_RATE, 7, 6, FIELD(written) },
    [CTL_COLUMN_RX] = { "rx", "RX/s", COLUMN_RATE, 7, 7, FIELD(received) },
    [CTL_COLUMN_TX] = { "tx", "TX/s", COLUMN_RATE, 7, 8, FIELD(sent) },
};

void ctl_columns_names(GString *out)
{
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
        g_string_append_printf(out, "%s%s", i > 0 ? ", " : "", columns[i].name);
}

bool ctl_columns_find(const char *name, unsigned *ret_column, GError **error)
{
    Spelling spelling = { .typed = name };
    g_autoptr(GString) names = g_string_new(NULL);
    g_autofree char *hint = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(columns); i++) {
        if (strcmp(columns[i].name, name) == 0) {
            *ret_column = i;
            return true;
        }
        spelling_try(&spelling, columns[i].name);
    }
    hint = spelling_hint(&spelling);
    ctl_columns_names(names);
    error_set(error, "'%s' is no column of \"top\": %s are%s", name, names->str, hint);
    return false;
}

static uint64_t field(const ColumnDesc *column, const CtlSample *sample)
{
    uint64_t value;

    memcpy(&value, (const char *)sample + column->offset, sizeof(value));
    return value;
}

static double rate(const ColumnDesc *column, const CtlSample *now,
                   const CtlSample *before)
{
    uint64_t last = before ? field(column, before) : 0;
    double seconds;

    if (!before || now->when_ns <= before->when_ns || field(column, now) < last)
        return -1;
    seconds = (double)(now->when_ns - before->when_ns) / NS_PER_SEC;
    return (double)(field(column, now) - last) / seconds;
}

void ctl_columns_values(const CtlSample *now, const CtlSample *before,
                        CtlValues *ret_values)
{
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
        const ColumnDesc *column = &columns[i];
        double *value = &ret_values->of[i];

        switch (column->kind) {
        case COLUMN_TEXT:
            *value = -1;
            break;
        case COLUMN_COUNT:
        case COLUMN_SIZE:
            *value = (double)field(column, now);
            break;
        case COLUMN_PERCENT:
            *value = rate(column, now, before) * 100 / NS_PER_SEC;
            break;
        case COLUMN_RATE:
            *value = rate(column, now, before);
            break;
        }
    }
}

static int line_width(const CtlLayout *layout)
{
    int width = -1;

    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
        if (layout->shown[i])
            width += layout->widths[i] + 1;
    }
    return width;
}

/* Whether there was one that may leave. */
static bool drop_one(CtlLayout *layout, unsigned sorted)
{
    unsigned least = CTL_COLUMN_NAME;

    for (unsigned i = 0; i < G_N_ELEMENTS(columns); i++) {
        if (layout->shown[i] && i != sorted && columns[i].missed < columns[least].missed)
            least = i;
    }
    layout->shown[least] = least == CTL_COLUMN_NAME;
    return least != CTL_COLUMN_NAME;
}

void ctl_columns_fit(int width, int longest, unsigned sorted, CtlLayout *ret_layout)
{
    CtlLayout layout = { 0 };
    int wanted = MAX(longest, NAME_USUAL);
    int least = MIN(MAX(longest, NAME_LEAST), NAME_USUAL - 2);

    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
        layout.shown[i] = true;
        layout.widths[i] = columns[i].width;
    }
    layout.widths[CTL_COLUMN_NAME] = width > 0 ? least : wanted;
    while (width > 0 && line_width(&layout) > width && drop_one(&layout, sorted))
        continue;
    if (width > 0) {
        int room = width - line_width(&layout);

        layout.widths[CTL_COLUMN_NAME] = CLAMP(least + room, 1, MIN(wanted, NAME_MOST));
    }
    layout.width = width > 0 ? width : INT_MAX;
    *ret_layout = layout;
}

static void print_name(const CtlLayout *layout, const char *name)
{
    int width = layout->widths[CTL_COLUMN_NAME];

    printf("%-*.*s", width, width, name);
}

void ctl_columns_print_head(const CtlLayout *layout)
{
    print_name(layout, columns[CTL_COLUMN_NAME].head);
    for (size_t i = CTL_COLUMN_STATE; i < G_N_ELEMENTS(columns); i++) {
        if (!layout->shown[i])
            continue;
        printf(columns[i].kind == COLUMN_TEXT ? " %-*s" : " %*s", layout->widths[i],
               columns[i].head);
    }
    printf("\n");
}

static void print_value(const ColumnDesc *column, int width, double value)
{
    g_autofree char *text = NULL;

    if (value < 0)
        text = g_strdup("-");
    else if (column->kind == COLUMN_COUNT)
        text = g_strdup_printf("%.0f", value);
    else if (column->kind == COLUMN_PERCENT)
        text = g_strdup_printf("%.1f", value);
    else
        text = ctl_sample_size(value);
    printf(" %*s", width, text);
}

void ctl_columns_print(const CtlLayout *layout, const char *name, const char *state,
                       const CtlValues *values)
{
    int width = layout->widths[CTL_COLUMN_STATE];

    print_name(layout, name);
    if (layout->shown[CTL_COLUMN_STATE])
        printf(" %-*.*s", width, width, state);
    for (size_t i = CTL_COLUMN_VCPUS; i < G_N_ELEMENTS(columns); i++) {
        if (layout->shown[i])
            print_value(&columns[i], layout->widths[i], values->of[i]);
    }
    printf("\n");
}

void ctl_columns_print_text(const CtlLayout *layout, const char *name, const char *text)
{
    print_name(layout, name);
    printf(" %.*s\n", MAX(layout->width - layout->widths[CTL_COLUMN_NAME] - 1, 0), text);
}
