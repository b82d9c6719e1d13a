/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug of PCI functions: which buses take them, and how a guest is asked.
 *
 * Slots.  A guest finds a slot by its function 0.  What else is in the slot may come
 * before, unseen, and goes again without a word; the function 0 that follows shows all of
 * them.  Whichever of them the guest is asked for, the whole slot goes.
 *
 * A guest is asked by ACPI, where there is that (PciSlots), unless it drives the port
 * above the slot itself, which has its own way (PciClass.slot_*).  A bridge to
 * conventional PCI has none: without ACPI its bus takes nothing.
 */
#include "berth/error.h"
#include "berth/hotplug.h"
#include "berth/pci-slots.h"
#include "berth/thread.h"

#include "pci-private.h"

/* What can have a slot of its own is not put there without being told to. */
static bool check_conventional(const PciBus *bus, const DeviceAddArgs *args,
                               GError **error)
{
    if (!bus->slots) {
        error_set(error, "parameter 'bus': '%s' takes no devices after the start; ACPI, "
                  "when it is on, does so for bridges of the command line",
                  bus->bus.name);
        return false;
    }
    if (args && !args->bus) {
        error_set(error, "parameter 'bus' is needed for conventional PCI");
        return false;
    }
    return true;
}

bool pci_hotplug_check(Bus *bus, const DeviceAddArgs *args, GError **error)
{
    PciBus *pci = pci_bus(bus);
    const PciDevice *bridge = pci->bridge;

    if (pci->kind == PCI_BUS_CONVENTIONAL)
        return check_conventional(pci, args, error);
    if (!bridge || !bridge->class->slot_takes || !bridge->class->slot_takes(bridge)) {
        error_set(error, "parameter 'bus': '%s' takes no devices after the start; a "
                  "pcie-root-port of the command line does, with its id as bus",
                  bus->name);
        return false;
    }
    if (args && !args->addr && pci->reserved[0]) {
        error_set(error, "parameter 'bus': the slot of '%s' is taken by '%s'", bus->name,
                  device_name(&pci->reserved[0]->dev));
        return false;
    }
    return true;
}

bool pci_hotplug_request_unplug(Bus *bus, Device *dev, bool *ret_eject, GError **error)
{
    PciBus *pci = pci_bus(bus);
    const PciClass *class = pci->bridge->class;
    unsigned slot = PCI_SLOT(pci_device(dev)->devfn);

    *ret_eject = !pci_bus_function(pci, PCI_DEVFN(slot, 0));
    if (*ret_eject)
        return true;
    if (!pci->slots || (class->slot_is_driven && class->slot_is_driven(pci->bridge)))
        return class->slot_ask(pci->bridge, ret_eject, error);
    pci->slots->ask(pci->slots, pci->slots_index, slot);
    return true;
}

/* A port presses its button again by itself, when the guest's driver comes up. */
bool pci_hotplug_remind(Bus *bus, Device *dev)
{
    const PciBus *pci = pci_bus(bus);

    return pci->slots && pci->slots->remind(pci->slots, pci->slots_index,
                                            PCI_SLOT(pci_device(dev)->devfn));
}

/* The functions that go with @dev; function 0 leaves last, as it came. */
void pci_hotplug_eject(Bus *bus, Device *dev)
{
    PciBus *pci = pci_bus(bus);
    unsigned slot = PCI_SLOT(pci_device(dev)->devfn);

    if (!pci_bus_function(pci, PCI_DEVFN(slot, 0))) {
        hotplug_eject(dev);
        return;
    }
    for (unsigned function = 8; function-- > 0;) {
        PciDevice *each = pci->reserved[PCI_DEVFN(slot, function)];

        if (each)
            hotplug_eject(&each->dev);
    }
}

void pci_hotplug_kept(PciBus *bus)
{
    for (unsigned devfn = 0; devfn < bus->n_functions; devfn++) {
        if (bus->reserved[devfn])
            hotplug_kept(&bus->reserved[devfn]->dev, NULL);
    }
}
