/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI's part in the hot-plug of slots: those of a bus, which it knows by a number.
 * Main.
 */
#pragma once

#include "berth/pci.h"

struct PciSlots {
    /* A device came to the slot, or went; the guest is asked to let it go. */
    void (*came)(PciSlots *slots, unsigned index, unsigned slot);
    void (*went)(PciSlots *slots, unsigned index, unsigned slot);
    void (*ask)(PciSlots *slots, unsigned index, unsigned slot);
    /* Tells a guest of it again that has not looked; false: it has. */
    bool (*remind)(PciSlots *slots, unsigned index, unsigned slot);
    /* The bus ends. */
    void (*gone)(PciSlots *slots, unsigned index);
};

/* What the tables tell of such a bus; its number is the index in an array of them. */
typedef struct PciSlotsBus {
    int parent;                 /* the number of that above its bridge; -1: the root */
    uint8_t devfn;              /* of the bridge, there */
    uint8_t n_slots;            /* 0: they are not hot-plugged by ACPI */
} PciSlotsBus;
