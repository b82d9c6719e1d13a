/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buses: places of functions, and the way of a configuration cycle to one.
 *
 * `reserved` is what main knows: a place is taken from pci_device_init() to
 * pci_device_done().  `functions` is what vCPUs see, between plug and unplug; they look
 * without a lock, and unplug waits until all have passed a quiescent point.
 *
 * A bus behind a bridge has its own memory and port containers, into which the bridge's
 * windows are aliases (pcie-port.c): a BAR outside the windows cannot be reached.
 */
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"
#include "berth/pci-slots.h"
#include "berth/qsbr.h"
#include "berth/thread.h"

#include "pci-private.h"

#define ALL_FUNCTIONS 256u
#define SLOT_FUNCTIONS 8u       /* below an express port there is slot 0 only */

PciDevice *pci_bus_function(const PciBus *bus, unsigned devfn)
{
    if (devfn >= bus->n_functions)
        return NULL;
    return __atomic_load_n(&bus->functions[devfn], __ATOMIC_ACQUIRE);
}

void pci_bus_set_numbers(PciBus *bus, int number, int subordinate)
{
    __atomic_store_n(&bus->number, number, __ATOMIC_RELAXED);
    __atomic_store_n(&bus->subordinate, subordinate, __ATOMIC_RELAXED);
}

bool pci_bus_is_below_port(const PciBus *bus)
{
    return bus->kind == PCI_BUS_SLOT;
}

/* The bus below @bus through which cycles for bus @number go. */
static PciBus *next_bus(PciBus *bus, int number)
{
    for (unsigned devfn = 0; devfn < bus->n_functions; devfn++) {
        PciDevice *pci = pci_bus_function(bus, devfn);
        PciBus *below = pci ? pci->secondary : NULL;

        if (below && number >= __atomic_load_n(&below->number, __ATOMIC_RELAXED) &&
            number <= __atomic_load_n(&below->subordinate, __ATOMIC_RELAXED))
            return below;
    }
    return NULL;
}

PciBus *pci_bus_route(PciBus *bus, int number)
{
    while (bus && number != __atomic_load_n(&bus->number, __ATOMIC_RELAXED))
        bus = next_bus(bus, number);
    return bus;
}

/* "SLOT[.FUNCTION]" in hexadecimal. */
static bool parse_addr(const char *text, unsigned long *ret_slot, unsigned long *ret_fn)
{
    char *end;

    if (!g_ascii_isxdigit(text[0]))
        return false;
    *ret_slot = strtoul(text, &end, 16);
    *ret_fn = 0;
    if (*end == '.' && g_ascii_isxdigit(end[1]))
        *ret_fn = strtoul(end + 1, &end, 16);
    return *end == '\0';
}

static bool check_addr(const PciBus *bus, const PciAddr *addr, unsigned *ret_devfn,
                       GError **error)
{
    unsigned long slot = 0, function = 0;

    if (addr->type == QAPI_KIND_INT) {
        if (addr->u.n < 0 || addr->u.n > 255) {
            error_set(error, "parameter 'addr' expects a number from 0 to 255");
            return false;
        }
        slot = PCI_SLOT(addr->u.n);
        function = PCI_FUNCTION(addr->u.n);
    } else if (!parse_addr(addr->u.s, &slot, &function) || slot > 31 || function > 7) {
        error_set(error, "parameter 'addr' expects SLOT[.FUNCTION] in hexadecimal, up to "
                  "1f.7");
        return false;
    }
    if (slot * 8 >= bus->n_functions) {
        error_set(error, "parameter 'addr': bus '%s', below an express port, has slot 0 "
                  "only", bus->bus.name);
        return false;
    }
    *ret_devfn = PCI_DEVFN(slot, function);
    return true;
}

bool pci_bus_slot_is_free(const PciBus *bus, unsigned slot)
{
    for (unsigned i = 0; i < 8; i++) {
        if (bus->reserved[PCI_DEVFN(slot, i)])
            return false;
    }
    return true;
}

static bool find_free_slot(const PciBus *bus, unsigned *ret_devfn, GError **error)
{
    for (unsigned slot = 0; slot < bus->n_functions / 8; slot++) {
        if (pci_bus_slot_is_free(bus, slot)) {
            *ret_devfn = PCI_DEVFN(slot, 0);
            return true;
        }
    }
    error_set(error, "parameter 'bus': no free slot on '%s'", bus->bus.name);
    return false;
}

/*
 * Other functions of a slot are found only when function 0 says that there are some.
 */
static bool check_multifunction(const PciBus *bus, const PciDevice *pci, unsigned devfn,
                                GError **error)
{
    const PciDevice *first = bus->reserved[PCI_DEVFN(PCI_SLOT(devfn), 0)];

    if (PCI_FUNCTION(devfn) != 0) {
        if (!first || first->multifunction)
            return true;
        error_set(error, "parameter 'addr': slot %x of '%s' has a device without "
                  "multifunction", PCI_SLOT(devfn), bus->bus.name);
        return false;
    }
    if (pci->multifunction || pci_bus_slot_is_free(bus, PCI_SLOT(devfn)))
        return true;
    error_set(error, "parameter 'multifunction' is off, but slot %x of '%s' has other "
              "functions", PCI_SLOT(devfn), bus->bus.name);
    return false;
}

bool pci_bus_reserve(PciBus *bus, PciDevice *pci, const DeviceAddArgs *args,
                     GError **error)
{
    unsigned devfn = pci->class->devfn;

    assert_main();
    pci->multifunction = args ? args->multifunction : pci->class->multifunction;
    if (args && args->addr && !check_addr(bus, args->addr, &devfn, error))
        return false;
    if (args && !args->addr && !find_free_slot(bus, &devfn, error))
        return false;
    if (bus->reserved[devfn]) {
        error_set(error, "parameter 'addr': %x.%x of '%s' is in use by '%s'",
                  PCI_SLOT(devfn), PCI_FUNCTION(devfn), bus->bus.name,
                  device_name(&bus->reserved[devfn]->dev));
        return false;
    }
    if (!check_multifunction(bus, pci, devfn, error))
        return false;
    bus->reserved[devfn] = pci;
    pci->bus = bus;
    pci->devfn = devfn;
    return true;
}

void pci_bus_release(PciBus *bus, PciDevice *pci)
{
    g_assert(bus->reserved[pci->devfn] == pci);
    bus->reserved[pci->devfn] = NULL;
}

/* Shows @pci, or NULL, at its place. */
static void publish(PciBus *bus, unsigned devfn, PciDevice *pci)
{
    __atomic_store_n(&bus->functions[devfn], pci, __ATOMIC_RELEASE);
    if (bus->slots && PCI_FUNCTION(devfn) == 0)
        (pci ? bus->slots->came : bus->slots->went)(bus->slots, bus->slots_index,
                                                    PCI_SLOT(devfn));
    if (bus->bridge && bus->bridge->class->secondary_changed)
        bus->bridge->class->secondary_changed(bus->bridge);
}

static void pci_bus_plug(Bus *bus, Device *dev)
{
    PciDevice *pci = pci_device(dev);

    pci_rom_add_default(pci);
    memcpy(pci->power_on, pci->config, sizeof(pci->power_on));
    /* The machine's reset is over; the other devices had theirs there. */
    if (dev->tree->started && dev->class->reset)
        dev->class->reset(dev);
    publish(pci_bus(bus), pci->devfn, pci);
}

static void pci_bus_unplug(Bus *bus, Device *dev)
{
    PciDevice *pci = pci_device(dev);

    publish(pci_bus(bus), pci->devfn, NULL);
    lock_take(&dev->lock);
    pci_bar_unmap(pci);
    lock_drop(&dev->lock);
    qsbr_synchronize();
    pci_intx_withdraw(pci);
}

static const BusOps pci_bus_ops = {
    .plug = pci_bus_plug,
    .unplug = pci_bus_unplug,
    .check_hotplug = pci_hotplug_check,
    .request_unplug = pci_hotplug_request_unplug,
    .remind = pci_hotplug_remind,
    .eject = pci_hotplug_eject,
};

bool pci_bus_init(PciBus *bus, const char *name, PciBusKind kind, PciDevice *bridge,
                  Device *owner, GError **error)
{
    if (!bus_init(&bus->bus, BUS_PCI, name, owner, owner->tree, error))
        return false;
    bus->bus.ops = &pci_bus_ops;
    bus->kind = kind;
    bus->bridge = bridge;
    bus->intx = bridge ? bridge->bus->intx : pci_intx_new(owner->board);
    bus->n_functions = kind == PCI_BUS_SLOT ? SLOT_FUNCTIONS : ALL_FUNCTIONS;
    bus->functions = g_new0(PciDevice *, bus->n_functions);
    bus->reserved = g_new0(PciDevice *, bus->n_functions);
    region_init_container(&bus->memory, "pci-memory", UINT64_MAX);
    region_init_container(&bus->io, "pci-io", 0x10000);
    return true;
}

void pci_bus_done(PciBus *bus)
{
    if (!bus->functions)
        return;
    if (bus->slots)
        bus->slots->gone(bus->slots, bus->slots_index);
    region_done(&bus->io);
    region_done(&bus->memory);
    if (!bus->bridge)
        pci_intx_free(bus->intx);
    g_clear_pointer(&bus->functions, g_free);
    g_clear_pointer(&bus->reserved, g_free);
    bus_done(&bus->bus);
}
