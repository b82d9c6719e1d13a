/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's view of PCI: configuration space through the ECAM, capabilities, BARs, MSI-X.
 */
#pragma once

#include "kit-board.h"

/* A function as a guest names it. */
typedef struct KitPci {
    KitBoard *kit;
    unsigned bus;
    unsigned devfn;
} KitPci;

/* The function that the device is, where it is now. */
KitPci kit_pci(KitBoard *kit, Device *dev);

uint32_t kit_pci_read(KitPci *pci, unsigned offset, unsigned size);
void kit_pci_write(KitPci *pci, unsigned offset, unsigned size, uint32_t value);

/* The offset of the @nth (from 0) capability @id, 0 when there is none. */
unsigned kit_pci_find_cap(KitPci *pci, uint8_t id, unsigned nth);
/* Where memory BAR @n is. */
uint64_t kit_pci_bar(KitPci *pci, unsigned n);
/* The size of BAR @n, found as a guest does, with decoding off. */
uint64_t kit_pci_bar_size(KitPci *pci, unsigned n);
void kit_pci_set_command(KitPci *pci, uint16_t bits);

/* Gives the vector the message 0xfee00000, @data and unmasks it. */
void kit_msix_program(KitPci *pci, unsigned vector, uint32_t data);
void kit_msix_mask(KitPci *pci, unsigned vector, bool masked);
void kit_msix_enable(KitPci *pci, bool enabled);
/* How often message @data has come. */
unsigned kit_msix_count(KitBoard *kit, uint32_t data);
bool kit_msix_is_pending(KitPci *pci, unsigned vector);
