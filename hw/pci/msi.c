/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI: one message, whose address and data are registers of configuration space.
 *
 * The registers are written by vCPUs under dev->lock; notify comes from any thread and
 * takes no lock.  What it looks at is `live`, which is set when the route has the message
 * that the registers say.  There is no pending bit: what interrupts while MSI is off, or
 * between two messages, is told by the function's own registers.
 */
#include "berth/error.h"
#include "berth/irq.h"
#include "berth/msi.h"

#include "pci-private.h"

#define CAP_SIZE 14u                    /* with an address of 64 bits, no masks */
/* Of the upper half of a message's address: KVM has bits 8 to 31 of an APIC id above. */
#define RESERVED_UPPER 0xffu

typedef struct Msi {
    uint8_t cap;
    MsiRoute route;
    bool has_route;
    bool enabled;               /* atomic */
    bool live;                  /* atomic: enabled, and the route has the message */
} Msi;

/* Whether the host has the message that the registers say; an error else. */
static bool route(PciDevice *pci, GError **error)
{
    Msi *msi = pci->msi;
    uint32_t low = pci_config_get(pci, msi->cap + PCI_MSI_ADDRESS_LO, 4);
    uint32_t high = pci_config_get(pci, msi->cap + PCI_MSI_ADDRESS_HI, 4);
    uint16_t data = (uint16_t)pci_config_get(pci, msi->cap + PCI_MSI_DATA_64, 2);
    int ret;

    if (!msi->has_route)
        msi->has_route = msi_route_init(&msi->route, pci->dev.board->vm, error);
    if (!msi->has_route)
        return false;
    ret = msi_route_set(&msi->route, (uint64_t)high << 32 | low, data);
    if (ret < 0)
        error_set(error, "%s", error_text(-ret));
    return ret == 0;
}

void msi_update(PciDevice *pci)
{
    g_autoptr(GError) error = NULL;
    Msi *msi = pci->msi;
    bool enabled = pci_config_get(pci, msi->cap + PCI_MSI_FLAGS, 2) &
                   PCI_MSI_FLAGS_ENABLE;
    uint32_t high = pci_config_get(pci, msi->cap + PCI_MSI_ADDRESS_HI, 4);
    bool live = enabled && !(high & RESERVED_UPPER);

    if (enabled && !live)
        device_guest_error(&pci->dev, "message for 0x%08x........", high);
    if (live && !route(pci, &error)) {
        device_host_error(&pci->dev, "its interrupt stays silent: %s", error->message);
        live = false;
    }
    __atomic_store_n(&msi->live, live, __ATOMIC_SEQ_CST);
    __atomic_store_n(&msi->enabled, enabled, __ATOMIC_SEQ_CST);
}

bool msi_touched(const PciDevice *pci, unsigned offset, unsigned size)
{
    return pci->msi && pci_config_touches(offset, size, pci->msi->cap, CAP_SIZE);
}

void msi_add(PciDevice *pci)
{
    uint8_t cap = pci_add_cap(pci, PCI_CAP_ID_MSI, CAP_SIZE);

    g_assert(!pci->msi);
    pci->msi = g_new0(Msi, 1);
    pci->msi->cap = cap;
    pci_config_set(pci, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_64BIT);
    pci_config_allow(pci, cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
    pci_config_allow(pci, cap + PCI_MSI_ADDRESS_LO, 4, ~3u);
    pci_config_allow(pci, cap + PCI_MSI_ADDRESS_HI, 4, ~0u);
    pci_config_allow(pci, cap + PCI_MSI_DATA_64, 2, 0xffff);
}

void msi_free(PciDevice *pci)
{
    Msi *msi = g_steal_pointer(&pci->msi);

    if (msi && msi->has_route)
        msi_route_done(&msi->route);
    g_free(msi);
}

bool msi_is_enabled(const PciDevice *pci)
{
    return pci->msi && __atomic_load_n(&pci->msi->enabled, __ATOMIC_RELAXED);
}

void msi_notify(PciDevice *pci)
{
    if (pci->msi && __atomic_load_n(&pci->msi->live, __ATOMIC_SEQ_CST))
        msi_route_fire(&pci->msi->route);
}
