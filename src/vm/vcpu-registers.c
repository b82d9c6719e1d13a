/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's registers as text, and as plain data.
 */
#include <string.h>

#include "vcpu-kvm.h"

#define MSR_KERNEL_GS_BASE 0xc0000102u

static void append_general(GString *text, const struct kvm_regs *r)
{
    g_string_append_printf(text, "RAX=%016llx RBX=%016llx RCX=%016llx RDX=%016llx\n",
                           r->rax, r->rbx, r->rcx, r->rdx);
    g_string_append_printf(text, "RSI=%016llx RDI=%016llx RBP=%016llx RSP=%016llx\n",
                           r->rsi, r->rdi, r->rbp, r->rsp);
    g_string_append_printf(text, "R8 =%016llx R9 =%016llx R10=%016llx R11=%016llx\n",
                           r->r8, r->r9, r->r10, r->r11);
    g_string_append_printf(text, "R12=%016llx R13=%016llx R14=%016llx R15=%016llx\n",
                           r->r12, r->r13, r->r14, r->r15);
}

static void append_segment(GString *text, const char *name, const struct kvm_segment *s)
{
    g_string_append_printf(text,
                           "%-3s=%04x %016llx %08x type=%x p=%d dpl=%d db=%d s=%d l=%d "
                           "g=%d\n",
                           name, s->selector, s->base, s->limit, s->type, s->present,
                           s->dpl, s->db, s->s, s->l, s->g);
}

static void append_special(GString *text, const struct kvm_sregs *s)
{
    append_segment(text, "ES", &s->es);
    append_segment(text, "CS", &s->cs);
    append_segment(text, "SS", &s->ss);
    append_segment(text, "DS", &s->ds);
    append_segment(text, "FS", &s->fs);
    append_segment(text, "GS", &s->gs);
    append_segment(text, "LDT", &s->ldt);
    append_segment(text, "TR", &s->tr);
    g_string_append_printf(text, "GDT=     %016llx %08x\n", s->gdt.base, s->gdt.limit);
    g_string_append_printf(text, "IDT=     %016llx %08x\n", s->idt.base, s->idt.limit);
    g_string_append_printf(text, "CR0=%08llx CR2=%016llx CR3=%016llx CR4=%08llx\n",
                           s->cr0, s->cr2, s->cr3, s->cr4);
    g_string_append_printf(text, "EFER=%016llx APIC_BASE=%016llx CR8=%llx\n", s->efer,
                           s->apic_base, s->cr8);
}

char *vcpu_registers_describe(int vcpu_fd)
{
    GString *text = g_string_new(NULL);
    struct kvm_sregs sregs;
    struct kvm_regs regs;

    if (vm_kvm_ioctl(vcpu_fd, KVM_GET_REGS, &regs) < 0 ||
        vm_kvm_ioctl(vcpu_fd, KVM_GET_SREGS, &sregs) < 0) {
        g_string_append(text, "the registers cannot be read\n");
        return g_string_free(text, FALSE);
    }
    append_general(text, &regs);
    g_string_append_printf(text, "RIP=%016llx RFL=%08llx CPL=%d\n", regs.rip, regs.rflags,
                           sregs.ss.dpl);
    append_special(text, &sregs);
    return g_string_free(text, FALSE);
}

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

int vcpu_registers_get(int vcpu_fd, VcpuRegisters *ret_registers)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs;
    int err = vm_kvm_ioctl(vcpu_fd, KVM_GET_REGS, &regs);

    if (!err)
        err = vm_kvm_ioctl(vcpu_fd, KVM_GET_SREGS, &sregs);
    if (err)
        return err;
    copy_general(ret_registers, &regs);
    copy_special(ret_registers, &sregs);
    ret_registers->kernel_gs_base = kernel_gs_base(vcpu_fd);
    return 0;
}
