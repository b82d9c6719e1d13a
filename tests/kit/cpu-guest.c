/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cpu-guest.h"

const CpuTopology cpu_guest_one = {
    .cpus = 1, .max_cpus = 1, .sockets = 1, .dies = 1, .cores = 1, .threads = 1,
};

static void on_stopped(void *opaque, Vcpu *vcpu, VcpuStopReason reason,
                       const char *detail)
{
}

CpuGuest cpu_guest_new(const char *text, const CpuTopology *topology, unsigned index,
                       const VmFakeCpu *cpu)
{
    VcpuOwner owner = { .stopped = on_stopped };
    GError *error = NULL;
    CpuGuest guest;

    guest.vm = vm_fake_new();
    if (cpu)
        vm_fake_set_cpu(guest.vm, cpu);
    guest.model = cpu_model_new(guest.vm, text, topology, &error);
    g_assert_no_error(error);
    guest.vcpu = vcpu_new(guest.vm, index, guest.model, &owner, NULL);
    return guest;
}

void cpu_guest_free(CpuGuest *guest)
{
    vcpu_free(guest->vcpu);
    cpu_model_free(guest->model);
    vm_free(guest->vm);
}

bool cpu_guest_has(const CpuGuest *guest, uint32_t function)
{
    uint32_t regs[4];

    return vm_fake_vcpu_cpuid(guest->vcpu, function, 0, regs);
}

uint32_t cpu_guest_get(const CpuGuest *guest, uint32_t function, uint32_t index,
                       unsigned reg)
{
    uint32_t regs[4] = { 0 };

    vm_fake_vcpu_cpuid(guest->vcpu, function, index, regs);
    return regs[reg];
}

uint64_t cpu_guest_msr(const CpuGuest *guest, uint32_t index)
{
    uint64_t value = 0;

    vm_fake_vcpu_msr(guest->vcpu, index, &value);
    return value;
}

void cpu_guest_refused(const char *text, const VmFakeCpu *cpu, const char *named)
{
    g_autoptr(Vm) vm = vm_fake_new();
    g_autoptr(GError) error = NULL;

    if (cpu)
        vm_fake_set_cpu(vm, cpu);
    g_assert_null(cpu_model_new(vm, text, &cpu_guest_one, &error));
    if (!strstr(error->message, named))
        g_error("'%s': %s", text, error->message);
}
