/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The enhanced configuration access mechanism (PCI Express Base 4.0, section 7.2.2): 256
 * MiB of memory in which an address is bus << 20 | devfn << 12 | register.
 */
#include "pci-private.h"

#define ECAM_SIZE (256 * MIB)

static PciDevice *function_at(PciBus *root, uint64_t offset)
{
    PciBus *bus = pci_bus_route(root, offset >> 20);

    return bus ? pci_bus_function(bus, offset >> 12 & 0xff) : NULL;
}

static uint64_t ecam_read(void *opaque, uint64_t offset, unsigned size)
{
    PciDevice *pci = function_at(opaque, offset);

    return pci ? pci_config_read(pci, offset % PCIE_CONFIG_SIZE, size) : UINT64_MAX;
}

static void ecam_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    PciDevice *pci = function_at(opaque, offset);

    if (pci)
        pci_config_write(pci, offset % PCIE_CONFIG_SIZE, size, value);
}

static const RegionOps ecam_ops = {
    .read = ecam_read,
    .write = ecam_write,
    .min_size = 1,
    .max_size = 4,
};

void ecam_init(Region *region, PciBus *root)
{
    region_init_io(region, "ecam", ECAM_SIZE, &ecam_ops, root, NULL);
}
