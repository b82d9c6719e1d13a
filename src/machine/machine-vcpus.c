/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's vCPUs together: made, paused, resumed, reset.
 */
#include "berth/error.h"
#include "berth/log.h"
#include "berth/trace.h"

#include "memory-failure.h"
#include "machine-vcpus.h"

/* The vCPUs that were made: all but when making one failed. */
static unsigned n_made(const Machine *machine)
{
    unsigned n = 0;

    while (machine->vcpus && n < machine->topology.cpus && machine->vcpus[n])
        n++;
    return n;
}

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

bool machine_vcpus_init(Machine *machine, GError **error)
{
    const VcpuOwner owner = {
        .memory = machine->memory,
        .io = machine->io,
        .stopped = on_vcpu_stopped,
        .crashed = on_vcpu_crashed,
        .opaque = machine,
    };
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
    machine->vcpus = g_new0(Vcpu *, machine->topology.cpus);
    for (unsigned i = 0; i < machine->topology.cpus; i++) {
        machine->vcpus[i] = vcpu_new(machine->vm, i, machine->cpu_model, &owner, error);
        if (!machine->vcpus[i]) {
            g_prefix_error(error, "vCPU %u: ", i);
            return false;
        }
    }
    return true;
}

void machine_vcpus_done(Machine *machine)
{
    for (unsigned i = 0, n = n_made(machine); i < n; i++)
        vcpu_free(machine->vcpus[i]);
    g_clear_pointer(&machine->vcpus, g_free);
    g_clear_pointer(&machine->cpu_model, cpu_model_free);
}

void machine_vcpus_request_pause(Machine *machine)
{
    for (unsigned i = 0, n = n_made(machine); i < n; i++)
        vcpu_request_pause(machine->vcpus[i]);
}

void machine_vcpus_pause(Machine *machine)
{
    machine_vcpus_request_pause(machine);
    for (unsigned i = 0, n = n_made(machine); i < n; i++)
        vcpu_wait_paused(machine->vcpus[i]);
}

void machine_vcpus_resume(Machine *machine)
{
    for (unsigned i = 0, n = n_made(machine); i < n; i++)
        vcpu_resume(machine->vcpus[i]);
}

void machine_vcpus_inject_nmi(Machine *machine)
{
    for (unsigned i = 0, n = n_made(machine); i < n; i++)
        vcpu_inject_nmi(machine->vcpus[i]);
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

    for (unsigned i = 0, n = n_made(machine); is_traced && i < n; i++)
        trace_registers(machine->vcpus[i]);
    for (unsigned i = 0, n = n_made(machine); i < n; i++) {
        if (!vcpu_reset(machine->vcpus[i], boot, error)) {
            g_prefix_error(error, "vCPU %u: ", i);
            return false;
        }
    }
    return true;
}
