/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcie-root-port: a port of the root complex with one slot (PCI-to-PCI Bridge 1.2; PCI
 * Express Base 4.0, sections 7.5.1.3 and 7.5.3).
 *
 * Forwarding.  The secondary bus has its own memory and ports; each of the three windows
 * of the header is an alias into them, there while the window is not empty and the
 * command register enables it.  Every write brings all three in step with the registers,
 * under dev->lock, so the order of partial writes does not matter.
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
    PciDevice pci;
    PciBus secondary;
    Region windows[PORT_WINDOW__MAX];
    bool forwards[PORT_WINDOW__MAX];    /* windows[] is initialised and added */
    bool in_reset;              /* the secondary bus, as last seen */
    bool interrupts;            /* the slot's events, as last seen */
} PciePort;

static PciePort *to_port(PciDevice *pci)
{
    return CONTAINER_OF(pci, PciePort, pci);
}

void pcie_port_window(const PciDevice *pci, PortWindow window, uint64_t *ret_base,
                      uint64_t *ret_last)
{
    uint64_t base, limit;

    switch (window) {
    case PORT_WINDOW_IO:
        *ret_base = (pci_config_get(pci, PCI_IO_BASE, 1) & 0xf0u) << 8;
        *ret_last = (pci_config_get(pci, PCI_IO_LIMIT, 1) & 0xf0u) << 8 | 0xfff;
        return;
    case PORT_WINDOW_MEMORY:
        base = pci_config_get(pci, PCI_MEMORY_BASE, 2);
        limit = pci_config_get(pci, PCI_MEMORY_LIMIT, 2);
        break;
    case PORT_WINDOW_PREFETCHABLE:
    case PORT_WINDOW__MAX:
    default:
        base = pci_config_get(pci, PCI_PREF_MEMORY_BASE, 2) |
            (uint64_t)pci_config_get(pci, PCI_PREF_BASE_UPPER32, 4) << 16;
        limit = pci_config_get(pci, PCI_PREF_MEMORY_LIMIT, 2) |
            (uint64_t)pci_config_get(pci, PCI_PREF_LIMIT_UPPER32, 4) << 16;
    }
    *ret_base = (base & ~15ull) << 16;
    *ret_last = (limit & ~15ull) << 16 | 0xfffff;
}

static void update_window_locked(PciePort *port, PortWindow window)
{
    static const char *const names[] = { "port-io", "port-memory", "port-prefetchable" };
    PciDevice *pci = &port->pci;
    Region *region = &port->windows[window];
    bool is_io = window == PORT_WINDOW_IO;
    uint32_t enable = is_io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    uint64_t base, last, size;
    bool forwards;

    pcie_port_window(pci, window, &base, &last);
    size = last - base == UINT64_MAX ? UINT64_MAX : last - base + 1;
    forwards = base <= last && pci_config_get(pci, PCI_COMMAND, 2) & enable;
    if (port->forwards[window] &&
        (!forwards || region->addr != base || region->size != size)) {
        region_done(region);
        port->forwards[window] = false;
    }
    if (forwards && !port->forwards[window]) {
        region_init_alias(region, names[window],
                          is_io ? &port->secondary.io : &port->secondary.memory, base,
                          size);
        region_add(is_io ? &pci->bus->io : &pci->bus->memory, base, region, 0);
        port->forwards[window] = true;
    }
}

/* Forwarding of memory, ports and configuration cycles as the registers say. */
static void update_forwarding(PciePort *port)
{
    PciDevice *pci = &port->pci;
    Board *board = pci->dev.board;

    lock_take(&pci->dev.lock);
    region_batch_begin(board->memory);
    region_batch_begin(board->io);
    for (int i = 0; i < PORT_WINDOW__MAX; i++)
        update_window_locked(port, i);
    region_batch_end(board->io);
    region_batch_end(board->memory);
    pci_bus_set_numbers(&port->secondary, pci_config_get(pci, PCI_SECONDARY_BUS, 1),
                        pci_config_get(pci, PCI_SUBORDINATE_BUS, 1));
    lock_drop(&pci->dev.lock);
}

/* Interrupts when an event that the slot control register enables has come. */
static void update_slot_interrupt(PciePort *port)
{
    PciDevice *pci = &port->pci;
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

static void reset_secondary(PciePort *port)
{
    for (unsigned devfn = 0; devfn < port->secondary.n_functions; devfn++) {
        PciDevice *pci = pci_bus_function(&port->secondary, devfn);

        if (pci)
            pci->dev.class->reset(&pci->dev);
    }
}

static void port_after_write(PciDevice *pci, unsigned offset, unsigned size)
{
    PciePort *port = to_port(pci);
    bool in_reset, resets;

    if (pci_config_touches(offset, size, PCI_COMMAND, 2) ||
        pci_config_touches(offset, size, PCI_PRIMARY_BUS, PCI_CAPABILITY_LIST -
                           PCI_PRIMARY_BUS))
        update_forwarding(port);
    if (pci_config_touches(offset, size, pci->express_cap + PCI_EXP_SLTCTL, 4))
        update_slot_interrupt(port);
    lock_take(&pci->dev.lock);
    in_reset = pci_config_get(pci, PCI_BRIDGE_CONTROL, 2) & PCI_BRIDGE_CTL_BUS_RESET;
    resets = in_reset && !port->in_reset;
    port->in_reset = in_reset;
    lock_drop(&pci->dev.lock);
    if (resets)
        reset_secondary(port);
}

static void port_secondary_changed(PciDevice *pci)
{
    PciePort *port = to_port(pci);
    unsigned status = pci->express_cap + PCI_EXP_SLTSTA;
    unsigned link = pci->express_cap + PCI_EXP_LNKSTA;
    bool occupied = false;
    uint32_t slot_bits, link_bits;

    for (unsigned devfn = 0; devfn < port->secondary.n_functions; devfn++)
        occupied = occupied || pci_bus_function(&port->secondary, devfn);
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

static void init_bridge_header(PciDevice *pci)
{
    pci_config_allow(pci, PCI_PRIMARY_BUS, 4, 0x00ffffff);
    pci_config_allow(pci, PCI_IO_BASE, 1, 0xf0);
    pci_config_allow(pci, PCI_IO_LIMIT, 1, 0xf0);
    pci_config_allow_w1c(pci, PCI_SEC_STATUS, 2, 0xf900);
    pci_config_allow(pci, PCI_MEMORY_BASE, 4, 0xfff0fff0);
    pci_config_set(pci, PCI_PREF_MEMORY_BASE, 2, PCI_PREF_RANGE_TYPE_64);
    pci_config_set(pci, PCI_PREF_MEMORY_LIMIT, 2, PCI_PREF_RANGE_TYPE_64);
    pci_config_allow(pci, PCI_PREF_MEMORY_BASE, 4, 0xfff0fff0);
    pci_config_allow(pci, PCI_PREF_BASE_UPPER32, 4, UINT32_MAX);
    pci_config_allow(pci, PCI_PREF_LIMIT_UPPER32, 4, UINT32_MAX);
    pci_config_allow(pci, PCI_BRIDGE_CONTROL, 2,
                     PCI_BRIDGE_CTL_PARITY | PCI_BRIDGE_CTL_SERR |
                     PCI_BRIDGE_CTL_BUS_RESET);
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

static bool make_secondary(PciePort *port, GError **error)
{
    Device *dev = &port->pci.dev;
    g_autofree char *name = g_strdup(dev->id);

    for (unsigned i = 1; !name; i++) {
        name = g_strdup_printf("pcie.%u", i);
        if (device_tree_find_bus(dev->tree, name))
            g_clear_pointer(&name, g_free);
    }
    return pci_bus_init(&port->secondary, name, &port->pci, dev, error);
}

static bool port_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    PciDevice *pci = pci_device(dev);
    PciePort *port = to_port(pci);
    const PcieRootPortProps *props = &args->u.pcie_root_port;

    if (!check_props(dev, props, error) || !pci_device_init(pci, &port_pci_class, error))
        return false;
    if (!make_secondary(port, error)) {
        pci_device_done(pci);
        return false;
    }
    init_bridge_header(pci);
    add_express_cap(pci, props);
    pci_add_pm_cap(pci);
    msix_add(pci, 1, MSIX_BAR);
    port->secondary.reserve = reserve_of(props);
    pci->secondary = &port->secondary;
    return true;
}

static void port_unrealize(Device *dev)
{
    PciDevice *pci = pci_device(dev);
    PciePort *port = to_port(pci);
    Board *board = dev->board;

    region_batch_begin(board->memory);
    region_batch_begin(board->io);
    for (int i = 0; i < PORT_WINDOW__MAX; i++) {
        if (port->forwards[i])
            region_done(&port->windows[i]);
    }
    region_batch_end(board->io);
    region_batch_end(board->memory);
    pci_bus_done(&port->secondary);
    pci_device_done(pci);
}

static void port_reset(Device *dev)
{
    PciDevice *pci = pci_device(dev);
    PciePort *port = to_port(pci);

    pci_device_reset(pci);
    port->in_reset = false;
    update_forwarding(port);
    update_slot_interrupt(port);
}

static bool port_post_load(void *opaque, GError **error)
{
    PciePort *port = opaque;

    port->in_reset = pci_config_get(&port->pci, PCI_BRIDGE_CONTROL, 2) &
        PCI_BRIDGE_CTL_BUS_RESET;
    update_forwarding(port);
    return true;
}

static const VMStateField port_fields[] = {
    VMSTATE_PCI(PciePort, pci),
    VMSTATE_BOOL(PciePort, interrupts),
    VMSTATE_END
};

static const VMStateDesc port_vmstate = {
    .name = "pcie-root-port", .version = 1, .min_version = 1, .fields = port_fields,
    .post_load = port_post_load,
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
