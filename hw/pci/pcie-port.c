/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcie-root-port: a port of the root complex with one slot (PCI-to-PCI Bridge 1.2; PCI
 * Express Base 4.0, sections 7.5.1.3 and 7.5.3).
 *
 * What makes it a bridge is in pci-bridge.c.
 *
 * Slot.  Hot-plug capable by surprise removal, without indicators, latch or power
 * control, and commands complete at once (No Command Completed Support).  Presence and
 * link follow from what is plugged in.  A change while the machine runs sets the changed
 * bits and interrupts as the slot control register allows.
 */
#include "berth/error.h"
#include "berth/pci.h"
#include "berth/thread.h"

#include "pci-private.h"

#define VENDOR_ID 0x1b36
#define DEVICE_ID 0x000c
#define MSIX_BAR 0
#define DEFAULT_RESERVE_MEMORY (2 * MIB)
#define DEFAULT_RESERVE_PREFETCHABLE (32 * MIB)
#define RESERVE_MEMORY_MAX (1 * GIB)
#define RESERVE_PREFETCHABLE_MAX (1024 * GIB)
#define SLOT_EVENTS (PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC)

typedef struct PciePort {
    PciBridge bridge;
    bool interrupts;            /* the slot's events, as last seen */
} PciePort;

static PciePort *to_port(PciDevice *pci)
{
    return CONTAINER_OF(pci, PciePort, bridge.pci);
}

/* Interrupts when an event that the slot control register enables has come. */
static void update_slot_interrupt(PciePort *port)
{
    PciDevice *pci = &port->bridge.pci;
    unsigned cap = pci->express_cap;
    uint32_t control, events;
    bool interrupts, rises;

    lock_take(&pci->dev.lock);
    control = pci_config_get(pci, cap + PCI_EXP_SLTCTL, 2);
    events = pci_config_get(pci, cap + PCI_EXP_SLTSTA, 2);
    interrupts = control & PCI_EXP_SLTCTL_HPIE &&
        ((events & PCI_EXP_SLTSTA_PDC && control & PCI_EXP_SLTCTL_PDCE) ||
         (events & PCI_EXP_SLTSTA_DLLSC && control & PCI_EXP_SLTCTL_DLLSCE));
    rises = interrupts && !port->interrupts;
    port->interrupts = interrupts;
    if (msix_is_enabled(pci)) {
        if (rises)
            msix_notify(pci, 0);
    } else {
        pci_intx_set(pci, interrupts);
    }
    lock_drop(&pci->dev.lock);
}

static void port_after_write(PciDevice *pci, unsigned offset, unsigned size)
{
    PciePort *port = to_port(pci);

    if (pci_config_touches(offset, size, pci->express_cap + PCI_EXP_SLTCTL, 4))
        update_slot_interrupt(port);
    pci_bridge_after_write(&port->bridge, offset, size);
}

static void port_secondary_changed(PciDevice *pci)
{
    PciePort *port = to_port(pci);
    unsigned status = pci->express_cap + PCI_EXP_SLTSTA;
    unsigned link = pci->express_cap + PCI_EXP_LNKSTA;
    bool occupied = false;
    uint32_t slot_bits, link_bits;

    for (unsigned devfn = 0; devfn < port->bridge.secondary.n_functions; devfn++)
        occupied = occupied || pci_bus_function(&port->bridge.secondary, devfn);
    lock_take(&pci->dev.lock);
    slot_bits = pci_config_get(pci, status, 2);
    link_bits = pci_config_get(pci, link, 2) & ~PCI_EXP_LNKSTA_DLLLA;
    pci_config_strap(pci, link, 2, link_bits | (occupied ? PCI_EXP_LNKSTA_DLLLA : 0));
    pci_config_strap(pci, status, 2, occupied ? PCI_EXP_SLTSTA_PDS : 0);
    pci_config_set(pci, status, 2, (slot_bits & ~PCI_EXP_SLTSTA_PDS) |
                   (occupied ? PCI_EXP_SLTSTA_PDS : 0) |
                   (pci->dev.tree->started ? SLOT_EVENTS : 0));
    lock_drop(&pci->dev.lock);
    update_slot_interrupt(port);
}

static const PciClass port_pci_class = {
    .vendor_id = VENDOR_ID,
    .device_id = DEVICE_ID,
    .class_code = 0x060400,
    .is_bridge = true,
    .interrupt_pin = 1,
    .after_write = port_after_write,
    .secondary_changed = port_secondary_changed,
};

static void add_express_cap(PciDevice *pci, const PcieRootPortProps *props)
{
    uint8_t cap = pci_add_express_cap(pci, PCI_EXP_TYPE_ROOT_PORT);
    uint32_t slot = (uint32_t)props->slot << 19 | PCI_EXP_SLTCAP_NCCS;

    if (props->hotplug)
        slot |= PCI_EXP_SLTCAP_HPC | PCI_EXP_SLTCAP_HPS;
    pci_config_set(pci, cap + PCI_EXP_FLAGS, 2,
                   pci_config_get(pci, cap + PCI_EXP_FLAGS, 2) | PCI_EXP_FLAGS_SLOT);
    pci_config_set(pci, cap + PCI_EXP_LNKCAP, 4,
                   pci_config_get(pci, cap + PCI_EXP_LNKCAP, 4) |
                   PCI_EXP_LNKCAP_DLLLARC | (uint32_t)props->port << 24);
    pci_config_set(pci, cap + PCI_EXP_SLTCAP, 4, slot);
    pci_config_allow(pci, cap + PCI_EXP_SLTCTL, 2,
                     PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_HPIE |
                     PCI_EXP_SLTCTL_DLLSCE);
    pci_config_allow_w1c(pci, cap + PCI_EXP_SLTSTA, 2, SLOT_EVENTS | PCI_EXP_SLTSTA_CC);
    pci_config_allow(pci, cap + PCI_EXP_RTCTL, 2,
                     PCI_EXP_RTCTL_SECEE | PCI_EXP_RTCTL_SENFEE | PCI_EXP_RTCTL_SEFEE |
                     PCI_EXP_RTCTL_PMEIE);
}

static bool check_size(const char *name, uint64_t value, uint64_t max, GError **error)
{
    if (value > max)
        error_set(error, "parameter '%s' expects at most %" PRIu64 " bytes", name, max);
    return value <= max;
}

static bool check_props(Device *dev, const PcieRootPortProps *props, GError **error)
{
    if (pci_bus(dev->bus)->bridge) {
        error_set(error, "parameter 'bus': a root port goes into the root bus, not '%s'",
                  dev->bus->name);
        return false;
    }
    LIST_FOREACH(node, &dev->tree->devices) {
        Device *other = CONTAINER_OF(node, Device, tree_node);
        const PcieRootPortProps *theirs;

        if (other->class != dev->class)
            continue;
        theirs = &other->args->u.pcie_root_port;
        if (theirs->chassis == props->chassis && theirs->slot == props->slot) {
            error_set(error, "parameter 'chassis': chassis %u slot %u is '%s' already",
                      props->chassis, props->slot, device_name(other));
            return false;
        }
    }
    return check_size("io-reserve", props->io_reserve, 64 * KIB, error) &&
        check_size("mem-reserve", props->mem_reserve, RESERVE_MEMORY_MAX, error) &&
        check_size("pref64-reserve", props->pref64_reserve, RESERVE_PREFETCHABLE_MAX,
                   error);
}

static PciReserve reserve_of(const PcieRootPortProps *props)
{
    PciReserve reserve = { 0 };

    if (props->hotplug) {
        reserve.memory = DEFAULT_RESERVE_MEMORY;
        reserve.prefetchable = DEFAULT_RESERVE_PREFETCHABLE;
    }
    if (props->has_io_reserve)
        reserve.io = props->io_reserve;
    if (props->has_mem_reserve)
        reserve.memory = props->mem_reserve;
    if (props->has_pref64_reserve)
        reserve.prefetchable = props->pref64_reserve;
    if (props->has_bus_reserve)
        reserve.buses = props->bus_reserve;
    return reserve;
}

static bool port_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    PciDevice *pci = pci_device(dev);
    PciePort *port = to_port(pci);
    const PcieRootPortProps *props = &args->u.pcie_root_port;

    if (!check_props(dev, props, error) ||
        !pci_bridge_init(&port->bridge, &port_pci_class, PCI_BUS_SLOT, "pcie", error))
        return false;
    add_express_cap(pci, props);
    pci_add_pm_cap(pci);
    msix_add(pci, 1, MSIX_BAR);
    port->bridge.secondary.reserve = reserve_of(props);
    return true;
}

static void port_unrealize(Device *dev)
{
    pci_bridge_done(&to_port(pci_device(dev))->bridge);
}

static void port_reset(Device *dev)
{
    PciePort *port = to_port(pci_device(dev));

    pci_bridge_reset(&port->bridge);
    update_slot_interrupt(port);
}

static const VMStateField port_fields[] = {
    VMSTATE_STRUCT(PciePort, bridge, pci_bridge_vmstate),
    VMSTATE_BOOL(PciePort, interrupts),
    VMSTATE_END
};

static const VMStateDesc port_vmstate = {
    .name = "pcie-root-port", .version = 1, .min_version = 1, .fields = port_fields,
};

const DeviceClass pcie_root_port_class = {
    .name = "pcie-root-port",
    .description = "PCI Express root port",
    .bus = BUS_PCI,
    .instance_size = sizeof(PciePort),
    .vmstate = &port_vmstate,
    .realize = port_realize,
    .unrealize = port_unrealize,
    .reset = port_reset,
};
