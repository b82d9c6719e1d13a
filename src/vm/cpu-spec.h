/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A processor that was asked for: the model's row, or the host's processor, changed as
 * the options say.  What of it the guest gets is cpu-filter.h's.
 */
#pragma once

#include "cpu-models.h"
#include "cpu-options.h"

typedef enum CpuKind {
    CPU_KIND_HOST,              /* "host" and "max": all that the hypervisor has */
    CPU_KIND_BASE,              /* "base": nothing */
    CPU_KIND_NAMED,
} CpuKind;

typedef struct CpuSpec {
    CpuKind kind;
    char name[32];              /* as it was asked for */
    char vendor[13];
    char id[49];
    bool is_amd;
    bool migratable;
    bool pmu;
    bool hides_counters;        /* performance counters were switched off */
    bool host_phys_bits;
    unsigned family;
    unsigned model;
    unsigned stepping;
    uint32_t level;             /* at least; raised to what features need */
    uint32_t xlevel;
    unsigned func7;
    unsigned avx10;
    bool levels_v2;
    const CpuCaches *caches;    /* NULL: the host's */
    CpuWords words;             /* what was asked for */
    CpuWords wished;            /* of these, what the options name */
} CpuSpec;

/*
 * False with an error that names the model, when there is no such, or says why not.
 * @host: of a machine without a hypervisor it may have nothing.
 */
bool cpu_spec_init(CpuSpec *spec, const CpuOptions *options, const CpuHost *host,
                   GError **error);

/* The same for a row that is at hand, without options. */
void cpu_spec_init_row(CpuSpec *spec, const CpuModelRow *row, const CpuHost *host);

/* Writes into @options what was not given and follows from the model. */
void cpu_spec_fill_options(const CpuSpec *spec, CpuOptions *options);

/* CPUID leaf 1, EAX. */
uint32_t cpu_spec_signature(const CpuSpec *spec);
