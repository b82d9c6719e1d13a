/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a Vm that is the same for every hypervisor.
 */
#include "berth/vm.h"

#include "vm-ops.h"

static void on_gsi_line(void *opaque, unsigned n, bool level)
{
    vm_set_irq(opaque, n, level);
}

void vm_init(Vm *vm, const VmOps *ops, unsigned n_gsis)
{
    vm->ops = ops;
    irq_route_init(&vm->routes, n_gsis);
    for (unsigned gsi = 0; gsi < VM_GSI_LINES; gsi++)
        irq_line_init(&vm->gsi_lines[gsi], on_gsi_line, vm, gsi);
}

void vm_done(Vm *vm)
{
    irq_route_done(&vm->routes);
}

void vm_free(Vm *vm)
{
    if (vm)
        vm->ops->free(vm);
}

unsigned vm_max_vcpus(Vm *vm)
{
    return vm->max_vcpus;
}

void vm_set_irq(Vm *vm, unsigned gsi, bool level)
{
    vm->ops->set_irq(vm, gsi, level);
}

IrqLine *vm_gsi_line(Vm *vm, unsigned gsi)
{
    g_assert(gsi < VM_GSI_LINES);
    return &vm->gsi_lines[gsi];
}

void vm_reset(Vm *vm)
{
    vm->ops->reset(vm);
}

void vm_stop_clock(Vm *vm)
{
    vm->ops->stop_clock(vm);
}

void vm_start_clock(Vm *vm)
{
    vm->ops->start_clock(vm);
}
