/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's processor: what "-cpu" asks for, of it what the hypervisor has.
 *
 *     text -> options -> spec (a model's row or the host) -> dependencies -> filter
 *     -> leaves and MSRs
 *
 * There is one array of CPUID entries a machine; what differs between vCPUs is written
 * into a copy that lives as long as it takes to hand it to the hypervisor.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/log.h"

#include "cpu-build.h"
#include "cpu-filter.h"
#include "cpu-model.h"
#include "cpu-topology.h"
#include "vm-ops.h"

#define LEAF_KVM 0x40000000u
#define LEAF_KVM_BESIDE_HYPERV 0x40000100u
#define LEAF_FREQUENCIES 0x40000010u
#define LEAF_EXTENDED 0x80000000u
#define LEAF_SIZES 0x80000008u

#define ECX_VMX (1u << 5)
#define PHYS_BITS_WITHOUT_LEAF 36u

/* The local APIC timer of KVM counts nanoseconds. */
#define APIC_BUS_KHZ 1000000u

static bool check_kvm(const CpuOptions *options, const CpuHost *host, GError **error)
{
    if (options->kvm_pv_enforce_cpuid <= 0 || host->enforces_kvm)
        return true;
    error_set(error, "'kvm-pv-enforce-cpuid' is not supported by this host's KVM");
    return false;
}

static void append_kvm(CpuModel *model)
{
    bool beside = cpu_hyperv_enabled(&model->options.hyperv);
    uint32_t base = beside ? LEAF_KVM_BESIDE_HYPERV : LEAF_KVM;
    uint32_t signature[4] = { base + 1, 0x4b4d564b, 0x564b4d56, 0x4d };
    uint32_t features[4] = {
        (uint32_t)model->words.bits[CPU_WORD_KVM_EAX], 0, 0,
        (uint32_t)model->words.bits[CPU_WORD_KVM_EDX],
    };

    if (!model->options.kvm)
        return;
    cpu_leaf_append(model->cpuid, base, 0, signature);
    cpu_leaf_append(model->cpuid, base + 1, 0, features);
}

static bool build(CpuModel *model, CpuSpec *spec, const CpuHost *host, GError **error)
{
    CpuOptions *options = &model->options;
    CpuFilter filter = { .check = options->check, .enforce = options->enforce };
    unsigned phys_bits;

    cpu_filter_depend(spec, options->check);
    if (!cpu_filter_apply(spec, host, &filter, &model->missing, error) ||
        !cpu_build_phys_bits(spec, options, host, &phys_bits, error) ||
        !check_kvm(options, host, error) ||
        !cpu_hyperv_resolve(&options->hyperv, host, error))
        return false;
    cpu_filter_depend(spec, false);
    model->cpuid = cpu_build_leaves(spec, options, host);
    model->msrs = cpu_msr_build(spec, options, host);
    model->words = spec->words;
    model->is_amd = spec->is_amd;
    model->levels_v2 = spec->levels_v2;
    model->hides_counters = spec->hides_counters;
    model->signature = cpu_spec_signature(spec);
    g_snprintf(model->type, sizeof(model->type), "%s-x86_64-cpu", spec->name);
    cpu_spec_fill_options(spec, options);
    options->phys_bits = phys_bits;
    options->level = cpu_leaf_find(model->cpuid, 0, 0)->regs[CPUID_EAX];
    options->xlevel = cpu_leaf_find(model->cpuid, LEAF_EXTENDED, 0)->regs[CPUID_EAX];
    if (cpu_hyperv_enabled(&options->hyperv))
        cpu_hyperv_append(model->cpuid, &options->hyperv, host);
    append_kvm(model);
    return true;
}

CpuModel *cpu_model_new(Vm *vm, const char *text, const CpuTopology *topology,
                        GError **error)
{
    g_autoptr(CpuModel) model = g_new0(CpuModel, 1);
    g_autoptr(CpuHost) host = NULL;
    CpuSpec spec;

    cpu_options_init(&model->options);
    if (!cpu_options_parse(&model->options, text, error))
        return NULL;
    host = cpu_host_probe(vm, error);
    if (!host || !cpu_spec_init(&spec, &model->options, host, error) ||
        !build(model, &spec, host, error))
        return NULL;
    model->topology = *topology;
    if (!irqchip_check_cpus(vm, model, error))
        return NULL;
    return g_steal_pointer(&model);
}

void cpu_model_free(CpuModel *model)
{
    if (!model)
        return;
    g_clear_pointer(&model->cpuid, g_array_unref);
    g_clear_pointer(&model->msrs, g_array_unref);
    cpu_features_index_free(model->names);
    cpu_options_done(&model->options);
    g_free(model);
}

uint32_t cpu_model_last_apic_id(const CpuModel *model)
{
    return cpu_topology_place(&model->topology, model->topology.max_cpus - 1).apic_id;
}

CpuPlace cpu_model_place(const CpuModel *model, unsigned index)
{
    return cpu_topology_place(&model->topology, index);
}

const char *cpu_model_type(const CpuModel *model)
{
    return model->type;
}

uint64_t cpu_model_signature(const CpuModel *model)
{
    const CpuidEntry *leaf = cpu_leaf_find(model->cpuid, 1, 0);

    return leaf ? leaf->regs[CPUID_EAX] | (uint64_t)leaf->regs[CPUID_EDX] << 32 : 0;
}

bool cpu_model_has_vmx(const CpuModel *model)
{
    const CpuidEntry *leaf = cpu_leaf_find(model->cpuid, 1, 0);

    return leaf && leaf->regs[CPUID_ECX] & ECX_VMX;
}

unsigned cpu_model_phys_bits(const CpuModel *model)
{
    const CpuidEntry *sizes = cpu_leaf_find(model->cpuid, LEAF_SIZES, 0);

    return sizes ? sizes->regs[CPUID_EAX] & 0xff : PHYS_BITS_WITHOUT_LEAF;
}

/* At the place of VMware's leaf of the kind, so not beside Hyper-V's leaves. */
static void append_frequencies(GArray *cpuid, uint32_t tsc_khz)
{
    CpuidEntry *first = cpu_leaf_find(cpuid, LEAF_KVM, 0);
    uint32_t regs[4] = { tsc_khz, APIC_BUS_KHZ };

    first->regs[CPUID_EAX] = LEAF_FREQUENCIES;
    cpu_leaf_append(cpuid, LEAF_FREQUENCIES, 0, regs);
}

GArray *cpu_model_cpuid(const CpuModel *model, unsigned index, uint32_t tsc_khz)
{
    GArray *cpuid = cpu_leaf_copy(model->cpuid);
    CpuPlace place = cpu_topology_place(&model->topology, index);
    CpuTopologyForm form = {
        .is_amd = model->is_amd,
        .no_levels = !model->options.cpuid_0xb,
        .levels_v2 = model->levels_v2,
    };

    cpu_topology_apply(cpuid, &model->topology, &place, &form);
    if (model->options.kvm && model->options.vmware_cpuid_freq && tsc_khz > 0 &&
        !cpu_hyperv_enabled(&model->options.hyperv))
        append_frequencies(cpuid, tsc_khz);
    return cpuid;
}
