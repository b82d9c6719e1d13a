/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assignment of resources, the part of firmware that a kernel started directly relies on.
 *
 * Buses are numbered depth first.  Then each of three spaces is filled from the root
 * down: what a bus needs of a space is laid out largest alignment first, so that nothing
 * but the end is padding; a bridge's window is measured by laying out its bus at 0.
 * Measuring is repeated at each level, which a tree of a few levels can afford.
 *
 * 64-bit prefetchable BARs go above 4 GiB when there is such a window, all other memory
 * below: a bridge forwards memory above 4 GiB as prefetchable only.
 */
#include "berth/pci-assign.h"
#include "berth/error.h"
#include "berth/thread.h"

#include "pci-private.h"

#define IO_GRANULE (4 * KIB)
#define MEMORY_GRANULE (1 * MIB)
#define BUS_MAX 255u

typedef enum Space {
    SPACE_IO,
    SPACE_LOW,
    SPACE_HIGH,
    SPACE__MAX,
} Space;

typedef struct Assign {
    const PciWindows *windows;
    Space prefetchable;         /* where 64-bit prefetchable BARs go */
    unsigned last_bus;
} Assign;

typedef struct Item {
    PciDevice *pci;
    int bar;                    /* -1: the window of a bridge */
    uint64_t size;
    uint64_t align;
} Item;

static void measure(const Assign *assign, const PciBus *bus, Space space,
                    uint64_t *ret_size, uint64_t *ret_align);

static Space space_of(const Assign *assign, const PciBar *bar)
{
    const uint32_t high = PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH;

    if (bar->flags & PCI_BASE_ADDRESS_SPACE_IO)
        return SPACE_IO;
    return (bar->flags & high) == high ? assign->prefetchable : SPACE_LOW;
}

static uint64_t reserve_of(const Assign *assign, const PciBus *bus, Space space)
{
    switch (space) {
    case SPACE_IO:
        return bus->reserve.io;
    case SPACE_LOW:
        return bus->reserve.memory;
    case SPACE_HIGH:
    case SPACE__MAX:
        break;
    }
    return assign->prefetchable == SPACE_HIGH ? bus->reserve.prefetchable : 0;
}

static int by_align_falling(gconstpointer a, gconstpointer b)
{
    const Item *x = a, *y = b;

    if (x->align != y->align)
        return x->align > y->align ? -1 : 1;
    return x->pci->devfn != y->pci->devfn ? x->pci->devfn - y->pci->devfn
                                          : x->bar - y->bar;
}

/* What the functions on @bus need of @space, in the order of layout. */
static GArray *list_items(const Assign *assign, const PciBus *bus, Space space)
{
    GArray *items = g_array_new(FALSE, FALSE, sizeof(Item));

    for (unsigned devfn = 0; devfn < bus->n_functions; devfn++) {
        PciDevice *pci = pci_bus_function(bus, devfn);
        Item item = { .pci = pci, .bar = -1 };

        if (pci && pci->secondary) {
            measure(assign, pci->secondary, space, &item.size, &item.align);
            if (item.size)
                g_array_append_val(items, item);
        }
        for (item.bar = 0; pci && item.bar < (int)PCI_N_BARS; item.bar++) {
            const PciBar *bar = &pci->bars[item.bar];

            if (!bar->region || space_of(assign, bar) != space)
                continue;
            item.size = bar->region->size;
            item.align = item.size;
            g_array_append_val(items, item);
        }
    }
    g_array_sort(items, by_align_falling);
    return items;
}

/* The window that the bridge of @bus needs: its size and alignment. */
static void measure(const Assign *assign, const PciBus *bus, Space space,
                    uint64_t *ret_size, uint64_t *ret_align)
{
    g_autoptr(GArray) items = list_items(assign, bus, space);
    uint64_t granule = space == SPACE_IO ? IO_GRANULE : MEMORY_GRANULE;
    uint64_t reserve = reserve_of(assign, bus, space);
    uint64_t size = 0;

    *ret_align = granule;
    for (unsigned i = 0; i < items->len; i++) {
        const Item *item = &g_array_index(items, Item, i);

        size = ALIGN_UP(size, item->align) + item->size;
        *ret_align = MAX(*ret_align, item->align);
    }
    /* What is in a port's slot goes before another comes; a bridge has more slots. */
    size = bus->kind == PCI_BUS_SLOT ? MAX(size, reserve) : size + reserve;
    *ret_size = ALIGN_UP(size, granule);
}

static void set_bar(PciDevice *pci, unsigned n, uint64_t addr)
{
    unsigned offset = PCI_BASE_ADDRESS_0 + 4 * n;

    pci_config_write(pci, offset, 4, addr);
    if (pci->bars[n].flags & PCI_BASE_ADDRESS_MEM_TYPE_64)
        pci_config_write(pci, offset + 4, 4, addr >> 32);
}

static void set_window(PciDevice *pci, Space space, uint64_t base, uint64_t last)
{
    switch (space) {
    case SPACE_IO:
        pci_config_write(pci, PCI_IO_BASE, 1, base >> 8);
        pci_config_write(pci, PCI_IO_LIMIT, 1, last >> 8);
        break;
    case SPACE_LOW:
        pci_config_write(pci, PCI_MEMORY_BASE, 2, base >> 16);
        pci_config_write(pci, PCI_MEMORY_LIMIT, 2, last >> 16);
        break;
    case SPACE_HIGH:
    case SPACE__MAX:
        pci_config_write(pci, PCI_PREF_MEMORY_BASE, 2, base >> 16);
        pci_config_write(pci, PCI_PREF_BASE_UPPER32, 4, base >> 32);
        pci_config_write(pci, PCI_PREF_MEMORY_LIMIT, 2, last >> 16);
        pci_config_write(pci, PCI_PREF_LIMIT_UPPER32, 4, last >> 32);
    }
}

static const char *space_name(Space space)
{
    static const char *const names[] = { "port", "32-bit memory", "64-bit memory" };

    return names[space];
}

/* Lays out @bus in [@base, @base + @size). */
static bool place(const Assign *assign, const PciBus *bus, Space space, uint64_t base,
                  uint64_t size, GError **error)
{
    g_autoptr(GArray) items = list_items(assign, bus, space);
    uint64_t at = base;

    for (unsigned i = 0; i < items->len; i++) {
        const Item *item = &g_array_index(items, Item, i);

        at = ALIGN_UP(at, item->align);
        if (at - base > size || size - (at - base) < item->size) {
            error_set(error, "device '%s': PCI devices need more than the machine's 0x%"
                      PRIx64 " bytes of %s space", device_name(&item->pci->dev), size,
                      space_name(space));
            return false;
        }
        if (item->bar >= 0) {
            set_bar(item->pci, item->bar, at);
        } else {
            set_window(item->pci, space, at, at + item->size - 1);
            if (!place(assign, item->pci->secondary, space, at, item->size, error))
                return false;
        }
        at += item->size;
    }
    return true;
}

/* An empty window of a bridge has its base above its limit. */
static void close_windows(PciDevice *pci)
{
    set_window(pci, SPACE_IO, 0xf000, 0x0fff);
    set_window(pci, SPACE_LOW, 0xfff00000, 0x000fffff);
    set_window(pci, SPACE_HIGH, 0xfff00000, 0x000fffff);
}

static bool number_buses(Assign *assign, PciBus *bus, unsigned number, GError **error)
{
    for (unsigned devfn = 0; devfn < bus->n_functions; devfn++) {
        PciDevice *pci = pci_bus_function(bus, devfn);
        unsigned below;

        if (!pci || !pci->secondary)
            continue;
        below = ++assign->last_bus;
        if (below <= BUS_MAX) {
            pci_config_write(pci, PCI_PRIMARY_BUS, 1, number);
            pci_config_write(pci, PCI_SECONDARY_BUS, 1, below);
            pci_config_write(pci, PCI_SUBORDINATE_BUS, 1, BUS_MAX);
            close_windows(pci);
            if (!number_buses(assign, pci->secondary, below, error))
                return false;
            assign->last_bus += pci->secondary->reserve.buses;
        }
        if (assign->last_bus > BUS_MAX) {
            error_set(error, "device '%s': there are no bus numbers left",
                      device_name(&pci->dev));
            return false;
        }
        pci_config_write(pci, PCI_SUBORDINATE_BUS, 1, assign->last_bus);
    }
    return true;
}

static void enable(const Assign *assign, PciDevice *pci)
{
    uint16_t command = pci_config_get(pci, PCI_COMMAND, 2) | PCI_COMMAND_SERR;
    uint8_t line = assign->windows->irq_base;

    for (unsigned n = 0; n < PCI_N_BARS; n++) {
        if (pci->bars[n].region)
            command |= pci->bars[n].flags & PCI_BASE_ADDRESS_SPACE_IO
                ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
    }
    if (pci->secondary)
        command |= PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    if (pci->class->interrupt_pin)
        pci_config_write(pci, PCI_INTERRUPT_LINE, 1, line + pci_intx_line(pci));
    pci_config_write(pci, PCI_COMMAND, 2, command);
}

static void enable_all(const Assign *assign, PciBus *bus)
{
    for (unsigned devfn = 0; devfn < bus->n_functions; devfn++) {
        PciDevice *pci = pci_bus_function(bus, devfn);

        if (!pci)
            continue;
        enable(assign, pci);
        if (pci->secondary)
            enable_all(assign, pci->secondary);
    }
}

bool pci_assign_resources(PciBus *root, const PciWindows *windows, GError **error)
{
    Assign assign = {
        .windows = windows,
        .prefetchable = windows->mem64_size ? SPACE_HIGH : SPACE_LOW,
    };

    assert_main();
    if (!number_buses(&assign, root, 0, error) ||
        !place(&assign, root, SPACE_IO, windows->io_base, windows->io_size, error) ||
        !place(&assign, root, SPACE_LOW, windows->mem32_base, windows->mem32_size,
               error) ||
        !place(&assign, root, SPACE_HIGH, windows->mem64_base, windows->mem64_size,
               error))
        return false;
    enable_all(&assign, root);
    return true;
}
