/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The columns of "top": their values, and those that a terminal has room for.
 */
#pragma once

#include "ctl-sample.h"

typedef enum CtlColumn {
    CTL_COLUMN_NAME,            /* these two are texts */
    CTL_COLUMN_STATE,
    CTL_COLUMN_VCPUS,
    CTL_COLUMN_VCPU,
    CTL_COLUMN_CPU,
    CTL_COLUMN_RSS,
    CTL_COLUMN_RAM,
    CTL_COLUMN_LEFT,
    CTL_COLUMN_READ,
    CTL_COLUMN_WRITE,
    CTL_COLUMN_RX,
    CTL_COLUMN_TX,
    CTL_COLUMN__MAX
} CtlColumn;

typedef struct CtlLayout {
    bool shown[CTL_COLUMN__MAX];
    int widths[CTL_COLUMN__MAX];
    int width;                  /* of a line */
} CtlLayout;

/* A machine's, one for each column; less than 0: unknown. */
typedef struct CtlValues {
    double of[CTL_COLUMN__MAX];
} CtlValues;

/* Appends the names by which columns are chosen. */
void ctl_columns_names(GString *out);
/* The column of that name; false with @error. */
bool ctl_columns_find(const char *name, unsigned *ret_column, GError **error);

/* @before is NULL of a machine that is seen for the first time: it has no rates. */
void ctl_columns_values(const CtlSample *now, const CtlSample *before,
                        CtlValues *ret_values);

/*
 * What lines of @width characters (0: of any length) have room for, of machines whose
 * longest name has @longest bytes; the column @sorted is always among it.
 */
void ctl_columns_fit(int width, int longest, unsigned sorted, CtlLayout *ret_layout);

void ctl_columns_print_head(const CtlLayout *layout);
void ctl_columns_print(const CtlLayout *layout, const char *name, const char *state,
                       const CtlValues *values);
/* A machine that has none, and why. */
void ctl_columns_print_text(const CtlLayout *layout, const char *name, const char *text);
