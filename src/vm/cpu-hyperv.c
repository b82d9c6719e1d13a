/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Microsoft, "Hypervisor Top Level Functional Specification": 2.4 (CPUID leaves).
 *
 * A feature is bits in the leaves; KVM has the feature when its list has all of them.
 * What the guest does with it, MSRs and hypercalls, KVM serves; vcpu-hyperv.c switches on
 * what needs to be.
 */
#include <string.h>

#include "berth/error.h"

#include "cpu-hyperv.h"

#define LEAF_VENDOR 0x40000000u
#define LEAF_INTERFACE 0x40000001u
#define LEAF_VERSION 0x40000002u
#define LEAF_FEATURES 0x40000003u
#define LEAF_ADVICE 0x40000004u
#define LEAF_LIMITS 0x40000005u
#define LEAF_NESTED 0x4000000au

#define FEATURES_EAX_HYPERCALL (1u << 5)
#define FEATURES_EBX_POST_MESSAGES (1u << 4)
#define FEATURES_EBX_SIGNAL_EVENTS (1u << 5)
#define FEATURES_EDX_CPU_PARTITIONING (1u << 3)         /* Windows plugs CPUs with it */
#define ADVICE_APIC_ACCESS (1u << 3)
#define ADVICE_NO_NONARCH_CORESHARING (1u << 18)

/* The only version of enlightened VMCSs, as lowest and highest. */
#define NESTED_EVMCS_1 0x0101u

/* Virtual processors in sparse sets come in banks of 64. */
#define LIMIT_LOGICAL 64u

#define BIT(_feature) (1u << CPU_HYPERV_##_feature)

typedef struct HypervBits {
    uint32_t leaf;              /* 0: there is none */
    uint8_t reg;
    uint32_t bits;
} HypervBits;

static const struct {
    char name[24];
    HypervBits bits[2];
    uint32_t needs;
} features[CPU_HYPERV__MAX] = {
    [CPU_HYPERV_RELAXED] = { "hv-relaxed", { { LEAF_ADVICE, CPUID_EAX, 1u << 5 } }, 0 },
    [CPU_HYPERV_VAPIC] = { "hv-vapic", { { LEAF_FEATURES, CPUID_EAX, 1u << 4 } }, 0 },
    [CPU_HYPERV_VPINDEX] = { "hv-vpindex", { { LEAF_FEATURES, CPUID_EAX, 1u << 6 } }, 0 },
    [CPU_HYPERV_RUNTIME] = { "hv-runtime", { { LEAF_FEATURES, CPUID_EAX, 1u << 0 } }, 0 },
    [CPU_HYPERV_TIME] = {
        "hv-time", { { LEAF_FEATURES, CPUID_EAX, 1u << 1 | 1u << 9 } }, 0,
    },
    [CPU_HYPERV_SYNIC] = {
        "hv-synic", { { LEAF_FEATURES, CPUID_EAX, 1u << 2 } }, BIT(VPINDEX),
    },
    [CPU_HYPERV_STIMER] = {
        "hv-stimer", { { LEAF_FEATURES, CPUID_EAX, 1u << 3 } }, BIT(SYNIC) | BIT(TIME),
    },
    [CPU_HYPERV_STIMER_DIRECT] = {
        "hv-stimer-direct", { { LEAF_FEATURES, CPUID_EDX, 1u << 19 } }, BIT(STIMER),
    },
    [CPU_HYPERV_FREQUENCIES] = {
        "hv-frequencies", { { LEAF_FEATURES, CPUID_EAX, 1u << 11 },
                            { LEAF_FEATURES, CPUID_EDX, 1u << 8 } }, 0,
    },
    [CPU_HYPERV_RESET] = { "hv-reset", { { LEAF_FEATURES, CPUID_EAX, 1u << 7 } }, 0 },
    [CPU_HYPERV_CRASH] = { "hv-crash", { { LEAF_FEATURES, CPUID_EDX, 1u << 10 } }, 0 },
    [CPU_HYPERV_REENLIGHTENMENT] = {
        "hv-reenlightenment", { { LEAF_FEATURES, CPUID_EAX, 1u << 13 } }, 0,
    },
    [CPU_HYPERV_TLBFLUSH] = {
        "hv-tlbflush", { { LEAF_ADVICE, CPUID_EAX, 1u << 2 | 1u << 11 } }, BIT(VPINDEX),
    },
    [CPU_HYPERV_TLBFLUSH_EXT] = {
        "hv-tlbflush-ext", { { LEAF_FEATURES, CPUID_EDX, 1u << 14 } }, BIT(TLBFLUSH),
    },
    [CPU_HYPERV_TLBFLUSH_DIRECT] = {
        "hv-tlbflush-direct", { { LEAF_NESTED, CPUID_EAX, 1u << 17 } }, BIT(VAPIC),
    },
    [CPU_HYPERV_IPI] = {
        "hv-ipi", { { LEAF_ADVICE, CPUID_EAX, 1u << 10 | 1u << 11 } }, BIT(VPINDEX),
    },
    [CPU_HYPERV_EVMCS] = {
        "hv-evmcs", { { LEAF_ADVICE, CPUID_EAX, 1u << 14 } }, BIT(VAPIC),
    },
    [CPU_HYPERV_EMSR_BITMAP] = {
        "hv-emsr-bitmap", { { LEAF_NESTED, CPUID_EAX, 1u << 19 } }, 0,
    },
    [CPU_HYPERV_AVIC] = { "hv-avic", { { LEAF_ADVICE, CPUID_EAX, 1u << 9 } }, 0 },
    [CPU_HYPERV_XMM_INPUT] = {
        "hv-xmm-input", { { LEAF_FEATURES, CPUID_EDX, 1u << 4 } }, 0,
    },
};

/* Other names, and what QEMU names the same. */
static const struct {
    char name[24];
    uint8_t feature;
} other_names[] = {
    { "hv-apicv", CPU_HYPERV_AVIC },
};

void cpu_hyperv_init(CpuHyperv *hyperv)
{
    *hyperv = (CpuHyperv){
        .spinlocks = UINT32_MAX,
        .version_build = 14393,
        .version_major = 10,
    };
}

void cpu_hyperv_done(CpuHyperv *hyperv)
{
    g_clear_pointer(&hyperv->vendor, g_free);
}

bool cpu_hyperv_enabled(const CpuHyperv *hyperv)
{
    return hyperv->features != 0 || hyperv->passthrough > 0 ||
           hyperv->spinlocks != UINT32_MAX;
}

bool cpu_hyperv_find(const char *name, CpuHypervFeature *ret_feature)
{
    for (unsigned i = 0; i < CPU_HYPERV__MAX; i++) {
        if (!strcmp(features[i].name, name)) {
            *ret_feature = (CpuHypervFeature)i;
            return true;
        }
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(other_names); i++) {
        if (!strcmp(other_names[i].name, name)) {
            *ret_feature = (CpuHypervFeature)other_names[i].feature;
            return true;
        }
    }
    return false;
}

const char *cpu_hyperv_name(unsigned index)
{
    return index < CPU_HYPERV__MAX ? features[index].name : NULL;
}

static bool host_has(const CpuHost *host, unsigned feature)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(features[feature].bits); i++) {
        const HypervBits *part = &features[feature].bits[i];
        uint32_t has = part->leaf ? cpu_host_hyperv(host, part->leaf, part->reg) : 0;

        if ((has & part->bits) != part->bits)
            return false;
    }
    return true;
}

static bool check_feature(const CpuHyperv *hyperv, const CpuHost *host, unsigned feature,
                          GError **error)
{
    uint32_t missing = features[feature].needs & ~hyperv->features;

    if (!host_has(host, feature)) {
        error_set(error, "Hyper-V feature '%s' is not supported by this host's KVM",
                  features[feature].name);
        return false;
    }
    if (missing) {
        error_set(error, "Hyper-V feature '%s' requires '%s'", features[feature].name,
                  features[__builtin_ctz(missing)].name);
        return false;
    }
    return true;
}

/* What the host has, with its version. */
static void pass_through(CpuHyperv *hyperv, const CpuHost *host)
{
    uint32_t version = cpu_host_hyperv(host, LEAF_VERSION, CPUID_EBX);
    uint32_t service = cpu_host_hyperv(host, LEAF_VERSION, CPUID_EDX);

    for (unsigned i = 0; i < CPU_HYPERV__MAX; i++) {
        if (host_has(host, i))
            hyperv->features |= 1u << i;
    }
    if (host->hyperv->len == 0)
        return;
    hyperv->version_build = cpu_host_hyperv(host, LEAF_VERSION, CPUID_EAX);
    hyperv->version_major = version >> 16;
    hyperv->version_minor = version & 0xffff;
    hyperv->version_spack = cpu_host_hyperv(host, LEAF_VERSION, CPUID_ECX);
    hyperv->version_sbranch = service >> 24;
    hyperv->version_snumber = service & 0xffffff;
    hyperv->spinlocks = cpu_host_hyperv(host, LEAF_ADVICE, CPUID_EBX);
}

bool cpu_hyperv_resolve(CpuHyperv *hyperv, const CpuHost *host, GError **error)
{
    if (!cpu_hyperv_enabled(hyperv))
        return true;
    if (hyperv->passthrough > 0)
        pass_through(hyperv, host);
    for (unsigned i = 0; i < CPU_HYPERV__MAX; i++) {
        if (cpu_hyperv_has(hyperv, (CpuHypervFeature)i) &&
            !check_feature(hyperv, host, i, error))
            return false;
    }
    if (hyperv->enforce_cpuid > 0 && !host->enforces_hyperv) {
        error_set(error, "'hv-enforce-cpuid' is not supported by this host's KVM");
        return false;
    }
    return true;
}

static uint32_t reg_of(const CpuHyperv *hyperv, uint32_t leaf, CpuidReg reg)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < CPU_HYPERV__MAX; i++) {
        if (!cpu_hyperv_has(hyperv, (CpuHypervFeature)i))
            continue;
        for (unsigned n = 0; n < G_N_ELEMENTS(features[i].bits); n++) {
            const HypervBits *part = &features[i].bits[n];

            if (part->leaf == leaf && part->reg == reg)
                value |= part->bits;
        }
    }
    return value;
}

static void append_identity(GArray *cpuid, const CpuHyperv *hyperv, uint32_t last)
{
    uint32_t vendor[4] = { last };
    uint32_t interface[4] = { 0x31237648 };     /* "Hv#1" */
    uint32_t version[4] = {
        (uint32_t)hyperv->version_build,
        (uint32_t)(hyperv->version_major << 16 | hyperv->version_minor),
        (uint32_t)hyperv->version_spack,
        (uint32_t)(hyperv->version_sbranch << 24 | hyperv->version_snumber),
    };
    bool has_name = hyperv->vendor && *hyperv->vendor;
    const char *name = has_name ? hyperv->vendor : "Microsoft Hv";

    memcpy(&vendor[CPUID_EBX], name, MIN(strlen(name), 3 * sizeof(uint32_t)));
    cpu_leaf_append(cpuid, LEAF_VENDOR, 0, vendor);
    cpu_leaf_append(cpuid, LEAF_INTERFACE, 0, interface);
    cpu_leaf_append(cpuid, LEAF_VERSION, 0, version);
}

static uint32_t advice_of(const CpuHyperv *hyperv, const CpuHost *host)
{
    uint32_t advice = reg_of(hyperv, LEAF_ADVICE, CPUID_EAX);

    if (cpu_hyperv_has(hyperv, CPU_HYPERV_VAPIC) &&
        !cpu_hyperv_has(hyperv, CPU_HYPERV_AVIC))
        advice |= ADVICE_APIC_ACCESS;
    if (hyperv->no_nonarch_coresharing == 1)
        advice |= ADVICE_NO_NONARCH_CORESHARING;
    else if (hyperv->no_nonarch_coresharing == 2)
        advice |= cpu_host_hyperv(host, LEAF_ADVICE, CPUID_EAX) &
                  ADVICE_NO_NONARCH_CORESHARING;
    return advice;
}

void cpu_hyperv_append(GArray *cpuid, const CpuHyperv *hyperv, const CpuHost *host)
{
    uint32_t nested[4] = { reg_of(hyperv, LEAF_NESTED, CPUID_EAX) };
    uint32_t features_leaf[4] = {
        reg_of(hyperv, LEAF_FEATURES, CPUID_EAX) | FEATURES_EAX_HYPERCALL, 0, 0,
        reg_of(hyperv, LEAF_FEATURES, CPUID_EDX) | FEATURES_EDX_CPU_PARTITIONING,
    };
    uint32_t advice[4] = { advice_of(hyperv, host), (uint32_t)hyperv->spinlocks };
    uint32_t limits[4] = { UINT32_MAX, LIMIT_LOGICAL };

    if (cpu_hyperv_has(hyperv, CPU_HYPERV_EVMCS))
        nested[CPUID_EAX] |= NESTED_EVMCS_1;
    if (cpu_hyperv_has(hyperv, CPU_HYPERV_SYNIC))
        features_leaf[CPUID_EBX] |=
            FEATURES_EBX_POST_MESSAGES | FEATURES_EBX_SIGNAL_EVENTS;
    append_identity(cpuid, hyperv, nested[CPUID_EAX] ? LEAF_NESTED : LEAF_LIMITS);
    cpu_leaf_append(cpuid, LEAF_FEATURES, 0, features_leaf);
    cpu_leaf_append(cpuid, LEAF_ADVICE, 0, advice);
    cpu_leaf_append(cpuid, LEAF_LIMITS, 0, limits);
    if (nested[CPUID_EAX])
        cpu_leaf_append(cpuid, LEAF_NESTED, 0, nested);
}
