/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a vCPU left the guest, and what is done about it: a table by KVM's exit reason.
 * Linux, Documentation/virt/kvm/api.rst, section 5.
 *
 * Whatever is not in the table stops the vCPU with a reason.  Nothing is tried again
 * that would only happen again.
 *
 * The kernel completes an access of the guest when KVM_RUN is called the next time; so
 * an exit of I/O never ends in VCPU_RUN_INTERRUPTED, and a kick takes effect in the
 * next KVM_RUN.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "berth/error.h"
#include "berth/trace.h"

#include "vcpu-model.h"

/* KVM_EXIT_MEMORY_FAULT of newer headers; goes with EFAULT. */
#define EXIT_MEMORY_FAULT 39

typedef VcpuRun VcpuExitFn(KvmVcpu *kv, VcpuStop *ret_stop);

static VcpuRun G_GNUC_PRINTF(3, 4)
stopped(VcpuStop *stop, VcpuStopReason reason, const char *format, ...)
{
    va_list args;

    stop->reason = reason;
    va_start(args, format);
    vsnprintf(stop->detail, sizeof(stop->detail), format, args);
    va_end(args);
    return VCPU_RUN_STOPPED;
}

/* The registers, line by line: of what ends the VM, so seldom. */
static void log_registers(KvmVcpu *kv)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    VcpuRegisters registers;

    if (!log_limit_pass(&kv->vcpu.log_limit, NULL) ||
        vcpu_registers_get(kv->fd, &registers) < 0)
        return;
    text = vcpu_text_registers(&registers, false);
    lines = g_strsplit(text, "\n", -1);
    for (unsigned i = 0; lines[i]; i++) {
        if (*lines[i])
            log_error("vCPU %u: %s", kv->vcpu.index, lines[i]);
    }
}

static VcpuRun exit_io(KvmVcpu *kv, VcpuStop *ret_stop)
{
    const struct kvm_run *run = kv->run;
    uint8_t *data = (uint8_t *)kv->run + run->io.data_offset;
    AddressSpace *io = kv->vcpu.owner.io;

    for (uint32_t i = 0; i < run->io.count; i++) {
        if (run->io.direction == KVM_EXIT_IO_OUT)
            address_space_write_near(io, &kv->io_hint, run->io.port, data,
                                     run->io.size);
        else
            address_space_read_near(io, &kv->io_hint, run->io.port, data, run->io.size);
        data += run->io.size;
    }
    return VCPU_RUN_AGAIN;
}

static VcpuRun exit_mmio(KvmVcpu *kv, VcpuStop *ret_stop)
{
    struct kvm_run *run = kv->run;
    AddressSpace *smm = kv->vcpu.owner.smm;
    AddressSpace *memory =
        smm && run->flags & KVM_RUN_X86_SMM ? smm : kv->vcpu.owner.memory;
    uint32_t size = MIN(run->mmio.len, sizeof(run->mmio.data));

    if (run->mmio.is_write)
        address_space_write_near(memory, &kv->memory_hint, run->mmio.phys_addr,
                                 run->mmio.data, size);
    else
        address_space_read_near(memory, &kv->memory_hint, run->mmio.phys_addr,
                                run->mmio.data, size);
    return VCPU_RUN_AGAIN;
}

static VcpuRun exit_interrupted(KvmVcpu *kv, VcpuStop *ret_stop)
{
    return VCPU_RUN_INTERRUPTED;
}

static VcpuRun exit_ioapic_eoi(KvmVcpu *kv, VcpuStop *ret_stop)
{
    irqchip_eoi(kv->vcpu.vm, kv->run->eoi.vector);
    return VCPU_RUN_AGAIN;
}

/* The guest takes interrupts of the PIC now; kvm_run() gives it the one that waits. */
static VcpuRun exit_irq_window(KvmVcpu *kv, VcpuStop *ret_stop)
{
    return VCPU_RUN_AGAIN;
}

static VcpuRun exit_shutdown(KvmVcpu *kv, VcpuStop *ret_stop)
{
    return stopped(ret_stop, VCPU_STOP_SHUTDOWN, "triple fault");
}

static VcpuRun exit_system_event(KvmVcpu *kv, VcpuStop *ret_stop)
{
    if (kv->run->system_event.type == KVM_SYSTEM_EVENT_CRASH) {
        vcpu_model_crashed(kv);
        return VCPU_RUN_AGAIN;
    }
    return stopped(ret_stop, VCPU_STOP_SYSTEM_EVENT, "system event %u",
                   kv->run->system_event.type);
}

static VcpuRun exit_hyperv(KvmVcpu *kv, VcpuStop *ret_stop)
{
    return vcpu_model_exit_hyperv(kv);
}

static VcpuRun exit_notify(KvmVcpu *kv, VcpuStop *ret_stop)
{
    if (kv->run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID)
        return stopped(ret_stop, VCPU_STOP_INTERNAL_ERROR,
                       "the guest took no events for too long, and its state is lost");
    if (vcpu_kvm_vm(kv)->stops_on_notify)
        return stopped(ret_stop, VCPU_STOP_INTERNAL_ERROR,
                       "the guest took no events for too long (notify-vmexit)");
    if (log_limit_pass(&kv->vcpu.log_limit, NULL))
        log_warn("vCPU %u: the guest took no events for long", kv->vcpu.index);
    return VCPU_RUN_AGAIN;
}

static VcpuRun exit_fail_entry(KvmVcpu *kv, VcpuStop *ret_stop)
{
    log_registers(kv);
    return stopped(ret_stop, VCPU_STOP_INTERNAL_ERROR,
                   "the processor refuses to enter the guest, reason 0x%llx",
                   kv->run->fail_entry.hardware_entry_failure_reason);
}

static const char *suberror_text(uint32_t suberror)
{
    switch (suberror) {
    case KVM_INTERNAL_ERROR_EMULATION:
        return "an instruction could not be emulated";
    case KVM_INTERNAL_ERROR_SIMUL_EX:
        return "two exceptions at once";
    case KVM_INTERNAL_ERROR_DELIVERY_EV:
        return "an exit while an event was delivered";
    case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
        return "an exit that KVM does not know";
    default:
        return "of an unknown kind";
    }
}

/* The bytes of the instruction, when KVM tells them, as " at bytes 0f 0b". */
static void describe_instruction(const struct kvm_run *run, char *text, size_t size)
{
    uint8_t bytes[15];
    size_t used;

    text[0] = '\0';
    if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION ||
        run->emulation_failure.ndata < 1 ||
        !(run->emulation_failure.flags &
          KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
        return;
    memcpy(bytes, run->emulation_failure.insn_bytes, sizeof(bytes));
    used = (size_t)snprintf(text, size, ", bytes");
    for (unsigned i = 0; i < MIN(run->emulation_failure.insn_size, sizeof(bytes)); i++)
        used += (size_t)snprintf(text + used, size - used, " %02x", bytes[i]);
}

static VcpuRun exit_internal_error(KvmVcpu *kv, VcpuStop *ret_stop)
{
    char bytes[64];

    log_registers(kv);
    describe_instruction(kv->run, bytes, sizeof(bytes));
    return stopped(ret_stop, VCPU_STOP_INTERNAL_ERROR,
                   "KVM internal error, suberror %u: %s%s", kv->run->internal.suberror,
                   suberror_text(kv->run->internal.suberror), bytes);
}

static VcpuRun exit_unknown(KvmVcpu *kv, VcpuStop *ret_stop)
{
    log_registers(kv);
    if (kv->run->exit_reason == KVM_EXIT_UNKNOWN)
        return stopped(ret_stop, VCPU_STOP_INTERNAL_ERROR,
                       "an exit of the processor that KVM does not know, reason 0x%llx",
                       kv->run->hw.hardware_exit_reason);
    return stopped(ret_stop, VCPU_STOP_INTERNAL_ERROR,
                   "unexpected exit of KVM, reason %u", kv->run->exit_reason);
}

typedef struct VcpuExit {
    VcpuExitFn *fn;
    size_t counter;             /* its offset in VcpuCounters */
} VcpuExit;

#define EXIT(fn_, counter_) { fn_, offsetof(VcpuCounters, counter_) }

static const VcpuExit unknown = EXIT(exit_unknown, user_errors);

static const VcpuExit exits[] = {
    [KVM_EXIT_IO] = EXIT(exit_io, user_io),
    [KVM_EXIT_MMIO] = EXIT(exit_mmio, user_mmio),
    [KVM_EXIT_INTR] = EXIT(exit_interrupted, user_interrupted),
    [KVM_EXIT_IRQ_WINDOW_OPEN] = EXIT(exit_irq_window, user_irq_window),
    [KVM_EXIT_IOAPIC_EOI] = EXIT(exit_ioapic_eoi, user_eoi),
    [KVM_EXIT_SHUTDOWN] = EXIT(exit_shutdown, user_shutdown),
    [KVM_EXIT_FAIL_ENTRY] = EXIT(exit_fail_entry, user_errors),
    [KVM_EXIT_INTERNAL_ERROR] = EXIT(exit_internal_error, user_errors),
    [KVM_EXIT_SYSTEM_EVENT] = EXIT(exit_system_event, user_system_event),
    [KVM_EXIT_HYPERV] = EXIT(exit_hyperv, user_hyperv),
    [KVM_EXIT_NOTIFY] = EXIT(exit_notify, user_notify),
};

static void count_exit(KvmVcpu *kv, size_t counter)
{
    VcpuCounters *counters = &kv->vcpu.counters;

    counter_add(&counters->user_exits, 1);
    counter_add((uint64_t *)((char *)counters + counter), 1);
}

VcpuRun vcpu_exit_dispatch(KvmVcpu *kv, VcpuStop *ret_stop)
{
    uint32_t reason = kv->run->exit_reason;
    const VcpuExit *exit = &unknown;

    if (reason < G_N_ELEMENTS(exits) && exits[reason].fn)
        exit = &exits[reason];
    count_exit(kv, exit->counter);
    TRACE(kvm_run_exit, "vCPU %u reason %u", kv->vcpu.index, reason);
    return exit->fn(kv, ret_stop);
}

VcpuRun vcpu_exit_interrupted(KvmVcpu *kv)
{
    count_exit(kv, offsetof(VcpuCounters, user_interrupted));
    return VCPU_RUN_INTERRUPTED;
}

/*
 * The host has no page where the guest, or KVM for it, needs one.  Newer kernels say at
 * which address, in a part of kvm_run that older headers do not have.
 */
static VcpuRun stop_without_memory(KvmVcpu *kv, VcpuStop *ret_stop)
{
    struct {
        uint64_t flags;
        uint64_t gpa;
        uint64_t size;
    } fault;

    if (kv->run->exit_reason != EXIT_MEMORY_FAULT)
        return stopped(ret_stop, VCPU_STOP_MEMORY, "the host cannot give it memory");
    memcpy(&fault, &kv->run->hw, sizeof(fault));
    return stopped(ret_stop, VCPU_STOP_MEMORY,
                   "the host cannot give it memory at 0x%" PRIx64, fault.gpa);
}

VcpuRun vcpu_exit_failed(KvmVcpu *kv, int err, VcpuStop *ret_stop)
{
    count_exit(kv, offsetof(VcpuCounters, user_errors));
    if (err == EFAULT)
        return stop_without_memory(kv, ret_stop);
    log_registers(kv);
    return stopped(ret_stop, VCPU_STOP_INTERNAL_ERROR, "KVM_RUN: %s", error_text(err));
}
