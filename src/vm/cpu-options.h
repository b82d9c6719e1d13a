/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of "-cpu", taken apart.
 */
#pragma once

#include "cpu-model.h"

typedef struct CpuFeatureWish {
    const char *name;           /* canonical */
    bool on;
} CpuFeatureWish;

typedef struct CpuOptions {
    bool migratable;
    bool kvm;
    bool check;
    bool enforce;
    bool pmu;
    bool host_phys_bits;
    unsigned host_phys_bits_limit;      /* 0: none */
    unsigned phys_bits;                 /* 0: not given */
    GArray *wishes;                     /* of CpuFeatureWish: a later one overrules */
} CpuOptions;

/* False with an error that names the model, property or value that is wrong. */
bool cpu_options_parse(CpuOptions *options, const char *text, GError **error);
void cpu_options_done(CpuOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CpuOptions, cpu_options_done)
