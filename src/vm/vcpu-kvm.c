/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU of KVM: made, run, kicked.
 *
 * The kick is a store to kvm_run's immediate_exit and a signal.  The store makes a
 * KVM_RUN that has not begun return at once; the signal calls back one that has.
 * vcpu.c says when they are set and taken back.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "berth/error.h"
#include "berth/qsbr.h"
#include "berth/thread.h"

#include "vcpu-kvm.h"
#include "vcpu-model.h"

/* Of the APIC's base register. */
#define APIC_BASE_X2APIC (1u << 10)

/* Intel SDM volume 3, 11.5.1 (local vector table). */
#define APIC_LVT1 0x360
#define APIC_LVT_MASKED 0x10000u
#define APIC_MODE_MASK 0x700u
#define APIC_MODE_NMI 0x400u

static bool fail(GError **error, int err, const char *what)
{
    error_set_errno(error, -err, "KVM cannot %s", what);
    return false;
}

/* The PIC in user space interrupts the boot processor. */
static void connect_pic(KvmVcpu *kv, Vcpu *boot_vcpu)
{
    KvmVm *kvm = vcpu_kvm_vm(kv);

    if (kv->vcpu.index != 0)
        return;
    lock_take(&kvm->lock);
    kvm->boot_vcpu = boot_vcpu;
    lock_drop(&kvm->lock);
}

/* Takes the one of that index that waits, if there is one. */
static void take_parked(KvmVcpu *kv)
{
    GArray *parked = vcpu_kvm_vm(kv)->parked;

    for (guint i = 0; parked && i < parked->len; i++) {
        const KvmParked *found = &g_array_index(parked, KvmParked, i);

        if (found->index != kv->vcpu.index)
            continue;
        kv->fd = found->fd;
        kv->run = found->run;
        kv->is_made = found->is_made;
        kv->used = found->used;
        g_array_remove_index_fast(parked, i);
        return;
    }
}

static void park(KvmVcpu *kv)
{
    KvmVm *kvm = vcpu_kvm_vm(kv);
    KvmParked parked = {
        .index = kv->vcpu.index, .fd = kv->fd, .run = kv->run, .is_made = kv->is_made,
        .used = kv->used,
    };

    if (!kvm->parked)
        kvm->parked = g_array_new(FALSE, FALSE, sizeof(parked));
    g_array_append_val(kvm->parked, parked);
}

void vcpu_kvm_free_parked(KvmVm *kvm)
{
    for (guint i = 0; kvm->parked && i < kvm->parked->len; i++) {
        KvmParked *parked = &g_array_index(kvm->parked, KvmParked, i);

        if (parked->run)
            munmap(parked->run, kvm->run_size);
        base_close_fd(&parked->fd);
    }
    g_clear_pointer(&kvm->parked, g_array_unref);
}

static bool create(KvmVcpu *kv, GError **error)
{
    KvmVm *kvm = vcpu_kvm_vm(kv);

    kv->fd = vm_kvm_ioctl(kvm->vm_fd, KVM_CREATE_VCPU,
                          (void *)(uintptr_t)kv->vcpu.place.apic_id);
    return kv->fd >= 0 || fail(error, kv->fd, "make a vCPU");
}

static bool share_run(KvmVcpu *kv, GError **error)
{
    void *run = mmap(NULL, vcpu_kvm_vm(kv)->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                     kv->fd, 0);

    if (run == MAP_FAILED)
        return fail(error, -errno, "share a vCPU's memory");
    kv->run = run;
    return true;
}

static bool kvm_open(Vcpu *vcpu, GError **error)
{
    KvmVcpu *kv = vcpu_kvm_of(vcpu);
    KvmVm *kvm = vcpu_kvm_vm(kv);
    int err = vm_kvm_irq_need_chips(kvm);

    kv->fd = -1;
    if (err)
        return fail(error, err, "make the interrupt controllers");
    if (vcpu->index == 0 && !vcpu_model_prepare_vm(kvm, vcpu->model, error))
        return false;
    take_parked(kv);
    if ((kv->fd < 0 && !create(kv, error)) || (!kv->run && !share_run(kv, error)) ||
        (!kv->is_made && !vcpu_model_apply(kv, error)))
        return false;
    kv->is_made = true;
    connect_pic(kv, vcpu);
    return vcpu->index != 0 || vcpu_reset_learn(kv, error);
}

static void kvm_close(Vcpu *vcpu)
{
    KvmVcpu *kv = vcpu_kvm_of(vcpu);

    connect_pic(kv, NULL);
    if (kv->fd >= 0)
        park(kv);
}

/*
 * Hands the vector of the PIC in user space to the kernel, which injects it at once.
 * When the guest takes none now, the kernel is asked to come back as soon as it does.
 *
 * irqchip_set_extint() stores the output first and then recalls this vCPU, so a level
 * that is not seen here ends the KVM_RUN that follows.
 */
static void take_extint(KvmVcpu *kv)
{
    KvmVm *kvm = vcpu_kvm_vm(kv);
    bool *level = &kvm->extint;
    struct kvm_interrupt interrupt;

    if (!kv->has_vector && __atomic_load_n(level, __ATOMIC_SEQ_CST) &&
        kv->run->ready_for_interrupt_injection)
        kv->has_vector = irqchip_acknowledge(&kvm->vm, &kv->vector);
    if (kv->has_vector) {
        interrupt.irq = kv->vector;
        /* The kernel has not injected the one before: it keeps its turn. */
        kv->has_vector = vm_kvm_ioctl(kv->fd, KVM_INTERRUPT, &interrupt) == -EEXIST;
    }
    kv->run->request_interrupt_window =
        kv->has_vector || __atomic_load_n(level, __ATOMIC_SEQ_CST);
}

static VcpuRun kvm_run(Vcpu *vcpu, VcpuStop *ret_stop)
{
    KvmVcpu *kv = vcpu_kvm_of(vcpu);
    int ret;

    if (vcpu->index == 0 && vcpu->vm->irqchip == VM_IRQCHIP_SPLIT)
        take_extint(kv);
    qsbr_offline();
    ret = ioctl(kv->fd, KVM_RUN, NULL);
    qsbr_online();
    if (ret == 0)
        return vcpu_exit_dispatch(kv, ret_stop);
    if (errno == EINTR)
        return vcpu_exit_interrupted(kv);
    /* A vCPU that waited for its SIPI got it. */
    if (errno == EAGAIN)
        return VCPU_RUN_AGAIN;
    return vcpu_exit_failed(kv, errno, ret_stop);
}

static void kvm_kick(Vcpu *vcpu)
{
    KvmVcpu *kv = vcpu_kvm_of(vcpu);

    __atomic_store_n(&kv->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    if (!pthread_equal(vcpu->thread, pthread_self()))
        pthread_kill(vcpu->thread, VCPU_KICK_SIGNAL);
}

static void kvm_unkick(Vcpu *vcpu)
{
    __atomic_store_n(&vcpu_kvm_of(vcpu)->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
}

/* Tells a guest with KVM's clock that it was stopped, so that no watchdog of it barks. */
static void kvm_resumed(Vcpu *vcpu)
{
    vm_kvm_ioctl(vcpu_kvm_of(vcpu)->fd, KVM_KVMCLOCK_CTRL, NULL);
}

static int kvm_open_stats(Vcpu *vcpu)
{
    return vm_kvm_ioctl(vcpu_kvm_of(vcpu)->fd, KVM_GET_STATS_FD, NULL);
}

static bool kvm_is_halted(Vcpu *vcpu)
{
    struct kvm_mp_state state = { 0 };

    return vm_kvm_ioctl(vcpu_kvm_of(vcpu)->fd, KVM_GET_MP_STATE, &state) == 0 &&
           state.mp_state == KVM_MP_STATE_HALTED;
}

static int kvm_registers(Vcpu *vcpu, VcpuRegisters *ret_registers)
{
    KvmVcpu *kv = vcpu_kvm_of(vcpu);
    int err = vcpu_registers_get(kv->fd, ret_registers);

    ret_registers->smm = kv->run->flags & KVM_RUN_X86_SMM;
    return err;
}

static int kvm_apic(Vcpu *vcpu, VcpuApic *ret_apic)
{
    int fd = vcpu_kvm_of(vcpu)->fd;
    struct kvm_lapic_state lapic;
    struct kvm_sregs sregs;

    if (vm_kvm_ioctl(fd, KVM_GET_LAPIC, &lapic) < 0 ||
        vm_kvm_ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
        return -errno;
    for (unsigned i = 0; i < VCPU_APIC_WORDS; i++)
        memcpy(&ret_apic->words[i], lapic.regs + 16 * i, sizeof(ret_apic->words[i]));
    ret_apic->x2apic = sregs.apic_base & APIC_BASE_X2APIC;
    return 0;
}

/* The line ends at LINT1 of each local APIC, which the guest may use for another end. */
static void kvm_inject_nmi(Vcpu *vcpu)
{
    KvmVcpu *kv = vcpu_kvm_of(vcpu);
    struct kvm_lapic_state lapic;
    uint32_t lint1;

    if (vm_kvm_ioctl(kv->fd, KVM_GET_LAPIC, &lapic) < 0)
        return;
    memcpy(&lint1, lapic.regs + APIC_LVT1, sizeof(lint1));
    if (!(lint1 & APIC_LVT_MASKED) && (lint1 & APIC_MODE_MASK) == APIC_MODE_NMI)
        vm_kvm_ioctl(kv->fd, KVM_NMI, NULL);
}

static void kvm_inject_smi(Vcpu *vcpu)
{
    vm_kvm_ioctl(vcpu_kvm_of(vcpu)->fd, KVM_SMI, NULL);
}

static bool kvm_reset_vcpu(Vcpu *vcpu, const VcpuBoot *boot, GError **error)
{
    return vcpu_reset_to(vcpu_kvm_of(vcpu), boot, error);
}

static VcpuState *kvm_get_state(Vcpu *vcpu, GError **error)
{
    return vcpu_state_get(vcpu_kvm_of(vcpu), error);
}

static bool kvm_set_state(Vcpu *vcpu, const VcpuState *state, GError **error)
{
    vcpu_kvm_of(vcpu)->used = true;
    return vcpu_state_set(vcpu_kvm_of(vcpu), state, error);
}

const VcpuOps vcpu_kvm_ops = {
    .instance_size = sizeof(KvmVcpu),
    .open = kvm_open,
    .close = kvm_close,
    .reset = kvm_reset_vcpu,
    .get_state = kvm_get_state,
    .set_state = kvm_set_state,
    .is_halted = kvm_is_halted,
    .registers = kvm_registers,
    .apic = kvm_apic,
    .inject_nmi = kvm_inject_nmi,
    .inject_smi = kvm_inject_smi,
    .run = kvm_run,
    .resumed = kvm_resumed,
    .open_stats = kvm_open_stats,
    .kick = kvm_kick,
    .unkick = kvm_unkick,
};
