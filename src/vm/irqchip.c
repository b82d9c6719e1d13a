/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the lines of a Vm with chips in user space end, and the way back from the local
 * APICs.  The wiring is that of the fixed routes: see irq-route.c.
 */
#include "irq-route.h"
#include "vm-ops.h"

#define PIT_GSI 0
#define PIT_PIN 2                       /* of the IOAPIC; of the PIC it is the cascade */

void irqchip_set_pic(Vm *vm, const VmPic *pic)
{
    vm->pic = pic;
}

void irqchip_set_ioapic(Vm *vm, const VmIoapic *ioapic)
{
    vm->ioapic = ioapic;
}

void irqchip_listen(Vm *vm, unsigned gsi, IrqchipEndFn *fn, void *opaque)
{
    vm->listened_gsi = gsi;
    vm->end_opaque = opaque;
    vm->on_end = fn;
}

void irqchip_set_extint(Vm *vm, bool level)
{
    vm->ops->set_extint(vm, level);
}

int irqchip_set_routes(Vm *vm, const MsiMessage *messages)
{
    return irq_route_set_pins(vm, messages);
}

bool irqchip_is_listened(Vm *vm, unsigned gsi)
{
    return vm->on_end && vm->listened_gsi == gsi;
}

void irqchip_ended(Vm *vm, unsigned gsi)
{
    if (irqchip_is_listened(vm, gsi))
        vm->on_end(vm->end_opaque, true);
}

void irqchip_rerouted(Vm *vm, unsigned gsi)
{
    if (irqchip_is_listened(vm, gsi))
        vm->on_end(vm->end_opaque, false);
}

bool irqchip_acknowledge(Vm *vm, uint8_t *ret_vector)
{
    return vm->pic && vm->pic->acknowledge(vm->pic->opaque, ret_vector);
}

void irqchip_eoi(Vm *vm, uint8_t vector)
{
    if (vm->ioapic)
        vm->ioapic->eoi(vm->ioapic->opaque, vector);
}

static unsigned ioapic_pin(unsigned gsi)
{
    return gsi == PIT_GSI ? PIT_PIN : gsi;
}

bool irqchip_is_masked(Vm *vm, unsigned gsi)
{
    const VmPic *pic = vm->pic;
    const VmIoapic *ioapic = vm->ioapic;

    return (!pic || gsi >= IRQCHIP_PIC_PINS || pic->is_masked(pic->opaque, gsi)) &&
           (!ioapic || ioapic->is_masked(ioapic->opaque, ioapic_pin(gsi)));
}

static void drive(const IrqLine *pin, bool level)
{
    pin->fn(pin->opaque, pin->n, level);
}

void irqchip_set_irq(Vm *vm, unsigned gsi, bool level)
{
    if (gsi == PIT_PIN)
        return;
    if (vm->pic && gsi < IRQCHIP_PIC_PINS)
        drive(&vm->pic->pins[gsi], level);
    if (vm->ioapic)
        drive(&vm->ioapic->pins[ioapic_pin(gsi)], level);
}
