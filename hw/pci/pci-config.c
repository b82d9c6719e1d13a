/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration space of one function (PCI Local Bus 3.0, chapter 6; PCI Express Base
 * 4.0, chapter 7).
 *
 * The first 256 bytes are an array with two masks: bits that a guest may write, and bits
 * that it clears by writing ones.  What a write means (BARs, interrupts, MSI-X) follows
 * from the bytes afterwards, under the same lock, so that each order of partial writes
 * ends in the same state.  Extended space is there for an express function and reads as
 * zero: an empty list of extended capabilities.
 *
 * Order of a write: bytes and their effects under dev->lock; the lock is dropped; then
 * function level reset, then the class's hook, which may wait for an iothread.
 */
#include <string.h>

#include "berth/thread.h"

#include "pci-private.h"

uint32_t pci_config_get(const PciDevice *pci, unsigned offset, unsigned size)
{
    uint32_t value = 0;

    g_assert(offset + size <= PCI_CONFIG_SIZE);
    for (unsigned i = 0; i < size; i++)
        value |= (uint32_t)pci->config[offset + i] << 8 * i;
    return value;
}

static void put(uint8_t *space, unsigned offset, unsigned size, uint32_t value)
{
    g_assert(offset + size <= PCI_CONFIG_SIZE);
    for (unsigned i = 0; i < size; i++)
        space[offset + i] = value >> 8 * i;
}

void pci_config_set(PciDevice *pci, unsigned offset, unsigned size, uint32_t value)
{
    put(pci->config, offset, size, value);
}

void pci_config_strap(PciDevice *pci, unsigned offset, unsigned size, uint32_t value)
{
    put(pci->config, offset, size, value);
    put(pci->power_on, offset, size, value);
}

void pci_config_allow(PciDevice *pci, unsigned offset, unsigned size, uint32_t mask)
{
    put(pci->writable, offset, size, mask);
}

void pci_config_allow_w1c(PciDevice *pci, unsigned offset, unsigned size, uint32_t mask)
{
    put(pci->write_one_clears, offset, size, mask);
}

bool pci_config_is_bus_master(const PciDevice *pci)
{
    return pci_config_get(pci, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

bool pci_config_touches(unsigned offset, unsigned size, unsigned start, unsigned length)
{
    return offset < start + length && start < offset + size;
}

uint32_t pci_config_read(PciDevice *pci, unsigned offset, unsigned size)
{
    uint32_t value;

    if (offset >= PCI_CONFIG_SIZE)
        return pci->express_cap ? 0 : UINT32_MAX;
    if (pci->class->before_read)
        pci->class->before_read(pci, offset, size);
    lock_take(&pci->dev.lock);
    value = pci_config_get(pci, offset, size);
    lock_drop(&pci->dev.lock);
    if (pci_config_touches(offset, size, PCI_STATUS, 1) &&
        __atomic_load_n(&pci->irq_asserted, __ATOMIC_RELAXED))
        value |= PCI_STATUS_INTERRUPT << 8 * (PCI_STATUS - offset);
    return value;
}

/* Whether the write asks for a function level reset. */
static bool is_reset(const PciDevice *pci, unsigned offset, unsigned size, uint32_t value)
{
    unsigned control = pci->express_cap + PCI_EXP_DEVCTL + 1;

    return pci->express_cap && offset <= control && control < offset + size &&
        pci_config_get(pci, pci->express_cap + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR &&
        value >> 8 * (control - offset) & PCI_EXP_DEVCTL_BCR_FLR >> 8;
}

static void apply_locked(PciDevice *pci, unsigned offset, unsigned size)
{
    if (pci_config_touches(offset, size, PCI_COMMAND, 2) ||
        pci_config_touches(offset, size, PCI_BASE_ADDRESS_0, 4 * PCI_N_BARS) ||
        (pci->rom && pci_config_touches(offset, size, PCI_ROM_ADDRESS, 4)) ||
        (pci->pm_cap &&
         pci_config_touches(offset, size, pci->pm_cap + PCI_PM_CTRL, 1)))
        pci_bar_update(pci);
    if (msix_control_touched(pci, offset, size)) {
        msix_update(pci);
        pci_intx_update(pci);
    }
    if (msi_touched(pci, offset, size)) {
        msi_update(pci);
        pci_intx_update(pci);
    }
    if (pci_config_touches(offset, size, PCI_COMMAND, 2))
        pci_intx_update(pci);
}

void pci_config_write(PciDevice *pci, unsigned offset, unsigned size, uint32_t value)
{
    bool resets;

    if (offset >= PCI_CONFIG_SIZE)
        return;
    lock_take(&pci->dev.lock);
    resets = is_reset(pci, offset, size, value);
    for (unsigned i = 0; i < size; i++) {
        uint8_t byte = value >> 8 * i;
        uint8_t *at = &pci->config[offset + i];
        uint8_t writable = pci->writable[offset + i];

        *at = (*at & ~writable) | (byte & writable);
        *at &= ~(byte & pci->write_one_clears[offset + i]);
    }
    apply_locked(pci, offset, size);
    lock_drop(&pci->dev.lock);
    if (resets)
        pci->dev.class->reset(&pci->dev);
    if (pci->class->after_write)
        pci->class->after_write(pci, offset, size);
}
