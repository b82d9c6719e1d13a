/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the lines of a Vm with chips in user space end, the way back from the local
 * APICs, and how many of these there can be.  The wiring is that of the fixed routes:
 * see irq-route.c.
 *
 * Extended destinations.  A message has 8 bits of APIC id.  Seven more, in bits 5 to 11
 * of its address, are an agreement of hypervisor and guest (a feature of KVM's CPUID
 * leaf); KVM itself has them in the upper half of the address.  Bit 4 would make the
 * message one of interrupt remapping, which there is none of.  An IOAPIC in the
 * hypervisor knows nothing of it.
 */
#include <errno.h>

#include "berth/error.h"

#include "cpu-host.h"
#include "cpu-model.h"
#include "irq-route.h"
#include "vm-ops.h"

#define MSI_EXT_DEST 0xfe0u
#define MSI_REMAPPABLE 0x10u
#define MSI_EXT_DEST_UP 35              /* from bit 5 to bit 8 of the upper half */

#define PIT_GSI 0
#define PIT_PIN 2                       /* of the IOAPIC; of the PIC it is the cascade */

void irqchip_offer(const Vm *vm, CpuHost *host)
{
    cpu_words_set(&host->words, CPU_EXT_DEST, vm->irqchip == VM_IRQCHIP_SPLIT);
}

bool irqchip_check_cpus(Vm *vm, const CpuModel *model, GError **error)
{
    uint32_t last = cpu_model_last_apic_id(model);

    vm->ext_dest_id = model->options.kvm && cpu_words_has(&model->words, CPU_EXT_DEST);
    if (last > vm->max_apic_id && vm->irqchip == VM_IRQCHIP_KERNEL) {
        error_set(error, "this topology has APIC ids up to %u, but the kernel's IOAPIC "
                  "reaches %u; use 'kernel-irqchip=split'", last, vm->max_apic_id);
        return false;
    }
    if (last > vm->max_apic_id) {
        error_set(error, "this topology has APIC ids up to %u, but this host's KVM "
                  "reaches %u", last, vm->max_apic_id);
        return false;
    }
    if (last > VM_XAPIC_ID_MAX && !cpu_words_has(&model->words, CPU_X2APIC)) {
        error_set(error, "this topology has APIC ids up to %u, which need the CPU "
                  "feature 'x2apic'", last);
        return false;
    }
    return true;
}

MsiMessage irqchip_extend(const Vm *vm, MsiMessage message)
{
    uint64_t bits = message.addr & MSI_EXT_DEST;

    if (!vm->ext_dest_id || message.addr >> 32 || (message.addr & MSI_REMAPPABLE))
        return message;
    message.addr = (message.addr & ~bits) | bits << MSI_EXT_DEST_UP;
    return message;
}

void irqchip_set_pic(Vm *vm, const VmPic *pic)
{
    vm->pic = pic;
}

void irqchip_set_ioapic(Vm *vm, const VmIoapic *ioapic)
{
    vm->ioapic = ioapic;
}

int irqchip_look(Vm *vm, IrqchipView *ret_view)
{
    *ret_view = (IrqchipView) { 0 };
    if (vm->irqchip == VM_IRQCHIP_KERNEL)
        return vm->ops->look_at_irqchip ? vm->ops->look_at_irqchip(vm, ret_view)
                                        : -ENOTSUP;
    if (!vm->pic || !vm->ioapic)
        return -ENODEV;
    vm->pic->look(vm->pic->opaque, &ret_view->master, &ret_view->slave);
    vm->ioapic->look(vm->ioapic->opaque, &ret_view->ioapic);
    return 0;
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
