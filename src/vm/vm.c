/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a Vm that is the same for every hypervisor.
 */
#include "berth/trace.h"
#include "berth/vm.h"

#include "vm-ops.h"

static void on_gsi_line(void *opaque, unsigned n, bool level)
{
    vm_set_irq(opaque, n, level);
}

void vm_init(Vm *vm, const VmOps *ops, VmIrqchip irqchip, unsigned n_gsis)
{
    vm->ops = ops;
    vm->irqchip = irqchip;
    irq_route_init(&vm->routes, n_gsis, irqchip == VM_IRQCHIP_KERNEL);
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

VmIrqchip vm_irqchip(const Vm *vm)
{
    return vm->irqchip;
}

void vm_set_irq(Vm *vm, unsigned gsi, bool level)
{
    g_assert(gsi < VM_GSI_LINES);
    TRACE(irq_gsi, "gsi %u level %d", gsi, level);
    if (vm->irqchip == VM_IRQCHIP_SPLIT)
        irqchip_set_irq(vm, gsi, level);
    else
        vm->ops->set_irq(vm, gsi, level);
}

void vm_inhibit_pit(Vm *vm, bool inhibit)
{
    vm->ops->inhibit_pit(vm, inhibit);
}

void vm_send_msi(Vm *vm, const MsiMessage *message)
{
    MsiMessage extended = irqchip_extend(vm, *message);

    TRACE(irq_msi_send, "address 0x%" PRIx64 " data 0x%x", message->addr, message->data);
    vm->ops->send_msi(vm, &extended);
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
