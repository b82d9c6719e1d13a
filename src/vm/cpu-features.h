/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of CPUID bits, in QEMU's spelling.
 */
#pragma once

#include "cpu-model.h"

typedef struct CpuFeatureWord {
    uint32_t function;
    uint32_t index;
    CpuidReg reg;
    const char *names[32];      /* by bit; NULL has no name */
} CpuFeatureWord;

/* The @i-th word, NULL after the last. */
const CpuFeatureWord *cpu_features_word(unsigned i);

/*
 * The name that the tables have for @name, which may have '_' for '-' or be an alias;
 * NULL for an unknown one.  It may be that of several bits (kvmclock).
 */
const char *cpu_features_canonical(const char *name);
