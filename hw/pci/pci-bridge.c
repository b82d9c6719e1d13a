/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every PCI-to-PCI bridge has: a secondary bus, windows to it, its reset
 * (PCI-to-PCI Bridge 1.2; PCI Express Base 4.0, 7.5.1.3).
 *
 * Forwarding.  The secondary bus has its own memory and ports; each of the three windows
 * of the header is an alias into them, there while the window is not empty and the
 * command register enables it.  Every write brings all three in step with the registers,
 * under dev->lock, so the order of partial writes does not matter.
 *
 * A reset of the secondary bus goes on to the buses behind it.
 */
#include "berth/error.h"
#include "berth/pci.h"
#include "berth/thread.h"

#include "pci-private.h"

#define HINTS_CAP_SIZE 32u
#define HINTS_CAP_TYPE 1u

void pci_bridge_window(const PciDevice *pci, BridgeWindow window, uint64_t *ret_base,
                      uint64_t *ret_last)
{
    uint64_t base, limit;

    switch (window) {
    case BRIDGE_WINDOW_IO:
        *ret_base = (pci_config_get(pci, PCI_IO_BASE, 1) & 0xf0u) << 8;
        *ret_last = (pci_config_get(pci, PCI_IO_LIMIT, 1) & 0xf0u) << 8 | 0xfff;
        return;
    case BRIDGE_WINDOW_MEMORY:
        base = pci_config_get(pci, PCI_MEMORY_BASE, 2);
        limit = pci_config_get(pci, PCI_MEMORY_LIMIT, 2);
        break;
    case BRIDGE_WINDOW_PREFETCHABLE:
    case BRIDGE_WINDOW__MAX:
    default:
        base = pci_config_get(pci, PCI_PREF_MEMORY_BASE, 2) |
            (uint64_t)pci_config_get(pci, PCI_PREF_BASE_UPPER32, 4) << 16;
        limit = pci_config_get(pci, PCI_PREF_MEMORY_LIMIT, 2) |
            (uint64_t)pci_config_get(pci, PCI_PREF_LIMIT_UPPER32, 4) << 16;
    }
    *ret_base = (base & ~15ull) << 16;
    *ret_last = (limit & ~15ull) << 16 | 0xfffff;
}

static void update_window_locked(PciBridge *bridge, BridgeWindow window)
{
    static const char *const names[] = {
        "bridge-io", "bridge-memory", "bridge-prefetchable",
    };
    PciDevice *pci = &bridge->pci;
    Region *region = &bridge->windows[window];
    bool is_io = window == BRIDGE_WINDOW_IO;
    uint32_t enable = is_io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    uint64_t base, last, size;
    bool forwards;

    pci_bridge_window(pci, window, &base, &last);
    size = last - base == UINT64_MAX ? UINT64_MAX : last - base + 1;
    forwards = base <= last && pci_config_get(pci, PCI_COMMAND, 2) & enable;
    if (bridge->forwards[window] &&
        (!forwards || region->addr != base || region->size != size)) {
        region_done(region);
        bridge->forwards[window] = false;
    }
    if (forwards && !bridge->forwards[window]) {
        region_init_alias(region, names[window],
                          is_io ? &bridge->secondary.io : &bridge->secondary.memory, base,
                          size);
        region_add(is_io ? &pci->bus->io : &pci->bus->memory, base, region, 0);
        bridge->forwards[window] = true;
    }
}

/* Forwarding of memory, ports and configuration cycles as the registers say. */
static void update_forwarding(PciBridge *bridge)
{
    PciDevice *pci = &bridge->pci;
    Board *board = pci->dev.board;

    lock_take(&pci->dev.lock);
    region_batch_begin(board->memory);
    region_batch_begin(board->io);
    for (int i = 0; i < BRIDGE_WINDOW__MAX; i++)
        update_window_locked(bridge, i);
    region_batch_end(board->io);
    region_batch_end(board->memory);
    pci_bus_set_numbers(&bridge->secondary, pci_config_get(pci, PCI_SECONDARY_BUS, 1),
                        pci_config_get(pci, PCI_SUBORDINATE_BUS, 1));
    lock_drop(&pci->dev.lock);
}

/* As deep as bridges are plugged into each other, which bus numbers bound. */
static void reset_bus(PciBus *bus)
{
    for (unsigned devfn = 0; devfn < bus->n_functions; devfn++) {
        PciDevice *pci = pci_bus_function(bus, devfn);

        if (!pci)
            continue;
        if (pci->secondary)
            reset_bus(pci->secondary);
        pci->dev.class->reset(&pci->dev);
    }
}

void pci_bridge_after_write(PciBridge *bridge, unsigned offset, unsigned size)
{
    PciDevice *pci = &bridge->pci;
    bool in_reset, resets;

    if (pci_config_touches(offset, size, PCI_COMMAND, 2) ||
        pci_config_touches(offset, size, PCI_PRIMARY_BUS, PCI_CAPABILITY_LIST -
                           PCI_PRIMARY_BUS))
        update_forwarding(bridge);
    lock_take(&pci->dev.lock);
    in_reset = pci_config_get(pci, PCI_BRIDGE_CONTROL, 2) & PCI_BRIDGE_CTL_BUS_RESET;
    resets = in_reset && !bridge->in_reset;
    bridge->in_reset = in_reset;
    lock_drop(&pci->dev.lock);
    if (resets)
        reset_bus(&bridge->secondary);
}

static void init_header(PciDevice *pci)
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

/* The id, or "PREFIX.N" with the first number from 1 that is free. */
static char *bus_name(const Device *dev, const char *prefix)
{
    char *name = g_strdup(dev->id);

    for (unsigned i = 1; !name; i++) {
        name = g_strdup_printf("%s.%u", prefix, i);
        if (device_tree_find_bus(dev->tree, name))
            g_clear_pointer(&name, g_free);
    }
    return name;
}

bool pci_bridge_init(PciBridge *bridge, const PciClass *class, PciBusKind kind,
                     const char *prefix, GError **error)
{
    PciDevice *pci = &bridge->pci;
    Device *dev = &pci->dev;
    g_autofree char *name = bus_name(dev, prefix);

    if (!pci_device_init(pci, class, error))
        return false;
    if (!pci_bus_init(&bridge->secondary, name, kind, pci, dev, error)) {
        pci_device_done(pci);
        return false;
    }
    init_header(pci);
    pci->secondary = &bridge->secondary;
    return true;
}

static void put64(PciDevice *pci, unsigned offset, uint64_t value)
{
    pci_config_set(pci, offset, 4, (uint32_t)value);
    pci_config_set(pci, offset + 4, 4, (uint32_t)(value >> 32));
}

/*
 * Its length and type, then bus numbers, ports, memory, prefetchable memory below 4 GiB
 * and anywhere.
 */
void pci_bridge_add_hints(PciDevice *pci, const BridgeHints *hints)
{
    uint8_t cap = pci_add_cap(pci, PCI_CAP_ID_VNDR, HINTS_CAP_SIZE);

    pci_config_set(pci, cap + 2, 1, HINTS_CAP_SIZE);
    pci_config_set(pci, cap + 3, 1, HINTS_CAP_TYPE);
    pci_config_set(pci, cap + 4, 4, hints->buses);
    put64(pci, cap + 8, hints->io);
    pci_config_set(pci, cap + 16, 4, hints->memory);
    pci_config_set(pci, cap + 20, 4, UINT32_MAX);
    put64(pci, cap + 24, hints->prefetchable);
}

void pci_bridge_done(PciBridge *bridge)
{
    Board *board = bridge->pci.dev.board;

    region_batch_begin(board->memory);
    region_batch_begin(board->io);
    for (int i = 0; i < BRIDGE_WINDOW__MAX; i++) {
        if (bridge->forwards[i])
            region_done(&bridge->windows[i]);
    }
    region_batch_end(board->io);
    region_batch_end(board->memory);
    pci_bus_done(&bridge->secondary);
    pci_device_done(&bridge->pci);
}

void pci_bridge_reset(PciBridge *bridge)
{
    pci_device_reset(&bridge->pci);
    bridge->in_reset = false;
    update_forwarding(bridge);
}

static bool pci_bridge_post_load(void *opaque, GError **error)
{
    PciBridge *bridge = opaque;

    bridge->in_reset = pci_config_get(&bridge->pci, PCI_BRIDGE_CONTROL, 2) &
        PCI_BRIDGE_CTL_BUS_RESET;
    update_forwarding(bridge);
    return true;
}

static const VMStateField pci_bridge_fields[] = {
    VMSTATE_PCI(PciBridge, pci),
    VMSTATE_END
};

const VMStateDesc pci_bridge_vmstate = {
    .name = "pci-bridge", .version = 1, .min_version = 1, .fields = pci_bridge_fields,
    .post_load = pci_bridge_post_load,
};
