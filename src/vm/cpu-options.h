/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of "-cpu", taken apart.
 */
#pragma once

#include "berth/json.h"

#include "cpu-hyperv.h"

/* A switch whose default follows from the model. */
typedef enum CpuSwitch { CPU_SWITCH_UNSET = -1, CPU_SWITCH_OFF, CPU_SWITCH_ON } CpuSwitch;

#define CPU_NUMBER_UNSET UINT64_MAX

typedef struct CpuFeatureWish {
    char name[48];              /* as it was given, with '-' for '_' */
    CpuWords bits;
    bool on;
} CpuFeatureWish;

typedef struct CpuOptions {
    char *model;

    int8_t migratable;
    int8_t kvm;
    int8_t check;
    int8_t enforce;
    int8_t pmu;
    int8_t host_phys_bits;
    int8_t host_cache_info;
    int8_t l3_cache;
    int8_t cpuid_0xb;
    int8_t vmware_cpuid_freq;
    int8_t kvm_pv_enforce_cpuid;

    uint64_t host_phys_bits_limit;
    uint64_t phys_bits;
    uint64_t guest_phys_bits;
    uint64_t level, min_level;
    uint64_t xlevel, min_xlevel;
    uint64_t level_func7;
    uint64_t family;
    uint64_t number;            /* property "model": of the processor's */
    uint64_t stepping;
    uint64_t tsc_hz;
    uint64_t ucode_rev;
    char *vendor;
    char *id;                   /* property "model-id" */

    CpuHyperv hyperv;
    GArray *wishes;             /* of CpuFeatureWish: a later one overrules */
} CpuOptions;

void cpu_options_init(CpuOptions *options);
void cpu_options_done(CpuOptions *options);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CpuOptions, cpu_options_done)

/*
 * Reads "MODEL,property=value,+feature,-feature" into @options, which was initialized.
 * False with an error that names the property or value that is wrong; whether there is
 * such a model is not looked at.
 */
bool cpu_options_parse(CpuOptions *options, const char *text, GError **error);

/* Sets one property to a value in the form of the command line. */
bool cpu_options_set(CpuOptions *options, const char *name, const char *value,
                     GError **error);

/* The properties beside features, for lists of them: NULL after the last. */
typedef struct CpuProperty CpuProperty;

const CpuProperty *cpu_options_property(unsigned index);
const char *cpu_options_name(const CpuProperty *property);
/* "bool", "uint32", "uint64", "string", "OnOffAuto". */
const char *cpu_options_type(const CpuProperty *property);
/* What @options have, in the form of QMP. */
JsonValue *cpu_options_get(const CpuProperty *property, const CpuOptions *options);
