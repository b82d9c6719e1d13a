/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's registers at power-on, and where it begins.
 *
 * What power-on means is asked of the kernel: the state of vCPU 0 when it was just made
 * is read once, and is what every later reset writes, with what differs between
 * processors set (APIC id, boot processor or not).  So a register that a newer kernel
 * adds is reset too.
 *
 * TSCs are written as 0.  KVM takes writes of 0 to all TSCs as "in step since the VM
 * was made", so they stay equal, whatever the guest had written to them.
 */
#include <errno.h>
#include <string.h>

#include "berth/error.h"

#include "vcpu-model.h"

/* Intel SDM volume 3A, 2.5; volume 3, 12.11 (MTRRs); volume 4 (MSRs). */
#define CR0_PE (1u << 0)
#define CR0_ET (1u << 4)
#define CR0_PG (1u << 31)
#define CR4_PAE (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define RFLAGS_RESERVED 0x2u

#define APIC_BASE_BSP (1u << 8)
#define APIC_BASE_X2APIC (1u << 10)
#define APIC_ID 0x20
#define APIC_ID_SHIFT 24
#define APIC_LVT0 0x350
#define APIC_LVT_MASKED 0x10000u
#define APIC_LVT_EXTINT 0x700u

#define MSR_TSC 0x10u
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_MISC_ENABLE 0x1a0u
#define MISC_ENABLE_FAST_STRING 1u

#define MTRR_WRITE_BACK 0x0606060606060606ull
#define MTRR_UNCACHED 0ull
#define MTRR_DEFAULT_ON 0xc06u  /* both kinds on, write-back where none says otherwise */

/* The selectors of VcpuBoot.gdt; the TSS entry has 16 bytes in long mode. */
#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define SELECTOR_TSS 0x20
#define GDT_LIMIT 0x2f
#define TSS_LIMIT 0x67

#define TYPE_CODE 0xb           /* execute, read, accessed */
#define TYPE_DATA 0x3           /* read, write, accessed */
#define TYPE_TSS_BUSY 0xb

/* Memory types as firmware sets them: all write-back but the VGA's hole. */
static const struct kvm_msr_entry mtrrs[] = {
    { .index = 0x250, .data = MTRR_WRITE_BACK },        /* 0, 64 KiB each */
    { .index = 0x258, .data = MTRR_WRITE_BACK },        /* 0x80000, 16 KiB each */
    { .index = 0x259, .data = MTRR_UNCACHED },          /* 0xa0000 */
    { .index = 0x268, .data = MTRR_WRITE_BACK },        /* 0xc0000, 4 KiB each */
    { .index = 0x269, .data = MTRR_WRITE_BACK },
    { .index = 0x26a, .data = MTRR_WRITE_BACK },
    { .index = 0x26b, .data = MTRR_WRITE_BACK },
    { .index = 0x26c, .data = MTRR_WRITE_BACK },
    { .index = 0x26d, .data = MTRR_WRITE_BACK },
    { .index = 0x26e, .data = MTRR_WRITE_BACK },
    { .index = 0x26f, .data = MTRR_WRITE_BACK },
    { .index = 0x2ff, .data = MTRR_DEFAULT_ON },
};

static void clear_msr(VcpuState *state, uint32_t index)
{
    struct kvm_msr_entry *msr = vcpu_state_msr(state, index);

    if (msr)
        msr->data = 0;
}

bool vcpu_reset_learn(KvmVcpu *kv, GError **error)
{
    VcpuState *state = vcpu_state_get(kv, error);
    struct kvm_msr_entry *misc;

    if (!state)
        return false;
    clear_msr(state, MSR_TSC);
    clear_msr(state, MSR_TSC_DEADLINE);
    misc = vcpu_state_msr(state, MSR_MISC_ENABLE);
    if (misc)
        misc->data |= MISC_ENABLE_FAST_STRING;
    state->regs.rdx = kv->vcpu.model->signature;
    state->events.flags |=
        KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR;
    vcpu_kvm_vm(kv)->power_on = state;
    return true;
}

static void write_apic(VcpuState *state, unsigned offset, uint32_t value)
{
    memcpy(&state->lapic.regs[offset], &value, sizeof(value));
}

/* The state at power-on of this vCPU; its pointers are the VM's. */
static VcpuState power_on_state(KvmVcpu *kv)
{
    bool is_boot = kv->vcpu.index == 0;
    VcpuState state = *vcpu_kvm_vm(kv)->power_on;

    write_apic(&state, APIC_ID, kv->vcpu.place.apic_id << APIC_ID_SHIFT);
    if (!is_boot) {
        write_apic(&state, APIC_LVT0, APIC_LVT_MASKED);
        state.sregs.apic_base &= ~(uint64_t)APIC_BASE_BSP;
        state.mp_state.mp_state = KVM_MP_STATE_UNINITIALIZED;
    }
    return state;
}

/*
 * APIC ids above 254 are an x2APIC's.  Where there are such, firmware hands the
 * processors over in that mode: an operating system would not believe them to be there
 * otherwise.
 */
static void enter_x2apic(KvmVcpu *kv, VcpuState *state)
{
    state->sregs.apic_base |= APIC_BASE_X2APIC;
    write_apic(state, APIC_ID, kv->vcpu.place.apic_id);
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
    return (struct kvm_segment){
        .selector = selector,
        .limit = 0xffffffff,
        .type = type,
        .present = 1,
        .db = 1,
        .s = 1,
        .g = 1,
    };
}

/* Flat segments from the GDT that the loader wrote; IDT and LDT empty. */
static void set_flat(struct kvm_sregs *sregs, const VcpuBoot *boot)
{
    sregs->cs = flat_segment(SELECTOR_CODE, TYPE_CODE);
    sregs->ds = flat_segment(SELECTOR_DATA, TYPE_DATA);
    sregs->es = sregs->ds;
    sregs->fs = sregs->ds;
    sregs->gs = sregs->ds;
    sregs->ss = sregs->ds;
    sregs->tr = (struct kvm_segment){
        .selector = SELECTOR_TSS,
        .limit = TSS_LIMIT,
        .type = TYPE_TSS_BUSY,
        .present = 1,
    };
    sregs->ldt = (struct kvm_segment){ .unusable = 1 };
    sregs->gdt = (struct kvm_dtable){ .base = boot->gdt, .limit = GDT_LIMIT };
    sregs->idt = (struct kvm_dtable){ .base = 0, .limit = 0 };
}

/* Linux, Documentation/arch/x86/boot.rst, "64-bit boot protocol". */
static void enter_long(VcpuState *state, const VcpuBoot *boot)
{
    set_flat(&state->sregs, boot);
    state->sregs.cs.l = 1;
    state->sregs.cs.db = 0;
    state->sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
    state->sregs.cr3 = boot->page_table;
    state->sregs.cr4 = CR4_PAE;
    state->sregs.efer = EFER_LME | EFER_LMA;
    state->regs = (struct kvm_regs){
        .rip = boot->ip,
        .rsi = boot->arg,
        .rflags = RFLAGS_RESERVED,
    };
}

/* Xen, docs/misc/pvh.pandoc. */
static void enter_pvh(VcpuState *state, const VcpuBoot *boot)
{
    set_flat(&state->sregs, boot);
    state->sregs.cr0 = CR0_PE | CR0_ET;
    state->regs = (struct kvm_regs){
        .rip = boot->ip,
        .rbx = boot->arg,
        .rflags = RFLAGS_RESERVED,
    };
}

/* ACPI 6.3, 5.2.10 (firmware waking vector). */
static void enter_real(VcpuState *state, const VcpuBoot *boot)
{
    state->sregs.cs.base = boot->ip & ~15ull;
    state->sregs.cs.selector = (uint16_t)(boot->ip >> 4);
    state->regs.rip = boot->ip & 15;
}

static void enter(VcpuState *state, const VcpuBoot *boot)
{
    switch (boot->entry) {
    case VCPU_ENTRY_RESET:
        break;
    case VCPU_ENTRY_LONG:
        enter_long(state, boot);
        break;
    case VCPU_ENTRY_PVH:
        enter_pvh(state, boot);
        break;
    case VCPU_ENTRY_REAL:
        enter_real(state, boot);
        break;
    }
}

/* What differs from power-on, for a vCPU that nobody has used yet. */
static bool write_entry(KvmVcpu *kv, const VcpuState *state, const VcpuBoot *boot,
                        GError **error)
{
    struct kvm_msr_entry *misc =
        vcpu_state_msr(vcpu_kvm_vm(kv)->power_on, MSR_MISC_ENABLE);
    int err = misc ? vcpu_state_write_msrs(kv, misc, 1) : 0;

    if (!err && (kv->vcpu.index == 0 || state->sregs.apic_base & APIC_BASE_X2APIC))
        err = vm_kvm_ioctl(kv->fd, KVM_SET_SREGS, (void *)&state->sregs);
    /* KVM notes who has which APIC id when an APIC changes, and not when one comes. */
    if (!err && boot->joins)
        err = vm_kvm_ioctl(kv->fd, KVM_SET_LAPIC, (void *)&state->lapic);
    if (!err)
        err = vm_kvm_ioctl(kv->fd, KVM_SET_REGS, (void *)&state->regs);
    if (err)
        error_set_errno(error, -err, "KVM cannot set the registers of the entry point");
    return !err;
}

bool vcpu_reset_to(KvmVcpu *kv, const VcpuBoot *boot, GError **error)
{
    VcpuState state = power_on_state(kv);
    bool ok;
    int err;

    kv->has_vector = false;
    if (kv->vcpu.index == 0)
        enter(&state, boot);
    if (boot->entry != VCPU_ENTRY_RESET &&
        cpu_model_last_apic_id(kv->vcpu.model) > VM_XAPIC_ID_MAX)
        enter_x2apic(kv, &state);
    ok = kv->used ? vcpu_state_set(kv, &state, error)
                  : write_entry(kv, &state, boot, error);
    kv->used = true;
    if (ok && (err = vcpu_model_reset(kv)) < 0) {
        error_set_errno(error, -err, "KVM cannot set the vCPU's own registers");
        return false;
    }
    if (!ok || boot->entry == VCPU_ENTRY_RESET)
        return ok;
    err = vcpu_state_write_msrs(kv, mtrrs, G_N_ELEMENTS(mtrrs));
    if (err)
        error_set_errno(error, -err, "KVM cannot set the memory types");
    return !err;
}
