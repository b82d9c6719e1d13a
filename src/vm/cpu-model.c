/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's processor: what the host's KVM supports, changed as "-cpu" asks, made
 * consistent.
 *
 * There is one array of CPUID entries a machine; what differs between vCPUs is written
 * into a copy that lives as long as it takes to hand it to the hypervisor.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/log.h"

#include "cpu-features.h"
#include "cpu-options.h"
#include "cpu-topology.h"
#include "vm-ops.h"

#define LEAF_PMU 0xau
#define LEAF_XSAVE 0xdu
#define LEAF_KVM 0x40000000u
#define LEAF_KVM_LAST 0x400000ffu
#define LEAF_FREQUENCIES 0x40000010u
#define LEAF_EXTENDED 0x80000000u
#define LEAF_EXTENDED_FEATURES 0x80000001u
#define LEAF_POWER 0x80000007u
#define LEAF_SIZES 0x80000008u

#define INVTSC (1u << 8)
#define PDCM (1u << 15)
#define PERFCTR_CORE (1u << 23)

/* The local APIC timer of KVM counts nanoseconds. */
#define APIC_BUS_KHZ 1000000u

/* Without host-phys-bits: what every 64-bit processor has. */
#define PHYS_BITS_DEFAULT 40u

/* Bits of 0x80000001 EDX that repeat those of leaf 1 on AMD's processors. */
#define AMD_ALIASES 0x0183f3ffu

/* A state component of XSAVE, and the feature that it belongs to. */
typedef struct XsaveComponent {
    unsigned bit;
    const char *feature;
} XsaveComponent;

static const XsaveComponent components[] = {
    { 2, "avx" },       { 3, "mpx" },       { 4, "mpx" },       { 5, "avx512f" },
    { 6, "avx512f" },   { 7, "avx512f" },   { 9, "pku" },       { 17, "amx-tile" },
    { 18, "amx-tile" },
};

struct CpuModel {
    CpuTopology topology;
    bool is_amd;
    bool has_kvm;
    GArray *cpuid;              /* of CpuidEntry */
};

static const char *const reg_names[] = { "EAX", "EBX", "ECX", "EDX" };

CpuidEntry *cpu_model_find(const GArray *cpuid, uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < cpuid->len; i++) {
        CpuidEntry *entry = &g_array_index(cpuid, CpuidEntry, i);

        if (entry->function == function && (!entry->indexed || entry->index == index))
            return entry;
    }
    return NULL;
}

/* The register of @word, NULL when the host has no such leaf. */
static uint32_t *find_reg(const GArray *cpuid, const CpuFeatureWord *word)
{
    CpuidEntry *entry = cpu_model_find(cpuid, word->function, word->index);

    return entry ? &entry->regs[word->reg] : NULL;
}

static char *describe_bit(const CpuFeatureWord *word, unsigned bit)
{
    return g_strdup_printf("CPUID.%02XH:%s.%s [bit %u]", word->function,
                           reg_names[word->reg], word->names[bit], bit);
}

/* A wish that the host cannot fulfil: an error when it is enforced, else a warning. */
static bool refuse_bit(const CpuOptions *options, const CpuFeatureWord *word,
                       unsigned bit, GError **error)
{
    g_autofree char *text = describe_bit(word, bit);

    if (options->enforce) {
        error_set(error, "host doesn't support requested feature: %s", text);
        return false;
    }
    if (options->check)
        log_warn("host doesn't support requested feature: %s", text);
    return true;
}

static bool apply_wish(const GArray *cpuid, const GArray *supported,
                       const CpuOptions *options, const CpuFeatureWish *wish,
                       GError **error)
{
    const CpuFeatureWord *word;

    for (unsigned i = 0; (word = cpu_features_word(i)); i++) {
        uint32_t *reg = find_reg(cpuid, word);
        uint32_t *can = find_reg(supported, word);

        for (unsigned bit = 0; bit < 32; bit++) {
            if (!word->names[bit] || strcmp(word->names[bit], wish->name))
                continue;
            if (!wish->on && reg)
                *reg &= ~(1u << bit);
            else if (wish->on && reg && can && (*can & (1u << bit)))
                *reg |= 1u << bit;
            else if (wish->on && !refuse_bit(options, word, bit, error))
                return false;
        }
    }
    return true;
}

static bool has_feature(const GArray *cpuid, const char *name)
{
    const CpuFeatureWord *word;

    for (unsigned i = 0; (word = cpu_features_word(i)); i++) {
        uint32_t *reg = find_reg(cpuid, word);

        for (unsigned bit = 0; bit < 32; bit++) {
            if (word->names[bit] && !strcmp(word->names[bit], name))
                return reg && (*reg & (1u << bit));
        }
    }
    return false;
}

/* Bits that the hypervisor supports and that nobody gets without asking. */
static void drop_unasked(GArray *cpuid, const CpuOptions *options)
{
    CpuidEntry *power = cpu_model_find(cpuid, LEAF_POWER, 0);
    CpuidEntry *kvm = cpu_model_find(cpuid, LEAF_KVM + 1, 0);
    CpuidEntry *pmu = cpu_model_find(cpuid, LEAF_PMU, 0);
    CpuidEntry *basic = cpu_model_find(cpuid, 1, 0);
    CpuidEntry *extended = cpu_model_find(cpuid, LEAF_EXTENDED_FEATURES, 0);

    if (power && options->migratable)
        power->regs[CPUID_EDX] &= ~INVTSC;
    if (kvm)
        kvm->regs[CPUID_EDX] = 0;
    if (pmu && !options->pmu)
        memset(pmu->regs, 0, sizeof(pmu->regs));
    if (basic && !options->pmu)
        basic->regs[CPUID_ECX] &= ~PDCM;
    if (extended && !options->pmu)
        extended->regs[CPUID_ECX] &= ~PERFCTR_CORE;
}

static void drop_leaves(GArray *cpuid, uint32_t first, uint32_t last)
{
    for (unsigned i = cpuid->len; i-- > 0;) {
        uint32_t function = g_array_index(cpuid, CpuidEntry, i).function;

        if (function >= first && function <= last)
            g_array_remove_index(cpuid, i);
    }
}

/* The state components of features that are off go, and the size is that of the rest. */
static void fix_xsave(GArray *cpuid)
{
    CpuidEntry *main_leaf = cpu_model_find(cpuid, LEAF_XSAVE, 0);
    uint32_t size = 576;        /* legacy region and header */

    if (!main_leaf)
        return;
    if (!has_feature(cpuid, "xsave")) {
        drop_leaves(cpuid, LEAF_XSAVE, LEAF_XSAVE);
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(components); i++) {
        if (!has_feature(cpuid, components[i].feature))
            main_leaf->regs[CPUID_EAX] &= ~(1u << components[i].bit);
    }
    for (unsigned i = cpuid->len; i-- > 0;) {
        const CpuidEntry *entry = &g_array_index(cpuid, CpuidEntry, i);

        if (entry->function != LEAF_XSAVE || entry->index < 2 || entry->index >= 32)
            continue;
        if (main_leaf->regs[CPUID_EAX] & (1u << entry->index))
            size = MAX(size, entry->regs[CPUID_EAX] + entry->regs[CPUID_EBX]);
        else if (!(entry->regs[CPUID_ECX] & 1))
            memset(g_array_index(cpuid, CpuidEntry, i).regs, 0, sizeof(entry->regs));
    }
    main_leaf->regs[CPUID_ECX] = size;
}

/* What a bit that is off takes with it. */
static void make_consistent(CpuModel *model)
{
    CpuidEntry *basic = cpu_model_find(model->cpuid, 1, 0);
    CpuidEntry *extended = cpu_model_find(model->cpuid, LEAF_EXTENDED_FEATURES, 0);

    if (model->is_amd && basic && extended) {
        uint32_t *edx = &extended->regs[CPUID_EDX];

        *edx = (*edx & ~AMD_ALIASES) | (basic->regs[CPUID_EDX] & AMD_ALIASES);
    }
    if (!has_feature(model->cpuid, "intel-pt"))
        drop_leaves(model->cpuid, 0x14, 0x14);
    if (!has_feature(model->cpuid, "sgx"))
        drop_leaves(model->cpuid, 0x12, 0x12);
    if (!has_feature(model->cpuid, "amx-tile"))
        drop_leaves(model->cpuid, 0x1d, 0x1e);
    if (!has_feature(model->cpuid, "svm"))
        drop_leaves(model->cpuid, 0x8000000a, 0x8000000a);
    fix_xsave(model->cpuid);
}

static bool set_phys_bits(GArray *cpuid, const CpuOptions *options, GError **error)
{
    CpuidEntry *sizes = cpu_model_find(cpuid, LEAF_SIZES, 0);
    unsigned host = sizes ? sizes->regs[CPUID_EAX] & 0xff : PHYS_BITS_DEFAULT;
    unsigned bits = host;

    if (options->phys_bits > host) {
        error_set(error, "parameter 'phys-bits': %u, but the host has %u",
                  options->phys_bits, host);
        return false;
    }
    if (!options->host_phys_bits)
        bits = MIN(bits, PHYS_BITS_DEFAULT);
    if (options->host_phys_bits_limit)
        bits = MIN(bits, options->host_phys_bits_limit);
    if (options->phys_bits)
        bits = options->phys_bits;
    if (sizes && bits != host)
        sizes->regs[CPUID_EAX] = (sizes->regs[CPUID_EAX] & 0xff00) | bits;
    return true;
}

static bool vendor_is(const GArray *cpuid, const char *vendor)
{
    const CpuidEntry *entry = cpu_model_find(cpuid, 0, 0);
    char text[13] = "";

    if (!entry)
        return false;
    memcpy(text, &entry->regs[CPUID_EBX], 4);
    memcpy(text + 4, &entry->regs[CPUID_EDX], 4);
    memcpy(text + 8, &entry->regs[CPUID_ECX], 4);
    return !strcmp(text, vendor);
}

static GArray *copy_cpuid(const GArray *cpuid)
{
    GArray *copy = g_array_sized_new(FALSE, FALSE, sizeof(CpuidEntry), cpuid->len + 8);

    return g_array_append_vals(copy, cpuid->data, cpuid->len);
}

static bool check_apic_ids(Vm *vm, const CpuTopology *topology, GError **error)
{
    uint32_t last = cpu_topology_place(topology, topology->max_cpus - 1).apic_id;

    if (last < VM_MAX_VCPUS)
        return true;
    error_set(error, "%u vCPUs in this topology have APIC ids up to %u, but the kernel's "
              "interrupt controllers reach %u",
              topology->max_cpus, last, VM_MAX_VCPUS - 1);
    return false;
}

CpuModel *cpu_model_new(Vm *vm, const char *text, const CpuTopology *topology,
                        GError **error)
{
    g_autoptr(CpuModel) model = g_new0(CpuModel, 1);
    g_auto(CpuOptions) options = { 0 };
    g_autoptr(GArray) supported = NULL;

    if (!cpu_options_parse(&options, text, error) || !check_apic_ids(vm, topology, error))
        return NULL;
    supported = vm->ops->get_cpuid(vm, error);
    if (!supported)
        return NULL;
    model->topology = *topology;
    model->has_kvm = options.kvm;
    model->is_amd = vendor_is(supported, "AuthenticAMD") ||
                    vendor_is(supported, "HygonGenuine");
    model->cpuid = copy_cpuid(supported);
    drop_unasked(model->cpuid, &options);
    for (unsigned i = 0; i < options.wishes->len; i++) {
        const CpuFeatureWish *wish = &g_array_index(options.wishes, CpuFeatureWish, i);

        if (!apply_wish(model->cpuid, supported, &options, wish, error))
            return NULL;
    }
    if (!set_phys_bits(model->cpuid, &options, error))
        return NULL;
    if (!options.kvm)
        drop_leaves(model->cpuid, LEAF_KVM, LEAF_KVM_LAST);
    make_consistent(model);
    return g_steal_pointer(&model);
}

void cpu_model_free(CpuModel *model)
{
    if (!model)
        return;
    g_clear_pointer(&model->cpuid, g_array_unref);
    g_free(model);
}

CpuPlace cpu_model_place(const CpuModel *model, unsigned index)
{
    return cpu_topology_place(&model->topology, index);
}

uint32_t cpu_model_version(const CpuModel *model)
{
    const CpuidEntry *basic = cpu_model_find(model->cpuid, 1, 0);

    return basic ? basic->regs[CPUID_EAX] : 0;
}

static void append_frequencies(GArray *cpuid, uint32_t tsc_khz)
{
    CpuidEntry *first = cpu_model_find(cpuid, LEAF_KVM, 0);
    CpuidEntry entry = {
        .function = LEAF_FREQUENCIES,
        .regs = { tsc_khz, APIC_BUS_KHZ, 0, 0 },
    };

    if (!first || tsc_khz == 0)
        return;
    first->regs[CPUID_EAX] = MAX(first->regs[CPUID_EAX], LEAF_FREQUENCIES);
    drop_leaves(cpuid, LEAF_FREQUENCIES, LEAF_FREQUENCIES);
    g_array_append_val(cpuid, entry);
}

GArray *cpu_model_cpuid(const CpuModel *model, unsigned index, uint32_t tsc_khz)
{
    GArray *cpuid = copy_cpuid(model->cpuid);
    CpuPlace place = cpu_topology_place(&model->topology, index);

    cpu_topology_apply(cpuid, &model->topology, &place, model->is_amd);
    if (model->has_kvm)
        append_frequencies(cpuid, tsc_khz);
    return cpuid;
}

uint64_t cpu_model_signature(const CpuModel *model)
{
    const CpuidEntry *leaf = cpu_model_find(model->cpuid, 1, 0);

    return leaf ? leaf->regs[CPUID_EAX] | (uint64_t)leaf->regs[CPUID_EDX] << 32 : 0;
}
