/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of the features that were asked for the guest gets.
 */
#pragma once

#include "cpu-spec.h"

typedef struct CpuFilter {
    bool check;                 /* warn of what is missing */
    bool enforce;               /* and let it be an error */
} CpuFilter;

/* Takes out features whose ground is missing: those of VMX without VMX, and so on. */
void cpu_filter_depend(CpuSpec *spec, bool warn);

/*
 * Takes out what the host has not, and says which that were in @ret_missing (may be
 * NULL).  False with an error when something is missing and @filter enforces.
 */
bool cpu_filter_apply(CpuSpec *spec, const CpuHost *host, const CpuFilter *filter,
                      CpuWords *ret_missing, GError **error);
