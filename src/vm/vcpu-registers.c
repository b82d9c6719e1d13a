/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's registers as text.
 */
#include "vcpu-kvm.h"

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
