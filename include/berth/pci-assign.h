/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What firmware does to PCI before it starts a kernel.
 */
#pragma once

#include "berth/pci.h"

/* Where pci_assign_resources() may put things; sizes in bytes, 0 for no such space. */
typedef struct PciWindows {
    uint64_t io_base;
    uint64_t io_size;
    uint64_t mem32_base;
    uint64_t mem32_size;
    uint64_t mem64_base;
    uint64_t mem64_size;
    uint8_t irq_base;           /* interrupt line register of board->pci_irqs[0] */
} PciWindows;

/*
 * What firmware does before it starts a kernel: numbers the buses, gives BARs and bridge
 * windows addresses, fills the interrupt line registers and switches decoding on.  False
 * with @error that names the space that is too small.  Main, after device_tree_reset().
 */
bool pci_assign_resources(PciBus *root, const PciWindows *windows, GError **error);
