/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt pins.
 *
 * A function's pin is swizzled at each bridge on the way up (PCI-to-PCI Bridge 1.2,
 * section 9.1) and ends at one of the board's lines, which is high while any function
 * drives it. The counts, and what each function drives, are guarded by one leaf lock: a
 * level comes from a queue's thread as well as from a vCPU.
 *
 * While MSI or MSI-X is on, or the command register says so, a pin drives nothing (PCI
 * Local Bus 3.0, section 6.8.3.3); what is asserted shows again afterwards.  That of a
 * function that leaves drives nothing any more: nobody could quiet it, and its line has
 * others.
 */
#include "berth/irq.h"
#include "berth/msi.h"
#include "berth/msix.h"
#include "berth/thread.h"

#include "pci-private.h"

struct PciIntx {
    Board *board;
    GMutex lock;
    unsigned driving[BOARD_PCI_IRQS];       /* functions */
};

PciIntx *pci_intx_new(Board *board)
{
    PciIntx *intx = g_new0(PciIntx, 1);

    intx->board = board;
    g_mutex_init(&intx->lock);
    return intx;
}

void pci_intx_free(PciIntx *intx)
{
    if (!intx)
        return;
    g_mutex_clear(&intx->lock);
    g_free(intx);
}

unsigned pci_intx_line(const PciDevice *pci)
{
    unsigned pin = pci->class->interrupt_pin - 1u;

    while (pci->bus->bridge) {
        pin = (pin + PCI_SLOT(pci->devfn)) % 4;
        pci = pci->bus->bridge;
    }
    return BOARD_PCI_IRQ(PCI_SLOT(pci->devfn), pin);
}

static void drive_locked(PciIntx *intx, PciDevice *pci)
{
    bool drive = pci->irq_asserted && !pci->irq_disabled && !pci->irq_withdrawn;
    unsigned line;

    if (drive == pci->irq_driven)
        return;
    line = pci_intx_line(pci);
    pci->irq_driven = drive;
    intx->driving[line] += drive ? 1 : -1;
    if (intx->driving[line] == (drive ? 1 : 0))
        irq_set(intx->board->pci_irqs[line], drive);
}

void pci_intx_update(PciDevice *pci)
{
    PciIntx *intx = pci->bus->intx;
    bool disabled = pci_config_get(pci, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE ||
        msi_is_enabled(pci) || msix_is_enabled(pci);

    lock_take(&intx->lock);
    pci->irq_disabled = disabled;
    drive_locked(intx, pci);
    lock_drop(&intx->lock);
}

void pci_intx_set(PciDevice *pci, bool level)
{
    PciIntx *intx = pci->bus->intx;

    g_assert(pci->class->interrupt_pin);
    lock_take(&intx->lock);
    __atomic_store_n(&pci->irq_asserted, level, __ATOMIC_RELAXED);
    drive_locked(intx, pci);
    lock_drop(&intx->lock);
}

void pci_intx_withdraw(PciDevice *pci)
{
    PciIntx *intx = pci->bus->intx;

    lock_take(&intx->lock);
    pci->irq_withdrawn = true;
    drive_locked(intx, pci);
    lock_drop(&intx->lock);
}
