/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator sets of a KVM VM: idling, polling, shadow pages, notifications.
 * Linux, Documentation/virt/kvm/api.rst: KVM_CAP_X86_DISABLE_EXITS, KVM_CAP_HALT_POLL,
 * KVM_SET_NR_MMU_PAGES, KVM_CAP_X86_NOTIFY_VMEXIT.
 *
 * What was asked for and KVM has not is an error: a host set up with care does not want
 * half of it.
 */
#include "berth/error.h"

#include "vm-kvm.h"

#define PAGE_SIZE 4096u

static int has_cap(const KvmVm *kvm, unsigned long cap)
{
    return vm_kvm_ioctl(kvm->vm_fd, KVM_CHECK_EXTENSION, (void *)cap);
}

static int enable(KvmVm *kvm, uint32_t cap, uint64_t argument)
{
    struct kvm_enable_cap request = { .cap = cap, .args = { argument } };

    return vm_kvm_ioctl(kvm->vm_fd, KVM_ENABLE_CAP, &request);
}

static bool fail(GError **error, int err, const char *option)
{
    if (err == 0)
        error_set(error, "%s is not supported by this host's KVM", option);
    else
        error_set_errno(error, -err, "KVM refuses %s", option);
    return false;
}

/* Of the four ways to idle those that this processor lets a guest have. */
static bool set_cpu_pm(KvmVm *kvm, GError **error)
{
    int exits = has_cap(kvm, KVM_CAP_X86_DISABLE_EXITS);
    int err;

    exits = MAX(exits, 0) & (KVM_X86_DISABLE_EXITS_MWAIT | KVM_X86_DISABLE_EXITS_HLT |
                             KVM_X86_DISABLE_EXITS_PAUSE | KVM_X86_DISABLE_EXITS_CSTATE);
    if (!exits)
        return fail(error, 0, "'cpu-pm'");
    err = enable(kvm, KVM_CAP_X86_DISABLE_EXITS, (uint64_t)exits);
    if (err < 0)
        return fail(error, err, "'cpu-pm'");
    kvm->guest_mwait = exits & KVM_X86_DISABLE_EXITS_MWAIT;
    return true;
}

static bool set_halt_poll(KvmVm *kvm, const VmTuning *tuning, GError **error)
{
    int err;

    if (has_cap(kvm, KVM_CAP_HALT_POLL) <= 0)
        return fail(error, 0, "'halt-poll-ns'");
    err = enable(kvm, KVM_CAP_HALT_POLL, tuning->halt_poll_ns);
    return err < 0 ? fail(error, err, "'halt-poll-ns'") : true;
}

static bool set_shadow_memory(KvmVm *kvm, const VmTuning *tuning, GError **error)
{
    uint64_t pages = tuning->shadow_memory / PAGE_SIZE;
    int err = vm_kvm_ioctl(kvm->vm_fd, KVM_SET_NR_MMU_PAGES, (void *)(uintptr_t)pages);

    return err < 0 ? fail(error, err, "'kvm-shadow-mem'") : true;
}

static bool set_notify(KvmVm *kvm, const VmTuning *tuning, GError **error)
{
    bool is_asked = tuning->notify != VM_NOTIFY_DEFAULT;
    uint64_t argument = (uint64_t)tuning->notify_window << 32 |
                        KVM_X86_NOTIFY_VMEXIT_ENABLED | KVM_X86_NOTIFY_VMEXIT_USER;
    int err;

    kvm->stops_on_notify = tuning->notify == VM_NOTIFY_STOP;
    if (tuning->notify == VM_NOTIFY_OFF)
        return true;
    if (has_cap(kvm, KVM_CAP_X86_NOTIFY_VMEXIT) <= 0)
        return is_asked ? fail(error, 0, "'notify-vmexit'") : true;
    err = enable(kvm, KVM_CAP_X86_NOTIFY_VMEXIT, argument);
    return err < 0 && is_asked ? fail(error, err, "'notify-vmexit'") : true;
}

bool vm_kvm_tuning_apply(KvmVm *kvm, const VmTuning *tuning, GError **error)
{
    return (!tuning->cpu_pm || set_cpu_pm(kvm, error)) &&
           (!tuning->has_halt_poll || set_halt_poll(kvm, tuning, error)) &&
           (tuning->shadow_memory == 0 || set_shadow_memory(kvm, tuning, error)) &&
           set_notify(kvm, tuning, error);
}
