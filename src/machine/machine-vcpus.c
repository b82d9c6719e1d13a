/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's vCPUs together: made, paused, resumed, reset; and those that come and go.
 *
 * A vCPU that is not there costs nothing: it is made when it is plugged.  The lock is for
 * those who ask all to pause from another thread than main.
 */
#include "berth/error.h"
#include "berth/log.h"
#include "berth/thread.h"
#include "berth/trace.h"

#include "memory-failure.h"
#include "machine-vcpus.h"

static void on_vcpu_stopped(void *opaque, Vcpu *vcpu, VcpuStopReason reason,
                            const char *detail)
{
    Machine *machine = opaque;

    switch (reason) {
    case VCPU_STOP_INTERNAL_ERROR:
        log_error("vCPU %u cannot go on: %s", vcpu_index(vcpu), detail);
        runstate_request_internal_error(&machine->run);
        break;
    case VCPU_STOP_MEMORY:
        log_error("vCPU %u cannot go on: %s", vcpu_index(vcpu), detail);
        machine_vcpus_request_pause(machine);
        memory_failure_of_vcpu(machine->memory_failure);
        break;
    case VCPU_STOP_SHUTDOWN:
        log_info("vCPU %u: triple fault: %s", vcpu_index(vcpu), detail);
        runstate_request_reset(&machine->run, SHUTDOWN_CAUSE_GUEST_RESET);
        break;
    case VCPU_STOP_SYSTEM_EVENT:
        log_info("vCPU %u: the guest asked for a reset: %s", vcpu_index(vcpu), detail);
        runstate_request_reset(&machine->run, SHUTDOWN_CAUSE_GUEST_RESET);
        break;
    }
}

static void on_vcpu_crashed(void *opaque, Vcpu *vcpu, const uint64_t parameters[5])
{
    Machine *machine = opaque;
    GuestPanicInformation info = {
        .type = GUEST_PANIC_INFORMATION_TYPE_HYPER_V,
        .u.hyper_v = { .arg1 = parameters[0], .arg2 = parameters[1],
                       .arg3 = parameters[2], .arg4 = parameters[3],
                       .arg5 = parameters[4] },
    };

    machine_vcpus_request_pause(machine);
    runstate_request_panic(&machine->run, &info);
}

static bool make(Machine *machine, unsigned index, GError **error)
{
    const VcpuOwner owner = {
        .memory = machine->memory,
        .io = machine->io,
        .smm = machine->smm,
        .stopped = on_vcpu_stopped,
        .crashed = on_vcpu_crashed,
        .opaque = machine,
    };
    Vcpu *vcpu = vcpu_new(machine->vm, index, machine->cpu_model, &owner, error);

    if (!vcpu) {
        g_prefix_error(error, "vCPU %u: ", index);
        return false;
    }
    lock_take(&machine->vcpus_lock);
    machine->vcpus[index] = vcpu;
    lock_drop(&machine->vcpus_lock);
    return true;
}

bool machine_vcpus_init(Machine *machine, GError **error)
{
    const char *model = machine->cmdline->cpu ? machine->cmdline->cpu : "host";

    if (machine->topology.max_cpus > vm_max_vcpus(machine->vm)) {
        error_set(error, "option '-smp': %u vCPUs, but this host allows %u",
                  machine->topology.max_cpus, vm_max_vcpus(machine->vm));
        return false;
    }
    machine->cpu_model = cpu_model_new(machine->vm, model, &machine->topology, error);
    if (!machine->cpu_model) {
        g_prefix_error(error, "option '-cpu': ");
        return false;
    }
    g_mutex_init(&machine->vcpus_lock);
    machine->vcpus = g_new0(Vcpu *, machine->topology.max_cpus);
    for (unsigned i = 0; i < machine->topology.cpus; i++) {
        if (!make(machine, i, error))
            return false;
    }
    return true;
}

void machine_vcpus_done(Machine *machine)
{
    Vcpu *vcpu;

    for (unsigned i = 0; (vcpu = machine_next_vcpu(machine, &i)); i++)
        vcpu_free(vcpu);
    if (machine->vcpus)
        g_mutex_clear(&machine->vcpus_lock);
    g_clear_pointer(&machine->vcpus, g_free);
    g_clear_pointer(&machine->cpu_model, cpu_model_free);
}

bool machine_vcpus_add(Machine *machine, unsigned index, GError **error)
{
    VcpuBoot boot = machine->boot;

    assert_main();
    g_assert(!machine_vcpu(machine, index));
    if (!make(machine, index, error))
        return false;
    boot.joins = true;
    /* Else the start of the machine resets it with the others. */
    if (machine->tree.started && !vcpu_reset(machine->vcpus[index], &boot, error)) {
        g_prefix_error(error, "vCPU %u: ", index);
        machine_vcpus_remove(machine, index);
        return false;
    }
    machine->tables_stale = true;
    if (machine->vcpus_run)
        vcpu_resume(machine->vcpus[index]);
    return true;
}

void machine_vcpus_remove(Machine *machine, unsigned index)
{
    Vcpu *vcpu = machine->vcpus[index];
    GError *error = NULL;

    assert_main();
    vcpu_request_pause(vcpu);
    vcpu_wait_paused(vcpu);
    lock_take(&machine->vcpus_lock);
    machine->vcpus[index] = NULL;
    lock_drop(&machine->vcpus_lock);
    machine->tables_stale = true;
    /* The hypervisor may keep it: what it had been told to do by timers ends here. */
    if (machine->tree.started && !vcpu_reset(vcpu, &machine->boot, &error)) {
        log_warn("vCPU %u, which goes: %s", index, error->message);
        g_error_free(error);
    }
    vcpu_free(vcpu);
}

void machine_vcpus_request_pause(Machine *machine)
{
    Vcpu *vcpu;

    lock_take(&machine->vcpus_lock);
    for (unsigned i = 0; (vcpu = machine_next_vcpu(machine, &i)); i++)
        vcpu_request_pause(vcpu);
    lock_drop(&machine->vcpus_lock);
}

void machine_vcpus_pause(Machine *machine)
{
    Vcpu *vcpu;

    machine->vcpus_run = false;
    if (!machine->vcpus)
        return;
    machine_vcpus_request_pause(machine);
    for (unsigned i = 0; (vcpu = machine_next_vcpu(machine, &i)); i++)
        vcpu_wait_paused(vcpu);
}

void machine_vcpus_resume(Machine *machine)
{
    Vcpu *vcpu;

    machine->vcpus_run = true;
    for (unsigned i = 0; (vcpu = machine_next_vcpu(machine, &i)); i++)
        vcpu_resume(vcpu);
}

void machine_vcpus_inject_nmi(Machine *machine)
{
    Vcpu *vcpu;

    for (unsigned i = 0; (vcpu = machine_next_vcpu(machine, &i)); i++)
        vcpu_inject_nmi(vcpu);
}

/* As they are before the reset, line by line. */
static void trace_registers(Vcpu *vcpu)
{
    g_autofree char *text = vcpu_describe(vcpu);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    for (unsigned i = 0; lines[i]; i++) {
        if (*lines[i])
            TRACE(cpu_reset, "vCPU %u: %s", vcpu_index(vcpu), lines[i]);
    }
}

bool machine_vcpus_reset(Machine *machine, const VcpuBoot *boot, GError **error)
{
    bool is_traced = trace_is_on("cpu_reset");
    Vcpu *vcpu;

    machine->boot = *boot;
    for (unsigned i = 0; is_traced && (vcpu = machine_next_vcpu(machine, &i)); i++)
        trace_registers(vcpu);
    for (unsigned i = 0; (vcpu = machine_next_vcpu(machine, &i)); i++) {
        if (!vcpu_reset(vcpu, boot, error)) {
            g_prefix_error(error, "vCPU %u: ", i);
            return false;
        }
    }
    return true;
}
