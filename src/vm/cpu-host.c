/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's features as words of bits.
 *
 * VMX's controls come as two halves of an MSR, bits that must be 1 (low) and bits that
 * may be 1 (high); a feature is a control that may be either.  Intel SDM volume 3, A.3.
 */
#include <string.h>

#include "cpu-host.h"
#include "vm-kvm-cpu.h"
#include "vm-ops.h"

#define LEAF_KVM_FEATURES 0x40000001u

static bool is_control(CpuWord word)
{
    switch (word) {
    case CPU_WORD_VMX_PIN:
    case CPU_WORD_VMX_PROC:
    case CPU_WORD_VMX_PROC2:
    case CPU_WORD_VMX_EXIT:
    case CPU_WORD_VMX_ENTRY:
        return true;
    default:
        return false;
    }
}

static uint64_t learn_msr(const CpuHost *host, CpuWord word)
{
    uint64_t value;

    if (!cpu_host_msr(host, cpu_features_word(word)->function, &value))
        return 0;
    if (is_control(word))
        return (uint32_t)(value >> 32) & ~(uint32_t)value;
    return value;
}

static uint64_t learn_word(const CpuHost *host, CpuWord word)
{
    const CpuWordInfo *info = cpu_features_word(word);
    const CpuidEntry *entry;

    if (info->is_msr)
        return learn_msr(host, word);
    entry = cpu_leaf_find(host->cpuid, info->function, info->index);
    if (!entry)
        return 0;
    /* Hints are not KVM's to give: they say what the operator knows. */
    if (word == CPU_WORD_KVM_EDX)
        return ~0u;
    return entry->regs[info->reg];
}

CpuHost *cpu_host_new(GArray *cpuid, GArray *hyperv, GArray *msrs)
{
    CpuHost *host = g_new0(CpuHost, 1);

    host->cpuid = cpuid;
    host->hyperv = hyperv;
    host->msrs = msrs;
    cpu_leaf_vendor(cpuid, host->vendor);
    host->is_amd =
        !strcmp(host->vendor, "AuthenticAMD") || !strcmp(host->vendor, "HygonGenuine");
    for (unsigned word = 0; word < CPU_WORD__MAX; word++)
        host->words.bits[word] = learn_word(host, (CpuWord)word);
    return host;
}

CpuHost *cpu_host_probe(Vm *vm, GError **error)
{
    CpuHost *host = vm ? vm->ops->cpu_host(vm, error) : vm_kvm_probe_cpu(error);

    if (vm && host)
        irqchip_offer(vm, host);
    return host;
}

void cpu_host_free(CpuHost *host)
{
    if (!host)
        return;
    g_array_unref(host->cpuid);
    g_array_unref(host->hyperv);
    g_array_unref(host->msrs);
    g_free(host);
}

bool cpu_host_msr(const CpuHost *host, uint32_t index, uint64_t *ret_value)
{
    for (unsigned i = 0; i < host->msrs->len; i++) {
        const CpuMsr *msr = &g_array_index(host->msrs, CpuMsr, i);

        if (msr->index == index) {
            *ret_value = msr->value;
            return true;
        }
    }
    return false;
}

uint32_t cpu_host_hyperv(const CpuHost *host, uint32_t function, CpuidReg reg)
{
    const CpuidEntry *entry = cpu_leaf_find(host->hyperv, function, 0);

    return entry ? entry->regs[reg] : 0;
}
