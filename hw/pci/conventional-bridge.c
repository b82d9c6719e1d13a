/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bridges to a bus of conventional functions, 32 slots of them:
 *
 *     pcie-pci-bridge     from PCI Express (PCI Express to PCI/PCI-X Bridge 1.0; PCI
 *                         Express Base 4.0, 7.5.3)
 *     pci-bridge          from any bus (PCI-to-PCI Bridge 1.2), with a chassis number
 *                         (13.2) and, for firmware that looks there, what it is to
 *                         reserve for devices to come (Red Hat's vendor capability)
 *
 * Interrupt pins are those of the functions behind it, swizzled (pci-intx.c).  They have
 * no hot-plug controller, for ACPI hot-plugs their slots, so no interrupt of their own;
 * the MSI capability is there for drivers that expect one.
 */
#include "berth/error.h"
#include "berth/pci.h"

#include "pci-private.h"

#define VENDOR_ID 0x1b36
#define EXPRESS_DEVICE_ID 0x000e
#define CONVENTIONAL_DEVICE_ID 0x0001
#define MSI_CAP_SIZE 14u                /* with an address of 64 bits */
#define SLOT_ID_CAP_SIZE 4u
#define RESERVE_MEMORY (2 * MIB)
#define RESERVE_PREFETCHABLE (2 * MIB)

static PciBridge *to_bridge(PciDevice *pci)
{
    return CONTAINER_OF(pci, PciBridge, pci);
}

static void bridge_after_write(PciDevice *pci, unsigned offset, unsigned size)
{
    pci_bridge_after_write(to_bridge(pci), offset, size);
}

static const PciClass express_pci_class = {
    .vendor_id = VENDOR_ID,
    .device_id = EXPRESS_DEVICE_ID,
    .class_code = 0x060400,
    .is_bridge = true,
    .after_write = bridge_after_write,
};

static const PciClass conventional_pci_class = {
    .vendor_id = VENDOR_ID,
    .device_id = CONVENTIONAL_DEVICE_ID,
    .class_code = 0x060400,
    .is_bridge = true,
    .after_write = bridge_after_write,
};

static void add_msi_cap(PciDevice *pci)
{
    uint8_t cap = pci_add_cap(pci, PCI_CAP_ID_MSI, MSI_CAP_SIZE);

    pci_config_set(pci, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_64BIT);
    pci_config_allow(pci, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
    pci_config_allow(pci, cap + PCI_MSI_ADDRESS_LO, 4, ~3u);
    pci_config_allow(pci, cap + PCI_MSI_ADDRESS_HI, 4, UINT32_MAX);
    pci_config_allow(pci, cap + PCI_MSI_DATA_64, 2, UINT16_MAX);
}

/* The first of its chassis; it has no slots that are numbered. */
static void add_slot_id_cap(PciDevice *pci, uint8_t chassis)
{
    uint8_t cap = pci_add_cap(pci, PCI_CAP_ID_SLOTID, SLOT_ID_CAP_SIZE);

    pci_config_set(pci, cap + PCI_SID_ESR, 1, PCI_SID_ESR_FIC);
    pci_config_set(pci, cap + PCI_SID_CHASSIS_NR, 1, chassis);
}

static bool bridge_init(PciDevice *pci, const PciClass *class, OnOffAuto msi,
                        GError **error)
{
    PciBridge *bridge = to_bridge(pci);

    if (!pci_bridge_init(bridge, class, PCI_BUS_CONVENTIONAL, "pci", error))
        return false;
    bridge->secondary.reserve = (PciReserve) {
        .memory = RESERVE_MEMORY, .prefetchable = RESERVE_PREFETCHABLE,
    };
    if (msi != ON_OFF_AUTO_OFF)
        add_msi_cap(pci);
    return true;
}

static bool express_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    PciDevice *pci = pci_device(dev);
    const PciePciBridgeProps *props = &args->u.pcie_pci_bridge;

    if (pci_bus(dev->bus)->kind == PCI_BUS_CONVENTIONAL) {
        error_set(error, "parameter 'bus': a bridge to express is needed, '%s' is "
                  "conventional", dev->bus->name);
        return false;
    }
    if (!bridge_init(pci, &express_pci_class, props->msi, error))
        return false;
    pci_add_express_cap(pci, PCI_EXP_TYPE_PCI_BRIDGE);
    pci_add_pm_cap(pci);
    return true;
}

static bool conventional_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    PciDevice *pci = pci_device(dev);
    const PciBridgeProps *props = &args->u.pci_bridge;
    const BridgeHints hints = {
        .buses = UINT32_MAX, .io = UINT64_MAX, .memory = RESERVE_MEMORY,
        .prefetchable = RESERVE_PREFETCHABLE,
    };

    if (props->shpc) {
        error_set(error, "parameter 'shpc': there is no standard hot-plug controller; "
                  "ACPI hot-plugs the slots");
        return false;
    }
    if (!bridge_init(pci, &conventional_pci_class, props->msi, error))
        return false;
    add_slot_id_cap(pci, props->chassis_nr);
    pci_bridge_add_hints(pci, &hints);
    return true;
}

static void bridge_unrealize(Device *dev)
{
    pci_bridge_done(to_bridge(pci_device(dev)));
}

static void bridge_reset(Device *dev)
{
    pci_bridge_reset(to_bridge(pci_device(dev)));
}

const DeviceClass pcie_pci_bridge_class = {
    .name = "pcie-pci-bridge",
    .description = "bridge from PCI Express to a conventional PCI bus",
    .bus = BUS_PCI,
    .instance_size = sizeof(PciBridge),
    .vmstate = &pci_bridge_vmstate,
    .realize = express_realize,
    .unrealize = bridge_unrealize,
    .reset = bridge_reset,
};

const DeviceClass pci_bridge_class = {
    .name = "pci-bridge",
    .description = "bridge to a conventional PCI bus",
    .bus = BUS_PCI,
    .instance_size = sizeof(PciBridge),
    .vmstate = &pci_bridge_vmstate,
    .realize = conventional_realize,
    .unrealize = bridge_unrealize,
    .reset = bridge_reset,
};
