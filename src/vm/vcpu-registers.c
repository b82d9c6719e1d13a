/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's registers as plain data.
 */
#include <string.h>

#include "vcpu-kvm.h"

#define MSR_KERNEL_GS_BASE 0xc0000102u

static VcpuSegment plain_segment(const struct kvm_segment *s)
{
    return (VcpuSegment) {
        .selector = s->selector,
        .limit = s->limit,
        .base = s->base,
        .flags = (uint32_t)(s->type | s->s << 4 | s->dpl << 5 | s->present << 7) << 8 |
                 (uint32_t)(s->avl | s->l << 1 | s->db << 2 | s->g << 3) << 20,
    };
}

static VcpuSegment plain_table(const struct kvm_dtable *table)
{
    return (VcpuSegment) { .limit = table->limit, .base = table->base };
}

static void copy_general(VcpuRegisters *to, const struct kvm_regs *from)
{
    const uint64_t general[VCPU_N_GENERAL] = {
        from->rax, from->rcx, from->rdx, from->rbx, from->rsp, from->rbp, from->rsi,
        from->rdi, from->r8, from->r9, from->r10, from->r11, from->r12, from->r13,
        from->r14, from->r15,
    };

    memcpy(to->general, general, sizeof(general));
    to->rip = from->rip;
    to->rflags = from->rflags;
}

static void copy_special(VcpuRegisters *to, const struct kvm_sregs *from)
{
    to->segments[VCPU_ES] = plain_segment(&from->es);
    to->segments[VCPU_CS] = plain_segment(&from->cs);
    to->segments[VCPU_SS] = plain_segment(&from->ss);
    to->segments[VCPU_DS] = plain_segment(&from->ds);
    to->segments[VCPU_FS] = plain_segment(&from->fs);
    to->segments[VCPU_GS] = plain_segment(&from->gs);
    to->segments[VCPU_LDT] = plain_segment(&from->ldt);
    to->segments[VCPU_TR] = plain_segment(&from->tr);
    to->segments[VCPU_GDT] = plain_table(&from->gdt);
    to->segments[VCPU_IDT] = plain_table(&from->idt);
    to->cr0 = from->cr0;
    to->cr2 = from->cr2;
    to->cr3 = from->cr3;
    to->cr4 = from->cr4;
    to->cr8 = from->cr8;
    to->efer = from->efer;
}

/* 0 where KVM has no such MSR. */
static uint64_t kernel_gs_base(int vcpu_fd)
{
    struct {
        struct kvm_msrs head;
        struct kvm_msr_entry entry;
    } msrs = { .head.nmsrs = 1, .entry.index = MSR_KERNEL_GS_BASE };

    return vm_kvm_ioctl(vcpu_fd, KVM_GET_MSRS, &msrs) == 1 ? msrs.entry.data : 0;
}

/* What follows is zero where KVM refuses it: nobody needs it to go on. */

static void get_debug(int vcpu_fd, VcpuRegisters *to)
{
    struct kvm_debugregs from;

    if (vm_kvm_ioctl(vcpu_fd, KVM_GET_DEBUGREGS, &from) < 0)
        return;
    for (size_t i = 0; i < G_N_ELEMENTS(from.db); i++)
        to->debug[i] = from.db[i];
    to->debug[6] = from.dr6;
    to->debug[7] = from.dr7;
}

static void get_floats(int vcpu_fd, VcpuFloats *to)
{
    struct kvm_fpu from;

    if (vm_kvm_ioctl(vcpu_fd, KVM_GET_FPU, &from) < 0)
        return;
    to->fcw = from.fcw;
    to->fsw = from.fsw;
    to->ftw = from.ftwx;
    to->mxcsr = from.mxcsr;
    memcpy(to->st, from.fpr, sizeof(to->st));
    memcpy(to->xmm, from.xmm, sizeof(to->xmm));
}

static void get_events(int vcpu_fd, VcpuRegisters *to)
{
    struct kvm_vcpu_events events;
    struct kvm_mp_state state;

    if (vm_kvm_ioctl(vcpu_fd, KVM_GET_VCPU_EVENTS, &events) == 0)
        to->interrupt_shadow = events.interrupt.shadow;
    if (vm_kvm_ioctl(vcpu_fd, KVM_GET_MP_STATE, &state) == 0)
        to->halted = state.mp_state == KVM_MP_STATE_HALTED;
}

int vcpu_registers_get(int vcpu_fd, VcpuRegisters *ret_registers)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs;
    int err = vm_kvm_ioctl(vcpu_fd, KVM_GET_REGS, &regs);

    if (!err)
        err = vm_kvm_ioctl(vcpu_fd, KVM_GET_SREGS, &sregs);
    if (err)
        return err;
    *ret_registers = (VcpuRegisters) { 0 };
    copy_general(ret_registers, &regs);
    copy_special(ret_registers, &sregs);
    ret_registers->kernel_gs_base = kernel_gs_base(vcpu_fd);
    get_debug(vcpu_fd, ret_registers);
    get_floats(vcpu_fd, &ret_registers->floats);
    get_events(vcpu_fd, ret_registers);
    return 0;
}
