/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query-pci: buses and functions as the guest has set them up.
 */
#include "berth/pci.h"
#include "berth/qmp.h"
#include "berth/thread.h"
#include "qmp-commands.h"

#include "pci-private.h"

static PciDeviceInfoList *describe_functions(const PciBus *bus);

static PciDeviceClass *describe_class(const PciDevice *pci)
{
    PciDeviceClass *info = g_new0(PciDeviceClass, 1);

    info->class = pci_config_get(pci, PCI_CLASS_DEVICE, 2);
    info->desc = g_strdup(pci_class_text((uint16_t)info->class));
    return info;
}

static PciDeviceId *describe_id(const PciDevice *pci)
{
    PciDeviceId *id = g_new0(PciDeviceId, 1);

    id->vendor = pci_config_get(pci, PCI_VENDOR_ID, 2);
    id->device = pci_config_get(pci, PCI_DEVICE_ID, 2);
    if (!pci->class->is_bridge) {
        id->has_subsystem = true;
        id->subsystem = pci_config_get(pci, PCI_SUBSYSTEM_ID, 2);
        id->has_subsystem_vendor = true;
        id->subsystem_vendor = pci_config_get(pci, PCI_SUBSYSTEM_VENDOR_ID, 2);
    }
    return id;
}

static PciMemoryRegion *describe_bar(const PciBar *bar, unsigned n)
{
    PciMemoryRegion *info = g_new0(PciMemoryRegion, 1);
    bool is_io = bar->flags & PCI_BASE_ADDRESS_SPACE_IO;

    info->bar = n;
    info->type = g_strdup(is_io ? "io" : "memory");
    info->address = bar->mapped ? (int64_t)bar->addr : -1;
    info->size = bar->region->size;
    if (!is_io) {
        info->has_prefetch = true;
        info->prefetch = bar->flags & PCI_BASE_ADDRESS_MEM_PREFETCH;
        info->has_mem_type_64 = true;
        info->mem_type_64 = bar->flags & PCI_BASE_ADDRESS_MEM_TYPE_64;
    }
    return info;
}

static PciMemoryRegionList *describe_bars(const PciDevice *pci)
{
    PciMemoryRegionList *list = PciMemoryRegionList_new();

    for (unsigned n = 0; n < PCI_N_BARS; n++) {
        if (pci->bars[n].region)
            PciMemoryRegionList_append(list, describe_bar(&pci->bars[n], n));
    }
    return list;
}

static PciMemoryRange *describe_window(const PciDevice *pci, BridgeWindow window)
{
    PciMemoryRange *range = g_new0(PciMemoryRange, 1);
    uint64_t base, last;

    pci_bridge_window(pci, window, &base, &last);
    range->base = base;
    range->limit = last;
    return range;
}

static PciBridgeInfo *describe_bridge(const PciDevice *pci)
{
    PciBridgeInfo *info = g_new0(PciBridgeInfo, 1);
    PciBusInfo *bus = g_new0(PciBusInfo, 1);

    bus->number = pci_config_get(pci, PCI_PRIMARY_BUS, 1);
    bus->secondary = pci_config_get(pci, PCI_SECONDARY_BUS, 1);
    bus->subordinate = pci_config_get(pci, PCI_SUBORDINATE_BUS, 1);
    bus->io_range = describe_window(pci, BRIDGE_WINDOW_IO);
    bus->memory_range = describe_window(pci, BRIDGE_WINDOW_MEMORY);
    bus->prefetchable_range = describe_window(pci, BRIDGE_WINDOW_PREFETCHABLE);
    info->bus = bus;
    return info;
}

static PciDeviceInfo *describe_function(PciDevice *pci)
{
    PciDeviceInfo *info = g_new0(PciDeviceInfo, 1);

    lock_take(&pci->dev.lock);
    info->bus = __atomic_load_n(&pci->bus->number, __ATOMIC_RELAXED);
    info->slot = PCI_SLOT(pci->devfn);
    info->function = PCI_FUNCTION(pci->devfn);
    info->class_info = describe_class(pci);
    info->id = describe_id(pci);
    info->irq_pin = pci_config_get(pci, PCI_INTERRUPT_PIN, 1);
    info->has_irq = info->irq_pin != 0;
    info->irq = info->has_irq ? pci_config_get(pci, PCI_INTERRUPT_LINE, 1) : 0;
    info->qdev_id = g_strdup(pci->dev.id ? pci->dev.id : "");
    info->regions = describe_bars(pci);
    if (pci->secondary)
        info->pci_bridge = describe_bridge(pci);
    lock_drop(&pci->dev.lock);
    if (pci->secondary && pci->secondary->number)
        info->pci_bridge->devices = describe_functions(pci->secondary);
    return info;
}

static PciDeviceInfoList *describe_functions(const PciBus *bus)
{
    PciDeviceInfoList *list = PciDeviceInfoList_new();

    for (unsigned devfn = 0; devfn < bus->n_functions; devfn++) {
        if (bus->functions[devfn])
            PciDeviceInfoList_append(list, describe_function(bus->functions[devfn]));
    }
    return list;
}

PciInfoList *qmp_query_pci(QmpContext *ctx, GError **error)
{
    PciInfoList *list = PciInfoList_new();
    PciInfo *info;
    Bus *root;

    root = ctx->tree ? device_tree_find_bus(ctx->tree, "pcie.0") : NULL;
    if (!root)
        return list;
    info = g_new0(PciInfo, 1);
    info->bus = 0;
    info->devices = describe_functions(pci_bus(root));
    PciInfoList_append(list, info);
    return list;
}
