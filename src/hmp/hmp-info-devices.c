/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices: info qtree, by the buses that they are on, and info pci.
 */
#include <string.h>

#include "berth/device-qmp.h"
#include "berth/pci.h"
#include "berth/thread.h"

#include "qmp-commands.h"

#include "hmp-call.h"

/* Properties that tell of the place and not of the device. */
static const char *const not_shown[] = {
    "type", "realized", "hotplugged", "hotpluggable", "parent_bus", NULL,
};

static void show_property(HmpCall *call, const ObjectPropertyValue *property, int indent)
{
    const JsonValue *value = property->value;
    int64_t number;

    if (!value || g_strv_contains(not_shown, property->name))
        return;
    hmp_printf(call, "%*s%s = ", indent, "", property->name);
    if (json_kind(value) == JSON_STRING) {
        hmp_printf(call, "\"%s\"\n", json_as_string(value));
    } else if (json_as_int(value, &number)) {
        hmp_printf(call, "%" PRId64 " (0x%" PRIx64 ")\n", number, (uint64_t)number);
    } else {
        g_autofree char *text = json_to_text(value);

        hmp_printf(call, "%s\n", text);
    }
}

/* The place of a function on its bus, as the command line has it. */
static void show_place(HmpCall *call, const PciDevice *pci, int indent)
{
    hmp_printf(call, "%*saddr = %02x.%x\n", indent, "", PCI_SLOT(pci->devfn),
               PCI_FUNCTION(pci->devfn));
}

static void show_properties(HmpCall *call, Device *dev, int indent)
{
    char *paths[] = { dev->path };
    StrList list = { .items = paths, .n = 1 };
    const QomListGetArgs args = { .paths = &list };
    g_autoptr(ObjectPropertiesValuesList) values =
        qmp_qom_list_get(call->ctx, &args, NULL);

    for (size_t i = 0; values && i < values->items[0]->properties->n; i++) {
        const ObjectPropertyValue *property = values->items[0]->properties->items[i];

        if (dev->bus && dev->bus->kind == BUS_PCI && strcmp(property->name, "addr") == 0)
            show_place(call, pci_device(dev), indent);
        else
            show_property(call, property, indent);
    }
}

static void show_bar(HmpCall *call, const PciBar *bar, unsigned n, int indent)
{
    uint64_t addr = bar->mapped ? bar->addr : UINT64_MAX;

    if (bar->region)
        hmp_printf(call, "%*sbar %u: %s at 0x%" PRIx64 " [0x%" PRIx64 "]\n", indent, "",
                   n, bar->flags & PCI_BASE_ADDRESS_SPACE_IO ? "i/o" : "mem", addr,
                   addr + bar->region->size - 1);
}

/* A bridge has no subsystem there. */
static unsigned subsystem(const PciDevice *pci, unsigned offset)
{
    return pci->class->is_bridge ? 0 : pci_config_get(pci, offset, 2);
}

static void show_function(HmpCall *call, PciDevice *pci, int indent)
{
    uint16_t class;
    const char *text;

    lock_take(&pci->dev.lock);
    class = (uint16_t)pci_config_get(pci, PCI_CLASS_DEVICE, 2);
    text = pci_class_text(class);
    hmp_printf(call, "%*sclass ", indent, "");
    if (text)
        hmp_printf(call, "%s", text);
    else
        hmp_printf(call, "Class %04x", class);
    hmp_printf(call, ", addr %02x:%02x.%x, pci id %04x:%04x (sub %04x:%04x)\n",
               (unsigned)__atomic_load_n(&pci->bus->number, __ATOMIC_RELAXED),
               PCI_SLOT(pci->devfn), PCI_FUNCTION(pci->devfn),
               pci_config_get(pci, PCI_VENDOR_ID, 2),
               pci_config_get(pci, PCI_DEVICE_ID, 2),
               subsystem(pci, PCI_SUBSYSTEM_VENDOR_ID), subsystem(pci, PCI_SUBSYSTEM_ID));
    for (unsigned i = 0; i < PCI_N_BARS; i++)
        show_bar(call, &pci->bars[i], i, indent);
    lock_drop(&pci->dev.lock);
}

static const char *bus_type(Bus *bus)
{
    if (bus->kind == BUS_PCI && pci_bus(bus)->kind != PCI_BUS_CONVENTIONAL)
        return "PCIE";
    return bus_kind_str(bus->kind);
}

static const char *device_type(const Device *dev)
{
    return dev->args ? DeviceDriver_str(dev->args->driver) : dev->class->name;
}

static void show_bus(HmpCall *call, Bus *bus, int indent);

/* The buses that @dev has; with NULL, those of the board. */
static void show_buses(HmpCall *call, const Device *dev, int indent)
{
    LIST_FOREACH(node, &call->ctx->tree->buses) {
        Bus *bus = CONTAINER_OF(node, Bus, tree_node);

        if (bus->owner == dev)
            show_bus(call, bus, indent);
    }
}

static void show_device(HmpCall *call, Device *dev, int indent)
{
    hmp_printf(call, "%*sdev: %s, id \"%s\"\n", indent, "", device_type(dev),
               dev->id ? dev->id : "");
    show_properties(call, dev, indent + 2);
    if (dev->bus && dev->bus->kind == BUS_PCI)
        show_function(call, pci_device(dev), indent + 2);
    show_buses(call, dev, indent + 2);
}

static void show_bus(HmpCall *call, Bus *bus, int indent)
{
    hmp_printf(call, "%*sbus: %s\n%*s  type %s\n", indent, "", bus->name, indent, "",
               bus_type(bus));
    LIST_FOREACH(node, &bus->devices)
        show_device(call, CONTAINER_OF(node, Device, bus_node), indent + 2);
}

void hmp_info_qdm(HmpCall *call)
{
    device_qmp_describe_drivers(call->out);
}

void hmp_info_qtree(HmpCall *call)
{
    DeviceTree *tree = call->ctx->tree;

    hmp_printf(call, "bus: main-system-bus\n  type System\n");
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (!dev->bus)
            show_device(call, dev, 2);
    }
    show_buses(call, NULL, 2);
}

static void show_range(HmpCall *call, const char *name, const PciMemoryRange *range,
                       int digits)
{
    hmp_printf(call, "      %s range [0x%0*" PRIx64 ", 0x%0*" PRIx64 "]\n", name, digits,
               (uint64_t)range->base, digits, (uint64_t)range->limit);
}

static void show_bridge(HmpCall *call, const PciBusInfo *bus)
{
    hmp_printf(call, "      BUS %" PRId64 ".\n      secondary bus %" PRId64 ".\n"
               "      subordinate bus %" PRId64 ".\n", bus->number, bus->secondary,
               bus->subordinate);
    show_range(call, "IO", bus->io_range, 4);
    show_range(call, "memory", bus->memory_range, 8);
    show_range(call, "prefetchable memory", bus->prefetchable_range, 8);
}

static void show_pci_region(HmpCall *call, const PciMemoryRegion *region)
{
    uint64_t addr = (uint64_t)region->address;
    uint64_t last = addr + (uint64_t)region->size - 1;

    hmp_printf(call, "      BAR%" PRId64 ": ", region->bar);
    if (strcmp(region->type, "io") == 0)
        hmp_printf(call, "I/O at 0x%04" PRIx64 " [0x%04" PRIx64 "].\n", addr, last);
    else
        hmp_printf(call, "%d bit%s memory at 0x%08" PRIx64 " [0x%08" PRIx64 "].\n",
                   region->mem_type_64 ? 64 : 32,
                   region->prefetch ? " prefetchable" : "", addr, last);
}

static void show_pci_device(HmpCall *call, const PciDeviceInfo *dev)
{
    const PciDeviceId *id = dev->id;

    hmp_printf(call, "  Bus %2" PRId64 ", device %3" PRId64 ", function %" PRId64 ":\n",
               dev->bus, dev->slot, dev->function);
    if (dev->class_info->desc)
        hmp_printf(call, "    %s", dev->class_info->desc);
    else
        hmp_printf(call, "    Class %04" PRId64, dev->class_info->class);
    hmp_printf(call, ": PCI device %04" PRIx64 ":%04" PRIx64 "\n", (uint64_t)id->vendor,
               (uint64_t)id->device);
    if (id->has_subsystem && id->has_subsystem_vendor)
        hmp_printf(call, "      PCI subsystem %04" PRIx64 ":%04" PRIx64 "\n",
                   (uint64_t)id->subsystem_vendor, (uint64_t)id->subsystem);
    if (dev->has_irq)
        hmp_printf(call, "      IRQ %" PRId64 ", pin %c\n", dev->irq,
                   (char)('A' + dev->irq_pin - 1));
    if (dev->pci_bridge)
        show_bridge(call, dev->pci_bridge->bus);
    for (size_t i = 0; i < dev->regions->n; i++)
        show_pci_region(call, dev->regions->items[i]);
    hmp_printf(call, "      id \"%s\"\n", dev->qdev_id);
}

static void show_pci_devices(HmpCall *call, const PciDeviceInfoList *list)
{
    for (size_t i = 0; list && i < list->n; i++) {
        const PciDeviceInfo *dev = list->items[i];

        show_pci_device(call, dev);
        if (dev->pci_bridge)
            show_pci_devices(call, dev->pci_bridge->devices);
    }
}

void hmp_info_pci(HmpCall *call, const PciInfoList *value)
{
    for (size_t i = 0; i < value->n; i++)
        show_pci_devices(call, value->items[i]->devices);
}
