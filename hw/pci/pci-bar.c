/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base address registers: which regions of a function are mapped where (PCI Local Bus
 * 3.0, section 6.2.5.1).
 *
 * A BAR is mapped while its space is enabled in the command register, the function is in
 * D0, and the register holds an address that the guest can have meant: not 0, and not one
 * whose end wraps or is the top of the space, as while the guest sizes the register.
 * Where a BAR overlaps RAM, RAM wins: the root bus lies below it (pci-host.c).
 */
#include "berth/trace.h"

#include "pci-private.h"

static uint64_t bar_address(const PciDevice *pci, unsigned n)
{
    const PciBar *bar = &pci->bars[n];
    unsigned offset = PCI_BASE_ADDRESS_0 + 4 * n;
    uint64_t value = pci_config_get(pci, offset, 4);

    if (bar->flags & PCI_BASE_ADDRESS_SPACE_IO)
        return value & ~3ull;
    if (bar->flags & PCI_BASE_ADDRESS_MEM_TYPE_64)
        value |= (uint64_t)pci_config_get(pci, offset + 4, 4) << 32;
    return value & ~15ull;
}

static bool in_d0(const PciDevice *pci)
{
    return !pci->pm_cap ||
        !(pci_config_get(pci, pci->pm_cap + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK);
}

static bool decodes_memory(const PciDevice *pci)
{
    return in_d0(pci) && pci_config_get(pci, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY;
}

static bool bar_is_wanted(const PciDevice *pci, unsigned n, uint64_t addr)
{
    const PciBar *bar = &pci->bars[n];
    uint64_t last = addr + bar->region->size - 1;
    uint32_t command = pci_config_get(pci, PCI_COMMAND, 2);

    if (addr == 0 || last < addr || !in_d0(pci))
        return false;
    if (bar->flags & PCI_BASE_ADDRESS_SPACE_IO)
        return command & PCI_COMMAND_IO && last < UINT16_MAX;
    if (!(command & PCI_COMMAND_MEMORY))
        return false;
    return bar->flags & PCI_BASE_ADDRESS_MEM_TYPE_64 ? last < UINT64_MAX
                                                     : last < UINT32_MAX;
}

static void update_one(PciDevice *pci, unsigned n)
{
    PciBar *bar = &pci->bars[n];
    uint64_t addr = bar_address(pci, n);
    bool wanted = bar_is_wanted(pci, n, addr);
    Region *parent = bar->flags & PCI_BASE_ADDRESS_SPACE_IO ? &pci->bus->io
                                                            : &pci->bus->memory;

    if (bar->mapped != wanted || (wanted && bar->addr != addr))
        TRACE(pci_bar, "%s bar %u %s 0x%" PRIx64, device_name(&pci->dev), n,
              wanted ? "at" : "unmapped, not at", addr);
    if (bar->mapped && wanted && bar->addr != addr)
        region_set_addr(bar->region, addr);
    else if (bar->mapped && !wanted)
        region_remove(bar->region);
    else if (!bar->mapped && wanted)
        region_add(parent, addr, bar->region, 0);
    bar->mapped = wanted;
    bar->addr = addr;
}

void pci_bar_update(PciDevice *pci)
{
    Board *board = pci->dev.board;

    region_batch_begin(board->memory);
    region_batch_begin(board->io);
    for (unsigned n = 0; n < PCI_N_BARS; n++) {
        if (pci->bars[n].region)
            update_one(pci, n);
    }
    if (pci->rom)
        pci_rom_update(pci, decodes_memory(pci));
    region_batch_end(board->io);
    region_batch_end(board->memory);
}

void pci_bar_unmap(PciDevice *pci)
{
    Board *board = pci->dev.board;

    region_batch_begin(board->memory);
    region_batch_begin(board->io);
    for (unsigned n = 0; n < PCI_N_BARS; n++) {
        PciBar *bar = &pci->bars[n];

        if (bar->mapped)
            region_remove(bar->region);
        bar->mapped = false;
    }
    if (pci->rom)
        pci_rom_update(pci, false);
    region_batch_end(board->io);
    region_batch_end(board->memory);
}

void pci_bar_add(PciDevice *pci, unsigned n, Region *region, uint32_t flags)
{
    bool is_io = flags & PCI_BASE_ADDRESS_SPACE_IO;
    uint64_t mask = ~(region->size - 1);
    unsigned offset = PCI_BASE_ADDRESS_0 + 4 * n;

    g_assert(n < (pci->class->is_bridge ? 2 : PCI_N_BARS) && !pci->bars[n].region);
    g_assert((region->size & (region->size - 1)) == 0);
    g_assert(region->size >= (is_io ? 4 : 16));
    pci->bars[n] = (PciBar) { .region = region, .flags = flags };
    pci_config_set(pci, offset, 4, flags);
    /* Firmware takes the size from all 32 bits, of ports too. */
    pci_config_allow(pci, offset, 4, mask & (is_io ? 0xfffffffc : 0xfffffff0));
    if (flags & PCI_BASE_ADDRESS_MEM_TYPE_64) {
        g_assert(n + 1 < PCI_N_BARS && !is_io);
        pci_config_allow(pci, offset + 4, 4, mask >> 32);
    }
}
