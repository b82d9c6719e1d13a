/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processors that KVM can make: its lists of CPUID leaves and of MSRs that tell of
 * features.  Linux, Documentation/virt/kvm/api.rst: KVM_GET_SUPPORTED_CPUID,
 * KVM_GET_SUPPORTED_HV_CPUID, KVM_GET_MSR_FEATURE_INDEX_LIST.
 *
 * An MSR that KVM lists and refuses to read is one that there is not.
 */
#include <cpuid.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"

#include "vm-kvm.h"
#include "vm-kvm-cpu.h"

/* Linux, Documentation/arch/x86/xstate.rst: the tiles' state is only for who asked. */
#define ARCH_REQ_XCOMP_GUEST_PERM 0x1025
#define XSTATE_TILE_DATA 18

#define ECX_MONITOR (1u << 3)
#define ECX_TSC_DEADLINE (1u << 24)
#define ECX_HYPERVISOR (1u << 31)

#define LEAF_MONITOR 5u
#define LEAF_BRAND 0x80000002u
#define LEAF_POWER 0x80000007u
#define EBX_OVERFLOW_RECOV (1u << 0)
#define EBX_SUCCOR (1u << 1)

#define ENTRIES_MAX 4096

static int has_cap(int kvm_fd, unsigned long cap)
{
    return vm_kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, (void *)cap);
}

static struct kvm_cpuid2 *read_list(int kvm_fd, unsigned long request, int *ret_err)
{
    g_autofree struct kvm_cpuid2 *cpuid = NULL;

    *ret_err = -E2BIG;
    for (unsigned n = 128; *ret_err == -E2BIG && n <= ENTRIES_MAX; n *= 2) {
        g_free(cpuid);
        cpuid = g_malloc0(sizeof(*cpuid) + n * sizeof(cpuid->entries[0]));
        cpuid->nent = n;
        *ret_err = vm_kvm_ioctl(kvm_fd, request, cpuid);
    }
    return g_steal_pointer(&cpuid);
}

static GArray *entries_of(const struct kvm_cpuid2 *cpuid)
{
    GArray *entries = g_array_new(FALSE, FALSE, sizeof(CpuidEntry));

    for (unsigned i = 0; i < cpuid->nent; i++) {
        const struct kvm_cpuid_entry2 *from = &cpuid->entries[i];
        uint32_t regs[4] = { from->eax, from->ebx, from->ecx, from->edx };

        cpu_leaf_append(entries, from->function, from->index, regs);
    }
    return entries;
}

/* Bits that KVM's list leaves to the one who makes the VM. */
static void add_unlisted(int kvm_fd, GArray *cpuid)
{
    CpuidEntry *basic = cpu_leaf_find(cpuid, 1, 0);
    CpuidEntry *power;

    if (!basic)
        return;
    basic->regs[CPUID_ECX] |= ECX_HYPERVISOR;
    if (has_cap(kvm_fd, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
        basic->regs[CPUID_ECX] |= ECX_TSC_DEADLINE;
    /* KVM serves machine checks, of these kinds, too. */
    power = cpu_leaf_find(cpuid, LEAF_POWER, 0);
    if (power)
        power->regs[CPUID_EBX] |= EBX_OVERFLOW_RECOV | EBX_SUCCOR;
}

/* A leaf that KVM leaves empty, as the host's processor has it. */
static void add_own(GArray *cpuid, uint32_t function)
{
    static const uint32_t zeros[4];
    CpuidEntry *entry = cpu_leaf_find(cpuid, function, 0);

    if (!entry) {
        cpu_leaf_append(cpuid, function, 0, zeros);
        entry = cpu_leaf_find(cpuid, function, 0);
    }
    if (!memcmp(entry->regs, zeros, sizeof(zeros)))
        __get_cpuid(function, &entry->regs[CPUID_EAX], &entry->regs[CPUID_EBX],
                    &entry->regs[CPUID_ECX], &entry->regs[CPUID_EDX]);
}

static GArray *read_hyperv(int kvm_fd)
{
    g_autofree struct kvm_cpuid2 *cpuid = NULL;
    int err;

    if (has_cap(kvm_fd, KVM_CAP_SYS_HYPERV_CPUID) > 0) {
        cpuid = read_list(kvm_fd, KVM_GET_SUPPORTED_HV_CPUID, &err);
        if (err == 0)
            return entries_of(cpuid);
    }
    return g_array_new(FALSE, FALSE, sizeof(CpuidEntry));
}

static void read_msr(int kvm_fd, uint32_t index, GArray *msrs)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } one = { .head = { .nmsrs = 1 }, .entry = { .index = index } };
    CpuMsr msr = { .index = index };

    if (vm_kvm_ioctl(kvm_fd, KVM_GET_MSRS, &one) != 1) {
        log_debug("MSR 0x%x: listed by KVM, but it cannot be read", index);
        return;
    }
    msr.value = one.entry.data;
    g_array_append_val(msrs, msr);
}

static GArray *read_msrs(int kvm_fd)
{
    GArray *msrs = g_array_new(FALSE, FALSE, sizeof(CpuMsr));
    struct kvm_msr_list none = { .nmsrs = 0 };
    g_autofree struct kvm_msr_list *list = NULL;

    if (vm_kvm_ioctl(kvm_fd, KVM_GET_MSR_FEATURE_INDEX_LIST, &none) != -E2BIG)
        return msrs;
    list = g_malloc0(sizeof(*list) + none.nmsrs * sizeof(list->indices[0]));
    list->nmsrs = none.nmsrs;
    if (vm_kvm_ioctl(kvm_fd, KVM_GET_MSR_FEATURE_INDEX_LIST, list) < 0)
        return msrs;
    for (unsigned i = 0; i < list->nmsrs; i++)
        read_msr(kvm_fd, list->indices[i], msrs);
    return msrs;
}

void vm_kvm_cpu_permit(void)
{
    /* Refused where there are no tiles, and then KVM's lists have none. */
    syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_GUEST_PERM, XSTATE_TILE_DATA);
}

void vm_kvm_cpu_allow_mwait(CpuHost *host)
{
    uint32_t regs[4] = { 0 };

    __get_cpuid(1, &regs[0], &regs[1], &regs[2], &regs[3]);
    if (regs[CPUID_ECX] & ECX_MONITOR)
        cpu_words_set(&host->words, CPU_MONITOR, true);
}

CpuHost *vm_kvm_cpu_host(int kvm_fd, GError **error)
{
    g_autofree struct kvm_cpuid2 *list = NULL;
    CpuHost *host;
    GArray *cpuid;
    int err;

    vm_kvm_cpu_permit();
    list = read_list(kvm_fd, KVM_GET_SUPPORTED_CPUID, &err);
    if (err < 0) {
        error_set_errno(error, -err, "KVM does not tell which CPUID it supports");
        return NULL;
    }
    cpuid = entries_of(list);
    add_unlisted(kvm_fd, cpuid);
    add_own(cpuid, LEAF_MONITOR);
    for (uint32_t i = 0; i < 3; i++)
        add_own(cpuid, LEAF_BRAND + i);
    host = cpu_host_new(cpuid, read_hyperv(kvm_fd), read_msrs(kvm_fd));
    host->scales_tsc = has_cap(kvm_fd, KVM_CAP_TSC_CONTROL) > 0;
    host->enforces_hyperv = has_cap(kvm_fd, KVM_CAP_HYPERV_ENFORCE_CPUID) > 0;
    host->enforces_kvm = has_cap(kvm_fd, KVM_CAP_ENFORCE_PV_FEATURE_CPUID) > 0;
    return host;
}
