/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's side of PCI, written once for all tests.
 */
#include "berth/vm-fake.h"

#include "kit-pci.h"

#define MSI_ADDRESS 0xfee00000u

KitPci kit_pci(KitBoard *kit, Device *dev)
{
    PciDevice *pci = pci_device(dev);

    return (KitPci) { .kit = kit, .bus = pci->bus->number, .devfn = pci->devfn };
}

static uint64_t ecam_address(const KitPci *pci, unsigned offset)
{
    return KIT_ECAM_BASE + ((uint64_t)pci->bus << 20 | pci->devfn << 12 | offset);
}

uint32_t kit_pci_read(KitPci *pci, unsigned offset, unsigned size)
{
    return kit_read(pci->kit, ecam_address(pci, offset), size);
}

void kit_pci_write(KitPci *pci, unsigned offset, unsigned size, uint32_t value)
{
    kit_write(pci->kit, ecam_address(pci, offset), size, value);
}

unsigned kit_pci_find_cap(KitPci *pci, uint8_t id, unsigned nth)
{
    unsigned at = kit_pci_read(pci, PCI_CAPABILITY_LIST, 1);

    for (int limit = 48; at && limit > 0; limit--) {
        if (kit_pci_read(pci, at + PCI_CAP_LIST_ID, 1) == id && nth-- == 0)
            return at;
        at = kit_pci_read(pci, at + PCI_CAP_LIST_NEXT, 1);
    }
    return 0;
}

uint64_t kit_pci_bar(KitPci *pci, unsigned n)
{
    uint64_t value = kit_pci_read(pci, PCI_BASE_ADDRESS_0 + 4 * n, 4);

    if (value & PCI_BASE_ADDRESS_MEM_TYPE_64)
        value |= (uint64_t)kit_pci_read(pci, PCI_BASE_ADDRESS_0 + 4 * n + 4, 4) << 32;
    return value & ~15ull;
}

uint64_t kit_pci_bar_size(KitPci *pci, unsigned n)
{
    unsigned offset = PCI_BASE_ADDRESS_0 + 4 * n;
    uint32_t low = kit_pci_read(pci, offset, 4);
    uint32_t mask;

    kit_pci_write(pci, offset, 4, UINT32_MAX);
    mask = kit_pci_read(pci, offset, 4);
    kit_pci_write(pci, offset, 4, low);
    if (mask & PCI_BASE_ADDRESS_SPACE_IO)
        return (uint16_t)(~(mask & ~3u) + 1);
    return ~(mask & ~15u) + 1;
}

void kit_pci_set_command(KitPci *pci, uint16_t bits)
{
    kit_pci_write(pci, PCI_COMMAND, 2, bits);
}

static uint64_t msix_entry(KitPci *pci, unsigned vector)
{
    unsigned cap = kit_pci_find_cap(pci, PCI_CAP_ID_MSIX, 0);
    uint32_t table = kit_pci_read(pci, cap + PCI_MSIX_TABLE, 4);

    return kit_pci_bar(pci, table & 7) + (table & ~7u) + PCI_MSIX_ENTRY_SIZE * vector;
}

void kit_msix_program(KitPci *pci, unsigned vector, uint32_t data)
{
    uint64_t entry = msix_entry(pci, vector);

    kit_write(pci->kit, entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4, MSI_ADDRESS);
    kit_write(pci->kit, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 4, 0);
    kit_write(pci->kit, entry + PCI_MSIX_ENTRY_DATA, 4, data);
    kit_msix_mask(pci, vector, false);
}

void kit_msix_mask(KitPci *pci, unsigned vector, bool masked)
{
    kit_write(pci->kit, msix_entry(pci, vector) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, masked);
}

void kit_msix_enable(KitPci *pci, bool enabled)
{
    unsigned cap = kit_pci_find_cap(pci, PCI_CAP_ID_MSIX, 0);

    kit_pci_write(pci, cap + PCI_MSIX_FLAGS, 2, enabled ? PCI_MSIX_FLAGS_ENABLE : 0);
}

unsigned kit_msix_count(KitBoard *kit, uint32_t data)
{
    return vm_fake_msi_count(kit->vm, MSI_ADDRESS, data);
}

bool kit_msix_is_pending(KitPci *pci, unsigned vector)
{
    unsigned cap = kit_pci_find_cap(pci, PCI_CAP_ID_MSIX, 0);
    uint32_t pba = kit_pci_read(pci, cap + PCI_MSIX_PBA, 4);
    uint64_t at = kit_pci_bar(pci, pba & 7) + (pba & ~7u) + vector / 32 * 4;

    return kit_read(pci->kit, at, 4) >> (vector % 32) & 1;
}
