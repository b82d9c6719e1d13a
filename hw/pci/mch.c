/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function 00.0 of q35: the memory controller hub (Intel 82G33/82Q35).
 *
 * Guests recognise the board by its ids.  PCIEXBAR (section 5.1.16) tells where the ECAM
 * is: the board has fixed that, so the register can only be read.
 */
#include "berth/pci.h"

#define PCIEXBAR 0x60u
#define PCIEXBAR_ENABLE 1u      /* with length 0: 256 MiB, all 256 buses */

static bool mch_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    static const PciClass class = {
        .vendor_id = 0x8086,
        .device_id = 0x29c0,
        .subsystem_vendor_id = 0x1af4,
        .subsystem_id = 0x1100,
        .class_code = 0x060000,
        .devfn = PCI_DEVFN(0, 0),
    };
    PciDevice *pci = pci_device(dev);
    uint64_t ecam = dev->board->ecam_base;

    if (!pci_device_init(pci, &class, error))
        return false;
    pci_config_set(pci, PCIEXBAR, 4, (uint32_t)ecam | PCIEXBAR_ENABLE);
    pci_config_set(pci, PCIEXBAR + 4, 4, ecam >> 32);
    return true;
}

static void mch_unrealize(Device *dev)
{
    pci_device_done(pci_device(dev));
}

static void mch_reset(Device *dev)
{
    pci_device_reset(pci_device(dev));
}

const DeviceClass mch_class = {
    .name = "mch",
    .description = "Host bridge of q35",
    .bus = BUS_PCI,
    .instance_size = sizeof(PciDevice),
    .vmstate = &pci_device_vmstate,
    .realize = mch_realize,
    .unrealize = mch_unrealize,
    .reset = mch_reset,
};
