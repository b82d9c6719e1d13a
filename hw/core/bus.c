/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buses by name.  A bus is on its tree's list from init to done, in order of making, so
 * that the first of a kind (what a device without bus= gets) is the root.
 */
#include "berth/bus.h"
#include "berth/device.h"
#include "berth/error.h"

const char *bus_kind_str(BusKind kind)
{
    switch (kind) {
    case BUS_NONE:
        break;
    case BUS_PCI:
        return "PCI";
    case BUS_ISA:
        return "ISA";
    case BUS_VIRTIO_SERIAL:
        return "virtio-serial-bus";
    case BUS_SCSI:
        return "SCSI";
    case BUS_IDE:
        return "IDE";
    case BUS_CPU:
        return "CPU";
    case BUS_MEMORY:
        return "memory";
    }
    return "System";
}

bool bus_init(Bus *bus, BusKind kind, const char *name, Device *owner, DeviceTree *tree,
              GError **error)
{
    if (device_tree_find_bus(tree, name)) {
        error_set(error, "parameter 'id': there is a bus '%s' already", name);
        return false;
    }
    bus->kind = kind;
    bus->name = g_strdup(name);
    bus->owner = owner;
    bus->tree = tree;
    list_init(&bus->devices);
    list_append(&tree->buses, &bus->tree_node);
    return true;
}

bool bus_init_below_as(Bus *bus, BusKind kind, Device *owner, unsigned n, GError **error)
{
    g_autofree char *stem = g_ascii_strdown(bus_kind_str(kind), -1);
    g_autofree char *name = owner->id ? g_strdup_printf("%s.%u", owner->id, n) : NULL;

    for (unsigned i = 0; !name; i++) {
        name = g_strdup_printf("%s.%u", stem, i);
        if (device_tree_find_bus(owner->tree, name))
            g_clear_pointer(&name, g_free);
    }
    return bus_init(bus, kind, name, owner, owner->tree, error);
}

bool bus_init_below(Bus *bus, BusKind kind, Device *owner, GError **error)
{
    return bus_init_below_as(bus, kind, owner, 0, error);
}

bool bus_is_full(const Bus *bus)
{
    unsigned n = 0;

    LIST_FOREACH(node, &bus->devices)
        n++;
    return bus->max_devices && n >= bus->max_devices;
}

void bus_done(Bus *bus)
{
    if (!bus->tree)
        return;
    g_assert(list_is_empty(&bus->devices));
    list_remove(&bus->tree_node);
    g_clear_pointer(&bus->name, g_free);
    bus->tree = NULL;
}
