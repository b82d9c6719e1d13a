/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a Vm that is the same for every hypervisor.
 */
#include "berth/thread.h"
#include "berth/trace.h"
#include "berth/vm.h"

#include "vcpu-ops.h"
#include "vm-ops.h"

static void on_gsi_line(void *opaque, unsigned n, bool level)
{
    vm_set_irq(opaque, n, level);
}

void vm_init(Vm *vm, const VmOps *ops, VmIrqchip irqchip, unsigned n_gsis)
{
    vm->ops = ops;
    vm->irqchip = irqchip;
    g_mutex_init(&vm->smi_lock);
    irq_route_init(&vm->routes, n_gsis, irqchip == VM_IRQCHIP_KERNEL);
    for (unsigned gsi = 0; gsi < VM_GSI_LINES; gsi++)
        irq_line_init(&vm->gsi_lines[gsi], on_gsi_line, vm, gsi);
}

void vm_done(Vm *vm)
{
    irq_route_done(&vm->routes);
    g_clear_pointer(&vm->smi_targets, g_ptr_array_unref);
    g_mutex_clear(&vm->smi_lock);
}

void vm_free(Vm *vm)
{
    if (vm)
        vm->ops->free(vm);
}

void vm_end(Vm *vm)
{
    assert_main();
    if (vm)
        vm->ended = true;
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

void vm_add_smi_target(Vm *vm, Vcpu *vcpu)
{
    lock_take(&vm->smi_lock);
    if (!vm->smi_targets)
        vm->smi_targets = g_ptr_array_new();
    g_ptr_array_add(vm->smi_targets, vcpu);
    lock_drop(&vm->smi_lock);
}

void vm_remove_smi_target(Vm *vm, Vcpu *vcpu)
{
    lock_take(&vm->smi_lock);
    if (vm->smi_targets)
        g_ptr_array_remove(vm->smi_targets, vcpu);
    lock_drop(&vm->smi_lock);
}

void vm_send_smi(Vm *vm, bool all)
{
    TRACE(irq_smi, "%s", all ? "to all vCPUs" : "to this vCPU");
    lock_take(&vm->smi_lock);
    for (guint i = 0; vm->smi_targets && i < vm->smi_targets->len; i++) {
        Vcpu *vcpu = vm->smi_targets->pdata[i];

        if (all || pthread_equal(vcpu->thread, pthread_self()))
            vcpu_inject_smi(vcpu);
    }
    lock_drop(&vm->smi_lock);
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
