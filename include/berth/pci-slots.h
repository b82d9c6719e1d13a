/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI's part in the hot-plug of slots, each the bus below a port by a number.  Main: a
 * device came to the slot, or went; the guest is asked to let it go.
 */
#pragma once

#include "berth/pci.h"

struct PciSlots {
    void (*came)(PciSlots *slots, unsigned index);
    void (*went)(PciSlots *slots, unsigned index);
    void (*ask)(PciSlots *slots, unsigned index);
};
