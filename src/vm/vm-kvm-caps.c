/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM's capabilities that matter to berth.  One table serves the start, which refuses a
 * host that lacks a required one, and "--check-host", which prints all.
 */
#include "berth/error.h"

#include "vm-kvm.h"

#define CAP(_cap, _least, _required, _use) \
    { _cap, _least, _required, #_cap, _use }

static const VmKvmCap caps[] = {
    CAP(KVM_CAP_USER_MEMORY, 1, true, "guest memory"),
    CAP(KVM_CAP_NR_MEMSLOTS, 32, true, "guest memory in several parts"),
    CAP(KVM_CAP_READONLY_MEM, 1, true, "read-only memory for firmware"),
    CAP(KVM_CAP_SET_TSS_ADDR, 1, true, "real mode on older Intel processors"),
    CAP(KVM_CAP_SET_IDENTITY_MAP_ADDR, 1, true, "real mode on older Intel processors"),
    CAP(KVM_CAP_EXT_CPUID, 1, true, "the guest's CPUID"),
    CAP(KVM_CAP_IRQCHIP, 1, true, "interrupt controllers in the kernel"),
    CAP(KVM_CAP_PIT2, 1, true, "the timer chip in the kernel"),
    CAP(KVM_CAP_IRQ_ROUTING, 64, true, "routes of message-signalled interrupts"),
    CAP(KVM_CAP_IRQFD, 1, true, "interrupts by file descriptor"),
    CAP(KVM_CAP_IOEVENTFD, 1, true, "doorbells by file descriptor"),
    CAP(KVM_CAP_SIGNAL_MSI, 1, true, "NMIs"),
    CAP(KVM_CAP_IMMEDIATE_EXIT, 1, true, "pausing a vCPU at once"),
    CAP(KVM_CAP_MP_STATE, 1, true, "several vCPUs"),
    CAP(KVM_CAP_VCPU_EVENTS, 1, true, "resetting and saving a vCPU"),
    CAP(KVM_CAP_DEBUGREGS, 1, true, "resetting and saving a vCPU"),
    CAP(KVM_CAP_XSAVE, 1, true, "resetting and saving a vCPU"),
    CAP(KVM_CAP_ADJUST_CLOCK, 1, true, "a guest clock that stands still in a pause"),
    CAP(KVM_CAP_GET_TSC_KHZ, 1, true, "telling the guest its clock's frequency"),
    CAP(KVM_CAP_XCRS, 1, false, "extended registers, of a processor that has XSAVE"),
    CAP(KVM_CAP_IOEVENTFD_ANY_LENGTH, 1, false, "doorbells of any width"),
    CAP(KVM_CAP_REINJECT_CONTROL, 1, false, "dropping late ticks of the timer chip"),
    CAP(KVM_CAP_SPLIT_IRQCHIP, 1, false, "kernel-irqchip=split, more than 255 vCPUs"),
    CAP(KVM_CAP_X86_SMM, 1, false, "firmware in system management mode (smm=on)"),
    CAP(KVM_CAP_MULTI_ADDRESS_SPACE, 2, false, "memory of system management mode"),
    CAP(KVM_CAP_TSC_DEADLINE_TIMER, 1, false, "the guest's cheapest timer"),
    CAP(KVM_CAP_X2APIC_API, 1, false, "APIC ids of 32 bits in a saved vCPU"),
    CAP(KVM_CAP_XSAVE2, 1, false, "AMX state"),
    CAP(KVM_CAP_KVMCLOCK_CTRL, 1, false, "no false alarms of the guest after a pause"),
    CAP(KVM_CAP_X86_TRIPLE_FAULT_EVENT, 1, false, "resetting a vCPU in a triple fault"),
    CAP(KVM_CAP_DIRTY_LOG_RING, 1, false, "migration by dirty ring"),
    CAP(KVM_CAP_BINARY_STATS_FD, 1, false, "statistics"),
    CAP(KVM_CAP_TSC_CONTROL, 1, false, "a guest TSC of another frequency"),
    CAP(KVM_CAP_SYS_HYPERV_CPUID, 1, false, "Hyper-V's interface (-cpu hv-...)"),
    CAP(KVM_CAP_X86_DISABLE_EXITS, 1, false, "guests that idle by themselves (cpu-pm)"),
    CAP(KVM_CAP_HALT_POLL, 1, false, "halt polling of each VM"),
};

const VmKvmCap *vm_kvm_caps_get(unsigned index)
{
    return index < G_N_ELEMENTS(caps) ? &caps[index] : NULL;
}

bool vm_kvm_caps_check(int kvm_fd, GError **error)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(caps) && caps[i].required; i++) {
        int got = vm_kvm_ioctl(kvm_fd, KVM_CHECK_EXTENSION, GINT_TO_POINTER(caps[i].cap));

        if (got >= caps[i].least)
            continue;
        error_set_class(error, BERTH_ERROR_KVM_MISSING_CAP,
                        "KVM of this host lacks %s, which berth needs for %s",
                        caps[i].name, caps[i].use);
        return false;
    }
    return true;
}
