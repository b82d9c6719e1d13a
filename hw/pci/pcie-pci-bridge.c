/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcie-pci-bridge: a bridge from PCI Express to a bus of conventional functions, 32 slots
 * of them (PCI Express to PCI/PCI-X Bridge 1.0; PCI Express Base 4.0, 7.5.3).
 *
 * Its interrupt pins are those of the functions behind it, swizzled (pci-intx.c).  It has
 * no hot-plug controller, so no interrupt of its own; the MSI capability is there for
 * drivers that expect one.
 */
#include "berth/error.h"
#include "berth/pci.h"

#include "pci-private.h"

#define VENDOR_ID 0x1b36
#define DEVICE_ID 0x000e
#define MSI_CAP_SIZE 14u                /* with an address of 64 bits */

static PciBridge *to_bridge(PciDevice *pci)
{
    return CONTAINER_OF(pci, PciBridge, pci);
}

static void bridge_after_write(PciDevice *pci, unsigned offset, unsigned size)
{
    pci_bridge_after_write(to_bridge(pci), offset, size);
}

static const PciClass bridge_pci_class = {
    .vendor_id = VENDOR_ID,
    .device_id = DEVICE_ID,
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

static bool bridge_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    PciDevice *pci = pci_device(dev);
    const PciePciBridgeProps *props = &args->u.pcie_pci_bridge;

    if (pci_bus(dev->bus)->kind == PCI_BUS_CONVENTIONAL) {
        error_set(error, "parameter 'bus': a bridge to express is needed, '%s' is "
                  "conventional", dev->bus->name);
        return false;
    }
    if (!pci_bridge_init(to_bridge(pci), &bridge_pci_class, PCI_BUS_CONVENTIONAL, "pci",
                         error))
        return false;
    pci_add_express_cap(pci, PCI_EXP_TYPE_PCI_BRIDGE);
    pci_add_pm_cap(pci);
    if (props->msi != ON_OFF_AUTO_OFF)
        add_msi_cap(pci);
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
    .realize = bridge_realize,
    .unrealize = bridge_unrealize,
    .reset = bridge_reset,
};
